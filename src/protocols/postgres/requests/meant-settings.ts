import { createHash, randomUUID } from 'node:crypto'
import type { SessionChanges } from '../../../core/index.ts'
import type { Permitted } from '../../../session/index.ts'
import type { Mark } from '../../../sql/index.ts'
import { STATUS_BYTES } from '../../../wire/postgres/index.ts'
import type { ChangesSaid } from './changes-said.ts'
import { changesAfter, changesAtStart, changesCommitted, changesText, NO_CHANGES } from './changes-said.ts'

/** Settings that the server reports, and by which it reads dates, times and intervals: `'01/02/2026'::date`. */
const MEANT = ['DateStyle', 'IntervalStyle', 'TimeZone'] as const

/** Whom and what a client asks for: what it is bound to besides. All else that it begins with, a command may read. */
const NO_SETTINGS: ReadonlySet<string> = new Set(['user', 'database'])

/** As many savepoints, relations and made names as are remembered of a session. */
const KEPT_MAX = 1_000

/** Names of savepoints that every server reads alike: it cuts longer ones, by its own encoding. */
const PLAIN_NAME = /^[\x20-\x7e]{1,62}$/

/** Where a session stands: what has been changed so far, as a digest of all texts in their order. */
type Level = {
  readonly digest: string
  /** The same for people to read. */
  readonly changes: ChangesSaid
  /** Some of what this transaction has changed outlasts it. */
  readonly lasting: boolean
  /** It has changed definitions that others do not see yet. */
  readonly redefined: boolean
}

/** Values, never changed: to take something back is to take up an earlier one. */
type History = {
  readonly now: Level
  /** As the open transaction found it. */
  readonly base: Level
  readonly savepoints: readonly { readonly name: string; readonly level: Level }[]
}

/** What of a judgement matters here: what its statements do, and which relations they name. */
export type Told = {
  readonly marks: readonly Mark[]
  readonly reads: readonly string[]
  readonly writes: readonly string[]
}

/** Whether nothing that reaches code of users is among these relations, as far as it could change settings. */
export type Quiet = (reads: readonly string[], writes: readonly string[]) => boolean

/**
 * Under what the next statement would be read and run, in words, for an approval to be bound to: the settings that the
 * server reports, and a history of whatever this session has sent that is not known to leave the meaning of later texts as
 * it is. The same words mean the same state; one state may have many. Whatever may have done something else each
 * time makes the session unlike every other.
 */
export class MeantSettings {
  readonly #reported = new Map<string, string>()
  #words = wordsOf(this.#reported)
  #history = begun({ digest: '', changes: NO_CHANGES })
  #beginning: Pick<Level, 'digest' | 'changes'> = { digest: '', changes: NO_CHANGES }
  /** Another one after everything of which nobody knows what it has done. */
  #unlike = ''
  #now = this.#words
  /** Relations named since it was last looked whether code of users stands behind any of them. */
  readonly #read = new Set<string>()
  readonly #written = new Set<string>()
  #unseen = false
  /** The last of these: most sessions say the same again and again. */
  #last: Told | undefined
  /** What this session has made: a name that others know as something else. */
  readonly #made = new Set<string>()
  /** Of these the temporary ones. */
  readonly #temporary = new Set<string>()
  #touches = 0

  /** The session begins with settings of the client's. */
  begin(parameters: ReadonlyMap<string, string>): void {
    const own = [...parameters]
      .filter(([name]) => !NO_SETTINGS.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    this.#beginning = {
      digest: own.length === 0 ? '' : digest('', JSON.stringify(own)),
      changes: changesAtStart(parameters),
    }
    this.#set(begun(this.#beginning))
  }

  /** The server reports a setting. */
  report(name: string, value: string): void {
    if (!MEANT.some((each) => each === name)) return
    this.#reported.set(name, value)
    this.#words = wordsOf(this.#reported)
    this.#set(this.#history)
  }

  /** A command is sent. Returns whether texts may mean something else behind it: what comes later waits for its answer. */
  sent(told: Told): boolean {
    let moves = false
    // Of what was defined anew in the open transaction others do not see yet what stands behind it.
    if (told.marks.some(isPlain) && (this.#history.now.redefined || told.marks.some(defines))) this.#lose()
    for (const mark of told.marks) {
      if (mark.kind === 'none') continue
      if (mark.kind === 'unknown') this.#lose()
      if (mark.kind === 'define' && this.#unseen) this.#lose()
      if (mark.kind === 'define' || mark.kind === 'make') this.#make(told.writes)
      if (mark.kind === 'make') for (const name of told.writes) this.#temporary.add(lastOf(name))
      moves ||= this.#moves(mark)
    }
    this.#touch(told)
    return moves
  }

  /** A portal is bound: planning it may run code of users. */
  planned(told: Told): void {
    if (told.marks.some(({ kind }) => kind === 'unknown')) this.#lose()
    this.#touch(told)
  }

  /** Whether it has to be the first to be answered, so that what it changes is not mixed up with what stands before it. */
  mustWait({ marks }: Told): boolean {
    return marks.some((mark) => this.#moves(mark))
  }

  /** A statement of a simple query has run. `rolledBack`: a COMMIT came to that. */
  ran(command: Permitted['command'], told: Told, statement: number, rolledBack: boolean): void {
    const { marks } = told
    const mark = marks[statement]
    if (mark === undefined) {
      // An empty text is answered as well.
      if (marks.length > 0) this.#lose()
    } else if (mark.kind === 'discard' && marks.length === 1 && this.#isSettled) this.#discard()
    else this.#apply(mark, told, command, statement, rolledBack)
  }

  /** An Execute is sent: it counts from now on. Returns what takes it back when it fails. */
  ahead(command: Permitted['command'], told: Told, failed: boolean): () => void {
    const before = this.#history
    for (const [statement, mark] of told.marks.entries()) this.#apply(mark, told, command, statement, failed)
    return () => this.#set(before)
  }

  /** ReadyForQuery, counted already. `failed`: since the one before, the server has reported an error. */
  ready(status: number, failed: boolean): void {
    if (status === STATUS_BYTES.idle && !this.#isSettled) this.#end(failed)
  }

  /** Nothing was sent that may have changed one. */
  get isAsBegun(): boolean {
    return this.#isSettled && this.#history.now.digest === this.#beginning.digest && this.#unlike === ''
  }

  get now(): string {
    return this.#now
  }

  /** What `now` comes to, for people who are asked about a command. */
  get said(): SessionChanges {
    const { changes, redefined } = this.#history.now
    return changesText(changes, this.#unlike !== '', redefined)
  }

  /** How many commands were sent behind which code of users may stand: an approved portal is not executed over another one. */
  get touches(): number {
    return this.#touches
  }

  /** Whether this session has made a temporary table of this name. */
  isTemporary(name: string): boolean {
    return this.#temporary.has(lastOf(name))
  }

  /** Whether it has to be looked whether code of users has run. */
  get isUnseen(): boolean {
    return this.#unseen
  }

  /** It was looked, or could not be. What was named while that took counts as not looked at. */
  async look(read: () => Promise<Quiet | undefined>): Promise<void> {
    const reads = [...this.#read]
    const writes = [...this.#written]
    this.#forget()
    const quiet = await read()
    if (quiet?.(reads, writes) !== true) this.#lose()
  }

  #forget(): void {
    this.#unseen = false
    this.#read.clear()
    this.#written.clear()
    this.#last = undefined
  }

  #touch(told: Told): void {
    if (!told.marks.some(({ kind }) => TOUCHING.has(kind))) return
    this.#touches++
    this.#unseen = true
    if (told === this.#last) return
    this.#last = told
    const written = told.marks.every(({ kind }) => kind === 'define' || kind === 'make') ? [] : told.writes
    for (const name of told.reads) this.#read.add(name)
    for (const name of written) this.#written.add(name)
    const mayMeanOther = (name: string): boolean => this.#made.has(lastOf(name))
    const isOwn = this.#made.size > 0 && (told.reads.some(mayMeanOther) || written.some(mayMeanOther))
    if (isOwn || this.#read.size + this.#written.size > KEPT_MAX) {
      this.#last = undefined
      this.#lose()
    }
    if (this.#read.size + this.#written.size > KEPT_MAX) this.#forget()
  }

  #make(writes: readonly string[]): void {
    for (const name of writes) this.#made.add(lastOf(name))
    this.#last = undefined
  }

  /** Whether statements behind it may mean something else than those before it. */
  #moves(mark: Mark): boolean {
    switch (mark.kind) {
      case 'none':
      case 'begin':
        return false
      case 'commit':
      case 'rollback':
        return !this.#isSettled
      default:
        return true
    }
  }

  #apply(
    mark: Mark,
    { writes }: Told,
    command: Permitted['command'],
    statement: number,
    rolledBack: boolean,
  ): void {
    const { now, base, savepoints } = this.#history
    switch (mark.kind) {
      case 'none':
      case 'begin':
      // It counts since it was sent.
      case 'unknown':
        return
      case 'commit':
      case 'rollback':
        this.#end(mark.kind === 'rollback' || rolledBack)
        return
      case 'savepoint':
        if (!this.#isKnown(mark.name) || savepoints.length >= KEPT_MAX) return
        this.#set({ now, base, savepoints: [...savepoints, { name: mark.name, level: now }] })
        return
      case 'release':
      case 'rollbackTo': {
        const at = savepoints.findLastIndex(({ name }) => name === mark.name)
        const level = savepoints[at]?.level
        if (!this.#isKnown(mark.name) || level === undefined) this.#lose()
        else if (mark.kind === 'release') this.#set({ now, base, savepoints: savepoints.slice(0, at) })
        else this.#set({ now: level, base, savepoints: savepoints.slice(0, at + 1) })
        return
      }
      default: {
        if (mark.kind === 'settle' && !this.#isSettled) this.#lose()
        const said = digest(now.digest, wholeOf(command, statement))
        const lasting = now.lasting || mark.kind !== 'local'
        const redefined = now.redefined || mark.kind === 'define'
        const changes =
          mark.kind === 'discard' ? now.changes : changesAfter(now.changes, mark, writes, command)
        this.#set({ now: { digest: said, changes, lasting, redefined }, base, savepoints })
      }
    }
  }

  /** The transaction has ended. What was committed is told from what only holds until then. */
  #end(rolledBack: boolean): void {
    const { now, base } = this.#history
    const left =
      rolledBack || !now.lasting
        ? base
        : { digest: digest(now.digest, 'committed'), changes: changesCommitted(now.changes) }
    this.#set(begun(left))
  }

  /** The session is as it was when it began, but for what code of users keeps by itself. */
  #discard(): void {
    this.#made.clear()
    this.#temporary.clear()
    this.#set(begun(this.#beginning))
  }

  #isKnown(name: string): boolean {
    if (PLAIN_NAME.test(name)) return true
    this.#lose()
    return false
  }

  get #isSettled(): boolean {
    return this.#history.now === this.#history.base && this.#history.savepoints.length === 0
  }

  /** Nobody knows what it has done: not to be taken back, and never to be taken for anything else. */
  #lose(): void {
    this.#unlike = randomUUID()
    this.#set(this.#history)
  }

  #set(history: History): void {
    this.#history = history
    const { digest: changed } = history.now
    const after = changed === '' ? this.#words : `${this.#words} after ${changed}`
    this.#now = this.#unlike === '' ? after : `${after}, unlike others ${this.#unlike}`
  }
}

/** Code of users may run that the text does not name. */
const TOUCHING: ReadonlySet<Mark['kind']> = new Set<Mark['kind']>(['none', 'make', 'define', 'settle'])

function isPlain({ kind }: Mark): boolean {
  return kind === 'none'
}

function defines({ kind }: Mark): boolean {
  return kind === 'define'
}

function begun({ digest: digestNow, changes }: Pick<Level, 'digest' | 'changes'>): History {
  const level = { digest: digestNow, changes, lasting: false, redefined: false }
  return { now: level, base: level, savepoints: [] }
}

/** `public.notes` and `notes` may be one. */
function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

/** Everything that tells one command from another. */
function wholeOf({ text, parameters = [], readings = [] }: Permitted['command'], statement: number): string {
  const values = parameters.map((value) => (value === null ? null : Buffer.from(value).toString('base64')))
  return JSON.stringify([text, values, readings, statement])
}

function digest(before: string, said: string): string {
  return createHash('sha256').update(`${before.length}:`).update(before).update(said).digest('hex')
}

function wordsOf(reported: ReadonlyMap<string, string>): string {
  return JSON.stringify(MEANT.map((name) => reported.get(name) ?? null))
}
