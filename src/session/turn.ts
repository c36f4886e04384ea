import type { Journal } from '../core/index.ts'

/** Somebody with bytes to send at the end of this event-loop turn. */
export interface TurnMember {
  /** Adds what belongs in the recording before anything is sent. */
  prepare(): void
  /** The recording is written: send. */
  deliver(): void
  /** The recording could not be written: send nothing of this turn. */
  abandon(error: unknown): void
}

/**
 * Evidence first, at the price of one write. Everything that sessions do in one turn of the event loop is collected;
 * at its end the journal is written once, for all of them, and only then does a byte leave for upstream or client.
 */
export class Turn {
  readonly #journal: Journal
  #members: TurnMember[] = []
  #armed = false
  #mustSync = false

  constructor(journal: Journal) {
    this.#journal = journal
  }

  /** Adds a member once per turn; it keeps its own note of whether it was added. */
  add(member: TurnMember): void {
    this.#members.push(member)
    if (this.#armed) return
    this.#armed = true
    setImmediate(this.#run)
  }

  /** This turn's entries must be on the disk, not only in the kernel, before anything is sent. */
  requireSync(): void {
    this.#mustSync = true
  }

  readonly #run = (): void => {
    const members = this.#members
    this.#members = []
    this.#armed = false
    const sync = this.#mustSync
    this.#mustSync = false
    try {
      for (const member of members) member.prepare()
      if (sync) this.#journal.sync()
      else this.#journal.flush()
    } catch (error) {
      for (const member of members) member.abandon(error)
      return
    }
    for (const member of members) {
      // One session's fault must not cost the others their turn.
      try {
        member.deliver()
      } catch (error) {
        member.abandon(error)
      }
    }
  }
}
