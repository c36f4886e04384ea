/** An approval for a number of changed rows: with more or fewer nothing stands. Through psql and node-postgres, on a real server. */
import { beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  describe as describeNamed,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from '../differential/raw-client.ts'
import { targetOf } from '../abuse/world.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Shop } from './company.ts'
import { startShop } from './company.ts'

describe('J-02 data changed after approval: an approval that is bound to its effect', () => {
  const later = teardown()
  let shop: Shop

  beforeAll(async () => {
    shop = await startShop()
    later(() => shop.stop())
  }, 120_000)

  const rows = (number: number, tolerance = 0) => ({ effect: { rows: number, tolerance } })
  const stateOf = async (ticket: string) =>
    (await shop.approvals()).find((each) => each['ticket'] === ticket)?.['state']
  const answer = (ticket: string, body: Record<string, unknown>) =>
    shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, body)
  const open = async (): Promise<string[]> => {
    const { body } = await shop.api.operator('GET', '/v1/sessions?open=true')
    return (body['sessions'] as { session: string }[]).map(({ session }) => session)
  }
  const outcome = <T>(work: Promise<T>) =>
    work.then(
      (value) => ({ value, error: undefined }),
      (error: unknown) => ({ value: undefined, error: Object(error) as Record<string, string> }),
    )
  const count = async (sql: string): Promise<number> => Number((await shop.sql(sql))[0]?.['n'])

  test.each([
    ['simple', []],
    ['extended', [3]],
  ] as const)(
    '%s: runs with as many rows as approved, and the client sees its own results only',
    async (form, values) => {
      const client = await shop.client()
      const notices: string[] = []
      client.on('notice', ({ message }) => notices.push(String(message)))
      const sql = `UPDATE orders SET state = '${form}' WHERE customer = ${values.length === 0 ? 3 : '$1'} RETURNING id, state`
      const run = outcome(client.query(sql, [...values]))
      const ticket = await shop.approve(`'${form}'`, rows(3))
      const { value, error } = await run
      expect(error).toBeUndefined()
      expect(value).toMatchObject({ command: 'UPDATE', rowCount: 3 })
      expect(value?.rows).toHaveLength(3)
      expect(await count(`SELECT count(*) n FROM orders WHERE state = '${form}'`)).toBe(3)
      expect(notices.filter((each) => !each.includes(ticket))).toEqual([])
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      expect(
        (await client.query("SELECT count(*)::int n FROM pg_prepared_statements WHERE name LIKE 'sluice%'"))
          .rows,
      ).toEqual([{ n: 0 }])
    },
  )

  test.each([
    ['simple', []],
    ['extended', [5]],
  ] as const)('%s: data changed between approval and run is caught and rolled back', async (form, values) => {
    const client = await shop.client()
    const sql = `UPDATE orders SET state = 'j02 ${form}' WHERE customer = ${values.length === 0 ? 5 : '$1'}`
    const run = outcome(client.query(sql, [...values]))
    const ticket = await shop.ticketOf(`'j02 ${form}'`)
    // What the approver has looked at is not what is there any more.
    await shop.sql("INSERT INTO orders (customer, state) VALUES (5, 'one more')")
    expect((await answer(ticket, { verdict: 'approve', ...rows(form === 'simple' ? 3 : 4) })).status).toBe(
      200,
    )
    const { error } = await run
    expect(error).toMatchObject({ code: 'SL011' })
    expect(error?.['message']).toMatch(/approved for \d rows, and it would have changed \d/)
    expect(error?.['detail']).toMatch(/^Request /)
    expect(error?.['hint']).toMatch(/rolled back and its approval is used up/)
    expect(await count(`SELECT count(*) n FROM orders WHERE state LIKE 'j02%'`)).toBe(0)
    expect(await stateOf(ticket)).toBe('used')
    // The session lives on, outside of any transaction.
    expect((await client.query('SELECT pg_catalog.now() = statement_timestamp() AS fresh')).rows).toEqual([
      { fresh: true },
    ])
    const session = /Request ([^.]+)\.\d+/.exec(error?.['detail'] ?? '')?.[1] ?? ''
    const recording = await shop.api.operator('GET', `/v1/sessions/${session}`)
    expect(recording.text).toMatch(
      /approved for \d rows, changed \d \(public\.orders \d updated\): rolled back/,
    )
  })

  test('a tolerance is tolerated, and no more', async () => {
    const client = await shop.client()
    for (const [number, code] of [
      ['4', undefined],
      ['5', 'SL011'],
    ] as const) {
      const run = outcome(client.query(`UPDATE orders SET state = 'tolerant ${number}' WHERE customer = 7`))
      await shop.approve(`tolerant ${number}`, rows(Number(number), 1))
      expect((await run).error?.['code']).toBe(code)
    }
  })

  test('what cascades, triggers, deferred triggers and parts of WITH change counts', async () => {
    const client = await shop.client()
    const cases = [
      ['DELETE FROM customers WHERE id = 9', '1', '4'],
      ["UPDATE audited SET note = 'cascade' WHERE id <= 2", '2', '4'],
      ["UPDATE deferred SET note = 'waits' WHERE id <= 3", '3', '6'],
      [
        'WITH d AS (DELETE FROM orders WHERE customer = 11 RETURNING id) INSERT INTO late SELECT id FROM d LIMIT 1',
        '1',
        '4',
      ],
      ['WITH d AS (DELETE FROM orders WHERE customer = 12 RETURNING id) SELECT count(*) FROM d', '1', '3'],
      ["UPDATE parts SET part = 'b' WHERE id <= 2", '2', '4'],
    ] as const
    for (const [sql, wrong, right] of cases) {
      const refused = outcome(client.query(sql))
      await shop.approve(sql, rows(Number(wrong)))
      expect((await refused).error, sql).toMatchObject({ code: 'SL011' })
      const run = outcome(client.query(sql))
      await shop.approve(sql, rows(Number(right)))
      expect((await run).error, sql).toBeUndefined()
    }
    expect(await count("SELECT count(*) n FROM notes WHERE note = 'changed'")).toBe(5)
  })

  test('an error of the server is the client’s, and nothing stands', async () => {
    const client = await shop.client()
    for (const values of [undefined, [13]]) {
      const at = values === undefined ? '13' : '$1'
      const run = outcome(
        client.query(`INSERT INTO customers (id, email, plan) VALUES (${at}, 'x', 'error ${at}')`, values),
      )
      await shop.approve(`error ${at}`, rows(1))
      expect((await run).error).toMatchObject({ code: '23505' })
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    }
  })

  test('psql sees what it would without a gateway', async () => {
    const dsn = await shop.dsn()
    const sql = "UPDATE orders SET state = 'psql' WHERE customer = 15"
    const run = psql(dsn, `${sql};\nSELECT 7 AS seven;\n`)
    await shop.approve("'psql'", rows(3))
    const done = await run
    expect(done.stdout).toContain('UPDATE 3')
    expect(done.stdout).toContain('7')
    const refused = psql(dsn, `${sql};\nSELECT 8 AS eight;\n`)
    await shop.approve("'psql'", rows(2))
    const { stdout, stderr } = await refused
    expect(stdout).not.toContain('UPDATE')
    expect(stderr).toContain('approved for 2 rows, and it would have changed 3')
    expect(stdout).toContain('8')
  })

  test('what stands behind it in a pipeline waits, and is discarded with it', async () => {
    const { client } = await RawClient.open(targetOf(await shop.dsn()))
    const wrong = "UPDATE orders SET state = 'piped' WHERE customer = 17"
    client.write(
      Buffer.concat([
        parse('', wrong),
        bind('', '', [], 0),
        describeNamed('P', ''),
        execute(''),
        parse('', "SELECT 'behind'"),
        bind('', '', [], 0),
        execute(''),
        sync(),
        query('SELECT 41 + 1'),
      ]),
    )
    await shop.approve("'piped'", rows(99))
    const first = await client.readUntilReady()
    expect(first.map(({ type }) => type).join('')).toMatch(/^N?12nEZ$/)
    expect(first.at(-1)?.body.toString()).toBe('I')
    const second = await client.readUntilReady()
    expect(second.map(({ type }) => type).join('')).toBe('TDCZ')
    expect(await count("SELECT count(*) n FROM orders WHERE state = 'piped'")).toBe(0)
    // The same with the right number: what follows in the same transaction comes behind it.
    client.write(
      Buffer.concat([
        parse('', wrong),
        bind('', '', [], 0),
        describeNamed('P', ''),
        execute(''),
        parse('', "SELECT 'behind'"),
        bind('', '', [], 0),
        execute(''),
        sync(),
      ]),
    )
    await shop.approve("'piped'", rows(3))
    const all = await client.readUntilReady()
    expect(all.map(({ type }) => type).join('')).toMatch(/^N?12nC12DCZ$/)
    await client.close()
  })

  test('a statement of several uses is counted each time', async () => {
    const client = await shop.client()
    const sql = (customer: number) => `UPDATE orders SET state = 'shape' WHERE customer = ${customer}`
    const run = outcome(client.query(sql(19)))
    await shop.approve("'shape'", { ...rows(3), reuse: { kind: 'shape', ms: 3_600_000 } })
    expect((await run).error).toBeUndefined()
    expect((await outcome(client.query(sql(20)))).error).toBeUndefined()
    await shop.sql('DELETE FROM orders WHERE id = (SELECT min(id) FROM orders WHERE customer = 21)')
    expect((await outcome(client.query(sql(21)))).error).toMatchObject({ code: 'SL011' })
    expect(await count("SELECT count(*) n FROM orders WHERE state = 'shape'")).toBe(6)
  })

  test.each([
    [
      'several statements',
      "UPDATE orders SET state = 'a1'; UPDATE orders SET state = 'a2'",
      /more than one statement/,
    ],
    ['VACUUM', 'VACUUM late', /it/],
    [
      'CREATE INDEX CONCURRENTLY',
      'CREATE INDEX CONCURRENTLY late_of ON late (of)',
      /does more than change rows/,
    ],
    ['DO', 'DO $$ BEGIN DELETE FROM late; END $$', /runs code of which it is not known what it does/],
    ['TRUNCATE', 'TRUNCATE late', /does more than change rows/],
    ['COPY FROM', 'COPY late FROM STDIN', /does more than change rows/],
  ])('%s cannot be bound, and the approver is told why', async (_name, sql, why) => {
    const client = await shop.client('plain')
    const run = outcome(client.query(sql))
    const ticket = await shop.ticketOf(sql)
    const done = await answer(ticket, { verdict: 'approve', ...rows(1) })
    expect(done.status).toBe(403)
    expect(JSON.stringify(done.body)).toContain('cannot be approved for a number of rows')
    expect(JSON.stringify(done.body)).toMatch(why)
    await answer(ticket, { verdict: 'refuse' })
    expect((await run).error).toMatchObject({ code: 'SL003' })
  })

  test('inside an open transaction it is not to be had, and an approval of before does not run there', async () => {
    const client = await shop.client()
    await client.query('BEGIN')
    const inside = await outcome(
      client.query("UPDATE orders SET state = 'inside' WHERE customer = 23 AND id > 0"),
    )
    expect(inside.error).toMatchObject({ code: 'SL002' })
    const refused = await answer(await shop.ticketOf("'inside'"), { verdict: 'approve', ...rows(3) })
    expect(JSON.stringify(refused.body)).toContain('it was sent inside an open transaction')
    await client.query('ROLLBACK')
    const sql = "UPDATE orders SET state = 'outside' WHERE id > 0 AND customer = 23"
    const gone = await shop.client()
    gone.query(sql).catch(() => undefined)
    const ticket = await shop.ticketOf("'outside'")
    await gone.end().catch(() => undefined)
    expect((await answer(ticket, { verdict: 'approve', ...rows(3) })).status).toBe(200)
    await client.query('BEGIN')
    const used = await outcome(client.query(sql))
    expect(used.error?.['message']).toContain('approved for a number of rows only')
    await client.query('ROLLBACK')
    // It stands, and runs where it can be counted.
    expect(await stateOf(ticket)).toBe('approved')
    expect((await outcome(client.query(sql))).value).toMatchObject({ rowCount: 3 })
  })

  test('a rule may ask for it', async () => {
    const client = await shop.client('bound')
    const run = outcome(client.query("UPDATE orders SET state = 'required' WHERE customer = 25"))
    const ticket = await shop.ticketOf("'required'")
    const without = await answer(ticket, { verdict: 'approve' })
    expect(JSON.stringify(without.body)).toContain('Say how many rows')
    expect((await answer(ticket, { verdict: 'approve', ...rows(3) })).status).toBe(200)
    expect((await run).value).toMatchObject({ rowCount: 3 })
  })

  test.each(['client', 'client, who said farewell', 'gateway', 'server'] as const)(
    'a connection that the %s loses in the middle leaves nothing behind',
    async (who) => {
      // Holds the command in the middle: it has changed rows, and waits for a lock on the next.
      const blocker = await shop.server.client('shop')
      blocker.on('error', () => undefined)
      await blocker.query('BEGIN')
      await blocker.query('SELECT 1 FROM orders WHERE customer = 27 ORDER BY id DESC LIMIT 1 FOR UPDATE')
      const before = await open()
      const { client } = await RawClient.open(targetOf(await shop.dsn()))
      const [session = ''] = (await open()).filter((each) => !before.includes(each))
      client.write(query(`UPDATE orders SET state = 'lost ${who}' WHERE customer = 27 AND id <> 0`))
      await shop.approve(`'lost ${who}'`, rows(3))
      const pid = await eventually('it to wait', async () => {
        const [found] = await shop.sql(
          `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%lost ${who}%'`,
        )
        return found?.['pid']
      })
      if (who === 'client, who said farewell') client.write(Buffer.from([0x58, 0, 0, 0, 4]))
      if (who.startsWith('client')) client.destroy()
      if (who === 'server') await shop.sql(`SELECT pg_terminate_backend(${pid})`)
      if (who === 'gateway') await shop.api.operator('POST', `/v1/sessions/${session}/end`)
      if (!who.startsWith('client'))
        await eventually('the session to end', async () => !(await open()).includes(session))
      await blocker.query('COMMIT')
      await blocker.end()
      await eventually(
        'it to be gone',
        async () => {
          const found = await shop.sql(`SELECT 1 FROM pg_stat_activity WHERE pid = ${pid}`)
          return found.length === 0
        },
        20_000,
      )
      expect(await count(`SELECT count(*) n FROM orders WHERE state = 'lost ${who}'`)).toBe(0)
      client.destroy()
    },
  )

  // Last, since it changes definitions around the gateway, which are found a moment later.
  test('who looks at it is shown what the planner expects, and nothing where code of users would run for that', async () => {
    await shop.sql('ANALYZE orders')
    const client = await shop.client()
    let n = 0
    // A planner that needs longer than a second is not waited for.
    await eventually('an estimate', async () => {
      const state = `'guessed ${++n}'`
      const run = outcome(client.query(`UPDATE orders SET state = ${state} WHERE id > $1`, [0]))
      const ticket = await shop.ticketOf(state)
      const { stdout } = await shop.cli('ada', ['approvals', 'show', ticket])
      await answer(ticket, { verdict: 'refuse', reason: 'seen' })
      expect((await run).error?.['code']).toBeDefined()
      return /estimate +about 1[12]\d rows, as the planner guesses/.test(stdout)
    })
    await shop.sql(
      `CREATE FUNCTION telling() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'told'; RETURN true; END $$`,
    )
    await shop.sql('ALTER TABLE parts ENABLE ROW LEVEL SECURITY')
    await shop.sql('CREATE POLICY told ON parts USING (telling())')
    // What code there is was looked at for the statement before, and counts for two seconds.
    await eventually('no estimate', async () => {
      const part = `'not guessed ${++n}'`
      const run = outcome(client.query(`UPDATE parts SET id = 0 WHERE part = ${part}`))
      const ticket = await shop.ticketOf(part)
      const { stdout } = await shop.cli('ada', ['approvals', 'show', ticket])
      await answer(ticket, { verdict: 'refuse', reason: 'seen' })
      expect((await run).error?.['code']).toBeDefined()
      expect(stdout).toContain('writes    public.parts')
      return !stdout.includes('estimate')
    })
    await shop.sql('DROP POLICY told ON parts')
    await shop.sql('ALTER TABLE parts DISABLE ROW LEVEL SECURITY')
    await shop.sql('DROP FUNCTION telling()')
  })
})
