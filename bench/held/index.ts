/**
 * `npm run bench -- held`: thousands of sessions whose command waits for a person. What each costs in memory, how soon an
 * answer reaches its client, and what is left for everybody else meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiClient } from '../../src/api/client.ts'
import { startTestServer } from '../../test/support/postgres.ts'
import { logIn } from '../../test/support/login.ts'
import { mintDsn } from '../../test/support/mint.ts'
import { DATABASE, makeDatabase } from '../postgres/data.ts'
import { pgbench } from '../postgres/pgbench.ts'
import { PORTS, type RunningSluice, runSluice } from '../postgres/sluice.ts'
import type { Target } from '../postgres/target.ts'
import { document, markdown } from '../support/document.ts'
import { collectGarbage, inspectorUrl } from '../support/inspector.ts'
import type { BenchOptions } from '../support/options.ts'
import { residentBytes, start, type Started } from '../support/processes.ts'
import { againstBars, commit, keep, machine, table } from '../support/report.ts'
import { median, percentile, rounded } from '../support/statistics.ts'
import { agentName, APPROVER, configOf, EACH } from './config.ts'

/** The last is what others keep of their throughput. */
const BARS = {
  'held.kib_per_session': { atMost: 24 },
  'answer.p99_ms': { atMost: 100 },
  'others.throughput': { atLeast: 0.9 },
}

const FULL = { agents: 100, answers: 1_000, rounds: 7, seconds: 3 } as const
const QUICK = { agents: 8, answers: 100, rounds: 3, seconds: 1 } as const

/** Answers a second: many for people, and few enough that each is measured by itself. */
const ANSWERS_PER_S = 20
/** Transactions a second that others make while answers are measured. */
const BESIDE_PER_S = 500

export async function held(options: BenchOptions): Promise<void> {
  const plan = options.quick ? QUICK : FULL
  const sessions = plan.agents * EACH
  const stops: (() => Promise<unknown>)[] = []
  try {
    const server = await startTestServer(15, { log_statement: 'none', autovacuum: false })
    stops.unshift(() => server.stop())
    await makeDatabase(server, { scale: 1, customers: 1_000 })
    const fake = start(process.execPath, [new URL('../postgres/fake-server.ts', import.meta.url).pathname])
    stops.unshift(() => fake.stop())
    const sluice = await runSluice({
      config: configOf(plan.agents),
      ports: { [PORTS.database]: server.port, [PORTS.fake]: Number(await fake.line()) },
      nodeArguments: ['--inspect=127.0.0.1:0'],
    })
    stops.unshift(() => sluice.stop())
    const others = await targetOf(sluice)
    const clients = start(process.execPath, [new URL('waiting.ts', import.meta.url).pathname])
    stops.unshift(() => clients.stop())

    const load = { protocol: 'simple', clients: 8, seconds: plan.seconds } as const
    const throughput = async (): Promise<number> => {
      const tps: number[] = []
      for (let round = 0; round < plan.rounds; round++) tps.push((await pgbench(others, load)).tps)
      return median(tps)
    }
    await pgbench(others, { protocol: 'simple', clients: 8, transactions: options.quick ? 500 : 6_000 })
    const alone = await throughput()
    say(`others, with nobody held: ${rounded(alone)}/s`)

    const before = await settled(sluice)
    for (let n = 0; n < plan.agents; n++) {
      const dsn = await mintDsn({ dataDirectory: sluice.recording.directory }, 'held', agentName(n))
      for (let each = 0; each < EACH; each++) clients.send(`${dsn}\n`)
    }
    clients.send('open\n')
    say(await clients.line())
    const idle = await settled(sluice)
    const asked = performance.now()
    clients.send('go\n')
    const tickets = new Map<number, string>()
    while (tickets.size < sessions) {
      const [what, n, ticket = ''] = (await clients.line()).split(' ')
      if (what !== 'held') throw new Error(`a session was not held: ${String(what)} ${String(n)} ${ticket}`)
      tickets.set(Number(n), ticket)
    }
    const heldS = (performance.now() - asked) / 1000
    say(`${sessions} held after ${rounded(heldS)} s`)
    const waiting = await settled(sluice)
    if ((await writes(fake)) !== 0) throw new Error('a command that was held has run')
    const during = await throughput()
    say(`others, with ${sessions} held: ${rounded(during)}/s`)

    const approver = await logIn(sluice.recording.directory, APPROVER)
    stops.unshift(() => approver.close())
    const beside = pgbench(others, {
      ...load,
      seconds: Math.ceil(plan.answers / ANSWERS_PER_S),
      rate: BESIDE_PER_S,
    })
    const latencies = await answer(approver, clients, [...tickets].slice(0, plan.answers))
    await beside
    const ran = await writes(fake)
    if (ran !== plan.answers) throw new Error(`${plan.answers} were approved, and ${ran} have run`)

    await clients.stop()
    await sleep(2_000)
    const after = await throughput()
    say(`others, with nobody held again: ${rounded(after)}/s`)

    const kib = (bytes: number): number => rounded(bytes / 1024 / sessions)
    const measures = {
      'held.kib_per_session': kib(waiting - before),
      'held.of_it_idle_kib': kib(idle - before),
      'answer.p50_ms': rounded(percentile(latencies, 0.5)),
      'answer.p99_ms': rounded(percentile(latencies, 0.99)),
      'answer.slowest_ms': rounded(Math.max(...latencies)),
      'others.throughput': rounded(during / ((alone + after) / 2)),
      'asking.per_s': rounded(sessions / heldS),
    }
    const bars = againstBars(measures, BARS)
    say(`\n${table([`${sessions} sessions held, ${plan.answers} answered`, ''], Object.entries(measures))}`)
    say(`\n${table(['figure', 'measured', 'bar', ''], bars)}\n`)
    const results = {
      benchmark: 'held',
      at: new Date().toISOString(),
      commit: commit(),
      quick: options.quick,
      machine: machine(),
      versions: { node: process.version },
      ratios: {},
      measures,
      scenarios: { sessions, answers: plan.answers, alone, during, after },
    }
    say(`kept in ${await keep(options.name ?? 'latest/held', results)}`)
    if (options.document) await document(results, BARS, markdown(['figure', ''], Object.entries(measures)))
    if (options.json) say(JSON.stringify(results))
  } finally {
    for (const stop of stops) await stop()
  }
}

/** Memory of the gateway when everything that can be given back has been, in bytes. */
async function settled(sluice: RunningSluice): Promise<number> {
  await sleep(1_000)
  await collectGarbage(inspectorUrl(sluice.complaints()))
  await sleep(500)
  return residentBytes(sluice.pid)
}

/** Answers at a steady pace; milliseconds from the moment an answer was due until its client had its result. */
async function answer(
  approver: ApiClient,
  clients: Started,
  tickets: readonly (readonly [number, string])[],
): Promise<readonly number[]> {
  const due = new Map<number, bigint>()
  const asked: Promise<unknown>[] = []
  const found: number[] = []
  const told = (async () => {
    while (found.length < tickets.length) {
      const [what, n, at = ''] = (await clients.line()).split(' ')
      const since = due.get(Number(n))
      if (what !== 'done' || since === undefined)
        throw new Error(`no result: ${String(what)} ${String(n)} ${at}`)
      found.push(Number(BigInt(at) - since) / 1e6)
    }
  })()
  const began = process.hrtime.bigint()
  for (const [at, [n, ticket]] of tickets.entries()) {
    const when = began + BigInt(Math.round((at * 1e9) / ANSWERS_PER_S))
    await sleep(Math.max(0, Number(when - process.hrtime.bigint()) / 1e6))
    due.set(n, when)
    asked.push(approver.call('POST', `/v1/approvals/${ticket}/answer`, { verdict: 'approve' }))
  }
  await Promise.all([told, ...asked])
  return found
}

async function writes(fake: Started): Promise<number> {
  fake.send('\n')
  return Number(await fake.line())
}

async function targetOf(sluice: RunningSluice): Promise<Target> {
  return {
    name: 'sluice',
    at: await sluice.coordinates('bench', DATABASE),
    pid: sluice.pid,
    version: `node ${process.version}`,
    stop: () => sluice.stop(),
  }
}

function say(line: string): void {
  console.log(line)
}
