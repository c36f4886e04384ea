import type { Node, RangeVar, WithClause } from 'libpg-query'
import type { LabelName } from '../../core/ids.ts'
import type { Catalogue, Relation } from '../catalogue/catalogue.ts'
import type { Findings } from './findings.ts'
import type { Lineage, OutputColumn } from './lineage.ts'
import type { LineageRule, RulesOff } from './lineage-rules.ts'
import type { Names } from '../session/names.ts'
import { CLEAR } from './lineage.ts'
import type { Item, Reference, Scope } from './scope.ts'

/** What the walks over queries, their FROM, their changes and their expressions know of one another. */
export interface Walk {
  readonly names: Names
  readonly findings: Findings
  readonly expressions: Expressions
  readonly from: Sources
  /** Whether a rule of the lineage holds: all do, but in tests that look whether one is missed. */
  holds(rule: LineageRule): boolean
  /** The columns of a view or materialised view; `undefined` when its definition is not known or cannot be followed. */
  viewOf(relation: Relation): ViewLineage | undefined
  /** Any statement that can stand where rows are wanted. */
  rows(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Rows
  with(clause: WithClause | undefined, scope: Scope | undefined, outer: Ctes): Ctes
  /** The outputs of SELECT or RETURNING. */
  targets(targets: readonly Node[] | undefined, scope: Scope, from: Star, ctes: Ctes): Rows
}

/** What a view hands out, and what its own conditions, joins and expressions do with labelled values. */
export type ViewLineage = {
  readonly columns: readonly OutputColumn[]
  readonly findings: Findings
  readonly single?: true
}

/** Follows the definitions of views. */
export interface ViewReader {
  of(relation: Relation, catalogue: Catalogue, off: RulesOff | undefined): ViewLineage | undefined
}

export interface Expressions {
  /** The lineage of a value that goes on to somewhere. */
  value(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Lineage
  /** A value that something else is made from or decided by: its labels are filters. */
  used(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[]
  usedAll(nodes: readonly Node[] | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[]
  /** A condition: WHERE, ON, HAVING. Hands back the labels it uses in ways that the touch rule does not cover. */
  predicate(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): readonly LabelName[]
  reference(node: Node | undefined, scope: Scope | undefined): Reference
}

export interface Sources {
  all(nodes: readonly Node[] | undefined, outer: Scope | undefined, ctes: Ctes): FromItems
  /** The relation that a statement changes: rows of it, or by new ones alone. */
  target(relation: RangeVar | undefined, change: 'insert' | 'change'): Item
}

/** What a bare star stands for. */
export type Star = {
  readonly star: readonly OutputColumn[]
  /** Whether these are all columns of the star, in their order. */
  readonly starCounted: boolean
  /** What columns that are not counted may depend on. */
  readonly starRest: readonly LabelName[]
}

/** What FROM brings into sight. */
export type FromItems = Star & { readonly items: readonly Item[] }

export type Rows = {
  readonly columns: readonly OutputColumn[]
  /** Whether these are all columns, in their order. */
  readonly counted: boolean
  /** What columns that are not counted may depend on. */
  readonly rest: readonly LabelName[]
  /** A star was among the outputs: their positions and names rest on the catalogue. */
  readonly starred?: boolean
  /** Each is made of one row of one table, and of another one each. */
  readonly single?: true
}

/** The queries of WITH that are in sight, innermost first. */
export type Ctes = { readonly name: string; readonly item: Item; readonly outer: Ctes } | undefined

/** As if nothing labelled were in them: what a rule that does not hold makes of rows. */
export function cleared(rows: Rows): Rows {
  return { ...rows, columns: rows.columns.map(({ name }) => ({ ...CLEAR, name })), rest: [] }
}
