import type { AbortListener, AbortWatch, Clock, Ticket } from '../core/index.ts'
import type { ApprovalState } from './approval.ts'
import { Patience, type Timed } from './patience.ts'
import type { Use } from './reuse.ts'
import { Several } from './several.ts'

/**
 * How a wait ended. `approved`: now `consume`. `refused`: refused or taken back, by whomever. `expired`: lapsed, or
 * used up by another command that had joined. `superseded`: rules or definitions have changed. `pending`: patience ran
 * out. `abandoned`: the client has gone. `elsewhere`: it is still pending, but another approval stands for the command.
 */
export type WaitOutcome =
  | 'approved'
  | 'refused'
  | 'expired'
  | 'superseded'
  | 'pending'
  | 'abandoned'
  | 'elsewhere'

/** Tells what may let a waiting command run: the state of its request, and other approvals of its shape. */
export type WaitingFor = {
  state(ticket: Ticket): ApprovalState | undefined
  stands(use: Use): boolean
}

/** Who waits for what becomes of a request. */
export class Waiters {
  readonly #clock: Clock
  readonly #patience: Patience
  readonly #for: WaitingFor
  readonly #byTicket = new Several<Ticket, Wait>()
  readonly #byShape = new Several<string, Wait>()

  constructor(clock: Clock, waitingFor: WaitingFor) {
    this.#clock = clock
    this.#patience = new Patience(clock)
    this.#for = waitingFor
  }

  /** Waits at most `patienceMs`; aborting `signal` ends it at once. */
  wait(ticket: Ticket, patienceMs: number, signal: AbortWatch, use: Use | undefined): Promise<WaitOutcome> {
    return new Promise((resolve) => {
      const until = this.#clock.now() + patienceMs
      const wait = new Wait(this, ticket, until, signal, use, resolve)
      this.#byTicket.add(ticket, wait)
      if (use !== undefined) this.#byShape.add(use.shape, wait)
      signal.addEventListener('abort', wait)
      if (!wait.handleEvent()) this.#patience.add(wait)
    })
  }

  outcome({ signal, ticket, use }: Wait): WaitOutcome {
    if (signal.aborted) return 'abandoned'
    const own = outcomeOf(this.#for.state(ticket))
    return own === 'pending' && use !== undefined && this.#for.stands(use) ? 'elsewhere' : own
  }

  /** Nobody waits there any more. */
  ended(wait: Wait): void {
    const { ticket, use, signal } = wait
    this.#patience.remove(wait)
    signal.removeEventListener('abort', wait)
    this.#byTicket.remove(ticket, wait)
    if (use !== undefined) this.#byShape.remove(use.shape, wait)
  }

  /** Whether anybody waits here for this request. */
  has(ticket: Ticket): boolean {
    return this.#byTicket.count(ticket) > 0
  }

  /** The request has changed. */
  wake(ticket: Ticket): void {
    for (const wait of this.#byTicket.of(ticket)) wait.handleEvent()
  }

  /** Commands of this shape may have been approved. */
  wakeShape(shape: string): void {
    for (const wait of this.#byShape.of(shape)) wait.handleEvent()
  }
}

/** One of thousands that wait: an object and the function that goes on. */
class Wait implements AbortListener, Timed {
  readonly #waiters: Waiters
  readonly ticket: Ticket
  readonly until: number
  readonly signal: AbortWatch
  readonly use: Use | undefined
  readonly #resolve: (outcome: WaitOutcome) => void

  constructor(
    waiters: Waiters,
    ticket: Ticket,
    until: number,
    signal: AbortWatch,
    use: Use | undefined,
    resolve: (outcome: WaitOutcome) => void,
  ) {
    this.#waiters = waiters
    this.ticket = ticket
    this.until = until
    this.signal = signal
    this.use = use
    this.#resolve = resolve
  }

  /** Something has changed; whether it is over by that. */
  handleEvent(): boolean {
    const outcome = this.#waiters.outcome(this)
    if (outcome === 'pending') return false
    this.#end(outcome)
    return true
  }

  over(): void {
    this.#end(this.#waiters.outcome(this))
  }

  #end(outcome: WaitOutcome): void {
    this.#waiters.ended(this)
    this.#resolve(outcome)
  }
}

function outcomeOf(state: ApprovalState | undefined): WaitOutcome {
  switch (state) {
    case 'pending':
    case 'approved':
    case 'superseded':
      return state
    case 'refused':
    case 'withdrawn':
    case 'revoked':
      return 'refused'
    // A ticket nobody knows gives no right to anything either.
    case 'expired':
    case 'used':
    case undefined:
      return 'expired'
  }
}
