/** The notice behind masked rows and the virtual schema, as the clients that people use take them. */
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { run } from '../support/process.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import type { Shop } from './world.ts'
import { MARK, startShop } from './world.ts'

const SQL = 'SELECT id, email FROM customers ORDER BY id LIMIT 2'
const TOLD = 'Masked in 2 rows: email (pii.email).'
const ROWS = [
  [1, 'c***@example.com'],
  [2, 'c***@example.com'],
]

describe('P-09: a notice of what was masked', () => {
  const later = teardown()
  let shop: Shop
  let dsn: string

  beforeAll(async () => {
    shop = await startShop()
    later(() => shop.stop())
    dsn = await shop.gateway.dsn('shop', 'reader')
  }, 120_000)

  test('psql shows it once, beside the rows', async () => {
    const done = await psql(dsn, `${SQL};\n${SQL};\n\\set FETCH_COUNT 0\n${SQL} \\g`, ['-At'])
    expect(done.stdout.split('\n').slice(0, 2)).toEqual(ROWS.map((row) => row.join('|')))
    expect(done.stdout).not.toContain(MARK)
    expect(done.stderr.split(TOLD)).toHaveLength(2)
    expect(done.stderr).not.toMatch(/lost|unexpected|error/i)
  })

  test('node-postgres hands it over as a notice, in both protocols', async () => {
    const client = new Client({ connectionString: dsn })
    const heard: (string | undefined)[] = []
    client.on('notice', (notice) => heard.push(`${notice.code} ${notice.message}`))
    await client.connect()
    try {
      const simple = await client.query({ text: SQL, rowMode: 'array' })
      const prepared = await client.query({
        text: 'SELECT id, email FROM customers WHERE id <= $1 ORDER BY id',
        values: [2],
        rowMode: 'array',
      })
      expect([simple.rows, prepared.rows]).toEqual([ROWS, ROWS])
      expect(heard).toEqual([`SL010 ${TOLD}`, `SL010 ${TOLD}`])
    } finally {
      await client.end()
    }
  })

  test('psycopg hands it over as a notice', async () => {
    const script = `
import sys, json, psycopg
heard = []
with psycopg.connect(sys.argv[1]) as c:
    c.add_notice_handler(lambda d: heard.append(d.sqlstate + ' ' + d.message_primary))
    rows = c.execute(sys.argv[2]).fetchall()
    more = c.execute('SELECT id, email FROM customers WHERE id <= %s ORDER BY id', [2]).fetchall()
print(json.dumps([rows, more, heard]))`
    const done = await run('/usr/bin/python3', ['-c', script, dsn, SQL])
    expect(done.stderr).toBe('')
    expect(JSON.parse(done.stdout)).toEqual([ROWS, ROWS, [`SL010 ${TOLD}`, `SL010 ${TOLD}`]])
  })

  test('psql and node-postgres ask the virtual schema, inside transactions, too', async () => {
    const asked = await psql(
      dsn,
      `BEGIN;\nSELECT 1/0;\nSELECT kind FROM sluice.whoami;\nROLLBACK;\n${SQL};\nTABLE sluice.last_result;\nSELECT labels, rows FROM sluice.last_result;`,
      ['-At'],
    )
    expect(asked.stdout.split('\n')).toEqual(
      expect.arrayContaining(['BEGIN', 'agent', 'ROLLBACK', 'pii.email|2']),
    )
    const client = new Client({ connectionString: dsn })
    await client.connect()
    try {
      await client.query('BEGIN')
      const { rows } = await client.query(
        'SELECT "column", label FROM sluice.masked_columns WHERE "table" = $1',
        ['customers'],
      )
      expect(rows).toEqual([{ column: 'email', label: 'pii.email' }])
      await expect(client.query('SELECT * FROM sluice.whoami, customers')).rejects.toMatchObject({
        code: 'SL001',
      })
      // The refusal has failed the transaction on both sides.
      await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' })
      await client.query('ROLLBACK')
      expect((await client.query('SELECT message FROM sluice.recent_denials')).rows).toEqual([
        { message: expect.stringContaining('by itself') },
      ])
    } finally {
      await client.end()
    }
    const logged = await shop.server.statementsLogged()
    expect(logged.filter(({ text }) => text.includes('sluice.'))).toEqual([])
  })

  test('a masked value is not written back, whoever writes it', async () => {
    const client = new Client({ connectionString: await shop.gateway.dsn('shop', 'boss') })
    await client.connect()
    const refused = { code: 'SL001', message: expect.stringContaining('Do not write masked values back') }
    try {
      await expect(
        client.query("UPDATE customers SET email = 'c***@example.com' WHERE id = 1"),
      ).rejects.toMatchObject(refused)
      await expect(
        client.query('UPDATE customers SET email = $1 WHERE id = 1', ['[masked]']),
      ).rejects.toMatchObject(refused)
      await client.query('UPDATE customers SET email = $1 WHERE id = 20', ['new@example.com'])
    } finally {
      await client.end()
    }
    expect(
      await shop.server.sql('SELECT email FROM customers WHERE id IN (1, 20) ORDER BY id', [], 'shop'),
    ).toEqual([{ email: `c1.${MARK}@example.com` }, { email: 'new@example.com' }])
  })
})
