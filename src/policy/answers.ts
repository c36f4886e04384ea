import type { Facts, PolicyConnection } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { Asked, CedarValue } from './cedar.ts'
import { PreparedSets } from './cedar.ts'
import type { Reads } from './reads.ts'
import { unionOfReads } from './reads.ts'
import type { Clause } from './rule.ts'
import type { Principal, Subject } from './vocabulary.ts'
import { contextOf, entitiesOf, VOLATILE_FACTS } from './vocabulary.ts'

/** One identity's answer to one question: allowed when something permits it and nothing forbids it. */
export type Answer = {
  /** Empty when something forbids: the engine does not name both. */
  readonly permits: readonly Clause[]
  readonly forbids: readonly Clause[]
  readonly volatile: boolean
  /** A condition got as far as to ask for the estimate of rows, and it is not known. */
  readonly estimate: boolean
}

/** A condition that could not be evaluated. A permit then did not permit, a forbid forbade. */
export type FaultReport = (clause: Clause, kind: string) => void

/** The clauses that can matter to one question on one connection, and what asking them takes. */
type Slice = {
  readonly key: string
  readonly clauses: ReadonlyMap<string, Clause>
  readonly reads: Reads
  readonly volatile: boolean
  /** Whether a condition may read the estimate of rows; `always`: in a way that cannot be watched. */
  readonly estimates: 'never' | 'watched' | 'always'
  /** Whether some rule in it only observes. */
  readonly observes: boolean
  /** Answers by principal, when they depend on nothing else. */
  readonly kept: Map<string, Answer> | undefined
}

/** Asking whether the fact is there makes no error while it is not. */
const HAS_ESTIMATE = /has\s+"?estimatedRows/

const NOBODY_ANSWERED: Answer = { permits: [], forbids: [], volatile: false, estimate: false }

/**
 * Asks the engine as little as can be: only the clauses that can matter, only with the facts they read, and only once
 * where the answer depends on nothing but the identity.
 */
export class Answers {
  readonly #clauses: readonly Clause[]
  readonly #sets = new PreparedSets()
  readonly #slices = new Map<string, Slice>()
  readonly #asks = new Map<string, boolean>()
  readonly #fault: FaultReport
  readonly #enforced: Answers | undefined
  #kept = 0

  /** `enforced`: answers without the rules that observe, asked where there are none among these. */
  constructor(clauses: readonly Clause[], fault: FaultReport, enforced?: Answers) {
    this.#clauses = clauses
    this.#fault = fault
    this.#enforced = enforced
  }

  /** Whether a condition about this connection may read this fact. */
  asks(connection: string, fact: string): boolean {
    // A fact has no blank in its name.
    const key = `${fact} ${connection}`
    const known = this.#asks.get(key)
    if (known !== undefined) return known
    const asks = this.#clauses.some(
      ({ connections, reads: { context } }) =>
        (connections?.has(connection) ?? true) && (context === 'all' || context.has(fact)),
    )
    // Their number is that of the configured connections, and of facts that adapters find out only when asked.
    this.#asks.set(key, asks)
    return asks
  }

  ask(
    subject: Subject,
    principal: Principal,
    connection: PolicyConnection,
    facts: Facts,
    now: number,
  ): Answer {
    const slice = this.#slice(subject, connection.name)
    if (slice.clauses.size === 0) return NOBODY_ANSWERED
    if (this.#enforced !== undefined && !slice.observes) {
      return this.#enforced.ask(subject, principal, connection, facts, now)
    }
    const kept = slice.kept?.get(principal.fingerprint)
    if (kept !== undefined) return kept
    const context = contextOf(subject, facts, now, slice.reads)
    const unknown = slice.estimates !== 'never' && facts.estimatedRows === undefined
    let asked = this.#engine(slice, subject, principal, connection, context, unknown)
    // Without the fact an error tells that a condition got as far as to read it: only then anybody need ask for it.
    const estimate = unknown && (slice.estimates === 'always' || asked.errors.length > 0)
    if (estimate) asked = this.#engine(slice, subject, principal, connection, context, false)
    for (const { id, kind } of asked.errors) {
      const clause = slice.clauses.get(id)
      if (clause !== undefined) this.#fault(clause, kind)
    }
    // The engine names them in no particular order; here they are in that of the file.
    const named = inOrder(slice, asked.reason)
    const failed = inOrder(
      slice,
      asked.errors.map(({ id }) => id),
    )
    // A forbid that cannot be evaluated forbids: the engine alone would skip it and let a permit through.
    const forbids = [...(asked.allow ? [] : named), ...failed.filter((clause) => clause.effect === 'forbid')]
    const permits = asked.allow && forbids.length === 0 ? named : []
    const answer: Answer = {
      // A limit or a review is no favour: one whose condition cannot be evaluated holds.
      permits: subject.action === 'limit' || subject.action === 'review' ? [...permits, ...failed] : permits,
      forbids,
      volatile: slice.volatile || estimate || (slice.estimates !== 'never' && !unknown),
      estimate,
    }
    if (slice.kept !== undefined) this.#keep(slice.kept, principal.fingerprint, answer)
    return answer
  }

  #engine(
    slice: Slice,
    subject: Subject,
    principal: Principal,
    connection: PolicyConnection,
    { estimatedRows, ...context }: Record<string, CedarValue>,
    withoutEstimate: boolean,
  ): Asked {
    return this.#sets.ask(
      slice.key,
      () => Object.fromEntries([...slice.clauses].map(([id, clause]) => [id, clause.cedar])),
      {
        principal: { type: 'Identity', id: principal.id },
        action: { type: 'Action', id: subject.action },
        resource: { type: 'Connection', id: connection.name },
        entities: entitiesOf(principal, connection, slice.reads),
        context: withoutEstimate || estimatedRows === undefined ? context : { ...context, estimatedRows },
      },
    )
  }

  /** Groups come with tokens, so that there is no end to the principals; when there are too many, all are forgotten. */
  #keep(kept: Map<string, Answer>, fingerprint: string, answer: Answer): void {
    if (this.#kept >= LIMITS.decisionsCachedMax) {
      for (const slice of this.#slices.values()) slice.kept?.clear()
      this.#kept = 0
    }
    kept.set(fingerprint, answer)
    this.#kept++
  }

  #slice(subject: Subject, connection: string): Slice {
    const about = 'class' in subject ? subject.class : 'label' in subject ? subject.label : ''
    const name = JSON.stringify([connection, subject.action, about])
    const known = this.#slices.get(name)
    if (known !== undefined) return known
    const clauses = this.#clauses.filter(
      (clause) =>
        clause.actions.has(subject.action) &&
        (clause.connections?.has(connection) ?? true) &&
        (clause.subjects?.has(about) ?? true),
    )
    const reads = unionOfReads(clauses.map((clause) => clause.reads))
    const { context } = reads
    const volatile = context === 'all' || [...context].some((fact) => VOLATILE_FACTS.has(fact))
    const reading = clauses.filter(
      ({ reads: { context: read } }) => read === 'all' || read.has('estimatedRows'),
    )
    const unwatched = reading.some(
      (clause) => clause.reads.context === 'all' || HAS_ESTIMATE.test(clause.cedar),
    )
    const settled = settledFacts(subject)
    const constant = context !== 'all' && [...context].every((fact) => settled.has(fact))
    const slice: Slice = {
      // Questions with the same clauses share one prepared set.
      key: clauses.map((clause) => clause.id).join(' '),
      clauses: new Map(clauses.map((clause) => [clause.id, clause])),
      reads,
      volatile,
      estimates: unwatched ? 'always' : reading.length > 0 ? 'watched' : 'never',
      observes: clauses.some((clause) => clause.observe),
      kept: constant ? new Map() : undefined,
    }
    // Their number is that of the configured connections and labels.
    this.#slices.set(name, slice)
    return slice
  }
}

function inOrder(slice: Slice, ids: readonly string[]): readonly Clause[] {
  const named = new Set(ids)
  return [...slice.clauses.values()].filter((clause) => named.has(clause.id))
}

/** Facts that the question itself settles. */
function settledFacts(subject: Subject): ReadonlySet<string> {
  switch (subject.action) {
    case 'run':
    case 'unreviewed':
    case 'review':
      return new Set(['class'])
    case 'see':
    case 'filter':
    case 'store':
      return new Set(['label'])
    case 'unlimited':
    case 'limit':
      return new Set()
  }
}
