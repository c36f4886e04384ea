import type { Node } from 'libpg-query'
import type { NodeKind } from '../parse/tree.ts'

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
  JsonAggConstructor: 0,
  JsonKeyValue: 0,
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
  JsonFuncExpr: {
    op: 'plain',
    column_name: 'plain',
    context_item: 'part:JsonValueExpr',
    pathspec: 'used',
    passing: 'used',
    output: 'plain',
    on_empty: 'part:JsonBehavior',
    on_error: 'part:JsonBehavior',
    wrapper: 'plain',
    quotes: 'plain',
    location: 'plain',
  },
  JsonKeyValue: { key: 'used', value: 'part:JsonValueExpr' },
  JsonParseExpr: {
    expr: 'part:JsonValueExpr',
    output: 'plain',
    unique_keys: 'plain',
    location: 'plain',
  },
  JsonScalarExpr: { expr: 'used', output: 'plain', location: 'plain' },
  JsonSerializeExpr: { expr: 'part:JsonValueExpr', output: 'plain', location: 'plain' },
  JsonObjectConstructor: {
    exprs: 'used',
    output: 'plain',
    absent_on_null: 'plain',
    unique: 'plain',
    location: 'plain',
  },
  JsonArrayConstructor: {
    exprs: 'used',
    output: 'plain',
    absent_on_null: 'plain',
    location: 'plain',
  },
  JsonArrayQueryConstructor: {
    query: 'query',
    output: 'plain',
    format: 'plain',
    absent_on_null: 'plain',
    location: 'plain',
  },
  JsonAggConstructor: {
    output: 'plain',
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

/** What becomes of a kind of node where a statement reads labelled tables. */
export type NodeAnswer =
  /** Its value is computed from what is in its fields. */
  | 'computed'
  /** Comes from nowhere but the text, the clock and the session. */
  | 'constant'
  /** A column, a subquery: followed by rules of its own. */
  | 'followed'
  /** Stands in FROM and brings columns into sight. */
  | 'from'
  /** A query, or a change with what it returns. */
  | 'query'
  /** A statement that is judged as a whole. */
  | 'statement'
  /** A part of one of these that is read with it. */
  | 'part'
  /** A part of a definition, which is judged as a whole. */
  | 'definition'
  /** Opaque: the server makes it out of the parsed tree, the grammar never does. */
  | 'planned'
  /** Opaque: belongs to the tools around the grammar, and stands in no statement. */
  | 'tool'
  /** Opaque: stands in the body of a function only, and bodies are not looked into. */
  | 'body'

/** An answer for every kind of node: the compiler asks for one when the grammar gets a new kind. */
export const NODE_ANSWERS = {
  ParseResult: 'tool',
  ScanResult: 'tool',
  Integer: 'constant',
  Float: 'constant',
  Boolean: 'constant',
  String: 'constant',
  BitString: 'constant',
  List: 'computed',
  OidList: 'planned',
  IntList: 'planned',
  A_Const: 'constant',
  Alias: 'part',
  RangeVar: 'from',
  TableFunc: 'planned',
  IntoClause: 'part',
  Var: 'planned',
  Param: 'planned',
  Aggref: 'planned',
  GroupingFunc: 'computed',
  WindowFunc: 'planned',
  WindowFuncRunCondition: 'planned',
  MergeSupportFunc: 'constant',
  SubscriptingRef: 'planned',
  FuncExpr: 'planned',
  NamedArgExpr: 'computed',
  OpExpr: 'planned',
  DistinctExpr: 'planned',
  NullIfExpr: 'planned',
  ScalarArrayOpExpr: 'planned',
  BoolExpr: 'computed',
  SubLink: 'followed',
  SubPlan: 'planned',
  AlternativeSubPlan: 'planned',
  FieldSelect: 'planned',
  FieldStore: 'planned',
  RelabelType: 'planned',
  CoerceViaIO: 'planned',
  ArrayCoerceExpr: 'planned',
  ConvertRowtypeExpr: 'planned',
  CollateExpr: 'planned',
  CaseExpr: 'computed',
  CaseWhen: 'computed',
  CaseTestExpr: 'planned',
  ArrayExpr: 'planned',
  RowExpr: 'computed',
  RowCompareExpr: 'planned',
  CoalesceExpr: 'computed',
  MinMaxExpr: 'computed',
  SQLValueFunction: 'constant',
  XmlExpr: 'computed',
  JsonFormat: 'part',
  JsonReturning: 'part',
  JsonValueExpr: 'computed',
  JsonConstructorExpr: 'planned',
  JsonIsPredicate: 'computed',
  JsonBehavior: 'computed',
  JsonExpr: 'planned',
  JsonTablePath: 'planned',
  JsonTablePathScan: 'planned',
  JsonTableSiblingJoin: 'planned',
  NullTest: 'computed',
  BooleanTest: 'computed',
  MergeAction: 'planned',
  CoerceToDomain: 'planned',
  CoerceToDomainValue: 'planned',
  SetToDefault: 'constant',
  CurrentOfExpr: 'constant',
  NextValueExpr: 'planned',
  InferenceElem: 'planned',
  ReturningExpr: 'planned',
  TargetEntry: 'planned',
  RangeTblRef: 'planned',
  JoinExpr: 'from',
  FromExpr: 'planned',
  OnConflictExpr: 'planned',
  Query: 'planned',
  TypeName: 'part',
  ColumnRef: 'followed',
  ParamRef: 'constant',
  A_Expr: 'computed',
  TypeCast: 'computed',
  CollateClause: 'computed',
  RoleSpec: 'part',
  FuncCall: 'computed',
  A_Star: 'constant',
  A_Indices: 'computed',
  A_Indirection: 'computed',
  A_ArrayExpr: 'computed',
  ResTarget: 'computed',
  MultiAssignRef: 'followed',
  SortBy: 'computed',
  WindowDef: 'computed',
  RangeSubselect: 'from',
  RangeFunction: 'from',
  RangeTableFunc: 'from',
  RangeTableFuncCol: 'from',
  RangeTableSample: 'from',
  ColumnDef: 'part',
  TableLikeClause: 'definition',
  IndexElem: 'part',
  DefElem: 'part',
  LockingClause: 'part',
  XmlSerialize: 'computed',
  PartitionElem: 'definition',
  PartitionSpec: 'definition',
  PartitionBoundSpec: 'definition',
  PartitionRangeDatum: 'definition',
  PartitionCmd: 'definition',
  RangeTblEntry: 'planned',
  RTEPermissionInfo: 'planned',
  RangeTblFunction: 'planned',
  TableSampleClause: 'planned',
  WithCheckOption: 'planned',
  SortGroupClause: 'planned',
  GroupingSet: 'part',
  WindowClause: 'planned',
  RowMarkClause: 'planned',
  WithClause: 'part',
  InferClause: 'part',
  OnConflictClause: 'part',
  CTESearchClause: 'part',
  CTECycleClause: 'part',
  CommonTableExpr: 'part',
  MergeWhenClause: 'part',
  ReturningOption: 'part',
  ReturningClause: 'part',
  TriggerTransition: 'definition',
  JsonOutput: 'part',
  JsonArgument: 'computed',
  JsonFuncExpr: 'computed',
  JsonTablePathSpec: 'part',
  JsonTable: 'from',
  JsonTableColumn: 'from',
  JsonKeyValue: 'computed',
  JsonParseExpr: 'computed',
  JsonScalarExpr: 'computed',
  JsonSerializeExpr: 'computed',
  JsonObjectConstructor: 'computed',
  JsonArrayConstructor: 'computed',
  JsonArrayQueryConstructor: 'computed',
  JsonAggConstructor: 'computed',
  JsonObjectAgg: 'computed',
  JsonArrayAgg: 'computed',
  RawStmt: 'part',
  InsertStmt: 'query',
  DeleteStmt: 'query',
  UpdateStmt: 'query',
  MergeStmt: 'query',
  SelectStmt: 'query',
  SetOperationStmt: 'planned',
  ReturnStmt: 'body',
  PLAssignStmt: 'body',
  CreateSchemaStmt: 'statement',
  AlterTableStmt: 'statement',
  AlterTableCmd: 'definition',
  ATAlterConstraint: 'definition',
  ReplicaIdentityStmt: 'definition',
  AlterCollationStmt: 'statement',
  AlterDomainStmt: 'statement',
  GrantStmt: 'statement',
  ObjectWithArgs: 'definition',
  AccessPriv: 'definition',
  GrantRoleStmt: 'statement',
  AlterDefaultPrivilegesStmt: 'statement',
  CopyStmt: 'statement',
  VariableSetStmt: 'statement',
  VariableShowStmt: 'statement',
  CreateStmt: 'statement',
  Constraint: 'definition',
  CreateTableSpaceStmt: 'statement',
  DropTableSpaceStmt: 'statement',
  AlterTableSpaceOptionsStmt: 'statement',
  AlterTableMoveAllStmt: 'statement',
  CreateExtensionStmt: 'statement',
  AlterExtensionStmt: 'statement',
  AlterExtensionContentsStmt: 'statement',
  CreateFdwStmt: 'statement',
  AlterFdwStmt: 'statement',
  CreateForeignServerStmt: 'statement',
  AlterForeignServerStmt: 'statement',
  CreateForeignTableStmt: 'statement',
  CreateUserMappingStmt: 'statement',
  AlterUserMappingStmt: 'statement',
  DropUserMappingStmt: 'statement',
  ImportForeignSchemaStmt: 'statement',
  CreatePolicyStmt: 'statement',
  AlterPolicyStmt: 'statement',
  CreateAmStmt: 'statement',
  CreateTrigStmt: 'statement',
  CreateEventTrigStmt: 'statement',
  AlterEventTrigStmt: 'statement',
  CreatePLangStmt: 'statement',
  CreateRoleStmt: 'statement',
  AlterRoleStmt: 'statement',
  AlterRoleSetStmt: 'statement',
  DropRoleStmt: 'statement',
  CreateSeqStmt: 'statement',
  AlterSeqStmt: 'statement',
  DefineStmt: 'statement',
  CreateDomainStmt: 'statement',
  CreateOpClassStmt: 'statement',
  CreateOpClassItem: 'definition',
  CreateOpFamilyStmt: 'statement',
  AlterOpFamilyStmt: 'statement',
  DropStmt: 'statement',
  TruncateStmt: 'statement',
  CommentStmt: 'statement',
  SecLabelStmt: 'statement',
  DeclareCursorStmt: 'statement',
  ClosePortalStmt: 'statement',
  FetchStmt: 'statement',
  IndexStmt: 'statement',
  CreateStatsStmt: 'statement',
  StatsElem: 'definition',
  AlterStatsStmt: 'statement',
  CreateFunctionStmt: 'statement',
  FunctionParameter: 'definition',
  AlterFunctionStmt: 'statement',
  DoStmt: 'statement',
  InlineCodeBlock: 'planned',
  CallStmt: 'statement',
  CallContext: 'planned',
  RenameStmt: 'statement',
  AlterObjectDependsStmt: 'statement',
  AlterObjectSchemaStmt: 'statement',
  AlterOwnerStmt: 'statement',
  AlterOperatorStmt: 'statement',
  AlterTypeStmt: 'statement',
  RuleStmt: 'statement',
  NotifyStmt: 'statement',
  ListenStmt: 'statement',
  UnlistenStmt: 'statement',
  TransactionStmt: 'statement',
  CompositeTypeStmt: 'statement',
  CreateEnumStmt: 'statement',
  CreateRangeStmt: 'statement',
  AlterEnumStmt: 'statement',
  ViewStmt: 'statement',
  LoadStmt: 'statement',
  CreatedbStmt: 'statement',
  AlterDatabaseStmt: 'statement',
  AlterDatabaseRefreshCollStmt: 'statement',
  AlterDatabaseSetStmt: 'statement',
  DropdbStmt: 'statement',
  AlterSystemStmt: 'statement',
  ClusterStmt: 'statement',
  VacuumStmt: 'statement',
  VacuumRelation: 'definition',
  ExplainStmt: 'statement',
  CreateTableAsStmt: 'statement',
  RefreshMatViewStmt: 'statement',
  CheckPointStmt: 'statement',
  DiscardStmt: 'statement',
  LockStmt: 'statement',
  ConstraintsSetStmt: 'statement',
  ReindexStmt: 'statement',
  CreateConversionStmt: 'statement',
  CreateCastStmt: 'statement',
  CreateTransformStmt: 'statement',
  PrepareStmt: 'statement',
  ExecuteStmt: 'statement',
  DeallocateStmt: 'statement',
  DropOwnedStmt: 'statement',
  ReassignOwnedStmt: 'statement',
  AlterTSDictionaryStmt: 'statement',
  AlterTSConfigurationStmt: 'statement',
  PublicationTable: 'definition',
  PublicationObjSpec: 'definition',
  CreatePublicationStmt: 'statement',
  AlterPublicationStmt: 'statement',
  CreateSubscriptionStmt: 'statement',
  AlterSubscriptionStmt: 'statement',
  DropSubscriptionStmt: 'statement',
  ScanToken: 'tool',
  SummaryResult: 'tool',
  Table: 'tool',
  Function: 'tool',
  FilterColumn: 'tool',
} as const satisfies Readonly<Record<NodeKind, NodeAnswer>>

/** Kinds of statements that are judged as a whole. */
export type JudgedKind = {
  [Kind in NodeKind]: (typeof NODE_ANSWERS)[Kind] extends 'statement' ? Kind : never
}[NodeKind]

const JUDGED: ReadonlySet<string> = new Set(
  Object.entries(NODE_ANSWERS).flatMap(([kind, answer]) => (answer === 'statement' ? [kind] : [])),
)

export function isJudged(kind: string): kind is JudgedKind {
  return JUDGED.has(kind)
}

export const JUDGED_KINDS: readonly JudgedKind[] = [...JUDGED].filter(isJudged)
