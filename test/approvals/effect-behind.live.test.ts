/** What code behind a table does that no count of rows sees: an approval for a number of rows is not to be had, or does not take effect. */
import type { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  changedTables,
  CHANGES_QUERY,
  NOTHING_DEFERRED,
  rowsIn,
} from '../../src/protocols/postgres/requests/changed-rows.ts'
import { MAJORS } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import type { Shop } from './company.ts'
import { DATABASE, startShop } from './company.ts'

const trigger = (name: string, body: string): string =>
  `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN ${body} RETURN NEW; END $f$`
const TABLES = [
  'truncating',
  'runs_text',
  'queues',
  'numbering',
  'queued',
  'stamped',
  'logged',
  'later_truncating',
  'victim',
]

const OBJECTS = [
  ...TABLES.flatMap((name) => [
    `CREATE TABLE ${name} (id integer PRIMARY KEY, n integer DEFAULT 0, at timestamptz)`,
    `INSERT INTO ${name} SELECT g FROM generate_series(1, 10) g`,
  ]),
  trigger('truncates', 'TRUNCATE victim;'),
  'CREATE TRIGGER t AFTER UPDATE ON truncating FOR EACH ROW EXECUTE FUNCTION truncates()',
  trigger('runs', "EXECUTE 'DELETE ' || 'FROM victim';"),
  'CREATE TRIGGER t AFTER UPDATE ON runs_text FOR EACH ROW EXECUTE FUNCTION runs()',
  trigger('queue', 'SET CONSTRAINTS ALL DEFERRED; INSERT INTO queued VALUES (NEW.id + 100);'),
  'CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON queues DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION queue()',
  'CREATE SEQUENCE numbers',
  trigger('numbers_anew', "PERFORM setval('numbers', 1000);"),
  'CREATE TRIGGER t AFTER UPDATE ON numbering FOR EACH ROW EXECUTE FUNCTION numbers_anew()',
  trigger('late_update', 'UPDATE victim SET n = n + 1;'),
  'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON queued DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late_update()',
  trigger('stamp', '/* creates no row; drops nothing */ NEW.at := now();'),
  'CREATE TRIGGER t BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp()',
  trigger(
    'log',
    "-- create an audit record\n INSERT INTO notes (note) VALUES (TG_TABLE_NAME || ' ' || TG_OP);",
  ),
  'CREATE TRIGGER t AFTER UPDATE ON logged FOR EACH ROW EXECUTE FUNCTION log()',
  trigger('may_change', 'NEW.at := now();'),
  'CREATE TRIGGER t BEFORE UPDATE ON later_truncating FOR EACH ROW EXECUTE FUNCTION may_change()',
  'CREATE VIEW over_stamped AS SELECT * FROM stamped',
  'CREATE TABLE master (id integer PRIMARY KEY)',
  'INSERT INTO master SELECT generate_series(1, 10)',
  'CREATE TABLE detail (of integer REFERENCES master ON DELETE CASCADE)',
  'INSERT INTO detail SELECT 1 + g % 10 FROM generate_series(1, 20) g',
]

describe.each(MAJORS)('PostgreSQL %i: J-02 what is not counted is not approved by number', (major) => {
  const later = teardown()
  let shop: Shop

  beforeAll(async () => {
    shop = await startShop(major)
    later(() => shop.stop())
    const owner = await shop.server.client(DATABASE)
    await owner.query('SET ROLE shop_app')
    for (const sql of OBJECTS) await owner.query(sql)
    await owner.end()
  }, 120_000)

  const caught = (work: Promise<unknown>): Promise<Record<string, string> | undefined> =>
    work.then(
      () => undefined,
      (error: unknown) => Object(error),
    )
  const asked = async (client: Client, sql: string) => {
    const held = caught(client.query(sql))
    const ticket = await shop.ticketOf(sql)
    const request = (await shop.approvals()).find((each) => each['ticket'] === ticket)
    const answer = (body: object) =>
      shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, { verdict: 'approve', ...body })
    return { held, ticket, answer, countable: request?.['countable'] }
  }
  const state = async (): Promise<unknown> =>
    await Promise.all(TABLES.map((name) => shop.sql(`SELECT count(*), sum(n) FROM ${name}`)))

  test.each(['shop', 'plain'])(
    '%s: where code may do it, nobody can say yes to a number',
    async (connection) => {
      const client = await shop.client(connection)
      const before = await state()
      for (const name of ['truncating', 'runs_text', 'queues', 'numbering']) {
        const { held, ticket, answer, countable } = await asked(
          client,
          `UPDATE ${name} SET n = 1 WHERE id = 1`,
        )
        expect(countable).toMatchObject({ can: false })
        expect(Object(countable).why).toMatch(new RegExp(`^code behind (public\\.)?${name} \\(`))
        const refused = await answer({ effect: { rows: 1, tolerance: 0 } })
        expect(refused.status).toBe(403)
        expect(JSON.stringify(refused.body)).toContain('may change more than is counted')
        await shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, { verdict: 'refuse' })
        expect((await held)?.['code']).toMatch(/^SL/)
      }
      expect(await state()).toEqual(before)
    },
  )

  test.each(['shop', 'plain'])(
    '%s: ordinary triggers and cascades are counted as before',
    async (connection) => {
      const client = await shop.client(connection)
      const id = connection === 'shop' ? 2 : 3
      for (const [sql, rows] of [
        [`UPDATE stamped SET n = 2 WHERE id = ${id}`, 1],
        [`UPDATE logged SET n = 2 WHERE id = ${id}`, 2],
        [`UPDATE over_stamped SET n = 3 WHERE id = ${id}`, 1],
        [`DELETE FROM master WHERE id = ${id}`, 3],
      ] as const) {
        const { held, answer, countable } = await asked(client, sql)
        expect(countable, sql).toEqual({ can: true })
        expect((await answer({ effect: { rows, tolerance: 0 } })).status).toBe(200)
        expect(await held, sql).toBeUndefined()
      }
    },
  )

  test('what was changed while people looked does not run', async () => {
    const client = await shop.client('plain')
    const before = await state()
    const { held, answer } = await asked(client, 'UPDATE later_truncating SET n = 1 WHERE id = 1')
    await shop.sql(trigger('may_change', 'TRUNCATE victim;'))
    await new Promise((resolve) => setTimeout(resolve, 2_100))
    expect((await answer({ effect: { rows: 1, tolerance: 0 } })).status).toBe(200)
    expect((await held)?.['message']).toContain('Run it again: definitions changed while it waited')
    expect(await state()).toEqual(before)
  })

  test('a temporary table of the session’s own may have what nobody else sees behind it', async () => {
    const client = await shop.client('free')
    const made = caught(client.query('CREATE TEMP TABLE locked (id integer)'))
    await shop.approve('TEMP TABLE')
    expect(await made).toBeUndefined()
    const { held, ticket, countable } = await asked(client, 'UPDATE locked SET id = 1')
    expect(Object(countable).why).toContain('locked may be a temporary table')
    await shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, { verdict: 'refuse' })
    await held
  })

  test('whoever moves rows to another partition is told that this counts twice', async () => {
    const client = await shop.client()
    const { held, answer } = await asked(client, "UPDATE parts SET part = 'b' WHERE id = 4")
    await answer({ effect: { rows: 1, tolerance: 0 } })
    const error = await held
    expect(error).toMatchObject({ code: 'SL011' })
    expect(error?.['hint']).toContain('A row that moves to another partition counts as two')
  })

  test('the server’s own evidence tells what no number of rows does', async () => {
    const client = await shop.server.client(DATABASE)
    const rows = async (sql: string) =>
      (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows
    const changed = async (sql: string, isolation: string): Promise<number | undefined> => {
      await client.query(`BEGIN ISOLATION LEVEL ${isolation}`)
      const before = await rows(CHANGES_QUERY)
      await client.query(sql)
      await client.query(NOTHING_DEFERRED)
      const tables = changedTables(before, await rows(CHANGES_QUERY))
      await client.query('ROLLBACK')
      return tables === undefined ? undefined : rowsIn(tables)
    }
    for (const isolation of ['READ COMMITTED', 'SERIALIZABLE']) {
      for (const [sql, number] of [
        ['UPDATE truncating SET n = 1 WHERE id = 1', undefined],
        ['WITH u AS (UPDATE stamped SET n = 4 RETURNING id) SELECT count(*) FROM u', 10],
        ['INSERT INTO notes (note) SELECT g::text FROM generate_series(1, 30) g', 30],
        ["INSERT INTO notes (note) VALUES (repeat('toasted', 400000))", 1],
        ['DELETE FROM master WHERE id = 9', 3],
        ['INSERT INTO stamped VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 9', 1],
        ['SELECT id FROM stamped WHERE id = 1 FOR UPDATE', 0],
        ['TRUNCATE stamped', undefined],
        ['DROP TABLE detail', undefined],
        ['ALTER TABLE stamped ADD COLUMN x int', undefined],
        ['CREATE TEMP TABLE t AS SELECT 1', undefined],
        ["SELECT lo_from_bytea(0, 'x')", undefined],
        ['LOCK TABLE stamped IN EXCLUSIVE MODE', undefined],
      ] as const)
        expect(await changed(sql, isolation), `${isolation}: ${sql}`).toBe(number)
    }
    await client.end()
  })
})
