import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { Permitted, Session } from '../../../session/index.ts'
import { housekeeping, isHeld } from '../../../session/index.ts'
import type { ClientMessage, FrameMode, FrameSink } from '../../../wire/postgres/index.ts'
import { CLIENT_TYPES, decodeClient, Framer, HEADER_BYTES } from '../../../wire/postgres/index.ts'
import type { LocalQuestion } from '../local/local-answers.ts'
import { EMPTY_QUERY } from '../local/local-answers.ts'
import { lasts } from './answers.ts'
import type { Judge, Judged } from './commands.ts'
import { isReadManyWays } from './commands.ts'
import { Copying } from './copying.ts'
import { CountedRuns } from './counting.ts'
import { Extended } from './extended.ts'
import { plansFor } from './plans.ts'
import { KeptMessage } from './kept-message.ts'
import type { RequestSurroundings } from './refusing.ts'
import { NO_TEXT, readyBytes, Refusing } from './refusing.ts'
import type { PendingQuery } from '../pending.ts'
import type { ConversationState } from '../state.ts'
import { NO_PARAMETERS } from '../startup/upstream.ts'

/** Asking for the time costs about as much as a small message. */
const TIMED_EVERY = 4

/**
 * Client to server: turns messages into commands, has each decided and recorded, forwards what is permitted, refuses
 * in the protocol's own way, and stalls while a command is held or still being read by the parser.
 */
export class Requests implements FrameSink {
  readonly #around: RequestSurroundings
  readonly #session: Session
  readonly #state: ConversationState
  readonly #judge: Judge
  readonly #refusing: Refusing
  readonly #extended: Extended
  readonly #counted: CountedRuns
  readonly #copying: Copying
  readonly #framer = new Framer({
    bodyBytesMax: LIMITS.messageBytesMax,
    wholeBytesMax: LIMITS.messageBytesMax,
  })

  /** When the work on the chunk in hand began, in milliseconds. */
  #began = 0
  #untimed = 0

  constructor(around: RequestSurroundings) {
    this.#around = around
    this.#session = around.session
    this.#state = around.state
    this.#judge = around.judge
    this.#refusing = new Refusing(around, () => this.#framer.stop())
    this.#counted = new CountedRuns(around, this.#refusing)
    this.#copying = new Copying(around)
    this.#extended = new Extended(around, this.#refusing, this.#counted, this.#copying)
  }

  /** Whether the client stands between two messages. */
  get atBoundary(): boolean {
    return this.#framer.atBoundary
  }

  /** Returns how many bytes were taken; the rest must wait until the conversation goes on. */
  push(chunk: Buffer): number {
    this.#began = performance.now()
    return this.#framer.push(chunk, this)
  }

  header(type: number): FrameMode {
    if (this.#isSkipped(type)) return 'drop'
    const mode = type === CLIENT_TYPES.terminate ? undefined : this.#copying.header(type)
    if (mode !== undefined) return mode
    switch (type) {
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

  /** The server discards it: what failed stands before it, and no Sync between. */
  #isSkipped(type: number): boolean {
    return this.#stateful().state.skipping && type !== CLIENT_TYPES.sync && type !== CLIENT_TYPES.terminate
  }

  whole(type: number, buffer: Buffer, start: number, end: number): void {
    // Its group may have failed while the rest of it was on its way.
    if (this.#isSkipped(type)) return
    if (type === CLIENT_TYPES.copyDone || type === CLIENT_TYPES.copyFail) {
      this.#copying.ends(type, buffer, start - HEADER_BYTES, end)
      return
    }
    this.#takeTurns()
    if (this.#state.pending.length >= LIMITS.pendingMax) {
      throw new GatewayError(
        'limit_exceeded',
        `More than ${LIMITS.pendingMax} messages wait for their answers.`,
      )
    }
    const from = start - HEADER_BYTES
    switch (type) {
      case CLIENT_TYPES.query:
        if (this.#state.executed)
          this.#refusing.refuse(unsynced(), true, 'query', buffer.subarray(start, Math.max(start, end - 1)))
        else if (this.#state.isChanging || this.#mustWaitToRead(buffer.subarray(start, end)))
          this.#refusing.again(buffer, from, end)
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

  /** Many small messages take long in one go: after their share of a turn the others come first. */
  #takeTurns(): void {
    if (++this.#untimed < TIMED_EVERY) return
    this.#untimed = 0
    if (performance.now() - this.#began < LIMITS.turnMs) return
    this.#framer.stop()
    this.#around.stall(nextTurn())
  }

  /** A name whose meaning the server has yet to confirm cannot be judged: the message is looked at again then. */
  #named(message: ClientMessage, buffer: Buffer, from: number, end: number): void {
    if (!this.#isUncertain(message)) {
      this.#extended.take(message, buffer, from, end)
      return
    }
    this.#refusing.again(buffer, from, end)
  }

  #isUncertain(message: ClientMessage): boolean {
    const { statements, portals } = this.#state
    switch (message.kind) {
      case 'parse':
        return this.#state.isChanging || this.#mustWaitToRead(message.sql)
      case 'bind':
        return this.#state.isChanging || statements.isUncertain(message.statement)
      case 'execute':
        return this.#state.isChanging || portals.isUncertain(message.portal)
      case 'describe':
        return (message.what === 'statement' ? statements : portals).isUncertain(message.name)
      default:
        return false
    }
  }

  piece(_type: number, buffer: Buffer, start: number, end: number): void {
    this.#copying.piece(buffer, start, end)
  }

  pass(buffer: Buffer, start: number, end: number): void {
    this.#copying.pass(buffer, start, end)
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
      const question = this.#around.local.questionIn(buffer, start, textEnd)
      if (question !== undefined) {
        this.#answer(question)
        return
      }
      const judged = this.#judge.bytes(buffer, start, textEnd, this.#state.readingIsSettled)
      if (judged !== undefined) {
        if (!this.#state.isAnswered && lasts(judged.judgement)) this.#refusing.again(buffer, from, end)
        else if (!this.#refusing.looks(judged.judgement, buffer, from, end))
          this.#runQuery(judged, buffer, from, end)
        return
      }
    } catch (error) {
      this.#refusing.refuse(error, true, 'query', buffer.subarray(start, textEnd))
      return
    }
    const message = Buffer.from(buffer.subarray(from, end))
    this.#refusing.later('query', message.subarray(HEADER_BYTES, message.length - 1), async () => {
      const text = message.subarray(HEADER_BYTES, message.length - 1)
      const judged = await this.#refusing.read(text, NO_PARAMETERS)
      this.#runQuery(judged, message, 0, message.length)
    })
  }

  /** The server gets an empty query in its place; what it says to that is replaced. */
  #answer(question: LocalQuestion): void {
    const { text, judgement } = question
    if (question.retells) this.#judge.recorded.noteAnywhere(judgement, this.#judge.labels)
    const command = this.#refusing.recorded({ form: 'query', text, facts: judgement.facts }, question)
    const step = this.#session.step(command, judgement)
    if (isHeld(step)) throw new Error('what is answered here is never held')
    this.#session.forward(housekeeping, EMPTY_QUERY)
    this.#state.pending.push({
      kind: 'query',
      flight: step,
      plans: [],
      statement: 0,
      plan: undefined,
      tags: '',
      local: () => question.answer(),
    })
    this.#state.groupsSent++
    this.#around.follow()
  }

  #runQuery(judged: Judged, buffer: Buffer, from: number, end: number): void {
    this.#around.writeBack.check(judged)
    const command = this.#refusing.recorded(this.#refusing.command('query', judged), judged)
    const step = this.#session.step(command, judged.judgement)
    if (!isHeld(step)) {
      this.#forwardQuery(step, buffer, from, end)
      return
    }
    const kept = new KeptMessage(buffer, from, end)
    this.#refusing.later('query', NO_TEXT, () =>
      this.#refusing
        .hold(step, judged.text, this.#state.inTransaction, undefined, NO_PARAMETERS)
        .then((permit) => {
          const message = kept.bytes
          if (permit.effect === undefined) return this.#forwardQuery(permit, message, 0, message.length)
          const sql = message.subarray(HEADER_BYTES, message.length - 1)
          return this.#counted.query(permit, sql, permit.judgement)
        }),
    )
  }

  #forwardQuery(permit: Permitted, buffer: Buffer, from: number, end: number): void {
    const plans = plansFor(permit.judgement)
    if (permit.judgement.facts.redefines) this.#around.redefining()
    this.#refusing.noteReading(permit)
    this.#around.aftermath.sent(permit)
    this.#session.forward(permit, buffer, from, end)
    const query: PendingQuery = {
      kind: 'query',
      flight: permit,
      plans,
      statement: 0,
      plan: plans[0],
      tags: '',
    }
    this.#state.pending.push(query)
    this.#copying.sent(query)
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
    state.pending.push({ kind: 'sync' })
    state.groupsSent++
    this.#around.follow()
  }
}

/**
 * Behind an Execute without Sync, a simple query ends the transaction that the Execute began; version 18 says that it has
 * and, with the next statement, takes back what it acknowledged (XX000, "unexpected state STARTED").
 */
function unsynced(): GatewayError {
  return new GatewayError('unsupported', 'Send Sync before a simple query: an Execute before it has none.', {
    remedy: 'Servers differ in what becomes of the commands before it. No driver sends them so by itself.',
    retry: 'only-if-changed',
  })
}

async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}
