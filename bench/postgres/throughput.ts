/** pgbench's select-only transactions as fast as they go, the targets taking turns. */
import { processorMs } from '../support/processes.ts'
import type { Ratios } from '../support/report.ts'
import { median, rounded } from '../support/statistics.ts'
import { pgbench } from './pgbench.ts'
import type { Protocol } from './pgbench.ts'
import type { Target, TargetName } from './target.ts'

export type ThroughputPlan = {
  readonly protocols: readonly Protocol[]
  readonly clients: readonly number[]
  readonly rounds: number
  readonly seconds: number
}

export type ThroughputFigures = {
  /** Transactions per second, the median of the rounds. */
  readonly tps: number
  readonly rounds: readonly number[]
  /** Processor time of the process in between per transaction. */
  readonly processorMicros: number | undefined
}

export type Throughput = {
  readonly ratios: Ratios
  /** `prepared.c8` -> per target. */
  readonly figures: Readonly<Record<string, Partial<Record<TargetName, ThroughputFigures>>>>
}

/** Each ratio is the median of the ratios within one round: what disturbs the machine disturbs neighbours alike. */
export async function throughput(
  targets: readonly Target[],
  plan: ThroughputPlan,
  say: (line: string) => void,
): Promise<Throughput> {
  const figures: Record<string, Partial<Record<TargetName, ThroughputFigures>>> = {}
  const ratios: Ratios = {}
  // Code that is compiled while it runs is not what a running gateway is like: for some 50,000 transactions it gets faster.
  for (const target of targets) {
    for (const protocol of plan.protocols)
      await pgbench(target, { protocol, clients: 4, transactions: 12_500 })
  }
  for (const protocol of plan.protocols) {
    for (const clients of plan.clients) {
      const key = `${protocol}.c${clients}`
      const rounds = new Map<Target, { tps: number; micros: number | undefined }[]>()
      for (let round = 0; round < plan.rounds; round++) {
        // Another one goes first in each round.
        for (let i = 0; i < targets.length; i++) {
          const target = targets[(i + round) % targets.length]
          if (target === undefined) continue
          const before = target.pid === undefined ? 0 : processorMs(target.pid)
          const { tps, transactions } = await pgbench(target, { protocol, clients, seconds: plan.seconds })
          const used = target.pid === undefined ? undefined : processorMs(target.pid) - before
          const micros = used === undefined ? undefined : (used * 1000) / transactions
          rounds.set(target, [...(rounds.get(target) ?? []), { tps, micros }])
        }
      }
      figures[key] = {}
      for (const [target, each] of rounds) {
        const micros = each.flatMap((round) => (round.micros === undefined ? [] : [round.micros]))
        figures[key][target.name] = {
          tps: Math.round(median(each.map((round) => round.tps))),
          rounds: each.map((round) => Math.round(round.tps)),
          processorMicros: micros.length === 0 ? undefined : rounded(median(micros)),
        }
      }
      Object.assign(ratios, ratiosOf(key, rounds))
      say(
        `${key}: ${targets.map((each) => `${each.name} ${figures[key]?.[each.name]?.tps ?? '-'}/s`).join(', ')}`,
      )
    }
  }
  return { ratios, figures }
}

function ratiosOf(key: string, rounds: ReadonlyMap<Target, readonly { tps: number }[]>): Ratios {
  const ratios: Ratios = {}
  const by = (name: TargetName) => [...rounds].find(([target]) => target.name === name)?.[1]
  const compare = (name: TargetName, other: TargetName, label: string): void => {
    const ours = by(name)
    const theirs = by(other)
    if (ours === undefined || theirs === undefined) return
    ratios[`${key}.${label}`] = rounded(
      median(ours.map((round, i) => round.tps / (theirs[i]?.tps ?? Number.NaN))),
    )
  }
  compare('sluice', 'pgbouncer', 'vs_pgbouncer')
  compare('sluice', 'relay', 'vs_relay')
  compare('sluice', 'direct', 'vs_direct')
  compare('relay', 'pgbouncer', 'relay_vs_pgbouncer')
  compare('relay-events', 'relay', 'relay_events_vs_relay')
  return ratios
}
