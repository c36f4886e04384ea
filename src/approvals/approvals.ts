import type {
  AbortWatch,
  AdminHead,
  Clock,
  ConnectionName,
  IdentityChain,
  RandomBytes,
  Review,
  SessionId,
  Ticket,
} from '../core/index.ts'
import { chainKey, describeChain, GatewayError, identityKey, LIMITS, newTicket } from '../core/index.ts'
import type { MayAnswer } from './answering.ts'
import {
  type Answer,
  type Approval,
  type ApprovalInput,
  type ApprovalState,
  type GivenAnswer,
  isOpen,
} from './approval.ts'
import { Deadlines } from './deadlines.ts'
import { refuseRevoked } from './emergency.ts'
import { emptiedAtEnd, erased } from './erased.ts'
import { mutedError } from './muted.ts'
import type { ApprovalStore } from './port.ts'
import { offered, type Use } from './reuse.ts'
import { KnownRoutes, type Routes } from './route.ts'
import { Lanes, Serial } from './serial.ts'
import { Shelf } from './shelf.ts'
import {
  answered,
  disowned,
  escalated,
  escalationAt,
  examined,
  lapsed,
  outlived,
  revoked,
  standsFor,
  superseded,
  taken,
  unmuted,
  used,
  withdrawn,
} from './transitions.ts'
import { Waiters, type WaitOutcome } from './waiters.ts'

export type ApprovalsOptions = {
  readonly store: ApprovalStore
  readonly clock: Clock
  readonly random: RandomBytes
  /** The routes in force. */
  readonly routes: () => Routes
  /** Whether this person holds the approver role for this request, and is not blocked. */
  readonly mayAnswer: MayAnswer
  /** Puts every change into the recording, durably, before it takes effect; when it rejects there is no change. */
  readonly record: (head: AdminHead) => Promise<void>
  /** Told of faults that no caller can be told of: a listener that threw, an expiry that could not be stored. */
  readonly onFault: (error: unknown) => void
  /** How long a request waits for an answer, and how long an approval for one use can be used. */
  readonly pendingMs?: number
  readonly usableMs?: number
}

export type ApprovalFilter = {
  readonly states?: readonly ApprovalState[]
  /** Requests in whose chain this identity occurs, by its key. */
  readonly identity?: string
  readonly connection?: string
}

export interface Approvals {
  /**
   * The approval that stands for this command already, else the open request with the same fingerprint, else a new one;
   * durable when it resolves. A request for the same command under other definitions is superseded. Throws
   * `limit_exceeded` when who acts, or whom it is for, has LIMITS.ticketsOpenMax open, `approval_refused` when it is
   * muted on this connection, `recording_unavailable`.
   */
  open(input: ApprovalInput): Promise<Approval>
  /**
   * Waits at most `patienceMs` for an answer; aborting `signal` ends it at once. Never changes the request. With `use`, what
   * waits: `elsewhere` as soon as another approval stands for it, which `open` then gives.
   */
  wait(ticket: Ticket, patienceMs: number, signal: AbortWatch, use?: Use): Promise<WaitOutcome>
  /**
   * A person with a fresh login opens access for itself, without being granted it; the same again is the one that is open.
   * Throws `unauthenticated`, `denied`, `invalid`, `limit_exceeded`, `recording_unavailable`, and `approval_refused` while a mute
   * stands or one that was taken back would still run.
   */
  breakGlass(input: ApprovalInput, answer: Pick<Answer, 'proof' | 'reason'>): Promise<Approval>
  /** Takes the approval for this command: true at most as often as was approved, and durable before it resolves. */
  consume(ticket: Ticket, use: Use): Promise<boolean>
  /**
   * One person's answer. Throws `unauthenticated` without a fresh login, `denied` for who must not answer or not so,
   * `invalid`, `conflict` when it is answered already or another step comes first, `not_found`.
   */
  answer(ticket: Ticket, answer: Answer): Promise<Approval>
  /**
   * Whether this person may answer a request that waits, in any step and at any hour: only who may is shown what it would do. Throws
   * as `answer` does.
   */
  examine(ticket: Ticket, answer: Pick<Answer, 'proof' | 'through'>): Promise<Approval>
  /** Who asked takes the request back. Throws `denied`, `conflict`, `not_found`. */
  withdraw(ticket: Ticket, by: IdentityChain): Promise<Approval>
  /** Lets go of what a request says of its command, which was erased from the recording: one that is open does when it ends. */
  forget(ticket: Ticket): Promise<void>
  /**
   * Lifts the mute that a refusal has set, as a person who may answer the request. Throws `unauthenticated`, `denied`,
   * `conflict` when there is none, `not_found`.
   */
  unmute(ticket: Ticket, answer: Pick<Answer, 'proof' | 'through'>): Promise<Approval>
  /** Takes an approval back; whether `by` may is for the caller to know. Throws `conflict`, `not_found`. */
  revoke(ticket: Ticket, by: string): Promise<Approval>
  /** Ends what does not stand any more: the configuration is another one. Faults are told to `onFault`. */
  supersede(stands: (approval: Approval) => boolean): Promise<void>
  /** A session is over, and what was approved for it. Faults are told to `onFault`. */
  sessionEnded(session: SessionId): void
  /** A request that is open or ended lately; older ones are in the store. */
  get(ticket: Ticket): Approval | undefined
  find(ticket: Ticket): Promise<Approval | undefined>
  /** Those that `get` knows, newest first. */
  list(filter?: ApprovalFilter): readonly Approval[]
  /** Those of this very chain on this connection. */
  of(chain: IdentityChain, connection: ConnectionName): readonly Approval[]
  /** Calls the listener after every change, with the request as it then is. Returns how to stop that. */
  onChange(listener: (approval: Approval) => void): () => void
  /** Takes over what other nodes did to one request, or to all: waits here end as if it had been done here. */
  refresh(ticket?: Ticket): Promise<void>
  /** Ends the timers. What is open stays open, in the store. */
  stop(): void
}

/** What a request becomes, through whom, and what else the recording says of it. */
type Change = {
  readonly next: Approval
  readonly by: string
  /** Absent: the state it has then. */
  readonly event?: 'answered' | 'escalated' | 'used' | 'emergency' | 'unmuted'
  readonly given?: GivenAnswer | undefined
  readonly use?: Use
  readonly reason?: string | undefined
}

/** Attempts at a change that another process keeps getting ahead of, and at a ticket that is taken. */
const ATTEMPTS_MAX = 8
/** Requests that are being stored at once; they share their commits. */
const INSERTS_MAX = 256
const NO_REVIEW: readonly Review[] = []
const NO_ANSWERS: readonly GivenAnswer[] = []
/** After an expiry could not be stored. */
const EXPIRY_RETRY_MS = 1000

/** Loads what is open and begins to watch its deadlines. Nothing runs by itself. */
export async function createApprovals(options: ApprovalsOptions): Promise<Approvals> {
  const loaded = await options.store.load(LIMITS.ticketsAnsweredKept, options.clock.now())
  return new Desk(options, loaded)
}

class Desk implements Approvals {
  readonly #options: ApprovalsOptions
  readonly #shelf = new Shelf()
  readonly #waiters: Waiters
  readonly #deadlines: Deadlines
  readonly #listeners = new Set<(approval: Approval) => void>()
  readonly #serial = new Serial()
  readonly #routes = new KnownRoutes()
  readonly #lanes = new Lanes(INSERTS_MAX)

  constructor(options: ApprovalsOptions, loaded: readonly Approval[]) {
    this.#options = options
    this.#waiters = new Waiters(options.clock, {
      state: (ticket) => this.get(ticket)?.state,
      stands: (use) => this.#standing(use) !== undefined,
    })
    this.#deadlines = new Deadlines(options.clock, () => this.#meetDeadlines())
    const oldestFirst = [...loaded].sort((a, b) => (a.endedAt ?? a.createdAt) - (b.endedAt ?? b.createdAt))
    for (const approval of oldestFirst) this.#shelf.keep(approval)
    this.#watchDeadlines()
  }

  open(input: ApprovalInput): Promise<Approval> {
    return this.#serial.run(`fingerprint ${input.fingerprint}`, async () => {
      const standing = this.#standing(input)
      if (standing !== undefined) {
        await this.#letGo(input, standing)
        return standing
      }
      const joined = await this.#join(input.fingerprint)
      if (joined !== undefined) return joined
      await this.#supersedeKin(input)
      this.#refuseMuted(input)
      return await this.#lanes.run(() =>
        this.#insert(() => ({ next: this.#make(input), by: describeChain(input.chain) })),
      )
    })
  }

  breakGlass(input: ApprovalInput, answer: Pick<Answer, 'proof' | 'reason'>): Promise<Approval> {
    const { clock } = this.#options
    return this.#serial.run(`fingerprint ${input.fingerprint}`, async () => {
      // Who may not take it is not told whether it is open.
      taken(this.#make(input), answer, clock.now())
      const open = await this.#join(input.fingerprint)
      if (open !== undefined) return open
      refuseRevoked(this.#shelf.all(), input, clock)
      this.#refuseMuted(input)
      return await this.#insert(() => ({
        next: taken(this.#make(input), answer, clock.now()),
        by: describeChain(input.chain),
        event: 'emergency',
        reason: answer.reason,
      }))
    })
  }

  /** Records and stores a request under a ticket that nobody has, or gives the one with which another process was first. */
  async #insert(make: () => Change): Promise<Approval> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const change = make()
      const { next: made } = change
      this.#shelf.reserve(made.chain, made.ticket)
      try {
        await this.#record(change)
        if (await this.#options.store.insert(made)) {
          this.#changed(made)
          return made
        }
      } finally {
        if (this.#shelf.get(made.ticket) === undefined) this.#shelf.release(made.chain, made.ticket)
      }
      await this.#recordVoid(change)
      const other = await this.#options.store.findOpen(made.fingerprint)
      if (other !== undefined) {
        this.#changed(other)
        return other
      }
    }
    throw new GatewayError('conflict', 'No ticket could be made for this.', { retry: 'later' })
  }

  wait(ticket: Ticket, patienceMs: number, signal: AbortWatch, use?: Use): Promise<WaitOutcome> {
    return this.#waiters.wait(ticket, patienceMs, signal, use)
  }

  async consume(ticket: Ticket, use: Use): Promise<boolean> {
    const { mayAnswer } = this.#options
    const taken = await this.#change(ticket, (approval, now) => {
      const over = disowned(approval, now, mayAnswer)
      if (over !== undefined) return { next: over, by: 'gateway' }
      const next = used(approval, use, now)
      return next && { next, by: describeChain(approval.chain), event: 'used', use }
    })
    // A store that took its time must not stretch the approval: it is spent then, and nothing runs.
    return taken !== undefined && taken.state !== 'revoked' && this.#options.clock.now() < taken.expiresAt
  }

  async answer(ticket: Ticket, answer: Answer): Promise<Approval> {
    const { mayAnswer, usableMs = LIMITS.approvalUsableMs } = this.#options
    const changed = await this.#change(ticket, (approval, now) => {
      const next = answered(approval, answer, now, mayAnswer, usableMs)
      const given = next.answers.at(-1)
      const by = given === undefined ? 'nobody' : identityKey(given.by)
      // A yes that is one of several needed leaves the request pending, and is an event of its own all the same.
      return next.state === 'pending' ? { next, by, given, event: 'answered' } : { next, by, given }
    })
    return known(changed, ticket)
  }

  async examine(ticket: Ticket, answer: Pick<Answer, 'proof' | 'through'>): Promise<Approval> {
    const { mayAnswer, clock } = this.#options
    const approval = known(await this.find(ticket), ticket)
    examined(approval, answer, clock.now(), mayAnswer)
    return approval
  }

  async withdraw(ticket: Ticket, by: IdentityChain): Promise<Approval> {
    const changed = await this.#change(ticket, (approval, now) => ({
      next: withdrawn(approval, by, now),
      by: describeChain(by),
    }))
    return known(changed, ticket)
  }

  async revoke(ticket: Ticket, by: string): Promise<Approval> {
    const changed = await this.#change(ticket, (approval, now) => ({ next: revoked(approval, now), by }))
    return known(changed, ticket)
  }

  async unmute(ticket: Ticket, answer: Pick<Answer, 'proof' | 'through'>): Promise<Approval> {
    const { mayAnswer } = this.#options
    const changed = await this.#change(ticket, (approval, now) => {
      const { next, person } = unmuted(approval, answer, now, mayAnswer)
      return { next, by: identityKey(person), event: 'unmuted' }
    })
    return known(changed, ticket)
  }

  async supersede(stands: (approval: Approval) => boolean): Promise<void> {
    const stale = [...this.#shelf.open()].filter((approval) => !stands(approval))
    await Promise.all(
      stale.map(({ ticket }) => this.#byGateway(ticket, superseded).catch(this.#options.onFault)),
    )
  }

  sessionEnded(session: SessionId): void {
    for (const { ticket } of this.#shelf.ofSession(session)) {
      this.#byGateway(ticket, outlived).catch(this.#options.onFault)
    }
  }

  get(ticket: Ticket): Approval | undefined {
    const approval = this.#shelf.get(ticket)
    return approval && this.#asItIs(approval)
  }

  async find(ticket: Ticket): Promise<Approval | undefined> {
    const approval = this.#shelf.get(ticket) ?? (await this.#options.store.get(ticket))
    return approval && this.#asItIs(approval)
  }

  list(filter: ApprovalFilter = {}): readonly Approval[] {
    const { states, identity, connection } = filter
    const found: Approval[] = []
    for (const each of this.#shelf.all()) {
      const approval = this.#asItIs(each)
      if (states !== undefined && !states.includes(approval.state)) continue
      if (connection !== undefined && approval.connection !== connection) continue
      if (identity !== undefined && !approval.chain.some((one) => identityKey(one) === identity)) continue
      found.push(approval)
    }
    return found.sort((a, b) => b.createdAt - a.createdAt)
  }

  of(chain: IdentityChain, connection: ConnectionName): readonly Approval[] {
    const whose = chainKey(chain)
    return this.list({ connection }).filter((approval) => chainKey(approval.chain) === whose)
  }

  onChange(listener: (approval: Approval) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async refresh(ticket?: Ticket): Promise<void> {
    const { store } = this.#options
    if (ticket !== undefined) {
      const stored = await store.get(ticket)
      if (stored !== undefined) this.#learn(stored)
      return
    }
    const now = this.#options.clock.now()
    // One that ended and is not known was forgotten; but a refusal may say more than its own end.
    for (const stored of await store.load(LIMITS.ticketsAnsweredKept, now)) {
      const isMute = (stored.mutedUntil ?? 0) > now
      if (isOpen(stored) || isMute || this.#shelf.get(stored.ticket) !== undefined) this.#learn(stored)
    }
  }

  stop(): void {
    this.#deadlines.stop()
  }

  /** What was asked for the very command that another approval lets run by now: nobody has to answer it any more. */
  async #letGo({ fingerprint, chain }: ApprovalInput, { reuse }: Approval): Promise<void> {
    const ticket = this.#shelf.openOf(fingerprint)
    // What is approved for one session says nothing of others that may wait for the same.
    if (ticket === undefined || reuse?.kind !== 'shape' || this.#waiters.has(ticket)) return
    await this.#change(ticket, (approval, now) =>
      approval.state === 'pending' && now < approval.expiresAt
        ? { next: withdrawn(approval, chain, now), by: describeChain(chain) }
        : undefined,
    ).catch(this.#options.onFault)
  }

  /** What was approved for more than this very command, if it stands for it. */
  #standing({
    requestId,
    session,
    fingerprint,
    shape,
  }: Pick<ApprovalInput, keyof Use>): Approval | undefined {
    if (requestId === undefined || session === undefined) return undefined
    const use = { requestId, session, fingerprint, shape }
    const now = this.#options.clock.now()
    return this.#shelf.reusable(use.shape).find((approval) => standsFor(approval, use, now))
  }

  /** The open request with this fingerprint, unless its time is up: then it is ended first. */
  async #join(fingerprint: string): Promise<Approval | undefined> {
    const ticket = this.#shelf.openOf(fingerprint)
    if (ticket === undefined) return undefined
    await this.#byGateway(ticket, lapsed)
    // By now it may be for a session alone, or for more commands than one.
    if (this.#shelf.openOf(fingerprint) !== ticket) return undefined
    const approval = this.#shelf.get(ticket)
    return approval !== undefined && isOpen(approval) ? approval : undefined
  }

  forget(ticket: Ticket): Promise<void> {
    const { store } = this.#options
    return this.#serial.run(`ticket ${ticket}`, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const approval = await store.get(ticket)
        const next = approval && erased(approval)
        if (approval === undefined || next === undefined) return
        if (!(await store.replace(next, approval.revision))) continue
        if (this.#shelf.get(ticket) !== undefined) this.#shelf.keep(next)
        if (!isOpen(next)) await store.scrub()
        return
      }
      throw new GatewayError('conflict', `${ticket} is being changed by others.`, { ticket, retry: 'later' })
    })
  }

  /** The same command under other definitions: what was asked then is not what would run. */
  async #supersedeKin({ kin, definitions }: ApprovalInput): Promise<void> {
    if (definitions === undefined) return
    for (const { ticket, definitions: then } of this.#shelf.kin(kin)) {
      if (then !== undefined && then !== definitions) await this.#byGateway(ticket, superseded)
    }
  }

  #refuseMuted({ chain, connection }: ApprovalInput): void {
    const mute = this.#shelf.muted(chain, connection, this.#options.clock.now())
    if (mute === undefined) return
    const { ticket } = mute
    throw mutedError(ticket, this.#shelf.get(ticket)?.answers)
  }

  #make(input: ApprovalInput): Approval {
    const now = this.#options.clock.now()
    const open = this.#shelf.openCount(input.chain)
    if (open >= LIMITS.ticketsOpenMax) {
      throw new GatewayError('limit_exceeded', 'Wait: too many approval requests of yours are open.', {
        remedy: 'Have some answered, or withdraw them, and try again.',
        retry: 'later',
        facts: { open, openMax: LIMITS.ticketsOpenMax },
      })
    }
    const { review = NO_REVIEW, ...asked } = input
    return {
      ...asked,
      ...offered(review, asked),
      route: this.#routes.routeFor(review, this.#options.routes()),
      ...(review.some(({ effectRequired }) => effectRequired) ? { effectRequired: true } : {}),
      ticket: newTicket(this.#options.random),
      state: 'pending',
      revision: 1,
      createdAt: now,
      expiresAt: now + (this.#options.pendingMs ?? LIMITS.ticketMs),
      answers: NO_ANSWERS,
      uses: 0,
    }
  }

  /**
   * One change: decided on what is known, recorded, then stored under the revision it was decided on. When another
   * process was faster, decided again on what it left. `decide` throws or gives nothing when there is no change.
   */
  #change(
    ticket: Ticket,
    decide: (approval: Approval, now: number) => Change | undefined,
  ): Promise<Approval | undefined> {
    const { store, clock } = this.#options
    return this.#serial.run(`ticket ${ticket}`, async () => {
      let approval = this.#shelf.get(ticket) ?? (await store.get(ticket))
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const change = decide(known(approval, ticket), clock.now())
        if (change === undefined) return undefined
        const next = emptiedAtEnd(change.next)
        await this.#record(change)
        if (await store.replace(next, next.revision - 1)) {
          if (next !== change.next) store.scrub().catch(this.#options.onFault)
          this.#changed(next)
          return next
        }
        await this.#recordVoid(change)
        approval = await store.get(ticket)
        if (approval !== undefined) this.#changed(approval)
      }
      throw new GatewayError('conflict', `${ticket} is being changed by others.`, { ticket, retry: 'later' })
    })
  }

  #byGateway(
    ticket: Ticket,
    transition: (approval: Approval, now: number) => Approval | undefined,
    event?: Change['event'],
  ): Promise<Approval | undefined> {
    return this.#change(ticket, (approval, now) => {
      const next = transition(approval, now)
      return next && { next, by: 'gateway', ...(event === undefined ? {} : { event }) }
    })
  }

  async #record({ next, by, event, given, use, reason = given?.reason }: Change): Promise<void> {
    const { ticket, state, fingerprint, revision, reuse, effect, access } = next
    const requestId = use?.requestId ?? next.requestId
    await this.#options.record({
      action: `approval.${event ?? state}`,
      by,
      target: ticket,
      details: {
        ...(requestId !== undefined && { requestId }),
        ...(access !== undefined && { access: access.name, ms: access.ms, connection: next.connection }),
        fingerprint,
        revision,
        ...(given && {
          verdict: given.verdict,
          through: given.through,
          login: given.method,
          step: given.step + 1,
        }),
        ...(reason !== undefined && { reason }),
        ...(state === 'approved' && reuse !== undefined && { reuse: reuse.kind }),
        ...(effect !== undefined && { leastRows: effect.least, mostRows: effect.most }),
        ...(use !== undefined && { use: next.uses, command: use.fingerprint }),
        ...(next.mutedUntil !== undefined && { mutedUntil: next.mutedUntil }),
      },
    })
  }

  /** What was just recorded did not come about: another process was faster. Two entries have one revision now. */
  async #recordVoid({ next, event }: Change): Promise<void> {
    const { ticket, state, fingerprint, revision } = next
    await this.#options.record({
      action: 'approval.void',
      by: 'gateway',
      target: ticket,
      details: { fingerprint, revision, of: `approval.${event ?? state}` },
    })
  }

  /** A request whose time is up is expired for everyone, whether or not that has been stored yet. */
  #asItIs(approval: Approval): Approval {
    return lapsed(approval, this.#options.clock.now()) ?? approval
  }

  #learn(stored: Approval): void {
    if (stored.revision > (this.#shelf.get(stored.ticket)?.revision ?? 0)) this.#changed(stored)
  }

  #changed(approval: Approval): void {
    // Another node may have been faster, and that it was may be known already.
    if (approval.revision < (this.#shelf.get(approval.ticket)?.revision ?? 0)) return
    this.#shelf.keep(approval)
    if (isOpen(approval)) this.#deadlines.noLaterThan(dueAt(approval))
    this.#waiters.wake(approval.ticket)
    const { state, reuse, shape } = approval
    if (state === 'approved' && reuse !== undefined && reuse.kind !== 'times') this.#waiters.wakeShape(shape)
    for (const listener of this.#listeners) {
      try {
        listener(approval)
      } catch (error) {
        this.#options.onFault(error)
      }
    }
  }

  /** Looks at all that is open: asked for when something is due, not at every change. */
  #watchDeadlines(notBefore = 0): void {
    let earliest = Number.POSITIVE_INFINITY
    for (const approval of this.#shelf.open()) earliest = Math.min(earliest, dueAt(approval))
    this.#deadlines.set(Math.max(earliest, notBefore))
  }

  async #meetDeadlines(): Promise<void> {
    const now = this.#options.clock.now()
    let notBefore = 0
    for (const approval of this.#shelf.open()) {
      const { ticket } = approval
      try {
        if (lapsed(approval, now) !== undefined) await this.#byGateway(ticket, lapsed)
        else if (escalated(approval, now) !== undefined) await this.#byGateway(ticket, escalated, 'escalated')
      } catch (error) {
        this.#options.onFault(error)
        notBefore = now + EXPIRY_RETRY_MS
      }
    }
    this.#watchDeadlines(notBefore)
  }
}

/** When something happens to it by itself. */
function dueAt(approval: Approval): number {
  return Math.min(approval.expiresAt, escalationAt(approval) ?? approval.expiresAt)
}

function known(approval: Approval | undefined, ticket: Ticket): Approval {
  if (approval !== undefined) return approval
  throw new GatewayError('not_found', `There is no approval request ${ticket}.`, { ticket })
}
