import type { GatewayError } from '../../../core/index.ts'
import type { Permitted, Session } from '../../../session/index.ts'

/** Where the bytes of an answer go before the client gets them. */
export class AnswerKeeper {
  readonly #bytesMax: number
  readonly #session: Session
  readonly #flight: Permitted

  constructor(session: Session, flight: Permitted) {
    this.#session = session
    this.#flight = flight
    const { decision } = flight.judgement
    // A response cannot wait half sent without a word to its client: where its rest would be held, it ends.
    this.#bytesMax =
      decision.kind === 'deny'
        ? 0
        : Math.min(decision.limit.bytesMax, decision.pause?.bytesMax ?? Number.POSITIVE_INFINITY)
  }

  /** What is known to be too long is refused in words; of what turns out to be, the connection is cut. */
  refuseLength(contentLength: string): void {
    if (Number(contentLength) > this.#bytesMax) throw this.#tooMuch()
  }

  /** Waits until these bytes may go: they count, and are in the recording. */
  async keep(bytes: Uint8Array): Promise<void> {
    const { spending } = this.#session
    if (this.#flight.bytes + bytes.length > this.#bytesMax) throw this.#tooMuch()
    let spent = spending.spend(0, bytes.length)
    for (; spent === 'wait'; spent = spending.spend(0, bytes.length)) await spending.more()
    if (spent === 'spent') throw this.#session.budgetSpent(this.#flight)
    if (this.#session.resultElsewhere(this.#flight, bytes)) await this.#session.afterTurn()
  }

  #tooMuch(): GatewayError {
    return this.#session.limitReached(this.#flight, `${this.#bytesMax} bytes`)
  }
}
