import type { Clock } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'

/** Something that ends, and how long it lives from now on. */
export type Fresh<T> = { readonly value: T; readonly lifeMs: number }

type Kept<T> = {
  readonly value: T
  readonly since: number
  readonly renewAt: number
  readonly endsAt: number
}

/**
 * Keeps what an issuer gave and has it renewed: at three quarters of its life in the background, while the old one is still used;
 * once it has ended, everybody waits for the new one. One renewal at a time, however many ask. Only in memory.
 */
export class Renewal<T> {
  readonly #clock: Clock
  readonly #issue: () => Promise<Fresh<T>>
  #kept: Kept<T> | undefined
  #renewing: Promise<Kept<T>> | undefined
  #failed: { readonly at: number; readonly error: unknown } | undefined

  /** `issue` reports its own failures. */
  constructor(clock: Clock, issue: () => Promise<Fresh<T>>) {
    this.#clock = clock
    this.#issue = issue
  }

  /** One that has not ended. Throws what `issue` throws; after that, not asked again for some seconds. */
  async current(): Promise<T> {
    const now = this.#clock.now()
    const kept = this.#kept
    if (kept === undefined || now >= kept.endsAt) return (await this.#renew()).value
    // A failure in the background is nobody's yet: this one lives.
    if (now >= kept.renewAt) void this.#renew().catch(() => undefined)
    return kept.value
  }

  /**
   * The upstream did not take this one. True: there is another by now. One that is only seconds old is not given up: who gets
   * 401 for whatever reason would have an issuer asked with every request.
   */
  async another(value: T): Promise<boolean> {
    const kept = this.#kept
    if (kept?.value === value) {
      if (this.#clock.now() - kept.since < LIMITS.upstreamTokenRetryMs) return false
      // It stays while there is no other: one request that may not be made says nothing of all others.
      return (await this.#renew()).value !== value
    }
    return (await this.current()) !== value
  }

  async #renew(): Promise<Kept<T>> {
    if (this.#renewing !== undefined) return await this.#renewing
    const failed = this.#failed
    if (failed !== undefined && this.#clock.now() - failed.at < LIMITS.upstreamTokenRetryMs)
      throw failed.error
    this.#renewing = this.#ask().finally(() => {
      this.#renewing = undefined
    })
    return await this.#renewing
  }

  async #ask(): Promise<Kept<T>> {
    // Counted from before it was asked for: the issuer counts from some time in between.
    const since = this.#clock.now()
    try {
      const { value, lifeMs } = await this.#issue()
      const life = Math.min(lifeMs, LIMITS.upstreamTokenMsMax)
      const kept = { value, since, renewAt: since + (life * 3) / 4, endsAt: since + life }
      this.#kept = kept
      this.#failed = undefined
      return kept
    } catch (error) {
      this.#failed = { at: this.#clock.now(), error }
      throw error
    }
  }
}
