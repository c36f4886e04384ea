/** Drivers that do what a test tells them while it looks on, each a program of its own, all alike from here. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { PSQL_18 } from '../../tools/system.ts'
import { cleanEnvironment } from '../support/process.ts'
import { eventually } from '../support/wait.ts'

const JDBC = '/usr/share/java/postgresql.jar'
const path = (name: string) => fileURLToPath(new URL(`clients/${name}`, import.meta.url))

const PROGRAMS = {
  psql: [PSQL_18, '-XAt', '-v', 'VERBOSITY=verbose'],
  'node-postgres': [process.execPath, path('told-node-postgres.ts')],
  'postgres.js': [process.execPath, path('told-postgres-js.ts')],
  psycopg2: ['/usr/bin/python3', path('told_psycopg2.py')],
  'psycopg 3': ['/usr/bin/python3', path('told_psycopg3.py')],
  pgjdbc: ['java', '-cp', JDBC, path('ToldPgjdbc.java')],
} as const satisfies Readonly<Record<string, readonly [string, ...string[]]>>

export type ToldName = keyof typeof PROGRAMS

/** What became of a statement: its rows as text, or the driver's own error. */
export type Outcome = { readonly rows: readonly (readonly string[])[] } | { code: string; message: string }

export type ToldClient = {
  /** One statement with parameters `$1` and so on. */
  run(sql: string, ...values: readonly string[]): Promise<Outcome>
  /** The first by itself; then the others at once. Gives the rows of the last, where the driver does. */
  together(first: string, ...others: readonly string[]): Promise<Outcome>
  /** Gives the running statement up, by what the driver has for that. */
  cancel(): void
  /** What it has printed besides: psql shows notices. */
  printed(): string
  /** Ends it as a killed program ends, or as one that is done. */
  end(signal?: 'SIGKILL'): Promise<void>
}

export function startTold(name: ToldName, dsn: string): ToldClient {
  const [command, ...args] = PROGRAMS[name]
  const isPsql = name === 'psql'
  const child = spawn(command, isPsql ? [...args, dsn] : args, {
    env: { ...cleanEnvironment(), SLUICE_TEST_DSN: dsn },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const out = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  child.stdin.on('error', () => undefined)
  child.on('error', (error) => (out.stderr += error.message))
  const closed = once(child, 'close')
  const tell = isPsql ? psqlTeller(child, out) : lineTeller(child, out)
  const client: ToldClient = {
    ...tell,
    printed: () => out.stderr,
    async end(signal) {
      if (signal === undefined) child.stdin.end()
      else child.kill(signal)
      await closed
    },
  }
  return client
}

type Output = { readonly stdout: string; readonly stderr: string }
type Teller = Pick<ToldClient, 'run' | 'together' | 'cancel'>

function hasEnded(child: ChildProcessWithoutNullStreams): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

/** A line each way: see clients/told.ts. */
function lineTeller(child: ChildProcessWithoutNullStreams, out: Output): Teller {
  let told = 0
  const ready = answer(0)
  function answer(id: number): Promise<Outcome> {
    return eventually(
      `what became of command ${id}; ${out.stderr}`,
      () => {
        if (hasEnded(child)) return { code: 'gone', message: out.stderr }
        for (const line of out.stdout.split('\n').slice(0, -1)) {
          const { id: of, ...outcome } = JSON.parse(line)
          if (of === id) return outcome
        }
        return undefined
      },
      60_000,
    )
  }
  const tell = async (...words: readonly string[]): Promise<Outcome> => {
    await ready
    const id = ++told
    child.stdin.write(`${[String(id), ...words].join('\t')}\n`)
    return await answer(id)
  }
  return {
    run: (sql, ...values) => tell('run', sql, ...values),
    together: (first, ...others) => tell('together', first, ...others),
    cancel: () => void child.stdin.write('0\tcancel\t\n'),
  }
}

/** psql reads commands as from a terminal; a mark on both of its outputs says that it has come so far. */
function psqlTeller(child: ChildProcessWithoutNullStreams, out: Output): Teller {
  let told = 0
  const tell = async (text: string): Promise<Outcome> => {
    const mark = `=== ${++told} ===`
    const from = { stdout: out.stdout.length, stderr: out.stderr.length }
    child.stdin.write(`${text}\n\\echo ${mark}\n\\warn ${mark}\n`)
    return await eventually(
      `psql to have done ${text}, after ${out.stderr}`,
      () => {
        const [shown, said] = [out.stdout.slice(from.stdout), out.stderr.slice(from.stderr)]
        if (hasEnded(child)) return { code: 'gone', message: out.stderr }
        if (!shown.includes(mark) || !said.includes(mark)) return undefined
        const [, code = '', message = ''] = /ERROR: +(\w{5}): (.*)/.exec(said) ?? []
        const lines = shown.slice(0, shown.indexOf(mark)).split('\n').slice(0, -1)
        const rows = lines
          .filter((line) => line.includes('|') || /^\d+$/.test(line))
          .map((line) => line.split('|'))
        return code === '' ? { rows } : { code, message }
      },
      60_000,
    )
  }
  return {
    run: (sql, ...values) =>
      tell(
        values.length === 0 ? `${sql};` : `${sql} \\bind ${values.map((each) => `'${each}'`).join(' ')} \\g`,
      ),
    together: (first, ...others) =>
      tell([`${first};`, '\\startpipeline', ...others.map((sql) => `${sql};`), '\\endpipeline'].join('\n')),
    cancel: () => void child.kill('SIGINT'),
  }
}
