import type { Facts, NamesBasis, OutcomeHead } from '../../../core/index.ts'
import { LIMITS } from '../../../core/index.ts'
import type { Effect, NamedFacts, Overlay, QueryTree } from '../../../sql/index.ts'
import { NO_OVERLAY, overlayAfter } from '../../../sql/index.ts'

/**
 * What the statements of a recorded session had left behind in it: names of statements and cursors, relations of its own.
 * It follows their outcomes; where names are looked for, and how many relations there were, the recording itself says, and is
 * believed.
 */
export class RecordedState {
  #overlay: Overlay = NO_OVERLAY
  readonly #statements = new Map<string, QueryTree>()
  readonly #cursors = new Map<string, { readonly query: QueryTree; readonly hold: boolean }>()
  #inTransaction = false
  #failed = false

  get overlay(): Overlay {
    return this.#overlay
  }

  /** Whether a text means in it what it means in any session with the same names. */
  get isPlain(): boolean {
    return this.#overlay.now.made.size === 0 && !this.#overlay.now.lost
  }

  /** Takes over what was recorded. False: the session had relations of its own, and not those that are known here. */
  agrees({ pathNow, roleNow, made = 0, lost }: NamesBasis): boolean {
    const { now } = this.#overlay
    const known = made === 0 ? new Map<never, never>() : now.made
    this.#overlay = {
      ...this.#overlay,
      now: {
        made: known,
        lost: lost === true,
        ...(pathNow === undefined ? {} : { path: pathNow }),
        ...(roleNow === undefined ? {} : { role: { name: roleNow } }),
      },
    }
    return known.size === made
  }

  /** What was made under other labels may hold what has one now. */
  relabelled(): void {
    this.#overlay = overlayAfter(this.#overlay, { kind: 'taint' })
  }

  named(factsOf: (query: QueryTree) => Facts): NamedFacts {
    const facts = (query: QueryTree | undefined): Facts | undefined =>
      query === undefined ? undefined : factsOf(query)
    return {
      prepared: (name) => facts(this.#statements.get(name)),
      cursor: (name) => facts(this.#cursors.get(name)?.query),
    }
  }

  /** A command with these effects, one list for each of its statements, has ended so. */
  follow(effects: readonly (readonly Effect[])[], outcome: OutcomeHead | undefined): void {
    if (outcome === undefined || outcome.outcome === 'refused' || outcome.outcome === 'skipped') return
    // What nobody can follow counts once it was sent.
    for (const effect of effects.flat())
      if (effect.kind === 'taint' || effect.kind === 'lose')
        this.#overlay = overlayAfter(this.#overlay, effect)
    if (outcome.outcome === 'ok' || outcome.outcome === 'cut') {
      const tags = outcome.tag.split('; ')
      for (const [at, each] of effects.entries()) for (const effect of each) this.#apply(effect, tags[at])
    } else this.#failed = true
    if (this.#inTransaction) return
    this.#apply({ kind: this.#failed ? 'rollback' : 'commit' }, undefined)
    this.#failed = false
  }

  #apply(effect: Effect, tag: string | undefined): void {
    switch (effect.kind) {
      case 'prepare':
        if (this.#hasRoom) this.#statements.set(effect.name, effect.query)
        return
      case 'declare':
        if (this.#hasRoom) this.#cursors.set(effect.name, { query: effect.query, hold: effect.hold })
        return
      case 'deallocate':
        if (effect.name === undefined) this.#statements.clear()
        else this.#statements.delete(effect.name)
        return
      case 'close':
        if (effect.name === undefined) this.#cursors.clear()
        else this.#cursors.delete(effect.name)
        return
      case 'begin':
        this.#inTransaction = true
        return
      case 'commit':
      case 'rollback': {
        this.#inTransaction = false
        this.#failed = false
        for (const [name, { hold }] of this.#cursors) if (!hold) this.#cursors.delete(name)
        // COMMIT of a failed transaction is answered as what it comes to.
        const kind = tag === 'ROLLBACK' ? 'rollback' : effect.kind
        this.#overlay = overlayAfter(this.#overlay, { kind })
        return
      }
      case 'run':
      case 'fetch':
        return
      default:
        this.#overlay = overlayAfter(this.#overlay, effect)
    }
  }

  get #hasRoom(): boolean {
    return this.#statements.size + this.#cursors.size < LIMITS.namedObjectsMax
  }
}
