import type { Judgement } from '../../../session/index.ts'
import type { Statement } from '../pending.ts'
import type { ResultPlan } from '../results/results.ts'
import { planResults } from '../results/results.ts'

/** Plans belong to judgements, and judgements are cached: a plan is made once per cached decision. */
const planOf = new WeakMap<Judgement, readonly (ResultPlan | undefined)[]>()

/** The plans of a judgement, one per statement. */
export function plansFor(judgement: Judgement): readonly (ResultPlan | undefined)[] {
  let plans = planOf.get(judgement)
  if (plans === undefined) {
    const { decision } = judgement
    plans = planResults(judgement.facts, decision.kind === 'deny' ? new Map() : decision.masks)
    planOf.set(judgement, plans)
  }
  return plans
}

/** What is decided now replaces what was decided before; what the server has said of the statement still counts. */
export function judgeAnew(statement: Statement, judgement: Judgement): void {
  statement.judgement = judgement
  statement.plan = tightened(statement, judgement)
}

export function planFor(statement: Statement, judgement: Judgement): ResultPlan | undefined {
  return statement.judgement === judgement ? statement.plan : tightened(statement, judgement)
}

function tightened(statement: Statement, judgement: Judgement): ResultPlan | undefined {
  const [plan] = plansFor(judgement)
  return statement.tighten === undefined ? plan : statement.tighten(plan)
}
