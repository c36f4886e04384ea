import type { Command } from '../../core/index.ts'
import { asGatewayError, GatewayError, isGatewayError, LIMITS } from '../../core/index.ts'
import type { Held, Judgement, Permitted, Session } from '../../session/index.ts'
import { housekeeping, isHeld } from '../../session/index.ts'
import type { ClientMessage, FrameMode, FrameSink } from '../../wire/postgres/index.ts'
import {
  CLIENT_TYPES,
  decodeClient,
  encodeServer,
  Framer,
  HEADER_BYTES,
  STATUS_BYTES,
} from '../../wire/postgres/index.ts'
import type { Judge, Judged } from './commands.ts'
import { isReadManyWays } from './commands.ts'
import { errorBytes, positionOf } from './errors.ts'
import type { Portal, Statement } from './pending.ts'
import { FAILING_PARSE, FAILING_QUERY } from './refusal.ts'
import type { ResultPlan } from './results.ts'
import { planResults } from './results.ts'
import type { ConversationState } from './state.ts'

/** What the requests need from the conversation around them. */
export type RequestSurroundings = {
  readonly session: Session
  readonly state: ConversationState
  readonly judge: Judge
  /** Nothing more is read from the client until the promise has settled. */
  stall(work: Promise<void>): void
  /** Nothing more is read until the promise has settled; then this message comes first, once more. */
  again(message: Buffer, when: Promise<void>): void
  /** Waits for people; throws GatewayError `approval_*` or `canceled`. */
  hold(held: Held, patienceMs: number): Promise<Permitted>
  /** The head of the queue may have changed. */
  follow(): void
  /** Definitions are about to change. */
  redefining(): void
  terminate(): void
  /** The session has ended; nothing may be recorded or forwarded for it any more. */
  over(): boolean
}

/** A message without a statement in it. */
const NO_TEXT = new Uint8Array(0)

/** Plans belong to judgements, and judgements are cached: a plan is made once per cached decision. */
const planOf = new WeakMap<Judgement, readonly (ResultPlan | undefined)[]>()

/** The plans of a judgement, one per statement. */
export function plansFor(judgement: Judgement): readonly (ResultPlan | undefined)[] {
  let plans = planOf.get(judgement)
  if (plans === undefined) {
    const { decision } = judgement
    plans = planResults(judgement.facts, decision.kind === 'deny' ? new Map() : decision.masks)
    planOf.set(judgement, plans)
  }
  return plans
}

/**
 * Client to server: turns messages into commands, has each decided and recorded, forwards what is permitted, refuses
 * in the protocol's own way, and stalls while a command is held or still being read by the parser.
 */
export class Requests implements FrameSink {
  readonly #around: RequestSurroundings
  readonly #session: Session
  readonly #state: ConversationState
  readonly #judge: Judge
  readonly #framer = new Framer({
    bodyBytesMax: LIMITS.messageBytesMax,
    wholeBytesMax: LIMITS.messageBytesMax,
  })

  constructor(around: RequestSurroundings) {
    this.#around = around
    this.#session = around.session
    this.#state = around.state
    this.#judge = around.judge
  }

  /** Whether the client stands between two messages. */
  get atBoundary(): boolean {
    return this.#framer.atBoundary
  }

  /** Returns how many bytes were taken; the rest must wait until the conversation goes on. */
  push(chunk: Buffer): number {
    return this.#framer.push(chunk, this)
  }

  header(type: number): FrameMode {
    const { state } = this.#stateful()
    if (state.skipping && type !== CLIENT_TYPES.sync && type !== CLIENT_TYPES.terminate) return 'drop'
    switch (type) {
      case CLIENT_TYPES.copyData:
        return 'pass'
      case CLIENT_TYPES.copyDone:
      case CLIENT_TYPES.copyFail:
        state.copyIn = false
        return 'pass'
      case CLIENT_TYPES.query:
      case CLIENT_TYPES.parse:
      case CLIENT_TYPES.bind:
      case CLIENT_TYPES.describe:
      case CLIENT_TYPES.execute:
      case CLIENT_TYPES.close:
      case CLIENT_TYPES.sync:
      case CLIENT_TYPES.flush:
      case CLIENT_TYPES.terminate:
      case CLIENT_TYPES.functionCall:
        return 'whole'
      default:
        throw new GatewayError('protocol_violation', 'The client sent a message that has no place here.', {
          facts: { type },
        })
    }
  }

  whole(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#state.pending.length >= LIMITS.pendingMax) {
      throw new GatewayError(
        'limit_exceeded',
        `More than ${LIMITS.pendingMax} messages wait for their answers.`,
      )
    }
    const from = start - HEADER_BYTES
    switch (type) {
      case CLIENT_TYPES.query:
        if (this.#mustWaitToRead(buffer.subarray(start, end))) this.#waitForReady(buffer, from, end)
        else this.#query(buffer, from, start, end)
        return
      case CLIENT_TYPES.sync:
        this.#sync(buffer, from, end)
        return
      case CLIENT_TYPES.flush:
        this.#session.forward(housekeeping, buffer, from, end)
        return
      case CLIENT_TYPES.terminate:
        this.#framer.stop()
        this.#around.terminate()
        return
      default:
        this.#named(decodeClient(type, buffer, start, end), buffer, from, end)
    }
  }

  /** A name whose meaning the server has yet to confirm cannot be judged: the message is looked at again then. */
  #named(message: ClientMessage, buffer: Buffer, from: number, end: number): void {
    if (!this.#isUncertain(message)) {
      this.#extended(message, buffer, from, end)
      return
    }
    this.#waitForReady(buffer, from, end)
  }

  #waitForReady(buffer: Buffer, from: number, end: number): void {
    this.#framer.stop()
    const answered = new Promise<void>((resolve) => this.#state.onReady.push(resolve))
    this.#around.again(Buffer.from(buffer.subarray(from, end)), answered)
  }

  #isUncertain(message: ClientMessage): boolean {
    const { statements, portals } = this.#state
    switch (message.kind) {
      case 'parse':
        return this.#mustWaitToRead(message.sql)
      case 'bind':
        return statements.isUncertain(message.statement)
      case 'execute':
        return portals.isUncertain(message.portal)
      case 'describe':
        return (message.what === 'statement' ? statements : portals).isUncertain(message.name)
      default:
        return false
    }
  }

  piece(): void {
    throw new Error('client messages are not streamed')
  }

  pass(buffer: Buffer, start: number, end: number): void {
    this.#session.forward(housekeeping, buffer, start, end)
  }

  /**
   * A statement that could be read in several ways, behind a command of an earlier group that may decide which. Behind
   * one of the same group there is nothing to wait for: then it counts as one that cannot be seen through.
   */
  #mustWaitToRead(sql: Uint8Array): boolean {
    const { state } = this.#stateful()
    return !state.readingIsSettled && state.rereadIn < state.groupsSent && isReadManyWays(sql)
  }

  #stateful(): { readonly state: ConversationState } {
    return { state: this.#state }
  }

  #query(buffer: Buffer, from: number, start: number, end: number): void {
    const textEnd = end - 1
    if (end <= start || buffer[textEnd] !== 0)
      throw new GatewayError('protocol_violation', 'A query has no end.')
    try {
      const judged = this.#judge.bytes(buffer, start, textEnd, this.#state.readingIsSettled)
      if (judged !== undefined) {
        this.#runQuery(judged, buffer, from, end)
        return
      }
    } catch (error) {
      this.#refuse(asGatewayError(error), true, 'query', buffer.subarray(start, textEnd))
      return
    }
    const message = Buffer.from(buffer.subarray(from, end))
    this.#later('query', message.subarray(HEADER_BYTES, message.length - 1), async () => {
      const judged = await this.#read(message.subarray(HEADER_BYTES, message.length - 1))
      this.#runQuery(judged, message, 0, message.length)
    })
  }

  #runQuery(judged: Judged, buffer: Buffer, from: number, end: number): void {
    const command = this.#command('query', judged)
    const step = this.#session.step(command, judged.judgement)
    if (!isHeld(step)) {
      this.#forwardQuery(step, buffer, from, end)
      return
    }
    const message = Buffer.from(buffer.subarray(from, end))
    this.#later('query', NO_TEXT, async () => {
      const permit = await this.#hold(step, this.#state.inTransaction)
      this.#forwardQuery(permit, message, 0, message.length)
    })
  }

  #command(form: string, { text, judgement }: Judged): Command {
    const command = { form, text, facts: judgement.facts }
    if (judgement.decision.kind !== 'hold') return command
    // psql sends a semicolon that a driver leaves out: the same command all the same.
    const canonical = text.trim().replace(/[\s;]+$/, '')
    return { ...command, canonical, meaning: this.#judge.meaning() }
  }

  #forwardQuery(permit: Permitted, buffer: Buffer, from: number, end: number): void {
    const plans = plansFor(permit.judgement)
    if (permit.judgement.facts.redefines) this.#around.redefining()
    this.#noteReading(permit)
    this.#session.forward(permit, buffer, from, end)
    this.#state.pending.push({
      kind: 'query',
      flight: permit,
      plans,
      statement: 0,
      plan: plans[0],
      tags: '',
    })
    this.#state.groupsSent++
    this.#around.follow()
  }

  #sync(buffer: Buffer, from: number, end: number): void {
    const state = this.#state
    state.skipping = false
    if (state.skippingLocally) {
      state.skippingLocally = false
      this.#session.reply(readyBytes(state.status))
      return
    }
    state.unsynced = false
    state.executed = false
    this.#session.forward(housekeeping, buffer, from, end)
    if (state.copyIn) return
    state.pending.push({ kind: 'sync' })
    state.groupsSent++
    this.#around.follow()
  }

  #extended(message: ClientMessage, buffer: Buffer, from: number, end: number): void {
    try {
      switch (message.kind) {
        case 'parse':
          this.#parse(message, buffer, from, end)
          return
        case 'bind':
          this.#bind(message, buffer, from, end)
          return
        case 'describe': {
          const of =
            message.what === 'statement'
              ? this.#state.statements.get(message.name)
              : this.#state.portals.get(message.name)?.statement
          this.#forwardExtended(buffer, from, end)
          this.#state.pending.push({ kind: 'describe', of })
          break
        }
        case 'execute':
          this.#execute(message.portal, buffer, from, end)
          return
        case 'close': {
          const names = message.what === 'statement' ? this.#state.statements : this.#state.portals
          this.#forwardExtended(buffer, from, end)
          this.#state.pending.push({ kind: 'close', undo: names.delete(message.name) })
          break
        }
        case 'functionCall':
          throw new GatewayError(
            'unsupported',
            'Call the function with SELECT; the function-call message is refused.',
          )
        default:
          throw new GatewayError('protocol_violation', 'The client sent a message that has no place here.')
      }
      this.#around.follow()
    } catch (error) {
      if (!isGatewayError(error) || error.code === 'protocol_violation') throw error
      this.#refuse(
        error,
        message.kind === 'functionCall',
        message.kind,
        message.kind === 'parse' ? message.sql : NO_TEXT,
      )
    }
  }

  #parse(message: ClientMessage & { kind: 'parse' }, buffer: Buffer, from: number, end: number): void {
    if (this.#state.statements.size >= LIMITS.namedObjectsMax) {
      throw new GatewayError(
        'limit_exceeded',
        `A session keeps at most ${LIMITS.namedObjectsMax} prepared statements.`,
      )
    }
    const sql = Buffer.from(message.sql)
    const judged = this.#judge.bytes(sql, 0, sql.length, this.#state.readingIsSettled)
    if (judged !== undefined) {
      this.#parsed(message.statement, judged, buffer, from, end)
      return
    }
    const copy = Buffer.from(buffer.subarray(from, end))
    this.#later('parse', sql, async () => {
      this.#parsed(message.statement, await this.#read(sql), copy, 0, copy.length)
    })
  }

  #parsed(name: string, judged: Judged, buffer: Buffer, from: number, end: number): void {
    const { judgement, text } = judged
    if (judgement.decision.kind === 'deny') {
      // Refused once here and recorded as the attempt it is; `step` throws.
      this.#session.step({ form: 'parse', text, facts: judgement.facts }, judgement)
      return
    }
    this.#forwardExtended(buffer, from, end)
    const undo = this.#state.statements.set(name, { text, judgement, plan: plansFor(judgement)[0] })
    this.#state.pending.push({ kind: 'parse', undo })
    this.#around.follow()
  }

  #bind(message: ClientMessage & { kind: 'bind' }, buffer: Buffer, from: number, end: number): void {
    const statement = this.#state.statements.get(message.statement)
    if (statement === undefined && this.#judge.labelled) {
      throw new GatewayError('denied', 'Prepare the statement in this session through the protocol first.', {
        remedy: 'Statements made by SQL PREPARE are not bound on a connection with labels.',
        retry: 'only-if-changed',
      })
    }
    const known = statement === undefined ? this.#judge.unknown('bind') : this.#rejudged(statement)
    if (known === undefined) {
      const copy = Buffer.from(buffer.subarray(from, end))
      const again = decodeClient(CLIENT_TYPES.bind, copy, HEADER_BYTES, copy.length)
      this.#later('bind', NO_TEXT, async () => {
        if (statement === undefined || again.kind !== 'bind') return
        judgeAnew(statement, (await this.#read(Buffer.from(statement.text))).judgement)
        this.#bound(again, statement, statement.judgement, copy, 0, copy.length)
      })
      return
    }
    const of = statement ?? { text: known.text, judgement: known.judgement, plan: undefined }
    this.#bound(message, of, known.judgement, buffer, from, end)
  }

  #bound(
    message: ClientMessage & { kind: 'bind' },
    statement: Statement,
    judgement: Judgement,
    buffer: Buffer,
    from: number,
    end: number,
  ): void {
    const parameters = message.values.map((value) => (value === null ? null : Buffer.from(value)))
    const bare = { statement, parameters, group: this.#state.groupsSent, rows: 0, bytes: 0 }
    if (judgement.decision.kind === 'allow') {
      this.#forwardBind(message.portal, { ...bare, approved: undefined }, buffer, from, end)
      return
    }
    const command = { ...this.#command('execute', { text: statement.text, judgement }), parameters }
    const step = this.#session.step(command, judgement)
    if (!isHeld(step)) throw new Error('a command that is neither allowed nor denied is held')
    const copy = Buffer.from(buffer.subarray(from, end))
    const failFast = this.#state.inTransaction || this.#state.executed
    this.#later('bind', NO_TEXT, async () => {
      const permit = await this.#hold(step, failFast)
      const portal = { ...bare, approved: this.#session.policyVersion, permit }
      this.#forwardBind(message.portal, portal, copy, 0, copy.length)
    })
  }

  #forwardBind(name: string, portal: Portal, buffer: Buffer, from: number, end: number): void {
    if (this.#state.portals.size >= LIMITS.namedObjectsMax) {
      throw new GatewayError('limit_exceeded', `A session keeps at most ${LIMITS.namedObjectsMax} portals.`)
    }
    this.#forwardExtended(buffer, from, end)
    const undo = this.#state.portals.set(name, portal)
    this.#state.pending.push({
      kind: 'bind',
      undo: () => {
        undo()
        if (portal.permit !== undefined) this.#session.finish(portal.permit, 'skipped', '')
      },
    })
    this.#around.follow()
  }

  #execute(name: string, buffer: Buffer, from: number, end: number): void {
    const portal = this.#state.portals.get(name)
    if (portal === undefined && this.#judge.labelled) {
      throw new GatewayError('denied', 'Bind the portal in this session through the protocol first.', {
        remedy: 'Cursors made by SQL DECLARE are read with FETCH on a connection with labels.',
        retry: 'only-if-changed',
      })
    }
    const judged = portal === undefined ? this.#judge.unknown('execute') : this.#rejudged(portal.statement)
    if (judged === undefined) {
      const copy = Buffer.from(buffer.subarray(from, end))
      this.#later('execute', NO_TEXT, async () => {
        if (portal === undefined) return
        judgeAnew(portal.statement, (await this.#read(Buffer.from(portal.statement.text))).judgement)
        this.#stepExecute(portal, portal.statement, copy, 0, copy.length)
      })
      return
    }
    this.#stepExecute(portal, judged, buffer, from, end)
  }

  #stepExecute(portal: Portal | undefined, judged: Judged, buffer: Buffer, from: number, end: number): void {
    const command: Command = {
      ...this.#command('execute', judged),
      ...(portal === undefined ? {} : { parameters: portal.parameters }),
    }
    const approved =
      portal?.approved === this.#session.policyVersion && judged.judgement.decision.kind !== 'deny'
    const permit = portal?.permit
    if (portal !== undefined && permit !== undefined && !permit.done) {
      portal.permit = undefined
      if (approved) {
        this.#forwardExecute(permit, portal, buffer, from, end)
        return
      }
      // Approved under another policy: what was approved has not run and does not run by that approval.
      this.#session.finish(permit, 'skipped', '')
    }
    const step = approved
      ? this.#session.stepApproved(command, judged.judgement)
      : this.#session.step(command, judged.judgement)
    if (!isHeld(step)) {
      this.#forwardExecute(step, portal, buffer, from, end)
      return
    }
    // Held only now: the policy became stricter after Bind. The portal is already upstream, but nothing has run.
    const copy = Buffer.from(buffer.subarray(from, end))
    const failFast = this.#state.inTransaction || this.#state.executed
    this.#later('execute', NO_TEXT, async () => {
      this.#forwardExecute(await this.#hold(step, failFast), portal, copy, 0, copy.length)
    })
  }

  #forwardExecute(
    permit: Permitted,
    portal: Portal | undefined,
    buffer: Buffer,
    from: number,
    end: number,
  ): void {
    const state = this.#state
    state.unsynced = true
    state.executed = true
    if (permit.judgement.facts.redefines) this.#around.redefining()
    this.#noteReading(permit)
    this.#session.forward(permit, buffer, from, end)
    state.pending.push({
      kind: 'execute',
      flight: permit,
      portal,
      plan:
        portal === undefined ? plansFor(permit.judgement)[0] : planFor(portal.statement, permit.judgement),
    })
    this.#around.follow()
  }

  #noteReading(permit: Permitted): void {
    if (this.#judge.mayChangeReading(permit.judgement)) this.#state.rereadIn = this.#state.groupsSent
  }

  #forwardExtended(buffer: Buffer, from: number, end: number): void {
    this.#state.unsynced = true
    this.#session.forward(housekeeping, buffer, from, end)
  }

  /** What was decided at Parse, or decided again where that no longer stands; undefined: it has to be read again. */
  #rejudged(statement: Statement): Judged | undefined {
    if (this.#judge.stands(statement.judgement)) return statement
    const sql = Buffer.from(statement.text)
    const judged = this.#judge.bytes(sql, 0, sql.length)
    if (judged === undefined) return undefined
    if (judged.judgement !== statement.judgement) judgeAnew(statement, judged.judgement)
    return judged
  }

  #hold(held: Held, failFast: boolean): Promise<Permitted> {
    return this.#around.hold(held, failFast ? 0 : this.#session.connection.patienceMs)
  }

  /** A statement that cannot be judged without waiting. A client that has gone meanwhile wants nothing any more. */
  async #read(sql: Uint8Array): Promise<Judged> {
    const judged = await this.#judge.later(sql, this.#state.readingIsSettled)
    if (this.#around.over()) throw new GatewayError('canceled', 'The client went away.')
    return judged
  }

  /** Goes on with this message later; nothing behind it is looked at meanwhile. */
  #later(form: string, text: Uint8Array, work: () => Promise<void>): void {
    this.#framer.stop()
    this.#around.stall(
      work().catch((error: unknown) => {
        if (!isGatewayError(error) || error.code === 'protocol_violation') throw error
        // Its client has been told something else by then, or has gone.
        if (this.#around.over()) return
        this.#refuse(error, form === 'query', form, text)
      }),
    )
  }

  /** Says no in the place where the answer would have been, and fails both sides alike. */
  #refuse(refusal: GatewayError, simple: boolean, form: string, text: Uint8Array): void {
    const state = this.#state
    const error =
      refusal.requestId === undefined
        ? this.#session.stepUnreadable(form, attemptedText(text), refusal)
        : refusal
    if (state.idle) {
      this.#session.reply(errorBytes(error, 'ERROR', positionOf(error)))
      if (simple) {
        this.#session.reply(readyBytes(state.status))
      } else {
        state.skipping = true
        state.skippingLocally = true
      }
      return
    }
    this.#session.forward(housekeeping, simple ? FAILING_QUERY : FAILING_PARSE)
    state.pending.push({ kind: 'refusal', error, simple })
    if (simple) state.groupsSent++
    if (!simple) {
      state.skipping = true
      state.unsynced = true
    }
    this.#around.follow()
  }
}

/** What is recorded of an attempt that never became a command. */
function attemptedText(text: Uint8Array): string {
  const shown = Buffer.from(text.subarray(0, LIMITS.statementInlineBytesMax)).toString('utf8')
  return text.length <= LIMITS.statementInlineBytesMax ? shown : `${shown} ... (${text.length} bytes)`
}

/** What is decided now replaces what was decided before; what the server has said of the statement still counts. */
function judgeAnew(statement: Statement, judgement: Judgement): void {
  statement.judgement = judgement
  statement.plan = tightened(statement, judgement)
}

function planFor(statement: Statement, judgement: Judgement): ResultPlan | undefined {
  return statement.judgement === judgement ? statement.plan : tightened(statement, judgement)
}

function tightened(statement: Statement, judgement: Judgement): ResultPlan | undefined {
  const [plan] = plansFor(judgement)
  return plan === undefined || statement.tighten === undefined ? plan : statement.tighten(plan)
}

const READY: ReadonlyMap<number, Buffer> = new Map([
  [STATUS_BYTES.idle, encodeServer({ kind: 'readyForQuery', status: 'idle' })],
  [STATUS_BYTES.transaction, encodeServer({ kind: 'readyForQuery', status: 'transaction' })],
  [STATUS_BYTES.failed, encodeServer({ kind: 'readyForQuery', status: 'failed' })],
])

function readyBytes(status: number): Buffer {
  return READY.get(status) ?? encodeServer({ kind: 'readyForQuery', status: 'idle' })
}
