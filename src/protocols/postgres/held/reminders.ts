import type { Clock, Timer } from '../../../core/index.ts'

/** Whom the lines of many are apart from each other at least, in milliseconds: 5,000 that begin at once are spread. */
const APART_MS = 2
/** What is due within this long is told in one go, and then others come first for as long. */
const GO_MS = 50
/** So many are told in one go; more only where they would not all be reached in time. */
const GO_TOLD = 32

/** Somebody who waits, and is told so. What is set here is the business of `Reminders`. */
export type Reminded = {
  /** When to be told next, and until when it waits; milliseconds since 1970. */
  due: number
  until: number
  remind(leftMs: number): void
}

/**
 * Tells who waits, every so often, that they still do, and for how long: one timer for all, and none while nobody waits.
 * Those who began at the same moment are not told at the same moment: between two lines are `everyMs`, and up to
 * `everyMsMax` where many wait.
 */
export class Reminders {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #everyMsMax: number
  /** In the order in which they are due: whoever was told last is due last. */
  readonly #waiting = new Set<Reminded>()
  #last = 0
  #timer: Timer | undefined

  constructor(clock: Clock, everyMs: number, everyMsMax: number) {
    this.#clock = clock
    this.#everyMs = everyMs
    this.#everyMsMax = everyMsMax
  }

  /** Reminds after every interval that ends before `patienceMs` is over, until `stop`. */
  start(patienceMs: number, waiting: Reminded): void {
    const now = this.#clock.now()
    waiting.until = now + patienceMs
    this.#enqueue(waiting, now)
    this.#wait(now)
  }

  stop(waiting: Reminded): void {
    this.#waiting.delete(waiting)
    if (this.#waiting.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #enqueue(waiting: Reminded, now: number): void {
    // None is due before the one in front of it, and none later than it may be.
    const due = Math.min(Math.max(now + this.#everyMs, this.#last + APART_MS), now + this.#everyMsMax)
    if (due >= waiting.until) return
    waiting.due = this.#last = due
    this.#waiting.add(waiting)
  }

  #wait(now: number, leastMs = 0): void {
    if (this.#timer !== undefined) return
    const [next] = this.#waiting
    if (next === undefined) return
    // A clock that was set back does not keep anybody waiting for longer than an interval.
    const ms = Math.max(leastMs, Math.min(this.#everyMs, next.due - now))
    this.#timer = this.#clock.after(ms, () => this.#tell())
  }

  #tell(): void {
    this.#timer = undefined
    const now = this.#clock.now()
    const most = Math.max(GO_TOLD, Math.ceil((this.#waiting.size * GO_MS) / this.#everyMs))
    let told = 0
    for (const waiting of this.#waiting) {
      if (waiting.due > now + GO_MS || told++ === most) break
      this.#waiting.delete(waiting)
      this.#enqueue(waiting, now)
      waiting.remind(waiting.until - now)
    }
    this.#wait(now, GO_MS)
  }
}
