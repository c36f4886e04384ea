import type { Clock } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'

const WINDOW_MS = 60_000

/**
 * How often each source address tried what needs no login: guessing codes, and filling the recording with attempts,
 * are slowed down before either costs anything. Bounded; when too many sources are known, the oldest windows go.
 */
export class Attempts {
  readonly #clock: Clock
  readonly #bySource = new Map<string, { readonly since: number; count: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one. Throws `limit_exceeded`. */
  count(source: string): void {
    const now = this.#clock.now()
    const known = this.#bySource.get(source)
    if (known !== undefined && now - known.since < WINDOW_MS) {
      known.count++
      if (known.count <= LIMITS.apiAttemptsPerMinute) return
      throw new GatewayError('limit_exceeded', 'Too many attempts from this address.', {
        remedy: 'Wait a minute.',
        retry: 'later',
      })
    }
    this.#bySource.delete(source)
    if (this.#bySource.size >= LIMITS.apiSourcesMax) {
      const oldest = this.#bySource.keys().next()
      if (!oldest.done) this.#bySource.delete(oldest.value)
    }
    this.#bySource.set(source, { since: now, count: 1 })
  }
}
