/**
 * What it costs to judge a statement of 300 bytes on a labelled table, under the policy that all benchmarks use: facts
 * (parse and analysis), a decision never made before, and one found again, the lexer included. Every figure is of one
 * statement, each of which is another one. Compared with what nobody who uses PostgreSQL's own grammar can do without:
 * its parser alone, in the same run.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadModule, parseSync } from 'libpg-query'
import type { Connection, LabelAssignment } from '../src/core/index.ts'
import type { Knowledge, KnowledgeSource } from '../src/protocols/postgres/requests/commands.ts'
import { Judge } from '../src/protocols/postgres/requests/commands.ts'
import { Guesses } from '../src/protocols/postgres/requests/planner.ts'
import type { Session } from '../src/session/index.ts'
import type { Catalogue, SqlAnalyser } from '../src/sql/index.ts'
import { assembleCatalogue, createSqlAnalyser } from '../src/sql/index.ts'
import { FakeNetwork } from '../src/testing/fake-network.ts'
import { World } from '../src/testing/world.ts'
import type { BenchOptions } from './support/options.ts'
import { document, markdown } from './support/document.ts'
import type { Bar } from './support/report.ts'
import { againstBars, commit, keep, machine, table } from './support/report.ts'
import { median, percentile, rounded } from './support/statistics.ts'

const BARS: Readonly<Record<string, Bar>> = {
  'facts.p50_us': { atMost: 500 },
  'uncached.p50_us': { atMost: 1000 },
  'cached.p50_us': { atMost: 10 },
}

const STATEMENT_BYTES = 300
const RULES_MIN = 20
/** Tables beside those that the statement names: names are looked up among as many as a real database has. */
const OTHER_TABLES = 400
const FIRST_OID = 20_000
const TEXT = 25
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  customers: ['id', 'name', 'email', 'phone', 'plan', 'country', 'created_at'],
  orders: ['id', 'customer_id', 'total', 'note', 'created_at'],
  cards: ['id', 'customer_id', 'number'],
  notes: ['id', 'body'],
  staff: ['id', 'name', 'email', 'salary'],
}

/** The n-th statement: `name` makes its shape another one, `n` only a literal. */
function statement(n: number, name = 'c'): string {
  const text =
    `SELECT ${name}.id, ${name}.name, ${name}.email, ${name}.phone, ${name}.plan, o.id AS order_id, o.total ` +
    `FROM public.customers ${name} JOIN public.orders o ON o.customer_id = ${name}.id ` +
    `WHERE ${name}.id = ${1_000_000 + n} AND o.created_at >= '2026-01-01' AND ${name}.country IN ('DE', 'FR') ` +
    'ORDER BY o.created_at DESC LIMIT 100'
  return text.padEnd(STATEMENT_BYTES)
}

function catalogueOf(labels: readonly LabelAssignment[]): Catalogue {
  const names = [...Object.keys(COLUMNS), ...Array.from({ length: OTHER_TABLES }, (_, n) => `table_${n}`)]
  const relations = names.map((name, n) => ({
    oid: FIRST_OID + n,
    schema: 'public',
    name,
    kind: 'r' as const,
    hasTriggers: false,
    hasRules: false,
  }))
  return assembleCatalogue(
    {
      epoch: 1,
      database: 'bench',
      searchPath: 'public',
      relations,
      columns: relations.flatMap(({ oid, name }) =>
        (COLUMNS[name] ?? ['id', 'value']).map((column, at) => ({
          relation: oid,
          attribute: at + 1,
          name: column,
          type: TEXT,
        })),
      ),
      inherits: [],
      generated: [],
      ruleReads: [],
      ruleCalls: [],
      system: [],
      functions: [],
      operators: [],
      types: [],
      casts: [],
      views: [],
    },
    labels,
  )
}

type Subject = {
  readonly analyser: SqlAnalyser
  readonly knowledge: Knowledge
  readonly judge: Judge
  close(): Promise<void>
}

/** The parts of a real session on the connection `bench`, but for its sockets. */
async function subject(): Promise<Subject> {
  const configuration = await readFile(join(import.meta.dirname, 'sluice.yaml'), 'utf8')
  if (configuration.split('\n  - { name: ').length - 1 < RULES_MIN) throw new Error('too few rules')
  const world = await World.open({ configuration, network: new FakeNetwork() })
  const connection = world.connection('bench')
  if (connection === undefined) throw new Error('bench/sluice.yaml has no connection named bench')
  const knowledge: Knowledge = {
    scope: 'epoch 1, public',
    context: { catalogue: catalogueOf(connection.labels), searchPath: ['public'], role: 'bench_app' },
  }
  const analyser = await createSqlAnalyser()
  const judge = new Judge(
    sessionOn(world, connection),
    analyser,
    sourceOf(knowledge),
    { statement: () => undefined, cursor: () => undefined },
    { rows: () => Promise.resolve(undefined), guesses: new Guesses() },
  )
  const close = async (): Promise<void> => {
    world.close()
    await analyser.close()
  }
  return { analyser, knowledge, judge, close }
}

function sessionOn(world: World, connection: Connection): Session {
  return world.gateway.open({
    chain: [{ kind: 'agent', name: 'bench-agent', issuer: 'local', groups: ['bench', 'analysts', 'agents'] }],
    connection,
    credential: 'c_bench',
    mintedBy: 'operator socket',
    clientAddress: '127.0.0.1',
    program: 'bench',
    database: 'bench',
    onTerminate: () => undefined,
    isIdle: () => true,
  })
}

function sourceOf(knowledge: Knowledge): KnowledgeSource {
  return {
    labelled: true,
    labels: [],
    moment: undefined,
    isCalm: () => true,
    checked: () => Promise.resolve(knowledge),
    current: () => knowledge,
    ready: () => Promise.resolve(knowledge),
    moves: () => undefined,
    userCode: () => undefined,
    isExact: () => true,
    meaning: () => knowledge.scope,
  }
}

/** Microseconds of each call; `prepare` is not counted. */
function timed<T>(count: number, prepare: (n: number) => T, run: (subject: T) => void): number[] {
  const times: number[] = []
  for (let n = 0; n < count; n++) {
    const each = prepare(n)
    const from = process.hrtime.bigint()
    run(each)
    times.push(Number(process.hrtime.bigint() - from) / 1000)
  }
  return times
}

type Way = { readonly name: string; readonly count: number; readonly measure: (count: number) => number[] }

function waysOf({ analyser, knowledge, judge }: Subject, count: number): Way[] {
  let made = 0
  const fresh = (): Buffer => Buffer.from(statement(made, `c${made++}`))
  const parsedNow = (text: string) => {
    const parsed = analyser.parse(text)
    if (parsed instanceof Promise || parsed.kind !== 'parsed') throw new Error('it does not parse')
    return parsed
  }
  const judged = (buffer: Buffer): void => {
    const { decision } = judge.bytes(buffer, 0, buffer.length)?.judgement ?? {}
    if (decision?.kind !== 'allow' || decision.masks.size !== 2)
      throw new Error('it is not judged as it should be')
  }
  return [
    { name: 'parse', count, measure: (n) => timed(n, statement, (text) => void parseSync(text)) },
    {
      name: 'facts',
      count,
      measure: (n) =>
        timed(n, statement, (text) => void analyser.analyse(parsedNow(text), knowledge.context)),
    },
    { name: 'uncached', count, measure: (n) => timed(n, fresh, judged) },
    {
      name: 'cached',
      count: count * 20,
      measure: (n) => {
        judged(Buffer.from(statement(0)))
        return timed(n, (each) => Buffer.from(statement(each)), judged)
      },
    },
  ]
}

export async function decisions(options: BenchOptions): Promise<void> {
  const rounds = options.quick ? 3 : 9
  const count = options.quick ? 1000 : 5000
  await loadModule()
  const judged = await subject()
  const figures = new Map<string, { p50: number[]; p99: number[] }>()
  try {
    const ways = waysOf(judged, count)
    // What is measured is a process that has run for a while.
    for (const way of ways) way.measure(way.count)
    for (let round = 0; round < rounds; round++) {
      // Another one goes first in each round.
      for (const way of [...ways.slice(round % ways.length), ...ways.slice(0, round % ways.length)]) {
        const times = way.measure(way.count)
        const figure = figures.get(way.name) ?? { p50: [], p99: [] }
        figure.p50.push(percentile(times, 0.5))
        figure.p99.push(percentile(times, 0.99))
        figures.set(way.name, figure)
      }
    }
  } finally {
    await judged.close()
  }
  await tell(options, figures)
}

async function tell(
  options: BenchOptions,
  figures: ReadonlyMap<string, { p50: readonly number[]; p99: readonly number[] }>,
): Promise<void> {
  const floors = figures.get('parse')?.p50 ?? []
  const measures: Record<string, number> = {}
  const ratios: Record<string, number> = {}
  for (const [name, { p50, p99 }] of figures) {
    measures[`${name}.p50_us`] = rounded(median(p50))
    measures[`${name}.p99_us`] = rounded(median(p99))
    if (name === 'parse') continue
    ratios[`${name}.vs_parse`] = rounded(
      median(p50.map((each, round) => each / (floors[round] ?? Number.NaN))),
    )
  }
  const rows = [...figures.keys()].map((name) => [
    name,
    measures[`${name}.p50_us`] ?? 0,
    measures[`${name}.p99_us`] ?? 0,
    ratios[`${name}.vs_parse`] ?? 1,
  ])
  const header = ['one statement of 300 bytes', 'p50 us', 'p99 us', 'p50 in parses']
  console.log(table(header, rows))
  console.log(table(['figure', 'measured', 'bar', ''], againstBars(measures, BARS)))
  const results = {
    benchmark: 'decisions',
    at: new Date().toISOString(),
    commit: commit(),
    quick: options.quick,
    machine: machine(),
    versions: { node: process.version, 'libpg-query': '18' },
    ratios,
    measures,
    scenarios: Object.fromEntries(figures),
  }
  console.log(`written to ${await keep(options.name ?? 'latest/decisions', results)}`)
  if (options.document) console.log(`figures in ${await document(results, BARS, markdown(header, rows))}`)
  if (options.json) console.log(JSON.stringify({ ratios, measures }))
}
