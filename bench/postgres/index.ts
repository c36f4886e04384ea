/**
 * `npm run bench -- postgres`: what Sluice costs a PostgreSQL client, next to the server itself, pgbouncer and a bare
 * relay. Starts everything it needs on loopback and leaves nothing behind.
 */
import { startTestServer } from '../../test/support/postgres.ts'
import type { BenchOptions } from '../run.ts'
import { commit, keep, machine, table } from '../support/report.ts'
import type { Ratios, Results } from '../support/report.ts'
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
  size: { scale: 1, customers: 200_000 },
  throughput: { protocols: ['simple', 'prepared'], clients: [8], rounds: 2, seconds: 1 },
  bulk: { rows: 200_000, rounds: 2 },
  latency: { rate: 1000, clients: 8, rounds: 1, seconds: 2 },
  fairness: { seconds: 3, rate: 100 },
  counting: { clients: 4, transactions: 100 },
  idle: { sessions: 300, kinds: ['plain'] },
} as const

export async function postgres(options: BenchOptions): Promise<void> {
  const began = performance.now()
  const plan = options.quick ? QUICK : FULL
  const say = (line: string): void => console.log(line)
  const wanted =
    options.targets === undefined ? TARGETS : KNOWN.filter((name) => options.targets?.includes(name))
  const wants = (scenario: string): boolean => options.only === undefined || options.only.includes(scenario)
  const ratios: Ratios = {}
  const scenarios: Record<string, unknown> = {}
  const targets: Target[] = []
  const server = await startTestServer(15, {
    log_statement: 'none',
    shared_buffers: '512MB',
    max_wal_size: '4GB',
    autovacuum: false,
  })
  try {
    await makeDatabase(server, plan.size)
    for (const name of wanted) targets.push(await STARTERS[name](server))
    const take = <T extends { readonly ratios: Ratios }>(
      name: string,
      { ratios: found, ...rest }: T,
    ): void => {
      Object.assign(ratios, found)
      scenarios[name] = rest
    }
    if (wants('throughput')) take('throughput', await throughput(targets, plan.throughput, say))
    if (wants('latency')) take('latency', await latency(targets, plan.latency, say))
    if (wants('bulk')) take('bulk', await bulk(targets, plan.bulk, say))
    if (wants('fairness')) {
      scenarios['fairness'] = await fairness(
        targets.filter((each) => each.name === 'direct' || each.name === 'sluice'),
        plan.fairness,
        say,
      )
    }
    const sluice = targets.find((each) => each.name === 'sluice')
    if (sluice !== undefined) {
      if (wants('idle')) scenarios['idle'] = await idle(plan.idle, say)
      if (wants('counting')) scenarios['counting'] = await counting(server, sluice, plan.counting, say)
    }
    say(`took ${((performance.now() - began) / 1000).toFixed(1)} s`)
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
      scenarios,
    }
    const file = await keep(options.name ?? 'latest/postgres', results)
    say(`\n${table(['ratio', 'value'], Object.entries(ratios))}\n\nkept in ${file}`)
    if (options.json) say(JSON.stringify(results))
  } finally {
    for (const target of targets) await target.stop()
    await server.stop()
  }
}
