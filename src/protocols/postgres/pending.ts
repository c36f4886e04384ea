import type { GatewayError } from '../../core/index.ts'
import type { Judgement, Permitted } from '../../session/index.ts'
import type { ResultPlan } from './results.ts'

/** A prepared statement as this session knows it. `judgement` was made at Parse and is made again when it is stale. */
export type Statement = {
  readonly text: string
  judgement: Judgement
  /** After the server's own description was seen. */
  plan: ResultPlan | undefined
}

/** A portal: a statement with its parameters. */
export type Portal = {
  readonly statement: Statement
  readonly parameters: readonly (Uint8Array | null)[]
  plan: ResultPlan | undefined
  /** Approved at Bind: its executions need no second approval. */
  readonly approved: boolean
  /** The permission its first execution uses up. */
  permit?: Permitted | undefined
}

/** What the server still owes an answer for, in order. */
export type Pending =
  | PendingQuery
  | { readonly kind: 'parse' | 'bind' | 'close'; readonly undo: (() => void) | undefined }
  | { readonly kind: 'describe'; readonly of: Statement | Portal | undefined }
  | PendingExecute
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
  /** The client has been told that the result was cut; a late error of the server is not shown as well. */
  swallow: boolean
}

export type PendingExecute = {
  readonly kind: 'execute'
  readonly flight: Permitted
  readonly portal: Portal | undefined
  plan: ResultPlan | undefined
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

  /** Drops the Syncs that directly follow the head: the server ignores them while it takes COPY data. */
  dropSyncsBehindFirst(): void {
    while (this.#items[this.#head + 1]?.kind === 'sync') this.#items.splice(this.#head + 1, 1)
  }
}

/** Named statements or portals. Changes are made ahead of the server's answer and undone when it says no. */
export class Names<T> {
  readonly #named = new Map<string, T>()

  get size(): number {
    return this.#named.size
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

  clear(): void {
    this.#named.clear()
  }

  #undo(name: string): () => void {
    const before = this.#named.get(name)
    return () => {
      if (before === undefined) this.#named.delete(name)
      else this.#named.set(name, before)
    }
  }
}
