import type { Facts, LabelName, SealedCommand } from '../../../core/index.ts'
import { labelsUsed } from '../../../core/index.ts'
import type { Judgement } from '../../../session/index.ts'
import type { Sealing, SqlAnalyser } from '../../../sql/index.ts'

type Parameters = readonly (Uint8Array | null)[] | undefined

/** What is sealed of commands: it belongs to a judgement, and is found again with it. */
const SEALINGS = new WeakMap<Judgement, Sealing>()

/** What is recorded of commands in which values stand that are compared with labelled columns, or go into them. */
export class Recorded {
  readonly #analyser: Pick<SqlAnalyser, 'seal' | 'sealing'>

  constructor(analyser: Pick<SqlAnalyser, 'seal' | 'sealing'>) {
    this.#analyser = analyser
  }

  /** A text was judged: every other one of the same key has its values in the same places. */
  note(judgement: Judgement, text: string): void {
    const sealing = this.#analyser.sealing(text, judgement.facts)
    if (sealing !== undefined) SEALINGS.set(judgement, sealing)
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
    return sealing === undefined ? undefined : this.#analyser.seal(text, parameters, sealing)
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
