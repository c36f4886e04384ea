import type { Clock, Ticket, Timer } from '../core/index.ts'
import type { ApprovalState } from './approval.ts'

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

/** What else may let a waiting command run: an approval of its shape. */
type Elsewhere = { readonly shape: string; readonly stands: () => boolean }

/** Who waits for what becomes of a request. */
export class Waiters {
  readonly #clock: Clock
  /** By the ticket, and by the shape of the command. */
  readonly #checks = new Map<string, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Waits at most `patienceMs`; aborting `signal` ends it at once. */
  wait(
    ticket: Ticket,
    patienceMs: number,
    signal: AbortSignal,
    state: () => ApprovalState | undefined,
    elsewhere?: Elsewhere,
  ): Promise<WaitOutcome> {
    const keys = elsewhere === undefined ? [ticket] : [ticket, shapeKey(elsewhere.shape)]
    const { promise, resolve } = Promise.withResolvers<WaitOutcome>()
    let timer: Timer | undefined
    const end = (outcome: WaitOutcome): void => {
      timer?.cancel()
      signal.removeEventListener('abort', check)
      for (const key of keys) this.#remove(key, check)
      resolve(outcome)
    }
    const outcome = (): WaitOutcome => {
      if (signal.aborted) return 'abandoned'
      const own = outcomeOf(state())
      return own === 'pending' && elsewhere?.stands() === true ? 'elsewhere' : own
    }
    const check = (): void => {
      const now = outcome()
      if (now !== 'pending') end(now)
    }
    for (const key of keys) this.#checks.set(key, (this.#checks.get(key) ?? new Set()).add(check))
    signal.addEventListener('abort', check)
    timer = this.#clock.after(patienceMs, () => end(outcome()))
    check()
    return promise
  }

  /** Whether anybody waits here for this request. */
  has(ticket: Ticket): boolean {
    return this.#checks.has(ticket)
  }

  /** The request has changed. */
  wake(ticket: Ticket): void {
    this.#wake(ticket)
  }

  /** Commands of this shape may have been approved. */
  wakeShape(shape: string): void {
    this.#wake(shapeKey(shape))
  }

  #wake(key: string): void {
    for (const check of this.#checks.get(key) ?? []) check()
  }

  #remove(key: string, check: () => void): void {
    const checks = this.#checks.get(key)
    checks?.delete(check)
    if (checks?.size === 0) this.#checks.delete(key)
  }
}

function shapeKey(shape: string): string {
  return `shape ${shape}`
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
