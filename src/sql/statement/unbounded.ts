import type { A_Expr, Node, SelectStmt } from 'libpg-query'
import { AGGREGATES } from '../builtins/functions.ts'
import { kindOf, stringsOf } from '../parse/tree.ts'

/** How much a statement reads or writes, as far as its text tells: a LIMIT, a WHERE that narrows. */

/** True for a read of relations without LIMIT that is not boiled down to one row by aggregates. */
export function readsUnbounded(node: Node | undefined): boolean {
  if (node === undefined) return false
  if ('SelectStmt' in node) return selectUnbounded(node.SelectStmt)
  if ('PrepareStmt' in node) return readsUnbounded(node.PrepareStmt.query)
  if ('DeclareCursorStmt' in node) return readsUnbounded(node.DeclareCursorStmt.query)
  if ('CopyStmt' in node) {
    const { is_from, query } = node.CopyStmt
    return is_from !== true && (query === undefined || readsUnbounded(query))
  }
  // FETCH ALL is the greatest number there is.
  if ('FetchStmt' in node)
    return node.FetchStmt.ismove !== true && Number(node.FetchStmt.howMany ?? 0) >= 0x7fffffff
  return 'ExecuteStmt' in node || 'CallStmt' in node
}

function selectUnbounded(select: SelectStmt): boolean {
  if (select.intoClause !== undefined || isLimited(select)) return false
  if (select.op !== undefined && select.op !== 'SETOP_NONE') {
    return [select.larg, select.rarg].some((arm) => arm !== undefined && selectUnbounded(arm))
  }
  if (select.fromClause === undefined) return false
  return !isOneRow(select)
}

/** LIMIT ALL and LIMIT NULL limit nothing. What a parameter or a subquery will be is not known: no limit. */
function isLimited(select: SelectStmt): boolean {
  const limit = select.limitCount
  return limit !== undefined && 'A_Const' in limit && limit.A_Const.isnull !== true
}

function isOneRow(select: SelectStmt): boolean {
  if (select.groupClause !== undefined || select.targetList === undefined) return false
  return select.targetList.every((target) => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined
    if (value === undefined || !('FuncCall' in value) || value.FuncCall.over !== undefined) return false
    const name = stringsOf(value.FuncCall.funcname)
    const plain = name?.at(-1)
    return plain !== undefined && (name?.length === 1 || name?.[0] === 'pg_catalog') && AGGREGATES.has(plain)
  })
}

/** True for UPDATE, DELETE or TRUNCATE of every row: no WHERE, or one that is no narrower than none. */
export function writesEverything(node: Node): boolean {
  if ('UpdateStmt' in node) return !narrows(node.UpdateStmt.whereClause)
  if ('DeleteStmt' in node) return !narrows(node.DeleteStmt.whereClause)
  return 'TruncateStmt' in node
}

/**
 * Does a condition pick out rows? It has to look at a column: `true`, `1 = 1`, `$1 = $1` do not. Neither do a column
 * compared with itself nor IS NOT NULL. All arms of an OR have to, one arm of an AND. What is inside a function or a
 * subquery is believed to.
 */
export function narrows(condition: Node | undefined): boolean {
  if (condition === undefined) return false
  if ('BoolExpr' in condition) {
    const args = condition.BoolExpr.args ?? []
    switch (condition.BoolExpr.boolop) {
      case 'OR_EXPR':
        return args.every(narrows)
      case 'AND_EXPR':
        return args.some(narrows)
      default:
        return args.some(narrowsNegated)
    }
  }
  if ('A_Expr' in condition) return looksAtColumns(condition) && !comparesWithItself(condition.A_Expr)
  if ('NullTest' in condition)
    return condition.NullTest.nulltesttype === 'IS_NULL' && looksAtColumns(condition)
  return 'CurrentOfExpr' in condition || looksAtColumns(condition)
}

/** NOT (a IS NULL) is a IS NOT NULL, NOT (a <> a) is a = a: they do not narrow. */
function narrowsNegated(condition: Node): boolean {
  if ('NullTest' in condition)
    return condition.NullTest.nulltesttype === 'IS_NOT_NULL' && looksAtColumns(condition)
  if ('A_Expr' in condition && comparesWithItself(condition.A_Expr)) return false
  return looksAtColumns(condition)
}

/** `id = id`, and `t.id = id` as well: were they two columns, the server would call the second one ambiguous. */
function comparesWithItself({ lexpr, rexpr }: A_Expr): boolean {
  if (lexpr === undefined || rexpr === undefined || !('ColumnRef' in lexpr) || !('ColumnRef' in rexpr))
    return false
  const left = stringsOf(lexpr.ColumnRef.fields)
  const right = stringsOf(rexpr.ColumnRef.fields)
  if (left === undefined || right === undefined || left.at(-1) !== right.at(-1)) return false
  return left.length === 1 || right.length === 1 || left.join('.') === right.join('.')
}

function looksAtColumns(node: Node): boolean {
  const stack: unknown[] = [node]
  for (let each = stack.pop(); each !== undefined; each = stack.pop()) {
    if (typeof each !== 'object' || each === null) continue
    if (kindOf(each) === 'ColumnRef') return true
    for (const value of Object.values(each)) stack.push(value)
  }
  return false
}
