import type { AbortListener, AbortWatch, Countable, Ticket } from '../../../core/index.ts'
import type { Held, HoldObserver, ToldMeanwhile } from '../../../session/index.ts'
import type { Reminded, Reminders } from './reminders.ts'
import { heldBytes, waitingBytes } from './told.ts'

/** Lines that are recorded together: a process that is killed leaves no more of them unrecorded. */
const UNRECORDED_MAX = 5

/** What a client that waits needs of its conversation. */
export interface WaitsIn {
  /** Tells who waits for people that they still do; undefined: not here. */
  readonly reminders: Reminders | undefined
  /** People are asked. `held`: about this command; else about the rest of a result. */
  asked(ticket: Ticket, held: Held | undefined): void
  /** Its client is told that it waits, as soon as that can be. */
  announce(bytes: Buffer): void
  /** It waits still; what `told` gives is recorded later. False: it cannot be told now. */
  remind(bytes: Buffer, told: ToldMeanwhile): boolean
  /** What was told meanwhile is recorded now. */
  recordTold(): void
  /** It waits no more, whatever came of it. */
  settled(client: HeldClient): void
}

/**
 * A client whose command (or the rest of whose result) waits for people: hears so at once and every so often after that, and
 * may give it up. Thousands wait at once, so that there is one object for each and nothing besides.
 */
export class HeldClient implements HoldObserver, AbortWatch, Reminded, ToldMeanwhile {
  readonly patienceMs: number
  countable: Countable | undefined
  estimatedRows: number | undefined
  readonly #in: WaitsIn
  readonly #held: Held | undefined
  #ticket: Ticket | undefined
  /** What it had left when it was told so, for the lines that are not recorded yet. */
  #toldMs: number[] | undefined
  #listener: AbortListener | undefined
  #aborted = false
  due = 0
  until = 0

  constructor(patienceMs: number, waitsIn: WaitsIn, held?: Held) {
    this.patienceMs = patienceMs
    this.#in = waitsIn
    this.#held = held
  }

  get signal(): AbortWatch {
    return this
  }

  get aborted(): boolean {
    return this.#aborted
  }

  /** Nothing is run any more. */
  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#listener?.handleEvent()
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listener = listener
  }

  removeEventListener(_type: 'abort', listener: AbortListener): void {
    if (this.#listener === listener) this.#listener = undefined
  }

  told(ticket: Ticket, expiresAt: number): void {
    this.#in.asked(ticket, this.#held)
    if (this.patienceMs === 0) return
    this.#ticket = ticket
    this.#in.announce(heldBytes(this.#what, ticket, this.patienceMs, expiresAt))
    this.#in.reminders?.start(this.patienceMs, this)
  }

  remind(leftMs: number): void {
    if (!this.#in.remind(this.#line(leftMs), this)) return
    this.#toldMs ??= []
    if (this.#toldMs.push(leftMs) >= UNRECORDED_MAX) this.#in.recordTold()
  }

  takeTold(): Buffer {
    const told = this.#toldMs ?? []
    this.#toldMs = undefined
    return Buffer.concat(told.map((leftMs) => this.#line(leftMs)))
  }

  ended(): void {
    this.#in.reminders?.stop(this)
  }

  settled(): void {
    this.#in.settled(this)
  }

  get #what(): string {
    return this.#held === undefined ? 'The rest of this result is held' : 'Held'
  }

  #line(leftMs: number): Buffer {
    return waitingBytes(this.#what, this.#ticket ?? '', leftMs)
  }
}
