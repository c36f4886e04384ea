import type { MaskingKeys, PolicySource, Problem, RuleRef } from '../core/index.ts'
import { Answers } from './answers.ts'
import type { CedarSchema } from './cedar.ts'
import { warmEngine } from './cedar.ts'
import { runChecks } from './checks.ts'
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
  /** The engine itself failed and the command was refused. `error` may quote the command: not for the log. */
  readonly onFailure?: (error: unknown) => void
  /** What hashes and pseudonyms are made with. Without it such values are hidden whole. */
  readonly keys?: MaskingKeys
}

export type CompileResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Compiles rules and raw Cedar, both held against the typed schema of every connection they are about. */
export function compilePolicy(source: PolicySource, options: CompileOptions = {}): CompileResult {
  warmEngine()
  const known = { schemas: schemasOf(source), labels: [...source.labels.keys()] }
  const parts = [
    ...source.rules.map((rule, index) => clausesOfRule(rule, `rule${index}`, known)),
    ...(source.cedar === undefined ? [] : [clausesOfCedar(source.cedar, known)]),
  ]
  const problems = oncePerPlace([
    ...parts.flatMap((part) => part.problems),
    ...runChecks(parts.flatMap((part) => part.checks)),
  ])
  if (problems.length > 0) return { ok: false, problems }
  const clauses = parts.flatMap((part) => part.clauses)
  const fault = (clause: Clause, message: string) =>
    options.onFault?.({ rule: clause.ref, effect: clause.effect, message })
  const observing = clauses.some((clause) => clause.observe)
  const enforced = new Answers(
    clauses.filter((clause) => !clause.observe),
    fault,
  )
  const policy = policyOn({
    version: source.version,
    connections: new Map(source.connections.map((connection) => [connection.name, connection])),
    labels: source.labels,
    keys: options.keys,
    onFailure: (error) => options.onFailure?.(error),
    enforced,
    trial: observing ? new Answers(clauses, fault, enforced) : undefined,
  })
  return { ok: true, policy }
}

/** In the order of the file. The engine finds the same mistake once for each question. */
function oncePerPlace(problems: readonly Problem[]): Problem[] {
  const places = new Map<string, Problem>()
  for (const problem of problems) {
    const place = `${problem.path}:${problem.line}:${problem.column}`
    if (!places.has(place)) places.set(place, problem)
  }
  return [...places.values()].sort((a, b) => a.line - b.line || a.column - b.column)
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
