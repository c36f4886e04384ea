import type { Clock, ConnectionName, IdentityChain } from '../../../core/index.ts'
import { identityKey, LIMITS } from '../../../core/index.ts'

/** Whose are forgotten: they have asked for nothing in a minute. */
const FORGOTTEN_MS = 60_000

/** How often one identity may ask the gateway itself: each question is in the recording, and some take thought. */
export class Allowance {
  readonly #clock: Clock
  readonly #left = new Map<string, { left: number; at: number }>()
  #swept = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts a question that takes so much. Seconds to wait when there are too many; 0: it may be asked. */
  take(chain: IdentityChain, connection: ConnectionName, cost: number): number {
    const wanted = Math.min(cost, LIMITS.httpOwnQuestionsMax)
    const now = this.#clock.now()
    this.#sweep(now)
    const key = `${connection} ${chain.map(identityKey).join(' ')}`
    const known = this.#left.get(key) ?? { left: LIMITS.httpOwnQuestionsMax, at: now }
    const more = (Math.max(0, now - known.at) * LIMITS.httpOwnQuestionsPerSecond) / 1000
    const left = Math.min(LIMITS.httpOwnQuestionsMax, known.left + more)
    this.#left.set(key, { left: left >= wanted ? left - wanted : left, at: now })
    return left >= wanted ? 0 : Math.max(1, Math.ceil((wanted - left) / LIMITS.httpOwnQuestionsPerSecond))
  }

  #sweep(now: number): void {
    if (now - this.#swept < FORGOTTEN_MS) return
    this.#swept = now
    for (const [key, { at }] of this.#left) if (now - at >= FORGOTTEN_MS) this.#left.delete(key)
  }
}
