import type { Facts } from './command.ts'
import type { MaskingRule } from './decision.ts'
import type { LabelName } from './ids.ts'

/** What a held command did when it was tried out and rolled back, as one person may see it. */
export type Preview = {
  /** When it was tried out, and how long that took, in milliseconds. */
  readonly at: number
  readonly ms: number
  /** Rows changed in all tables together: what an approval can be bound to. Undefined: it failed, or they could not be counted. */
  readonly rows?: number
  readonly tables: readonly PreviewedTable[]
  /** Why it would fail. */
  readonly failure?: string
  /** Rows as they would be, or as they were where they are deleted. Absent: none are shown. */
  readonly sample?: PreviewSample
  /** What it does not tell. */
  readonly notes: readonly string[]
}

export type PreviewedTable = {
  readonly name: string
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

export type PreviewSample = {
  readonly columns: readonly string[]
  /** Values as text, cut where that is said; null is NULL. */
  readonly rows: readonly (readonly (string | null)[])[]
  /** There are more rows. */
  readonly more: boolean
  /** The labels of values that are masked in it, sorted. */
  readonly masked: readonly LabelName[]
}

/** Who looks: how each label is masked that this person may not see in what a command with these facts returns. */
export type PreviewViewer = { masks(facts: Facts): ReadonlyMap<LabelName, MaskingRule> }

/** Tries a held command out. Throws GatewayError `unsupported` with the reason, in words, where that is not done. */
export type PreviewRun = (viewer: PreviewViewer) => Promise<Preview>
