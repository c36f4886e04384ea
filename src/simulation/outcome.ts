import type { Decision, Facts, MaskingRule, ResultLimit, RuleRef } from '../core/index.ts'

/** What a decision comes to for who asked: two that are the same here make no difference. */
export type Outcome = {
  readonly decision: Decision['kind']
  /** Most decisive first, `name (file:line)`. */
  readonly rules: readonly string[]
  /** Why not, where it is not allowed. */
  readonly reason?: string
  /** How values are hidden, by where they come out or come from. */
  readonly masks: ReadonlyMap<string, string>
  readonly limit: string
}

/** `masks added` and so on: what changes where the decision itself does not. */
export type Change = {
  /** `allow -> deny`, or a list of what else is another. */
  readonly what: string
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly altered: readonly string[]
  readonly limits?: { readonly before: string; readonly after: string }
}

export function outcomeOf(facts: Facts, decision: Decision): Outcome {
  const rules = decision.rules.map(ruleName)
  if (decision.kind === 'deny')
    return { decision: 'deny', rules, reason: decision.reason.message, masks: new Map(), limit: '' }
  return {
    decision: decision.kind,
    rules,
    ...(decision.kind === 'hold' ? { reason: decision.reason.message } : {}),
    masks: masksOf(facts, decision.masks),
    limit: limitText(decision.limit, decision.pause),
  }
}

/** Undefined: nothing that anybody would notice. */
export function changeBetween(before: Outcome, after: Outcome): Change | undefined {
  const keys = [...new Set([...before.masks.keys(), ...after.masks.keys()])].sort()
  // Of what is not shown at all nothing is masked.
  const both = before.decision !== 'deny' && after.decision !== 'deny'
  const added = keys.filter((key) => both && !before.masks.has(key))
  const removed = keys.filter((key) => both && !after.masks.has(key))
  const altered = keys.filter((key) => {
    const [from, to] = [before.masks.get(key), after.masks.get(key)]
    return both && from !== undefined && to !== undefined && from !== to
  })
  const limits = both && before.limit !== after.limit
  const what = [
    ...(before.decision === after.decision ? [] : [`${before.decision} -> ${after.decision}`]),
    ...(added.length === 0 ? [] : ['masks added']),
    ...(removed.length === 0 ? [] : ['masks removed']),
    ...(altered.length === 0 ? [] : ['masks changed']),
    ...(limits ? ['limits changed'] : []),
  ]
  if (what.length === 0) return undefined
  return {
    what: what.join(', '),
    added,
    removed,
    altered,
    ...(limits ? { limits: { before: before.limit, after: after.limit } } : {}),
  }
}

/** As the recording writes it. */
export function ruleName({ name, file, line }: RuleRef): string {
  return `${name} (${file}:${line})`
}

/**
 * By column of the result (`1.2` is the second of the first statement), and by the labelled columns that values come from: one
 * may change without the other.
 */
function masksOf(facts: Facts, masks: ReadonlyMap<string, MaskingRule>): Map<string, string> {
  const shown = new Map<string, string>()
  if (masks.size === 0) return shown
  for (const [at, { outputs = [] }] of facts.statements.entries()) {
    for (const [column, { labels = [], paths = [], computed = false, mixed = false }] of outputs.entries()) {
      const hidden = labels.filter((label) => masks.has(label))
      if (hidden.length === 0) continue
      const how = hidden.map((label) => ruleText(masks.get(label))).sort()
      const inside = paths.filter(({ label }) => masks.has(label)).map(({ path }) => path)
      shown.set(
        `result ${at + 1}.${column + 1}`,
        JSON.stringify([[...new Set(how)], computed, mixed, inside.sort()]),
      )
    }
  }
  for (const { column, label } of facts.columns ?? []) {
    const rule = masks.get(label)
    if (rule === undefined) continue
    const [before, how] = [shown.get(column), ruleText(rule)]
    shown.set(column, before === undefined || before === how ? how : `${before} and ${how}`)
  }
  // Of a result that is not taken apart: its labels.
  if (shown.size === 0) for (const [label, rule] of masks) shown.set(label, ruleText(rule))
  return shown
}

/** A masking rule as it is written; its key is nobody's to see. */
function ruleText(rule: MaskingRule | undefined): string {
  if (rule === undefined) return ''
  const { kind, ...options } = rule
  const more = Object.entries(options).filter(([, value]) => typeof value !== 'object')
  return [kind, ...more.map(([name, value]) => `${name} ${String(value)}`)].join(' ')
}

function limitText(limit: ResultLimit, pause: ResultLimit | undefined): string {
  const held = pause === undefined ? '' : `, held after ${boundsText(pause)}`
  return `${boundsText(limit)}${held}`
}

function boundsText({ rowsMax, bytesMax }: ResultLimit): string {
  const bounds = [
    ...(Number.isFinite(rowsMax) ? [`${rowsMax} rows`] : []),
    ...(Number.isFinite(bytesMax) ? [`${bytesMax} bytes`] : []),
  ]
  return bounds.length === 0 ? 'no limit' : bounds.join(' or ')
}
