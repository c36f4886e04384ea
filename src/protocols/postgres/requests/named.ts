import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { Judgement, Permitted, Session } from '../../../session/index.ts'
import type { Effect, QueryTree } from '../../../sql/index.ts'
import { isSettled, moves, overlayAfter, overlayAgain } from '../../../sql/index.ts'
import { STATUS_BYTES } from '../../../wire/postgres/index.ts'
import { lasts } from './answers.ts'
import type { Judge } from './commands.ts'
import type { Portal, Statement } from '../pending.ts'
import { plansFor } from './plans.ts'
import { toldOf } from './told.ts'
import type { ConversationState } from '../state.ts'

/** Texts of statements that SQL has made and that are still known by their names. */
const SQL_NAMED_BYTES_MAX = 1024 * 1024

/** Which statement of a command was last held against what is known now. Of all sessions: an idle one keeps nothing. */
const SETTLED = new WeakMap<Permitted, number>()
/** Commands whose meaning has changed while they ran. */
const DISTRUSTED = new WeakSet<Permitted>()

/**
 * What commands leave behind in their session: names of statements and cursors, search path and role, relations that
 * only the session sees. Of a simple query it counts when the server says that the statement has run; of an Execute
 * from when it is sent, because the server skips what stands behind it when it fails, and then it is taken back.
 */
export class Aftermath {
  readonly #session: Session
  readonly #state: ConversationState
  readonly #judge: Judge
  #namedBytes = 0
  /** Since when nothing that is being answered is in doubt. */
  #calm: object | undefined

  constructor(session: Session, state: ConversationState, judge: Judge) {
    this.#session = session
    this.#state = state
    this.#judge = judge
  }

  /**
   * It has to be the first to be answered, so that what it changes is not mixed up with what stands before it, or so that it
   * has not begun when the session ends.
   */
  mustWait(judgement: Judgement): boolean {
    if (this.#state.isAnswered) return false
    if (lasts(judgement)) return true
    if (this.#state.settings.mustWait(toldOf(judgement))) return true
    return this.#judge.effects(judgement).some((each) => each.some((effect) => this.#isKept(effect)))
  }

  /** A command is sent: messages of later groups wait if it changes what they mean. */
  sent({ judgement }: Permitted): void {
    if (!this.#judge.isCalm(judgement)) this.#calm = undefined
    const { overlay } = this.#state
    const effects = this.#judge.effects(judgement)
    if (effects.some((each) => each.some((effect) => moves(overlay, effect))))
      this.#state.changedIn = this.#state.groupsSent
    // What nobody has followed counts from now on, whether it succeeds or not.
    for (const effect of effects.flat())
      if (isLoss(effect)) this.#state.overlay = overlayAfter(this.#state.overlay, effect)
  }

  /** An Execute is sent. Returns what takes it back. */
  ahead(permit: Permitted): (() => void) | undefined {
    const effects = this.#judge.effects(permit.judgement)[0] ?? []
    const failed = this.#state.status === STATUS_BYTES.failed
    const told = toldOf(permit.judgement)
    const settings = told.marks.every(({ kind }) => kind === 'none')
      ? []
      : [this.#state.settings.ahead(permit.command, told, failed)]
    // All or none: of DISCARD ALL the last commits what the first has changed.
    const kept = effects.some((effect) => this.#isKept(effect)) ? effects : []
    if (kept.length + settings.length === 0) return undefined
    const undo = [
      ...settings,
      ...kept.map((effect) => this.#apply(effect, permit, this.#state.groupsSent, failed)),
    ]
    return () => {
      for (const each of undo.toReversed()) each()
    }
  }

  /** A statement of a simple query has run. */
  acknowledged(permit: Permitted, statement: number, tag: string): void {
    this.#state.settings.ran(permit.command, toldOf(permit.judgement), statement, tag === 'ROLLBACK')
    for (const effect of this.#judge.effects(permit.judgement)[statement] ?? []) {
      // COMMIT of a failed transaction is answered as what it comes to.
      this.#apply(effect, permit, this.#state.groupsEnded, tag === 'ROLLBACK')
    }
  }

  /** ReadyForQuery: what was done outside of a transaction block, or in one that is over, stands or falls. */
  ready(): void {
    const state = this.#state
    if (state.status === STATUS_BYTES.idle && !isSettled(state.overlay))
      state.overlay = overlayAfter(state.overlay, { kind: state.failed ? 'rollback' : 'commit' })
    state.failed = false
  }

  /**
   * Whether definitions may have changed between the judgement of a command that is being answered and its running. Once
   * a statement has begun to answer, its locks keep what it reads as it is.
   */
  get inDoubt(): boolean {
    const { moment } = this.#judge
    if (moment !== undefined && moment === this.#calm) return false
    for (const each of this.#state.pending.all()) {
      // What is answered here comes from no relation.
      if ((each.kind !== 'query' && each.kind !== 'execute') || each.local !== undefined) continue
      const { flight } = each
      const statement = each.kind === 'query' ? each.statement : 0
      // What its own session changes is followed by its effects.
      if (flight.judgement.facts.redefines || SETTLED.get(flight) === statement) continue
      if (!this.#judge.isCalm(flight.judgement)) return true
    }
    this.#calm = moment
    return false
  }

  /** Holds what is being answered against the definitions as they are now. */
  async check(): Promise<void> {
    for (const each of this.#state.pending.all().slice()) {
      if ((each.kind !== 'query' && each.kind !== 'execute') || each.local !== undefined) continue
      const { flight } = each
      const of = each.kind === 'execute' ? each.portal?.statement : undefined
      if (flight.done || flight.judgement.facts.redefines) continue
      const { command, judgement } = flight
      if (!(await this.#judge.holds(command.text, judgement, of))) DISTRUSTED.add(flight)
      SETTLED.set(flight, each.kind === 'query' ? each.statement : 0)
    }
  }

  /** Its rows were said to be of another kind than they may be now: none of them is shown. */
  distrusts(flight: Permitted): GatewayError | undefined {
    if (!DISTRUSTED.has(flight)) return undefined
    return new GatewayError('conflict', 'Run it again: definitions changed while it ran.', {
      remedy: 'Nothing of its result is shown, because it may mean something else now.',
      retry: 'later',
    })
  }

  /** The cursor that a statement fetches from. */
  cursor(judgement: Judgement, statement: number): Portal | undefined {
    for (const effect of this.#judge.effects(judgement)[statement] ?? [])
      if (effect.kind === 'fetch') return this.#state.portals.get(effect.name)
    return undefined
  }

  #apply(effect: Effect, by: Permitted, group: number, failed: boolean): () => void {
    const state = this.#state
    switch (effect.kind) {
      case 'prepare': {
        const statement = this.#statement(by, effect.query)
        return statement === undefined
          ? state.statements.delete(effect.name)
          : state.statements.set(effect.name, statement)
      }
      case 'declare': {
        const statement = this.#statement(by, effect.query)
        if (statement === undefined) return state.portals.delete(effect.name)
        return state.portals.set(effect.name, {
          statement,
          parameters: [],
          formats: [],
          approved: undefined,
          settings: state.settings.now,
          group,
          rows: 0,
          bytes: 0,
          hold: effect.hold,
        })
      }
      case 'deallocate':
        return effect.name === undefined ? state.statements.clear() : state.statements.delete(effect.name)
      case 'close':
        if (effect.name === undefined) return state.portals.clear()
        this.#unused(state.portals.get(effect.name))
        return state.portals.delete(effect.name)
      default: {
        const before = state.overlay
        const ended = failed && effect.kind === 'commit' ? ({ kind: 'rollback' } as const) : effect
        state.overlay = overlayAfter(before, ended)
        return () => {
          state.overlay = overlayAgain(before, state.overlay)
        }
      }
    }
  }

  /** Undefined: nobody knows what it will run, so the name is not known. */
  #statement({ command: { text }, judgement: by }: Permitted, query: QueryTree): Statement | undefined {
    const judgement = this.#isRoomFor(text) ? this.#judge.query(query, by) : undefined
    if (judgement === undefined) return undefined
    return { text, settings: this.#state.settings.now, query, judgement, plan: plansFor(judgement)[0] }
  }

  /** Beyond the limits a name is not known: what it runs is not known either. */
  #isRoomFor(text: string): boolean {
    const { statements, portals } = this.#state
    if (statements.size + portals.size >= LIMITS.namedObjectsMax) return false
    this.#namedBytes += text.length
    if (this.#namedBytes <= SQL_NAMED_BYTES_MAX) return true
    // Many of those that were counted may be gone.
    const made = [...statements.values(), ...[...portals.values()].map(({ statement }) => statement)]
    const bytes = made.map((each) => (each.query === undefined ? 0 : each.text.length))
    this.#namedBytes = bytes.reduce((sum, each) => sum + each, text.length)
    return this.#namedBytes <= SQL_NAMED_BYTES_MAX
  }

  #isKept(effect: Effect): boolean {
    switch (effect.kind) {
      case 'begin':
      case 'run':
      case 'fetch':
      case 'taint':
      case 'lose':
        return false
      case 'commit':
      case 'rollback':
      case 'settle':
        return !isSettled(this.#state.overlay)
      default:
        return true
    }
  }

  #unused(portal: Portal | undefined): void {
    if (portal?.permit !== undefined) this.#session.finish(portal.permit, 'skipped', '')
  }
}

function isLoss({ kind }: Effect): boolean {
  return kind === 'taint' || kind === 'lose'
}
