import type { Command, Facts } from '../../../core/index.ts'
import { GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'
import type { Judgement, Permitted, Session } from '../../../session/index.ts'
import { housekeeping, isHeld } from '../../../session/index.ts'
import type { ClientMessage } from '../../../wire/postgres/index.ts'
import { CLIENT_TYPES, decodeClient, HEADER_BYTES } from '../../../wire/postgres/index.ts'
import type { Judge, Judged } from './commands.ts'
import type { CountedRuns } from './counting.ts'
import type { Copying } from './copying.ts'
import type { LocalAnswer } from '../local/local-answers.ts'
import type { PendingExecute, Portal, Statement } from '../pending.ts'
import { KeptMessage } from './kept-message.ts'
import { planFor, plansFor } from './plans.ts'
import { listedAmong, mayList, readingsOf } from './readings.ts'
import type { Refusing, RequestSurroundings } from './refusing.ts'
import { NO_TEXT } from './refusing.ts'
import { toldOf } from './told.ts'
import type { ConversationState } from '../state.ts'

/** The extended protocol's messages with names in them: what is prepared, bound, described, executed and closed. */
export class Extended {
  readonly #around: RequestSurroundings
  readonly #session: Session
  readonly #state: ConversationState
  readonly #judge: Judge
  readonly #refusing: Refusing
  readonly #counted: CountedRuns
  readonly #copying: Copying

  constructor(around: RequestSurroundings, refusing: Refusing, counted: CountedRuns, copying: Copying) {
    this.#around = around
    this.#session = around.session
    this.#state = around.state
    this.#judge = around.judge
    this.#refusing = refusing
    this.#counted = counted
    this.#copying = copying
  }

  take(message: ClientMessage, buffer: Buffer, from: number, end: number): void {
    try {
      switch (message.kind) {
        case 'parse':
          this.#parse(message, buffer, from, end)
          return
        case 'bind':
          this.#bind(message, buffer, from, end)
          return
        case 'describe': {
          const portal = message.what === 'portal' ? this.#state.portals.get(message.name) : undefined
          const of =
            message.what === 'statement' ? this.#state.statements.get(message.name) : portal?.statement
          this.#forwardExtended(buffer, from, end)
          const instead = of?.local?.description(portal?.local?.formats)
          this.#state.pending.push({ kind: 'describe', of, instead })
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
      this.#refusing.refuse(
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
    const question = this.#around.local.questionIn(sql, 0, sql.length)
    if (question !== undefined) {
      const { text, judgement } = question
      if (question.retells) this.#judge.recorded.noteAnywhere(judgement, this.#judge.labels)
      const placeholder = question.placeholder(message.statement)
      this.#forwardExtended(placeholder, 0, placeholder.length)
      const undo = this.#state.statements.set(message.statement, {
        text,
        settings: this.#state.settings.now,
        judgement,
        plan: undefined,
        local: question,
      })
      this.#state.pending.push({ kind: 'parse', undo })
      this.#around.follow()
      return
    }
    const judged = this.#judge.bytes(sql, 0, sql.length, this.#state.readingIsSettled, 'static')
    if (judged !== undefined) {
      this.#parsed(message, judged, buffer, from, end)
      return
    }
    const copy = Buffer.from(buffer.subarray(from, end))
    this.#refusing.later('parse', sql, async () => {
      this.#parsed(message, await this.#refusing.read(sql, 'static'), copy, 0, copy.length)
    })
  }

  #parsed(
    { statement: name, parameterTypes: types }: ClientMessage & { kind: 'parse' },
    judged: Judged,
    buffer: Buffer,
    from: number,
    end: number,
  ): void {
    const { judgement, text } = judged
    if (judgement.decision.kind === 'deny') {
      // Refused once here and recorded as the attempt it is; `step` throws.
      const attempt = { form: 'parse', text, facts: judgement.facts }
      this.#session.step(this.#refusing.recorded(attempt, judged), judgement)
      return
    }
    this.#around.writeBack.check(judged)
    this.#noteTypes(judgement.facts, types)
    this.#forwardExtended(buffer, from, end)
    const of = {
      text,
      types,
      settings: this.#state.settings.now,
      judgement,
      plan: plansFor(judgement)[0],
    }
    const undo = this.#state.statements.set(name, of)
    this.#state.pending.push({ kind: 'parse', of, undo })
    this.#around.follow()
  }

  #bind(message: ClientMessage & { kind: 'bind' }, buffer: Buffer, from: number, end: number): void {
    const statement = this.#state.statements.get(message.statement)
    if (statement === undefined && this.#judge.labelled) {
      throw new GatewayError('denied', 'Prepare the statement in this session through the protocol first.', {
        remedy: 'No statement of this name is known.',
        retry: 'only-if-changed',
        facts: { sqlstate: '26000' },
      })
    }
    const known = statement === undefined ? this.#judge.unknown('bind') : this.#judge.anew(statement)
    if (known === undefined) {
      const copy = Buffer.from(buffer.subarray(from, end))
      const again = decodeClient(CLIENT_TYPES.bind, copy, HEADER_BYTES, copy.length)
      this.#refusing.later('bind', NO_TEXT, async () => {
        if (statement === undefined || again.kind !== 'bind') return
        await this.#refusing.readAgain(statement, {
          values: again.values,
          formats: again.parameterFormats,
          types: statement.types ?? [],
        })
        this.#bound(again, statement, statement.judgement, copy, 0, copy.length)
      })
      return
    }
    if (this.#refusing.looks(known.judgement, buffer, from, end)) return
    const of = statement ?? {
      text: known.text,
      settings: this.#state.settings.now,
      judgement: known.judgement,
      plan: undefined,
    }
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
    this.#around.writeBack.check({ text: statement.text, judgement }, parameters)
    const cursor = statement.local?.open(parameters)
    const local = cursor === undefined ? undefined : { cursor, formats: message.resultFormats }
    const { estimatedRows } = judgement.facts
    const bare = {
      statement,
      parameters,
      readings: readingsOf(parameters.length, message.parameterFormats, statement.types),
      settings: this.#state.settings.now,
      formats: message.resultFormats,
      estimatedRows,
      group: this.#state.groupsSent,
      rows: 0,
      bytes: 0,
      local,
    }
    if (judgement.decision.kind === 'allow') {
      this.#forwardBind(message.portal, { ...bare, approved: undefined }, buffer, from, end)
      return
    }
    const bound = { text: statement.text, judgement }
    const command = this.#refusing.recorded(
      commandOf(this.#refusing.command('execute', bound, statement), bare),
      bound,
    )
    const step = this.#session.step(command, judgement)
    if (!isHeld(step)) throw new Error('a command that is neither allowed nor denied is held')
    const kept = new KeptMessage(buffer, from, end)
    const failFast = this.#state.inTransaction || this.#state.executed
    this.#refusing.later('bind', NO_TEXT, async () => {
      const asked = { values: parameters, formats: message.parameterFormats, types: statement.types ?? [] }
      const permit = await this.#refusing.hold(step, statement.text, failFast, statement, asked)
      const copy = kept.bytes
      const behind = this.#judge.behind(judgement)
      const portal = {
        ...bare,
        approved: this.#session.policyVersion,
        behind,
        permit,
        ...(permit.effect === undefined ? {} : { counted: true as const }),
      }
      this.#forwardBind(message.portal, portal, copy, 0, copy.length)
    })
  }

  #forwardBind(name: string, portal: Portal, buffer: Buffer, from: number, end: number): void {
    if (this.#state.portals.size >= LIMITS.namedObjectsMax) {
      throw new GatewayError('limit_exceeded', `A session keeps at most ${LIMITS.namedObjectsMax} portals.`)
    }
    this.#noteTypes(portal.statement.judgement.facts, portal.statement.types)
    this.#forwardExtended(buffer, from, end)
    const { settings } = this.#state
    if (portal.local === undefined) settings.planned(toldOf(portal.statement.judgement))
    // What was approved for it stands for what is behind its own planning.
    const bound: Portal = { ...portal, settings: settings.now, touches: settings.touches }
    const undo = this.#state.portals.set(name, bound)
    this.#state.pending.push({
      kind: 'bind',
      of: portal.statement,
      undo: () => {
        undo()
        if (bound.permit !== undefined) this.#session.finish(bound.permit, 'skipped', '')
      },
    })
    this.#around.follow()
  }

  #execute(name: string, buffer: Buffer, from: number, end: number): void {
    const portal = this.#state.portals.get(name)
    if (portal === undefined && this.#judge.labelled) {
      throw new GatewayError('denied', 'Bind the portal in this session through the protocol first.', {
        remedy: 'No portal of this name is known.',
        retry: 'only-if-changed',
        facts: { sqlstate: '34000' },
      })
    }
    const judged = portal === undefined ? this.#judge.unknown('execute') : this.#judge.anew(portal.statement)
    if (judged === undefined) {
      const copy = Buffer.from(buffer.subarray(from, end))
      this.#refusing.later('execute', NO_TEXT, async () => {
        if (portal === undefined) return
        const { statement, estimatedRows } = portal
        await this.#refusing.readAgain(statement, { estimatedRows })
        this.#stepExecute(portal, portal.statement, copy, 0, copy.length)
      })
      return
    }
    if (this.#around.aftermath.mustWait(judged.judgement)) this.#refusing.again(buffer, from, end)
    else if (
      this.#isApproved(portal, judged.judgement) ||
      !this.#refusing.looks(judged.judgement, buffer, from, end)
    )
      this.#stepExecute(portal, judged, buffer, from, end)
  }

  #stepExecute(portal: Portal | undefined, judged: Judged, buffer: Buffer, from: number, end: number): void {
    if (portal !== undefined) this.#judge.begin(portal, judged.judgement)
    if (portal?.isRun === true && sets(this.#judge, judged.judgement)) throw hasSet()
    const command = this.#refusing.recorded(
      commandOf(this.#refusing.command('execute', judged, portal?.statement), portal),
      judged,
    )
    const approved = this.#isApproved(portal, judged.judgement)
    const permit = portal?.permit
    if (portal !== undefined && permit !== undefined && !permit.done) {
      portal.permit = undefined
      if (approved) {
        this.#forwardExecute(permit, portal, buffer, from, end)
        return
      }
      // Approved under another policy or other settings: what was approved has not run and does not run by that approval.
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
    const kept = new KeptMessage(buffer, from, end)
    const failFast = this.#state.inTransaction || this.#state.executed
    this.#refusing.later('execute', NO_TEXT, async () => {
      const permit = await this.#refusing.hold(step, judged.text, failFast, portal?.statement)
      const copy = kept.bytes
      this.#forwardExecute(permit, portal, copy, 0, copy.length)
    })
  }

  /** What was approved when it was bound is what would run now. */
  #isApproved(portal: Portal | undefined, judgement: Judgement): boolean {
    const { settings } = this.#state
    return (
      portal?.approved === this.#session.policyVersion &&
      portal.settings === settings.now &&
      portal.touches === settings.touches &&
      // What was approved for a number of rows is one execution: another is asked about anew.
      (portal.counted === undefined || portal.permit?.done === false) &&
      isSame(portal.behind, this.#judge.behind(judgement)) &&
      judgement.decision.kind !== 'deny'
    )
  }

  #forwardExecute(
    permit: Permitted,
    portal: Portal | undefined,
    buffer: Buffer,
    from: number,
    end: number,
  ): void {
    if (permit.effect !== undefined) {
      const message = Buffer.from(buffer.subarray(from, end))
      this.#refusing.later('execute', NO_TEXT, () => this.#counted.execute(permit, portal, message))
      return
    }
    const state = this.#state
    state.unsynced = true
    state.executed = true
    if (permit.judgement.facts.redefines) this.#around.redefining()
    // A question to the gateway leaves everything as it is.
    if (portal?.local === undefined) this.#refusing.noteReading(permit)
    if (portal !== undefined) portal.touches = state.settings.touches
    this.#around.aftermath.sent(permit)
    const undo = this.#around.aftermath.ahead(permit)
    this.#session.forward(permit, buffer, from, end)
    if (portal !== undefined) portal.isRun = true
    const local = localAnswer(portal, buffer, from, end)
    const execute: PendingExecute = {
      kind: 'execute',
      flight: permit,
      portal,
      local,
      plan:
        portal === undefined ? plansFor(permit.judgement)[0] : planFor(portal.statement, permit.judgement),
      undo,
    }
    state.pending.push(execute)
    if (local === undefined) this.#copying.sent(execute)
    this.#around.follow()
  }

  /** What a parameter is of, the text does not say. */
  #noteTypes(facts: Facts, types: readonly number[] = []): void {
    for (const type of types) {
      if (facts.touches.length > 0 && !this.#judge.isExact(type) && !this.#judge.seesAll) {
        throw new GatewayError(
          'denied',
          `Leave the type of number ${type} out: more than one value may be equal to one of it.`,
          {
            remedy: 'Declare the parameter as text.',
            retry: 'only-if-changed',
          },
        )
      }
      const code = this.#judge.userCode(type)
      if (code === undefined) continue
      this.#state.ownTypes = true
      if (code === 'casts' && !this.#judge.seesAll) {
        throw new GatewayError(
          'denied',
          `Leave the type of number ${type} out: casts of it run an unknown function.`,
          {
            remedy: 'Declare the parameter as text.',
            retry: 'only-if-changed',
          },
        )
      }
    }
  }

  #forwardExtended(buffer: Buffer, from: number, end: number): void {
    this.#state.unsynced = true
    this.#session.forward(housekeeping, buffer, from, end)
  }
}

function isSame(before: readonly Statement[] = [], now: readonly Statement[]): boolean {
  return before.length === now.length && before.every((each, i) => each === now[i])
}

function commandOf(command: Command, portal: Pick<Portal, 'parameters' | 'readings'> | undefined): Command {
  if (portal === undefined) return command
  const { parameters, readings } = portal
  const bound = { ...command, parameters, ...(readings === undefined ? {} : { readings }) }
  if (command.facts.touches.length === 0 || !mayList(command.text)) return bound
  return { ...bound, listed: (command.listed ?? 0) + listedAmong(parameters, readings) }
}

/** How an Execute of a question to the gateway itself is answered. */
function localAnswer(
  portal: Portal | undefined,
  buffer: Buffer,
  from: number,
  end: number,
): (() => LocalAnswer) | undefined {
  const cursor = portal?.local?.cursor
  if (cursor === undefined) return undefined
  const message = decodeClient(CLIENT_TYPES.execute, buffer, from + HEADER_BYTES, end)
  return () => cursor.fetch(message.kind === 'execute' ? message.rowsMax : 0)
}

/** Whether it changes where names are looked for, or whose rights count. */
function sets(judge: Judge, judgement: Judgement): boolean {
  return judge
    .effects(judgement)
    .some((each) => each.some(({ kind }) => kind === 'path' || kind === 'role' || kind === 'lose'))
}

function hasSet(): GatewayError {
  return new GatewayError(
    'denied',
    'Bind it anew: what it sets was set when this portal was first executed.',
    {
      remedy: 'Fetch all of its rows at once.',
      retry: 'only-if-changed',
      facts: { sqlstate: '55000' },
    },
  )
}
