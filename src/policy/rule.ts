import type { Problem, Rule, RuleRef } from '../core/index.ts'
import type { CedarExpr, CedarJson, CedarSchema } from './cedar.ts'
import { parseCedar, problemIn, validateCedar } from './cedar.ts'
import type { Reads } from './reads.ts'
import { readsOf } from './reads.ts'
import type { Action } from './vocabulary.ts'

/** One Cedar policy with what is known of it before it is asked: enough to leave it out where it cannot matter. */
export type Clause = {
  readonly id: string
  readonly ref: RuleRef
  readonly effect: 'permit' | 'forbid'
  readonly observe: boolean
  /** Passes from an identity to an agent that acts for it. */
  readonly agents: boolean
  readonly json: CedarJson
  readonly reads: Reads
  /** Connections it can be about; `undefined`: all. */
  readonly connections: ReadonlySet<string> | undefined
  readonly actions: ReadonlySet<Action>
  /** Classes or labels it can be about; `undefined`: all. */
  readonly subjects: ReadonlySet<string> | undefined
}

export type Clauses = { readonly clauses: readonly Clause[]; readonly problems: readonly Problem[] }

/**
 * A rule as up to five Cedar policies, one for each question it answers. Conditions stand in the order who, where,
 * what, `when`, and evaluation stops at the first that is false: a `when` that fails concerns only whom it is about.
 */
export function clausesOfRule(rule: Rule, id: string, schemas: ReadonlyMap<string, CedarSchema>): Clauses {
  const condition = conditionOf(rule, schemas)
  if (!condition.ok) return { clauses: [], problems: condition.problems }
  const clauses: Clause[] = []
  const add = (action: Action, variable: 'class' | 'label' | undefined, subjects: readonly string[]) => {
    const json: CedarJson = {
      effect: rule.effect,
      principal: { op: 'All' },
      action: { op: '==', entity: { type: 'Action', id: action } },
      resource: { op: 'All' },
      conditions: [
        ...whoOf(rule),
        isIn(
          'resource',
          rule.on.map((name) => entity('Connection', name)),
        ),
        ...(variable === undefined ? [] : [isOneOf(subjects, variable)]),
        ...condition.when,
      ].map((body) => ({ kind: 'when' as const, body })),
    }
    clauses.push({
      id: `${id}.${action}`,
      ref: rule.ref,
      effect: rule.effect,
      observe: rule.mode === 'observe',
      agents: rule.agents,
      json,
      reads: readsOf(json),
      connections: new Set(rule.on),
      actions: new Set([action]),
      subjects: variable === undefined ? undefined : new Set(subjects),
    })
  }
  const { run, unreviewed, see, filter, unlimited } = rule.what
  if (run.length > 0) add('run', 'class', run)
  if (unreviewed.length > 0) add('unreviewed', 'class', unreviewed)
  if (see.length > 0) add('see', 'label', see)
  if (filter.length > 0) add('filter', 'label', filter)
  if (unlimited) add('unlimited', undefined, [])
  return { clauses, problems: [] }
}

type Condition =
  | { readonly ok: true; readonly when: readonly CedarExpr[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** The `when` as a tree, held against every question and every kind of connection that the rule is about. */
function conditionOf(rule: Rule, schemas: ReadonlyMap<string, CedarSchema>): Condition {
  const { when } = rule
  if (when === undefined) return { ok: true, when: [] }
  const path = `rules[${JSON.stringify(rule.ref.name)}].when`
  const head = 'permit (principal, action, resource) when {\n'
  // The closing brace stands on its own line, so that a comment at the end of the text cannot swallow it.
  const parsed = parseCedar(`${head}${when.text}\n};`)
  if (!parsed.ok) {
    const fix = 'write one Cedar expression, such as context.writesEverything'
    return { ok: false, problems: [problemIn(when, path, parsed.error, head.length, fix)] }
  }
  const [only, ...more] = parsed.json.conditions
  if (only === undefined || more.length > 0 || only.kind !== 'when') {
    const message = 'expected one expression, got several clauses'
    const fix = 'join them with && or ||'
    return { ok: false, problems: [{ file: when.file, ...when.starts[0], path, message, fix }] }
  }
  const problems = validateWhen(rule, when, path, schemas)
  return problems.length > 0 ? { ok: false, problems } : { ok: true, when: [only.body] }
}

function validateWhen(
  rule: Rule,
  when: NonNullable<Rule['when']>,
  path: string,
  schemas: ReadonlyMap<string, CedarSchema>,
): Problem[] {
  const actions = actionsOf(rule).map((action) => `Action::"${action}"`)
  if (actions.length === 0) return []
  const head = `permit (principal, action in [${actions.join(', ')}], resource) when {\n`
  const concerned = new Set(rule.on.map((name) => schemas.get(name)).filter((schema) => schema !== undefined))
  let impossible = concerned.size > 0
  const fix = 'docs/policies.md lists the facts a condition may read'
  for (const schema of concerned) {
    const validation = validateCedar(schema, `${head}${when.text}\n};`)
    if (validation.errors.length > 0) {
      return validation.errors.map((error) => problemIn(when, path, error, Buffer.byteLength(head), fix))
    }
    impossible &&= validation.impossible
  }
  if (!impossible) return []
  const message = 'expected a condition that can be true, got one that is always false'
  return [
    { file: when.file, ...when.starts[0], path, message, fix: 'remove the rule, or correct the condition' },
  ]
}

function actionsOf(rule: Rule): Action[] {
  const { run, unreviewed, see, filter, unlimited } = rule.what
  return [
    ...(run.length > 0 ? (['run'] as const) : []),
    ...(unreviewed.length > 0 ? (['unreviewed'] as const) : []),
    ...(see.length > 0 ? (['see'] as const) : []),
    ...(filter.length > 0 ? (['filter'] as const) : []),
    ...(unlimited ? (['unlimited'] as const) : []),
  ]
}

/** One condition per list that is given, so that all of them must match. No list at all matches nobody. */
function whoOf(rule: Rule): CedarExpr[] {
  const { who } = rule
  if (who === 'everyone') return []
  const { groups, identities, kinds } = who
  const lists = [
    ...(groups === undefined ? [] : [groups.map((name) => entity('Group', name))]),
    ...(identities === undefined ? [] : [identities.map((key) => entity('Identity', key))]),
    ...(kinds === undefined ? [] : [kinds.map((kind) => entity('Kind', kind))]),
  ]
  if (lists.length === 0) return [{ Value: false }]
  return lists.map((list) => isIn('principal', list))
}

function isIn(variable: 'principal' | 'resource', entities: CedarExpr[]): CedarExpr {
  return { in: { left: { Var: variable }, right: set(entities) } }
}

function isOneOf(values: readonly string[], attr: string): CedarExpr {
  const one: CedarExpr = { '.': { left: { Var: 'context' }, attr } }
  return { contains: { left: set(values.map((text) => ({ Value: text }))), right: one } }
}

function set(values: CedarExpr[]): CedarExpr {
  return { Set: values }
}

function entity(type: string, id: string): CedarExpr {
  return { Value: { __entity: { type, id } } }
}
