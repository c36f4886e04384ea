import type {
  CommandClass,
  Problem,
  Review,
  Rule,
  RuleLimit,
  RuleRef,
  RuleWho,
  SourceText,
} from '../core/index.ts'
import { COMMAND_CLASSES } from '../core/index.ts'
import type { CedarJson, CedarSchema } from './cedar.ts'
import { parseCedar, placeIn, problemIn, tooComplicated } from './cedar.ts'
import type { Check } from './checks.ts'
import { vainLiterals } from './literals.ts'
import type { Reads } from './reads.ts'
import { NOTHING_READ, readsOf, unionOfReads } from './reads.ts'
import type { Action } from './vocabulary.ts'

/** One Cedar policy with what is known of it before it is asked: enough to leave it out where it cannot matter. */
export type Clause = {
  readonly id: string
  readonly ref: RuleRef
  readonly effect: 'permit' | 'forbid'
  readonly observe: boolean
  /** Passes from an identity to an agent that acts for it. */
  readonly agents: boolean
  /** As text and not as a tree: the engine's trees pass through numbers that cannot hold its integers. */
  readonly cedar: string
  readonly reads: Reads
  /** Connections it can be about; `undefined`: all. */
  readonly connections: ReadonlySet<string> | undefined
  readonly actions: ReadonlySet<Action>
  /** Classes or labels it can be about; `undefined`: all. */
  readonly subjects: ReadonlySet<string> | undefined
  /** Of a clause that answers `limit`. */
  readonly limit?: RuleLimit
  /** Of a clause that answers `review`. */
  readonly review?: Review
}

/** What conditions are held against. */
export type Known = {
  /** The typed schema of each connection, by name. */
  readonly schemas: ReadonlyMap<string, CedarSchema>
  readonly labels: readonly string[]
}

/** `checks` are still to be made; when they or `problems` find anything, `clauses` may not be used. */
export type Clauses = {
  readonly clauses: readonly Clause[]
  readonly problems: readonly Problem[]
  readonly checks: readonly Check[]
}

/**
 * A rule as up to eight Cedar policies, one for each question it answers, one for its limit and one for its review. Conditions stand in the order who, where,
 * what, `when`, and evaluation stops at the first that is false: a `when` that fails concerns only whom it is about.
 */
export function clausesOfRule(rule: Rule, id: string, known: Known): Clauses {
  const { problems, checks, reads } =
    rule.when === undefined ? NO_CONDITION : conditionOf(rule, rule.when, known)
  if (problems.length > 0 || isAboutNothing(rule)) return { clauses: [], problems, checks }
  const clause = (
    action: Action,
    about?: { readonly fact: string; readonly subjects: readonly string[] },
  ): Clause => {
    const [only, ...others] = rule.on
    const one = others.length === 0 && only !== undefined ? ` == ${entity('Connection', only)}` : ''
    const conditions = [
      ...whoOf(rule.who),
      ...(one === '' ? [`resource in ${entities('Connection', rule.on)}`] : []),
      ...(about === undefined ? [] : [isOneOf(`context.${about.fact}`, about.subjects)]),
      ...(rule.when === undefined ? [] : [`\n${rule.when.text}\n`]),
    ]
    // What a review says holds of whom the rule forbids something as well.
    const effect = action === 'review' ? 'permit' : rule.effect
    const cedar = [
      `${effect} (principal, action == Action::"${action}", resource${one})`,
      ...conditions.map((condition) => `when { ${condition} }`),
    ].join('\n')
    return {
      id: `${id}.${action}`,
      ref: rule.ref,
      effect,
      observe: rule.mode === 'observe',
      agents: rule.agents,
      cedar: `${cedar};`,
      reads:
        about === undefined
          ? reads
          : unionOfReads([reads, { ...NOTHING_READ, context: new Set([about.fact]) }]),
      connections: new Set(rule.on),
      actions: new Set([action]),
      subjects: about === undefined ? undefined : new Set(about.subjects),
    }
  }
  const { what } = rule
  const clauses = actionsOf(rule).map((action) => {
    switch (action) {
      case 'run':
      case 'unreviewed':
        return clause(action, { fact: 'class', subjects: what[action] })
      case 'see':
      case 'filter':
      case 'store':
        return clause(action, { fact: 'label', subjects: what[action] })
      case 'unlimited':
        return clause(action)
      case 'limit':
        return { ...clause(action), ...(rule.limit === undefined ? {} : { limit: rule.limit }) }
      case 'review': {
        const about = { fact: 'class', subjects: reviewedClasses(rule) }
        return { ...clause(action, about), ...(rule.review === undefined ? {} : { review: rule.review }) }
      }
    }
  })
  return { clauses, problems, checks }
}

/** Nobody, or nowhere: it stays out of the engine, whose types have no empty lists. */
function isAboutNothing({ who, on }: Rule): boolean {
  if (on.length === 0) return true
  if (who === 'everyone') return false
  const lists = [who.groups, who.identities, who.kinds, who.access].filter((list) => list !== undefined)
  return lists.length === 0 || lists.some((list) => list.length === 0)
}

/** One condition per list that is given, so that all of them must match. */
function whoOf(who: RuleWho): string[] {
  if (who === 'everyone') return []
  const { groups, identities, kinds, access } = who
  return [
    ...(groups === undefined ? [] : [`principal in ${entities('Group', groups)}`]),
    ...(identities === undefined ? [] : [`principal in ${entities('Identity', identities)}`]),
    ...(kinds === undefined ? [] : [`principal in ${entities('Kind', kinds)}`]),
    ...(access === undefined ? [] : [`principal in ${entities('Access', access)}`]),
  ]
}

/** One alone is asked for by itself: the engine builds a set anew every time. */
function entities(type: string, ids: readonly string[]): string {
  const [only, ...others] = ids.map((id) => entity(type, id))
  return only !== undefined && others.length === 0 ? only : `[${[only, ...others].join(', ')}]`
}

function entity(type: string, id: string): string {
  return `${type}::${quote(id)}`
}

function isOneOf(fact: string, values: readonly string[]): string {
  const [only, ...others] = values.map(quote)
  return others.length === 0 ? `${fact} == ${only}` : `[${[only, ...others].join(', ')}].contains(${fact})`
}

/** A Cedar string literal: https://docs.cedarpolicy.com/policies/syntax-grammar.html (STR). */
function quote(text: string): string {
  const escaped = text.replace(/["\\]|\p{Cc}/gu, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\u{${character.charCodeAt(0).toString(16)}}`,
  )
  return `"${escaped}"`
}

type Condition = {
  readonly problems: readonly Problem[]
  readonly checks: readonly Check[]
  readonly reads: Reads
}

const NO_CONDITION: Condition = { problems: [], checks: [], reads: NOTHING_READ }

/**
 * What a `when` reads, and what is wrong with it. It is one expression, and so stays within the braces that every
 * clause puts around it: no text here can end a clause or begin another policy.
 */
function conditionOf(rule: Rule, when: SourceText, known: Known): Condition {
  const path = `rules[${JSON.stringify(rule.ref.name)}].when`
  const wrong = (...problems: Problem[]): Condition => ({ ...NO_CONDITION, problems })
  const atStart = { file: when.file, ...when.starts[0], path }
  const tooMuch = tooComplicated(when.text)
  if (tooMuch !== undefined) return wrong(tooMuchIn(when, path, tooMuch))
  const head = 'permit (principal, action, resource) when {\n'
  // The closing brace stands on its own line, so that a comment at the end of the text cannot swallow it.
  const parsed = parseCedar(`${head}${when.text}\n};`)
  if (!parsed.ok) {
    const fix = 'write one Cedar expression, such as context.writesEverything'
    return wrong(problemIn(when, path, parsed.error, head.length, fix))
  }
  const [only, ...more] = parsed.json.conditions
  if (only === undefined || more.length > 0 || only.kind !== 'when') {
    const message = 'expected one expression, got several clauses'
    return wrong({ ...atStart, message, fix: 'join them with && or ||' })
  }
  const actions = actionsOf(rule).map((action) => `Action::"${action}"`)
  const checked = `permit (principal, action in [${actions.join(', ')}], resource) when {\n`
  const check: Check = {
    text: `${checked}${when.text}\n};`,
    schemas: new Set(rule.on.map((name) => known.schemas.get(name)).filter((each) => each !== undefined)),
    invalid: (error) =>
      problemIn(when, path, error, checked.length, 'docs/policies.md lists the facts a condition may read'),
    impossible: {
      ...atStart,
      message: 'expected a condition that can be true, got one that is always false',
      fix: 'remove the rule, or correct the condition',
    },
  }
  return {
    problems: literalProblems(parsed.json, when, path, known.labels),
    checks: actions.length === 0 ? [] : [check],
    reads: readsOf(parsed.json),
  }
}

/** The problem of a text that `tooComplicated` refused; `from`: where in the source it begins. */
export function tooMuchIn(
  source: SourceText,
  path: string,
  tooMuch: NonNullable<ReturnType<typeof tooComplicated>>,
  from = 0,
): Problem {
  const place = placeIn(source, from + tooMuch.offset)
  return { file: source.file, ...place, path, message: tooMuch.message, fix: 'split it into several rules' }
}

/** Names in a condition that do not exist, each where it is written. */
export function literalProblems(
  json: CedarJson,
  source: SourceText,
  path: string,
  labels: readonly string[],
  from = 0,
): Problem[] {
  return vainLiterals(json, labels).map(({ fact, literal, expected }) => {
    const at = source.text.indexOf(JSON.stringify(literal), from)
    return {
      file: source.file,
      ...placeIn(source, at === -1 ? from : at),
      path,
      message: `expected a name that ${fact} can have, got ${JSON.stringify(literal.slice(0, 40))}`,
      fix:
        expected.length === 0
          ? 'there are none in this file'
          : `use one of ${expected.slice(0, 8).join(', ')}`,
    }
  })
}

function actionsOf(rule: Rule): Action[] {
  const { run, unreviewed, see, filter, store, unlimited } = rule.what
  return [
    ...(run.length > 0 ? (['run'] as const) : []),
    ...(unreviewed.length > 0 ? (['unreviewed'] as const) : []),
    ...(see.length > 0 ? (['see'] as const) : []),
    ...(filter.length > 0 ? (['filter'] as const) : []),
    ...(store.length > 0 ? (['store'] as const) : []),
    ...(unlimited ? (['unlimited'] as const) : []),
    ...(rule.limit === undefined ? [] : (['limit'] as const)),
    ...(rule.review === undefined ? [] : (['review'] as const)),
  ]
}

/** Of which classes a rule's review speaks: those that it holds, else those that it lets run, else all. */
function reviewedClasses({ effect, what }: Rule): readonly CommandClass[] {
  const named = effect === 'forbid' ? what.unreviewed : what.run
  return named.length === 0 ? COMMAND_CLASSES : named
}
