import type { CedarJson } from './cedar.ts'

/** Which attributes a condition reads of each variable; `all` when it cannot be said. */
export type Reads = {
  readonly principal: ReadonlySet<string> | 'all'
  readonly resource: ReadonlySet<string> | 'all'
  readonly context: ReadonlySet<string> | 'all'
}

export const NOTHING_READ: Reads = { principal: new Set(), resource: new Set(), context: new Set() }

type Variable = 'principal' | 'resource' | 'context'
type Mutable = Record<Variable, Set<string> | 'all'>

/** What the conditions of a policy read. A variable used in a way that is not understood counts as read whole. */
export function readsOf(policy: CedarJson): Reads {
  const found: Mutable = { principal: new Set(), resource: new Set(), context: new Set() }
  for (const condition of policy.conditions) walk(condition.body, found)
  return found
}

/** What several policies read together. */
export function unionOfReads(all: readonly Reads[]): Reads {
  const union: Mutable = { principal: new Set(), resource: new Set(), context: new Set() }
  for (const reads of all) {
    for (const variable of ['principal', 'resource', 'context'] as const) {
      const add = reads[variable]
      const have = union[variable]
      if (add === 'all' || have === 'all') union[variable] = 'all'
      else for (const name of add) have.add(name)
    }
  }
  return union
}

/** Operators that look at an entity's id and parents, never at its attributes. */
const BY_ID: ReadonlySet<string> = new Set(['==', '!=', 'in', 'is'])

function walk(node: unknown, found: Mutable): void {
  if (Array.isArray(node)) {
    for (const each of node) walk(each, found)
    return
  }
  if (typeof node !== 'object' || node === null) return
  for (const [operator, operands] of Object.entries(node)) {
    if (operator === 'Var') {
      if (isVariable(operands)) found[operands] = 'all'
    } else if (operator === 'Record') {
      // The keys of a record are the author's words, not operators.
      walk(Object.values(operands ?? {}), found)
    } else if (operator !== 'Value' && !walkAccess(operator, operands, found)) {
      walk(operands, found)
    }
  }
}

/** `context.x`, `context has x`, `principal in ...`: the uses that are understood. */
function walkAccess(operator: string, operands: unknown, found: Mutable): boolean {
  if (typeof operands !== 'object' || operands === null) return false
  const left = 'left' in operands ? variableIn(operands.left) : undefined
  if ((operator === '.' || operator === 'has') && left !== undefined && 'attr' in operands) {
    const name = Array.isArray(operands.attr) ? operands.attr[0] : operands.attr
    const names = found[left]
    if (typeof name === 'string' && names !== 'all') names.add(name)
    return true
  }
  if (!BY_ID.has(operator)) return false
  const right = 'right' in operands ? variableIn(operands.right) : undefined
  for (const [name, operand] of Object.entries(operands)) {
    const variable = name === 'left' ? left : name === 'right' ? right : undefined
    // Comparing the whole context reads all of it; comparing an identity reads only its name.
    if (variable === undefined || variable === 'context') walk(operand, found)
  }
  return true
}

function variableIn(node: unknown): Variable | undefined {
  if (typeof node !== 'object' || node === null || !('Var' in node)) return undefined
  return isVariable(node.Var) ? node.Var : undefined
}

function isVariable(name: unknown): name is Variable {
  return name === 'principal' || name === 'resource' || name === 'context'
}
