import type { Node } from 'libpg-query'
import { kindOf, stringsOf } from '../parse/tree.ts'

/**
 * The name of an output without AS, as the server gives it (FigureColname in parse_target.c); empty where it would
 * take more to tell.
 */
export function outputName(value: Node | undefined): string {
  return value === undefined ? '' : (ofColumn(value) ?? ofKind(value) ?? '?column?')
}

/** A name that comes from a column, function or field; it goes before that of a type it is cast to. */
function ofColumn(value: Node): string | undefined {
  if ('ColumnRef' in value) return stringsOf(value.ColumnRef.fields)?.at(-1) ?? ''
  if ('FuncCall' in value) return stringsOf(value.FuncCall.funcname)?.at(-1) ?? ''
  if ('A_Indirection' in value) {
    const fields = (value.A_Indirection.indirection ?? []).filter((each) => 'String' in each)
    const last = stringsOf(fields)?.at(-1)
    if (last !== undefined) return last
    return value.A_Indirection.arg === undefined ? undefined : ofColumn(value.A_Indirection.arg)
  }
  if ('CollateClause' in value)
    return value.CollateClause.arg === undefined ? undefined : ofColumn(value.CollateClause.arg)
  if ('TypeCast' in value) return value.TypeCast.arg === undefined ? undefined : ofColumn(value.TypeCast.arg)
  if ('A_Expr' in value) return value.A_Expr.kind === 'AEXPR_NULLIF' ? 'nullif' : undefined
  if ('CaseExpr' in value)
    return value.CaseExpr.defresult === undefined ? undefined : ofColumn(value.CaseExpr.defresult)
  if ('SubLink' in value) return ofSubquery(value)
  if (NAMELESS.has(kindOf(value))) return undefined
  return BY_KIND.get(kindOf(value)) ?? ''
}

function ofSubquery({
  SubLink: { subLinkType, subselect },
}: Extract<Node, { SubLink: unknown }>): string | undefined {
  if (subLinkType === 'EXISTS_SUBLINK') return 'exists'
  if (subLinkType === 'ARRAY_SUBLINK') return 'array'
  if (subLinkType !== 'EXPR_SUBLINK') return undefined
  const select = subselect !== undefined && 'SelectStmt' in subselect ? subselect.SelectStmt : undefined
  const [target] = select?.targetList ?? []
  if (target === undefined || !('ResTarget' in target)) return ''
  return target.ResTarget.name ?? outputName(target.ResTarget.val)
}

/** What is named after itself only where nothing inside gives a name. */
function ofKind(value: Node): string | undefined {
  if ('TypeCast' in value) return stringsOf(value.TypeCast.typeName?.names)?.at(-1) ?? ''
  if ('CollateClause' in value && value.CollateClause.arg !== undefined)
    return ofKind(value.CollateClause.arg)
  if ('A_Indirection' in value && value.A_Indirection.arg !== undefined)
    return ofKind(value.A_Indirection.arg)
  return 'CaseExpr' in value ? 'case' : undefined
}

const NAMELESS: ReadonlySet<string> = new Set([
  'A_Const',
  'ParamRef',
  'BoolExpr',
  'NullTest',
  'BooleanTest',
  'SetToDefault',
  'JsonIsPredicate',
])

const BY_KIND: ReadonlyMap<string, string> = new Map([
  ['A_ArrayExpr', 'array'],
  ['RowExpr', 'row'],
  ['CoalesceExpr', 'coalesce'],
  ['GroupingFunc', 'grouping'],
  ['MergeSupportFunc', 'merge_action'],
  ['XmlSerialize', 'xmlserialize'],
  ['JsonParseExpr', 'json'],
  ['JsonScalarExpr', 'json_scalar'],
  ['JsonSerializeExpr', 'json_serialize'],
  ['JsonObjectConstructor', 'json_object'],
  ['JsonArrayConstructor', 'json_array'],
  ['JsonArrayQueryConstructor', 'json_array'],
  ['JsonObjectAgg', 'json_objectagg'],
  ['JsonArrayAgg', 'json_arrayagg'],
])
