import type { Node } from 'libpg-query'
import type { NodeKind } from './tree.ts'

/**
 * What the lineage does with every kind of node the grammar's description knows. The compiler demands an answer for
 * each, and for those that make a value out of others an answer for each of their fields: a kind or a field that
 * nobody thought of cannot pass for harmless.
 */

/** What is done with a field of a node that makes a value out of others. */
export type FieldRole =
  /** A value, or a list of them: what comes out depends on it. */
  | 'used'
  /** A condition: what comes out depends on what of it the touch rule does not cover. */
  | 'condition'
  /** A query whose rows it is made of. */
  | 'query'
  /** Names, positions, ways of doing: no value. */
  | 'plain'
  /** Filled in after parsing: were it there, it would not be followed. */
  | 'absent'
  /** A part of one kind, which the tree holds unwrapped. */
  | `part:${keyof typeof COMPUTED_PARTS}`

type NodeOf<Kind extends NodeKind> = Extract<Node, Record<Kind, unknown>>[Kind]
type FieldsOf<Kind extends NodeKind> = { readonly [Field in keyof Required<NodeOf<Kind>>]: FieldRole }

/** Parts that stand unwrapped in the field of another node. */
const COMPUTED_PARTS = {
  WindowDef: 0,
  JsonValueExpr: 0,
  JsonBehavior: 0,
  JsonOutput: 0,
  JsonAggConstructor: 0,
  JsonKeyValue: 0,
  JsonTablePathSpec: 0,
}

/** Kinds whose value is computed from all that is in them. */
const COMPUTED_FIELDS = {
  A_Expr: {
    kind: 'plain',
    name: 'plain',
    lexpr: 'used',
    rexpr: 'used',
    rexpr_list_start: 'plain',
    rexpr_list_end: 'plain',
    location: 'plain',
  },
  BoolExpr: { xpr: 'absent', boolop: 'plain', args: 'used', location: 'plain' },
  NullTest: { xpr: 'absent', arg: 'used', nulltesttype: 'plain', argisrow: 'plain', location: 'plain' },
  BooleanTest: { xpr: 'absent', arg: 'used', booltesttype: 'plain', location: 'plain' },
  TypeCast: { arg: 'used', typeName: 'plain', location: 'plain' },
  CollateClause: { arg: 'used', collname: 'plain', location: 'plain' },
  CoalesceExpr: {
    xpr: 'absent',
    coalescetype: 'plain',
    coalescecollid: 'plain',
    args: 'used',
    location: 'plain',
  },
  MinMaxExpr: {
    xpr: 'absent',
    minmaxtype: 'plain',
    minmaxcollid: 'plain',
    inputcollid: 'plain',
    op: 'plain',
    args: 'used',
    location: 'plain',
  },
  A_ArrayExpr: { elements: 'used', location: 'plain', list_start: 'plain', list_end: 'plain' },
  RowExpr: {
    xpr: 'absent',
    args: 'used',
    row_typeid: 'plain',
    row_format: 'plain',
    colnames: 'plain',
    location: 'plain',
  },
  GroupingFunc: {
    xpr: 'absent',
    args: 'used',
    refs: 'absent',
    agglevelsup: 'plain',
    location: 'plain',
  },
  List: { items: 'used' },
  NamedArgExpr: { xpr: 'absent', arg: 'used', name: 'plain', argnumber: 'plain', location: 'plain' },
  SortBy: {
    node: 'used',
    sortby_dir: 'plain',
    sortby_nulls: 'plain',
    useOp: 'plain',
    location: 'plain',
  },
  A_Indices: { is_slice: 'plain', lidx: 'used', uidx: 'used' },
  A_Indirection: { arg: 'used', indirection: 'used' },
  CaseExpr: {
    xpr: 'absent',
    casetype: 'plain',
    casecollid: 'plain',
    arg: 'used',
    args: 'used',
    defresult: 'used',
    location: 'plain',
  },
  CaseWhen: { xpr: 'absent', expr: 'used', result: 'used', location: 'plain' },
  FuncCall: {
    funcname: 'plain',
    args: 'used',
    agg_order: 'used',
    agg_filter: 'condition',
    over: 'part:WindowDef',
    agg_within_group: 'plain',
    agg_star: 'plain',
    agg_distinct: 'plain',
    func_variadic: 'plain',
    funcformat: 'plain',
    location: 'plain',
  },
  WindowDef: {
    name: 'plain',
    refname: 'plain',
    partitionClause: 'used',
    orderClause: 'used',
    frameOptions: 'plain',
    startOffset: 'used',
    endOffset: 'used',
    location: 'plain',
  },
  ResTarget: { name: 'plain', indirection: 'used', val: 'used', location: 'plain' },
  XmlExpr: {
    xpr: 'absent',
    op: 'plain',
    name: 'plain',
    named_args: 'used',
    arg_names: 'plain',
    args: 'used',
    xmloption: 'plain',
    indent: 'plain',
    type: 'plain',
    typmod: 'plain',
    location: 'plain',
  },
  XmlSerialize: { xmloption: 'plain', expr: 'used', typeName: 'plain', indent: 'plain', location: 'plain' },
  JsonValueExpr: { raw_expr: 'used', formatted_expr: 'absent', format: 'plain' },
  JsonArgument: { val: 'part:JsonValueExpr', name: 'plain' },
  JsonBehavior: { btype: 'plain', expr: 'used', coerce: 'plain', location: 'plain' },
  JsonOutput: { typeName: 'plain', returning: 'plain' },
  JsonFuncExpr: {
    op: 'plain',
    column_name: 'plain',
    context_item: 'part:JsonValueExpr',
    pathspec: 'used',
    passing: 'used',
    output: 'part:JsonOutput',
    on_empty: 'part:JsonBehavior',
    on_error: 'part:JsonBehavior',
    wrapper: 'plain',
    quotes: 'plain',
    location: 'plain',
  },
  JsonKeyValue: { key: 'used', value: 'part:JsonValueExpr' },
  JsonParseExpr: {
    expr: 'part:JsonValueExpr',
    output: 'part:JsonOutput',
    unique_keys: 'plain',
    location: 'plain',
  },
  JsonScalarExpr: { expr: 'used', output: 'part:JsonOutput', location: 'plain' },
  JsonSerializeExpr: { expr: 'part:JsonValueExpr', output: 'part:JsonOutput', location: 'plain' },
  JsonObjectConstructor: {
    exprs: 'used',
    output: 'part:JsonOutput',
    absent_on_null: 'plain',
    unique: 'plain',
    location: 'plain',
  },
  JsonArrayConstructor: {
    exprs: 'used',
    output: 'part:JsonOutput',
    absent_on_null: 'plain',
    location: 'plain',
  },
  JsonArrayQueryConstructor: {
    query: 'query',
    output: 'part:JsonOutput',
    format: 'plain',
    absent_on_null: 'plain',
    location: 'plain',
  },
  JsonAggConstructor: {
    output: 'part:JsonOutput',
    agg_filter: 'condition',
    agg_order: 'used',
    over: 'part:WindowDef',
    location: 'plain',
  },
  JsonObjectAgg: {
    constructor: 'part:JsonAggConstructor',
    arg: 'part:JsonKeyValue',
    absent_on_null: 'plain',
    unique: 'plain',
  },
  JsonArrayAgg: {
    constructor: 'part:JsonAggConstructor',
    arg: 'part:JsonValueExpr',
    absent_on_null: 'plain',
  },
  JsonIsPredicate: {
    expr: 'used',
    format: 'plain',
    item_type: 'plain',
    unique_keys: 'plain',
    location: 'plain',
  },
  JsonTablePathSpec: { string: 'used', name: 'plain', name_location: 'plain', location: 'plain' },
} satisfies { readonly [Kind in NodeKind]?: FieldsOf<Kind> }

export type ComputedKind = keyof typeof COMPUTED_FIELDS

export function isComputed(kind: string): kind is ComputedKind {
  return Object.hasOwn(COMPUTED_FIELDS, kind)
}

export const COMPUTED_KINDS: readonly ComputedKind[] = Object.keys(COMPUTED_FIELDS).filter(isComputed)

const ROLES: ReadonlyMap<string, ReadonlyMap<string, FieldRole>> = new Map(
  Object.entries(COMPUTED_FIELDS).map(([kind, fields]) => [
    kind,
    new Map<string, FieldRole>(Object.entries<FieldRole>(fields)),
  ]),
)

/** What is done with each field of a kind whose value is computed from what is in it. */
export function fieldRoles(kind: string): ReadonlyMap<string, FieldRole> | undefined {
  return ROLES.get(kind)
}
