/**
 * What one session feels while others are greedy: one streams a large masked result over and over, ten send nested SQL,
 * and another asks SELECT 1 at a steady rate.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from '../support/processes.ts'
import type { Measures } from '../support/report.ts'
import { percentile, rounded } from '../support/statistics.ts'
import { MASKED, startReader } from './bulk.ts'
import { latencies } from './pgbench.ts'
import { environmentOf } from './target.ts'
import type { Target, TargetName } from './target.ts'

export type FairnessPlan = { readonly seconds: number; readonly rate: number }

export type FairnessFigures = {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly asked: number
  /** What the greedy ones got meanwhile: large results begun, nested statements answered. */
  readonly results: number
  readonly nested: number
}

export type Fairness = {
  readonly measures: Measures
  readonly figures: Partial<Record<TargetName, FairnessFigures>>
}

export async function fairness(
  targets: readonly Target[],
  plan: FairnessPlan,
  say: (line: string) => void,
): Promise<Fairness> {
  const found: Partial<Record<TargetName, FairnessFigures>> = {}
  for (const target of targets) {
    const figures = await fairnessOf(target, plan)
    found[target.name] = figures
    say(
      `fairness, ${target.name}: SELECT 1 p50 ${figures.p50Ms} ms, p99 ${figures.p99Ms} ms ` +
        `beside ${figures.results} large results and ${figures.nested} nested statements`,
    )
  }
  const measures: Measures = {}
  for (const [name, { p99Ms }] of Object.entries(found)) {
    measures[name === 'sluice' ? 'fairness.p99_ms' : `fairness.${name}.p99_ms`] = p99Ms
  }
  return { measures, figures: found }
}

async function fairnessOf(target: Target, plan: FairnessPlan): Promise<FairnessFigures> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-fairness-'))
  const script = join(directory, 'select-1.sql')
  await writeFile(script, 'SELECT 1;\n')
  const reader = await startReader(target)
  const nested = start(process.execPath, [join(import.meta.dirname, 'nested.ts')], {
    env: environmentOf(target.at),
  })
  await nested.line()
  let results = 0
  const over = new AbortController()
  const streaming = (async () => {
    while (!over.signal.aborted) {
      results++
      await reader.read(MASKED)
    }
  })()
  try {
    // The greedy ones are under way before anyone is measured: starting them is not what this is about.
    await sleep(1_000)
    const found = await latencies(target, {
      protocol: 'simple',
      // Several, so that one slow answer does not delay the next questions: each would be counted as slow, too.
      clients: 4,
      seconds: plan.seconds,
      rate: plan.rate,
      script,
    })
    nested.send('\n')
    return {
      p50Ms: rounded(percentile(found, 0.5)),
      p99Ms: rounded(percentile(found, 0.99)),
      maxMs: rounded(percentile(found, 1)),
      asked: found.length,
      results,
      nested: Number(await nested.line()),
    }
  } finally {
    over.abort()
    await nested.stop()
    await streaming
    await reader.stop()
    await rm(directory, { recursive: true, force: true })
  }
}
