import type { RuleRef } from './decision.ts'
import type { ConnectionName, LabelName } from './ids.ts'
import type { RuleWho } from './rules.ts'

/**
 * What is counted per identity and UTC day.
 * - `rows` and `bytes`: of results;
 * - `records`: distinct values of labelled columns in results, masked or not, counted with a small error;
 * - `questions`: uses of labelled columns in conditions, which answer something even when nothing is shown.
 */
export const BUDGET_KINDS = ['rows', 'bytes', 'records', 'questions'] as const
export type BudgetKind = (typeof BUDGET_KINDS)[number]

/** How much of something each identity that it is about gets in one UTC day, on all its connections together. */
export type Budget = {
  readonly ref: RuleRef
  readonly who: RuleWho
  readonly on: readonly ConnectionName[]
  /** Whose records and questions count. */
  readonly labels: readonly LabelName[]
  /** What is not named is not counted. */
  readonly max: Readonly<Partial<Record<BudgetKind, number>>>
}
