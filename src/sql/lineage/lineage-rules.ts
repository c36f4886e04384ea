import type { ComputedKind, JudgedKind, NODE_ANSWERS } from './nodes.ts'
import { COMPUTED_KINDS, JUDGED_KINDS } from './nodes.ts'

/**
 * The rules of the lineage by name, so that a test can switch one off and see whether anything notices. In a gateway all
 * of them hold; no setting reaches this.
 */
const OTHER_RULES = [
  'relation',
  'column',
  'whole row',
  'field of a row',
  'null test',
  'count',
  'equality with values',
  'subquery in from',
  'query of with',
  'subquery as value',
  'subquery compared',
  'array of a subquery',
  'named window',
  'condition',
  'group',
  'order',
  'distinct',
  'limit',
  'set operation',
  'union all',
  'recursion',
  'search and cycle',
  'values',
  'view',
  'label of a view',
  'using',
  'natural join',
  'function in from',
  'xmltable',
  'json_table',
  'sample',
  'insert',
  'update',
  'several columns at once',
  'delete',
  'returning',
  'on conflict',
  'unique',
  'partition',
  'excluded',
  'merge',
  'old and new',
  'select into',
  'derive',
  'copy',
  'triggers',
  'functions',
  'operators',
  'types',
  'settings',
  'known relations',
] as const

/** A kind of node that makes a value, a kind of statement that is judged as a whole, or one of the rules above. */
export type LineageRule = ComputedKind | JudgedKind | (typeof OTHER_RULES)[number]

/** `'all'`: nothing is protected at all, to see that an attack is one. */
export type RulesOff = ReadonlySet<LineageRule> | 'all'

export const LINEAGE_RULES: readonly LineageRule[] = [...COMPUTED_KINDS, ...JUDGED_KINDS, ...OTHER_RULES]

export function ruleHolds(rule: LineageRule, off: RulesOff | undefined): boolean {
  return off === undefined || (off !== 'all' && !off.has(rule))
}

type Handled = {
  [Kind in keyof typeof NODE_ANSWERS]: (typeof NODE_ANSWERS)[Kind] extends
    | 'followed'
    | 'from'
    | 'query'
    | 'part'
    ? Kind
    : never
}[keyof typeof NODE_ANSWERS]

/**
 * By which rules each kind of node is handled that neither makes a value nor is a statement judged as a whole: those have
 * a rule of their own name. None: it holds names and ways of doing, and no value.
 */
export const NODE_RULES = {
  RangeVar: ['relation', 'view', 'label of a view', 'partition', 'known relations'],
  ColumnRef: ['column', 'whole row', 'field of a row'],
  SubLink: ['subquery as value', 'subquery compared', 'array of a subquery'],
  MultiAssignRef: ['several columns at once'],
  JoinExpr: ['condition', 'using', 'natural join'],
  RangeSubselect: ['subquery in from'],
  RangeFunction: ['function in from'],
  RangeTableFunc: ['xmltable'],
  RangeTableFuncCol: ['xmltable'],
  RangeTableSample: ['sample'],
  JsonTable: ['json_table'],
  JsonTableColumn: ['json_table'],
  JsonTablePathSpec: ['json_table'],
  SelectStmt: ['condition', 'group', 'order', 'distinct', 'limit', 'set operation', 'union all', 'values'],
  InsertStmt: ['insert', 'unique', 'triggers'],
  UpdateStmt: ['update', 'unique', 'condition', 'triggers'],
  DeleteStmt: ['delete', 'triggers'],
  MergeStmt: ['merge', 'condition', 'triggers'],
  MergeWhenClause: ['merge'],
  WithClause: ['query of with', 'recursion'],
  CommonTableExpr: ['query of with', 'recursion'],
  CTESearchClause: ['search and cycle'],
  CTECycleClause: ['search and cycle'],
  GroupingSet: ['group'],
  IntoClause: ['select into'],
  OnConflictClause: ['on conflict', 'excluded'],
  InferClause: ['on conflict'],
  IndexElem: ['on conflict'],
  ReturningClause: ['returning'],
  ReturningOption: ['old and new'],
  TypeName: ['types'],
  Alias: [],
  RoleSpec: [],
  JsonFormat: [],
  JsonReturning: [],
  JsonOutput: [],
  ColumnDef: [],
  DefElem: [],
  LockingClause: [],
  RawStmt: [],
} as const satisfies Readonly<Record<Handled, readonly LineageRule[]>>
