import type { ConnectionName, IdentityChain, SessionId, Ticket } from '../core/index.ts'
import { identityKey, LIMITS } from '../core/index.ts'
import type { Approval } from './approval.ts'
import { openKeyOf } from './approval.ts'
import { Several } from './several.ts'

/** Requests that are open or ended lately, and where each is found. Bounded: of the ended ones the oldest go. */
export class Shelf {
  readonly #known = new Map<Ticket, Approval>()
  readonly #openByKey = new Map<string, Ticket>()
  readonly #keys = new Map<Ticket, string>()
  readonly #openBySubject = new Several<string, Ticket>()
  readonly #openByKin = new Several<string, Ticket>()
  readonly #reusableByShape = new Several<string, Ticket>()
  readonly #reusableBySession = new Several<SessionId, Ticket>()
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

  /** Of the one of this chain that has most. */
  openCount(chain: IdentityChain): number {
    return Math.max(...subjectsOf(chain).map((subject) => this.#openBySubject.count(subject)))
  }

  /** Counts a ticket that is not kept yet. */
  reserve(chain: IdentityChain, ticket: Ticket): void {
    for (const subject of subjectsOf(chain)) this.#openBySubject.add(subject, ticket)
  }

  release(chain: IdentityChain, ticket: Ticket): void {
    for (const subject of subjectsOf(chain)) this.#openBySubject.remove(subject, ticket)
  }

  /** Whether this chain may not ask for anything on this connection, and by which refusal. */
  muted(
    chain: IdentityChain,
    connection: ConnectionName,
    now: number,
  ): { readonly ticket: Ticket } | undefined {
    for (const subject of subjectsOf(chain)) {
      const key = `${connection} ${subject}`
      const mute = this.#mutes.get(key)
      if (mute !== undefined && now < mute.until) return mute
      this.#mutes.delete(key)
    }
    return undefined
  }

  keep(approval: Approval): void {
    const { ticket, kin, shape, session, mutedUntil } = approval
    this.#known.set(ticket, approval)
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
      this.reserve(approval.chain, ticket)
      return
    }
    this.#openByKin.remove(kin, ticket)
    this.release(approval.chain, ticket)
    for (const subject of subjectsOf(approval.chain)) {
      if (mutedUntil === undefined) this.#unmute(approval, subject)
      else this.#mute(approval, subject, mutedUntil)
    }
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
  #unmute({ ticket, connection }: Approval, subject: string): void {
    const key = `${connection} ${subject}`
    if (this.#mutes.get(key)?.ticket !== ticket) return
    this.#mutes.delete(key)
    for (const each of this.#known.values()) {
      const { mutedUntil, connection: on } = each
      if (mutedUntil !== undefined && on === connection && subjectsOf(each.chain).includes(subject))
        this.#mute(each, subject, mutedUntil)
    }
  }

  #found(tickets: Iterable<Ticket>): readonly Approval[] {
    return [...tickets].flatMap((ticket) => this.#known.get(ticket) ?? [])
  }
}

/**
 * Whose requests those of a chain are: of who acts, and of whom it is for in the end. An agent gets no more by making
 * sub-agents, and none by acting for somebody else.
 */
function subjectsOf(chain: IdentityChain): readonly string[] {
  return [...new Set([identityKey(chain[0]), identityKey(chain.at(-1) ?? chain[0])])]
}
