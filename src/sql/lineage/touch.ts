import type { A_Expr, ColumnRef, Node, TypeName } from 'libpg-query'
import { constantsIn, stringsOf } from '../parse/tree.ts'

/**
 * The shapes of conditions that the touch rule allows: a column compared for equality with values that the client
 * gives, `col = $1`, `col IN ($1, $2)`, `col = ANY ($1)`, `lower(col) = lower($1)`. They tell no more than whether a
 * value that the client knows already is there.
 */
export function comparedWithValues(node: A_Expr): ColumnRef | undefined {
  if (!isEquality(node)) return undefined
  const { lexpr, rexpr } = node
  const left = columnOf(lexpr)
  if (left !== undefined && isClientValue(rexpr)) return left
  // Only `=` reads the same from right to left.
  const right = node.kind === 'AEXPR_OP' ? columnOf(rexpr) : undefined
  return right !== undefined && isClientValue(lexpr) ? right : undefined
}

/** With how many values a column is compared. What is in an array that is one value is not known here. */
export function valuesIn({ kind, lexpr, rexpr }: A_Expr): number {
  const values = kind === 'AEXPR_OP' && columnOf(lexpr) === undefined ? lexpr : rexpr
  return values === undefined ? 1 : Math.max(1, countOf(values))
}

function countOf(node: Node): number {
  const all = (nodes: readonly Node[] = []): number => nodes.reduce((sum, each) => sum + countOf(each), 0)
  if ('List' in node) return all(node.List.items)
  if ('A_ArrayExpr' in node) return all(node.A_ArrayExpr.elements)
  if ('TypeCast' in node) return node.TypeCast.arg === undefined ? 1 : countOf(node.TypeCast.arg)
  return 'A_Const' in node ? constantsIn(node.A_Const) : 1
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
function columnOf(node: Node | undefined): ColumnRef | undefined {
  if (node === undefined) return undefined
  if ('ColumnRef' in node) return isStar(node) ? undefined : node.ColumnRef
  if ('TypeCast' in node) return isText(node) ? columnOf(node.TypeCast.arg) : undefined
  return foldedArgument(node, columnOf)
}

function isText(node: Extract<Node, { TypeCast: unknown }>): boolean {
  const names = stringsOf(node.TypeCast.typeName?.names)
  const { typmods, arrayBounds } = node.TypeCast.typeName ?? {}
  const name = names?.at(-1) ?? ''
  return typmods === undefined && arrayBounds === undefined && (name === 'text' || name === 'varchar')
}

/** Arrays without commas, which are therefore not counted: nobody needs them to look a value up. */
export function isVector(type: TypeName | undefined): boolean {
  const name = stringsOf(type?.names)?.at(-1)
  return name === 'int2vector' || name === 'oidvector'
}

/** A constant or parameter, a list or array of them, cast or in lower or upper case. */
export function isClientValue(node: Node | undefined): boolean {
  if (node === undefined) return false
  if ('A_Const' in node || 'ParamRef' in node) return true
  if ('TypeCast' in node) return !isVector(node.TypeCast.typeName) && isClientValue(node.TypeCast.arg)
  if ('List' in node) return (node.List.items ?? []).every(isClientValue)
  if ('A_ArrayExpr' in node) return (node.A_ArrayExpr.elements ?? []).every(isClientValue)
  return foldedArgument(node, (argument) => isClientValue(argument) || undefined) === true
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
