/** The drivers, each in its own way. What comes back is nobody's business here: it is read from the wire. */
import { createHash } from 'node:crypto'
import { finished } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import postgres from 'postgres'
import { run } from '../../support/process.ts'
import { psql } from '../../support/psql.ts'
import type { Operation, Parameter } from './operations.ts'

const PSYCOPG = fileURLToPath(new URL('psycopg_client.py', import.meta.url))
const RUN_MS_MAX = 300_000
const OPERATION_MS_MAX = 20_000
/** Nothing stands in front of the first message. */
const PLAIN = { PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' }

export type Driver = {
  readonly kinds: readonly [Operation['kind'], ...Operation['kind'][]]
  /** Does all of it on one connection, and ends it. */
  run(dsn: string, operations: readonly Operation[]): Promise<void>
}

export const DRIVERS: Readonly<Record<string, Driver>> = {
  psql: {
    kinds: [
      'simple',
      'cursor',
      'copyOut',
      'copyOutLong',
      'copyOutFailing',
      'copyIn',
      'copyInFailing',
      'transaction',
    ],
    async run(dsn, operations) {
      const done = await psql(dsn, operations.map(psqlText).join('\n'), ['-v', 'ON_ERROR_STOP=0'], {
        env: PLAIN,
        msMax: RUN_MS_MAX,
      })
      if (done.code !== 0) throw new Error(`psql ended with ${done.code}: ${done.stderr.slice(-2000)}`)
    },
  },
  'node-postgres': {
    kinds: [
      'simple',
      'query',
      'prepared',
      'cursor',
      'copyOut',
      'copyOutLong',
      'copyOutFailing',
      'copyIn',
      'transaction',
      'pipeline',
    ],
    async run(dsn, operations) {
      const client = new Client({ connectionString: dsn })
      await client.connect()
      for (const operation of operations) await within(operation, nodePostgres(client, operation))
      await client.end()
    },
  },
  'postgres.js': {
    // No COPY FROM and none that fails: when the server ends one, as a late cancel of a result that was cut off may, it
    // waits for ever; and behind one with long rows it hears nothing any more.
    kinds: ['simple', 'query', 'prepared', 'cursor', 'copyOut', 'pipeline', 'transaction', 'describe'],
    async run(dsn, operations) {
      const sql = postgres(dsn, { max: 1, onnotice: () => undefined, max_lifetime: null })
      const one = await sql.reserve()
      for (const operation of operations) await within(operation, postgresJs(one, operation))
      one.release()
      await sql.end({ timeout: 5 })
    },
  },
  'psycopg 3': {
    kinds: [
      'simple',
      'query',
      'prepared',
      'cursor',
      'copyOut',
      'copyOutLong',
      'copyOutFailing',
      'copyIn',
      'copyInFailing',
      'pipeline',
      'transaction',
    ],
    async run(dsn, operations) {
      const done = await run('/usr/bin/python3', [PSYCOPG], {
        env: { ...PLAIN, SLUICE_TEST_DSN: dsn },
        input: JSON.stringify(operations),
        msMax: RUN_MS_MAX,
      })
      if (done.code !== 0) throw new Error(`psycopg ended with ${done.code}: ${done.stderr.slice(-2000)}`)
    },
  },
}

function psqlText(operation: Operation): string {
  switch (operation.kind) {
    case 'simple':
      // In one message, as an application would send it.
      return `${operation.sql.replaceAll('; ', '\\; ')};`
    case 'cursor':
      return `\\set FETCH_COUNT ${operation.rows}\n${operation.sql};\n\\unset FETCH_COUNT`
    case 'copyOut':
    case 'copyOutLong':
    case 'copyOutFailing':
      return `${operation.sql};`
    case 'copyIn':
    case 'copyInFailing':
      return `${operation.sql};\n${operation.data}\\.`
    case 'transaction':
      return `BEGIN;\n${operation.statements.map((each) => `${each};`).join('\n')}\nROLLBACK;`
    default:
      throw new Error(`psql does no ${operation.kind}`)
  }
}

function valuesOf(parameters: readonly Parameter[]): (string | number | Buffer | null)[] {
  return parameters.map((each) =>
    typeof each === 'object' && each !== null ? Buffer.from(each.hex, 'hex') : each,
  )
}

/** A driver that hangs is a failed test, not a hanging one. */
async function within(operation: Operation, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const what = JSON.stringify(operation).slice(0, 500)
    timer = setTimeout(
      () => reject(new Error(`no end within ${OPERATION_MS_MAX} ms: ${what}`)),
      OPERATION_MS_MAX,
    )
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What the server or the gateway said no to is part of the exercise; anything else is a fault. */
async function attempt(work: PromiseLike<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || !/^[0-9A-Z]{5}$/.test(String(error.code)))
      throw error
  }
}

async function nodePostgres(client: Client, operation: Operation): Promise<void> {
  const query = (config: object): Promise<void> => attempt(client.query(config as { text: string }))
  switch (operation.kind) {
    case 'simple':
    case 'copyOut':
    case 'copyOutLong':
    case 'copyOutFailing':
    case 'copyIn':
      // It knows COPY only to say no to it.
      return query({ text: operation.sql })
    case 'query':
      return query({
        text: operation.sql,
        values: valuesOf(operation.parameters),
        binary: operation.binary,
        queryMode: 'extended',
      })
    case 'prepared':
      return query({
        // One name for one text, as it demands.
        name: createHash('sha256').update(operation.sql).digest('hex').slice(0, 40),
        text: operation.sql,
        values: valuesOf(operation.parameters),
      })
    case 'cursor':
      return query({ text: operation.sql, rows: operation.rows, queryMode: 'extended' })
    case 'pipeline':
      await Promise.all(
        operation.each.map(({ sql, parameters }) => query({ text: sql, values: valuesOf(parameters) })),
      )
      return
    case 'transaction':
      for (const text of ['BEGIN', ...operation.statements, 'ROLLBACK']) await query({ text })
      return
    default:
      throw new Error(`node-postgres does no ${operation.kind}`)
  }
}

async function postgresJs(sql: postgres.ReservedSql, operation: Operation): Promise<void> {
  switch (operation.kind) {
    case 'simple':
      return attempt(sql.unsafe(operation.sql).simple())
    case 'query':
      return attempt(sql.unsafe(operation.sql, valuesOf(operation.parameters), { prepare: false }))
    case 'prepared':
      return attempt(sql.unsafe(operation.sql, valuesOf(operation.parameters), { prepare: true }))
    case 'cursor':
      return attempt(sql.unsafe(operation.sql).cursor(operation.rows, () => undefined))
    case 'copyOut':
      return attempt(
        sql
          .unsafe(operation.sql)
          .readable()
          .then(async (stream) => {
            stream.resume()
            await finished(stream)
          }),
      )
    case 'pipeline':
      await Promise.all(
        operation.each.map(({ sql: text, parameters }) => attempt(sql.unsafe(text, valuesOf(parameters)))),
      )
      return
    case 'transaction':
      for (const text of ['BEGIN', ...operation.statements, 'ROLLBACK'])
        await attempt(sql.unsafe(text).simple())
      return
    case 'describe':
      return attempt(sql.unsafe(operation.sql).describe())
    default:
      throw new Error(`postgres.js does no ${operation.kind}`)
  }
}
