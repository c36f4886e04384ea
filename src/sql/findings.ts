import type { LabelName } from '../core/ids.ts'

/** What a statement was found to do with labelled values, beyond handing them out as they are. */
export class Findings {
  readonly #all: readonly LabelName[]
  readonly #filters = new Set<LabelName>()
  readonly #escaping = new Set<LabelName>()
  #reason: string | undefined

  constructor(all: readonly LabelName[]) {
    this.#all = all
  }

  /** A labelled column decides which rows, or in which order or groups. */
  filter(label: LabelName): void {
    this.#filters.add(label)
  }

  /** Values of these labels could come out in a form that masking cannot follow. The first reason is the one told. */
  escape(labels: readonly LabelName[], reason: string): void {
    this.#reason ??= reason
    for (const label of labels) this.#escaping.add(label)
  }

  /** Not understood well enough to say which labels: all of them. */
  escapeAll(reason: string): void {
    this.escape(this.#all, reason)
  }

  get escapes(): boolean {
    return this.#reason !== undefined
  }

  get filters(): readonly LabelName[] {
    return [...this.#filters].sort()
  }

  get escaped(): { readonly labels: readonly LabelName[]; readonly reason: string } | undefined {
    return this.#reason === undefined
      ? undefined
      : { labels: [...this.#escaping].sort(), reason: this.#reason }
  }
}
