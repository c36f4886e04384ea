/**
 * `npm run bench -- http`: what Sluice costs a client of an internal API, next to nginx passing through and to relays on Node.
 * Starts everything it needs on loopback and leaves nothing behind.
 */
import { join } from 'node:path'
import { document } from '../support/document.ts'
import type { BenchOptions } from '../support/options.ts'
import { start } from '../support/processes.ts'
import { againstBars, commit, keep, machine, table } from '../support/report.ts'
import type { Bar, Measures, Ratios, Results } from '../support/report.ts'
import { clientOf } from './client.ts'
import type { Client } from './client.ts'
import { PROTECTED } from './data.ts'
import { latency } from './latency.ts'
import { small } from './small.ts'
import { streamed } from './streamed.ts'
import { tablesOf } from './tables.ts'
import type { Scenarios } from './tables.ts'
import { STARTERS, startApi } from './targets.ts'
import type { Target, TargetName } from './targets.ts'

/** What the design asks for. */
const BARS: Readonly<Record<string, Bar>> = {
  'small.vs_nginx': { atLeast: 0.18 },
  'small.vs_relay': { atLeast: 0.55 },
  'streamed.vs_proxy': { atLeast: 0.7 },
  'latency.added_p99_ms': { atMost: 3 },
  'streamed.memory_growth_mib': { atMost: 64 },
}

/** The same scenarios at two sizes. */
const FULL = {
  blobBytes: 1024 ** 3,
  small: { clients: 16, rounds: 5, seconds: 3 },
  latency: { rate: 500, clients: 16, rounds: 5, seconds: 5 },
  streamed: { rounds: 3 },
}

const QUICK = {
  blobBytes: 256 * 1024 ** 2,
  small: { clients: 16, rounds: 3, seconds: 1 },
  latency: { rate: 500, clients: 16, rounds: 3, seconds: 1 },
  streamed: { rounds: 2 },
}

const TARGETS = ['nginx', 'relay', 'proxy', 'sluice'] as const

export async function http(options: BenchOptions): Promise<void> {
  const began = performance.now()
  const plan = options.quick ? QUICK : FULL
  const wanted = TARGETS.filter((each) => options.targets?.includes(each) ?? true)
  const api = await startApi(plan.blobBytes)
  const targets: Target[] = [api]
  const load = start(process.execPath, [join(import.meta.dirname, 'load.ts')])
  try {
    await load.line()
    for (const name of wanted) targets.push(await STARTERS[name](api))
    const client = clientOf(load)
    for (const target of targets) await check(target, client)
    say(`ready after ${seconds(began)} s`)
    const pick = (...names: readonly TargetName[]): Target[] =>
      targets.filter((each) => names.includes(each.name))
    const scenarios: Scenarios = {}
    const isWanted = (name: keyof Scenarios): boolean => options.only?.includes(name) ?? true
    if (isWanted('small'))
      scenarios.small = await small(pick('nginx', 'relay', 'sluice'), plan.small, client, say)
    if (isWanted('latency'))
      scenarios.latency = await latency(pick('direct', 'sluice'), plan.latency, client, say)
    if (isWanted('streamed'))
      scenarios.streamed = await streamed(pick('proxy', 'sluice'), plan.blobBytes, plan.streamed, client, say)
    say(`all took ${seconds(began)} s`)
    await report(options, targets, scenarios)
  } finally {
    await load.stop()
    for (const target of targets) await target.stop()
  }
}

/** What is measured must be what was meant: the whole customer, masked by Sluice and by nobody else. */
async function check(target: Target, client: Client): Promise<void> {
  const { bytes, head } = await client(target, '/customers/1', { kind: 'once' })
  if (bytes < 1000 || !head.includes('"city":"Lisbon"')) throw new Error(`${target.name} answered ${head}`)
  if (head.includes(PROTECTED) === (target.name === 'sluice'))
    throw new Error(`${target.name} ${target.name === 'sluice' ? 'shows' : 'hides'} what is to be masked`)
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
  const results: Results = {
    benchmark: 'http',
    at: new Date().toISOString(),
    commit: commit(),
    quick: options.quick,
    machine: machine(),
    versions: Object.fromEntries(targets.map(({ name, version }) => [name, version])),
    ratios,
    measures,
    scenarios,
  }
  const figures = { ...ratios, ...measures }
  say(`\n${table(['figure', 'value'], Object.entries(figures))}`)
  say(`\n${table(['figure', 'measured', 'bar', ''], againstBars(figures, BARS))}\n`)
  say(`kept in ${await keep(options.name ?? 'latest/http', results)}`)
  if (options.document) say(`written into ${await document(results, BARS, tablesOf(scenarios))}`)
  if (options.json) say(JSON.stringify(results))
}

function say(line: string): void {
  console.log(line)
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}
