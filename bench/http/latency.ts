/** How long an answer takes at a fixed, moderate rate: what a client feels that is not in a hurry. */
import type { Measures } from '../support/report.ts'
import { median, percentile, rounded } from '../support/statistics.ts'
import type { Client } from './client.ts'
import { inRounds } from './rounds.ts'
import type { Target, TargetName } from './targets.ts'

export type LatencyFigures = { readonly p50Ms: number; readonly p99Ms: number; readonly answers: number }

export type Latency = {
  /** Above the API itself, the median of the differences within each round. */
  readonly measures: Measures
  readonly figures: Partial<Record<TargetName, LatencyFigures>>
}

export async function latency(
  targets: readonly Target[],
  plan: {
    readonly rate: number
    readonly clients: number
    readonly rounds: number
    readonly seconds: number
  },
  client: Client,
  say: (line: string) => void,
): Promise<Latency> {
  const { rate, clients, seconds } = plan
  const rounds = await inRounds(targets, plan.rounds, async (target) => {
    const { times } = await client(target, '/customers/1', { kind: 'latency', rate, clients, seconds })
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), count: times.length }
  })
  const figures: Latency['figures'] = {}
  for (const [name, each] of rounds) {
    const found = {
      p50Ms: rounded(median(each.map(({ p50 }) => p50))),
      p99Ms: rounded(median(each.map(({ p99 }) => p99))),
      answers: each.reduce((sum, { count }) => sum + count, 0),
    }
    figures[name] = found
    say(`latency at ${rate}/s, ${name}: p50 ${found.p50Ms} ms, p99 ${found.p99Ms} ms`)
  }
  const measures: Measures = {}
  const ours = rounds.get('sluice')
  const direct = rounds.get('direct')
  if (ours === undefined || direct === undefined) return { measures, figures }
  for (const key of ['p50', 'p99'] as const) {
    const above = ours.map((round, i) => round[key] - (direct[i]?.[key] ?? Number.NaN))
    measures[`latency.added_${key}_ms`] = rounded(median(above))
  }
  return { measures, figures }
}
