import type { ComputedKind } from './nodes.ts'
import { COMPUTED_KINDS } from './nodes.ts'

/**
 * The rules of the lineage by name, so that a test can switch one off and see whether anything notices. In a gateway all
 * of them hold; no setting reaches this.
 */
const OTHER_RULES = [
  'column',
  'whole row',
  'field of a row',
  'null test',
  'count',
  'equality with values',
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
  'on conflict',
  'excluded',
  'merge',
  'old and new',
  'select into',
  'derive',
  'copy',
  'triggers',
] as const

export type LineageRule = ComputedKind | (typeof OTHER_RULES)[number]

/** `'all'`: nothing is protected at all, to see that an attack is one. */
export type RulesOff = ReadonlySet<LineageRule> | 'all'

export const LINEAGE_RULES: readonly LineageRule[] = [...COMPUTED_KINDS, ...OTHER_RULES]
