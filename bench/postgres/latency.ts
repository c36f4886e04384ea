/** How long a statement takes at a fixed, moderate rate: what a client feels that is not in a hurry. */
import type { Measures, Ratios } from '../support/report.ts'
import { median, percentile, rounded } from '../support/statistics.ts'
import { latencies } from './pgbench.ts'
import type { Target, TargetName } from './target.ts'

export type LatencyPlan = {
  readonly rate: number
  readonly clients: number
  readonly rounds: number
  readonly seconds: number
}

export type LatencyFigures = { readonly p50Ms: number; readonly p99Ms: number; readonly statements: number }

export type Latency = {
  readonly ratios: Ratios
  readonly measures: Measures
  readonly figures: Partial<Record<TargetName, LatencyFigures>>
  /** Milliseconds above direct, the median of the differences within each round. */
  readonly added: Partial<Record<TargetName, { readonly p50Ms: number; readonly p99Ms: number }>>
}

export async function latency(
  targets: readonly Target[],
  plan: LatencyPlan,
  say: (line: string) => void,
): Promise<Latency> {
  const rounds = new Map<TargetName, { p50: number; p99: number; count: number }[]>()
  for (let round = 0; round < plan.rounds; round++) {
    for (let i = 0; i < targets.length; i++) {
      const target = targets[(i + round) % targets.length]
      if (target === undefined) continue
      const found = await latencies(target, {
        protocol: 'prepared',
        clients: plan.clients,
        seconds: plan.seconds,
        rate: plan.rate,
      })
      const figure = { p50: percentile(found, 0.5), p99: percentile(found, 0.99), count: found.length }
      rounds.set(target.name, [...(rounds.get(target.name) ?? []), figure])
    }
  }
  const figures: Latency['figures'] = {}
  const added: Latency['added'] = {}
  const ratios: Ratios = {}
  const direct = rounds.get('direct')
  for (const [name, each] of rounds) {
    figures[name] = {
      p50Ms: rounded(median(each.map((round) => round.p50))),
      p99Ms: rounded(median(each.map((round) => round.p99))),
      statements: each.reduce((sum, round) => sum + round.count, 0),
    }
    if (name === 'direct' || direct === undefined) continue
    const above = (key: 'p50' | 'p99'): number =>
      rounded(median(each.map((round, i) => round[key] - (direct[i]?.[key] ?? Number.NaN))))
    added[name] = { p50Ms: above('p50'), p99Ms: above('p99') }
  }
  const ours = figures.sluice
  if (ours !== undefined && figures.direct !== undefined) {
    ratios['latency.p50_vs_direct'] = rounded(ours.p50Ms / figures.direct.p50Ms)
    ratios['latency.p99_vs_direct'] = rounded(ours.p99Ms / figures.direct.p99Ms)
  }
  for (const [name, { p50Ms, p99Ms }] of Object.entries(figures)) {
    say(`latency at ${plan.rate}/s, ${name}: p50 ${p50Ms} ms, p99 ${p99Ms} ms`)
  }
  const measures: Measures = {}
  if (added.sluice !== undefined) {
    measures['latency.added_p50_ms'] = added.sluice.p50Ms
    measures['latency.added_p99_ms'] = added.sluice.p99Ms
  }
  return { ratios, measures, figures, added }
}
