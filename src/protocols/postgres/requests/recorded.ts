import type { Facts, LabelName, SealedCommand } from '../../../core/index.ts'
import { labelsUsed } from '../../../core/index.ts'
import type { Judgement } from '../../../session/index.ts'
import type { Sealing, SqlAnalyser } from '../../../sql/index.ts'

type Parameters = readonly (Uint8Array | null)[] | undefined

/** What is sealed of commands: it belongs to a judgement, and is found again with it. */
const SEALINGS = new WeakMap<Judgement, Sealing>()

/** Names with sealed values in them that are remembered in a session; beyond this, all of its texts are sealed. */
const NAMES_MAX = 100

/** What it names is named again. */
const NAMES_SOMETHING = /\b(?:declare|prepare|savepoint)\b/i
const NO_LABELS: readonly LabelName[] = []

/** The labels of values that may stand in what the server says of this statement. */
export function sealedLabels(judgement: Judgement): readonly LabelName[] {
  return SEALINGS.get(judgement)?.labels ?? labelsUsed(judgement.facts)
}

/** What is recorded of commands in which values stand that are compared with labelled columns, or go into them. */
export class Recorded {
  readonly #analyser: Pick<SqlAnalyser, 'seal' | 'sealing'>
  /** Cursors, prepared statements and savepoints may have sealed values as names: in lower case, with the labels of these. */
  readonly #names = new Map<string, readonly LabelName[]>()

  constructor(analyser: Pick<SqlAnalyser, 'seal' | 'sealing'>) {
    this.#analyser = analyser
  }

  /** A text was judged: every other one of the same key has its values in the same places. */
  note(judgement: Judgement, text: string): void {
    const sealing = this.#analyser.sealing(text, judgement.facts)
    if (sealing !== undefined) SEALINGS.set(judgement, sealing)
  }

  /** Values with any of these labels may stand anywhere in it and in its result. */
  noteAnywhere(judgement: Judgement, labels: readonly LabelName[]): void {
    if (labels.length > 0) SEALINGS.set(judgement, { labels })
  }

  /** Another judgement of the same command. */
  copy(from: Judgement, to: Judgement): void {
    const sealing = SEALINGS.get(from)
    if (sealing !== undefined) SEALINGS.set(to, sealing)
  }

  /** In place of its text and parameters. Undefined: these as they are. */
  of(
    { text, judgement }: { readonly text: string; readonly judgement: Judgement },
    parameters?: Parameters,
  ): SealedCommand | undefined {
    const sealing = SEALINGS.get(judgement) ?? unknownPlaces(judgement.facts)
    const named = this.#named(text)
    if (named.length > 0)
      return this.whole(text, parameters, [...new Set([...named, ...(sealing?.labels ?? [])])].sort())
    if (sealing === undefined) return undefined
    const recorded = this.#analyser.seal(text, parameters, sealing)
    for (const name of NAMES_SOMETHING.test(text) ? (recorded.names ?? []) : [])
      if (this.#names.size <= NAMES_MAX) this.#names.set(name.toLowerCase(), recorded.labels)
    return recorded
  }

  /** The labels of the names in this text that are values which were sealed before. */
  #named(text: string): readonly LabelName[] {
    if (this.#names.size === 0) return NO_LABELS
    const plain = text.toLowerCase().replaceAll('""', '"')
    const found = [...this.#names].filter(([name]) => this.#names.size > NAMES_MAX || plain.includes(name))
    return found.flatMap(([, labels]) => labels)
  }

  /** All of it sealed. */
  whole(text: string, parameters: Parameters, labels: readonly LabelName[]): SealedCommand {
    return this.#analyser.seal(text, parameters, { labels })
  }
}

/** Of a command of whose values nobody knows which columns they meet. */
function unknownPlaces(facts: Facts): Sealing | undefined {
  const { filters, touches, stores, escape } = facts
  if (filters.length + touches.length + stores.length === 0 && escape === undefined) return undefined
  const labels = labelsUsed(facts)
  return labels.length === 0 ? undefined : { labels }
}
