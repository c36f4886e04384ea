import type { Facts } from '../core/index.ts'
import type { AnalysisContext } from '../sql/analyse.ts'
import { analyse } from '../sql/analyse.ts'
import type { LineageRule } from '../sql/lineage/lineage-rules.ts'
import type { ParseResult } from '../sql/parse/parser.ts'
import { weaknesses } from './weaker.ts'

/** Rules, none of which is off, that notes which of them are asked for. */
class Asked extends Set<LineageRule> {
  readonly rules = new Set<LineageRule>()

  override has(rule: LineageRule): boolean {
    this.rules.add(rule)
    return false
  }
}

export type Mutant = {
  readonly rule: LineageRule
  /** What a statement comes to without this rule. */
  readonly facts: Facts
  /** What it protects less, in words. */
  readonly lost: readonly string[]
}

/**
 * A statement with each rule switched off in turn: the mutants that protect less. Rules that the analysis of this
 * statement does not ask for make no difference to it and are not tried.
 */
export function mutantsOf(parsed: ParseResult, context: AnalysisContext): Mutant[] {
  const asked = new Asked()
  const whole = analyse(parsed, { ...context, off: asked })
  return [...asked.rules].flatMap((rule) => {
    const facts = analyse(parsed, { ...context, off: new Set([rule]) })
    const lost = weaknesses(whole, facts)
    return lost.length === 0 ? [] : [{ rule, facts, lost }]
  })
}
