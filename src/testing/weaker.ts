import type { Facts, LabelName, Output } from '../core/index.ts'

/**
 * What `facts` protect less than `whole` does, in words; empty when they protect as much. A label that escapes is
 * protected as well as can be: whoever may not see it does not get to run the statement.
 */
export function weaknesses(whole: Facts, facts: Facts): string[] {
  const escaped = new Set<LabelName>(facts.escape?.labels ?? [])
  const missing = (labels: readonly LabelName[], from: readonly LabelName[]): LabelName[] =>
    labels.filter((label) => !escaped.has(label) && !from.includes(label))
  const lost: string[] = []
  const lose = (what: string, labels: readonly LabelName[]): void => {
    for (const label of labels) lost.push(`${label} ${what}`)
  }
  lose('may escape', missing(whole.escape?.labels ?? [], []))
  lose('filters unnoticed', missing(whole.filters, facts.filters))
  lose('is written unnoticed', missing(whole.stores, facts.stores))
  lose(
    'is asked unnoticed',
    whole.touches.filter((label) => !escaped.has(label) && asked(facts, label) < asked(whole, label)),
  )
  for (const [i, { outputs }] of whole.statements.entries()) {
    const others = facts.statements[i]?.outputs
    for (const [j, output] of (outputs ?? []).entries()) {
      const other = others?.[j]
      lose(`is shown as ${output.name}`, missing(output.labels ?? [], other?.labels ?? []))
      if (isComputed(output) && other !== undefined && other.labels !== undefined && !isComputed(other))
        lost.push(`${output.name} is masked as if it were a copy`)
    }
  }
  return lost
}

function asked(facts: Facts, label: LabelName): number {
  return facts.asked?.[label] ?? 0
}

function isComputed({ computed }: Output): boolean {
  return computed === true
}
