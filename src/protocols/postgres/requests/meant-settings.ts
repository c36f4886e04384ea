import { createHash, randomUUID } from 'node:crypto'
import type { Judgement, Permitted } from '../../../session/index.ts'
import { STATUS_BYTES } from '../../../wire/postgres/index.ts'
import type { Groups } from '../pending.ts'

/** Settings that the server reports, and by which it reads dates, times and intervals: `'01/02/2026'::date`. */
const MEANT = ['DateStyle', 'IntervalStyle', 'TimeZone'] as const

/** Blanks and comments in front of a statement. Of comments only those that hold no other; lines end as for the server. */
const FRONT = String.raw`^(?:\s|--[^\r\n]*[\r\n]|/\*[^*/]*\*/)*`
const beginsWith = (words: string): RegExp => new RegExp(`${FRONT}(?:${words})\\b`, 'i')

/** Statements that begin like this change no setting, unless they say so in other words. */
const PLAIN = beginsWith(
  'begin|start|select|insert|update|delete|merge|values|table|with|show|explain|declare|fetch|move|close|copy|lock|' +
    'prepare|execute|deallocate|savepoint|release|listen|unlisten|notify|analyze|vacuum|set\\s+transaction',
)
const COMMITS = beginsWith('commit|end')
const ROLLS_BACK = beginsWith('rollback|abort')
const TO_SAVEPOINT = /\bto\b/i
/** Until the end of the transaction. */
const LOCAL = beginsWith('set\\s+local')
/** Settings are again what they were when the session began. */
const RESETS = /\b(?:reset|discard)\s+all\s*;?\s*$/i
/** What a client says of itself, and settles nothing. */
const NO_SETTINGS: ReadonlySet<string> = new Set(['user', 'database', 'application_name'])

const PLAINNESS = new WeakMap<Judgement, boolean>()

/**
 * The settings under which the next statement would be read and run, in words, for an approval to be bound to: those that the
 * server reports, and whatever this session has sent that may have changed others, in that order. What a
 * transaction has set for itself goes with it; what was sent in one that is rolled back has not been.
 */
export class MeantSettings {
  readonly #groups: Groups
  readonly #reported = new Map<string, string>()
  #words = wordsOf(this.#reported)
  /** Digests of what was sent: all of it, what outlasts the transaction, and what did before it began. */
  #now = ''
  #kept = ''
  #base = ''
  #beginning = ''
  /** The last group of messages in which something was sent that may change settings. */
  #changing = -1
  /** The group of messages that was sent last: its commands, and those of them that end a transaction. */
  #group = -1
  #commands = 0
  #ending = 0
  /** Some of what was sent in this transaction may not have happened, or have been taken back. */
  #inDoubt = false
  /** More than one transaction may have ended in what was sent. */
  #isMixed = false

  constructor(groups: Groups) {
    this.#groups = groups
  }

  /** The session begins with settings of the client's. */
  begin(parameters: ReadonlyMap<string, string>): void {
    const own = [...parameters]
      .filter(([name]) => !NO_SETTINGS.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    this.#beginning = own.length === 0 ? '' : digest('', JSON.stringify(own))
    this.#now = this.#kept = this.#base = this.#beginning
  }

  /** The server reports a setting. */
  report(name: string, value: string): void {
    if (!MEANT.some((each) => each === name)) return
    this.#reported.set(name, value)
    this.#words = wordsOf(this.#reported)
  }

  /** A command is sent. Returns whether settings may be others behind it: what comes later waits for its answer. */
  sent({ command, judgement }: Permitted): boolean {
    const { text } = command
    this.#count()
    if (isPlain(judgement, text)) return false
    const isOne = judgement.facts.statements.length === 1
    const isSettled = this.#now === this.#base && this.#kept === this.#base && !this.#isMixed
    const commits = isOne && COMMITS.test(text)
    const rollsBack = isOne && ROLLS_BACK.test(text) && !TO_SAVEPOINT.test(text)
    if (commits || rollsBack) {
      this.#ending++
      if (isSettled) return false
    }
    this.#changing = this.#groups.groupsSent
    if (commits) this.#now = this.#kept
    else if (rollsBack) this.#now = this.#kept = this.#before
    else if (isOne && RESETS.test(text)) this.#now = this.#kept = this.#beginning
    else {
      const said = wholeOf(command)
      this.#now = digest(this.#now, said)
      if (!isOne || !LOCAL.test(text)) this.#kept = digest(this.#kept, said)
      if (!isOne) this.#isMixed = true
    }
    return true
  }

  /** ReadyForQuery, counted already. `failed`: since the one before, the server has reported an error. */
  ready(status: number, failed: boolean): void {
    const isIdle = status === STATUS_BYTES.idle
    const group = this.#groups.groupsEnded - 1
    this.#inDoubt ||= failed || status === STATUS_BYTES.failed
    if (group < this.#changing) {
      // The transaction of a command that changed nothing.
      if (isIdle) this.#inDoubt = false
      return
    }
    const isEnding = group === this.#group && this.#ending > 0
    // COMMIT AND CHAIN, too, settles what was set before it.
    if (!isIdle && !isEnding) return
    if (isEnding && this.#commands > 1) this.#isMixed = true
    // A transaction that failed leaves nothing behind.
    if (this.#inDoubt) this.#kept = this.#before
    this.#now = this.#base = this.#kept
    this.#inDoubt = false
    this.#isMixed = false
  }

  /** What was so before the transaction. Of several that were sent as one nobody can tell which have ended: like no other session's. */
  get #before(): string {
    return this.#isMixed ? randomUUID() : this.#base
  }

  #count(): void {
    const { groupsSent } = this.#groups
    if (groupsSent !== this.#group) {
      this.#group = groupsSent
      this.#commands = 0
      this.#ending = 0
    }
    this.#commands++
  }

  /** Nothing was sent that may have changed one. */
  get isAsBegun(): boolean {
    return this.#now === this.#beginning && this.#kept === this.#beginning && !this.#isMixed
  }

  get now(): string {
    return this.#now === '' ? this.#words : `${this.#words} after ${this.#now}`
  }
}

/** Everything that tells one command from another. */
function wholeOf({ text, parameters = [], readings = [] }: Permitted['command']): string {
  const values = parameters.map((value) => (value === null ? null : Buffer.from(value).toString('base64')))
  return JSON.stringify([text, values, readings])
}

function digest(before: string, said: string): string {
  return createHash('sha256').update(before).update(said).digest('hex')
}

function wordsOf(reported: ReadonlyMap<string, string>): string {
  return JSON.stringify(MEANT.map((name) => reported.get(name) ?? null))
}

/** Whether a command is sure to leave settings as they are. Its judgement is of all texts of one shape. */
function isPlain(judgement: Judgement, text: string): boolean {
  const known = PLAINNESS.get(judgement)
  if (known !== undefined) return known
  const { class: commandClass, statements, calls } = judgement.facts
  const plain =
    (commandClass === 'read' || commandClass === 'write') &&
    statements.length === 1 &&
    PLAIN.test(text) &&
    !calls.some((name) => name.includes('set_config'))
  PLAINNESS.set(judgement, plain)
  return plain
}
