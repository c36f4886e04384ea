import type { Basis, Decision, Facts } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'

/** What is known of a command and what was decided: the unit that is cached, and that adapters hang their plans on. */
export type Judgement = {
  readonly facts: Facts
  readonly decision: Decision
  /** Where it was made: what it depends on besides the command. */
  readonly scope: Scope
}

/** Where judgements of one kind lie. A dropped one is empty and stays so; ask the cache for its successor. */
export type Scope = {
  readonly judgements: Map<string, Judgement>
  dropped: boolean
  /** What is judged by in it, as the recording tells. Absent where nothing is told. */
  basis?: Basis
}

/**
 * Decisions that need not be made again. A scope is everything a decision depends on besides the command: policy
 * version, identity chain, connection, and what the adapter adds (catalogue epoch, search path, role). The key inside
 * a scope is the adapter's: equal keys must mean equal facts. Judgements and scopes are bounded; the oldest go first.
 */
export class JudgementCache {
  readonly #scopes = new Map<string, Scope>()
  #size = 0

  scope(name: string): Scope {
    const known = this.#scopes.get(name)
    if (known !== undefined) return known
    // A client can make scopes (it sets a search path) without anything ever being kept in them.
    if (this.#scopes.size >= LIMITS.decisionsCachedMax) this.#dropOldestScope()
    const made: Scope = { judgements: new Map(), dropped: false }
    this.#scopes.set(name, made)
    return made
  }

  keep(scope: Scope, key: string, judgement: Judgement): void {
    if (scope.dropped) return
    if (!scope.judgements.has(key)) this.#size++
    scope.judgements.set(key, judgement)
    if (this.#size > LIMITS.decisionsCachedMax) this.#dropOldest()
  }

  /** A new policy: nothing decided under the old one counts. */
  clear(): void {
    for (const name of this.#scopes.keys()) this.#drop(name)
  }

  #dropOldest(): void {
    for (const [name, { judgements }] of this.#scopes) {
      const oldest = judgements.keys().next()
      if (!oldest.done) {
        judgements.delete(oldest.value)
        this.#size--
        return
      }
      this.#drop(name)
    }
  }

  #dropOldestScope(): void {
    const oldest = this.#scopes.keys().next()
    if (!oldest.done) this.#drop(oldest.value)
  }

  #drop(name: string): void {
    const scope = this.#scopes.get(name)
    if (scope === undefined) return
    this.#scopes.delete(name)
    this.#size -= scope.judgements.size
    scope.judgements.clear()
    scope.dropped = true
  }
}
