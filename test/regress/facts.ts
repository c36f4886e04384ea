/**
 * The facts of the analysis held against what the server does, on PostgreSQL's own regression suite: every relation that
 * a statement makes the server lock must be among those that the analysis says it reads or writes. Left out, because no
 * text shows it: partitions and children, foreign keys, what views stand for, and what bodies of functions, triggers and
 * rules do. Names are compared without their schemas. With `--json` the last line is an object of counts.
 */
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Facts } from '../../src/core/index.ts'
import type { SqlAnalyser } from '../../src/sql/index.ts'
import { createSqlAnalyser } from '../../src/sql/index.ts'
import type { Message } from '../differential/raw-client.ts'
import { copyData, copyDone, query, RawClient } from '../differential/raw-client.ts'
import { startTestServer } from '../support/postgres.ts'
import { prepareSuite } from './source.ts'
import type { ScriptStatement } from './script.ts'
import { statementsOf } from './script.ts'
import { PREPARATION, readSchedule, REGRESSION_DATABASE, SERVER_SETTINGS } from './suite.ts'

const OPAQUE_MAX = 0.06
const OPAQUE_PLAIN_MAX = 0.01

const LOCKS = `SELECT DISTINCT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`

/** Relations that come with those named, and whether code of users may have run. */
const EXPLAINED = (
  names: readonly string[],
  calls: readonly string[],
) => `WITH RECURSIVE pairs(a, b) AS MATERIALIZED (
    SELECT inhparent, inhrelid FROM pg_inherits UNION ALL SELECT inhrelid, inhparent FROM pg_inherits
    UNION ALL SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'
    UNION ALL SELECT confrelid, conrelid FROM pg_constraint WHERE contype = 'f'
    UNION ALL SELECT r.ev_class, d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
      AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    UNION ALL SELECT d.refobjid, r.ev_class FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid
      AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  ), near(oid) AS (
    SELECT oid FROM pg_class WHERE relname IN (${list(names)}) UNION SELECT b FROM near JOIN pairs ON a = near.oid
  )
  SELECT c.relname FROM near JOIN pg_class c ON c.oid = near.oid
  UNION ALL SELECT '*' WHERE EXISTS (SELECT FROM pg_trigger t JOIN near ON near.oid = t.tgrelid WHERE NOT tgisinternal)
    OR EXISTS (SELECT FROM pg_rewrite r JOIN near ON near.oid = r.ev_class JOIN pg_depend d ON d.objid = r.oid
      AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass)
    OR EXISTS (SELECT FROM pg_proc p JOIN pg_type t ON t.oid = ANY (p.proargtypes) JOIN near ON near.oid = t.typrelid)
    OR EXISTS (SELECT FROM pg_policy p JOIN near ON near.oid = p.polrelid)
    OR EXISTS (SELECT FROM pg_proc WHERE proname IN (${list(calls)}) AND pronamespace <> 'pg_catalog'::regnamespace)`

type Totals = {
  files: number
  statements: number
  compared: number
  opaque: number
  opaquePlain: number
  plain: number
  readonly opaqueKinds: Map<string, number>
  crashes: string[]
  missed: string[]
}

const json = process.argv.includes('--json')
const only = process.argv.slice(2).filter((each) => !each.startsWith('--'))

function say(line: string): void {
  ;(json ? process.stderr : process.stdout).write(`${line}\n`)
}

function list(names: readonly string[]): string {
  return ['', ...names].map((name) => `'${name.replaceAll("'", "''")}'`).join(', ')
}

/** What another statement prepared, opened or deferred, and what only ends or begins. */
const OF_STATE =
  /^\s*(EXECUTE|FETCH|MOVE|CLOSE|COMMIT|END|ROLLBACK|ABORT|BEGIN|START|SAVEPOINT|RELEASE|SET CONSTRAINTS|PREPARE TRANSACTION|EXPLAIN[^;]*EXECUTE|CREATE[^;]*AS\s+EXECUTE)\b/i
const USERS_CODE = /^\s*(DO|CALL)\b/i
/** Definitions take what hangs on a relation along. */
const DEFINES =
  /^\s*(CREATE|ALTER|DROP|TRUNCATE|REINDEX|CLUSTER|VACUUM|ANALYZE|REFRESH|COMMENT|GRANT|REVOKE|LOCK|IMPORT|REASSIGN|SECURITY)\b/i

/** These lock what they describe, and read none of its rows. */
const DESCRIBES =
  /^pg_(get_\w+|\w+_size|relation_\w+|index\w*|partition_\w+|identify_\w+|describe_\w+)$|^satisfies_hash_partition$/

/** Views of the system that print definitions, and lock what these name. */
const PRINTS = new Set(['pg_views', 'pg_matviews', 'pg_rules', 'pg_policies', 'views'])

function isDefinition(text: string): boolean {
  return DEFINES.test(text) && !/^\s*CREATE\s+(\w+\s+)*(TABLE|VIEW)\b[^;]*\bAS\b/i.test(text)
}

class Comparison {
  readonly #client: RawClient
  readonly #analyser: SqlAnalyser
  readonly #totals: Totals
  readonly #file: string
  /** Names of the server's own functions. */
  readonly #builtin: ReadonlySet<string>
  #state = 'I'
  #held = new Set<string>()

  constructor(
    client: RawClient,
    analyser: SqlAnalyser,
    totals: Totals,
    file: string,
    builtin: ReadonlySet<string>,
  ) {
    this.#builtin = builtin
    this.#client = client
    this.#analyser = analyser
    this.#totals = totals
    this.#file = file
  }

  async #send(text: string, data?: string): Promise<Message[]> {
    this.#client.write(query(text))
    const seen: Message[] = []
    for (;;) {
      const part = await this.#client.readUntilType('ZG')
      seen.push(...part)
      const last = part.at(-1)
      if (last?.type !== 'G') {
        this.#state = last?.type === 'Z' ? String.fromCharCode(last.body[0] ?? 0) : '!'
        return seen
      }
      this.#client.write(copyData(data ?? ''), copyDone())
    }
  }

  async #names(text: string): Promise<string[]> {
    return (await this.#send(text))
      .filter(({ type }) => type === 'D')
      .map(({ body }) => body.subarray(6).toString())
  }

  get ended(): boolean {
    return this.#state === '!'
  }

  async run({ text, data }: ScriptStatement): Promise<void> {
    const facts = await this.#facts(text)
    const alone = this.#state === 'I' && !OF_STATE.test(text)
    if (alone) {
      await this.#send('BEGIN')
      this.#held = new Set()
    }
    let answer = await this.#send(text, data)
    const state = answer
      .map(({ type, body }) =>
        type === 'E' ? (/\0C(\w{5})/.exec(`\0${body.toString('latin1')}`)?.[1] ?? '') : '',
      )
      .find(Boolean)
    if (alone && state !== undefined) {
      await this.#send('ROLLBACK')
      if (state === '25001') answer = await this.#send(text, data)
      return
    }
    if (this.#state === 'T' && facts !== undefined) {
      const now = new Set(await this.#names(LOCKS))
      const fresh = [...now].filter((name) => !this.#held.has(name))
      this.#held = now
      if (!OF_STATE.test(text)) await this.#compare(text, fresh, facts)
    }
    if (this.#state === 'I') this.#held = new Set()
    if (alone) await this.#send('COMMIT')
  }

  async #facts(text: string): Promise<Facts | undefined> {
    this.#totals.statements++
    try {
      const parsed = await this.#analyser.parse(text)
      const facts = this.#analyser.analyse(parsed, { searchPath: ['public'] })
      if (facts.attributes['parsed'] === false) return undefined
      const isOpaque = facts.class === 'opaque'
      if (isOpaque) this.#totals.opaque++
      const runsUsersCode =
        USERS_CODE.test(text) ||
        facts.calls.some((call) => !this.#builtin.has(call.split('.').at(-1) ?? call))
      if (!runsUsersCode) {
        this.#totals.plain++
        if (isOpaque) {
          this.#totals.opaquePlain++
          const words = text.trim().split(/\s+/).slice(0, 2).join(' ').toUpperCase()
          this.#totals.opaqueKinds.set(words, (this.#totals.opaqueKinds.get(words) ?? 0) + 1)
        }
      }
      return facts
    } catch (error) {
      this.#totals.crashes.push(`${this.#file}: ${String(error)}: ${text.slice(0, 200)}`)
      return undefined
    }
  }

  async #compare(text: string, fresh: readonly string[], facts: Facts): Promise<void> {
    this.#totals.compared++
    if (facts.class === 'opaque') return
    const named = [...facts.reads, ...facts.writes].map((each) => each.split('.').at(-1) ?? each)
    if (named.some((name) => PRINTS.has(name))) return
    const known = new Set(named)
    const unknown = fresh.filter((name) => !known.has(name))
    if (facts.calls.some((name) => DESCRIBES.test(name.split('.').at(-1) ?? name))) return
    if (unknown.length === 0 || isDefinition(text)) return
    const explained = new Set(
      await this.#names(
        EXPLAINED(
          named,
          facts.calls.map((each) => each.split('.').at(-1) ?? each),
        ),
      ),
    )
    if (explained.has('*')) return
    const missed = unknown.filter((name) => !explained.has(name))
    if (missed.length > 0)
      this.#totals.missed.push(`${this.#file}: ${missed.join(', ')} in: ${text.trim().slice(0, 300)}`)
  }
}

async function main(): Promise<void> {
  const suite = await prepareSuite(say)
  const place = await mkdtemp(join(tmpdir(), 'sluice-facts-'))
  await chmod(place, 0o777)
  await mkdir(join(place, 'results'), { mode: 0o777 })
  const server = await startTestServer(15, SERVER_SETTINGS)
  const analyser = await createSqlAnalyser()
  const totals: Totals = {
    files: 0,
    statements: 0,
    compared: 0,
    opaque: 0,
    opaquePlain: 0,
    plain: 0,
    opaqueKinds: new Map(),
    crashes: [],
    missed: [],
  }
  try {
    for (const statement of PREPARATION) await server.sql(statement)
    const variables = new Map([
      ['abs_srcdir', suite.directory],
      ['abs_builddir', place],
      ['libdir', suite.libraries],
      ['dlsuffix', '.so'],
      ['DBNAME', REGRESSION_DATABASE],
      ['USER', server.user],
    ])
    const builtin = new Set(
      (
        await server.sql<{ proname: string }>(
          "SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace",
        )
      ).map(({ proname }) => proname),
    )
    const names = (await readSchedule(suite)).flat()
    for (const name of names) {
      if (only.length > 0 && name !== 'test_setup' && !only.includes(name)) continue
      const script = await readFile(join(suite.directory, 'sql', `${name}.sql`), 'latin1')
      totals.files++
      const missedBefore = totals.missed.length
      const { host, port, user, password } = server
      const target = { host, port, user, password, database: REGRESSION_DATABASE }
      const settings = {
        datestyle: 'Postgres, MDY',
        timezone: 'PST8PDT',
        intervalstyle: 'postgres_verbose',
        client_encoding: 'UTF8',
        options: '-c statement_timeout=20s',
      }
      const { client } = await RawClient.open(target, settings)
      const comparison = new Comparison(client, analyser, totals, name, builtin)
      try {
        for (const statement of statementsOf(Buffer.from(script, 'latin1').toString('utf8'), variables)) {
          if (comparison.ended) break
          await comparison.run(statement)
        }
      } finally {
        client.destroy()
      }
      say(`${name}: ${totals.missed.length - missedBefore} missed`)
    }
  } finally {
    await analyser.close()
    await server.stop('immediate')
    await rm(place, { recursive: true, force: true })
  }
  tell(totals)
}

function tell(totals: Totals): void {
  const share = totals.opaque / totals.statements
  const plainShare = totals.opaquePlain / totals.plain
  for (const each of [...totals.crashes, ...totals.missed]) say(each)
  for (const [kind, n] of [...totals.opaqueKinds].toSorted(([, a], [, b]) => b - a).slice(0, 12))
    say(`opaque: ${n} ${kind}`)
  say(
    `${totals.files} files, ${totals.statements} statements, ${totals.compared} compared with locks: ${totals.missed.length} told too little, ${totals.crashes.length} crashed the analysis; opaque ${(share * 100).toFixed(2)} %, without code of users ${(plainShare * 100).toFixed(2)} %.`,
  )
  const ok =
    totals.missed.length + totals.crashes.length === 0 && share < OPAQUE_MAX && plainShare < OPAQUE_PLAIN_MAX
  process.exitCode = ok ? 0 : 1
  if (json)
    process.stdout.write(
      `${JSON.stringify({ files: totals.files, statements: totals.statements, compared: totals.compared, missed: totals.missed.length, crashes: totals.crashes.length, opaque: totals.opaque, opaqueWithoutCodeOfUsers: totals.opaquePlain })}\n`,
    )
}

await main()
