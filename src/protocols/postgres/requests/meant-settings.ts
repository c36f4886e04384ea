import { createHash } from 'node:crypto'
import type { Judgement, Permitted } from '../../../session/index.ts'
import type { Groups } from '../pending.ts'

/** Settings that the server reports, and by which it reads dates, times and intervals: `'01/02/2026'::date`. */
const MEANT = ['DateStyle', 'IntervalStyle', 'TimeZone'] as const

/**
 * Statements that begin like this change no setting, unless they say so in other words. Of comments only those that
 * hold no other, and lines end as for the server.
 */
const PLAIN =
  /^(?:\s|--[^\r\n]*[\r\n]|\/\*[^*/]*\*\/)*(?:begin|start|select|insert|update|delete|merge|values|table|with|show)\b/i

const PLAINNESS = new WeakMap<Judgement, boolean>()

/**
 * The settings under which the next statement would be read, in words, for an approval to be bound to. The server
 * reports changes with ReadyForQuery; before that, what was sent since the last one and may change them stands for them.
 */
export class MeantSettings {
  readonly #groups: Groups
  readonly #reported = new Map<string, string>()
  /** The last group with a command in it that may change settings, and all that were sent since one was settled. */
  #changedIn = -1
  #since = ''
  #words = wordsOf(this.#reported)

  constructor(groups: Groups) {
    this.#groups = groups
  }

  /** The server reports a setting. */
  report(name: string, value: string): void {
    if (MEANT.some((each) => each === name)) this.#reported.set(name, value)
    this.#words = wordsOf(this.#reported)
  }

  /** A command is sent, in the group that is sent now. */
  sent({ command, judgement }: Permitted): void {
    if (isPlain(judgement, command.text)) return
    const hash = createHash('sha256').update(this.#isSettled ? '' : this.#since)
    hash.update(`${command.text.length}:${command.text}`)
    for (const value of command.parameters ?? []) {
      if (value === null) hash.update('null;')
      else hash.update(`${value.length}:`).update(value)
    }
    this.#since = hash.update(JSON.stringify(command.readings ?? [])).digest('hex')
    this.#changedIn = this.#groups.groupsSent
  }

  get now(): string {
    return this.#isSettled ? this.#words : `${this.#words} after ${this.#since}`
  }

  get #isSettled(): boolean {
    return this.#changedIn < this.#groups.groupsEnded
  }
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
