/** Approvers have a held command tried out: what it would change, masked for who looks, and nothing stays. On a real server. */
import { beforeAll, describe, expect, test } from 'vitest'
import { wholeRecording } from '../../src/testing/whole-recording.ts'
import { teardown } from '../support/teardown.ts'
import type { Shop } from './company.ts'
import { DATABASE, startShop } from './company.ts'

type Preview = {
  rows?: number
  ms: number
  tables: { name: string; inserted: number; updated: number; deleted: number }[]
  failure?: string
  sample?: { columns: string[]; rows: (string | null)[][]; more: boolean; masked: string[] }
  notes: string[]
}

describe('a preview of a held command', () => {
  const later = teardown()
  let shop: Shop

  beforeAll(async () => {
    shop = await startShop()
    later(() => shop.stop())
    const owner = await shop.server.client(DATABASE)
    await owner.query('SET ROLE shop_app')
    for (const sql of [
      'CREATE TABLE ruled (id integer)',
      'CREATE RULE more AS ON INSERT TO ruled DO ALSO INSERT INTO late VALUES (NEW.id)',
      "CREATE FUNCTION made_up() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT ''x''::text'",
      "CREATE FUNCTION plain_upper(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(x)'",
      'CREATE TABLE defaulted (id integer, note text DEFAULT made_up())',
      "CREATE TABLE filled (id integer, note text DEFAULT plain_upper('filled'))",
      'CREATE TABLE locked (id integer PRIMARY KEY, note text)',
      "INSERT INTO locked VALUES (1, 'x')",
      'CREATE VIEW behind AS SELECT id, surprise(plan) AS plan FROM customers',
    ])
      await owner.query(sql)
    await owner.end()
  }, 120_000)

  /** Holds a statement, tries it out as somebody, and refuses it. */
  async function tried(
    sql: string,
    {
      as = 'ada',
      connection = 'shop',
      values = [],
      before = [],
    }: { as?: 'ada' | 'eve' | 'bob'; connection?: string; values?: unknown[]; before?: string[] } = {},
  ): Promise<{ status: number; body: Preview & { detail?: string }; ticket: string }> {
    const client = await shop.client(connection)
    for (const each of before) await client.query(each)
    const held = client.query(sql, values).catch((error: unknown) => error)
    const ticket = await shop.ticketOf(sql)
    const answer = await shop.as(as, 'POST', `/v1/approvals/${ticket}/preview`)
    await shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, { verdict: 'refuse' })
    await held
    await client.end()
    return { status: answer.status, body: answer.body as Preview, ticket }
  }

  /** Every row of every table, and where sequences do not count. */
  async function everything(): Promise<string> {
    const tables = await shop.sql(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    const parts: string[] = []
    for (const { name } of tables) {
      const [row] = await shop.sql(
        `SELECT coalesce(string_agg(t.xmin || ' ' || t.ctid || ' ' || t::text, E'\\n' ORDER BY t.ctid), '') AS rows FROM ${name} t`,
      )
      parts.push(`${name}\n${row?.['rows']}`)
    }
    const [catalogue] = await shop.sql(
      "SELECT md5(string_agg(c::text, '' ORDER BY c.oid)) AS state FROM (SELECT oid, relname, relkind, relowner, relacl FROM pg_class WHERE relkind <> 'S') c",
    )
    return `${parts.join('\n')}\n${catalogue?.['state']}`
  }

  test('P-08 it leaves no trace upstream but sequence values', async () => {
    const before = await everything()
    for (const sql of [
      "UPDATE customers SET plan = 'business' WHERE id <= 4",
      'DELETE FROM customers WHERE id = 2',
      "INSERT INTO notes (note) VALUES ('tried')",
      'WITH d AS (DELETE FROM orders RETURNING id) INSERT INTO late SELECT id FROM d',
      "UPDATE parts SET part = 'b' WHERE id = 1",
      'MERGE INTO late USING (SELECT 1 AS id) s ON late.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id)',
    ]) {
      const { status, body } = await tried(sql, { connection: 'plain' })
      expect(status, `${sql}: ${JSON.stringify(body)}`).toBe(200)
      expect(body.rows, sql).toBeGreaterThan(0)
      expect(body.notes.join(' ')).toContain('what its session has changed and not committed')
    }
    expect(await everything()).toBe(before)
    const [{ n } = { n: 0 }] = (await shop.sql('SELECT last_value::int AS n FROM notes_id_seq')) as {
      n: number
    }[]
    expect(n).toBe(1)
  })

  test('it tells rows of every table, also of those that cascades change', async () => {
    const { body } = await tried('DELETE FROM customers WHERE id IN (3, 4)')
    expect(body).toMatchObject({
      rows: 8,
      tables: [
        { name: 'public.orders', inserted: 0, updated: 0, deleted: 6 },
        { name: 'public.customers', inserted: 0, updated: 0, deleted: 2 },
      ],
    })
  })

  test('J-09 changed rows are masked by the rights of who looks', async () => {
    const sql = "UPDATE customers SET plan = 'gold' WHERE id <= 7"
    const clear = await tried(sql)
    expect(clear.body.sample).toMatchObject({ columns: ['id', 'email', 'plan'], more: true, masked: [] })
    expect(clear.body.sample?.rows).toHaveLength(5)
    expect(clear.body.sample?.rows[0]).toEqual(['1', 'person1@example.com', 'gold'])
    const masked = await tried(sql, { as: 'eve' })
    expect(masked.body.sample).toMatchObject({ columns: ['id', 'email', 'plan'], masked: ['pii.email'] })
    expect(JSON.stringify(masked.body)).not.toContain('person1@')
    expect(masked.body.sample?.rows[0]?.[2]).toBe('gold')
    // The same for what the statement itself gives back, in other clothes.
    const dressed = await tried(
      "UPDATE customers SET plan = 'x' WHERE id = 9 RETURNING plan, email AS plain",
      {
        as: 'eve',
      },
    )
    expect(JSON.stringify(dressed.body)).not.toMatch(/person9@/i)
  })

  test('what one person has seen, another is not shown', async () => {
    const client = await shop.client()
    const held = client
      .query("UPDATE customers SET plan = 'seen' WHERE id = 8")
      .catch((error: unknown) => error)
    const ticket = await shop.ticketOf("'seen'")
    expect((await shop.as('ada', 'POST', `/v1/approvals/${ticket}/preview`)).status).toBe(200)
    const [mine, hers, auditor] = await Promise.all(
      (['ada', 'eve', 'bob'] as const).map((who) => shop.as(who, 'GET', `/v1/approvals/${ticket}`)),
    )
    expect(mine?.body).toMatchObject({ previewable: true, preview: { rows: 1 } })
    expect(hers?.body).not.toHaveProperty('preview')
    expect(JSON.stringify(auditor?.body)).not.toContain('person8@')
    // What was shown is what the approval can be bound to.
    const bound = { verdict: 'approve', effect: { rows: Reflect.get(Object(mine?.body['preview']), 'rows') } }
    expect((await shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, bound)).status).toBe(200)
    expect(await held).toMatchObject({ rowCount: 1 })
    const gone = await shop.as('ada', 'POST', `/v1/approvals/${ticket}/preview`)
    expect(gone.status).toBe(409)
  })

  test('at a terminal: look, have it tried out, approve it for what was shown', async () => {
    const client = await shop.client()
    const held = client.query("UPDATE customers SET plan = 'typed'").catch((error: unknown) => error)
    const ticket = await shop.ticketOf("'typed'")
    const looked = await shop.cli('eve', ['approvals', 'show', ticket])
    expect(looked.stdout).toMatch(
      /agent:agent wants to change rows on shop, [\s\S]*\n\n\| UPDATE customers SET plan = 'typed'\n/,
    )
    expect(looked.stdout).toContain('! changes every row')
    expect(looked.stdout).toContain(`sluice approvals preview ${ticket}`)
    const seen = await shop.cli('eve', ['approvals', 'preview', ticket])
    expect(seen.stderr).toBe('')
    const rows = /It would change (\d+) rows in all/.exec(seen.stdout)?.[1] ?? ''
    expect(seen.stdout).toMatch(/masked for you: pii\.email/)
    expect(seen.stdout).not.toMatch(/person\d+@/)
    expect(seen.stdout).toContain(`sluice approvals approve ${ticket} --rows ${rows}`)
    const done = await shop.cli('eve', ['approvals', 'approve', ticket, '--rows', rows])
    expect(done.stdout).toContain(`takes effect only if it changes ${rows} rows`)
    expect(await held).toMatchObject({ rowCount: Number(rows) })
    const after = await shop.cli('ada', ['approvals', 'show', ticket])
    expect(after.stdout).toMatch(new RegExp(`only if +it changes ${rows} rows`))
  })

  test('only who may answer, and only where the connection allows it', async () => {
    const sql = "UPDATE customers SET plan = 'rights' WHERE id = 10"
    expect((await tried(sql, { as: 'bob' })).status).toBe(403)
    const blind = await tried(sql, { connection: 'blind' })
    expect(blind.status).toBe(404)
    const operator = await shop.api.operator('POST', `/v1/approvals/${blind.ticket}/preview`)
    expect(operator.status).toBe(403)
  })

  test.each([
    [
      'a volatile function',
      'UPDATE customers SET plan = surprise(plan) WHERE id = 1',
      /not known what it does/,
    ],
    [
      'a trigger',
      "UPDATE audited SET note = 'y' WHERE id = 1",
      /the trigger audited_note of public\.audited runs public\.note_it/,
    ],
    ['a deferred trigger', "UPDATE deferred SET note = 'y' WHERE id = 1", /the trigger deferred_note/],
    ['a rule', 'INSERT INTO ruled VALUES (1)', /the rule more of public\.ruled/],
    ['a view', "UPDATE plans SET plan = 'y' WHERE id = 1", /public\.plans is no table/],
    [
      'a view that calls one',
      'DELETE FROM late WHERE id IN (SELECT id FROM behind)',
      /public\.surprise, which is volatile/,
    ],
    [
      'a default that calls one',
      'INSERT INTO defaulted (id) VALUES (1)',
      /public\.made_up, which is volatile/,
    ],
    ['something that signals', 'DELETE FROM late WHERE pg_notify($$a$$, $$b$$) IS NOT NULL', /pg_notify/],
    ['several statements', 'DELETE FROM late; DELETE FROM notes', /more than one statement/],
    ['dynamic code', 'DO $$ BEGIN DELETE FROM late; END $$', /not known what it does/],
    ['VACUUM', 'VACUUM late', /Nothing is tried out/],
    ['TRUNCATE', 'TRUNCATE late', /does more than change rows/],
    ['what is not there', 'DELETE FROM nowhere', /nowhere is not known outside of its session/],
  ])('%s is not tried out, and the reason is said', async (_name, sql, why) => {
    const before = await everything()
    const { status, body } = await tried(sql, { connection: 'plain' })
    expect(status).toBe(501)
    expect(String(body.detail)).toMatch(why)
    expect(await everything()).toBe(before)
  })

  test('what a session has made for itself is not seen, and what it has set is not guessed', async () => {
    const temporary = await tried('DELETE FROM mine', { connection: 'plain' })
    expect(temporary.body.detail).toContain('mine is not known outside of its session')
    const set = await tried("UPDATE locked SET note = 'set' WHERE id = 1", {
      connection: 'free',
      before: ["SET DateStyle TO 'SQL, DMY'"],
    })
    expect(set.body.detail).toContain('its session has changed settings')
    const inside = await tried("UPDATE locked SET note = 'inside' WHERE id = 1", {
      connection: 'free',
      before: ['BEGIN', 'INSERT INTO late VALUES (77)'],
    })
    expect(inside.body).toMatchObject({ rows: 1 })
    expect(inside.body.notes[0]).toContain('what its session has changed and not committed')
  })

  test('parameters are what they were, and functions that can change nothing are run', async () => {
    const { status, body } = await tried('UPDATE customers SET plan = $1 WHERE id = $2', {
      values: ["it's", 11],
      connection: 'plain',
    })
    expect({ status, detail: body.detail }).toEqual({ status: 200, detail: undefined })
    expect(body.sample?.rows).toEqual([['11', 'person11@example.com', "it's"]])
    const filled = await tried('INSERT INTO filled (id) VALUES (1)', { connection: 'plain' })
    expect(filled.body.sample?.rows).toEqual([['1', 'FILLED']])
  })

  test('it waits for nobody, and says what the server would refuse', async () => {
    const blocker = await shop.server.client(DATABASE)
    await blocker.query('BEGIN')
    await blocker.query('SELECT 1 FROM locked FOR UPDATE')
    const waits = await tried("UPDATE locked SET note = 'y' WHERE id = 1", { connection: 'plain' })
    await blocker.query('ROLLBACK')
    await blocker.end()
    expect(waits.body.failure).toContain('preview.lockTimeout')
    const slow = await tried(
      'DELETE FROM late WHERE (SELECT count(*) FROM generate_series(1, 100000000)) > 0',
      {
        connection: 'plain',
      },
    )
    expect(slow.body.failure ?? slow.body.detail).toMatch(/preview\.timeout|not known/)
    const double = await tried(
      "INSERT INTO customers (id, email, plan) VALUES (1, 'secret@example.com', 'x')",
    )
    expect(double.body.failure).toBe(
      'the server refuses it: SQLSTATE 23505, a value that has to be unique is there already',
    )
    expect(JSON.stringify(double.body)).not.toContain('secret@')
  })

  test('it is recorded, with who asked for it and what came of it', async () => {
    // Not by who has had so many tried out in this minute: there is a limit for each.
    const { ticket } = await tried("UPDATE customers SET plan = 'recorded' WHERE id = 12", { as: 'eve' })
    const entries = await wholeRecording(shop.api.dataDirectory, shop.api.recordingKeys)
    const of = entries.flatMap(({ entry }) =>
      entry.kind === 'admin' && entry.head.target === ticket
        ? [{ action: entry.head.action, by: entry.head.by, details: entry.head.details }]
        : [],
    )
    expect(of).toContainEqual(expect.objectContaining({ action: 'approval.preview', by: 'person:eve' }))
    expect(of).toContainEqual({
      action: 'approval.previewed',
      by: 'person:eve',
      details: { ms: expect.any(Number), rows: 1, tables: 1 },
    })
  })

  test('foreign tables: nothing is tried out on them, and where there are any nothing can be counted', async () => {
    const owner = await shop.server.client(DATABASE)
    await owner.query('CREATE EXTENSION postgres_fdw')
    await owner.query('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw')
    await owner.query('CREATE FOREIGN TABLE public.distant (id integer) SERVER far')
    await owner.query('GRANT ALL ON public.distant TO shop_app')
    for (const sql of ['DELETE FROM distant', 'DELETE FROM late WHERE id IN (SELECT id FROM distant)']) {
      const { status, body } = await tried(sql, { as: 'eve', connection: 'plain' })
      expect(status).toBe(501)
      expect(body.detail).toContain('public.distant is a foreign table')
    }
    // Others can be tried out.
    expect(
      (await tried("UPDATE locked SET note = 'far' WHERE id = 1", { as: 'eve', connection: 'plain' })).body
        .rows,
    ).toBe(1)
    const client = await shop.client('plain')
    const held = client
      .query("UPDATE locked SET note = 'counted' WHERE id = 1")
      .catch((error: unknown) => error)
    await shop.approve("'counted'", { effect: { rows: 1 } })
    expect(await held).toMatchObject({
      code: 'SL011',
      message: expect.stringContaining('could not be counted'),
    })
    await owner.query('DROP EXTENSION postgres_fdw CASCADE')
    await owner.end()
  })

  test('nobody has more tried out than is good for the server', async () => {
    const client = await shop.client()
    const held = client
      .query("UPDATE customers SET plan = 'often' WHERE id = 13")
      .catch((error: unknown) => error)
    const ticket = await shop.ticketOf("'often'")
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => shop.as('ada', 'POST', `/v1/approvals/${ticket}/preview`)),
    )
    expect(answers.map(({ status }) => status)).toContain(429)
    await shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, { verdict: 'refuse' })
    await held
  })
})
