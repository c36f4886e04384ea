import type {
  Clock,
  Command,
  Connection,
  Deny,
  Entry,
  Facts,
  IdentityChain,
  Journal,
  LabelName,
  OutcomeHead,
  Pipe,
  RequestId,
  SealedCommand,
  SessionId,
} from '../core/index.ts'
import { asGatewayError, assertNever, GatewayError, requestIdOf, sealedWhole } from '../core/index.ts'
import { recognises } from '../masking/index.ts'
import type { Policy } from '../policy/index.ts'
import type { CommandInFlight, Held, Housekeeping, Permitted } from './flights.ts'
import { HeldCommand, isPermit, PermittedCommand } from './flights.ts'
import type { Input } from './input.ts'
import { Inputs } from './input.ts'
import { intentHead, ownHead, sealedBody, toldEntry, unreadableHead } from './intents.ts'
import type { Judgement, JudgementCache } from './judgements.ts'
import { Outbox } from './outbox.ts'
import type { HoldObserver, PeopleSaid, ToldMeanwhile } from './people.ts'
import { askPeople } from './people.ts'
import type { AccessDesk, ApprovalDesk, BudgetDesk, OwnRequest, Spending } from './ports.ts'
import {
  afterRunning,
  approvalError,
  budgetError,
  deniedError,
  limitError,
  ofRequest,
  restError,
  uncountedError,
} from './refusals.ts'
import { type Ground, SessionScope } from './session-scope.ts'
import type { Turn, TurnMember } from './turn.ts'

/** What a session shares with all others: the gateway, as it sees it. */
export type SessionSurroundings = {
  /** In force now; it may be another one at the next command. */
  readonly policy: Policy
  /** The address of the snapshot of the configuration; undefined: what commands are judged by is not recorded. */
  readonly configuration: string | undefined
  readonly clock: Clock
  readonly journal: Journal
  readonly approvals: ApprovalDesk
  readonly access: AccessDesk
  readonly budgets: BudgetDesk
  readonly judgements: JudgementCache
  readonly turn: Turn
  /** The session has written its last entry. */
  closed(session: Session): void
}

/** What is known when a session opens; all of it goes into the first entry of its recording. */
export type Opening = {
  readonly chain: IdentityChain
  readonly connection: Connection
  readonly credential: string
  readonly mintedBy: string
  readonly clientAddress: string
  readonly program: string
  readonly database: string
  /** Nothing was asked for that is not answered, and no transaction is open: nobody loses work when it ends now. */
  readonly isIdle: () => boolean
  /** Ends the session at once: revoked, expired, stopped. The reason is shown to the client. */
  readonly onTerminate: (reason: GatewayError) => void
}

/**
 * One identity using one connection, from open to close: decides, records, holds, forwards, meters. Knows no wire
 * format and no socket; bytes go to pipes that the adapter names. Promise: nothing is forwarded before the command
 * and its decision are in the recording (P-04), and nothing held is forwarded at all (P-05).
 */
export class Session implements TurnMember {
  readonly id: SessionId
  readonly opening: Opening
  /** What results cost is asked of it row by row, by who counts them. */
  readonly spending: Spending
  readonly #gateway: SessionSurroundings
  readonly #scope: SessionScope
  /** Under which access, granted for a time, something was decided here. */
  readonly accessUsed = new Set<string>()
  #n = 0
  #queued = false
  #closed = false
  #client: Pipe | undefined
  #upstream: Pipe | undefined
  readonly #toClient = new Outbox()
  readonly #toUpstream = new Outbox()
  #effects: (() => void)[] = []
  #waiters: { resolve: () => void; reject: (error: unknown) => void }[] = []
  #flowing: CommandInFlight | undefined
  readonly #inputs: Inputs
  #toldMeanwhile: ToldMeanwhile | undefined
  #onFlow: ((clientFull: boolean, upstreamFull: boolean) => void) | undefined
  #onAbandon: ((error: unknown) => void) | undefined

  constructor(gateway: SessionSurroundings, id: SessionId, opening: Opening) {
    this.#gateway = gateway
    this.id = id
    this.opening = opening
    this.spending = gateway.budgets.open(opening.chain, opening.connection.name)
    this.#scope = new SessionScope(gateway, opening)
    const keptMax = opening.connection.resultBytesKept
    this.#inputs = new Inputs({ session: id, journal: gateway.journal, keptMax })
  }

  get chain(): IdentityChain {
    return this.opening.chain
  }

  get connection(): Connection {
    return this.opening.connection
  }

  /** What an approval is bound to, besides the command. */
  get policyVersion(): string {
    return this.#gateway.policy.version
  }

  /** What this chain has asked people here, newest first. */
  get requests(): readonly OwnRequest[] {
    return this.#gateway.approvals.of(this.chain, this.connection.name)
  }

  get commands(): number {
    return this.#n
  }

  /**
   * Names the pipes. `onFlow` is told after every turn whether a side is full; `onAbandon` when the recording cannot
   * be written: nothing of that turn was sent, and the session has to end.
   */
  attach(pipes: { client?: Pipe; upstream?: Pipe }): void {
    if (pipes.client !== undefined) this.#client = pipes.client
    if (pipes.upstream !== undefined) this.#upstream = pipes.upstream
  }

  watch(
    onFlow: (clientFull: boolean, upstreamFull: boolean) => void,
    onAbandon: (error: unknown) => void,
  ): void {
    this.#onFlow = onFlow
    this.#onAbandon = onAbandon
  }

  /**
   * What is known of a command and what was decided: from the cache if the same was decided before, else from the
   * facts. `scope` is what decisions depend on besides the command; pass the same string object while it is the same.
   */
  cached(scope: string, key: string): Judgement | undefined {
    return this.#scope.enter(scope).judgements.get(key)
  }

  judge(scope: string, key: string | undefined, facts: Facts): Judgement {
    const entered = this.#scope.enter(scope)
    const decision = this.#scope.policy.decide({
      chain: this.chain,
      connection: this.connection.name,
      facts,
      now: this.#gateway.clock.now(),
      access: this.#scope.access,
    })
    const judgement = { facts, decision, scope: entered }
    if (key !== undefined && !decision.volatile) this.#gateway.judgements.keep(entered, key, judgement)
    return judgement
  }

  /**
   * What decisions of this scope rest on, for the recording: told before the first of them. The same object while it is
   * the same scope.
   */
  rests(scope: string, basis: Ground): void {
    this.#scope.rests(scope, basis)
  }

  /** Whether this value, which is to be written into a column with this label, is one that the gateway put in place of another. */
  recognises(value: Uint8Array, label: LabelName): boolean {
    const mask = this.#gateway.policy.maskOf(this.connection.name, label)
    return mask?.key !== undefined && recognises(value, mask.rule, mask.key)
  }

  /** Whether a judgement made earlier (a prepared statement's) still stands: same policy, same scope, not volatile. */
  stands(scope: string, judgement: Judgement): boolean {
    // Held against its own scope: the session may have judged other commands in another one since.
    return judgement.scope === this.#scope.enter(scope) && !judgement.decision.volatile
  }

  /**
   * Decides over a command and records both. Returns the permission to forward it, or the command held. Throws
   * GatewayError `denied` after recording that.
   */
  step(command: Command, judgement: Judgement): Permitted | Held {
    const n = ++this.#n
    const { decision } = judgement
    this.#admit(n, command, judgement)
    this.#recordIntent(n, command, judgement)
    switch (decision.kind) {
      case 'allow':
        return new PermittedCommand(n, command, judgement, this.#gateway.clock.now())
      case 'hold':
        return new HeldCommand(n, command, judgement, this.#gateway.clock.now(), decision)
      case 'deny': {
        this.#recordRefusal(n, 'denied')
        throw deniedError(decision, requestIdOf(this.id, n))
      }
      default:
        return assertNever(decision)
    }
  }

  /**
   * Records the continuation of a command whose approval is bound to a portal: the same statement and parameters,
   * fetched further. Denied all the same when it is denied now.
   */
  stepApproved(command: Command, judgement: Judgement): Permitted {
    const n = ++this.#n
    this.#admit(n, command, judgement)
    this.#recordIntent(n, command, judgement)
    if (judgement.decision.kind === 'deny') {
      this.#recordRefusal(n, 'denied')
      throw deniedError(judgement.decision, requestIdOf(this.id, n))
    }
    return new PermittedCommand(n, command, judgement, this.#gateway.clock.now())
  }

  /**
   * Budgets are asked beside the decision and not by it: a decision that read one would have to be made again for
   * every command, while this is a few comparisons in memory.
   */
  #admit(n: number, command: Command, judgement: Judgement): void {
    if (judgement.decision.kind === 'deny') return
    const refused = this.spending.admit(judgement.facts, command.listed)
    if (refused === undefined) return
    const { reason, rule } = refused
    const { observed } = judgement.decision
    const decision: Deny = { kind: 'deny', reason, rules: [rule], observed, volatile: true }
    this.#recordIntent(n, command, { ...judgement, decision })
    this.#recordRefusal(n, 'limit_exceeded')
    throw budgetError(reason, requestIdOf(this.id, n))
  }

  /** A budget is used up in the middle of a result: what the client is told in place of the rest. */
  budgetSpent(flight: Permitted): GatewayError {
    const spent = budgetError(this.spending.refusal().reason, requestIdOf(this.id, flight.n))
    return afterRunning(spent, flight.command.facts)
  }

  /**
   * Does what the gateway asks an upstream on a client's behalf, on a session of its own: recorded as a command before
   * it is done, and with what it came to. `recorded`: what is recorded in place of its text.
   */
  async own(
    form: string,
    text: string,
    work: () => Promise<string>,
    recorded?: SealedCommand,
  ): Promise<void> {
    const n = ++this.#n
    const began = this.#gateway.clock.now()
    this.#append({ kind: 'intent', head: ownHead(n, form, text, recorded, this.#gateway.journal) })
    await this.afterTurn()
    const tag = await work()
    const ms = this.#gateway.clock.now() - began
    const outcome: OutcomeHead = { n, outcome: 'ok', tag, rows: 0, bytes: 0, unkept: 0, ms }
    if (this.#closed) return
    this.#append({ kind: 'outcome', head: outcome })
    this.#queue()
  }

  /**
   * Records an attempt that never became a command (it could not be read), and gives it a request id. `labels`: of the
   * columns whose values may stand in its text, which is sealed then.
   */
  stepUnreadable(
    form: string,
    text: string,
    error: GatewayError,
    labels: readonly LabelName[] = [],
  ): GatewayError {
    const n = ++this.#n
    const recorded = text === '' || labels.length === 0 ? undefined : sealedWhole(text, labels)
    const basis = this.#scope.news(this.#scope.again())
    const head = unreadableHead(n, form, text, error.message, recorded, this.#gateway.journal)
    this.#append({ kind: 'intent', head: basis === undefined ? head : { ...head, basis } })
    this.#recordRefusal(n, error.code)
    return ofRequest(error, requestIdOf(this.id, n))
  }

  /** Waits for people. Resolves with the permission; throws `approval_*` or `canceled`, all recorded. */
  hold(held: Held, observer: HoldObserver): Promise<Permitted> {
    return this.#askPeople(held, undefined, observer).then(
      (said) => this.#answered(held, said),
      (error: unknown) => {
        // Nobody was asked: too many requests are open, or who asks is muted.
        if (!this.#closed) this.#recordRefusal(held.n, asGatewayError(error).code)
        throw error
      },
    )
  }

  #answered(held: Held, { outcome, ticket, refusal, effect, uncounted }: PeopleSaid): Permitted {
    if (outcome === 'approved') {
      return new PermittedCommand(held.n, held.command, held.judgement, this.#gateway.clock.now(), effect)
    }
    this.#recordRefusal(held.n, `approval_${outcome}`)
    if (uncounted !== undefined) throw uncountedError(uncounted, ticket, requestIdOf(this.id, held.n))
    throw approvalError({ outcome, ticket, refusal }, requestIdOf(this.id, held.n))
  }

  /**
   * Waits for people in the middle of a result: its rest, beyond `limit` (`1000 rows`), is asked about by itself.
   * Resolves when it may go on; throws `approval_*` or `canceled`. The adapter shows nothing of it meanwhile.
   */
  async holdRest(flight: Permitted, limit: string, observer: HoldObserver): Promise<void> {
    const { outcome, ticket, refusal } = await this.#askPeople(flight, limit, observer)
    if (outcome === 'approved') return
    const error = restError({ outcome, ticket, refusal }, limit, requestIdOf(this.id, flight.n))
    throw afterRunning(error, flight.command.facts)
  }

  #askPeople(flight: CommandInFlight, rest: string | undefined, observer: HoldObserver): Promise<PeopleSaid> {
    const { policy } = this.#scope
    const question = { asker: this, gateway: this.#gateway, policyVersion: policy.version, flight, rest }
    return askPeople(question, observer, (entry) => {
      if (entry !== undefined) {
        this.#append(entry)
        this.#queue()
      }
      if (this.#closed) return 'over'
      return this.#gateway.policy === policy ? 'as asked' : 'old'
    })
  }

  /**
   * Queues `bytes[start, end)` of a permitted command, or of housekeeping, towards upstream: copied now, sent once this
   * turn is recorded.
   */
  forward(permit: Permitted | Housekeeping, bytes: Uint8Array, start = 0, end = bytes.length): void {
    if (!isPermit(permit)) throw new Error('bytes without a permit')
    this.#toUpstream.append(bytes, start, end)
    this.#queue()
  }

  /**
   * For what the client sends to this command while it runs (rows of COPY, a body in pieces): all that goes into what this returns
   * is recorded before it is forwarded, up to as much as is kept of a result, sealed under these labels.
   */
  input(flight: Permitted, labels: readonly LabelName[]): Input {
    return this.#inputs.open(flight, labels)
  }

  /**
   * Runs an effect of a permitted command (a request through a client library) once this turn is recorded. When it
   * cannot be recorded the effect never runs; `afterTurn` tells.
   */
  perform(permit: Permitted, effect: () => void): void {
    if (!isPermit(permit)) throw new Error('an effect without a permit')
    this.#effects.push(effect)
    this.#queue()
  }

  /** Queues bytes towards the client that are no part of a result: copied now, sent once this turn is recorded. */
  reply(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#toClient.append(bytes, start, end)
    this.#queue()
  }

  /**
   * The same for what the client is to see though it is no command's result: an error, a notice. Recorded in its place, sealed
   * under the labels of values that may be `quoted` in it.
   */
  tell(bytes: Uint8Array, start = 0, end = bytes.length, quoted: readonly LabelName[] = []): void {
    this.#takeFlow()
    const body = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    this.#append(toldEntry(body, quoted, this.#gateway.journal))
    this.reply(bytes, start, end)
  }

  /**
   * The same for what says only that the client still waits: sent at once, and recorded in one piece with others of its kind,
   * in its place in front of whatever the session records next, or at `recordTold`.
   */
  tellMeanwhile(bytes: Uint8Array, told: ToldMeanwhile): void {
    this.#takeFlow()
    if (this.#toldMeanwhile !== told) this.recordTold()
    this.#toldMeanwhile = told
    this.reply(bytes)
  }

  recordTold(): void {
    const told = this.#toldMeanwhile
    if (told === undefined) return
    this.#toldMeanwhile = undefined
    const { journal } = this.#gateway
    journal.append(this.id, toldEntry(told.takeTold(), [], journal))
    this.#queue()
  }

  /** Every entry of the session but its first. */
  #append(entry: Entry): void {
    this.recordTold()
    this.#gateway.journal.append(this.id, entry)
  }

  /**
   * Resolves once what was recorded so far is written: for adapters whose client is not a pipe. Rejects with
   * `recording_unavailable`, and then nothing may be sent.
   */
  afterTurn(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#queue()
    })
  }

  /**
   * Queues bytes of a result, exactly as the client gets them, and keeps them for the recording up to the connection's
   * limit. Bytes of one command are appended without those of another in between. `quoted`: they say something in words, in which
   * values of these labels may stand.
   */
  result(
    flight: Permitted,
    bytes: Uint8Array,
    start = 0,
    end = bytes.length,
    quoted?: readonly LabelName[],
  ): void {
    flight.bytes += end - start
    if (quoted !== undefined) flight.quotes(quoted)
    if (this.#flowing !== flight) {
      this.#takeFlow()
      this.#flowing = flight
    }
    if (flight.from < 0) flight.from = this.#toClient.bytes
    this.#toClient.append(bytes, start, end)
    this.#queue()
  }

  /**
   * Counts and keeps bytes of a result that reach the client another way (a body through a client library). False: as much as is
   * kept of a result is in the recording by now, so there is nothing to wait for.
   */
  resultElsewhere(flight: Permitted, bytes: Uint8Array): boolean {
    flight.bytes += bytes.length
    const room = this.connection.resultBytesKept - flight.keptBytes
    if (room <= 0) return false
    const body = bytes.length <= room ? bytes : bytes.subarray(0, room)
    flight.keptBytes += body.length
    this.#recordResult(flight, body)
    this.#queue()
    return true
  }

  #recordResult(flight: CommandInFlight, bytes: Uint8Array): void {
    const { journal } = this.#gateway
    const { body, sealed } = sealedBody(flight.command, bytes, journal, flight.quoted)
    flight.quoted = []
    const head = sealed === undefined ? { n: flight.n } : { n: flight.n, sealed }
    this.#append({ kind: 'result', head, body })
  }

  /** The command has ended, one way or the other. */
  finish(flight: Permitted, outcome: OutcomeHead['outcome'], tag: string): void {
    if (flight.done) return
    flight.done = true
    this.#inputs.cut(flight)
    const kept = this.#flowing === flight ? this.#keep(flight) : undefined
    const { body, sealed } =
      kept === undefined ? {} : sealedBody(flight.command, kept, this.#gateway.journal, flight.quoted)
    const head: OutcomeHead = {
      n: flight.n,
      outcome,
      tag,
      rows: flight.rows,
      bytes: flight.bytes,
      unkept: flight.bytes - flight.keptBytes,
      ms: this.#gateway.clock.now() - flight.began,
      ...(sealed === undefined ? {} : { sealed }),
    }
    this.#append(body === undefined ? { kind: 'outcome', head } : { kind: 'outcome', head, body })
    if (this.#flowing === flight) this.#flowing = undefined
    this.#queue()
  }

  notice(n: number, code: string, message: string): void {
    this.#append({ kind: 'notice', head: { n, code, message } })
    this.#queue()
  }

  /** The last entry. Idempotent. `told`: what its client is told by another way, now that nothing comes of it. */
  close(reason: string, told?: Uint8Array): void {
    if (this.#closed) return
    this.#closed = true
    this.#takeFlow()
    this.#inputs.cutAll()
    const { journal } = this.#gateway
    if (told !== undefined) this.#append(toldEntry(told, [], journal))
    this.#append({ kind: 'close', head: { reason, commands: this.#n } })
    this.#queue()
    this.#gateway.approvals.sessionEnded(this.id)
    this.#gateway.closed(this)
  }

  /** Ends the session from outside: the adapter tells the client and hangs up. */
  terminate(reason: GatewayError): void {
    if (!this.#closed) this.opening.onTerminate(reason)
  }

  /** The connection's limit is reached: what the client is told where the rest of the result would have been. */
  limitReached(flight: Permitted, limit: string): GatewayError {
    return limitError(limit, requestIdOf(this.id, flight.n), flight.command.facts)
  }

  requestId(n: number): RequestId {
    return requestIdOf(this.id, n)
  }

  prepare(): void {
    this.#takeFlow()
    this.#inputs.flush()
  }

  deliver(): void {
    this.#queued = false
    const effects = this.#effects
    if (effects.length > 0) {
      this.#effects = []
      for (const effect of effects) effect()
    }
    const waiters = this.#waiters
    if (waiters.length > 0) {
      this.#waiters = []
      for (const { resolve } of waiters) resolve()
    }
    const upstreamFull = this.#upstream !== undefined && !this.#toUpstream.drainTo(this.#upstream)
    const clientFull = this.#client !== undefined && !this.#toClient.drainTo(this.#client)
    this.#onFlow?.(clientFull, upstreamFull)
  }

  abandon(error: unknown): void {
    this.#queued = false
    this.#toClient.clear()
    this.#toUpstream.clear()
    this.#effects = []
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(error)
    this.#onAbandon?.(error)
  }

  /** This turn's part of a result that goes on becomes an entry of its own. */
  #takeFlow(): void {
    const flight = this.#flowing
    if (flight === undefined) return
    this.#flowing = undefined
    const body = this.#keep(flight)
    if (body !== undefined) this.#recordResult(flight, body)
  }

  #keep(flight: CommandInFlight): Buffer | undefined {
    const { from } = flight
    flight.from = -1
    const room = this.connection.resultBytesKept - flight.keptBytes
    if (from < 0 || room <= 0) return undefined
    const body = this.#toClient.since(from, room)
    flight.keptBytes += body.length
    return body
  }

  #queue(): void {
    if (this.#queued) return
    this.#queued = true
    if (this.connection.durability === 'fsync') this.#gateway.turn.requireSync()
    this.#gateway.turn.add(this)
  }

  #recordIntent(n: number, command: Command, judgement: Judgement): void {
    for (const name of this.#scope.access) this.accessUsed.add(name)
    const head = intentHead(n, command, judgement, this.#gateway.journal, this.#scope.news(judgement.scope))
    this.#append({ kind: 'intent', head })
    this.#queue()
  }

  #recordRefusal(n: number, tag: string): void {
    const head: OutcomeHead = { n, outcome: 'refused', tag, rows: 0, bytes: 0, unkept: 0, ms: 0 }
    this.#append({ kind: 'outcome', head })
    this.#queue()
  }
}
