import type {
  CommandClass,
  ConnectionName,
  Decision,
  Facts,
  IdentityChain,
  LabelName,
  MaskingRule,
  PolicyConnection,
  Reason,
  RuleRef,
} from '../core/index.ts'
import { UNLIMITED } from '../core/index.ts'
import type { Answers } from './answers.ts'
import {
  classForbidden,
  classNotPermitted,
  connectionUnknown,
  escapeRefused,
  factUnknown,
  filterForbidden,
  filterNotPermitted,
  reviewNeeded,
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
}

export interface Policy {
  /** Names the rules as a whole; changes whenever a decision could. */
  readonly version: string
  /** Pure but for its own memory: the same question always gets the same decision. */
  decide(question: Question): Decision
}

/** What a policy decides with. `trial` also has the rules that only observe; absent when there are none. */
export type Bench = {
  readonly version: string
  readonly connections: ReadonlyMap<string, PolicyConnection>
  readonly labels: ReadonlyMap<LabelName, MaskingRule>
  readonly enforced: Answers
  readonly trial: Answers | undefined
}

export function policyOn(bench: Bench): Policy {
  return { version: bench.version, decide: (question) => decide(bench, question) }
}

function decide(bench: Bench, question: Question): Decision {
  const connection = bench.connections.get(question.connection)
  if (connection === undefined) return refuse(connectionUnknown())
  const unknown = unknownAttribute(connection, question.facts)
  if (unknown !== undefined) return refuse(factUnknown(unknown))
  const decision = new Deciding(bench, bench.enforced, connection, question).decide()
  if (bench.trial === undefined) return decision
  const trial = new Deciding(bench, bench.trial, connection, question)
  const would = trial.decide()
  const observed = sameOutcome(decision, would) ? [] : trial.observing()
  return { ...decision, observed, volatile: decision.volatile || would.volatile }
}

function refuse(reason: Reason): Decision {
  return { kind: 'deny', reason, rules: [], observed: [], volatile: false }
}

/** The name of a declared attribute that the adapter did not hand over, or handed over with another type. */
function unknownAttribute(connection: PolicyConnection, facts: Facts): string | undefined {
  for (const [name, declared] of Object.entries(connection.attributes)) {
    const { base, optional } = attributeType(declared)
    const value = Object.hasOwn(facts.attributes, name) ? facts.attributes[name] : undefined
    if (value === undefined) {
      if (!optional) return name
    } else if (base === 'long' ? !Number.isSafeInteger(value) : typeof value !== base) {
      return name
    }
  }
  return undefined
}

function sameOutcome(a: Decision, b: Decision): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'deny' || b.kind === 'deny') return true
  const sameMasks = a.masks.size === b.masks.size && [...a.masks.keys()].every((label) => b.masks.has(label))
  return sameMasks && a.limit.rowsMax === b.limit.rowsMax && a.limit.bytesMax === b.limit.bytesMax
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
  readonly #forbade = new Set<Clause>()
  readonly #permitted = new Set<Clause>()
  #volatile = false

  constructor(bench: Bench, answers: Answers, connection: PolicyConnection, question: Question) {
    this.#bench = bench
    this.#answers = answers
    this.#connection = connection
    this.#facts = question.facts
    this.#now = question.now
    this.#principals = principalsOf(question.chain)
  }

  /** Stricter outcomes first: deny beats hold beats mask beats limit. */
  decide(): Decision {
    const facts = this.#facts
    const classes = classesOf(facts)
    for (const each of classes) {
      const run = this.#ask({ action: 'run', class: each })
      if (!run.allowed) return this.#deny(run, this.#classReason(each, run))
    }
    for (const label of facts.escape?.labels ?? []) {
      const see = this.#ask({ action: 'see', label })
      if (!see.allowed) return this.#deny(see, escapeRefused(facts.escape?.reason ?? ''))
    }
    for (const label of facts.filters) {
      const filter = this.#askFilter(label)
      if (!filter.allowed) {
        const [forbid] = filter.forbids
        return this.#deny(
          filter,
          forbid === undefined ? filterNotPermitted(label) : filterForbidden(label, forbid.ref),
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
        masks.set(label, this.#bench.labels.get(label) ?? { kind: 'full' })
      }
    }
    const limit = this.#ask({ action: 'unlimited' }).allowed ? UNLIMITED : this.#connection.limit
    const common = { masks, limit, rules: this.#rules(), observed: [], volatile: this.#volatile }
    const [review] = reviews
    if (review === undefined) return { kind: 'allow', ...common }
    const reason = reviewNeeded(
      reviews.map((each) => each.class),
      this.#connection.name,
    )
    return { kind: 'hold', reason, ...common }
  }

  /** Rules that only observe and had a part in this. */
  observing(): RuleRef[] {
    return refsOf([...this.#forbade, ...this.#permitted].filter((clause) => clause.observe))
  }

  #ask(subject: Subject): Verdict {
    return this.#note(strictest(this.#askEach(subject)))
  }

  /** Who may see a value may also compare it, unless comparing it is forbidden. */
  #askFilter(label: LabelName): Verdict {
    const filter = this.#askEach({ action: 'filter', label })
    if (filter.every((each) => each.allowed)) return this.#note(strictest(filter))
    const see = this.#askEach({ action: 'see', label })
    const either = filter.map((own, index) => {
      const seen = see[index]
      return !own.allowed && own.forbids.length === 0 && seen?.allowed === true ? seen : own
    })
    return this.#note(strictest(either))
  }

  /** The answers to each identity of the chain, the one that acts first. */
  #askEach(subject: Subject): readonly Verdict[] {
    const answers = this.#principals.map((principal) =>
      this.#answers.ask(subject, principal, this.#connection, this.#facts, this.#now),
    )
    this.#volatile ||= answers.some((answer) => answer.volatile)
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

  #note(verdict: Verdict): Verdict {
    for (const clause of verdict.forbids) this.#forbade.add(clause)
    if (verdict.allowed) for (const clause of verdict.permits) this.#permitted.add(clause)
    return verdict
  }

  #classReason(wanted: CommandClass, run: Verdict): Reason {
    const [forbid] = run.forbids
    if (forbid !== undefined) return classForbidden(wanted, this.#connection.name, forbid.ref)
    const others = (['read', 'write', 'define', 'administer'] as const).filter(
      (each) => each !== wanted && strictest(this.#askEach({ action: 'run', class: each })).allowed,
    )
    return classNotPermitted(wanted, this.#connection.name, others)
  }

  #deny(verdict: Verdict, reason: Reason): Decision {
    return {
      kind: 'deny',
      reason,
      rules: refsOf(verdict.forbids),
      observed: [],
      volatile: this.#volatile,
    }
  }

  #rules(): RuleRef[] {
    return refsOf([...this.#forbade, ...this.#permitted])
  }
}

/** What one identity of a chain may not do, the chain may not do. */
function strictest(verdicts: readonly Verdict[]): Verdict {
  return {
    allowed: verdicts.every((each) => each.allowed),
    forbids: verdicts.flatMap((each) => each.forbids),
    permits: verdicts.flatMap((each) => each.permits),
  }
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
