/**
 * `npm run bench -- postgres`: what Sluice costs a PostgreSQL client, next to the server itself, pgbouncer and a bare
 * relay. Starts everything it needs on loopback and leaves nothing behind.
 */
import { startTestServer } from '../../test/support/postgres.ts'
import type { BenchOptions } from '../run.ts'
import { againstBars, commit, keep, machine, table } from '../support/report.ts'
import type { Measures, Ratios, Results } from '../support/report.ts'
import { BARS } from './bars.ts'
import { bulk } from './bulk.ts'
import { makeDatabase } from './data.ts'
import { counting } from './counting.ts'
import { fairness } from './fairness.ts'
import { idle } from './idle.ts'
import { latency } from './latency.ts'
import { pgbenchVersion } from './pgbench.ts'
import { STARTERS } from './targets.ts'
import type { Target, TargetName } from './target.ts'
import { throughput } from './throughput.ts'

const TARGETS = ['direct', 'pgbouncer', 'relay', 'sluice'] as const satisfies readonly TargetName[]

const KNOWN: readonly TargetName[] = [...TARGETS, 'relay-events']

/** The same scenarios at two sizes. */
const FULL = {
  size: { scale: 10, customers: 1_000_000 },
  throughput: { protocols: ['simple', 'extended', 'prepared'], clients: [1, 8, 32], rounds: 5, seconds: 3 },
  bulk: { rows: 1_000_000, rounds: 5 },
  latency: { rate: 1000, clients: 8, rounds: 5, seconds: 5 },
  fairness: { seconds: 20, rate: 100 },
  counting: { clients: 8, transactions: 2_000 },
  idle: { sessions: 5_000, kinds: ['plain', 'tls.client', 'tls.both'] },
} as const

const QUICK = {
  size: { scale: 1, customers: 100_000 },
  throughput: { protocols: ['simple', 'prepared'], clients: [8], rounds: 3, seconds: 1 },
  bulk: { rows: 100_000, rounds: 3 },
  latency: { rate: 1000, clients: 8, rounds: 1, seconds: 1 },
  fairness: { seconds: 2, rate: 100 },
  counting: { clients: 4, transactions: 50 },
  idle: { sessions: 500, kinds: ['plain'] },
} as const

export async function postgres(options: BenchOptions): Promise<void> {
  const began = performance.now()
  const plan = options.quick ? QUICK : FULL
  const say = (line: string): void => console.log(line)
  const wanted: readonly TargetName[] =
    options.targets === undefined ? TARGETS : KNOWN.filter((name) => options.targets?.includes(name))
  const ratios: Ratios = {}
  const measures: Measures = {}
  const scenarios: Record<string, unknown> = {}
  const targets: Target[] = []
  const server = await startTestServer(15, {
    log_statement: 'none',
    shared_buffers: '512MB',
    max_wal_size: '4GB',
    autovacuum: false,
  })
  try {
    const made = makeDatabase(server, plan.size)
    await Promise.all([made, ...wanted.map(async (name) => targets.push(await STARTERS[name](server)))])
    targets.sort((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name))
    const ends = targets.filter((each) => each.name === 'direct' || each.name === 'sluice')
    say(`ready after ${seconds(began)} s`)
    type Found = { readonly ratios?: Ratios; readonly measures?: Measures }
    const take = async (name: string, measure: () => Promise<Found>) => {
      if (options.only !== undefined && !options.only.includes(name)) return
      const start = performance.now()
      const found = await measure()
      const { ratios: someRatios, measures: someMeasures, ...rest } = found
      Object.assign(ratios, someRatios)
      Object.assign(measures, someMeasures)
      scenarios[name] = rest
      say(`  (${name} took ${seconds(start)} s)`)
    }
    // In a hurry, each scenario compares with what its budget is about and with nothing else.
    const others = options.quick ? targets.filter((each) => each.name !== 'direct') : targets
    await take('throughput', () => throughput(others, plan.throughput, say))
    await take('latency', () => latency(options.quick ? ends : targets, plan.latency, say))
    await take('bulk', () => bulk(options.quick ? ends : targets, plan.bulk, say))
    await take('fairness', () => fairness(ends, plan.fairness, say))
    const sluice = targets.find((each) => each.name === 'sluice')
    if (sluice !== undefined) {
      await take('idle', () => idle(plan.idle, say))
      await take('counting', () => counting(server, sluice, plan.counting, say))
    }
    say(`all took ${seconds(began)} s`)
    const versions: Record<string, string> = { node: process.version, pgbench: await pgbenchVersion() }
    for (const target of targets) versions[target.name] = target.version
    const results: Results = {
      benchmark: 'postgres',
      at: new Date().toISOString(),
      commit: commit(),
      quick: options.quick,
      machine: machine(),
      versions,
      ratios,
      measures,
      scenarios,
    }
    const file = await keep(options.name ?? 'latest/postgres', results)
    const figures = { ...ratios, ...measures }
    say(`\n${table(['figure', 'value'], Object.entries(figures))}`)
    say(`\n${table(['figure', 'measured', 'bar', ''], againstBars(figures, BARS))}\n\nkept in ${file}`)
    if (options.json) say(JSON.stringify(results))
  } finally {
    for (const target of targets) await target.stop()
    await server.stop()
  }
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}
