import type { Clock, Entry, Journal, SessionId } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'

/** An entry that has just been written. */
export type Followed = {
  readonly time: number
  /** Absent for administrative entries. */
  readonly session: SessionId | undefined
  readonly entry: Entry
}

/** Takes note of entries that were written; `missed`: so many more there were before them. Must not throw. */
export type Follower = (entries: readonly Followed[], missed: number) => void

/**
 * Whoever wants to see entries as they are written: the same journal, with an ear at it. While nobody listens it costs
 * a comparison an entry. What could not be written is not told before it is.
 */
export class Tail {
  readonly journal: Journal
  readonly #followers = new Set<Follower>()
  #waiting: Followed[] = []
  #missed = 0

  constructor(inner: Journal, clock: Clock) {
    this.journal = {
      append: (session, entry) => {
        inner.append(session, entry)
        if (this.#followers.size > 0) this.#note({ time: clock.now(), session, entry })
      },
      flush: () => {
        inner.flush()
        if (this.#waiting.length > 0) this.#tell()
      },
      sync: () => {
        inner.sync()
        if (this.#waiting.length > 0) this.#tell()
      },
      seal: (labels, values) => inner.seal(labels, values),
      fingerprint: (text) => inner.fingerprint(text),
    }
  }

  /** From now on; the function ends it. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower)
    return () => {
      this.#followers.delete(follower)
      if (this.#followers.size === 0) this.#waiting = []
    }
  }

  #note(followed: Followed): void {
    if (this.#waiting.length < LIMITS.tailWaitingMax) this.#waiting.push(followed)
    else this.#missed++
  }

  #tell(): void {
    const waiting = this.#waiting
    const missed = this.#missed
    this.#waiting = []
    this.#missed = 0
    for (const follower of this.#followers) follower(waiting, missed)
  }
}
