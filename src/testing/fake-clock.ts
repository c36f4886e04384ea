import type { Clock, Timer } from '../core/index.ts'

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now: number
  #waiting: { readonly at: number; readonly run: () => void }[] = []

  constructor(now: number = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): Timer {
    const entry = { at: this.#now + ms, run }
    this.#waiting.push(entry)
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((each) => each !== entry)
      },
    }
  }

  /** Moves time on, running what falls due in order, each at its own moment. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const due = this.#waiting.filter((each) => each.at <= until).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#waiting = this.#waiting.filter((each) => each !== due)
      this.#now = Math.max(this.#now, due.at)
      due.run()
    }
    this.#now = until
  }

  /** Timers that have not run yet. */
  get waiting(): number {
    return this.#waiting.length
  }
}
