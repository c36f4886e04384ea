import type { GatewayError, ParameterReading } from '../../core/index.ts'
import type { Input, Judgement, Permitted } from '../../session/index.ts'
import type { LocalAnswer, LocalCursor, LocalQuestion } from './local/local-answers.ts'
import type { QueryTree as Node } from '../../sql/index.ts'
import type { Formats, InReach, ResultPlan } from './results/results.ts'

/** A prepared statement as this session knows it. `judgement` was made at Parse and is made again when it is stale. */
export type Statement = {
  readonly text: string
  /** The types of its parameters that the client has declared. */
  readonly types?: readonly number[]
  /** The settings it was read by: a date in it is what it was then. */
  readonly settings: string
  /** What PREPARE or DECLARE holds: judged in place of the text. */
  readonly query?: Node | undefined
  judgement: Judgement
  /** What its rows are masked by under this judgement, and under what the server has said of it. */
  plan: ResultPlan | undefined
  /** A question that is answered here; the server has an empty statement in its place. */
  readonly local?: LocalQuestion | undefined
  /** Set once the server has described it: what that makes of a plan. */
  tighten?: ((plan: ResultPlan | undefined) => ResultPlan | undefined) | undefined
  /** The description behind it: another with the same bytes, under what is still known, says nothing new. */
  described?: { readonly body: Buffer; readonly judgement: Judgement; readonly inReach: InReach } | undefined
}

/** A portal: a statement with its parameters. */
export type Portal = {
  readonly statement: Statement
  readonly parameters: readonly (Uint8Array | null)[]
  readonly readings?: readonly ParameterReading[] | undefined
  /** The formats its columns come in, as asked for at Bind. */
  readonly formats: Formats
  /** Approved at Bind, under this version of the policy: its executions need no second approval. */
  readonly approved: string | undefined
  /** Approved for one execution that changes so many rows. */
  readonly counted?: true
  /** What it ran by name when it was approved: another statement of that name was approved by nobody. */
  readonly behind?: readonly Statement[] | undefined
  /** The settings it was bound by. */
  readonly settings: string
  /** How many commands had been sent by then, or when it was last executed, behind which code of users may stand. */
  touches?: number
  /** The permission its first execution uses up. */
  permit?: Permitted | undefined
  /** How many ReadyForQuery were outstanding or seen when it was bound: the one after may end it. */
  readonly group: number
  /** The rows of a question that is answered here, and the formats they are asked for in. */
  readonly local?: { readonly cursor: LocalCursor; readonly formats: readonly number[] } | undefined
  /** What its executions have shown so far: the limit is one for all of them. */
  rows: number
  bytes: number
  /** What the planner said of it when it was bound. */
  readonly estimatedRows?: number | undefined
  /** The rest of its result was approved: it is not held again. */
  restApproved?: true
  /** A cursor WITH HOLD: it stays when its transaction is committed. */
  readonly hold?: boolean
  /** It has been executed: what it sets was set then, and whether going on with it sets anything, nobody knows. */
  isRun?: true
  /** What a portal of EXECUTE or FETCH ran when it began: its rows are those, whatever has the name later. */
  begun?: Judgement
}

/** What the server still owes an answer for, in order. */
export type Pending =
  | PendingQuery
  | { readonly kind: 'parse'; readonly of?: Statement; readonly undo: (() => void) | undefined }
  | { readonly kind: 'close'; readonly undo: (() => void) | undefined }
  | { readonly kind: 'bind'; readonly of: Statement | undefined; readonly undo: (() => void) | undefined }
  /** `instead`: takes the place of the server's "no data". */
  | {
      readonly kind: 'describe'
      readonly of: Statement | undefined
      readonly instead?: Buffer | undefined
      /** That there are no rows is not said. */
      readonly isQuiet?: true
    }
  | PendingExecute
  | PendingOwn
  | PendingCommit
  | { readonly kind: 'sync' }
  /** A statement certain to fail was sent in place of one we refused; its error is replaced by ours. */
  | { readonly kind: 'refusal'; readonly error: GatewayError; readonly simple: boolean }

/** A simple query: one command, perhaps of several statements, answered up to ReadyForQuery. */
export type PendingQuery = {
  readonly kind: 'query'
  readonly flight: Permitted
  readonly plans: readonly (ResultPlan | undefined)[]
  /** Which statement is being answered, and its plan. */
  statement: number
  plan: ResultPlan | undefined
  tags: string
  /** Takes the place of the server's "that was empty". */
  readonly local?: () => LocalAnswer
}

export type PendingExecute = {
  readonly kind: 'execute'
  readonly flight: Permitted
  readonly portal: Portal | undefined
  plan: ResultPlan | undefined
  readonly local?: (() => LocalAnswer) | undefined
  /** Takes back what was assumed of its session when it was sent. */
  readonly undo: (() => void) | undefined
  /** That it has ended is told to the client when what it has changed is counted. */
  readonly counting?: Counting
}

/** A message of the gateway's own among a client's, around a command whose changes are counted. Nothing of its answer is shown. */
export type PendingOwn = {
  readonly kind: 'own'
  readonly flight: Permitted
  /** The type of the message that ends the answer. */
  readonly until: number
  /** Those of its answer, as text. */
  readonly rows: (string | null)[][]
  readonly onEnd: (() => void) | undefined
}

/** A Sync of the gateway's own, at which such a command takes effect: only then the client is told that it has ended. */
export type PendingCommit = {
  readonly kind: 'commit'
  readonly flight: Permitted
  readonly ended: Ended
  failed?: true
}

/** How the server says that a command has ended. */
export type Ended = { readonly message: Buffer; readonly tag: string }

/** The one command of a session whose changes are being counted. */
export class Counting {
  ended: Ended | undefined
  /** Its client has gone meanwhile: nothing of it is to stand. */
  isGivenUp = false
  readonly #answered = Promise.withResolvers<boolean>()

  /** Whether all of it was answered; otherwise something has failed, and the client has been told. */
  get answered(): Promise<boolean> {
    return this.#answered.promise
  }

  settle(isAnswered: boolean): void {
    this.#answered.resolve(isAnswered)
  }
}

/**
 * A command of which some statement may take rows of COPY. Until the server has asked for them, or answered, nobody knows
 * whether it reads what comes next as messages, ignores it, or discards it: nothing passes behind the command but rows that
 * it was asked for.
 */
export type CopyTurn = {
  readonly of: PendingQuery | PendingExecute
  /** The server has asked for rows, and has not been told that there are no more: they are recorded in it. */
  input: Input | undefined
  /** The server has been asked not to keep its answer to itself. */
  isFlushed: boolean
}

/** Whether the server ends its answer to this with ReadyForQuery. */
export function asksForReady(item: Pending): boolean {
  return (
    item.kind === 'sync' ||
    item.kind === 'commit' ||
    item.kind === 'query' ||
    (item.kind === 'refusal' && item.simple)
  )
}

/** A first-in first-out queue whose head is looked at far more often than it moves. */
export class PendingQueue {
  #items: Pending[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  first(): Pending | undefined {
    return this.#items[this.#head]
  }

  push(item: Pending): void {
    this.#items.push(item)
  }

  shift(): Pending | undefined {
    const item = this.#items[this.#head]
    if (item === undefined) return undefined
    this.#head++
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Takes everything up to the next Sync, which stays. */
  takeToSync(): Pending[] {
    const taken: Pending[] = []
    for (let next = this.first(); next !== undefined && next.kind !== 'sync'; next = this.first()) {
      taken.push(next)
      this.shift()
    }
    return taken
  }

  /** From the head on. */
  all(): readonly Pending[] {
    return this.#head === 0 ? this.#items : this.#items.slice(this.#head)
  }

  /** Everything but the head. */
  behindFirst(): readonly Pending[] {
    return this.#items.slice(this.#head + 1)
  }

  takeAll(): Pending[] {
    const all = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    return all
  }

  /** Whether the server still owes a ReadyForQuery. */
  get owesReady(): boolean {
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i]
      if (item !== undefined && asksForReady(item)) return true
    }
    return false
  }
}

/** Notes of changes are cleared out beyond this. */
const CHANGES_KEPT = 1_000

/** How many ReadyForQuery have been asked for, and how many have come. */
export type Groups = { readonly groupsSent: number; readonly groupsEnded: number }

/** What a name stood for before it was changed in this group. */
type Change<T> = { readonly group: number; before: T | undefined }

/**
 * Named statements or portals. Changes are made ahead of the server's answer and undone when it says no. Within one
 * group (up to Sync) that is safe, because the server skips what follows a failure; in a later group nobody knows yet
 * what a name means, and who wants to use it waits. A later group may give it another meaning meanwhile: that one stays
 * when an earlier change is undone.
 */
export class Names<T> {
  readonly #named = new Map<string, T>()
  /** Of each name the changes that the server may yet say no to, oldest first. */
  #changes: Map<string, Change<T>[]> | undefined
  readonly #groups: Groups

  constructor(groups: Groups) {
    this.#groups = groups
  }

  get size(): number {
    return this.#named.size
  }

  /** Whether the server may yet say no to what an earlier group made of this name. */
  isUncertain(name: string): boolean {
    const group = this.#changes?.get(name)?.at(-1)?.group
    return group !== undefined && group < this.#groups.groupsSent && group >= this.#groups.groupsEnded
  }

  get(name: string): T | undefined {
    return this.#named.get(name)
  }

  /** Returns what puts the earlier state back. */
  set(name: string, value: T): () => void {
    const undo = this.#undo(name)
    this.#named.set(name, value)
    return undo
  }

  delete(name: string): () => void {
    const undo = this.#undo(name)
    this.#named.delete(name)
    return undo
  }

  values(): Iterable<T> {
    return this.#named.values()
  }

  clear(): () => void {
    const undo = [...this.#named.keys()].map((name) => this.delete(name))
    return () => {
      for (const each of undo) each()
    }
  }

  /** Takes out what `ended` names, and what undoing a change would bring back of it. */
  take(ended: (value: T) => boolean): T[] {
    const taken: T[] = []
    for (const [name, value] of this.#named) {
      for (const change of this.#changes?.get(name) ?? [])
        if (change.before !== undefined && ended(change.before)) change.before = undefined
      if (!ended(value)) continue
      this.#named.delete(name)
      taken.push(value)
    }
    return taken
  }

  #undo(name: string): () => void {
    const changes = this.#unanswered(name)
    const change = { group: this.#groups.groupsSent, before: this.#named.get(name) }
    changes.push(change)
    return () => {
      const at = changes.lastIndexOf(change)
      if (at < 0) return
      const later = changes[at + 1]
      changes.splice(at, 1)
      if (later !== undefined) later.before = change.before
      else if (change.before === undefined) this.#named.delete(name)
      else this.#named.set(name, change.before)
    }
  }

  #unanswered(name: string): Change<T>[] {
    const all = (this.#changes ??= new Map())
    const changes = all.get(name)
    if (changes === undefined) {
      if (all.size >= CHANGES_KEPT) this.#forgetAnswered(all)
      const made: Change<T>[] = []
      all.set(name, made)
      return made
    }
    const { groupsEnded } = this.#groups
    while (changes[0] !== undefined && changes[0].group < groupsEnded) changes.shift()
    return changes
  }

  #forgetAnswered(all: Map<string, Change<T>[]>): void {
    for (const [name, changes] of all) {
      const last = changes.at(-1)
      if (last === undefined || last.group < this.#groups.groupsEnded) all.delete(name)
    }
  }
}
