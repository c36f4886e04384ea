import type { AdminHead, Clock, IdentityChain, RandomBytes, Ticket, Timer } from '../core/index.ts'
import { describeChain, GatewayError, identityKey, LIMITS, newTicket } from '../core/index.ts'
import {
  type Answer,
  type Approval,
  type ApprovalInput,
  type ApprovalState,
  DEFAULT_ROUTE,
  type GivenAnswer,
  isOpen,
} from './approval.ts'
import type { ApprovalStore } from './port.ts'
import { Serial } from './serial.ts'
import { answered, lapsed, type MayAnswer, used, withdrawn } from './transitions.ts'

export type ApprovalsOptions = {
  readonly store: ApprovalStore
  readonly clock: Clock
  readonly random: RandomBytes
  /** Whether this person holds the approver role for this request. */
  readonly mayAnswer: MayAnswer
  /** Puts every change into the recording, durably, before it takes effect; when it throws there is no change. */
  readonly record: (head: AdminHead) => void
  /** Told of faults that no caller can be told of: a listener that threw, an expiry that could not be stored. */
  readonly onFault: (error: unknown) => void
  /** How long a request waits for an answer, and how long an approval can be used. */
  readonly pendingMs?: number
  readonly usableMs?: number
}

export type ApprovalFilter = {
  readonly states?: readonly ApprovalState[]
  /** Requests in whose chain this identity occurs, by its key. */
  readonly identity?: string
  readonly connection?: string
}

/**
 * How a wait ended. `approved`: now `consume`. `refused`: refused, or taken back by who asked. `expired`: lapsed, or
 * used up by another command that had joined. `pending`: patience ran out. `abandoned`: the client has gone.
 */
export type WaitOutcome = 'approved' | 'refused' | 'expired' | 'pending' | 'abandoned'

export interface Approvals {
  /**
   * Joins the open request with the same fingerprint, or makes one; durable when it resolves. Throws `limit_exceeded`
   * when the identity at the end of the chain has LIMITS.ticketsOpenMax open, `recording_unavailable`.
   */
  open(input: ApprovalInput): Promise<Approval>
  /** Waits at most `patienceMs` for an answer; aborting `signal` ends it at once. Never changes the request. */
  wait(ticket: Ticket, patienceMs: number, signal: AbortSignal): Promise<WaitOutcome>
  /** Takes the approval: true exactly once per approved request, and durable before it resolves. */
  consume(ticket: Ticket): Promise<boolean>
  /**
   * One person's answer. Throws `unauthenticated` without a fresh login, `denied` for who must not answer,
   * `conflict` when it is answered already, `not_found`.
   */
  answer(ticket: Ticket, answer: Answer): Promise<Approval>
  /** Who asked takes the request back. Throws `denied`, `conflict`, `not_found`. */
  withdraw(ticket: Ticket, by: IdentityChain): Promise<Approval>
  /** Lets go of what a request that has ended says of its command, which was erased from the recording. */
  forget(ticket: Ticket): Promise<void>
  /** A request that is open or ended lately; older ones are in the store. */
  get(ticket: Ticket): Approval | undefined
  find(ticket: Ticket): Promise<Approval | undefined>
  /** Those that `get` knows, newest first. */
  list(filter?: ApprovalFilter): readonly Approval[]
  /** Calls the listener after every change, with the request as it then is. Returns how to stop that. */
  onChange(listener: (approval: Approval) => void): () => void
  /** Takes over what other nodes did to one request, or to all: waits here end as if it had been done here. */
  refresh(ticket?: Ticket): Promise<void>
  /** Ends the timers. What is open stays open, in the store. */
  stop(): void
}

/** What a request becomes, through whom, and the answer that made it so if it was one. */
type Change = { readonly next: Approval; readonly by: string; readonly given?: GivenAnswer | undefined }

/** Attempts at a change that another process keeps getting ahead of, and at a ticket that is taken. */
const ATTEMPTS_MAX = 8
/** In the place of a text that was erased. */
const ERASED = '[erased]'
/** After an expiry could not be stored. */
const EXPIRY_RETRY_MS = 1000

/** Loads what is open and begins to watch its deadlines. Nothing runs by itself. */
export async function createApprovals(options: ApprovalsOptions): Promise<Approvals> {
  const loaded = await options.store.load(LIMITS.ticketsAnsweredKept)
  return new Desk(options, loaded)
}

class Desk implements Approvals {
  readonly #options: ApprovalsOptions
  readonly #known = new Map<Ticket, Approval>()
  readonly #openByFingerprint = new Map<string, Ticket>()
  readonly #openBySubject = new Map<string, Set<Ticket>>()
  readonly #ended = new Set<Ticket>()
  readonly #waiters = new Map<Ticket, Set<() => void>>()
  readonly #listeners = new Set<(approval: Approval) => void>()
  readonly #serial = new Serial()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(options: ApprovalsOptions, loaded: readonly Approval[]) {
    this.#options = options
    const oldestFirst = [...loaded].sort((a, b) => (a.endedAt ?? a.createdAt) - (b.endedAt ?? b.createdAt))
    for (const approval of oldestFirst) this.#keep(approval)
    this.#watchDeadlines()
  }

  open(input: ApprovalInput): Promise<Approval> {
    return this.#serial.run(`fingerprint ${input.fingerprint}`, async () => {
      const joined = await this.#join(input.fingerprint)
      if (joined !== undefined) return joined
      const subject = subjectOf(input.chain)
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const made = this.#make(input)
        this.#reserve(subject, made.ticket)
        try {
          this.#record(made, describeChain(input.chain))
          if (await this.#options.store.insert(made)) {
            this.#changed(made)
            return made
          }
        } finally {
          if (!this.#known.has(made.ticket)) this.#release(subject, made.ticket)
        }
        // Another process was first with the same command, or the ticket exists.
        const other = await this.#options.store.findOpen(input.fingerprint)
        if (other !== undefined) {
          this.#changed(other)
          return other
        }
      }
      throw new GatewayError('conflict', 'No ticket could be made for this command.', { retry: 'later' })
    })
  }

  wait(ticket: Ticket, patienceMs: number, signal: AbortSignal): Promise<WaitOutcome> {
    const { promise, resolve } = Promise.withResolvers<WaitOutcome>()
    let timer: Timer | undefined
    const end = (outcome: WaitOutcome): void => {
      timer?.cancel()
      signal.removeEventListener('abort', check)
      this.#unwait(ticket, check)
      resolve(outcome)
    }
    const check = (): void => {
      const outcome = signal.aborted ? 'abandoned' : this.#outcome(ticket)
      if (outcome !== 'pending') end(outcome)
    }
    const waiters = this.#waiters.get(ticket) ?? new Set()
    this.#waiters.set(ticket, waiters.add(check))
    signal.addEventListener('abort', check)
    timer = this.#options.clock.after(patienceMs, () =>
      end(signal.aborted ? 'abandoned' : this.#outcome(ticket)),
    )
    check()
    return promise
  }

  async consume(ticket: Ticket): Promise<boolean> {
    const taken = await this.#change(ticket, (approval, now) => {
      const next = used(approval, now)
      return next && { next, by: describeChain(approval.chain) }
    })
    // A store that took its time must not stretch the approval: it is spent then, and nothing runs.
    return taken !== undefined && this.#options.clock.now() < taken.expiresAt
  }

  async answer(ticket: Ticket, answer: Answer): Promise<Approval> {
    const { mayAnswer, usableMs = LIMITS.approvalUsableMs } = this.#options
    const changed = await this.#change(ticket, (approval, now) => {
      const next = answered(approval, answer, now, mayAnswer, usableMs)
      const given = next.answers.at(-1)
      return { next, by: given === undefined ? 'nobody' : identityKey(given.by), given }
    })
    return known(changed, ticket)
  }

  async withdraw(ticket: Ticket, by: IdentityChain): Promise<Approval> {
    const changed = await this.#change(ticket, (approval, now) => ({
      next: withdrawn(approval, by, now),
      by: describeChain(by),
    }))
    return known(changed, ticket)
  }

  get(ticket: Ticket): Approval | undefined {
    const approval = this.#known.get(ticket)
    return approval && this.#asItIs(approval)
  }

  async find(ticket: Ticket): Promise<Approval | undefined> {
    const approval = this.#known.get(ticket) ?? (await this.#options.store.get(ticket))
    return approval && this.#asItIs(approval)
  }

  list(filter: ApprovalFilter = {}): readonly Approval[] {
    const { states, identity, connection } = filter
    const found: Approval[] = []
    for (const each of this.#known.values()) {
      const approval = this.#asItIs(each)
      if (states !== undefined && !states.includes(approval.state)) continue
      if (connection !== undefined && approval.connection !== connection) continue
      if (identity !== undefined && !approval.chain.some((one) => identityKey(one) === identity)) continue
      found.push(approval)
    }
    return found.sort((a, b) => b.createdAt - a.createdAt)
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
    // One that ended and is not known was forgotten.
    for (const stored of await store.load(LIMITS.ticketsAnsweredKept))
      if (isOpen(stored) || this.#known.has(stored.ticket)) this.#learn(stored)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** The open request with this fingerprint, unless its time is up: then it is ended first. */
  async #join(fingerprint: string): Promise<Approval | undefined> {
    const ticket = this.#openByFingerprint.get(fingerprint)
    if (ticket === undefined) return undefined
    await this.#expire(ticket)
    const approval = this.#known.get(ticket)
    return approval !== undefined && isOpen(approval) ? approval : undefined
  }

  forget(ticket: Ticket): Promise<void> {
    const { store } = this.#options
    return this.#serial.run(`ticket ${ticket}`, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const approval = await store.get(ticket)
        if (approval === undefined || isOpen(approval) || approval.text === ERASED) return
        const { parameters: _parameters, revision, ...rest } = approval
        const answers = approval.answers.map(({ reason: _reason, ...given }) => given)
        const next = { ...rest, text: ERASED, reads: [], writes: [], answers, revision: revision + 1 }
        if (!(await store.replace(next, revision))) continue
        if (this.#known.has(ticket)) this.#known.set(ticket, next)
        return
      }
      throw new GatewayError('conflict', `${ticket} is being changed by others.`, { ticket, retry: 'later' })
    })
  }

  #make(input: ApprovalInput): Approval {
    const now = this.#options.clock.now()
    const open = this.#openBySubject.get(subjectOf(input.chain))?.size ?? 0
    if (open >= LIMITS.ticketsOpenMax) {
      throw new GatewayError('limit_exceeded', 'Wait: too many approval requests of yours are open.', {
        remedy: 'Have some answered, or withdraw them, and try again.',
        retry: 'later',
        facts: { open, openMax: LIMITS.ticketsOpenMax },
      })
    }
    return {
      fingerprint: input.fingerprint,
      requestId: input.requestId,
      session: input.session,
      chain: input.chain,
      connection: input.connection,
      text: input.text,
      ...(input.parameters === undefined ? {} : { parameters: input.parameters }),
      class: input.class,
      reads: input.reads,
      writes: input.writes,
      rules: input.rules,
      policyVersion: input.policyVersion,
      route: input.route ?? DEFAULT_ROUTE,
      ticket: newTicket(this.#options.random),
      state: 'pending',
      revision: 1,
      createdAt: now,
      expiresAt: now + (this.#options.pendingMs ?? LIMITS.ticketMs),
      answers: [],
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
      let approval = this.#known.get(ticket) ?? (await store.get(ticket))
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const change = decide(known(approval, ticket), clock.now())
        if (change === undefined) return undefined
        const { next } = change
        this.#record(next, change.by, change.given)
        if (await store.replace(next, next.revision - 1)) {
          this.#changed(next)
          return next
        }
        approval = await store.get(ticket)
        if (approval !== undefined) this.#changed(approval)
      }
      throw new GatewayError('conflict', `${ticket} is being changed by others.`, { ticket, retry: 'later' })
    })
  }

  #expire(ticket: Ticket): Promise<Approval | undefined> {
    return this.#change(ticket, (approval, now) => {
      const next = lapsed(approval, now)
      return next && { next, by: 'gateway' }
    })
  }

  #record(approval: Approval, by: string, given?: GivenAnswer): void {
    const { ticket, state, requestId, fingerprint } = approval
    this.#options.record({
      // A yes that is one of several needed leaves the request pending, and is an event of its own all the same.
      action: given !== undefined && state === 'pending' ? 'approval.answered' : `approval.${state}`,
      by,
      target: ticket,
      details: {
        requestId,
        fingerprint,
        ...(given && { verdict: given.verdict, through: given.through, login: given.method }),
        ...(given?.reason !== undefined && { reason: given.reason }),
      },
    })
  }

  #outcome(ticket: Ticket): WaitOutcome {
    const approval = this.get(ticket)
    switch (approval?.state) {
      case 'pending':
        return 'pending'
      case 'approved':
        return 'approved'
      case 'refused':
      case 'withdrawn':
        return 'refused'
      // A ticket nobody knows gives no right to anything either.
      case 'expired':
      case 'used':
      case undefined:
        return 'expired'
    }
  }

  /** A request whose time is up is expired for everyone, whether or not that has been stored yet. */
  #asItIs(approval: Approval): Approval {
    return lapsed(approval, this.#options.clock.now()) ?? approval
  }

  #learn(stored: Approval): void {
    if (stored.revision > (this.#known.get(stored.ticket)?.revision ?? 0)) this.#changed(stored)
  }

  #changed(approval: Approval): void {
    // Another node may have been faster, and that it was may be known already.
    if (approval.revision < (this.#known.get(approval.ticket)?.revision ?? 0)) return
    this.#keep(approval)
    this.#watchDeadlines()
    for (const check of this.#waiters.get(approval.ticket) ?? []) check()
    for (const listener of this.#listeners) {
      try {
        listener(approval)
      } catch (error) {
        this.#options.onFault(error)
      }
    }
  }

  #keep(approval: Approval): void {
    const { ticket, fingerprint } = approval
    this.#known.set(ticket, approval)
    const subject = subjectOf(approval.chain)
    if (isOpen(approval)) {
      this.#openByFingerprint.set(fingerprint, ticket)
      this.#reserve(subject, ticket)
      return
    }
    if (this.#openByFingerprint.get(fingerprint) === ticket) this.#openByFingerprint.delete(fingerprint)
    this.#release(subject, ticket)
    this.#ended.add(ticket)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= LIMITS.ticketsAnsweredKept) break
      this.#ended.delete(oldest)
      this.#known.delete(oldest)
    }
  }

  #reserve(subject: string, ticket: Ticket): void {
    const open = this.#openBySubject.get(subject) ?? new Set()
    this.#openBySubject.set(subject, open.add(ticket))
  }

  #release(subject: string, ticket: Ticket): void {
    const open = this.#openBySubject.get(subject)
    open?.delete(ticket)
    if (open?.size === 0) this.#openBySubject.delete(subject)
  }

  #unwait(ticket: Ticket, check: () => void): void {
    const waiters = this.#waiters.get(ticket)
    waiters?.delete(check)
    if (waiters?.size === 0) this.#waiters.delete(ticket)
  }

  /** Keeps one timer, for the earliest deadline. */
  #watchDeadlines(notBefore = 0): void {
    let earliest = Number.POSITIVE_INFINITY
    for (const ticket of this.#openByFingerprint.values()) {
      earliest = Math.min(earliest, this.#known.get(ticket)?.expiresAt ?? earliest)
    }
    const at = Math.max(earliest, notBefore)
    if (at === this.#timerAt || this.#stopped) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#timer = this.#options.clock.after(Math.max(0, at - this.#options.clock.now()), () => {
      this.#timerAt = Number.POSITIVE_INFINITY
      void this.#expireDue()
    })
  }

  async #expireDue(): Promise<void> {
    const now = this.#options.clock.now()
    let notBefore = 0
    for (const ticket of this.#openByFingerprint.values()) {
      const approval = this.#known.get(ticket)
      if (approval === undefined || lapsed(approval, now) === undefined) continue
      try {
        await this.#expire(ticket)
      } catch (error) {
        this.#options.onFault(error)
        notBefore = now + EXPIRY_RETRY_MS
      }
    }
    this.#watchDeadlines(notBefore)
  }
}

/** For whom everything in a chain happens in the end: an agent cannot get more tickets by making sub-agents. */
function subjectOf(chain: IdentityChain): string {
  return identityKey(chain.at(-1) ?? chain[0])
}

function known(approval: Approval | undefined, ticket: Ticket): Approval {
  if (approval !== undefined) return approval
  throw new GatewayError('not_found', `There is no approval request ${ticket}.`, { ticket })
}
