import type { Clock, Timer } from '../core/index.ts'

/** One timer for what is due earliest. It may go off when that has been settled already. */
export class Deadlines {
  readonly #clock: Clock
  readonly #due: () => Promise<void>
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(clock: Clock, due: () => Promise<void>) {
    this.#clock = clock
    this.#due = due
  }

  /** Calls `due` at this time, and at no earlier one that was asked for; infinity: never. */
  set(at: number): void {
    if (at === this.#at || this.#stopped) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#at = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#at = Number.POSITIVE_INFINITY
      void this.#due()
    })
  }

  /** Calls `due` at this time, or earlier if that was asked for. */
  noLaterThan(at: number): void {
    if (at < this.#at) this.set(at)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
