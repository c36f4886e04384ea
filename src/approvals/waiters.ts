import type { Clock, Ticket, Timer } from '../core/index.ts'
import type { ApprovalState } from './approval.ts'

/**
 * How a wait ended. `approved`: now `consume`. `refused`: refused or taken back, by whomever. `expired`: lapsed, or
 * used up by another command that had joined. `superseded`: rules or definitions have changed. `pending`: patience ran
 * out. `abandoned`: the client has gone.
 */
export type WaitOutcome = 'approved' | 'refused' | 'expired' | 'superseded' | 'pending' | 'abandoned'

/** Who waits for what becomes of a request. */
export class Waiters {
  readonly #clock: Clock
  readonly #checks = new Map<Ticket, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Waits at most `patienceMs`; aborting `signal` ends it at once. */
  wait(
    ticket: Ticket,
    patienceMs: number,
    signal: AbortSignal,
    state: () => ApprovalState | undefined,
  ): Promise<WaitOutcome> {
    const { promise, resolve } = Promise.withResolvers<WaitOutcome>()
    let timer: Timer | undefined
    const end = (outcome: WaitOutcome): void => {
      timer?.cancel()
      signal.removeEventListener('abort', check)
      this.#remove(ticket, check)
      resolve(outcome)
    }
    const outcome = (): WaitOutcome => (signal.aborted ? 'abandoned' : outcomeOf(state()))
    const check = (): void => {
      const now = outcome()
      if (now !== 'pending') end(now)
    }
    const checks = this.#checks.get(ticket) ?? new Set()
    this.#checks.set(ticket, checks.add(check))
    signal.addEventListener('abort', check)
    timer = this.#clock.after(patienceMs, () => end(outcome()))
    check()
    return promise
  }

  /** The request has changed. */
  wake(ticket: Ticket): void {
    for (const check of this.#checks.get(ticket) ?? []) check()
  }

  #remove(ticket: Ticket, check: () => void): void {
    const checks = this.#checks.get(ticket)
    checks?.delete(check)
    if (checks?.size === 0) this.#checks.delete(ticket)
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
