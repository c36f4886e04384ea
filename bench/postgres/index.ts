/**
 * `npm run bench -- postgres`: what Sluice costs a PostgreSQL client, next to the server itself, pgbouncer and a bare
 * relay. Starts everything it needs on loopback and leaves nothing behind.
 */
import type { TestServer } from '../../test/support/postgres.ts'
import { startTestServer } from '../../test/support/postgres.ts'
import { document } from '../support/document.ts'
import type { BenchOptions } from '../support/options.ts'
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
import { tablesOf } from './tables.ts'
import type { Scenarios } from './tables.ts'
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
  idle: { sessions: 400, kinds: ['plain'] },
} as const

export async function postgres(options: BenchOptions): Promise<void> {
  const began = performance.now()
  const plan = options.quick ? QUICK : FULL
  const wanted: readonly TargetName[] =
    options.targets === undefined ? TARGETS : KNOWN.filter((name) => options.targets?.includes(name))
  const targets: Target[] = []
  const server = await startTestServer(15, {
    log_statement: 'none',
    // The nested statements of `fairness` are too deep for the server: a gigabyte of them would stand in its log.
    log_min_error_statement: 'panic',
    shared_buffers: '512MB',
    max_wal_size: '4GB',
    autovacuum: false,
  })
  try {
    const made = makeDatabase(server, plan.size)
    await Promise.all([made, ...wanted.map(async (name) => targets.push(await STARTERS[name](server)))])
    targets.sort((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name))
    say(`ready after ${seconds(began)} s`)
    const failures: unknown[] = []
    const scenarios = await measure(options, plan, server, targets, failures)
    say(`all took ${seconds(began)} s`)
    // A quarter of an hour of figures is not lost to one scenario that went wrong at the end.
    await report(options, targets, scenarios)
    if (failures.length > 0) throw failures[0]
  } finally {
    for (const target of targets) await target.stop()
    await server.stop()
  }
}

async function measure(
  options: BenchOptions,
  plan: typeof FULL | typeof QUICK,
  server: TestServer,
  targets: readonly Target[],
  failures: unknown[],
): Promise<Scenarios> {
  const scenarios: Scenarios = {}
  const timed = async (name: keyof Scenarios, run: () => Promise<unknown>): Promise<void> => {
    if (options.only !== undefined && !options.only.includes(name)) return
    const start = performance.now()
    try {
      await run()
      say(`  (${name} took ${seconds(start)} s)`)
    } catch (error) {
      failures.push(error)
      say(`  ${name} FAILED: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  // In a hurry, each scenario compares with what its bar is about and with nothing else.
  const between = options.quick ? targets.filter((each) => each.name !== 'direct') : targets
  const ends = targets.filter((each) => each.name === 'direct' || each.name === 'sluice')
  const some = options.quick ? ends : targets
  const sluice = targets.find((each) => each.name === 'sluice')
  await timed(
    'throughput',
    async () => (scenarios.throughput = await throughput(between, plan.throughput, say)),
  )
  await timed('latency', async () => (scenarios.latency = await latency(some, plan.latency, say)))
  await timed('bulk', async () => (scenarios.bulk = await bulk(some, plan.bulk, say)))
  await timed(
    'fairness',
    async () =>
      (scenarios.fairness = await fairness(
        options.quick && sluice !== undefined ? [sluice] : ends,
        plan.fairness,
        say,
      )),
  )
  if (sluice === undefined) return scenarios
  await timed('idle', async () => (scenarios.idle = await idle(plan.idle, say)))
  await timed('counting', async () => {
    scenarios.counting = await counting(server, sluice, plan.counting, say)
  })
  return scenarios
}

async function report(
  options: BenchOptions,
  targets: readonly Target[],
  scenarios: Scenarios,
): Promise<void> {
  const ratios: Ratios = {}
  const measures: Measures = {}
  const found: readonly { readonly ratios?: Ratios; readonly measures?: Measures }[] =
    Object.values(scenarios)
  for (const each of found) {
    Object.assign(ratios, each.ratios)
    Object.assign(measures, each.measures)
  }
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
  const figures = { ...ratios, ...measures }
  say(`\n${table(['figure', 'value'], Object.entries(figures))}`)
  say(`\n${table(['figure', 'measured', 'bar', ''], againstBars(figures, BARS))}\n`)
  say(`kept in ${await keep(options.name ?? 'latest/postgres', results)}`)
  if (options.document) say(`written into ${await document(results, BARS, tablesOf(scenarios))}`)
  if (options.json) say(JSON.stringify(results))
}

function say(line: string): void {
  console.log(line)
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}
