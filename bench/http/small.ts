/** 1.5 KB of JSON as fast as it goes: masked by Sluice, passed through by all others. */
import { processorMs } from '../support/processes.ts'
import type { Ratios } from '../support/report.ts'
import { median, rounded } from '../support/statistics.ts'
import type { Client } from './client.ts'
import { inRounds } from './rounds.ts'
import type { Target, TargetName } from './targets.ts'

export type SmallFigures = {
  /** Answers per second, the median of the rounds. */
  readonly perSecond: number
  readonly rounds: readonly number[]
  /** Processor time of the process in between for each. */
  readonly processorMicros: number
}

export type Small = {
  readonly ratios: Ratios
  readonly figures: Partial<Record<TargetName, SmallFigures>>
}

export async function small(
  targets: readonly Target[],
  plan: { readonly clients: number; readonly rounds: number; readonly seconds: number },
  client: Client,
  say: (line: string) => void,
): Promise<Small> {
  const job = { kind: 'throughput', clients: plan.clients } as const
  // Code that is compiled while it runs is not what a running gateway is like.
  for (const target of targets) await client(target, '/customers/1', { ...job, seconds: plan.seconds })
  const rounds = await inRounds(targets, plan.rounds, async (target) => {
    const before = processorMs(target.pid ?? 0)
    const { answers, ms } = await client(target, '/customers/1', { ...job, seconds: plan.seconds })
    const used = processorMs(target.pid ?? 0) - before
    return { perSecond: answers / (ms / 1000), micros: (used * 1000) / answers }
  })
  const figures: Small['figures'] = {}
  for (const [name, each] of rounds) {
    figures[name] = {
      perSecond: Math.round(median(each.map(({ perSecond }) => perSecond))),
      rounds: each.map(({ perSecond }) => Math.round(perSecond)),
      processorMicros: rounded(median(each.map(({ micros }) => micros))),
    }
    say(`small, ${name}: ${figures[name].perSecond}/s, ${figures[name].processorMicros} us of processor each`)
  }
  const ratios: Ratios = {}
  const ours = rounds.get('sluice')
  for (const other of ['nginx', 'relay'] as const) {
    const theirs = rounds.get(other)
    if (ours === undefined || theirs === undefined) continue
    const each = ours.map(({ perSecond }, i) => perSecond / (theirs[i]?.perSecond ?? Number.NaN))
    ratios[`small.vs_${other}`] = rounded(median(each))
  }
  return { ratios, figures }
}
