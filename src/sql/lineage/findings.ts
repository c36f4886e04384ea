import type { Node } from 'libpg-query'
import type { LabelName } from '../../core/ids.ts'
import { columnsIn, givenIn } from '../sealing/given.ts'
import type { Given } from '../sealing/given.ts'
import type { Lineage } from './lineage.ts'

/** What a statement was found to do with labelled values, beyond handing them out as they are. */
export class Findings {
  readonly #all: readonly LabelName[]
  readonly #filters = new Set<LabelName>()
  /** And how often: once for each value that a column is compared with. */
  readonly #touches = new Map<LabelName, number>()
  readonly #stores = new Set<LabelName>()
  readonly #escaping = new Set<LabelName>()
  /** Every label that was found in any way, in that order. */
  readonly #found: LabelName[] = []
  readonly #placed = new WeakMap<Given, Set<LabelName>>()
  readonly #linked = new Set<LabelName>()
  #reason: string | undefined

  constructor(all: readonly LabelName[]) {
    this.#all = all
  }

  /** Labelled values decide which rows, in which order or groups, or what another value is. */
  filter(labels: readonly LabelName[]): void {
    for (const label of labels) this.#filters.add(label)
    this.#found.push(...labels)
  }

  /** Labelled columns used in a way that the touch rule allows. */
  touch(labels: readonly LabelName[], values = 1): void {
    for (const label of labels) this.#touches.set(label, (this.#touches.get(label) ?? 0) + values)
    this.#found.push(...labels)
  }

  /** A labelled column is written. */
  store(labels: readonly LabelName[]): void {
    for (const label of labels) this.#stores.add(label)
    this.#found.push(...labels)
  }

  /** Values of these labels could come out, or go elsewhere, where masking cannot follow. The first reason is told. */
  escape(labels: readonly LabelName[], reason: string): void {
    this.#reason ??= reason
    for (const label of labels) this.#escaping.add(label)
    this.#found.push(...labels)
  }

  /** Not understood well enough to say which labels: all of them. */
  escapeAll(reason: string): void {
    this.escape(this.#all, reason)
  }

  /**
   * A value goes into a place that holds these labels. What else it depends on would be lost there; what it does depend
   * on is used, which the touch rule does not cover.
   */
  flow(value: Lineage, into: readonly LabelName[], reason: string): void {
    this.store(into)
    if (value.labels.length === 0) return
    const lost = value.labels.filter((label) => !into.includes(label))
    if (lost.length > 0) this.escape(lost, reason)
    else this.filter(value.labels)
  }

  /** Adds what was found elsewhere, such as in the definition of a view. */
  add(other: Findings): void {
    this.filter([...other.#filters])
    for (const [label, values] of other.#touches) this.touch([label], values)
    this.store([...other.#stores])
    if (other.#reason !== undefined) this.escape([...other.#escaping], other.#reason)
  }

  /** How far what is found has come: for `since`. */
  get mark(): number {
    return this.#found.length
  }

  /** All labels that were found behind this mark, in whichever way. */
  since(mark: number): readonly LabelName[] {
    return this.#found.slice(mark)
  }

  /**
   * The constants and parameters under this node meet columns with these labels, and no others; none: no labelled one.
   * What is said of one more than once adds up. Two columns that stand there together may be equal.
   */
  place(node: Node | undefined, labels: readonly LabelName[]): void {
    if (labels.length > 0 && columnsIn(node) > 1) this.link(labels)
    for (const given of givenIn(node)) {
      const before = this.#placed.get(given)
      if (before === undefined) this.#placed.set(given, new Set(labels))
      else for (const label of labels) before.add(label)
    }
  }

  /**
   * Columns with these labels may have the values of others: what meets those others meets them, wherever it stands in the
   * statement (`p.email = c.email AND p.email = 'ada@example.com'`).
   */
  link(labels: readonly LabelName[]): void {
    for (const label of labels) this.#linked.add(label)
  }

  /** Whether the value of a column without labels may be that of one with labels, and so one that was given for it. */
  get links(): boolean {
    return this.#linked.size > 0
  }

  /** What `place` has said of it; undefined: nothing, so that it may meet any column of the statement. */
  placeOf(given: Given): ReadonlySet<LabelName> | undefined {
    const placed = this.#placed.get(given)
    return placed === undefined || this.#linked.size === 0 ? placed : new Set([...placed, ...this.#linked])
  }

  get escapes(): boolean {
    return this.#reason !== undefined
  }

  get filters(): readonly LabelName[] {
    return [...this.#filters].sort()
  }

  get touches(): readonly LabelName[] {
    return [...this.#touches.keys()].sort()
  }

  get asked(): ReadonlyMap<LabelName, number> {
    return this.#touches
  }

  get stores(): readonly LabelName[] {
    return [...this.#stores].sort()
  }

  get escaped(): { readonly labels: readonly LabelName[]; readonly reason: string } | undefined {
    return this.#reason === undefined
      ? undefined
      : { labels: [...this.#escaping].sort(), reason: this.#reason }
  }
}
