import type { PolicySource, Problem, RuleRef } from '../core/index.ts'
import { Answers } from './answers.ts'
import type { CedarSchema } from './cedar.ts'
import type { Policy } from './decide.ts'
import { policyOn } from './decide.ts'
import { clausesOfCedar } from './raw.ts'
import type { Clause } from './rule.ts'
import { clausesOfRule } from './rule.ts'
import { schemaFor } from './vocabulary.ts'

/** A condition that failed while it was evaluated. What it was part of counted against the command. */
export type Fault = {
  readonly rule: RuleRef
  readonly effect: 'permit' | 'forbid'
  /** `a number became too large`. Never holds a value of the command. */
  readonly message: string
}

export type CompileOptions = {
  /** Called for every fault, on the path of a command: it must be quick. For logs and metrics. */
  readonly onFault?: (fault: Fault) => void
}

export type CompileResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Compiles rules and raw Cedar, both held against the typed schema of every connection they are about. */
export function compilePolicy(source: PolicySource, options: CompileOptions = {}): CompileResult {
  const schemas = schemasOf(source)
  const parts = [
    ...source.rules.map((rule, index) => clausesOfRule(rule, `rule${index}`, schemas)),
    ...(source.cedar === undefined ? [] : [clausesOfCedar(source.cedar, schemas)]),
  ]
  const problems = parts.flatMap((part) => part.problems)
  if (problems.length > 0) return { ok: false, problems }
  const clauses = parts.flatMap((part) => part.clauses)
  const fault = (clause: Clause, message: string) =>
    options.onFault?.({ rule: clause.ref, effect: clause.effect, message })
  const trialFault = (clause: Clause, message: string) => {
    // Enforced rules have reported theirs already.
    if (clause.observe) fault(clause, message)
  }
  const enforced = clauses.filter((clause) => !clause.observe)
  const policy = policyOn({
    version: source.version,
    connections: new Map(source.connections.map((connection) => [connection.name, connection])),
    labels: source.labels,
    enforced: new Answers(enforced, fault),
    trial: enforced.length === clauses.length ? undefined : new Answers(clauses, trialFault),
  })
  return { ok: true, policy }
}

/** By connection name; connections whose commands have the same facts share one schema. */
function schemasOf(source: PolicySource): ReadonlyMap<string, CedarSchema> {
  const shared = new Map<string, CedarSchema>()
  const schemas = new Map<string, CedarSchema>()
  for (const { name, attributes } of source.connections) {
    const key = JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)))
    const schema = shared.get(key) ?? schemaFor(attributes)
    shared.set(key, schema)
    schemas.set(name, schema)
  }
  return schemas
}
