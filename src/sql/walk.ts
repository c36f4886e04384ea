import type { Node } from 'libpg-query'
import type { Findings } from './findings.ts'
import type { Names } from './names.ts'
import type { Item, OutputColumn, Scope } from './scope.ts'

/** What the walks over queries, their FROM and their expressions know of one another. */
export interface Walk {
  readonly names: Names
  readonly findings: Findings
  readonly expressions: Expressions
  rows(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Rows
  /** Rows that go on inside the statement: no label may be among them. */
  inner(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): Rows
}

export interface Expressions {
  value(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): void
  predicate(node: Node | undefined, scope: Scope | undefined, ctes: Ctes): void
}

export type Rows = {
  readonly columns: readonly OutputColumn[]
  /** Whether these are all columns, in their order. */
  readonly counted: boolean
  /** A star was among the outputs: their positions rest on the catalogue. */
  readonly starred?: boolean
}

/** The queries of WITH that are in sight, innermost first. */
export type Ctes = { readonly name: string; readonly item: Item; readonly outer: Ctes } | undefined
