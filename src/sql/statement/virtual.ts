import type { Node, SelectStmt } from 'libpg-query'
import type { ParseResult } from '../parse/parser.ts'
import { isFields, stringsOf } from '../parse/tree.ts'

/** A value in a condition: written in the text, or the client's parameter of this number, from 1. */
export type VirtualValue =
  | { readonly kind: 'constant'; readonly text: string }
  | { readonly kind: 'parameter'; readonly number: number }

/** A question that the gateway answers itself. */
export type VirtualQuery = {
  readonly table: string
  /** Absent: all of them, as `*`. `as`: what the client calls it. */
  readonly columns?: readonly { readonly name: string; readonly as: string }[]
  readonly where?: { readonly column: string; readonly value: VirtualValue }
  readonly limit?: number
}

export type Virtual =
  /** Nothing in it is of the virtual schema. */
  | { readonly kind: 'none' }
  | { readonly kind: 'query'; readonly query: VirtualQuery }
  /** It names the virtual schema in another way than can be answered. */
  | { readonly kind: 'refused'; readonly message: string }

const NONE: Virtual = { kind: 'none' }

/**
 * Whether a statement asks the virtual schema: `SELECT columns|* FROM schema.table [WHERE column = constant] [LIMIT n]`.
 * Anything else that names a relation of the schema is refused, mixing it with real tables first of all.
 */
export function virtualQuery(parsed: ParseResult, schema: string): Virtual {
  if (parsed.kind !== 'parsed') return NONE
  const statements = parsed.tree.stmts ?? []
  const named = relationsOf(statements)
  if (!named.some((each) => each === schema)) return NONE
  if (named.some((each) => each !== schema)) {
    return refused(`Ask ${schema} by itself: it cannot be mixed with tables of the database.`)
  }
  const [only, ...others] = statements
  if (only?.stmt === undefined || others.length > 0)
    return refused(`Send a question about ${schema} as a statement of its own.`)
  const node = only.stmt
  if (!('SelectStmt' in node)) return refused(`Ask ${schema} with a plain SELECT; nothing else is answered.`)
  return readSelect(node.SelectStmt, schema)
}

/** The schema of every relation that is named somewhere in these; empty for none. */
function relationsOf(statements: unknown): string[] {
  const schemas: string[] = []
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) walk(each)
    else if (isFields(value)) {
      if (typeof value['relname'] === 'string') {
        const { catalogname, schemaname } = value
        schemas.push(typeof catalogname === 'string' ? '' : typeof schemaname === 'string' ? schemaname : '')
      }
      for (const key in value) walk(value[key])
    }
  }
  walk(statements)
  return schemas
}

/** What a SELECT may consist of. Anything beyond it is refused. */
const PARTS: ReadonlySet<string> = new Set([
  'targetList',
  'fromClause',
  'whereClause',
  'limitCount',
  'limitOption',
  'op',
  // What is never set by a plain SELECT and shows as its default.
  'all',
  'groupDistinct',
])

function readSelect(select: SelectStmt, schema: string): Virtual {
  const shape = `SELECT columns FROM ${schema}.table WHERE column = 'value' LIMIT n`
  const beyond = refused(`Ask in this form, no more: ${shape}`)
  for (const [part, value] of Object.entries(select)) {
    if (PARTS.has(part)) continue
    const empty = value === false || (Array.isArray(value) && value.length === 0)
    if (!empty) return beyond
  }
  const [item, ...more] = select.fromClause ?? []
  if (item === undefined || more.length > 0 || !('RangeVar' in item)) return beyond
  const { relname: table = '', alias } = item.RangeVar
  const qualifiers = [alias?.aliasname ?? table]
  if ((alias?.colnames?.length ?? 0) > 0) return beyond
  const columns = readColumns(select.targetList ?? [], qualifiers)
  const where = readWhere(select.whereClause, qualifiers)
  const limit = readLimit(select)
  if (columns === undefined || where === undefined || limit === undefined) return beyond
  return {
    kind: 'query',
    query: {
      table,
      ...(columns === 'all' ? {} : { columns }),
      ...(where === 'none' ? {} : { where }),
      ...(limit === 'none' ? {} : { limit }),
    },
  }
}

type Columns = readonly { readonly name: string; readonly as: string }[]

function readColumns(targets: readonly Node[], qualifiers: readonly string[]): Columns | 'all' | undefined {
  const columns: { name: string; as: string }[] = []
  for (const target of targets) {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined
    if (value === undefined || !('ColumnRef' in value) || !('ResTarget' in target)) return undefined
    const fields = value.ColumnRef.fields ?? []
    const last = fields.at(-1)
    if (last !== undefined && 'A_Star' in last)
      return targets.length === 1 && fields.length === 1 ? 'all' : undefined
    const name = columnName(value, qualifiers)
    if (name === undefined) return undefined
    columns.push({ name, as: target.ResTarget.name ?? name })
  }
  return columns.length === 0 ? undefined : columns
}

function readWhere(
  condition: Node | undefined,
  qualifiers: readonly string[],
): VirtualQuery['where'] | 'none' {
  if (condition === undefined) return 'none'
  if (!('A_Expr' in condition)) return undefined
  const { kind, name, lexpr, rexpr } = condition.A_Expr
  if (kind !== 'AEXPR_OP' || stringsOf(name)?.join('.') !== '=' || lexpr === undefined || rexpr === undefined)
    return undefined
  const column = columnName(lexpr, qualifiers)
  const value = readValue(rexpr)
  return column === undefined || value === undefined ? undefined : { column, value }
}

function readValue(node: Node): VirtualValue | undefined {
  if ('ParamRef' in node) return { kind: 'parameter', number: node.ParamRef.number ?? 0 }
  if (!('A_Const' in node)) return undefined
  const constant = node.A_Const
  if (constant.sval !== undefined) return { kind: 'constant', text: constant.sval.sval ?? '' }
  if (constant.ival !== undefined) return { kind: 'constant', text: String(constant.ival.ival ?? 0) }
  return undefined
}

function readLimit({ limitCount, limitOption }: SelectStmt): number | 'none' | undefined {
  if (limitCount === undefined) return 'none'
  if (limitOption !== 'LIMIT_OPTION_COUNT' || !('A_Const' in limitCount)) return undefined
  const { ival } = limitCount.A_Const
  return ival === undefined ? undefined : (ival.ival ?? 0)
}

function columnName(node: Node, qualifiers: readonly string[]): string | undefined {
  if (!('ColumnRef' in node)) return undefined
  const parts = stringsOf(node.ColumnRef.fields)
  const [first, second] = parts ?? []
  if (parts?.length === 1) return first
  return parts?.length === 2 && first !== undefined && qualifiers.includes(first) ? second : undefined
}

function refused(message: string): Virtual {
  return { kind: 'refused', message }
}
