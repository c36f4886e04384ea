import type { Decision, Facts } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'

/** What is known of a command and what was decided: the unit that is cached, and that adapters hang their plans on. */
export type Judgement = { readonly facts: Facts; readonly decision: Decision }

/**
 * Decisions that need not be made again. A scope is everything a decision depends on besides the command: policy
 * version, identity chain, connection, and what the adapter adds (catalogue epoch, search path, role). The key inside
 * a scope is the adapter's: equal keys must mean equal facts. Bounded; the oldest go first.
 */
export class JudgementCache {
  readonly #scopes = new Map<string, Map<string, Judgement>>()
  #size = 0

  scope(name: string): Map<string, Judgement> {
    let scope = this.#scopes.get(name)
    if (scope === undefined) {
      scope = new Map()
      this.#scopes.set(name, scope)
    }
    return scope
  }

  keep(scope: Map<string, Judgement>, key: string, judgement: Judgement): void {
    if (this.#size >= LIMITS.decisionsCachedMax) this.#dropOldest()
    if (!scope.has(key)) this.#size++
    scope.set(key, judgement)
  }

  /** A new policy: nothing decided under the old one counts. */
  clear(): void {
    for (const scope of this.#scopes.values()) scope.clear()
    this.#scopes.clear()
    this.#size = 0
  }

  #dropOldest(): void {
    for (const [name, scope] of this.#scopes) {
      for (const key of scope.keys()) {
        scope.delete(key)
        this.#size--
        if (this.#size < LIMITS.decisionsCachedMax) return
      }
      this.#scopes.delete(name)
    }
  }
}
