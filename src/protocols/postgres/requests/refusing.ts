import type { Command, Countable, SessionChanges } from '../../../core/index.ts'
import { asGatewayError, GatewayError, isGatewayError, labelsUsed, LIMITS } from '../../../core/index.ts'
import type { Held, Judgement, Permitted, Session } from '../../../session/index.ts'
import { housekeeping } from '../../../session/index.ts'
import { encodeServer, STATUS_BYTES } from '../../../wire/postgres/index.ts'
import { lasts } from './answers.ts'
import type { Estimating, Judge, Judged } from './commands.ts'
import { countableNow } from './countable.ts'
import { saysCurrentOf } from './current-of.ts'
import { errorBytes, positionOf } from '../errors.ts'
import type { LocalAnswers } from '../local/local-answers.ts'
import type { Statement } from '../pending.ts'
import { listedIn } from './readings.ts'
import { FAILING_PARSE, FAILING_QUERY } from './refusal.ts'
import type { Quiet } from './meant-settings.ts'
import type { Aftermath } from './named.ts'
import { toldOf } from './told.ts'
import type { BoundParameters } from '../startup/upstream.ts'
import type { ConversationState } from '../state.ts'
import type { WriteBack } from './write-back.ts'

/** What the requests need from the conversation around them. */
export type RequestSurroundings = {
  readonly session: Session
  readonly state: ConversationState
  readonly judge: Judge
  /** Nothing more is read from the client until the promise has settled. */
  stall(work: Promise<void>): void
  /** Nothing more is read until the promise has settled; then this message comes first, once more. */
  again(message: Buffer, when: Promise<void>): void
  /**
   * Waits for people, or not at all when it is to fail fast; throws GatewayError `approval_*` or `canceled`. `guessed`: how many rows it
   * comes to, for people to read.
   */
  hold(held: Held, failFast: boolean, guessed: Promise<number | undefined>): Promise<Permitted>
  /** The head of the queue may have changed. */
  follow(): void
  /** Definitions are about to change. */
  redefining(): void
  readonly aftermath: Aftermath
  terminate(): void
  readonly writeBack: WriteBack
  /** Which relations no code of users stands behind that could change settings. Undefined: it could not be looked. */
  readonly quiet: () => Promise<Quiet | undefined>
  /** Whether what it changes can be counted, by what stands behind it now. */
  countable(held: Held): Promise<Countable>
  /** Behind which relations no code of users could run while a statement is planned. Undefined: it could not be looked. */
  readonly planned: () => Promise<Quiet | undefined>
  /** Questions to the gateway itself. */
  readonly local: LocalAnswers
  /** The session has ended; nothing may be recorded or forwarded for it any more. */
  over(): boolean
}

/** A message without a statement in it. */
export const NO_TEXT = new Uint8Array(0)

/** What all requests share that cannot be answered at once: they wait to be read or approved, or are refused in place. */
export class Refusing {
  readonly #around: RequestSurroundings
  /** Nothing behind the message in hand is looked at for now. */
  readonly #stop: () => void

  constructor(around: RequestSurroundings, stop: () => void) {
    this.#around = around
    this.#stop = stop
  }

  /** `of`: the statement, if the server has read it before. */
  command(form: string, { text, judgement }: Judged, of?: Statement): Command {
    const { decision, facts } = judgement
    const listed = facts.touches.length === 0 ? 0 : listedIn(text)
    const asked = listed === 0 ? { form, text, facts } : { form, text, facts, listed }
    if (decision.kind === 'deny' || (decision.kind === 'allow' && decision.pause === undefined)) return asked
    // Who is asked about EXECUTE has to see what it runs, and says yes to nothing else.
    const { judge, state } = this.#around
    const behind = judge.behind(judgement)
    const shown = behind.map((each) => `\n/* ${each.text} */`)
    if ([text, ...shown].some(saysCurrentOf)) throw standsOnCursor()
    const command = { ...asked, text: text + shown.join('') }
    // psql sends a semicolon that a driver leaves out: the same command all the same.
    const canonical = command.text.trim().replace(/[\s;]+$/, '')
    const { now } = state.settings
    const read = [...(of === undefined ? [] : [of]), ...behind].map(({ settings }) => settings)
    // What was read under the same settings is the same command, however it was sent.
    const settings = [now, ...read.filter((each) => each !== now)].join(', read by ')
    const reuse = behind.length > 0 ? undefined : judge.reuseOf(text)
    return {
      ...command,
      canonical,
      meaning: `${judge.meaning()}, settings ${settings}`,
      under: read.every((each) => each === now) ? state.settings.said : readOtherwise(state.settings.said),
      countable: countableNow(judgement, state),
      ...(reuse === undefined ? {} : { shape: reuse.key, varying: reuse }),
    }
  }

  /** The same command with what is recorded of it; `text` and parameters of the command have to be complete. */
  recorded(command: Command, judged: Judged): Command {
    const { judge } = this.#around
    const { text, parameters } = command
    if (text === judged.text) {
      const recorded = judge.recorded.of(judged, parameters)
      return recorded === undefined ? command : { ...command, recorded }
    }
    // With what it runs shown behind it: nothing of that is told apart.
    const behind = judge.behind(judged.judgement).map(({ judgement }) => judgement)
    const labels = [
      ...new Set([judged.judgement, ...behind].flatMap(({ facts }) => labelsUsed(facts))),
    ].sort()
    if (labels.length === 0) return command
    return { ...command, recorded: judge.recorded.whole(text, parameters, labels) }
  }

  /** The message in hand is looked at again when more is known. */
  again(buffer: Buffer, from: number, end: number): void {
    this.#stop()
    const answered = new Promise<void>((resolve) => this.#around.state.onReady.push(resolve))
    this.#around.again(Buffer.from(buffer.subarray(from, end)), answered)
  }

  /** What people are asked about is bound to what has run in this session: code of users, too, which no text names. */
  #mustLook({ decision }: Judgement): boolean {
    if (!this.#around.state.settings.isUnseen || decision.kind === 'deny') return false
    return decision.kind === 'hold' || decision.pause !== undefined
  }

  /** Whether it has to be looked for that first: then the message in hand comes again. */
  looks(judgement: Judgement, buffer: Buffer, from: number, end: number): boolean {
    if (!this.#mustLook(judgement)) return false
    this.#stop()
    const { state, quiet } = this.#around
    this.#around.again(Buffer.from(buffer.subarray(from, end)), state.settings.look(quiet))
    return true
  }

  noteReading(permit: Permitted): void {
    const { judge, state } = this.#around
    if (judge.mayChangeReading(permit.judgement)) state.rereadIn = state.groupsSent
    if (state.settings.sent(toldOf(permit.judgement))) state.changedIn = state.groupsSent
  }

  /**
   * Waits for people, then holds what they approved against the definitions once more: it may mean something else by
   * now than what they were shown. `bound`: its parameters, where they are known. Throws GatewayError `approval_*`, `canceled` or `conflict`.
   */
  async hold(
    held: Held,
    text: string,
    failFast: boolean,
    of?: Statement,
    bound?: BoundParameters,
  ): Promise<Permitted> {
    const { session, judge } = this.#around
    const meaning = judge.meaning()
    const permit = await this.#around.hold(held, failFast, this.#guess(held, text, bound))
    await this.#turn(permit.judgement)
    const same =
      (!judge.labelled || ((await judge.holds(text, permit.judgement, of)) && judge.meaning() === meaning)) &&
      (permit.effect === undefined || (await this.#around.countable(held)).can)
    if (this.#around.over()) throw gone()
    if (!same || this.#around.state.skipping) session.finish(permit, 'skipped', '')
    this.#stillWanted()
    if (same) return permit
    throw new GatewayError('conflict', 'Run it again: definitions changed while it waited.', {
      remedy: 'It has not run: what was approved may mean something else now, and is asked about anew.',
      retry: 'later',
      requestId: session.requestId(permit.n),
    })
  }

  /** What the planner expects of one plain statement, where nothing of users' could run meanwhile. */
  async #guess(
    { command, judgement }: Held,
    text: string,
    bound: BoundParameters | undefined,
  ): Promise<number | undefined> {
    const { class: commandClass, statements, reads, writes, estimatedRows } = command.facts
    const isPlain = statements.length === 1 && (commandClass === 'read' || commandClass === 'write')
    // What a rule has asked for is not asked again.
    const isAsked = estimatedRows !== undefined || judgement.decision.estimate !== undefined
    if (bound === undefined || !isPlain || isAsked) return estimatedRows
    const isPlanned = await this.#around.planned()
    if (isPlanned?.([...reads, ...writes], []) !== true) return undefined
    return this.#around.judge.guess({ text, judgement }, bound)
  }

  /** A statement that cannot be judged without waiting. A client that has gone meanwhile wants nothing any more. */
  async read(sql: Uint8Array, estimating?: Estimating): Promise<Judged> {
    const { judge, state, quiet } = this.#around
    const read = (): Promise<Judged> => judge.later(sql, state.readingIsSettled, estimating)
    const judged = await read()
    await this.#turn(judged.judgement)
    this.#stillWanted()
    if (estimating === 'static' || !this.#mustLook(judged.judgement)) return judged
    await state.settings.look(quiet)
    const again = await read()
    this.#stillWanted()
    return again
  }

  /** The same for what was judged before, under what is known now. */
  async readAgain(statement: Statement, estimating: Estimating): Promise<Judged> {
    const { judge, state, quiet } = this.#around
    const judged = await judge.anewLater(statement, estimating)
    await this.#turn(judged.judgement)
    this.#stillWanted()
    if (!this.#mustLook(judged.judgement)) return judged
    await state.settings.look(quiet)
    const again = await judge.anewLater(statement, estimating)
    this.#stillWanted()
    return again
  }

  /** What lasts waits until everything before its group has been answered. */
  async #turn(judgement: Judgement): Promise<void> {
    const { state } = this.#around
    while (lasts(judgement) && !state.isAnswered && !state.skipping && !this.#around.over())
      await new Promise<void>((resolve) => state.onReady.push(resolve))
  }

  /** Throws when the message in hand is not to be forwarded any more, by what has happened while it waited. */
  #stillWanted(): void {
    if (this.#around.over()) throw gone()
    if (this.#around.state.skipping) throw new Skipped()
  }

  /** Goes on with this message later; nothing behind it is looked at meanwhile. */
  later(form: string, text: Uint8Array, work: () => Promise<void>): void {
    this.#stop()
    this.#around.stall(
      work().catch((error: unknown) => {
        // What failed before it has been answered, and the server discards all that follows to Sync: this as well.
        if (error instanceof Skipped || (isGatewayError(error) && this.#around.state.skipping)) return
        if (!isGatewayError(error) || error.code === 'protocol_violation') throw error
        // Its client has been told something else by then, or has gone.
        if (this.#around.over()) return
        this.refuse(error, form === 'query', form, text)
      }),
    )
  }

  /** Says no in the place where the answer would have been, and fails both sides alike. */
  refuse(refusal: unknown, simple: boolean, form: string, text: Uint8Array): void {
    const { state, session } = this.#around
    const known = asGatewayError(refusal)
    const error =
      known.requestId === undefined
        ? session.stepUnreadable(form, attemptedText(text), known, this.#around.judge.labels)
        : known
    this.#around.local.noteRefusal(error, text)
    if (state.idle) {
      session.tell(errorBytes(error, 'ERROR', positionOf(error)))
      if (simple) {
        session.reply(readyBytes(state.status))
      } else {
        state.skipping = true
        state.skippingLocally = true
      }
      return
    }
    session.forward(housekeeping, simple ? FAILING_QUERY : FAILING_PARSE)
    state.pending.push({ kind: 'refusal', error, simple })
    if (simple) state.groupsSent++
    if (!simple) {
      state.skipping = true
      state.unsynced = true
    }
    this.#around.follow()
  }
}

/** A statement that was prepared before its session changed something else. */
function readOtherwise({ changes }: SessionChanges): SessionChanges {
  return { changes: [...changes, 'other settings when this was prepared than now'], moved: true }
}

function standsOnCursor(): GatewayError {
  return new GatewayError('denied', 'Name the row by its key: CURRENT OF cannot wait for approval.', {
    remedy: 'An approval is for a text and its values. Where a cursor stands is in neither.',
    retry: 'only-if-changed',
  })
}

/** The group of a message has failed while it waited. */
class Skipped extends Error {}

function gone(): GatewayError {
  return new GatewayError('canceled', 'The client went away.')
}

/** What is recorded of an attempt that never became a command. */
function attemptedText(text: Uint8Array): string {
  const shown = Buffer.from(text.subarray(0, LIMITS.statementInlineBytesMax)).toString('utf8')
  return text.length <= LIMITS.statementInlineBytesMax ? shown : `${shown} ... (${text.length} bytes)`
}

const READY: ReadonlyMap<number, Buffer> = new Map([
  [STATUS_BYTES.idle, encodeServer({ kind: 'readyForQuery', status: 'idle' })],
  [STATUS_BYTES.transaction, encodeServer({ kind: 'readyForQuery', status: 'transaction' })],
  [STATUS_BYTES.failed, encodeServer({ kind: 'readyForQuery', status: 'failed' })],
])

export function readyBytes(status: number): Buffer {
  return READY.get(status) ?? encodeServer({ kind: 'readyForQuery', status: 'idle' })
}
