import type { SelectStmt } from 'libpg-query'
import { HARMLESS, SETS } from '../builtins/functions.ts'
import type { Names } from '../session/names.ts'
import { isFields } from '../parse/tree.ts'
import type { Item } from './scope.ts'

/**
 * Whether each row that a query groups or hands out is one of a single table, and none of them comes twice. Only then
 * how many different values there are tells no more than that: a row that were paired with others would be compared.
 */
export function isSingle(items: readonly Item[], select: SelectStmt, names: Names): true | undefined {
  const [item, ...others] = items
  if (item?.single !== true || others.length > 0) return undefined
  const { targetList, groupClause, sortClause, distinctClause, windowClause } = select
  const keys = [targetList, groupClause, sortClause, distinctClause, windowClause]
  return mayRepeat(keys, names) ? undefined : true
}

/** A set of groups that a row is in more than once, or a function that may return several rows. */
function mayRepeat(part: unknown, names: Names): boolean {
  if (Array.isArray(part)) return part.some((each) => mayRepeat(each, names))
  if (!isFields(part)) return false
  return Object.entries(part).some(([key, value]) => {
    // One value comes out of it.
    if (key === 'subselect') return false
    if (key === 'GroupingSet' || (key === 'FuncCall' && !isSingleCall(value, names))) return true
    // `(value).f` may call a function.
    if (
      key === 'indirection' &&
      Array.isArray(value) &&
      value.some((each) => isFields(each) && 'String' in each)
    )
      return true
    return mayRepeat(value, names)
  })
}

function isSingleCall(call: unknown, names: Names): boolean {
  const parts = isFields(call) && Array.isArray(call['funcname']) ? call['funcname'] : []
  const last: unknown = parts.at(-1)
  const string = isFields(last) ? last['String'] : undefined
  const name = isFields(string) ? string['sval'] : undefined
  if (typeof name !== 'string' || names.ownFunctions({ name }).length > 0) return false
  return HARMLESS.has(name) && !SETS.has(name)
}
