import type { Decision, Facts, IdentityChain } from '../core/index.ts'
import { brand, type ConnectionName } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Rejudged } from '../session/index.ts'
import type { Recorded } from './commands.ts'
import { type Outcome, outcomeOf, ruleName } from './outcome.ts'

/** Why a command cannot be judged anew. */
export const WHY = {
  basis: 'the recording does not say what it was judged by: an earlier version wrote it',
  configuration: 'the configuration of that time is not kept',
  catalogue: 'the definitions of that time are not kept, or were not read on a connection without labels',
  session: 'what its session had made for itself is not known',
  payload: 'its text was removed from the recording',
  estimate: 'a rule of the draft asks how many rows the planner expects, and nobody asked then',
  budget: 'a budget refused it, and budgets are not simulated',
  refused: 'it was refused for what no rule decides, such as its values or what it was prepared as',
  differs: 'judged anew by its own configuration it is not decided as it was then',
} as const

export type Why = keyof typeof WHY

export type Decided = {
  readonly outcome: Outcome
  /** Undefined: no rule was asked. */
  readonly decision: Decision | undefined
  /** A rule asks for an estimate that is not there. */
  readonly unasked: boolean
}

/** What policies make of recorded commands, at the recorded time and for who it was. Decisions that may be kept are. */
export class Judging {
  readonly #decisions = new WeakMap<Policy, WeakMap<Facts, Map<string, Decision>>>()

  decided(recorded: Recorded, judged: Rejudged, policy: Policy, estimates: Estimates): Decided {
    if (judged.kind !== 'facts') {
      const decision = judged.kind === 'own' ? 'allow' : 'deny'
      const reason = judged.kind === 'refused' ? { reason: judged.message } : {}
      const outcome: Outcome = { decision, rules: [], ...reason, masks: new Map(), limit: 'no limit' }
      return { outcome, decision: undefined, unasked: false }
    }
    const { facts } = judged
    const decision = this.#decide(recorded, facts, policy)
    if (decision.estimate !== true) return { outcome: outcomeOf(facts, decision), decision, unasked: false }
    const estimate = estimates.of(recorded, facts)
    if (estimate === undefined || estimate === 'unknown')
      return { outcome: outcomeOf(facts, decision), decision, unasked: estimate === undefined }
    const estimated = { ...facts, estimatedRows: estimate }
    const again = this.#decide(recorded, estimated, policy)
    return { outcome: outcomeOf(estimated, again), decision: again, unasked: false }
  }

  #decide({ open, time, basis }: Recorded, facts: Facts, policy: Policy): Decision {
    const { chain, connection } = open
    const byFacts = this.#decisions.get(policy) ?? new WeakMap<Facts, Map<string, Decision>>()
    this.#decisions.set(policy, byFacts)
    const known = byFacts.get(facts) ?? new Map<string, Decision>()
    byFacts.set(facts, known)
    const access = basis?.access ?? []
    const key = JSON.stringify([connection, chain, access])
    const before = known.get(key)
    if (before !== undefined) return before
    const [first, ...others] = chain
    if (first === undefined) throw new Error('a session of nobody')
    const whole: IdentityChain = [first, ...others]
    const decision = policy.decide({
      chain: whole,
      access,
      connection: brand<ConnectionName>(connection),
      facts,
      now: time,
    })
    if (!decision.volatile) known.set(key, decision)
    return decision
  }
}

/** Estimates of one session that are kept. */
const ESTIMATES_MAX = 1_000
const EXPLAIN = 'EXPLAIN (FORMAT JSON) '

/** What the planner has said in one session, by text. */
export class Estimates {
  readonly #rows = new Map<string, number | 'unknown'>()

  /** Whether it is the gateway's question to the planner; its answer is remembered. */
  takes({ intent: { form, text }, outcome }: Recorded): boolean {
    if (form !== 'estimate') return false
    const [, rows] = /^(\d+) rows$/.exec(outcome?.tag ?? '') ?? []
    if (this.#rows.size >= ESTIMATES_MAX) this.#rows.clear()
    this.#rows.set(text.slice(EXPLAIN.length), rows === undefined ? 'unknown' : Number(rows))
    return true
  }

  of({ intent }: Recorded, facts: Facts): number | 'unknown' | undefined {
    // What is only prepared returns nothing yet, and what reads nothing returns what it says.
    if (intent.form === 'parse') return 0
    const { reads, writes, calls } = facts
    if (facts.class === 'read' && reads.length + writes.length + calls.length === 0) return 0
    return this.#rows.get(intent.text)
  }
}

/** Why what was judged anew is not what was recorded; undefined: it is. */
export function unlike(
  { intent, outcome }: Recorded,
  judged: Rejudged,
  decision: Decision | undefined,
): Why | undefined {
  const denied = intent.decision === 'deny'
  if (judged.kind !== 'facts' || decision === undefined) {
    const same = intent.rules.length === 0 && denied === (judged.kind === 'refused')
    return same ? undefined : 'differs'
  }
  const { facts } = judged
  if (denied && decision.kind !== 'deny') {
    if (outcome?.tag === 'limit_exceeded') return 'budget'
    if (intent.rules.length === 0 && intent.class === 'opaque') return 'refused'
  }
  // An attempt that could not be read was refused without a rule, as one that no rule permits.
  if (denied && decision.kind === 'deny' && intent.class === 'opaque' && intent.rules.length === 0)
    return undefined
  const masked = decision.kind === 'deny' ? [] : [...decision.masks.keys()]
  const same =
    intent.decision === decision.kind &&
    intent.class === facts.class &&
    isSame(intent.rules.map(nameIn), decision.rules.map(ruleName).map(nameIn)) &&
    isSame([...(intent.masked ?? [])].sort(), masked.sort()) &&
    isSame(intent.reads ?? [], facts.reads) &&
    isSame(intent.writes ?? [], facts.writes) &&
    (denied || isSame(intent.columns ?? [], facts.columns ?? []))
  return same ? undefined : 'differs'
}

/** A rule without where it stands: the same configuration may lie in another file by now. */
function nameIn(rule: string): string {
  return rule.replace(/ \([^()]*:\d+\)$/, '')
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
