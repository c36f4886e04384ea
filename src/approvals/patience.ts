import type { Clock, Timer } from '../core/index.ts'

/** Something that is over at a time, in milliseconds since 1970. */
export type Timed = { readonly until: number; over(): void }

/**
 * Calls `over` of each when its time has come: one timer for all of them, and no closure for each. They come about in the
 * order in which they end, so that adding one is nearly always adding it at the end.
 */
export class Patience {
  readonly #clock: Clock
  /** By when they are over. */
  readonly #waiting: Timed[] = []
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(timed: Timed): void {
    this.#waiting.splice(this.#behind(timed.until), 0, timed)
    this.#watch()
  }

  remove(timed: Timed): void {
    let at = this.#behind(timed.until) - 1
    while (at >= 0 && this.#waiting[at] !== timed) at = this.#waiting[at]?.until === timed.until ? at - 1 : -1
    if (at < 0) return
    this.#waiting.splice(at, 1)
    // A timer that goes off too early finds nothing; one that nobody waits for is ended.
    if (this.#waiting.length === 0) this.#stop()
  }

  /** The place behind all that are over by then. */
  #behind(until: number): number {
    let low = 0
    let high = this.#waiting.length
    if (until >= (this.#waiting[high - 1]?.until ?? 0)) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#waiting[middle]?.until ?? 0) <= until) low = middle + 1
      else high = middle
    }
    return low
  }

  #watch(): void {
    const [first] = this.#waiting
    if (first === undefined || first.until >= this.#timerAt) return
    this.#stop()
    this.#timerAt = first.until
    this.#timer = this.#clock.after(Math.max(0, first.until - this.#clock.now()), () => this.#look())
  }

  #look(): void {
    // What the timer was set to has passed, even where the clock was set back meanwhile.
    const now = Math.max(this.#clock.now(), this.#timerAt)
    this.#stop()
    for (const timed of this.#waiting.splice(0, this.#behind(now))) timed.over()
    this.#watch()
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }
}
