/**
 * Published attacks that are more than a statement, each by the name of its row: they need bytes, a second session, a
 * large message or a transaction. Those that are statements are in techniques/ and attacks.live.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Message, Target } from '../differential/raw-client.ts'
import {
  bind,
  closeNamed,
  describe as describeMessage,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from '../differential/raw-client.ts'
import type { World } from './world.ts'
import { marksIn, startWorld, targetOf } from './world.ts'

describe('P-02 never clear: published attacks', () => {
  let world: World
  let builder: Target
  let agent: Target

  beforeAll(async () => {
    world = await startWorld()
    builder = targetOf(await world.gateway.dsn('crm-super', 'builder'))
    agent = targetOf(await world.gateway.dsn('crm', 'support-agent'))
  }, 120_000)

  afterAll(async () => {
    await world.stop()
  })

  /** Sends these and gives back all that came, with what came unasked. */
  async function told(
    target: Target,
    ...parts: readonly { bytes: Buffer; readies: number }[]
  ): Promise<Message[]> {
    const { client, greeting } = await RawClient.open(target)
    const seen = [...greeting]
    try {
      for (const { bytes, readies } of parts) {
        client.write(bytes)
        seen.push(...(await client.readUntilReady(readies)))
        if (seen.at(-1)?.type !== 'Z') break
      }
      return [...seen, ...client.unread()]
    } finally {
      await client.close()
    }
  }
  const simple = (...texts: string[]) => texts.map((text) => ({ bytes: query(text), readies: 1 }))
  const marks = (messages: readonly Message[]) => marksIn(Buffer.concat(messages.map(({ body }) => body)))
  const types = (messages: readonly Message[]) => messages.map(({ type }) => type).join('')
  const rows = (messages: readonly Message[]) => messages.filter(({ type }) => type === 'D').length
  const stateOf = (messages: readonly Message[]) =>
    messages.flatMap(({ type, body }) =>
      type === 'E' ? [/\0C(\w{5})/.exec(`\0${body.toString('latin1')}`)?.[1]] : [],
    )

  test.each(['email', 'phone', 'name', 'tags, email', 'id, email, plan', '*'])(
    'A-12 and hoop 3.9: binary results of some columns: %s',
    async (list) => {
      for (const table of ['customers', 'customers c']) {
        const sql = `SELECT ${list} FROM ${table}`
        const seen = await told(builder, {
          bytes: Buffer.concat([
            parse('', sql),
            bind('', '', [], 1),
            describeMessage('P', ''),
            execute(''),
            sync(),
          ]),
          readies: 1,
        })
        expect(marks(seen)).toEqual([])
        expect(rows(seen)).toBeGreaterThan(0)
      }
    },
  )

  test('A-12 binary numbers', async () => {
    const seen = await told(builder, {
      bytes: Buffer.concat([
        parse('', 'SELECT salary FROM employees'),
        bind('', '', [], 1),
        execute(''),
        sync(),
      ]),
      readies: 1,
    })
    // 48151623.xx in groups of four digits.
    const group = Buffer.from([4815 >> 8, 4815 & 255, 1623 >> 8, 1623 & 255])
    expect(Buffer.concat(seen.map(({ body }) => body)).includes(group)).toBe(false)
    expect(marks(seen)).toEqual([])
  })

  test('A-15 leaving read-only mode: what an agent may not write stays unwritten however it begins', async () => {
    const before = await world.server.sql(
      "SELECT count(*) AS n FROM customers WHERE plan = 'free'",
      [],
      'crm',
    )
    for (const start of [
      'COMMIT; BEGIN READ WRITE',
      'SET TRANSACTION READ WRITE',
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
      "SELECT set_config('transaction_read_only', 'off', false)",
      'BEGIN',
    ])
      await told(
        agent,
        ...simple(
          start,
          "UPDATE customers SET plan = 'free'",
          "SELECT 1; UPDATE customers SET plan = 'free'",
        ),
      )
    const after = await world.server.sql("SELECT count(*) AS n FROM customers WHERE plan = 'free'", [], 'crm')
    expect(after).toEqual(before)
  })

  test.each(['GBK', 'SJIS', 'BIG5', 'LATIN1', 'SQL_ASCII', 'UHC'])(
    'A-21 client encoding %s',
    async (encoding) => {
      const { client, greeting } = await RawClient.open(builder, { client_encoding: encoding })
      try {
        const seen = [...greeting]
        if (greeting.at(-1)?.type === 'Z') {
          client.write(query(`SELECT '\xbf' || email FROM customers`))
          seen.push(...(await client.readUntilReady()))
        }
        expect(marks(seen)).toEqual([])
      } finally {
        client.destroy()
      }
      const later = await told(
        builder,
        ...simple(`SET client_encoding TO '${encoding}'`, "SELECT email || '' FROM customers"),
      )
      expect(marks(later)).toEqual([])
    },
  )

  test.each(['true', 'database', 'on', '1'])('A-24 replication=%s is not spoken', async (replication) => {
    const { client, greeting } = await RawClient.open(builder, { replication })
    try {
      const seen = [...greeting]
      if (greeting.at(-1)?.type === 'Z') {
        client.write(query('IDENTIFY_SYSTEM'))
        seen.push(...(await client.readUntilReady()))
      }
      expect(seen.some(({ type }) => type === 'E')).toBe(true)
      expect(rows(seen)).toBe(0)
    } finally {
      client.destroy()
    }
  })

  test('A-26 and hoop 3.9: the function call message is not forwarded', async () => {
    const body = Buffer.from([0, 0, 0x0a, 0x40, 0, 0, 0, 1, 0, 0, 0, 10, ...Buffer.from('PG_VERSION'), 0, 0])
    const length = Buffer.alloc(4)
    length.writeInt32BE(body.length + 4)
    const seen = await told(builder, { bytes: Buffer.concat([Buffer.from('F'), length, body]), readies: 1 })
    expect(types(seen)).toContain('E')
    expect(types(seen)).not.toContain('V')
  })

  test('A-13 and peers 2.3, pipelined requests: the decision is of the statement, not of the last text seen', async () => {
    const seen = await told(builder, {
      bytes: Buffer.concat([
        parse('one', 'SELECT email FROM customers'),
        parse('two', 'SELECT id FROM customers'),
        bind('b', 'one', [], 0),
        describeMessage('P', 'b'),
        execute('b'),
        closeNamed('S', 'one'),
        parse('one', 'SELECT id FROM invoices'),
        bind('c', 'one', [], 1),
        execute('b'),
        execute('c'),
        sync(),
      ]),
      readies: 1,
    })
    expect(marks(seen)).toEqual([])
    expect(rows(seen)).toBeGreaterThan(0)
  })

  test('hoop 3.9: a statement executed again without Describe, after ReadyForQuery, stays masked', async () => {
    const again = (format: 0 | 1) => ({
      bytes: Buffer.concat([bind('', 'kept', [], format), execute(''), sync()]),
      readies: 1,
    })
    const seen = await told(
      builder,
      { bytes: Buffer.concat([parse('kept', 'SELECT id, email FROM customers'), sync()]), readies: 1 },
      again(0),
      again(1),
      ...simple('SELECT 1'),
      again(0),
      ...simple('BEGIN'),
      { bytes: Buffer.concat([bind('p', 'kept', [], 0), execute('p', 2), sync()]), readies: 1 },
      { bytes: Buffer.concat([execute('p', 2), sync()]), readies: 1 },
      { bytes: Buffer.concat([execute('p'), sync()]), readies: 1 },
    )
    expect(marks(seen)).toEqual([])
    expect(rows(seen)).toBeGreaterThan(20)
  })

  test('hoop 3.9: rows after the first 1,000 are masked as well', async () => {
    const sql = 'SELECT c.email FROM customers c, generate_series(1, 200) g ORDER BY g'
    for (const form of [simple(sql), simple(`COPY (${sql.replace(' ORDER BY g', '')}) TO STDOUT`)]) {
      const seen = await told(builder, ...form)
      expect(marks(seen)).toEqual([])
    }
    expect(rows(await told(builder, ...simple(sql)))).toBeGreaterThan(1000)
  })

  test.each([9, 17])('hoop 3.9 and peers 2.3: a statement of %i MiB is not passed unread', async (size) => {
    const padded = `SELECT upper(email) /* ${'x'.repeat(size << 20)} */ FROM customers`
    const seen = await told(builder, ...simple(padded))
    expect(marks(seen)).toEqual([])
    expect(rows(seen)).toBe(0)
  })

  test('hoop 3.9: malformed messages are not forwarded', async () => {
    for (const bytes of [
      Buffer.from([0x51, 0, 0, 0, 3]),
      Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x7f, 0, 0, 0, 4]),
      Buffer.concat([Buffer.from([0x51, 0, 0, 0, 30]), Buffer.from('SELECT email FROM customers\0x')]),
    ]) {
      const { client } = await RawClient.open(builder)
      client.write(bytes, query("SELECT email || '' FROM customers"))
      await client.closed(500)
      expect(marks(client.unread())).toEqual([])
    }
  })

  test('hoop 3.9: a refusal leaves the session as it was', async () => {
    const seen = await told(
      builder,
      ...simple("SELECT count(*) FROM customers WHERE upper(email) LIKE 'C%'", 'SELECT 42'),
    )
    expect(seen.at(-1)?.type).toBe('Z')
    expect(stateOf(seen)).toHaveLength(1)
    expect(rows(seen)).toBe(1)
  })

  test('hoop 3.9: whom the start-up packet names is not who one is', async () => {
    for (const user of ['ada', 'crm', 'postgres', `${builder.user}x`]) {
      const { client, greeting } = await RawClient.open({ ...builder, user })
      expect(greeting.some(({ type }) => type === 'E')).toBe(true)
      client.destroy()
    }
  })

  test.each([
    ['stacked', 'SELECT 1; DELETE FROM api_keys'],
    ['leading comment', '/* WHERE */ DELETE FROM api_keys'],
    ['in a CTE', 'WITH d AS (DELETE FROM api_keys RETURNING 1) SELECT 1'],
    ['the word WHERE in a comment', 'DELETE FROM api_keys -- WHERE id = 1'],
    ['WHERE true', 'DELETE FROM api_keys WHERE true'],
    ['EXPLAIN ANALYZE', 'EXPLAIN ANALYZE DELETE FROM api_keys'],
    ['in one message with BEGIN', 'BEGIN; UPDATE api_keys SET revoked = true; COMMIT'],
    ['TRUNCATE', 'TRUNCATE api_keys'],
    ['MERGE', 'MERGE INTO api_keys k USING customers c ON c.id = k.customer_id WHEN MATCHED THEN DELETE'],
    ['DO', 'DO $$BEGIN DELETE FROM api_keys; END$$'],
    ['comment for a space', 'DROP/**/TABLE api_keys'],
    ['newline comment', 'DROP --\nTABLE api_keys'],
    ['TRUNCATE without TABLE', 'TRUNCATE ONLY api_keys CASCADE'],
    ['dynamic EXECUTE', "DO $$BEGIN EXECUTE 'DR' || 'OP TABLE api_keys'; END$$"],
    ['a rule', 'CREATE RULE r AS ON SELECT TO api_keys DO INSTEAD SELECT 1'],
    ['DROP of a view', 'DROP VIEW customer_balance'],
    ['DROP of a materialised view', 'DROP MATERIALIZED VIEW IF EXISTS kept'],
    ['DROP of a function', 'DROP FUNCTION IF EXISTS owed(int)'],
    ['DROP of a foreign table', 'DROP FOREIGN TABLE IF EXISTS far'],
    ['DROP of what is owned', 'DROP OWNED BY crm_app'],
    ['DROP of a role', 'DROP ROLE IF EXISTS builder'],
  ])('A-30 and hoop 3.7: an unsafe write is held or refused when it is %s', async (_, sql) => {
    const count = async () =>
      world.server.sql('SELECT count(*) AS n, bool_or(revoked) AS r FROM api_keys', [], 'crm')
    const before = await count()
    const seen = await told(agent, ...simple(sql))
    // By the gateway: what the server says about it has been asked of the server.
    expect(stateOf(seen).length).toBeGreaterThan(0)
    expect(stateOf(seen).filter((state) => state?.startsWith('SL') !== true)).toEqual([])
    expect(await count()).toEqual(before)
  })

  test.each([
    ['the words in a text', "SELECT 'DROP TABLE api_keys; DELETE FROM api_keys' AS words"],
    ['the words in a comment', 'SELECT 1 /* DELETE FROM api_keys; TRUNCATE api_keys */'],
    ['the words as names', 'SELECT 1 AS "drop table", 2 AS "delete from"'],
    ['WHERE on the next line', 'SELECT id\nFROM customers\nWHERE\n  id = 1'],
  ])('hoop 3.7: no false alarm at %s', async (_, sql) => {
    const seen = await told(agent, ...simple(sql))
    expect(stateOf(seen)).toEqual([])
    expect(rows(seen)).toBe(1)
  })

  test.each([
    ['peers 2.3: function over the column', 'SELECT concat(email) FROM customers'],
    ['peers 2.3: double quotes as identifiers', 'SELECT "email" || \'\' FROM "customers"'],
    [
      'peers 2.3: copy into a new table, then read it',
      'CREATE TABLE taken AS SELECT email FROM customers; TABLE taken',
    ],
    ['peers 2.3: user variables', "SELECT set_config('my.v', email, false) FROM customers; SHOW my.v"],
    [
      'peers 2.3: user variables with a star',
      "SELECT set_config('my.v', c::text, false) FROM customers c; SHOW my.v",
    ],
    ['peers 2.3: prepare from a text', 'PREPARE taken AS SELECT upper(email) FROM customers; EXECUTE taken'],
    [
      'peers 2.3: a cursor fetched later',
      'DECLARE taken CURSOR FOR SELECT upper(email), email FROM customers; FETCH 5 FROM taken',
    ],
    [
      'peers 2.3: the output of a plan',
      'EXPLAIN (ANALYZE, VERBOSE) SELECT upper(email) FROM customers WHERE email = ANY (SELECT email FROM customers)',
    ],
    ['hoop 3.7: PHI columns by a star', 'SELECT * FROM customers'],
    [
      'hoop 3.7: PHI columns by an escaped identifier',
      String.raw`SELECT U&"\0065mail", U&"em\0061il" || '' FROM customers`,
    ],
    ['hoop 3.7: PHI columns by a row as JSON', 'SELECT to_json(c) FROM customers c'],
    [
      'hoop 3.9: binary large objects and files',
      "SELECT lo_from_bytea(0, convert_to(email, 'UTF8')) FROM customers; SELECT pg_read_file('PG_VERSION')",
    ],
    ['peers 2.3: types that are not strings', 'SELECT salary, salary + 1 FROM employees'],
    ['peers 2.3: a statement that does not parse', 'SELECT email FROM customers WHERE ((('],
    ['hoop 3.9: an alias does not remove the mask', 'SELECT email AS anything FROM customers'],
    ['hoop 3.9: COPY, notices and errors', 'COPY customers TO STDOUT'],
    ['hoop 3.9: query_to_xml', "SELECT query_to_xml('SELECT email FROM customers', true, true, '')"],
    ['hoop 3.11: to_char, reverse, substr', 'SELECT reverse(email), substr(email, 1, 20) FROM customers'],
    ['A-28: sleeping on a value', "SELECT CASE WHEN email LIKE 'c%' THEN pg_sleep(1) END FROM customers"],
  ])('%s', async (_, sql) => {
    const begun = performance.now()
    const seen = await told(builder, ...simple('BEGIN', sql, 'ROLLBACK'))
    expect(marks(seen)).toEqual([])
    // There are fifty customers: whoever slept slept for longer than this.
    expect(performance.now() - begun).toBeLessThan(15_000)
  })
})
