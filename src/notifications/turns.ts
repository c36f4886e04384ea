import type { Approval } from '../approvals/index.ts'
import type { Ticket } from '../core/index.ts'
import { identityKey } from '../core/index.ts'
import type { Notification } from './port.ts'

/** As many requests as are remembered by whose they are. */
const KNOWN_MAX = 10_000
/** Of whom nothing is known any more. */
const NOBODY = ''

/**
 * Whose message comes next on one channel. Everybody who asks has turns of the own, by whom it is for in the end, as for other bounds:
 * who asks for much, or for something that a receiver fails on, delays what is the own, and nobody else. Emergencies come first.
 */
export class Turns {
  readonly #find: (ticket: Ticket) => Promise<Approval | undefined>
  readonly #whose = new Map<Ticket, string>()
  /** Those who had a turn, the latest last. */
  readonly #served = new Set<string>()
  readonly #failing = new Map<string, { readonly failures: number; readonly notBefore: number }>()

  constructor(find: (ticket: Ticket) => Promise<Approval | undefined>) {
    this.#find = find
  }

  /** What may go out now, in the order in which it should. */
  async order(due: readonly Notification[], now: number): Promise<readonly Notification[]> {
    const unknown = due.filter(({ ticket }) => !this.#whose.has(ticket))
    if (unknown.length > 0) await Promise.all(unknown.map(({ ticket }) => this.#learn(ticket)))
    const urgent = due.filter(isUrgent)
    const queues = new Map<string, Notification[]>()
    for (const each of due) {
      if (isUrgent(each)) continue
      const who = this.whose(each.ticket)
      if (now < (this.#failing.get(who)?.notBefore ?? 0)) continue
      const queue = queues.get(who)
      if (queue === undefined) queues.set(who, [each])
      else queue.push(each)
    }
    const served = [...this.#served]
    const turns = [...queues].sort(([a], [b]) => served.indexOf(a) - served.indexOf(b))
    // What was not tried yet comes before what has failed.
    for (const [, queue] of turns) queue.sort((a, b) => a.attempts - b.attempts)
    urgent.sort((a, b) => a.attempts - b.attempts)
    const longest = Math.max(0, ...turns.map(([, queue]) => queue.length))
    const rounds = Array.from({ length: longest }, (_, round) =>
      turns.flatMap(([, queue]) => queue[round] ?? []),
    )
    return [...urgent, ...rounds.flat()]
  }

  /** When the first of those may be tried again who wait because of a failure; undefined: nobody does. */
  nextAt(now: number): number | undefined {
    const times = [...this.#failing.values()].map(({ notBefore }) => notBefore).filter((at) => at > now)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** They had a turn. */
  served(ticket: Ticket): void {
    const who = this.whose(ticket)
    this.#served.delete(who)
    this.#served.add(who)
    forget(this.#served)
  }

  worked(ticket: Ticket): void {
    this.#failing.delete(this.whose(ticket))
  }

  /** How often theirs have failed in a row, with this one. */
  failuresOf(ticket: Ticket): number {
    return (this.#failing.get(this.whose(ticket))?.failures ?? 0) + 1
  }

  /** Nothing of theirs before then. */
  failed(ticket: Ticket, failures: number, notBefore: number): void {
    const who = this.whose(ticket)
    this.#failing.delete(who)
    this.#failing.set(who, { failures, notBefore })
    forget(this.#failing)
  }

  /** Whose request it is, of one that was among those that `order` was given. */
  whose(ticket: Ticket): string {
    return this.#whose.get(ticket) ?? NOBODY
  }

  async #learn(ticket: Ticket): Promise<void> {
    const last = (await this.#find(ticket))?.chain.at(-1)
    this.#whose.set(ticket, last === undefined ? NOBODY : identityKey(last))
    forget(this.#whose)
  }
}

/** Somebody has taken access that nobody granted. */
function isUrgent({ event }: Notification): boolean {
  return event === 'emergency'
}

/** Without the oldest, where they are too many. */
function forget<K>(known: Map<K, unknown> | Set<K>): void {
  if (known.size <= KNOWN_MAX) return
  const [oldest] = known.keys()
  if (oldest !== undefined) known.delete(oldest)
}
