import type { A_Expr, ColumnRef, Node, TypeName } from 'libpg-query'
import type { Names } from '../session/names.ts'
import { constantsIn, qualifiedName, stringsOf } from '../parse/tree.ts'

/** What names of types mean. */
type TypeNames = Pick<Names, 'typeMeant'>

/**
 * The shapes of conditions that the touch rule allows: a column compared for equality with values that the client
 * gives, `col = $1`, `col IN ($1, $2)`, `col = ANY ($1)`, `lower(col) = lower($1)`. They tell no more than whether a
 * value that the client knows already is there.
 */
export function comparedWithValues(node: A_Expr, names: TypeNames): ColumnRef | undefined {
  if (!isEquality(node)) return undefined
  const { lexpr, rexpr } = node
  const left = columnOf(lexpr, names)
  if (left !== undefined && isClientValue(rexpr, names)) return left
  // Only `=` reads the same from right to left.
  const right = node.kind === 'AEXPR_OP' ? columnOf(rexpr, names) : undefined
  return right !== undefined && isClientValue(lexpr, names) ? right : undefined
}

/** With how many values a column is compared. What is in an array that is one value is not known here. */
export function valuesIn({ kind, lexpr, rexpr }: A_Expr, names: TypeNames): number {
  const values = kind === 'AEXPR_OP' && columnOf(lexpr, names) === undefined ? lexpr : rexpr
  return values === undefined ? 1 : Math.max(1, countOf(values))
}

/** How many values of the client stand here. */
export function countOf(node: Node): number {
  const all = (nodes: readonly Node[] = []): number => nodes.reduce((sum, each) => sum + countOf(each), 0)
  if ('List' in node) return all(node.List.items)
  if ('A_ArrayExpr' in node) return all(node.A_ArrayExpr.elements)
  if ('TypeCast' in node) return node.TypeCast.arg === undefined ? 1 : countOf(node.TypeCast.arg)
  if ('FuncCall' in node) return all(node.FuncCall.args)
  return 'A_Const' in node ? constantsIn(node.A_Const) : 1
}

/** How many rows of VALUES this one stands for. */
export function rowsIn(row: readonly (Node | undefined)[]): number {
  const times = (node: Node | undefined): number => {
    if (node === undefined) return 1
    if ('A_Const' in node) return constantsIn(node.A_Const)
    if ('TypeCast' in node) return times(node.TypeCast.arg)
    return 'FuncCall' in node ? Math.max(1, ...(node.FuncCall.args ?? []).map(times)) : 1
  }
  return Math.max(1, ...row.map(times))
}

/** `(a, b) = ($1, $2)`: one comparison for each pair. */
export function pairsOf(node: A_Expr): A_Expr[] | undefined {
  const { kind, name, lexpr, rexpr } = node
  if (kind !== 'AEXPR_OP' || !isEquality(node) || name === undefined) return undefined
  if (lexpr === undefined || rexpr === undefined || !('RowExpr' in lexpr) || !('RowExpr' in rexpr))
    return undefined
  const left = lexpr.RowExpr.args ?? []
  const right = rexpr.RowExpr.args ?? []
  if (left.length !== right.length) return undefined
  const pairs: A_Expr[] = []
  for (const [i, each] of left.entries()) {
    const other = right[i]
    if (other === undefined || isStar(each) || isStar(other)) return undefined
    pairs.push({ kind, name, lexpr: each, rexpr: other })
  }
  return pairs
}

function isStar(node: Node): boolean {
  const last = 'ColumnRef' in node ? node.ColumnRef.fields?.at(-1) : undefined
  return last !== undefined && 'A_Star' in last
}

function isEquality({ kind, name }: A_Expr): boolean {
  if (kind !== 'AEXPR_OP' && kind !== 'AEXPR_IN' && kind !== 'AEXPR_OP_ANY') return false
  const parts = stringsOf(name)
  return parts?.at(-1) === '=' && (parts.length === 1 || parts[0] === 'pg_catalog')
}

/** The column itself, in lower or upper case, or cast between types of text as the server's views spell it. */
function columnOf(node: Node | undefined, names: TypeNames): ColumnRef | undefined {
  if (node === undefined) return undefined
  if ('ColumnRef' in node) return isStar(node) ? undefined : node.ColumnRef
  if ('TypeCast' in node) return isText(node, names) ? columnOf(node.TypeCast.arg, names) : undefined
  return foldedArgument(node, (argument) => columnOf(argument, names))
}

function isText(node: Extract<Node, { TypeCast: unknown }>, names: TypeNames): boolean {
  const type = qualifiedName(node.TypeCast.typeName?.names)
  const { typmods, arrayBounds } = node.TypeCast.typeName ?? {}
  if (type === undefined || typmods !== undefined || arrayBounds !== undefined) return false
  return (type.name === 'text' || type.name === 'varchar') && names.typeMeant(type) === 'builtin'
}

/**
 * Whether a value of this type is one value, and equal to itself alone. Not so: arrays without commas, which could not be
 * counted; types that are not known; domains whose collation takes other values for equal.
 */
export function isExact(type: TypeName | undefined, names: TypeNames): boolean {
  const name = qualifiedName(type?.names)
  if (name === undefined) return false
  const meant = names.typeMeant(name)
  if (meant === 'builtin') return !VECTORS.has(name.name)
  return meant?.exact === true
}

const VECTORS: ReadonlySet<string> = new Set(['int2vector', 'oidvector', '_int2vector', '_oidvector'])

/** A constant or parameter, a list or array of them, cast or in lower or upper case. */
export function isClientValue(node: Node | undefined, names: TypeNames): boolean {
  if (node === undefined) return false
  if ('A_Const' in node || 'ParamRef' in node) return true
  const is = (each: Node | undefined): boolean => isClientValue(each, names)
  if ('TypeCast' in node) return isExact(node.TypeCast.typeName, names) && is(node.TypeCast.arg)
  if ('List' in node) return (node.List.items ?? []).every(is)
  if ('A_ArrayExpr' in node) return (node.A_ArrayExpr.elements ?? []).every(is)
  return foldedArgument(node, (argument) => is(argument) || undefined) === true
}

/** That of `lower(x)` or `upper(x)`, as `read` understands it. */
function foldedArgument<Found>(
  node: Node,
  read: (argument: Node | undefined) => Found | undefined,
): Found | undefined {
  if (!('FuncCall' in node)) return undefined
  const { funcname, args, over, agg_filter: filter } = node.FuncCall
  const names = stringsOf(funcname)
  const name = names?.length === 1 || names?.[0] === 'pg_catalog' ? names.at(-1) : undefined
  const folds = (name === 'lower' || name === 'upper') && args?.length === 1
  return folds && over === undefined && filter === undefined ? read(args[0]) : undefined
}

/** Functions whose value no row of the statement decides, if it does not decide their arguments. */
const OF_NO_ROW: ReadonlySet<string> = new Set([
  'clock_timestamp',
  'current_setting',
  'date_trunc',
  'gen_random_uuid',
  'lower',
  'now',
  'statement_timestamp',
  'timezone',
  'transaction_timestamp',
  'upper',
  'uuidv4',
  'uuidv7',
])

/** A value that is the same in every row, or that nobody can have chosen for it: of the client, the clock or the session. */
export function isOneValue(node: Node | undefined, names: TypeNames): boolean {
  if (node === undefined || isClientValue(node, names)) return true
  if ('SetToDefault' in node || 'SQLValueFunction' in node) return true
  const isOne = (each: Node | undefined): boolean => isOneValue(each, names)
  if ('TypeCast' in node) return isOne(node.TypeCast.arg)
  if (!('FuncCall' in node)) return false
  const { funcname, args, over, agg_filter: filter } = node.FuncCall
  const parts = stringsOf(funcname)
  const name = parts?.length === 1 || parts?.[0] === 'pg_catalog' ? parts.at(-1) : undefined
  const isKnown = name !== undefined && OF_NO_ROW.has(name) && over === undefined && filter === undefined
  return isKnown && (args ?? []).every(isOne)
}
