import { COMMAND_CLASSES, IDENTITY_KINDS, OUTWARD_KINDS } from '../core/index.ts'
import type { CedarJson } from './cedar.ts'

/** A text in a condition that is compared with a fact it can never equal: a misspelt class, kind or label. */
export type VainLiteral = {
  readonly fact: string
  readonly literal: string
  readonly expected: readonly string[]
}

/**
 * Finds comparisons with names that do not exist. The engine's types cannot: to them a class is any text, and a
 * forbid on `context.class == "wirte"` would be valid and forbid nothing.
 */
export function vainLiterals(policy: CedarJson, labels: readonly string[]): VainLiteral[] {
  const known: Readonly<Record<string, readonly string[]>> = {
    'context.class': COMMAND_CLASSES,
    'context.classes': COMMAND_CLASSES,
    'context.label': labels,
    'context.labels': labels,
    'context.filters': labels,
    'context.touches': labels,
    'context.stores': labels,
    'context.outward': OUTWARD_KINDS,
    'principal.kind': IDENTITY_KINDS,
  }
  const found: VainLiteral[] = []
  const look = (node: unknown): void => {
    if (Array.isArray(node)) {
      node.forEach(look)
      return
    }
    if (typeof node !== 'object' || node === null) return
    for (const [operator, operands] of Object.entries(node)) {
      if (COMPARISONS.has(operator) && isPair(operands)) {
        for (const [one, other] of [
          [operands.left, operands.right],
          [operands.right, operands.left],
        ]) {
          const fact = factName(one)
          const expected = fact !== undefined && Object.hasOwn(known, fact) ? known[fact] : undefined
          if (fact === undefined || expected === undefined) continue
          const vain = textsIn(other).filter((literal) => !expected.includes(literal))
          found.push(...vain.map((literal) => ({ fact, literal, expected })))
        }
      }
      look(operands)
    }
  }
  look(policy.conditions)
  return found
}

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', 'contains', 'containsAll', 'containsAny'])

function isPair(node: unknown): node is { left: unknown; right: unknown } {
  return typeof node === 'object' && node !== null && 'left' in node && 'right' in node
}

function factName(node: unknown): string | undefined {
  if (typeof node !== 'object' || node === null || !('.' in node)) return undefined
  const access = node['.']
  if (typeof access !== 'object' || access === null || !('left' in access) || !('attr' in access))
    return undefined
  const { left, attr } = access
  if (typeof left !== 'object' || left === null || !('Var' in left)) return undefined
  return `${String(left.Var)}.${String(attr)}`
}

/** A literal text, or those in a literal set. */
function textsIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  if ('Value' in node) {
    const { Value: value } = node
    return (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string')
  }
  return 'Set' in node && Array.isArray(node.Set) ? node.Set.flatMap(textsIn) : []
}
