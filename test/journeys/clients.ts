/** The drivers people really use, each as a program that takes a DSN and prints what it saw. */
import { fileURLToPath } from 'node:url'
import { run } from '../support/process.ts'

const JDBC = '/usr/share/java/postgresql.jar'

const path = (name: string) => fileURLToPath(new URL(`clients/${name}`, import.meta.url))

export const CLIENTS = {
  'node-postgres': [process.execPath, path('node-postgres.ts')],
  'postgres.js': [process.execPath, path('postgres-js.ts')],
  Drizzle: [process.execPath, path('drizzle.ts')],
  TypeORM: [process.execPath, path('typeorm.ts')],
  // Debian's modules belong to Debian's Python, whatever `python3` on the PATH is.
  psycopg2: ['/usr/bin/python3', path('psycopg2_client.py')],
  'psycopg 3': ['/usr/bin/python3', path('psycopg3_client.py')],
  pgjdbc: ['java', '-cp', JDBC, path('Pgjdbc.java')],
} as const satisfies Readonly<Record<string, readonly [string, ...string[]]>>

export type ClientName = keyof typeof CLIENTS

export const CLIENT_NAMES = Object.keys(CLIENTS) as ClientName[]

/** Runs the steps named, or all, and returns what the program printed: `{step: what it saw}`. */
export async function runClient(
  name: ClientName,
  dsn: string,
  steps: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown>> {
  const [command, ...args] = CLIENTS[name]
  const done = await run(command, [...args, ...steps], {
    env: { SLUICE_TEST_DSN: dsn, ...env },
    msMax: 100_000,
  })
  if (done.code !== 0) throw new Error(`${name} ended with ${done.code}: ${done.stderr}\n${done.stdout}`)
  return JSON.parse(done.stdout)
}
