/** postgres.js as an application uses it: implicit pipelining, COPY streams, cursors, LISTEN. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import type { Step } from './report.ts'
import { report, settled } from './report.ts'

const dsn = process.env['SLUICE_TEST_DSN'] ?? ''

async function withSql<T>(
  use: (sql: postgres.Sql) => Promise<T>,
  options: postgres.Options<Record<string, never>> = {},
): Promise<T> {
  const sql = postgres(dsn, { max: 1, onnotice: () => undefined, ...options })
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function errorOf(error: unknown) {
  if (!(error instanceof postgres.PostgresError)) throw error
  const {
    severity,
    code,
    message,
    detail,
    hint,
    position,
    schema_name,
    table_name,
    column_name,
    constraint_name,
  } = error
  return {
    severity,
    code,
    message,
    detail,
    hint,
    position,
    schema_name,
    table_name,
    column_name,
    constraint_name,
  }
}

async function failing(query: PromiseLike<unknown>) {
  return Promise.resolve(query).then(
    () => 'no error',
    (error: unknown) => errorOf(error),
  )
}

const steps: Record<string, Step> = {
  tagged: async () =>
    withSql(async (sql) => {
      const result = await sql`SELECT id, name FROM things WHERE id < ${3} ORDER BY id`
      return {
        rows: [...result],
        command: result.command,
        count: result.count,
        columns: result.columns.map(({ name, type }) => ({ name, type })),
      }
    }),
  unprepared: async () =>
    withSql(async (sql) => [...(await sql`SELECT ${'x'}::text AS t, ${5}::int AS i`)], { prepare: false }),
  simple: async () => withSql(async (sql) => sql`SELECT 1 AS a; SELECT 2 AS b`.simple()),
  types: async () =>
    withSql(async (sql) =>
      (await sql`SELECT * FROM types ORDER BY id`).map((row) => ({
        ...row,
        bytes: row['bytes']?.toString('hex'),
      })),
    ),
  helpers: async () =>
    withSql(async (sql) => {
      await sql`DELETE FROM scratch`
      const rows = [
        { id: 1, note: 'one' },
        { id: 2, note: 'zwei' },
      ]
      const inserted = await sql`INSERT INTO scratch ${sql(rows)} RETURNING *`
      const found = await sql`SELECT * FROM scratch WHERE id IN ${sql([2, 3])}`
      const updated = await sql`UPDATE scratch SET ${sql({ note: 'un' })} WHERE id = 1`
      return { inserted, found, updated: updated.count, command: updated.command }
    }),
  transactions: async () =>
    withSql(async (sql) => {
      await sql`DELETE FROM scratch`
      const undone = await sql
        .begin(async (tx) => {
          await tx`INSERT INTO scratch VALUES (1, 'a')`
          throw new Error('on purpose')
        })
        .catch((error: unknown) => String(error))
      const afterRollback = await sql`SELECT count(*)::int AS n FROM scratch`
      await sql.begin(async (tx) => {
        await tx`INSERT INTO scratch VALUES (2, 'b')`
        await tx
          .savepoint(async (inner) => {
            await inner`INSERT INTO scratch VALUES (3, 'c')`
            throw new Error('inner')
          })
          .catch(() => undefined)
        await tx`INSERT INTO scratch VALUES (4, 'd')`
      })
      return { undone, afterRollback, left: await sql`SELECT id FROM scratch ORDER BY id` }
    }),
  pipelined: async () =>
    withSql(async (sql) => {
      const queries = Array.from({ length: 50 }, (_, n) =>
        n === 20 ? failing(sql`SELECT 1 / ${0}::int`) : sql`SELECT ${n}::int AS n`,
      )
      return (await Promise.all(queries)).map((each) => (Array.isArray(each) ? each[0] : each))
    }),
  cursor: async () =>
    withSql(async (sql) => {
      const sizes: number[] = []
      await sql`SELECT g FROM generate_series(1, 105) AS g`.cursor(25, (rows) => {
        sizes.push(rows.length)
      })
      const early: unknown[] = []
      for await (const [row] of sql`SELECT g FROM generate_series(1, 1000000) AS g`.cursor()) {
        early.push(row)
        if (early.length === 3) break
      }
      return { sizes, early, usable: await sql`SELECT 1 AS n` }
    }),
  forEach: async () =>
    withSql(async (sql) => {
      let sum = 0
      await sql`SELECT g FROM generate_series(1, 2000) AS g`.forEach((row) => {
        sum += row['g']
      })
      return sum
    }),
  copy: async () =>
    withSql(async (sql) => {
      await sql`DELETE FROM scratch`
      const lines = Array.from({ length: 3000 }, (_, n) => `${n}\tline ${n}\n`)
      await pipeline(Readable.from(lines), await sql`COPY scratch FROM STDIN`.writable())
      const back: Buffer[] = []
      for await (const chunk of await sql`COPY (SELECT * FROM scratch ORDER BY id) TO STDOUT`.readable())
        back.push(Buffer.from(chunk))
      return {
        same: Buffer.concat(back).toString() === lines.join(''),
        rows: await sql`SELECT count(*)::int AS n FROM scratch`,
      }
    }),
  errors: async () =>
    withSql(async (sql) => ({
      syntax: await failing(sql.unsafe('SELEC 1')),
      unique: await failing(sql`INSERT INTO things (id, name) VALUES (${1}, ${'again'})`),
      raised: await failing(sql`SELECT complain(${'loudly'})`),
      usable: await sql`SELECT 1 AS n`,
    })),
  notices: async () => {
    const seen: unknown[] = []
    await withSql(async (sql) => sql`SELECT mention(${'hello'})`, {
      onnotice: ({ severity, code, message, detail, hint }) =>
        seen.push({ severity, code, message, detail, hint }),
    })
    return seen
  },
  parameterStatus: async () => {
    const seen: string[] = []
    await withSql(
      async (sql) => {
        await sql`SET TimeZone = 'Europe/Berlin'`
        await sql`SET DateStyle = 'German'`
      },
      { onparameter: (name, value) => seen.push(`${name}=${value}`) },
    )
    return seen
      .filter((each) =>
        /^(TimeZone|DateStyle|server_version|client_encoding|standard_conforming_strings|integer_datetimes)=/.test(
          each,
        ),
      )
      .sort()
  },
  listen: async () =>
    withSql(async (sql) => {
      const { promise, resolve } = Promise.withResolvers<string>()
      const subscription = await sql.listen('news', resolve)
      await sql.notify('news', 'paper')
      const heard = await promise
      await subscription.unlisten()
      return heard
    }),
  cancel: async () =>
    withSql(async (sql) => {
      const sleeping = sql`SELECT pg_sleep(30)`
      const outcome = failing(sleeping)
      setTimeout(() => sleeping.cancel(), 300)
      const canceled = await outcome
      await settled()
      return { canceled, usable: await sql`SELECT 1 AS n` }
    }),
}

/** Against the sample company with its rules. Only when asked for by name. */
const guarded: Step = async () =>
  withSql(async (sql) => {
    const masked = await sql`SELECT id, email, phone FROM customers ORDER BY id LIMIT 2`.values()
    const prepared: unknown[] = []
    for (const id of [1, 2, 1])
      prepared.push(...(await sql`SELECT id, email, phone FROM customers WHERE id = ${id}`.values()))
    const refused = await failing(sql`DROP TABLE customers`)
    const filtered = await failing(sql`SELECT id FROM customers WHERE email LIKE ${'a%'}`)
    await sql.unsafe('BEGIN')
    const inside = await failing(sql`DROP TABLE customers`)
    const after = await failing(sql`SELECT 1`)
    await sql.unsafe('ROLLBACK')
    const [last] = await sql`SELECT 1 AS n`
    return { masked: [...masked], prepared, refused, filtered, inside, after, usable: last?.['n'] }
  })

await report(process.argv.includes('guarded') ? { guarded } : steps)
