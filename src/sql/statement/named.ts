import type { Node } from 'libpg-query'
import type { ParseResult } from '../parse/parser.ts'
import type { QualifiedName } from '../parse/tree.ts'
import { isFields, kindOf } from '../parse/tree.ts'
import type { RelationRef } from './survey.ts'
import { survey } from './survey.ts'

/** Every name in one statement, for who asks a server what is behind them. */
export type NamedInStatement = {
  readonly relations: readonly RelationRef[]
  readonly calls: readonly QualifiedName[]
  readonly operators: readonly QualifiedName[]
  /** `x.name`, which may call a function. */
  readonly attributes: readonly string[]
}

/** Undefined: it is not one statement, or more than can be looked through. */
export function namedIn(parsed: ParseResult): NamedInStatement | undefined {
  const node = onlyOne(parsed)
  if (node === undefined) return undefined
  const { relations, calls, operators, attributes, beyond } = survey(node)
  if (beyond) return undefined
  return { relations, calls, operators, attributes: [...new Set(attributes.map(({ name }) => name))] }
}

/** How the rows that a statement changes come back: by its own RETURNING, by one behind it, or not at all. */
export function returningOf(parsed: ParseResult): 'own' | 'none' | 'impossible' {
  const node = onlyOne(parsed)
  const inner = node === undefined ? undefined : changing(node)
  if (inner === undefined) return 'impossible'
  return inner['returningClause'] === undefined ? 'none' : 'own'
}

/** Whether the second is the first with a RETURNING clause and nothing else. */
export function isSameButReturning(plain: ParseResult, returning: ParseResult): boolean {
  const [one, other] = [onlyOne(plain), onlyOne(returning)]
  if (one === undefined || other === undefined || kindOf(one) !== kindOf(other)) return false
  const [fields, more] = [changing(one), changing(other)]
  if (fields === undefined || more?.['returningClause'] === undefined) return false
  return JSON.stringify(fields) === JSON.stringify({ ...more, returningClause: undefined })
}

function onlyOne(parsed: ParseResult): Node | undefined {
  if (parsed.kind !== 'parsed') return undefined
  const statements = parsed.tree.stmts ?? []
  return statements.length === 1 ? statements[0]?.stmt : undefined
}

function changing(node: Node): Readonly<Record<string, unknown>> | undefined {
  const [inner] = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].flatMap((kind) => {
    const fields: unknown = Reflect.get(node, kind)
    return isFields(fields) ? [fields] : []
  })
  return inner
}
