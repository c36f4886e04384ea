/** node-postgres as an application uses it. Prints what it saw as JSON; `SLUICE_TEST_DSN` says where. */
import pg from 'pg'
import type { Step } from './report.ts'
import { report, settled } from './report.ts'

const dsn = process.env['SLUICE_TEST_DSN'] ?? ''

async function withClient<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: dsn })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

function errorOf(error: unknown) {
  if (!(error instanceof pg.DatabaseError)) throw error
  const { severity, code, message, detail, hint, position, schema, table, column, constraint, where } = error
  return { severity, code, message, detail, hint, position, schema, table, column, constraint, where }
}

async function failing(client: pg.Client, text: string, values: unknown[] = []) {
  return client.query(text, values).then(
    () => 'no error',
    (error: unknown) => errorOf(error),
  )
}

const steps: Record<string, Step> = {
  simple: async () =>
    withClient(async (client) => {
      const { command, rowCount, rows, fields } = await client.query(
        'SELECT id, name FROM things ORDER BY id',
      )
      return {
        command,
        rowCount,
        rows,
        fields: fields.map(({ name, dataTypeID, tableID, columnID }) => ({
          name,
          dataTypeID,
          tableID: tableID > 0,
          columnID,
        })),
      }
    }),
  severalInOne: async () =>
    withClient(async (client) => {
      const results: unknown = await client.query(
        "SELECT 1 AS a; SELECT 'x' AS b, NULL AS c; SET application_name = 'z'; SELECT 3 AS d",
      )
      return Array.isArray(results) ? results.map(({ command, rows }) => ({ command, rows })) : results
    }),
  types: async () =>
    withClient(async (client) => {
      const { rows } = await client.query('SELECT * FROM types ORDER BY id')
      return rows.map((row) => ({ ...row, bytes: row.bytes?.toString('hex') }))
    }),
  parameters: async () =>
    withClient(async (client) => {
      const { rows } = await client.query(
        'SELECT $1::int4 AS i, $2::numeric AS n, $3::text AS t, $4::timestamptz AS at, $5::jsonb AS j, $6::int4[] AS a, $7::bytea AS b, $8::uuid AS u, $9::bool AS f, $10::text AS z',
        [
          -7,
          '12345678901234567890.5',
          'grüße 🎈',
          new Date('2024-02-29T12:34:56.789Z'),
          { a: [1, null] },
          [1, null, 3],
          Buffer.from([0, 1, 255]),
          '6f1c1f5e-8d3b-4a52-9a70-0f2a5a4c9f10',
          true,
          null,
        ],
      )
      return rows.map((row) => ({ ...row, b: row.b.toString('hex') }))
    }),
  prepared: async () =>
    withClient(async (client) => {
      const seen: unknown[] = []
      for (const id of [1, 2, 3, 99]) {
        const { rows } = await client.query({
          name: 'thing-by-id',
          text: 'SELECT name FROM things WHERE id = $1',
          values: [id],
        })
        seen.push(rows)
      }
      const { rows } = await client.query(
        'SELECT name, statement, parameter_types::text FROM pg_prepared_statements',
      )
      return { seen, prepared: rows }
    }),
  transactions: async () =>
    withClient(async (client) => {
      const count = async () => (await client.query('SELECT count(*)::int AS n FROM scratch')).rows[0].n
      await client.query('DELETE FROM scratch')
      await client.query('BEGIN')
      await client.query('INSERT INTO scratch VALUES ($1, $2)', [1, 'kept?'])
      const inside = await count()
      await client.query('ROLLBACK')
      const afterRollback = await count()
      await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
      await client.query("INSERT INTO scratch VALUES (2, 'two')")
      await client.query('SAVEPOINT s')
      const failure = await failing(client, 'INSERT INTO scratch VALUES (2, NULL)')
      const aborted = await failing(client, 'SELECT 1')
      await client.query('ROLLBACK TO SAVEPOINT s')
      await client.query('RELEASE s')
      await client.query("INSERT INTO scratch VALUES (3, 'three')")
      const { command } = await client.query('COMMIT')
      await client.query('BEGIN')
      await failing(client, 'SELECT 1/0')
      const failedCommit = await client.query('COMMIT')
      return {
        inside,
        afterRollback,
        failure,
        aborted,
        command,
        failedCommit: failedCommit.command,
        left: await count(),
      }
    }),
  portalInBatches: async () =>
    withClient(async (client) => {
      // `rows` makes node-postgres ask for 50 at a time: Execute with a limit, PortalSuspended, Execute again.
      const config = {
        text: 'SELECT g, repeat($1, 100) AS filler FROM generate_series(1, 1234) AS g',
        values: ['x'],
        rows: 50,
      }
      const query = new pg.Query(config)
      const result = await new Promise<{ rows: { g: number }[] }>((resolve, reject) => {
        query.on('row', (row, partial) => partial?.addRow(row))
        query.on('end', resolve)
        query.on('error', reject)
        client.query(query)
      })
      return { rows: result.rows.length, sum: result.rows.reduce((sum, { g }) => sum + g, 0) }
    }),
  sqlCursor: async () =>
    withClient(async (client) => {
      await client.query('BEGIN')
      await client.query('DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 10) AS g')
      await client.query('COMMIT')
      const forward = (await client.query('FETCH FORWARD 3 FROM c')).rows
      const last = (await client.query('FETCH LAST FROM c')).rows
      const back = await client.query('FETCH BACKWARD 2 FROM c')
      await client.query('CLOSE c')
      return {
        forward,
        last,
        back: back.rows,
        command: back.command,
        closed: await failing(client, 'FETCH c'),
      }
    }),
  errors: async () =>
    withClient(async (client) => ({
      syntax: await failing(client, 'SELEC 1'),
      column: await failing(client, 'SELECT id,\n  nothere FROM things'),
      unique: await failing(client, 'INSERT INTO things (id, name) VALUES ($1, $2)', [1, 'again']),
      notNull: await failing(client, 'INSERT INTO things (id) VALUES (1000)'),
      foreign: await failing(client, 'INSERT INTO parts (id, thing_id) VALUES (4, 4711)'),
      raised: await failing(client, 'SELECT complain($1)', ['loudly']),
      cast: await failing(client, 'SELECT $1::int', ['seven']),
      overflow: await failing(client, 'SELECT 2147483647 + 1'),
      usable: (await client.query('SELECT 1 AS n')).rows,
    })),
  notices: async () =>
    withClient(async (client) => {
      const notices: unknown[] = []
      client.on('notice', ({ severity, code, message, detail, hint, where }) =>
        notices.push({ severity, code, message, detail, hint, where }),
      )
      await client.query('SELECT mention($1)', ['hello'])
      await client.query('DROP TABLE IF EXISTS never_there')
      return notices
    }),
  listen: async () =>
    withClient(async (listener) => {
      const heard = new Promise((resolve) =>
        listener.once('notification', ({ channel, payload }) => resolve({ channel, payload })),
      )
      await listener.query('LISTEN news')
      await withClient(async (client) => client.query("SELECT pg_notify('news', $1)", ['paper']))
      return heard
    }),
  pipelined: async () =>
    withClient(async (client) => {
      // Sent without waiting; node-postgres queues them, the answers must come back in order.
      const all = await Promise.all([
        client.query('SELECT 1 AS n'),
        failing(client, 'SELECT 1/0'),
        client.query('SELECT $1::int AS n', [3]),
      ])
      return all.map((each) => (typeof each === 'object' && 'rows' in each ? each.rows : each))
    }),
  large: async () =>
    withClient(async (client) => {
      const value = 'ä'.repeat(1_500_000)
      const { rows } = await client.query(
        'SELECT $1::text AS back, md5($1) AS md5, octet_length($1) AS bytes',
        [value],
      )
      return { same: rows[0].back === value, md5: rows[0].md5, bytes: rows[0].bytes }
    }),
  manyRows: async () =>
    withClient(async (client) => {
      const { rows } = await client.query('SELECT g, md5(g::text) AS h FROM generate_series(1, 50000) AS g')
      return { rows: rows.length, last: rows.at(-1) }
    }),
  statementTimeout: async () =>
    withClient(async (client) => {
      await client.query("SET statement_timeout = '150ms'")
      const timedOut = await failing(client, 'SELECT pg_sleep(30)')
      await client.query('RESET statement_timeout')
      return { timedOut, usable: (await client.query('SELECT 1 AS n')).rows }
    }),
  cancel: async () =>
    withClient(async (client) => {
      const sleeping = failing(client, 'SELECT pg_sleep(30)')
      setTimeout(() => {
        // node-postgres has no public cancel: this is what its own pool and helpers send, on a connection of its own.
        const other = new pg.Client({ connectionString: dsn })
        Reflect.apply(Reflect.get(other, 'cancel'), other, [client, Reflect.get(client, '_activeQuery')])
      }, 300)
      const canceled = await sleeping
      await settled()
      return { canceled, usable: (await client.query('SELECT 1 AS n')).rows }
    }),
  pool: async () => {
    const pool = new pg.Pool({ connectionString: dsn, max: 3 })
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => (await pool.query('SELECT $1::int AS n', [n])).rows[0].n),
    )
    await pool.end()
    return answers
  },
}

/** Against the sample company with its rules. Only when asked for by name. */
const guarded: Step = async () =>
  withClient(async (client) => {
    const text = 'SELECT id, email, phone FROM customers WHERE id = $1'
    const masked = await client.query({
      text: 'SELECT id, email, phone FROM customers ORDER BY id LIMIT 2',
      rowMode: 'array',
    })
    const prepared: unknown[] = []
    for (const id of [1, 2, 1])
      prepared.push((await client.query({ name: 'one', text, values: [id], rowMode: 'array' })).rows[0])
    const refused = await failing(client, 'DROP TABLE customers')
    const filtered = await failing(client, 'SELECT id FROM customers WHERE email LIKE $1', ['a%'])
    await client.query('BEGIN')
    const inside = await failing(client, 'DROP TABLE customers')
    const after = await failing(client, 'SELECT 1')
    await client.query('ROLLBACK')
    return {
      masked: masked.rows,
      prepared,
      refused,
      filtered,
      inside,
      after,
      usable: (await client.query('SELECT 1 AS n')).rows[0].n,
    }
  })

await report(process.argv.includes('guarded') ? { guarded } : steps)
