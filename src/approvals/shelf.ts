import type { ConnectionName, IdentityChain, SessionId, Ticket } from '../core/index.ts'
import { identityKey, LIMITS } from '../core/index.ts'
import type { Approval } from './approval.ts'
import { openKeyOf } from './approval.ts'

/** Requests that are open or ended lately, and where each is found. Bounded: of the ended ones the oldest go. */
export class Shelf {
  readonly #known = new Map<Ticket, Approval>()
  readonly #openByKey = new Map<string, Ticket>()
  readonly #keys = new Map<Ticket, string>()
  readonly #openBySubject = new Sets<string>()
  readonly #openByKin = new Sets<string>()
  readonly #reusableByShape = new Sets<string>()
  readonly #reusableBySession = new Sets<SessionId>()
  readonly #mutes = new Map<string, { readonly until: number; readonly ticket: Ticket }>()
  readonly #ended = new Set<Ticket>()

  get(ticket: Ticket): Approval | undefined {
    return this.#known.get(ticket)
  }

  all(): Iterable<Approval> {
    return this.#known.values()
  }

  *open(): Iterable<Approval> {
    for (const ticket of this.#openByKey.values()) {
      const approval = this.#known.get(ticket)
      if (approval !== undefined) yield approval
    }
  }

  /** The open request that has this key (`openKeyOf`): its fingerprint, unless it is for one session. */
  openOf(fingerprint: string): Ticket | undefined {
    return this.#openByKey.get(fingerprint)
  }

  /** Approved for more than one use, for commands of this shape. */
  reusable(shape: string): readonly Approval[] {
    return this.#found(this.#reusableByShape.of(shape))
  }

  /** Approved for what a session does until it ends. */
  ofSession(session: SessionId): readonly Approval[] {
    return this.#found(this.#reusableBySession.of(session))
  }

  /** Open, for the same command under whatever definitions. */
  kin(kin: string): readonly Approval[] {
    return this.#found(this.#openByKin.of(kin))
  }

  openCount(subject: string): number {
    return this.#openBySubject.of(subject).size
  }

  /** Counts a ticket that is not kept yet. */
  reserve(subject: string, ticket: Ticket): void {
    this.#openBySubject.add(subject, ticket)
  }

  release(subject: string, ticket: Ticket): void {
    this.#openBySubject.remove(subject, ticket)
  }

  /** Whether this subject may not ask for anything on this connection, and by which refusal. */
  muted(subject: string, connection: ConnectionName, now: number): { readonly ticket: Ticket } | undefined {
    const key = `${connection} ${subject}`
    const mute = this.#mutes.get(key)
    if (mute === undefined) return undefined
    if (now < mute.until) return mute
    this.#mutes.delete(key)
    return undefined
  }

  keep(approval: Approval): void {
    const { ticket, kin, shape, session, mutedUntil } = approval
    this.#known.set(ticket, approval)
    const subject = subjectOf(approval.chain)
    const reuse = approval.state === 'approved' ? approval.reuse?.kind : undefined
    if (reuse === 'shape' || reuse === 'session') this.#reusableByShape.add(shape, ticket)
    else this.#reusableByShape.remove(shape, ticket)
    if (session !== undefined) {
      if (reuse === 'session') this.#reusableBySession.add(session, ticket)
      else this.#reusableBySession.remove(session, ticket)
    }
    const key = openKeyOf(approval)
    const before = this.#keys.get(ticket)
    if (before !== undefined && before !== key) {
      this.#keys.delete(ticket)
      if (this.#openByKey.get(before) === ticket) this.#openByKey.delete(before)
    }
    if (key !== undefined) {
      this.#openByKey.set(key, ticket)
      this.#keys.set(ticket, key)
      this.#openByKin.add(kin, ticket)
      this.reserve(subject, ticket)
      return
    }
    this.#openByKin.remove(kin, ticket)
    this.release(subject, ticket)
    if (mutedUntil === undefined) this.#unmute(approval, subject)
    else this.#mute(approval, subject, mutedUntil)
    this.#ended.add(ticket)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= LIMITS.ticketsAnsweredKept) break
      this.#ended.delete(oldest)
      this.#known.delete(oldest)
    }
  }

  #mute({ ticket, connection, endedAt = 0 }: Approval, subject: string, until: number): void {
    for (const [key, mute] of this.#mutes) if (mute.until <= endedAt) this.#mutes.delete(key)
    const key = `${connection} ${subject}`
    if (until > (this.#mutes.get(key)?.until ?? 0)) this.#mutes.set(key, { until, ticket })
  }

  /** The mute was lifted; the one of another refusal stands, whose end was not later. */
  #unmute({ ticket, connection, chain }: Approval, subject: string): void {
    const key = `${connection} ${subject}`
    if (this.#mutes.get(key)?.ticket !== ticket) return
    this.#mutes.delete(key)
    for (const each of this.#known.values()) {
      const { mutedUntil, connection: on } = each
      if (mutedUntil !== undefined && on === connection && subjectOf(each.chain) === subjectOf(chain))
        this.#mute(each, subject, mutedUntil)
    }
  }

  #found(tickets: ReadonlySet<Ticket>): readonly Approval[] {
    return [...tickets].flatMap((ticket) => this.#known.get(ticket) ?? [])
  }
}

/** For whom everything in a chain happens in the end: an agent cannot get more tickets by making sub-agents. */
export function subjectOf(chain: IdentityChain): string {
  return identityKey(chain.at(-1) ?? chain[0])
}

const NONE: ReadonlySet<Ticket> = new Set()

/** Tickets by something that several may share. */
class Sets<K> {
  readonly #sets = new Map<K, Set<Ticket>>()

  of(key: K): ReadonlySet<Ticket> {
    return this.#sets.get(key) ?? NONE
  }

  add(key: K, ticket: Ticket): void {
    const set = this.#sets.get(key) ?? new Set()
    this.#sets.set(key, set.add(ticket))
  }

  remove(key: K, ticket: Ticket): void {
    const set = this.#sets.get(key)
    if (set?.delete(ticket) === true && set.size === 0) this.#sets.delete(key)
  }
}
