/**
 * Runs the regression suite as PostgreSQL's own `pg_regress` does: the same schedule, environment and psql command, so
 * that what a run prints is what that program would have collected. It differs in one thing: it compares nothing.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { unprivilegedUser } from '../../src/sample/index.ts'
import { cleanEnvironment } from '../support/process.ts'
import type { Suite } from './source.ts'

export const REGRESSION_DATABASE = 'regression'

export type Endpoint = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** libpq's sslmode. */
  readonly sslmode?: string
}

/** The database as pg_regress makes it; to be run as superuser, each statement by itself. */
export const PREPARATION = [
  `CREATE DATABASE ${REGRESSION_DATABASE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
  ...["lc_messages TO 'C'", "lc_monetary TO 'C'", "lc_numeric TO 'C'", "lc_time TO 'C'"].map(setting),
  ...["bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'"].map(setting),
]

function setting(text: string): string {
  return `ALTER DATABASE ${REGRESSION_DATABASE} SET ${text}`
}

/** Settings of the scratch server: what pg_regress gives its temporary instance. */
export const SERVER_SETTINGS = {
  max_prepared_transactions: 2,
  autovacuum: true,
  log_statement: 'none',
  logging_collector: false,
  log_destination: 'stderr',
} as const

/** Groups of names: those of one line run side by side. */
export async function readSchedule(suite: Suite): Promise<string[][]> {
  const text = await readFile(join(suite.directory, 'parallel_schedule'), 'utf8')
  return text.split('\n').flatMap((line) => {
    const names = /^test:\s*(.*)$/.exec(line)?.[1]?.trim()
    return names === undefined ? [] : [names.split(/\s+/)]
  })
}

/** psqls at a time. pg_regress would start up to 20; the machine's cores decide what that is worth. */
const SIDE_BY_SIDE = 4

/** No test of the suite needs more on an idle machine than half a minute. */
const TEST_MS_MAX = 10 * 60_000

/** Runs every test through `endpoint` and returns what psql printed, by test. `place` is used for the tests' files. */
export async function runSuite(
  suite: Suite,
  endpoint: Endpoint,
  place: string,
  say: (line: string) => void,
): Promise<Map<string, string>> {
  const results = join(place, 'results')
  await rm(results, { recursive: true, force: true })
  await mkdir(results, { recursive: true })
  // Some tests let the server write files there.
  const owner = unprivilegedUser()
  if (owner !== undefined) await chown(results, owner.uid, owner.gid)

  const outputs = new Map<string, string>()
  for (const group of await readSchedule(suite)) {
    const left = [...group]
    const started = Date.now()
    const worker = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        outputs.set(name, await runTest(suite, endpoint, place, name))
      }
    }
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker))
    say(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${group.join(' ')}`)
  }
  return outputs
}

async function runTest(suite: Suite, endpoint: Endpoint, place: string, name: string): Promise<string> {
  const output = join(place, 'results', `${name}.out`)
  const input = await open(join(suite.directory, 'sql', `${name}.sql`))
  const into = await open(output, 'w')
  const variables = ['-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on']
  const child = spawn('psql', ['-X', '-a', '-q', '-d', REGRESSION_DATABASE, ...variables], {
    env: environment(suite, endpoint, place, name),
    // One file for both, so that errors stand where they happened.
    stdio: [input.fd, into.fd, into.fd],
    timeout: TEST_MS_MAX,
    killSignal: 'SIGKILL',
  })
  await once(child, 'close')
  await input.close()
  await into.close()
  return readFile(output, 'latin1')
}

function environment(suite: Suite, endpoint: Endpoint, place: string, name: string): Record<string, string> {
  const { LC_ALL: _all, LANG: _lang, LANGUAGE: _language, ...rest } = cleanEnvironment()
  return {
    ...rest,
    LC_MESSAGES: 'C',
    PGAPPNAME: `pg_regress/${name}`,
    PG_ABS_SRCDIR: suite.directory,
    PG_ABS_BUILDDIR: place,
    PG_LIBDIR: suite.libraries,
    PG_DLSUFFIX: '.so',
    PGTZ: 'America/Los_Angeles',
    PGDATESTYLE: 'Postgres, MDY',
    PGOPTIONS: '-c intervalstyle=postgres_verbose',
    PGHOST: endpoint.host,
    PGPORT: String(endpoint.port),
    PGUSER: endpoint.user,
    PGPASSWORD: endpoint.password,
    PGSSLMODE: endpoint.sslmode ?? 'disable',
  }
}

/** Whether a test printed what PostgreSQL's authors expect, in any of the accepted variants. */
export async function asExpected(suite: Suite, name: string, output: string): Promise<boolean> {
  for (const variant of ['', ...Array.from({ length: 10 }, (_, n) => `_${n}`)]) {
    const file = join(suite.directory, 'expected', `${name}${variant}.out`)
    const text = await readFile(file, 'latin1').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === output) return true
  }
  return false
}
