import type { Facts, LabelName } from '../../../core/index.ts'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { Judgement, Session } from '../../../session/index.ts'
import type {
  AnalysisContext,
  Effect,
  NamedFacts,
  ParseResult,
  QueryTree,
  ReuseShape,
  SqlAnalyser,
} from '../../../sql/index.ts'
import { answerForms, mayMoveNames } from '../../../sql/index.ts'
import { copyAnswers, noteAnswers } from './answers.ts'
import { copyCountable, noteCountable } from './countable.ts'
import type { Portal, Statement } from '../pending.ts'
import { judgeAnew } from './plans.ts'
import { NOTHING_READ, opaqueFacts } from './known-facts.ts'
import type { Estimator } from './planner.ts'
import { Planner } from './planner.ts'
import { Recorded } from './recorded.ts'
import { copyTold, noteTold } from './told.ts'
import type { BoundParameters } from '../startup/upstream.ts'

/** A statement with what was decided about it. */
export type Judged = { readonly text: string; readonly judgement: Judgement }

/** What the analysis of a session's statements rests on. */
export type Knowledge = {
  /** Changes whenever facts could: catalogue epoch, search path. The same string object while it is the same. */
  readonly scope: string
  readonly context: AnalysisContext
  /** Between which changes of definitions it was so; absent: without labels it does not matter. */
  readonly moment?: object
  /** The labels it was found by: another object when they are configured anew. */
  readonly labelling?: object
  /** The session has changed nothing that gives names their meaning. */
  readonly asBegun?: boolean
}

/**
 * How a statement is judged where a rule asks how many rows it would return. `static`: when it is prepared, before there
 * are parameters: nothing runs, and it is judged again before something does. Otherwise the planner is asked, or has been.
 */
export type Estimating = 'static' | BoundParameters | { readonly estimatedRows: number | undefined }

export interface KnowledgeSource {
  /** Whether the connection has labels, as configured now. */
  readonly labelled: boolean
  /** A new one after every change of definitions. Undefined: some may change at any time. */
  readonly moment: object | undefined
  /** Whether what was known at that moment is so still, and will be for now. */
  isCalm(moment: object | undefined): boolean
  /** What is so now, whatever was read before. */
  checked(): Promise<Knowledge>
  /** The labels of the connection, as configured now: each once, sorted. */
  readonly labels: readonly LabelName[]
  /** Undefined: stale, to be waited for with `ready`. */
  current(): Knowledge | undefined
  ready(): Promise<Knowledge>
  /** A statement may change what names mean in this session. */
  moves(): void
  /** The code of users behind the type of this number: it casts values to others, or can only say something. */
  userCode(type: number): 'casts' | 'speaks' | undefined
  /** Whether a value of the type of this number is one value, and equal to itself alone. */
  isExact(type: number): boolean
  /** What gives names their meaning now, for an approval to be bound to. Undefined: that is not known. */
  meaning(): string | undefined
}

/** What this session has prepared and opened, by name. */
export type NamedStatements = {
  statement(name: string): Statement | undefined
  cursor(name: string): Portal | undefined
}

/**
 * Encodings in which no byte of a longer character looks like ASCII. In the others (SJIS, BIG5, GBK, UHC, GB18030,
 * JOHAB) a quote or backslash may be half a character, so that judge and server could read different statements.
 * https://www.postgresql.org/docs/current/multibyte.html
 */
const SAFE_ENCODING = /^(UTF8|SQL_ASCII|LATIN\d+|ISO_8859_\d+|WIN\d+|KOI8[RU]|EUC_\w+|MULE_INTERNAL)$/

const HIDDEN: ParseResult = {
  kind: 'unjudged',
  message: 'The encoding or string syntax of this session hides the statement.',
}

/** What commands leave behind in their session. */
const EFFECTS = new WeakMap<Judgement, readonly (readonly Effect[])[]>()
/** When they were made. */
const MOMENTS = new WeakMap<Judgement, object>()
/** By which labels they were made. */
const LABELLINGS = new WeakMap<Judgement, object>()
/** Those of sessions in which names mean what they did at the beginning. */
const AS_BEGUN = new WeakSet<Judgement>()
const NO_EFFECTS: readonly (readonly Effect[])[] = []
/** What PREPARE and DECLARE hold is never COPY. */
const ONE_PLAIN = ['plain'] as const

const BACKSLASH = 0x5c

/** Whether encoding or string syntax make a difference to how these bytes are read. */
export function isReadManyWays(sql: Uint8Array): boolean {
  return sql.some((byte) => byte >= 0x80 || byte === BACKSLASH)
}

/** Judgements of texts that `mayMoveNames`: kept, because the text of a cached one is not parsed again. */
const MOVING = new WeakSet<Judgement>()

const ASCII = /^[\0-\x7f]*$/

/**
 * Bytes of a statement -> what is known of it and what was decided. Judges the text that the server will read, or
 * calls it opaque: a text that the two could read differently is never judged as if they did not.
 */
export class Judge {
  readonly #session: Session
  readonly #analyser: SqlAnalyser
  /** What the recording has of commands. */
  readonly recorded: Recorded
  readonly #knowledge: KnowledgeSource
  readonly #named: NamedStatements
  #encoding = 'UTF8'
  #standardStrings = true
  readonly #planner: Planner
  #mayHaveChanged = false
  #everUnusual = false

  constructor(
    session: Session,
    analyser: SqlAnalyser,
    knowledge: KnowledgeSource,
    named: NamedStatements,
    estimator: Estimator,
  ) {
    this.#session = session
    this.#analyser = analyser
    this.recorded = new Recorded(analyser)
    this.#knowledge = knowledge
    this.#named = named
    this.#planner = new Planner(session, this.recorded, estimator)
  }

  get labelled(): boolean {
    return this.#knowledge.labelled
  }

  get labels(): readonly LabelName[] {
    return this.#knowledge.labels
  }

  userCode(type: number): 'casts' | 'speaks' | undefined {
    return this.#knowledge.userCode(type)
  }

  isExact(type: number): boolean {
    return this.#knowledge.isExact(type)
  }

  /** Whether this identity may see every label of the connection in clear, so that nothing is withheld from it. */
  get seesAll(): boolean {
    const knowledge = this.#knowledge.current()
    const labels = knowledge?.context.catalogue?.labels
    if (knowledge === undefined || labels === undefined) return false
    const key = ' sees every label'
    const { decision } =
      this.#session.cached(knowledge.scope, key) ??
      this.#session.judge(knowledge.scope, key, { ...NOTHING_READ, labels })
    return decision.kind !== 'deny' && decision.masks.size === 0
  }

  /** What would be decided about a command with these facts, for who asks what its rules are. */
  suppose(facts: Facts): Judgement['decision'] {
    return this.#session.judge(this.#scope(), undefined, facts).decision
  }

  /** The server reports a setting; two of them decide how it reads statements. */
  parameter(name: string, value: string): void {
    if (name === 'client_encoding') this.#encoding = value
    if (name === 'standard_conforming_strings') this.#standardStrings = value === 'on'
    if (this.#encoding !== 'UTF8' || !this.#standardStrings) this.#everUnusual = true
  }

  /**
   * Whether a command may change how the server reads the statements behind it. A setting is changed by what counts as
   * `administer` or `opaque`; where one was unusual before, anything that ends a transaction may bring it back.
   */
  mayChangeReading(judgement: Judgement): boolean {
    const commandClass = judgement.facts.class
    return this.#everUnusual || commandClass === 'administer' || commandClass === 'opaque'
  }

  /**
   * What gives names their meaning in this session, as far as the catalogue knows; what the session has changed besides is
   * in its settings. Where that is not known, this session's commands are unlike those of any other.
   */
  meaning(): string {
    return this.#knowledge.meaning() ?? `session ${this.#session.id}`
  }

  /** What a statement shares with those that one approval may be for. */
  reuseOf(text: string): ReuseShape | undefined {
    return this.#analyser.reuse(text)
  }

  /** What each statement of a command leaves behind in the session. */
  effects(judgement: Judgement): readonly (readonly Effect[])[] {
    return EFFECTS.get(judgement) ?? NO_EFFECTS
  }

  /** The statements that a command runs by their names: what an approver has to see and an approval is bound to. */
  behind(judgement: Judgement): Statement[] {
    return this.effects(judgement).flatMap((each) =>
      each.flatMap((effect) => {
        if (effect.kind === 'run') return this.#named.statement(effect.name) ?? []
        return effect.kind === 'fetch' ? (this.#named.cursor(effect.name)?.statement ?? []) : []
      }),
    )
  }

  /**
   * What is decided about a query that PREPARE or DECLARE holds, when the server has made its name. Undefined: what it
   * means to the server is not known, because definitions may have changed since the command was judged.
   */
  query(query: QueryTree, by: Judgement): Judgement | undefined {
    const knowledge = this.#knowledge.current()
    // What its own session changes is followed by its effects.
    if (knowledge === undefined || !(by.facts.redefines || this.isCalm(by))) return undefined
    return this.#query(query, knowledge)
  }

  #query(query: QueryTree, knowledge: Knowledge): Judgement {
    const facts = this.#analyser.analyseQuery(query, knowledge.context)
    const judgement = this.#noted(this.#session.judge(knowledge.scope, undefined, facts), knowledge)
    noteAnswers(judgement, ONE_PLAIN, '')
    noteTold(judgement, { kind: 'parsed', tree: { version: 0, stmts: [{ stmt: query }] } })
    return judgement
  }

  #noted(judgement: Judgement, { moment, labelling, asBegun }: Knowledge): Judgement {
    if (asBegun === true) AS_BEGUN.add(judgement)
    if (moment !== undefined) MOMENTS.set(judgement, moment)
    if (labelling !== undefined) LABELLINGS.set(judgement, labelling)
    return judgement
  }

  get moment(): object | undefined {
    return this.#knowledge.moment
  }

  /** Whether nothing has changed since a judgement was made that it may rest on. */
  isCalm(judgement: Judgement): boolean {
    return this.#knowledge.isCalm(MOMENTS.get(judgement))
  }

  /** Whether what was said of a command would be said of it by the definitions as the server has them now. */
  async holds(sql: string, judgement: Judgement, of: Statement | undefined): Promise<boolean> {
    const knowledge = await this.#knowledge.checked()
    const text = Buffer.from(sql)
    const now =
      of?.query === undefined
        ? (this.#bytes(text, 0, text.length, true, knowledge)?.judgement ??
          (await this.later(text)).judgement)
        : this.#query(of.query, knowledge)
    return sameJudgement(now, judgement)
  }

  /**
   * What was decided about a statement of this session, or is decided now. Undefined: it has to be read again. Throws
   * `conflict` when its names mean something else by now: the server may run it by either meaning.
   */
  anew(statement: Statement, knowledge = this.#knowledge.current()): Judged | undefined {
    if (statement.local !== undefined) return statement
    if (knowledge === undefined) return undefined
    if (this.#stands(statement.judgement, knowledge)) return statement
    if (statement.query !== undefined) {
      this.#replace(statement, this.#query(statement.query, knowledge))
      return statement
    }
    const sql = Buffer.from(statement.text)
    const judged = this.bytes(sql, 0, sql.length, true, undefined, knowledge)
    if (judged === undefined) return undefined
    this.#replace(statement, judged.judgement)
    return judged
  }

  /** A statement that could not be judged `anew` at once. */
  async anewLater(statement: Statement, estimating: Estimating): Promise<Judged> {
    const known =
      statement.query === undefined ? undefined : this.anew(statement, await this.#knowledge.ready())
    const judged = known ?? (await this.later(Buffer.from(statement.text), true, estimating))
    this.#replace(statement, judged.judgement)
    return judged
  }

  #replace(statement: Statement, judgement: Judgement): void {
    if (judgement === statement.judgement) return
    if (this.#hasMoved(statement.judgement, judgement)) throw movedOn('26000')
    judgeAnew(statement, judgement)
  }

  /**
   * The server keeps what the names of a statement, cursor or portal meant when it was made, or finds it anew, by rules of
   * its own (https://www.postgresql.org/docs/current/sql-prepare.html, "Notes"): only where both come to the same is it
   * known what its rows are. What runs others by their names keeps nothing before it runs.
   */
  #hasMoved(before: Judgement, now: Judgement): boolean {
    if (!this.labelled || before.facts.class === 'opaque' || this.#runsNames(before)) return false
    return !meansTheSame(before, now)
  }

  /** A portal of EXECUTE or FETCH begins to run: from now on its rows are those of what had the name. Throws `conflict`. */
  begin(portal: Portal, judgement: Judgement): void {
    if (!this.labelled || !this.#runsNames(judgement)) return
    if (portal.begun !== undefined && !meansTheSame(portal.begun, judgement)) throw movedOn('34000')
    portal.begun ??= judgement
  }

  /**
   * The statement in `buffer[start, end)`, if it can be judged without waiting. `settled` is false while something
   * unanswered may change how the server reads it. Throws GatewayError `invalid` or `limit_exceeded` for what cannot
   * be judged at all.
   */
  bytes(
    buffer: Buffer,
    start: number,
    end: number,
    settled = true,
    estimating?: Estimating,
    knowledge = this.#knowledge.current(),
  ): Judged | undefined {
    const judged = this.#bytes(buffer, start, end, settled, knowledge)
    if (judged?.judgement.decision.estimate === undefined) return judged
    // Whoever called waits for `later`, which asks the planner.
    return estimating === 'static' ? this.#estimated(judged, 0) : undefined
  }

  #bytes(
    buffer: Buffer,
    start: number,
    end: number,
    settled: boolean,
    knowledge: Knowledge | undefined,
  ): Judged | undefined {
    if (knowledge === undefined) return undefined
    const shape = this.#analyser.shape(buffer, start, end)
    if (shape !== undefined) {
      const key = this.#analyser.keyOf(shape)
      const judgement = key === undefined ? undefined : this.#session.cached(knowledge.scope, key)
      if (judgement !== undefined) {
        this.#follow(judgement)
        return { text: buffer.toString('latin1', start, end), judgement }
      }
    }
    const text = this.#text(buffer, start, end)
    if (shape === undefined) {
      if (this.#isHidden(text, settled)) return this.#judge(knowledge, text, HIDDEN, undefined)
      const judgement = this.#session.cached(knowledge.scope, wholeKey(text))
      if (judgement !== undefined) {
        this.#follow(judgement)
        return { text, judgement }
      }
    }
    // Longer ones are parsed in a worker; whoever called waits for `later`.
    if (end - start > LIMITS.statementInlineBytesMax) return undefined
    const parsed = this.#analyser.parse(text)
    if (parsed instanceof Promise) throw new Error('a short statement is parsed inline')
    return this.#judge(
      knowledge,
      text,
      parsed,
      shape === undefined ? undefined : this.#analyser.learn(shape, parsed),
    )
  }

  /** The same, waiting for the parser or the catalogue. `statement` is the caller's own copy. */
  async later(statement: Uint8Array, settled = true, estimating?: Estimating): Promise<Judged> {
    const buffer = Buffer.from(statement.buffer, statement.byteOffset, statement.length)
    const text = this.#text(buffer, 0, buffer.length)
    const parsed = this.#isHidden(text, settled) ? HIDDEN : await this.#analyser.parse(text)
    const knowledge = await this.#knowledge.ready()
    const judged = this.#judge(knowledge, text, parsed, undefined)
    if (judged.judgement.decision.estimate === undefined || estimating === undefined) return judged
    if (estimating === 'static') return this.#estimated(judged, 0)
    if ('estimatedRows' in estimating) return this.#estimated(judged, estimating.estimatedRows)
    return this.#estimated(judged, await this.#estimate(knowledge, judged, estimating))
  }

  /** The same statement, judged by what the planner says of it. */
  #estimated({ text, judgement }: Judged, estimatedRows: number | undefined): Judged {
    if (estimatedRows === undefined) return { text, judgement }
    const facts = { ...judgement.facts, estimatedRows }
    const estimated = this.#session.judge(this.#scope(), undefined, facts)
    // It is about the same command: what is known of that one is known of this.
    const moment = MOMENTS.get(judgement)
    const effects = EFFECTS.get(judgement)
    const labelling = LABELLINGS.get(judgement)
    this.recorded.copy(judgement, estimated)
    copyCountable(judgement, estimated)
    copyAnswers(judgement, estimated)
    if (moment !== undefined) MOMENTS.set(estimated, moment)
    if (effects !== undefined) EFFECTS.set(estimated, effects)
    copyTold(judgement, estimated)
    if (labelling !== undefined) LABELLINGS.set(estimated, labelling)
    if (AS_BEGUN.has(judgement)) AS_BEGUN.add(estimated)
    return { text, judgement: estimated }
  }

  /** Of a session whose names may mean something else the planner would be asked about something else. */
  async #estimate(
    { context }: Knowledge,
    judged: Judged,
    parameters: BoundParameters,
  ): Promise<number | undefined> {
    return this.#mayHaveChanged ? undefined : await this.#planner.estimate(context, judged, parameters)
  }

  /** The same for people to read. */
  async guess(judged: Judged, parameters: BoundParameters): Promise<number | undefined> {
    const context = this.#knowledge.current()?.context
    if (context === undefined || this.#mayHaveChanged) return undefined
    return await this.#planner.guess(context, judged, parameters)
  }

  /** What is decided about a statement or cursor that was made past the protocol and is only known by name. */
  unknown(form: string): Judged {
    const facts = opaqueFacts()
    return {
      text: `(${form} of a name made by SQL)`,
      judgement: this.#session.judge(this.#scope(), undefined, facts),
    }
  }

  /** What runs a statement or cursor by its name runs what has that name then: a portal does not keep it. */
  #stands(judgement: Judgement, knowledge: Knowledge): boolean {
    return !this.#runsNames(judgement) && this.#session.stands(knowledge.scope, judgement)
  }

  #runsNames(judgement: Judgement): boolean {
    return this.effects(judgement).some((each) => each.some(({ kind }) => kind === 'run' || kind === 'fetch'))
  }

  #scope(): string {
    return this.#knowledge.current()?.scope ?? ''
  }

  /** Whether the server may read this text in another way than the parser. */
  #isHidden(text: string, settled: boolean): boolean {
    if (!(settled && SAFE_ENCODING.test(this.#encoding)) && !ASCII.test(text)) return true
    return !(settled && this.#standardStrings) && text.includes('\\')
  }

  #judge(knowledge: Knowledge, text: string, parsed: ParseResult, key: string | undefined): Judged {
    if (parsed.kind === 'unparsed' && this.labelled) throw unreadable(parsed)
    const context = { ...knowledge.context, named: this.#factsOfNames(knowledge) }
    const facts = this.#analyser.analyse(parsed, context)
    const effects = this.#analyser.effects(parsed, context, facts.escape?.labels)
    // What is hidden now may be plain later, and a name may mean something else: their decisions are not kept.
    const cacheKey =
      parsed === HIDDEN || effects.some((each) => each.some(isOfNames))
        ? undefined
        : (key ?? (text.length <= LIMITS.statementInlineBytesMax ? wholeKey(text) : undefined))
    const judgement = this.#noted(this.#session.judge(knowledge.scope, cacheKey, facts), knowledge)
    this.recorded.note(judgement, text)
    noteCountable(judgement, parsed)
    noteAnswers(judgement, answerForms(parsed), text)
    noteTold(judgement, parsed)
    if (mayMoveNames(parsed)) MOVING.add(judgement)
    if (effects.some((each) => each.length > 0)) EFFECTS.set(judgement, effects)
    this.#follow(judgement)
    if (parsed.kind === 'unparsed' && judgement.decision.kind === 'deny') throw unreadable(parsed)
    return { text, judgement }
  }

  /** What is decided about a statement now, whatever the planner would say of it. */
  #standing(statement: Statement, knowledge: Knowledge): Judgement | undefined {
    if (this.#stands(statement.judgement, knowledge)) return statement.judgement
    if (statement.query !== undefined) return this.#query(statement.query, knowledge)
    const sql = Buffer.from(statement.text)
    return this.#bytes(sql, 0, sql.length, true, knowledge)?.judgement
  }

  #factsOfNames(knowledge: Knowledge): NamedFacts {
    const known = (statement: Statement): Judgement | undefined => {
      const now = this.#standing(statement, knowledge)
      return now === undefined || this.#hasMoved(statement.judgement, now) ? undefined : now
    }
    return {
      prepared: (name) => {
        const statement = this.#named.statement(name)
        return statement === undefined ? undefined : known(statement)?.facts
      },
      cursor: (name) => {
        const portal = this.#named.cursor(name)
        const now = portal === undefined ? undefined : known(portal.statement)
        if (portal === undefined || now === undefined) return undefined
        if (this.#runsNames(now)) {
          // Fetching from it may be what begins to run it.
          if (portal.begun !== undefined && !meansTheSame(portal.begun, now)) return undefined
          portal.begun ??= now
        }
        return now.facts
      },
    }
  }

  #follow(judgement: Judgement): void {
    const { class: commandClass, redefines } = judgement.facts
    const moving = commandClass === 'opaque' || MOVING.has(judgement)
    if (moving) this.#mayHaveChanged = true
    // A temporary table or view, too, takes a name from what had it before.
    if (moving || redefines || (commandClass !== 'read' && commandClass !== 'write')) this.#knowledge.moves()
  }

  #text(buffer: Buffer, start: number, end: number): string {
    if (end - start > LIMITS.statementBytesMax) {
      throw new GatewayError(
        'limit_exceeded',
        `Send a statement of at most ${LIMITS.statementBytesMax} bytes.`,
      )
    }
    const zero = buffer.indexOf(0, start)
    if (zero >= 0 && zero < end) {
      throw new GatewayError('protocol_violation', 'A statement holds a zero byte.')
    }
    const text = buffer.toString('utf8', start, end)
    // What is not UTF-8 decodes to U+FFFD; as Latin 1 every byte keeps its place, and ASCII its meaning.
    return text.includes('\ufffd') ? buffer.toString('latin1', start, end) : text
  }
}

function sameJudgement(a: Judgement, b: Judgement): boolean {
  return a === b || inWords(a) === inWords(b)
}

/**
 * Under other labels than before, it is the relations and functions that have to be the same. Without any labels it was not
 * looked what names meant; sessions that had changed it by then are ended, and it must not have changed since.
 */
function meansTheSame(before: Judgement, now: Judgement): boolean {
  if (!LABELLINGS.has(before)) return AS_BEGUN.has(now)
  if (LABELLINGS.get(before) === LABELLINGS.get(now)) return sameJudgement(before, now)
  const used = ({ facts }: Judgement): string => JSON.stringify([facts.reads, facts.writes, facts.calls])
  return used(before) === used(now)
}

function movedOn(sqlstate: '26000' | '34000'): GatewayError {
  return new GatewayError('conflict', 'Prepare it again: its names mean something else now.', {
    remedy:
      'It was made under other definitions, or another search path, and the server may run it by either.',
    retry: 'only-if-changed',
    facts: { sqlstate },
  })
}

/** What the planner said is no definition; masks follow from labels. */
function inWords({ facts }: Judgement): string {
  const { estimatedRows: _rows, ...rest } = facts
  return JSON.stringify(rest)
}

function isOfNames(effect: Effect): boolean {
  return NAMING.has(effect.kind)
}

const NAMING: ReadonlySet<Effect['kind']> = new Set(['prepare', 'declare', 'run', 'fetch'])

/** Texts outside the lexer's subset are their own key: the whole text, nothing left out. */
function wholeKey(text: string): string {
  return `=${text}`
}

function unreadable(parsed: ParseResult & { kind: 'unparsed' }): GatewayError {
  return new GatewayError(
    'invalid',
    'Correct the syntax: this statement cannot be parsed, so it is not run.',
    {
      remedy: 'The position points at the first thing that was not understood.',
      retry: 'only-if-changed',
      ...(parsed.position === undefined ? {} : { facts: { position: parsed.position } }),
    },
  )
}
