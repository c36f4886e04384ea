import { LIMITS } from '../../../core/index.ts'
import type { Judgement, Session } from '../../../session/index.ts'
import type { AnalysisContext } from '../../../sql/index.ts'
import { NO_OVERLAY, settingsNow } from '../../../sql/index.ts'
import type { BoundParameters } from '../startup/upstream.ts'
import type { Planned } from './estimate.ts'
import { explained } from './estimate.ts'
import type { Recorded } from './recorded.ts'

/** What asks servers how many rows they expect; `undefined`: it cannot be told. */
export type Estimator = {
  rows(
    planned: Planned,
    searchPath: readonly string[] | undefined,
    withinMs: number,
  ): Promise<number | undefined>
  readonly guesses: Guesses
}

/** Those of a whole gateway that are only for people to read: while many are asked for, others go without. */
export class Guesses {
  #asked = 0

  async one<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#asked >= LIMITS.guessesMax) return undefined
    this.#asked++
    try {
      return await work()
    } finally {
      this.#asked--
    }
  }
}

type Asked = { readonly text: string; readonly judgement: Judgement }

/** Longer than any planner needs that is worth waiting for; then the estimate is unknown. */
const ESTIMATE_MS = 3_000
/** A client is told its ticket only behind it. */
const GUESS_MS = 1_000

/** Asks the server's planner about what a client has sent, as a command of the gateway's own in its session. */
export class Planner {
  readonly #session: Pick<Session, 'own'>
  readonly #recorded: Recorded
  readonly #estimator: Estimator

  constructor(session: Pick<Session, 'own'>, recorded: Recorded, estimator: Estimator) {
    this.#session = session
    this.#recorded = recorded
    this.#estimator = estimator
  }

  /** For a decision. */
  async estimate(
    context: AnalysisContext,
    asked: Asked,
    parameters: BoundParameters,
  ): Promise<number | undefined> {
    const { class: commandClass, reads, writes, calls } = asked.judgement.facts
    // What reads nothing and calls nothing returns what it says: the planner is not asked about BEGIN.
    if (commandClass === 'read' && reads.length + writes.length + calls.length === 0) return 0
    return this.#rows(context, asked, parameters, ESTIMATE_MS)
  }

  /** For people to read. */
  async guess(
    context: AnalysisContext,
    asked: Asked,
    parameters: BoundParameters,
  ): Promise<number | undefined> {
    try {
      return await this.#estimator.guesses.one(() => this.#rows(context, asked, parameters, GUESS_MS))
    } catch {
      // The recording is not to be had, or the session has ended: it is told so by what it does next.
      return undefined
    }
  }

  async #rows(
    { catalogue, overlay, ...beginning }: AnalysisContext,
    { text, judgement }: Asked,
    parameters: BoundParameters,
    withinMs: number,
  ): Promise<number | undefined> {
    const planned = { text, parameters }
    let rows: number | undefined
    const work = async (): Promise<string> => {
      const path = catalogue && settingsNow(beginning, overlay ?? NO_OVERLAY).path
      rows = await this.#estimator.rows(planned, path, withinMs)
      return rows === undefined ? 'unknown' : `${rows} rows`
    }
    const recorded = this.#recorded.of({ text, judgement })
    const sealed = recorded && { ...recorded, text: explained({ ...planned, text: recorded.text }) }
    await this.#session.own('estimate', explained(planned), work, sealed)
    return rows
  }
}
