import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'

/**
 * What a session changes for itself (cursors, prepared statements, temporary relations, search path, role), followed as
 * a real server has it: ordinary work goes on, and what is protected stays so in every turn of it.
 */

const PASSWORD = 'session-role-password'
const MARK = 'qzvmark'
const SCHEMA = `
CREATE TABLE customers (id int PRIMARY KEY, email text, plan text);
INSERT INTO customers SELECT i, '${MARK}' || i || '@example.com', 'plan ' || i % 3 FROM generate_series(1, 250) i;
CREATE TABLE numbers (n int);
INSERT INTO numbers SELECT generate_series(1, 250);
CREATE SCHEMA tenant;
CREATE TABLE tenant.customers (id int, email text);
INSERT INTO tenant.customers VALUES (1, 'tenant@example.com');
CREATE TABLE turned (email text, back text GENERATED ALWAYS AS (reverse(email)) STORED, said text GENERATED ALWAYS AS (upper(email)) STORED);
INSERT INTO turned (email) SELECT email FROM customers WHERE id < 4;
CREATE VIEW turned_list AS SELECT back AS line, said FROM turned;
CREATE SCHEMA hidden;
CREATE TABLE hidden.customers (id int, email text);
CREATE ROLE other;
GRANT other TO worker;
GRANT USAGE ON SCHEMA public, tenant TO worker, other;
GRANT SELECT ON ALL TABLES IN SCHEMA public, tenant TO worker, other;
GRANT CREATE ON SCHEMA public TO worker;
`

describe.each(MAJORS)('a session on PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
    await server.role('worker', PASSWORD)
    const client = await server.client()
    await client.query(SCHEMA)
    await client.end()
    const upstream = { server, user: 'worker', databases: ['postgres'] }
    gateway = await startGateway({
      config: allowAll({ plain: upstream, crm: upstream })
        .replace('see: all, filter: all, ', '')
        .replace('connections:', 'labels:\n  pii.email: { mask: { kind: partial, of: email } }\nconnections:')
        .replace(
          /( {2}crm:[\s\S]*?tagApplicationName: false)/,
          '$1\n    labels: { public.customers.email: pii.email, public.turned.email: pii.email, public.turned.said: pii.email }',
        ),
      env: { [UPSTREAM_PASSWORD]: PASSWORD },
    })
    later(() => gateway.stop())
  })

  async function connected<T>(connection: string, work: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ connectionString: await gateway.dsn(connection, TEST_IDENTITY) })
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }

  async function refusal(work: Promise<unknown>): Promise<string> {
    const error: unknown = await work.then(
      () => 'it ran',
      (reason: unknown) => reason,
    )
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }

  const column = (rows: readonly Record<string, unknown>[], name: string): unknown[] =>
    rows.map((row) => row[name])

  test.each(['plain', 'crm'])('psql with FETCH_COUNT reads all of it: %s', async (connection) => {
    const dsn = await gateway.dsn(connection, TEST_IDENTITY)
    const input = 'SELECT n FROM numbers ORDER BY n;\nSELECT id, email FROM customers;\n'
    const { stdout, stderr, code } = await psql(dsn, input, ['-At', '-v', 'FETCH_COUNT=30'])
    expect(code).toBe(0)
    expect(stderr).toMatch(
      connection === 'crm' ? /^NOTICE: {2}Masked in [^\n]*\nDETAIL[^\n]*\nHINT[^\n]*\n$/ : /^$/,
    )
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(500)
    expect(lines[249]).toBe('250')
    expect(lines[250]).toBe(connection === 'crm' ? '1|q***@example.com' : `1|${MARK}1@example.com`)
    expect(stdout.includes(MARK)).toBe(connection === 'plain')
  })

  test.each(['plain', 'crm'])('named cursors as drivers use them: %s', async (connection) => {
    const seen = await connected(connection, async (client) => {
      await client.query('BEGIN')
      await client.query('DECLARE "curs_1" CURSOR FOR SELECT id, email FROM customers WHERE id > $1', [10])
      const first = await client.query('FETCH FORWARD 5 FROM "curs_1"')
      await client.query('MOVE FORWARD 5 FROM "curs_1"')
      const second = await client.query({ text: 'FETCH FORWARD 5 FROM "curs_1"', values: [] })
      await client.query('CLOSE "curs_1"')
      await client.query('DECLARE "kept" NO SCROLL CURSOR WITH HOLD FOR SELECT n FROM numbers ORDER BY n')
      await client.query('COMMIT')
      const third = await client.query('FETCH 2 FROM "kept"')
      return [
        column(first.rows, 'id'),
        column(second.rows, 'id'),
        column(third.rows, 'n'),
        [first.rows[0]?.email],
      ]
    })
    expect(seen).toEqual([
      [11, 12, 13, 14, 15],
      [21, 22, 23, 24, 25],
      [1, 2],
      [connection === 'crm' ? 'q***@example.com' : `${MARK}11@example.com`],
    ])
  })

  test('PREPARE and EXECUTE are masked, survive a rollback and are one name with the protocol (P-02)', async () => {
    await connected('crm', async (client) => {
      await client.query('BEGIN')
      await client.query('PREPARE p (int) AS SELECT email FROM customers WHERE id = $1')
      await client.query('ROLLBACK')
      expect((await client.query('EXECUTE p (3)')).rows).toEqual([{ email: 'q***@example.com' }])
      await client.query({ name: 'q', text: 'SELECT email FROM customers WHERE id = 4' })
      expect((await client.query('EXECUTE q')).rows).toEqual([{ email: 'q***@example.com' }])
      await client.query('DEALLOCATE ALL')
      expect(await refusal(client.query('EXECUTE p (3)'))).toBe('SL001')
    })
  })

  test('temporary and uncommitted relations are its own', async () => {
    await connected('crm', async (client) => {
      await client.query('CREATE TEMP TABLE picked AS SELECT n FROM numbers WHERE n < 4')
      expect((await client.query('SELECT * FROM picked')).rows).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
      const joined = await client.query(
        'SELECT c.id, c.email FROM customers c JOIN picked ON picked.n = c.id',
      )
      expect(joined.rows[0]).toEqual({ id: 1, email: 'q***@example.com' })
      await client.query('CREATE TEMP VIEW few AS SELECT n FROM numbers WHERE n < 3')
      expect((await client.query('SELECT count(*)::int AS n FROM few')).rows).toEqual([{ n: 2 }])
      await client.query('BEGIN')
      await client.query('CREATE TABLE fresh (a int)')
      await client.query('INSERT INTO fresh VALUES (7)')
      await client.query('SAVEPOINT s')
      await client.query('CREATE TEMP TABLE gone (a int)')
      await client.query('ROLLBACK TO s')
      expect((await client.query('SELECT a FROM fresh')).rows).toEqual([{ a: 7 }])
      await client.query('ROLLBACK')
      for (const name of ['fresh', 'gone'])
        expect(await refusal(client.query(`SELECT * FROM ${name}`))).toBe('SL001')
      for (const text of [
        'CREATE TEMP TABLE customers (id int, email text)',
        'CREATE TEMP TABLE leak AS SELECT email FROM customers',
        'CREATE TEMP VIEW leak AS SELECT email FROM customers',
        'SELECT email INTO TEMP leak FROM customers',
      ])
        expect(await refusal(client.query(text)), text).toBe('SL001')
    })
  })

  test('search path and role are followed, whoever they lead to (P-02)', async () => {
    const READ = 'SELECT email FROM customers ORDER BY id LIMIT 1'
    await connected('crm', async (client) => {
      const read = async (): Promise<unknown> => (await client.query(READ)).rows[0]?.email
      expect(await read()).toBe('q***@example.com')
      await client.query('SET search_path = tenant, public')
      expect(await read()).toBe('tenant@example.com')
      await client.query('BEGIN')
      await client.query('SET LOCAL search_path = public')
      expect(await read()).toBe('q***@example.com')
      await client.query('ROLLBACK')
      expect(await read()).toBe('tenant@example.com')
      // The role may not use that schema: the server passes over it.
      await client.query('SET search_path = hidden, public')
      expect(await read()).toBe('q***@example.com')
      await client.query('SET ROLE other')
      expect(await read()).toBe('q***@example.com')
      await client.query('DISCARD ALL')
      expect(await read()).toBe('q***@example.com')
      await client.query("SELECT pg_catalog.set_config('search_path', '', false)")
      expect(await refusal(client.query(READ))).toBe('SL001')
      expect((await client.query('SELECT email FROM public.customers LIMIT 1')).rows[0]?.email).toBe(
        'q***@example.com',
      )
      await client.query("SET app.tenant = '7'")
      expect((await client.query("SELECT current_setting('app.tenant') AS t")).rows).toEqual([{ t: '7' }])
    })
  })

  test('a path is read as the server reads it, white space beyond ASCII and all (P-02)', async () => {
    const connectionString = await gateway.dsn('crm', TEST_IDENTITY)
    const read = async (code: number, options: string, set?: string): Promise<void> => {
      const client = new Client({ connectionString, options })
      client.on('error', () => undefined)
      let told = ''
      try {
        await client.connect()
        if (set !== undefined) await client.query(set).catch((error: unknown) => void (told += String(error)))
        const { rows } = await client.query('SELECT email FROM customers ORDER BY id LIMIT 1')
        told += JSON.stringify(rows)
      } catch (error) {
        told += String(error)
      } finally {
        await client.end().catch(() => undefined)
      }
      expect(told, code.toString(16)).not.toContain(MARK)
      expect(told, code.toString(16)).not.toBe('')
    }
    for (const code of [0x0b, 0x85, 0xa0, 0x2003, 0x2028, 0x3000, 0xfeff]) {
      const odd = String.fromCodePoint(code)
      await read(code, `-c search_path=tenant${odd},public`)
      await read(code, '', `SELECT set_config('search_path', 'tenant${odd}, public', false)`)
      await read(code, '', `SELECT set_config('search_path', '${odd}tenant, public', false)`)
    }
  })

  test('what is generated from a protected column is hidden whole, but for what has a label of its own (P-02)', async () => {
    await connected('crm', async (client) => {
      const shown = async (text: string): Promise<unknown> =>
        (await client.query({ text, rowMode: 'array' })).rows
      expect(await shown('SELECT email, back, said FROM turned LIMIT 1')).toEqual([
        ['q***@example.com', '[masked]', 'Q***@EXAMPLE.COM'],
      ])
      expect(await shown('SELECT * FROM turned_list LIMIT 1')).toEqual([['[masked]', 'Q***@EXAMPLE.COM']])
      expect(await shown('SELECT back FROM (SELECT * FROM turned) t LIMIT 1')).toEqual([['[masked]']])
      const told = await shown(`SELECT "column", shown FROM sluice.masked_columns`)
      expect(told).toContainEqual(['back', 'hidden whole'])
    })
  })

  test('a schema of the name of the role, made later, is where its names are from then on (P-02)', async () => {
    await connected('crm', async (client) => {
      expect((await client.query('SELECT n FROM numbers LIMIT 1')).rows).toEqual([{ n: 1 }])
      await server.sql(`CREATE SCHEMA worker`)
      await server.sql(`CREATE VIEW worker.numbers AS SELECT email AS n FROM public.customers`)
      await server.sql('GRANT USAGE ON SCHEMA worker TO worker; GRANT SELECT ON worker.numbers TO worker')
      try {
        // At once, before anybody has looked; and when it is known.
        for (let i = 0; i < 30; i++) {
          const rows = await client.query('SELECT n FROM numbers LIMIT 3').then(
            (result) => result.rows,
            (error: unknown) => String(error),
          )
          expect(JSON.stringify(rows)).not.toContain(MARK)
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      } finally {
        await server.sql('DROP SCHEMA worker CASCADE')
      }
    })
  })
})
