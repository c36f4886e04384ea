import type { EffectBound, GatewayError } from '../../../core/index.ts'
import { effectText, GatewayError as Refusal, isWithinEffect } from '../../../core/index.ts'
import type { Judgement, Permitted } from '../../../session/index.ts'
import { effectError, housekeeping } from '../../../session/index.ts'
import type { ClientMessage } from '../../../wire/postgres/index.ts'
import {
  CLIENT_TYPES,
  decodeClient,
  encodeClient,
  HEADER_BYTES,
  SERVER_TYPES,
} from '../../../wire/postgres/index.ts'
import type { Portal, Statement } from '../pending.ts'
import { Counting } from '../pending.ts'
import type { ChangedTable } from './changed-rows.ts'
import {
  changedTables,
  CHANGES_QUERY,
  changesText,
  mayHaveMoved,
  NOTHING_DEFERRED,
  rowsIn,
} from './changed-rows.ts'
import { planFor, plansFor } from './plans.ts'
import { FAILING_PARSE } from './refusal.ts'
import type { Refusing, RequestSurroundings } from './refusing.ts'

const SYNC = encodeClient({ kind: 'sync' })
const FLUSH = encodeClient({ kind: 'flush' })
/** No number of rows is within it. */
const NOTHING: EffectBound = { least: 1, most: 0 }
/** Names of the gateway's own at the server, while such a command runs. */
const COUNT = 'sluice_count'
const SETTLE = 'sluice_settle'
const BOUND = 'sluice_bound'
const BEFORE = 'sluice_before'
const AFTER = 'sluice_after'

/**
 * Runs commands that were approved for a number of changed rows. The server makes what an Execute has changed stand at Sync, or
 * at COMMIT, and at nothing else: so between the two it is counted, and no byte of the client's is looked at meanwhile. Where
 * the count is another one, what follows is a statement that is certain to fail. A connection that is lost in between, by
 * whatever end, is rolled back by the server.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class CountedRuns {
  readonly #around: RequestSurroundings
  readonly #refusing: Refusing

  constructor(around: RequestSurroundings, refusing: Refusing) {
    this.#around = around
    this.#refusing = refusing
  }

  /**
   * An Execute of the client's: its Sync follows when the client sends it, and rolls back what is refused here. Throws GatewayError
   * `effect_differs` where nothing was run.
   */
  async execute(permit: Permitted, portal: Portal | undefined, message: Buffer): Promise<void> {
    const asked = decodeClient(CLIENT_TYPES.execute, message, HEADER_BYTES, message.length)
    await this.#alone(permit)
    if (this.#around.over()) return
    if (asked.kind !== 'execute' || asked.rowsMax > 0)
      throw this.#notRun(permit, 'Fetch all rows at once: this was approved for a number of rows.')
    const counting = this.#begin(permit)
    const before = this.#countBefore(permit)
    this.#execute(permit, portal, message, counting)
    const rows = { before, after: this.#countAfter(permit, counting) }
    const isAnswered = await counting.answered
    const { session, state } = this.#around
    state.counting = undefined
    if (this.#around.over() || !isAnswered) return
    const refusal = this.#judged(permit, counting, rows)
    const { ended } = counting
    if (refusal === undefined && ended !== undefined) {
      session.result(permit, ended.message)
      session.finish(permit, 'ok', ended.tag)
      return
    }
    this.#fail(refusal ?? effectError(NOTHING, undefined, session.requestId(permit.n)))
    state.skipping = true
    this.#around.follow()
  }

  /**
   * A simple query, which would take effect as soon as it has run: sent by the extended protocol instead, with a Sync of the
   * gateway's own. The client sees what it would of a simple query.
   */
  async query(permit: Permitted, sql: Buffer, judgement: Judgement): Promise<void> {
    const { session, state } = this.#around
    await this.#alone(permit)
    if (this.#around.over()) return
    if (state.unsynced) throw this.#notRun(permit, 'Send Sync before a simple query.')
    const counting = this.#begin(permit)
    state.unsynced = true
    const before = this.#countBefore(permit)
    const statement: Statement = {
      text: permit.command.text,
      settings: state.settings.now,
      judgement,
      plan: plansFor(judgement)[0],
    }
    this.#own(permit, SERVER_TYPES.closeComplete, { kind: 'close', what: 'statement', name: BOUND })
    this.#own(permit, SERVER_TYPES.parseComplete, {
      kind: 'parse',
      statement: BOUND,
      sql,
      parameterTypes: [],
    })
    this.#own(permit, SERVER_TYPES.bindComplete, {
      kind: 'bind',
      portal: BOUND,
      statement: BOUND,
      parameterFormats: [],
      values: [],
      resultFormats: [],
    })
    session.forward(housekeeping, encodeClient({ kind: 'describe', what: 'portal', name: BOUND }))
    state.pending.push({ kind: 'describe', of: statement, isQuiet: true })
    const portal: Portal = {
      statement,
      parameters: [],
      formats: [],
      approved: undefined,
      settings: state.settings.now,
      group: state.groupsSent,
      rows: 0,
      bytes: 0,
    }
    this.#execute(permit, portal, encodeClient({ kind: 'execute', portal: BOUND, rowsMax: 0 }), counting)
    this.#own(permit, SERVER_TYPES.closeComplete, { kind: 'close', what: 'statement', name: BOUND })
    const rows = { before, after: this.#countAfter(permit, counting) }
    const isAnswered = await counting.answered
    state.counting = undefined
    if (this.#around.over()) return
    const refusal = isAnswered ? this.#judged(permit, counting, rows) : undefined
    const { ended } = counting
    const stands = isAnswered && refusal === undefined && ended !== undefined
    if (isAnswered && !stands)
      this.#fail(refusal ?? effectError(NOTHING, undefined, session.requestId(permit.n)))
    // What failed was answered with an error, behind which a simple query takes nothing but its end.
    state.skipping = state.unsynced = state.executed = false
    session.forward(housekeeping, SYNC)
    if (stands) state.pending.push({ kind: 'commit', flight: permit, ended })
    else state.pending.push({ kind: 'sync' })
    state.groupsSent++
    this.#around.follow()
  }

  /** What was sent before is answered first: its errors and its transactions are not those of this command. */
  async #alone(permit: Permitted): Promise<void> {
    const { state } = this.#around
    while (state.groupsSent !== state.groupsEnded && !this.#around.over())
      await new Promise<void>((resolve) => state.onReady.push(resolve))
    if (this.#around.over()) return
    if (state.inTransaction || state.executed)
      throw this.#notRun(permit, 'Send it outside of a transaction: it was approved for a number of rows.')
  }

  /** A statement that is certain to fail: with it fails what was run before it, and Sync rolls all of it back. */
  #fail(error: GatewayError): void {
    const { session, state } = this.#around
    session.forward(housekeeping, FAILING_PARSE)
    state.pending.push({ kind: 'refusal', error, simple: false })
  }

  #begin(permit: Permitted): Counting {
    permit.count()
    const counting = new Counting()
    this.#around.state.counting = counting
    return counting
  }

  #execute(permit: Permitted, portal: Portal | undefined, message: Buffer, counting: Counting): void {
    const { session, state, aftermath } = this.#around
    state.unsynced = state.executed = true
    this.#refusing.noteReading(permit)
    aftermath.sent(permit)
    const undo = aftermath.ahead(permit)
    session.forward(permit, message)
    state.pending.push({
      kind: 'execute',
      flight: permit,
      portal,
      plan:
        portal === undefined ? plansFor(permit.judgement)[0] : planFor(portal.statement, permit.judgement),
      undo,
      counting,
    })
  }

  #countBefore(permit: Permitted): (string | null)[][] {
    // Left over from a command that failed in the middle.
    for (const name of [COUNT, SETTLE])
      this.#own(permit, SERVER_TYPES.closeComplete, { kind: 'close', what: 'statement', name })
    this.#own(permit, SERVER_TYPES.parseComplete, parse(COUNT, CHANGES_QUERY))
    this.#own(permit, SERVER_TYPES.parseComplete, parse(SETTLE, NOTHING_DEFERRED))
    return this.#run(permit, BEFORE, COUNT)
  }

  #countAfter(permit: Permitted, counting: Counting): (string | null)[][] {
    this.#run(permit, SETTLE, SETTLE)
    const rows = this.#run(permit, AFTER, COUNT)
    this.#own(permit, SERVER_TYPES.closeComplete, { kind: 'close', what: 'statement', name: SETTLE })
    this.#own(permit, SERVER_TYPES.closeComplete, { kind: 'close', what: 'statement', name: COUNT }, () =>
      counting.settle(true),
    )
    this.#around.session.forward(housekeeping, FLUSH)
    this.#around.follow()
    return rows
  }

  #run(permit: Permitted, portal: string, statement: string): (string | null)[][] {
    const bind = {
      kind: 'bind',
      portal,
      statement,
      parameterFormats: [],
      values: [],
      resultFormats: [],
    } as const
    this.#own(permit, SERVER_TYPES.bindComplete, bind)
    return this.#own(permit, SERVER_TYPES.commandComplete, { kind: 'execute', portal, rowsMax: 0 })
  }

  /** A message of the gateway's own. Returns where its rows will be. */
  #own(flight: Permitted, until: number, message: ClientMessage, onEnd?: () => void): (string | null)[][] {
    const { session, state } = this.#around
    const rows: (string | null)[][] = []
    session.forward(housekeeping, encodeClient(message))
    state.pending.push({ kind: 'own', flight, until, rows, onEnd })
    return rows
  }

  /** Holds what has changed against what was approved, and has both recorded before anything takes effect. */
  #judged(
    permit: Permitted,
    { ended, isGivenUp }: Pick<Counting, 'ended' | 'isGivenUp'>,
    counted: { readonly before: (string | null)[][]; readonly after: (string | null)[][] },
  ): GatewayError | undefined {
    const { session } = this.#around
    // Whoever is bound to nothing is not run here.
    const effect = permit.effect ?? NOTHING
    const isWhole = ended !== undefined && ended.tag !== 'suspended'
    const tables = isWhole ? changedTables(counted.before, counted.after) : undefined
    const rows = tables === undefined ? undefined : rowsIn(tables)
    if (isGivenUp) {
      session.notice(
        permit.n,
        'effect',
        `${changedWords(effect, tables)}: rolled back, since its client has gone`,
      )
      session.finish(permit, 'refused', 'canceled')
      return new Refusal('canceled', 'The client went away.', { requestId: session.requestId(permit.n) })
    }
    const isRight = isWithinEffect(effect, rows)
    session.notice(permit.n, 'effect', wordsOf(effect, tables, isRight))
    if (isRight) return undefined
    session.finish(permit, 'refused', 'effect_differs')
    return effectError(
      effect,
      rows,
      session.requestId(permit.n),
      tables !== undefined && mayHaveMoved(tables),
    )
  }

  #notRun(permit: Permitted, message: string): GatewayError {
    const { session } = this.#around
    session.notice(permit.n, 'effect', `approved for ${effectText(permit.effect ?? NOTHING)}: not run`)
    session.finish(permit, 'refused', 'effect_differs')
    return new Refusal('effect_differs', message, {
      remedy: 'Nothing of it has run, and its approval is used up: send it again to ask anew.',
      retry: 'only-if-changed',
      requestId: session.requestId(permit.n),
    })
  }
}

function parse(statement: string, sql: string): ClientMessage {
  return { kind: 'parse', statement, sql: Buffer.from(sql), parameterTypes: [] }
}

function wordsOf(effect: EffectBound, tables: readonly ChangedTable[] | undefined, isRight: boolean): string {
  return `${changedWords(effect, tables)}: ${isRight ? 'takes effect' : 'rolled back'}`
}

function changedWords(effect: EffectBound, tables: readonly ChangedTable[] | undefined): string {
  const changed =
    tables === undefined
      ? 'changed a number of rows that could not be counted'
      : `changed ${rowsIn(tables)}${tables.length === 0 ? '' : ` (${changesText(tables)})`}`
  return `approved for ${effectText(effect)}, ${changed}`
}
