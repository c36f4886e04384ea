import { type GatewayError, LIMITS, type OutcomeHead } from '../../../core/index.ts'
import { housekeeping, type Permitted, type Session } from '../../../session/index.ts'
import type { FrameMode, FrameSink } from '../../../wire/postgres/index.ts'
import {
  decodeServer,
  encodeClient,
  Framer,
  HEADER_BYTES,
  SERVER_TYPES,
  STATUS_BYTES,
} from '../../../wire/postgres/index.ts'
import { errorBytes, positionOf, sqlstateOf } from '../errors.ts'
import { hidden, isKnown, keepDescription, narrowed } from './described.ts'
import { Meter } from './meter.ts'
import { asksForReady, type Pending, type Portal, type Statement } from '../pending.ts'
import { OwnAnswers } from './own-answers.ts'
import { Company } from './company.ts'
import { copyInBegins, copyInEnds } from './copy-in.ts'
import { Fit, misfit } from './fit.ts'
import type { ResultPlan } from '../results/results.ts'
import type { CopyRows } from '../results/copy-rows.ts'
import { Quotable } from './quotable.ts'
import type { ReplySurroundings } from './reply-surroundings.ts'
import { Texts } from './texts.ts'
import { copyMasker, fit, maskRow, rowsWaiting, RowStream, takeRows, tighten } from '../results/results.ts'
import type { ConversationState } from '../state.ts'

/** A row larger than this is masked as it streams by instead of being collected. */
const ROW_WHOLE_BYTES = 64 * 1024
const SCRATCH_FULL_BYTES = 256 * 1024
const COPY_FAIL = encodeClient({ kind: 'copyFail', reason: 'the result before it was cut off' })

/**
 * Server to client: follows who is being answered, masks rows, meters, cuts off, records, and puts our own errors in
 * the place of the failures that stand for them. Bytes that nothing can be wrong with are forwarded undecoded.
 */
export class Replies implements FrameSink {
  readonly #around: ReplySurroundings
  readonly #session: Session
  readonly #state: ConversationState
  readonly #framer = new Framer({
    bodyBytesMax: LIMITS.upstreamMessageBytesMax,
    wholeBytesMax: LIMITS.messageBytesMax,
  })
  /** Rows of the current command are masked by this plan. */
  #plan: ResultPlan | undefined
  #flight: Permitted | undefined
  #stopping = false
  #rowStream: RowStream | undefined
  /** Masks the rows of the COPY that the server is sending. */
  #copy: CopyRows | undefined
  /** Set while the rest of a result is swallowed; told to the client in its place. */
  #cut: GatewayError | undefined
  /** The client has been told of a cut, but the server goes on up to ReadyForQuery: none of that is for the client. */
  #muted = false
  readonly #company: Company
  /** Rows of the statement being answered that the client was shown. */
  #shown = 0
  readonly #meter: Meter
  readonly #texts: Texts
  readonly #own: OwnAnswers
  readonly #quotable = new Quotable()
  readonly #fit: Fit

  constructor(around: ReplySurroundings) {
    this.#around = around
    this.#session = around.session
    this.#state = around.state
    this.#company = new Company(around.state.pending)
    this.#own = new OwnAnswers(around.state, () => this.follow())
    this.#fit = new Fit(around.state)
    this.#texts = new Texts(around, (...said) => this.#say(...said))
    this.#meter = new Meter({
      session: around.session,
      wait: (work, then) => around.wait(work, then),
      takeRows: () => this.#takeRows(),
      cursor: (flight, statement) => around.aftermath.cursor(flight.judgement, statement),
      cutShort: (told) => {
        this.#cut = told
        around.cutOff()
      },
    })
  }

  get atBoundary(): boolean {
    return this.#framer.atBoundary
  }

  /** Returns how many bytes were taken; the rest has to wait. */
  push(chunk: Buffer): number {
    const taken = this.#framer.push(chunk, this)
    this.#takeRows()
    return taken
  }

  /** Looks no further than the end of the message in hand, so that something can be said there. */
  stopAtBoundary(): void {
    this.#stopping = true
  }

  /** A command is now the first in the queue, or none is. Called whenever the head of the queue changes. */
  follow(): void {
    const head = this.#state.pending.first()
    const flight = head?.kind === 'query' || head?.kind === 'execute' ? head.flight : undefined
    if (flight === this.#flight) return
    this.#takeRows()
    this.#flight = flight
    if (flight !== undefined) this.#texts.follow(flight.command.text)
    this.#quotable.follow(flight?.command)
    this.#copy = undefined
    this.#plan = head?.kind === 'query' || head?.kind === 'execute' ? head.plan : undefined
    const portal = head?.kind === 'execute' ? head.portal : undefined
    // What a statement's description says of formats is not meant: they are the portal's.
    if (this.#plan !== undefined && portal !== undefined) {
      this.#plan = fit(this.#plan, portal.formats, this.#around.typeOf())
    }
    this.#meter.follow(flight, portal)
  }

  header(type: number, bodyBytes: number): FrameMode {
    if (this.#stopping) this.#framer.stop()
    const own = this.#state.counting && this.#own.mode(type)
    if (own !== undefined) return own
    this.#fit.check(type)
    switch (type) {
      case SERVER_TYPES.dataRow:
        return this.#row(bodyBytes)
      case SERVER_TYPES.copyData:
        return this.#copyRow(bodyBytes)
      case SERVER_TYPES.parseComplete:
      case SERVER_TYPES.bindComplete:
      case SERVER_TYPES.closeComplete:
        this.#state.pending.shift()
        this.follow()
        return this.#muted ? 'drop' : 'pass'
      case SERVER_TYPES.noData:
        return this.#noData()
      case SERVER_TYPES.rowDescription:
        return this.#description()
      case SERVER_TYPES.commandComplete:
      case SERVER_TYPES.emptyQueryResponse:
      case SERVER_TYPES.portalSuspended:
      case SERVER_TYPES.errorResponse:
      case SERVER_TYPES.readyForQuery:
      case SERVER_TYPES.copyInResponse:
        return 'whole'
      case SERVER_TYPES.noticeResponse:
        // What belongs to no command is recorded by itself.
        return this.#saysNothing && this.#flight !== undefined ? 'pass' : 'whole'
      case SERVER_TYPES.parameterStatus:
        return 'whole'
      case SERVER_TYPES.copyOutResponse:
      case SERVER_TYPES.copyDone:
        if (this.#muted || this.#cut !== undefined) return 'drop'
        return this.#plan === undefined ? 'pass' : 'whole'
      case SERVER_TYPES.parameterDescription:
        return this.#muted || this.#cut !== undefined ? 'drop' : 'pass'
      case SERVER_TYPES.notificationResponse:
        return this.#saysNothing ? 'pass' : 'whole'
      default:
        throw misfit(type)
    }
  }

  whole(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#state.counting !== undefined && this.#own.take(type, buffer, start, end)) return
    if (type === SERVER_TYPES.dataRow) {
      if (this.#plan !== undefined) {
        const { spending } = this.#session
        maskRow(this.#plan, buffer, start, end, spending.countsRecords ? spending : undefined)
        if (rowsWaiting() >= SCRATCH_FULL_BYTES) this.#takeRows()
      }
      return
    }
    this.#takeRows()
    const from = start - HEADER_BYTES
    switch (type) {
      case SERVER_TYPES.rowDescription:
        this.#checkDescription(buffer, start, end)
        if (!this.#muted) this.pass(buffer, from, end)
        return
      case SERVER_TYPES.commandComplete:
        this.#statementEnded(buffer, from, end, buffer.toString('latin1', start, end - 1))
        return
      case SERVER_TYPES.noData: {
        const head = this.#state.pending.shift()
        if (head?.kind === 'describe' && head.instead !== undefined)
          this.pass(head.instead, 0, head.instead.length)
        this.follow()
        return
      }
      case SERVER_TYPES.emptyQueryResponse:
        this.#empty(buffer, from, end)
        return
      case SERVER_TYPES.portalSuspended:
        this.#statementEnded(buffer, from, end, 'suspended')
        return
      case SERVER_TYPES.errorResponse:
        this.#error(buffer, from, start, end)
        return
      case SERVER_TYPES.noticeResponse:
        this.#texts.error(type, buffer, from, start, end)
        return
      case SERVER_TYPES.notificationResponse:
        this.#texts.notification(buffer, from, start, end)
        return
      case SERVER_TYPES.readyForQuery:
        this.#ready(buffer, from, start, end)
        return
      case SERVER_TYPES.copyOutResponse:
        this.#copyBegins(buffer, start, end)
        this.pass(buffer, from, end)
        return
      case SERVER_TYPES.copyDone:
        this.#copy?.end((bytes, first, last) => this.#send(bytes, first, last))
        this.#copy = undefined
        this.pass(buffer, from, end)
        return
      case SERVER_TYPES.copyInResponse:
        if (this.#muted) {
          // Nobody will send the data.
          this.#session.forward(housekeeping, COPY_FAIL)
          return
        }
        copyInBegins(this.#around, this.#flight, buffer, start, end)
        this.pass(buffer, from, end)
        return
      default:
        this.#texts.parameterStatus(buffer, from, start, end)
    }
  }

  piece(type: number, buffer: Buffer, start: number, end: number, bytesLeft: number): void {
    if (type === SERVER_TYPES.copyData) {
      this.#copy?.push(buffer, start, end, (bytes, from, to) => this.#send(bytes, from, to))
      return
    }
    this.#rowStream?.piece(buffer, start, end, bytesLeft, (bytes, from, to) => this.pass(bytes, from, to))
    if (bytesLeft === 0) this.#rowStream = undefined
  }

  pass(buffer: Buffer, start: number, end: number): void {
    this.#takeRows()
    this.#send(buffer, start, end)
  }

  /** Words of the server, which may quote any value that it was given. `always`: recorded where there is no command, too. */
  #say(buffer: Buffer, start: number, end: number, always: boolean): void {
    this.#takeRows()
    const quoted = this.#quotable.with(this.#state.pending.first())
    if (this.#flight !== undefined) this.#session.result(this.#flight, buffer, start, end, quoted)
    else if (always) this.#session.tell(buffer, start, end, quoted)
    else this.#session.reply(buffer, start, end)
  }

  /** Nothing that is said in words has to be looked at. */
  get #saysNothing(): boolean {
    return this.#around.inReach() === undefined && this.#quotable.isEmpty
  }

  /** An error of our own: it is recorded where there is no command, too. */
  tell(buffer: Buffer, start = 0, end = buffer.length): void {
    this.#takeRows()
    if (this.#flight === undefined) this.#session.tell(buffer, start, end)
    else this.#session.result(this.#flight, buffer, start, end)
  }

  #send(buffer: Buffer, start: number, end: number): void {
    if (this.#flight === undefined) this.#session.reply(buffer, start, end)
    else this.#session.result(this.#flight, buffer, start, end)
  }

  /** The upstream has gone: whatever it still owed is lost. */
  lost(): void {
    for (const each of this.#state.pending.takeAll()) this.#end(each, 'lost', '')
    this.#state.counting?.settle(false)
    this.#dropPortals(() => true)
    this.follow()
  }

  #row(bodyBytes: number): FrameMode {
    const counted = this.#countRow(bodyBytes)
    if (counted !== undefined) return counted
    const plan = this.#plan
    const counts = plan?.labelled === true && this.#session.spending.countsRecords
    if (plan === undefined || !(plan.masks || counts)) return 'pass'
    if (bodyBytes <= ROW_WHOLE_BYTES) return 'whole'
    if (counts) this.#meter.unseen(this.#flight, plan)
    this.#rowStream = new RowStream(plan, bodyBytes)
    return 'stream'
  }

  #copyRow(bodyBytes: number): FrameMode {
    const counted = this.#countRow(bodyBytes)
    if (counted !== undefined) return counted
    // A frame is a row, and which of its values have been shown before is not looked at.
    const plan = this.#plan
    if (plan?.labelled === true && this.#session.spending.countsRecords)
      this.#meter.unseen(this.#flight, plan)
    return this.#copy === undefined ? 'pass' : 'stream'
  }

  /** From here on the server sends rows of COPY. */
  #copyBegins(buffer: Buffer, start: number, end: number): void {
    const message = decodeServer(SERVER_TYPES.copyOutResponse, buffer, start, end)
    if (message.kind !== 'copyOutResponse' || this.#plan === undefined) return
    this.#copy = copyMasker(this.#plan, message, this.#around.typeOf())
  }

  /** Undefined: the row may be shown. */
  #countRow(bodyBytes: number): FrameMode | undefined {
    const flight = this.#flight
    if (this.#cut !== undefined || this.#muted) return 'drop'
    // Without a command there is no decision, and nothing that says what to mask.
    if (flight === undefined) throw misfit(SERVER_TYPES.dataRow)
    this.#cut = this.#around.aftermath.distrusts(flight)
    if (this.#cut !== undefined) {
      this.#around.cutOff()
      return 'drop'
    }
    const metered = this.#meter.row(flight, bodyBytes)
    if (metered !== 'show') return metered
    this.#shown++
    return undefined
  }

  /** What has no columns at the server may be a question of which the client gets the columns from here. */
  #noData(): FrameMode {
    const head = this.#state.pending.first()
    if (head?.kind === 'describe' && head.instead !== undefined && !this.#muted) return 'whole'
    this.#state.pending.shift()
    this.follow()
    return this.#muted || (head?.kind === 'describe' && head.isQuiet === true) ? 'drop' : 'pass'
  }

  /** The server had an empty statement, which may have stood for a question that is answered here. */
  #empty(buffer: Buffer, from: number, end: number): void {
    const head = this.#state.pending.first()
    const local = head?.kind === 'query' || head?.kind === 'execute' ? head.local : undefined
    if (local === undefined) {
      this.#statementEnded(buffer, from, end, '')
      return
    }
    const { bytes, rows, tag } = local()
    if (this.#flight !== undefined) this.#flight.rows += rows
    this.#statementEnded(bytes, 0, bytes.length, tag)
  }

  #description(): FrameMode {
    const head = this.#state.pending.first()
    const inReach = this.#around.inReach()
    if (head?.kind === 'describe') {
      if (inReach !== undefined && head.of !== undefined) return 'whole'
      this.#state.pending.shift()
      this.follow()
      return this.#muted ? 'drop' : 'pass'
    }
    if (this.#muted) return 'drop'
    return inReach === undefined ? 'pass' : 'whole'
  }

  #checkDescription(buffer: Buffer, start: number, end: number): void {
    const inReach = this.#around.inReach()
    if (inReach === undefined) return
    const head = this.#state.pending.first()
    if (head?.kind === 'describe' && head.of !== undefined && isKnown(head.of, inReach, buffer, start, end)) {
      this.#state.pending.shift()
      this.follow()
      return
    }
    const message = decodeServer(SERVER_TYPES.rowDescription, buffer, start, end)
    if (message.kind !== 'rowDescription') return
    if (head?.kind === 'describe') {
      const { of } = head
      if (of !== undefined) {
        this.#described(of, (plan) =>
          plan === undefined
            ? hidden(this.#around, of.judgement.facts, 0, message.fields)
            : tighten(plan, message.fields, inReach),
        )
        keepDescription(of, inReach, buffer, start, end)
      }
      this.#state.pending.shift()
      this.follow()
      return
    }
    if (this.#plan !== undefined) {
      const formats = message.fields.map((field) => field.format)
      this.#plan = fit(tighten(this.#plan, message.fields, inReach), formats, this.#around.typeOf())
    } else if (this.#flight !== undefined) {
      const statement = head?.kind === 'query' ? head.statement : 0
      this.#plan = hidden(this.#around, this.#flight.judgement.facts, statement, message.fields)
    }
  }

  /** Counts for every execution of the statement from now on, also for one that already stands behind the Describe. */
  #described(of: Statement, narrow: (plan: ResultPlan | undefined) => ResultPlan | undefined): void {
    narrowed(this.#state.pending, of, narrow)
  }

  /** One statement has ended: of a batch it may not be the last. */
  #statementEnded(buffer: Buffer, from: number, end: number, tag: string): void {
    this.#copy = undefined
    const head = this.#state.pending.first()
    if (head?.kind === 'execute') copyInEnds(this.#state, head)
    if (head?.kind === 'query') this.#around.aftermath.acknowledged(head.flight, head.statement, tag)
    if (this.#cut !== undefined) {
      if (head?.kind === 'query') head.statement++
      this.#tellCut(false)
      return
    }
    if (!this.#muted) {
      this.#tellMasked(head)
      if (head?.kind !== 'execute' || head.counting === undefined) this.pass(buffer, from, end)
      else head.counting.ended = { message: Buffer.from(buffer.subarray(from, end)), tag }
    }
    if (head?.kind === 'query' || head?.kind === 'execute') this.#meter.ended(head.flight)
    if (head?.kind === 'execute') {
      this.#company.executed(head.portal)
      this.#state.pending.shift()
      if (head.counting === undefined) this.#end(head, 'ok', tag)
      this.follow()
    } else if (head?.kind === 'query') {
      head.statement++
      head.tags = head.tags === '' ? tag : head.tags.length < 1000 ? `${head.tags}; ${tag}` : head.tags
      head.plan = head.plans[head.statement]
      this.#plan = head.plan
      this.#meter.next(head.flight, head.statement)
    }
  }

  /** Between the last row and the end of the statement, where every client takes a notice. */
  #tellMasked(head: Pending | undefined): void {
    const rows = this.#shown
    this.#shown = 0
    if (head?.kind !== 'query' && head?.kind !== 'execute') return
    const notice = this.#around.masked.ended(head.flight, this.#plan, rows)
    if (notice !== undefined) this.pass(notice, 0, notice.length)
  }

  /**
   * The client is told of the limit where the rest of the result would have been. For the client the command has
   * failed; a server that was not stopped in time (`failed` is false) has not, and goes on with what follows.
   */
  #tellCut(failed: boolean): void {
    const cut = this.#cut
    if (cut === undefined) return
    this.#cut = undefined
    this.#tellMasked(this.#state.pending.first())
    const head = this.#state.pending.first()
    // What is counted is rolled back when it cannot be shown.
    const fails = failed || this.#state.counting !== undefined
    const error = errorBytes(this.#company.told(cut, fails), 'ERROR')
    this.pass(error, 0, error.length)
    if (head?.kind === 'query') {
      this.#end(head, 'cut', cut.code)
      this.#muted = true
    } else if (head?.kind === 'execute' && failed) {
      this.#failExtended('cut', cut.code)
    } else if (head?.kind === 'execute') {
      this.#muted = true
      this.#state.pending.shift()
      this.#end(head, 'cut', cut.code)
      if (!this.#state.pending.owesReady) this.#state.skipping = true
      this.follow()
    }
  }

  #error(buffer: Buffer, from: number, start: number, end: number): void {
    this.#copy = undefined
    this.#state.failed = true
    const head = this.#state.pending.first()
    if (head?.kind === 'query') copyInEnds(this.#state, head)
    const { copyRefusal } = this.#state
    this.#state.copyRefusal = undefined
    if (copyRefusal !== undefined && (head?.kind === 'query' || head?.kind === 'execute')) {
      this.tell(errorBytes(copyRefusal, 'ERROR'))
      if (head.kind === 'query') this.#end(head, 'refused', copyRefusal.code)
      else this.#failExtended('refused', copyRefusal.code)
      return
    }
    if (head?.kind === 'refusal') {
      if (!this.#muted) this.tell(errorBytes(head.error, 'ERROR', positionOf(head.error)))
      if (!head.simple) this.#failExtended('refused', head.error.code)
      return
    }
    if (this.#cut !== undefined) {
      this.#tellCut(true)
      return
    }
    this.#shown = 0
    if (!this.#muted) this.#texts.error(SERVER_TYPES.errorResponse, buffer, from, start, end)
    const code = sqlstateOf(buffer, start, end)
    if (head?.kind === 'commit') {
      head.failed = true
      this.#end(head, 'error', code)
    }
    if (head === undefined || head.kind === 'sync' || head.kind === 'commit') return
    if (head.kind === 'query') this.#end(head, 'error', code)
    else this.#failExtended('error', code)
  }

  /** An error in the extended protocol: the server discards everything up to the next Sync. */
  #failExtended(outcome: OutcomeHead['outcome'], tag: string): void {
    const taken = this.#state.pending.takeToSync()
    // What failed may be the Parse or the Bind of a command that was to follow: its record says with what.
    const told = taken.findIndex(({ kind }) => kind === 'execute')
    for (const [i, each] of [...taken.entries()].toReversed()) {
      if ('undo' in each) each.undo?.()
      // Skipped with the rest: it will not be answered.
      if (i > 0 && asksForReady(each)) this.#state.groupsEnded++
      copyInEnds(this.#state, each)
      this.#end(each, i === 0 ? outcome : 'skipped', i === told || (told < 0 && i === 0) ? tag : '')
    }
    this.#state.counting?.settle(false)
    if (this.#state.pending.length === 0) this.#state.skipping = true
    this.#state.wake()
    this.follow()
  }

  #ready(buffer: Buffer, from: number, start: number, end: number): void {
    const state = this.#state
    state.groupsEnded++
    this.#company.ready()
    this.#muted = false
    this.#texts.ready()
    state.status = buffer[start] ?? STATUS_BYTES.idle
    const { failed } = state
    this.#around.aftermath.ready()
    state.settings.ready(state.status, failed)
    const head = state.pending.first()
    if (head?.kind === 'query') {
      copyInEnds(this.#state, head)
      this.#end(head, 'ok', head.tags)
    } else if (head?.kind === 'commit' && head.failed === undefined) {
      this.#session.result(head.flight, head.ended.message)
      this.#end(head, 'ok', head.ended.tag)
    }
    this.#session.reply(buffer, from, end)
    state.pending.shift()
    if (state.status === STATUS_BYTES.idle) {
      this.#quotable.clear()
      // What was bound ahead of this answer belongs to what comes after it.
      this.#dropPortals((portal) => portal.group < state.groupsEnded && (portal.hold !== true || failed))
      if (state.redefined) {
        state.redefined = false
        this.#around.redefined(true)
      }
    }
    this.follow()
    this.#state.wake()
    if (state.pending.length === 0) this.#around.settled()
  }

  /** What was approved for a portal and never executed has not run. */
  #dropPortals(ended: (portal: Portal) => boolean): void {
    for (const { permit } of this.#state.portals.take(ended)) {
      if (permit !== undefined) this.#session.finish(permit, 'skipped', '')
    }
  }

  #end(each: Pending, outcome: OutcomeHead['outcome'], tag: string): void {
    if (!('flight' in each)) return
    this.#session.finish(each.flight, outcome, tag)
    if (each.flight.command.facts.redefines) {
      this.#state.redefined = true
      this.#around.redefined()
    }
  }

  #takeRows(): void {
    this.#copy?.take((bytes, start, end) => this.#send(bytes, start, end))
    if (rowsWaiting() > 0) takeRows((bytes, start, end) => this.#send(bytes, start, end))
  }
}
