import type { Clock, Timer } from '../../../core/index.ts'

/** So many are told in one go; then others come first. */
const TOLD_AT_ONCE = 64

type Waiting = { due: number; readonly until: number; readonly tell: (leftMs: number) => void }

/** Tells who waits, every so often, that they still do, and for how long: one timer for all, and none while nobody waits. */
export class Reminders {
  readonly #clock: Clock
  readonly #everyMs: number
  /** In the order in which they are due: whoever was told last is due last. */
  readonly #waiting = new Set<Waiting>()
  #timer: Timer | undefined

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock
    this.#everyMs = everyMs
  }

  /** Calls `tell` after every interval that ends before `patienceMs` is over, until what it gives is called. */
  start(patienceMs: number, tell: (leftMs: number) => void): () => void {
    const now = this.#clock.now()
    const waiting = { due: now + this.#everyMs, until: now + patienceMs, tell }
    if (waiting.due >= waiting.until) return () => undefined
    this.#waiting.add(waiting)
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.#tell())
    return () => {
      this.#waiting.delete(waiting)
      if (this.#waiting.size === 0) this.#stop()
    }
  }

  #tell(): void {
    this.#stop()
    const now = this.#clock.now()
    let told = 0
    for (const waiting of this.#waiting) {
      if (waiting.due > now || told++ === TOLD_AT_ONCE) break
      this.#waiting.delete(waiting)
      waiting.due = now + this.#everyMs
      if (waiting.due < waiting.until) this.#waiting.add(waiting)
      waiting.tell(waiting.until - now)
    }
    const [next] = this.#waiting
    this.#stop()
    // A clock that was set back does not keep anybody waiting for longer than an interval.
    if (next !== undefined) {
      const ms = Math.min(this.#everyMs, Math.max(0, next.due - now))
      this.#timer = this.#clock.after(ms, () => this.#tell())
    }
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
