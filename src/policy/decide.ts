import type {
  CommandClass,
  ConnectionName,
  Decision,
  Deny,
  Facts,
  IdentityChain,
  LabelName,
  MaskingKey,
  MaskingKeys,
  MaskingRule,
  PolicyConnection,
  Reason,
  ResultLimit,
  Review,
  RuleRef,
} from '../core/index.ts'
import { UNLIMITED } from '../core/index.ts'
import type { Answers } from './answers.ts'
import {
  classForbidden,
  classNotPermitted,
  connectionUnknown,
  engineFailed,
  escapeRefused,
  factUnknown,
  filterForbidden,
  filterNotPermitted,
  reviewNeeded,
  storeForbidden,
  storeNotPermitted,
} from './reasons.ts'
import type { Clause } from './rule.ts'
import type { Principal, Subject } from './vocabulary.ts'
import { attributeType, classesOf, principalsOf } from './vocabulary.ts'

/** Whether this chain of identities may run this command on this connection, and how. `now` in milliseconds. */
export type Question = {
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  readonly facts: Facts
  readonly now: number
  /** Access that the chain has been granted on the connection. Absent: none. */
  readonly access?: readonly string[]
}

export interface Policy {
  /** Names the rules as a whole; changes whenever a decision could. */
  readonly version: string
  /** Pure but for its own memory: the same question always gets the same decision. */
  decide(question: Question): Decision
  /** Whether this chain may see values of this label in clear: the question that masking asks. */
  sees(question: Question, label: LabelName): boolean
  /** How a label is masked on a connection, whoever asks; undefined for a label that there is not. */
  maskOf(connection: ConnectionName, label: LabelName): LabelMask | undefined
  /** How each label is masked on a connection. */
  masks(connection: ConnectionName): readonly LabelMask[]
  /** Whether a rule about this connection may read this fact, enforced or observing: without one nobody need find it out. */
  asks(connection: ConnectionName, fact: string): boolean
}

/** `key` is what the gateway knows its own masked values by; absent when it has none. */
export type LabelMask = { readonly rule: MaskingRule; readonly key: MaskingKey | undefined }

/** What a policy decides with. `trial` also has the rules that only observe; absent when there are none. */
export type Bench = {
  readonly version: string
  readonly connections: ReadonlyMap<string, PolicyConnection>
  readonly labels: ReadonlyMap<LabelName, MaskingRule>
  readonly keys: MaskingKeys | undefined
  readonly enforced: Answers
  readonly trial: Answers | undefined
  /** The engine itself failed; nothing was permitted. */
  readonly onFailure: (error: unknown) => void
}

export function policyOn(bench: Bench): Policy {
  return {
    version: bench.version,
    decide(question) {
      try {
        return decide(bench, question)
      } catch (error) {
        bench.onFailure(error)
        return { ...refuse(engineFailed()), volatile: true }
      }
    },
    sees(question, label) {
      const connection = bench.connections.get(question.connection)
      if (connection === undefined || unknownAttribute(connection, question.facts) !== undefined) return false
      try {
        return new Deciding(bench, bench.enforced, connection, question).sees(label)
      } catch (error) {
        bench.onFailure(error)
        return false
      }
    },
    maskOf(connection, label) {
      return maskOf(bench, bench.connections.get(connection), label)
    },
    masks(connection) {
      const known = bench.connections.get(connection)
      return [...bench.labels.keys()].flatMap((label) => maskOf(bench, known, label) ?? [])
    },
    asks: (connection, fact) => (bench.trial ?? bench.enforced).asks(connection, fact),
  }
}

function decide(bench: Bench, question: Question): Decision {
  const connection = bench.connections.get(question.connection)
  if (connection === undefined) return refuse(connectionUnknown())
  const unknown = unknownAttribute(connection, question.facts)
  if (unknown !== undefined) return refuse(factUnknown(unknown))
  const deciding = new Deciding(bench, bench.enforced, connection, question)
  const decision = deciding.decide()
  if (bench.trial === undefined) return decision
  const trial = new Deciding(bench, bench.trial, connection, question)
  try {
    const would = trial.decide()
    const observed = sameOutcome(decision, would) ? [] : trial.observedAgainst(deciding)
    const estimate = decision.estimate ?? would.estimate
    const volatile = decision.volatile || would.volatile
    return { ...decision, observed, volatile, ...(estimate === undefined ? {} : { estimate }) }
  } catch (error) {
    // Rules that observe never block, not even by failing.
    bench.onFailure(error)
    return { ...decision, volatile: true }
  }
}

function maskOf(
  bench: Bench,
  connection: PolicyConnection | undefined,
  label: LabelName,
): LabelMask | undefined {
  const rule = bench.labels.get(label)
  if (rule === undefined) return undefined
  const key = bench.keys?.of(label, connection?.tenant ?? '')
  const isKeyed = rule.kind === 'hash' || rule.kind === 'pseudonym'
  return { rule: isKeyed && key !== undefined ? { ...rule, key } : rule, key }
}

function refuse(reason: Reason): Deny {
  return { kind: 'deny', reason, rules: [], observed: [], volatile: false }
}

/** The name of a declared attribute that the adapter did not hand over, or handed over with another type. */
function unknownAttribute(connection: PolicyConnection, facts: Facts): string | undefined {
  for (const [name, declared] of Object.entries(connection.attributes)) {
    const { base, optional } = attributeType(declared)
    const value = Object.hasOwn(facts.attributes, name) ? facts.attributes[name] : undefined
    if (value === undefined) {
      if (!optional) return name
    } else if (!isOfType(value, base)) {
      return name
    }
  }
  return undefined
}

function isOfType(
  value: Facts['attributes'][string],
  base: 'string' | 'long' | 'boolean' | 'strings',
): boolean {
  if (base === 'long') return Number.isSafeInteger(value)
  return base === 'strings' ? Array.isArray(value) : typeof value === base
}

function sameOutcome(a: Decision, b: Decision): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'deny' || b.kind === 'deny') return true
  const sameMasks = a.masks.size === b.masks.size && [...a.masks.keys()].every((label) => b.masks.has(label))
  return sameMasks && sameLimit(a.limit, b.limit) && sameLimit(a.pause ?? UNLIMITED, b.pause ?? UNLIMITED)
}

function sameLimit(a: ResultLimit, b: ResultLimit): boolean {
  return a.rowsMax === b.rowsMax && a.bytesMax === b.bytesMax
}

/** What one identity, or the whole chain, gets as answer. */
type Verdict = {
  readonly allowed: boolean
  readonly forbids: readonly Clause[]
  readonly permits: readonly Clause[]
}

/** One decision in the making: remembers which rules answered. */
class Deciding {
  readonly #bench: Bench
  readonly #answers: Answers
  readonly #connection: PolicyConnection
  readonly #facts: Facts
  readonly #now: number
  readonly #principals: readonly Principal[]
  readonly #noted: { readonly subject: Subject; readonly verdict: Verdict }[] = []
  #volatile = false
  #estimate = false

  constructor(bench: Bench, answers: Answers, connection: PolicyConnection, question: Question) {
    this.#bench = bench
    this.#answers = answers
    this.#connection = connection
    this.#facts = question.facts
    this.#now = question.now
    this.#principals = principalsOf(question.chain, question.access ?? [])
  }

  /** Stricter outcomes first: deny beats hold beats mask beats limit. */
  decide(): Decision {
    const facts = this.#facts
    const classes = classesOf(facts)
    for (const each of classes) {
      const run = this.#ask({ action: 'run', class: each })
      if (!run.allowed) return this.#deny(run, this.#classReason(each, run))
    }
    if (facts.escape !== undefined) {
      const { labels, reason } = facts.escape
      const seen = labels.map((label) => this.#ask({ action: 'see', label }))
      const unseen = seen.find((see) => !see.allowed)
      // Nobody can be known to see what the analysis cannot name.
      if (unseen !== undefined || labels.length === 0)
        return this.#deny(unseen ?? NOTHING, escapeRefused(reason))
    }
    for (const label of facts.filters) {
      const filter = this.#ask({ action: 'filter', label })
      if (!filter.allowed) {
        const [forbid] = filter.forbids
        return this.#deny(
          filter,
          forbid === undefined ? filterNotPermitted(label) : filterForbidden(label, forbid.ref),
        )
      }
    }
    for (const label of facts.stores) {
      const store = this.#ask({ action: 'store', label })
      if (!store.allowed) {
        const [forbid] = store.forbids
        return this.#deny(
          store,
          forbid === undefined ? storeNotPermitted(label) : storeForbidden(label, forbid.ref),
        )
      }
    }
    const reviews = classes.flatMap((each) => {
      const unreviewed = this.#ask({ action: 'unreviewed', class: each })
      return unreviewed.allowed ? [] : [{ class: each, unreviewed }]
    })
    const masks = new Map<LabelName, MaskingRule>()
    for (const label of facts.labels) {
      if (!this.#ask({ action: 'see', label }).allowed) {
        // A label that the configuration does not know is a surprise, and hidden whole.
        masks.set(label, maskOf(this.#bench, this.#connection, label)?.rule ?? { kind: 'full' })
      }
    }
    const limits = this.#limits()
    const held =
      reviews.length > 0 ? reviews.map((each) => each.class) : limits.pause === undefined ? [] : classes
    const review = this.#review(held)
    const common = { masks, ...limits, ...review, rules: this.#rules(), observed: [], ...this.#changeable() }
    if (reviews.length === 0) return { kind: 'allow', ...common }
    const reason = reviewNeeded(
      reviews.map((each) => each.class),
      this.#connection.name,
    )
    return { kind: 'hold', reason, ...common }
  }

  sees(label: LabelName): boolean {
    return this.#ask({ action: 'see', label }).allowed
  }

  /** Of every dimension the smallest: where the result ends, and where its rest waits for approval. */
  #limits(): { readonly limit: ResultLimit; readonly pause?: ResultLimit } {
    const unlimited = this.#ask({ action: 'unlimited' }).allowed
    // Each identity of the chain brings its own limits; no permit is needed for one to hold.
    const clauses = this.#askEach({ action: 'limit' }).flatMap((each) => each.permits)
    if (clauses.length > 0) {
      const verdict = { allowed: true, forbids: [], permits: clauses }
      this.#noted.push({ subject: { action: 'limit' }, verdict })
    }
    const all = [
      ...(unlimited ? [] : [this.#connection.limit]),
      ...clauses.flatMap((clause) => clause.limit ?? []),
    ]
    const limit = smallest(all.filter((each) => each.action !== 'hold'))
    const pause = smallest(all.filter((each) => each.action === 'hold'))
    return pause === UNLIMITED ? { limit } : { limit, pause }
  }

  /** How people look at commands of these classes: each rule that says so counts, for each identity of the chain. */
  #review(classes: readonly CommandClass[]): { readonly review?: readonly Review[] } {
    const found = new Map<string, Review>()
    for (const each of classes) {
      const subject: Subject = { action: 'review', class: each }
      const clauses = this.#askEach(subject).flatMap(({ permits }) => permits)
      if (clauses.length === 0) continue
      this.#noted.push({ subject, verdict: { allowed: true, forbids: [], permits: clauses } })
      for (const { id, review } of clauses) if (review !== undefined) found.set(id, review)
    }
    return found.size === 0 ? {} : { review: [...found.values()] }
  }

  /** Rules that only observe and would have changed an answer that decided. */
  observedAgainst(enforced: Deciding): RuleRef[] {
    const changed = this.#noted.filter(
      ({ subject, verdict }) => isOfRules(subject) || verdict.allowed !== enforced.#judge(subject).allowed,
    )
    return refsOf(changed.flatMap(({ verdict }) => deciders(verdict)).filter((clause) => clause.observe))
  }

  /** Asks, and remembers who answered. */
  #ask(subject: Subject): Verdict {
    const verdict = this.#judge(subject)
    this.#noted.push({ subject, verdict })
    return verdict
  }

  /** The answer to the chain as a whole: what one of its identities may not do, the chain may not do. */
  #judge(subject: Subject): Verdict {
    const own = this.#askEach(subject)
    if ((subject.action !== 'filter' && subject.action !== 'store') || own.every((each) => each.allowed))
      return strictest(own)
    // Who may see a value may also compare it and write it, unless that is forbidden.
    const see = this.#askEach({ action: 'see', label: subject.label })
    return strictest(
      own.map((each, index) => {
        const seen = see[index]
        if (each.allowed || each.forbids.length > 0 || seen === undefined) return each
        // What forbids to see it is why it may not be compared either.
        return seen.allowed ? seen : { ...each, forbids: seen.forbids }
      }),
    )
  }

  /** The answers to each identity of the chain, the one that acts first. */
  #askEach(subject: Subject): readonly Verdict[] {
    const answers = this.#principals.map((principal) =>
      this.#answers.ask(subject, principal, this.#connection, this.#facts, this.#now),
    )
    this.#volatile ||= answers.some((answer) => answer.volatile)
    this.#estimate ||= answers.some((answer) => answer.estimate)
    return answers.map(({ permits: own, forbids }, index) => {
      const agent = this.#principals[index]?.identity.kind === 'agent'
      // What permits the identity that an agent acts for helps the agent only when the rule says so.
      const passed = agent
        ? answers.slice(index + 1).flatMap((later) => later.permits.filter((each) => each.agents))
        : []
      const permits = [...own, ...passed]
      return { allowed: permits.length > 0 && forbids.length === 0, forbids, permits }
    })
  }

  #classReason(wanted: CommandClass, run: Verdict): Reason {
    const [forbid] = run.forbids
    if (forbid !== undefined) return classForbidden(wanted, this.#connection.name, forbid.ref)
    const others = (['read', 'write', 'define', 'administer'] as const).filter(
      (each) => each !== wanted && this.#judge({ action: 'run', class: each }).allowed,
    )
    return classNotPermitted(wanted, this.#connection.name, others)
  }

  #deny(verdict: Verdict, reason: Reason): Decision {
    return {
      kind: 'deny',
      reason,
      rules: refsOf(verdict.forbids),
      observed: [],
      ...this.#changeable(),
    }
  }

  #changeable(): { readonly volatile: boolean; readonly estimate?: true } {
    return { volatile: this.#volatile, ...(this.#estimate ? { estimate: true } : {}) }
  }

  /** Forbids first: they are what made the outcome stricter than permits would have it. */
  #rules(): RuleRef[] {
    const clauses = this.#noted.flatMap(({ verdict }) => deciders(verdict))
    return refsOf([
      ...clauses.filter((clause) => clause.effect === 'forbid'),
      ...clauses.filter((clause) => clause.effect === 'permit'),
    ])
  }
}

/** What only rules answer, and nobody permits. */
function isOfRules({ action }: Subject): boolean {
  return action === 'limit' || action === 'review'
}

const NOTHING: Verdict = { allowed: false, forbids: [], permits: [] }

function smallest(limits: readonly ResultLimit[]): ResultLimit {
  if (limits.length === 0) return UNLIMITED
  return {
    rowsMax: Math.min(...limits.map((each) => each.rowsMax)),
    bytesMax: Math.min(...limits.map((each) => each.bytesMax)),
  }
}

function strictest(verdicts: readonly Verdict[]): Verdict {
  return {
    allowed: verdicts.every((each) => each.allowed),
    forbids: verdicts.flatMap((each) => each.forbids),
    permits: verdicts.flatMap((each) => each.permits),
  }
}

/** The permits that allowed, or the forbids that did not. What permits only part of a chain decided nothing. */
function deciders(verdict: Verdict): readonly Clause[] {
  return verdict.allowed ? verdict.permits : verdict.forbids
}

/** Each rule once, in the order in which they decided. */
function refsOf(clauses: readonly Clause[]): RuleRef[] {
  const refs = new Map<string, RuleRef>()
  for (const { ref } of clauses) {
    const key = `${ref.file}:${ref.line}:${ref.name}`
    if (!refs.has(key)) refs.set(key, ref)
  }
  return [...refs.values()]
}
