/**
 * Real PostgreSQL servers for tests: Debian's 15 and npm's 18, each with a data directory of its own that ends with
 * it, logging every statement in a form that tests read back. Leaves the gateway to gateway.ts.
 * Promise: `statementsLogged()` holds every statement that the server had begun when it was called.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { QueryResultRow } from 'pg'
import { Client } from 'pg'
import type { PostgresServer } from '../../src/sample/index.ts'
import { npmBinaries, startPostgres, unprivilegedUser } from '../../src/sample/index.ts'
import { copyCluster } from './cluster.ts'
import { eventually } from './wait.ts'

export const MAJORS = [15, 18] as const
export type Major = (typeof MAJORS)[number]

/** One statement as the server's own log tells of it. */
export type LoggedStatement = {
  /** `statement`: simple query. `execute`: extended protocol, `name` is the statement's, with `/portal` if any. */
  readonly form: 'statement' | 'execute'
  readonly name: string
  readonly text: string
  /** `$1 = 'a', $2 = NULL`, as the server writes it; empty without parameters. */
  readonly parameters: string
  readonly user: string
  readonly database: string
  readonly application: string
  readonly pid: number
}

export type TestServer = PostgresServer & {
  readonly major: Major
  readonly password: string
  readonly binDirectory: string
  dsn(options?: { database?: string; user?: string; password?: string }): string
  /** A connected superuser client that goes straight to the server. The caller ends it. */
  client(database?: string): Promise<Client>
  /** One statement, straight to the server as superuser. */
  sql<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values?: unknown[],
    database?: string,
  ): Promise<Row[]>
  /** A login role with a password; `superuser` for suites that need one. Made anew if it exists. */
  role(name: string, password: string, options?: { superuser?: boolean }): Promise<void>
  /** All statements so far, without those of `sql()` and `client()`. */
  statementsLogged(): Promise<LoggedStatement[]>
}

/** What the gateway asks the planner for people to read: it is in the log, and is no command of a client's. */
export function isEstimate({ application, text }: LoggedStatement): boolean {
  return application === 'sluice estimate' && text.startsWith('EXPLAIN (FORMAT JSON) ')
}

/** What the helpers here call themselves, so that the log tells them from the clients under test. */
const OBSERVER = 'sluice-test-observer'

const DEBIAN_15 = '/usr/lib/postgresql/15/bin'

async function binariesOf(major: Major): Promise<string> {
  if (major === 18) return npmBinaries(unprivilegedUser())
  if (!existsSync(join(DEBIAN_15, 'postgres')))
    throw new Error(`the tests need Debian's postgresql-15 in ${DEBIAN_15}`)
  return DEBIAN_15
}

/** Starts one. About a second. Durability is off: it is not what these tests are about, and the disk is shared. */
export async function startTestServer(
  major: Major,
  settings: Readonly<Record<string, string | number | boolean>> = {},
): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), `sluice-pg${major}-`))
  await chmod(directory, 0o755)
  const password = randomBytes(18).toString('hex')
  const binDirectory = await binariesOf(major)
  const dataDirectory = join(directory, 'data')
  await copyCluster(binDirectory, dataDirectory)
  const server = await startPostgres({
    binDirectory,
    dataDirectory,
    password,
    settings: {
      fsync: false,
      full_page_writes: false,
      max_connections: 200,
      timezone: 'UTC',
      lc_messages: 'C',
      log_statement: 'all',
      logging_collector: true,
      log_destination: 'jsonlog',
      log_directory: 'statements',
      log_filename: 'all.log',
      log_rotation_age: 0,
      log_rotation_size: 0,
      ...settings,
    },
  })
  const log = join(server.dataDirectory, 'cluster/statements/all.json')

  const connect = async (database = 'postgres') => {
    const { host, port, user } = server
    const client = new Client({ host, port, user, password, database, application_name: OBSERVER })
    await client.connect()
    return client
  }
  const sql: TestServer['sql'] = async (text, values = [], database = 'postgres') => {
    const client = await connect(database)
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }

  return {
    ...server,
    major,
    password,
    binDirectory,
    client: connect,
    sql,
    dsn({ database = 'postgres', user = server.user, password: secret = password } = {}) {
      const encode = encodeURIComponent
      return `postgresql://${encode(user)}:${encode(secret)}@${server.host}:${server.port}/${encode(database)}`
    },
    async role(name, secret, options = {}) {
      const known = await sql('SELECT 1 FROM pg_roles WHERE rolname = $1', [name])
      const super_ = options.superuser === true ? 'SUPERUSER' : 'NOSUPERUSER'
      await sql(
        `${known.length === 0 ? 'CREATE' : 'ALTER'} ROLE "${name}" LOGIN ${super_} PASSWORD '${secret}'`,
      )
    },
    async statementsLogged() {
      // The log is one pipe from all backends to one writer: once our mark is in the file, all before it is, too.
      const mark = `mark ${randomBytes(8).toString('hex')}`
      await sql(`SELECT '${mark}'`)
      const text = await eventually('the log to hold our mark', async () => {
        const all = await readFile(log, 'utf8')
        return all.includes(mark) && all
      })
      return parseLog(text).filter((each) => each.application !== OBSERVER)
    },
    async stop(mode) {
      await server.stop(mode)
      await rm(directory, { recursive: true, force: true })
      if (!server.dataDirectory.startsWith(directory))
        await rm(server.dataDirectory, { recursive: true, force: true })
    },
  }
}

/** jsonlog: one JSON object a line (PostgreSQL 15 and later). */
export function parseLog(text: string): LoggedStatement[] {
  const found: LoggedStatement[] = []
  // The last line may be half written.
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    if (line === '') continue
    const entry: Record<string, unknown> = JSON.parse(line)
    const message = String(entry['message'] ?? '')
    const match = /^(?:(statement)|(execute)(?: fetch from)? (.*?)): ([\s\S]*)$/.exec(message)
    if (match === null || entry['error_severity'] !== 'LOG') continue
    const [, statement, , name = '', sql = ''] = match
    found.push({
      form: statement === undefined ? 'execute' : 'statement',
      name,
      text: sql,
      parameters: String(entry['detail'] ?? '').replace(/^parameters: /i, ''),
      user: String(entry['user'] ?? ''),
      database: String(entry['dbname'] ?? ''),
      application: String(entry['application_name'] ?? ''),
      pid: Number(entry['pid']),
    })
  }
  return found
}
