/** One long answer: how fast it flows, and how much memory the process in between takes meanwhile. */
import { processorMs, residentBytes } from '../support/processes.ts'
import type { Measures, Ratios } from '../support/report.ts'
import { median, rounded } from '../support/statistics.ts'
import type { Client } from './client.ts'
import { inRounds } from './rounds.ts'
import type { Target, TargetName } from './targets.ts'

export type StreamedFigures = {
  readonly megabytesPerSecond: number
  readonly rounds: readonly number[]
  /** How far the resident memory of the process in between rose above what it was before, at most. */
  readonly memoryGrowthBytes: number
  readonly processorMs: number
}

export type Streamed = {
  readonly ratios: Ratios
  readonly measures: Measures
  readonly figures: Partial<Record<TargetName, StreamedFigures>>
}

export async function streamed(
  targets: readonly Target[],
  bytesWanted: number,
  plan: { readonly rounds: number },
  client: Client,
  say: (line: string) => void,
): Promise<Streamed> {
  const rounds = await inRounds(targets, plan.rounds, async (target) => {
    const pid = target.pid ?? 0
    const grown = watchMemory(pid)
    const before = processorMs(pid)
    const { bytes, ms } = await client(target, '/blob', { kind: 'once' })
    const growth = grown()
    if (bytes !== bytesWanted) throw new Error(`${target.name} sent ${bytes} of ${bytesWanted} bytes`)
    return { rate: bytes / 1000 / ms, growth, used: processorMs(pid) - before }
  })
  const figures: Streamed['figures'] = {}
  for (const [name, each] of rounds) {
    const found = {
      megabytesPerSecond: rounded(median(each.map(({ rate }) => rate))),
      rounds: each.map(({ rate }) => Math.round(rate)),
      memoryGrowthBytes: Math.max(...each.map(({ growth }) => growth)),
      processorMs: Math.round(median(each.map(({ used }) => used))),
    }
    figures[name] = found
    say(
      `streamed, ${name}: ${found.megabytesPerSecond} MB/s, ${mib(found.memoryGrowthBytes)} MiB more memory`,
    )
  }
  const ratios: Ratios = {}
  const measures: Measures = {}
  const ours = rounds.get('sluice')
  const theirs = rounds.get('proxy')
  if (ours !== undefined && theirs !== undefined)
    ratios['streamed.vs_proxy'] = rounded(
      median(ours.map(({ rate }, i) => rate / (theirs[i]?.rate ?? Number.NaN))),
    )
  if (figures.sluice !== undefined)
    measures['streamed.memory_growth_mib'] = mib(figures.sluice.memoryGrowthBytes)
  return { ratios, measures, figures }
}

function mib(bytes: number): number {
  return rounded(bytes / 1024 ** 2)
}

function watchMemory(pid: number): () => number {
  const before = residentBytes(pid)
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(pid))
  }, 20)
  return () => {
    clearInterval(timer)
    return Math.max(most, residentBytes(pid)) - before
  }
}
