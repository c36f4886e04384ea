/**
 * What unique indexes and partitions say of protected columns to who only uses others. Each is
 * run directly, too, where it does tell; and what tells nothing is not disturbed.
 */
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { mintDsn } from '../support/mint.ts'
import { teardown } from '../support/teardown.ts'
import type { World } from './world.ts'
import { startWorld } from './world.ts'

const SETUP = [
  'CREATE SCHEMA hr',
  'CREATE TABLE hr.employees (id int PRIMARY KEY, email text, username text, tenant int)',
  'INSERT INTO hr.employees SELECT id, email, NULL, 1 FROM customers WHERE id < 10',
  'CREATE UNIQUE INDEX ON hr.employees (lower(coalesce(email, username)))',
  'CREATE UNIQUE INDEX ON hr.employees (tenant, email)',
  'CREATE SCHEMA parts',
  'CREATE TABLE parts.employees (id int, email text) PARTITION BY LIST (email)',
  "CREATE TABLE parts.first PARTITION OF parts.employees FOR VALUES IN ('c.qzvmail0001@x.example')",
  'CREATE TABLE parts.others PARTITION OF parts.employees DEFAULT',
  "INSERT INTO parts.employees VALUES (1, 'c.qzvmail0001@x.example'), (2, 'x')",
  'CREATE SCHEMA odd',
  "CREATE FUNCTION odd.round(float8, int) RETURNS numeric LANGUAGE sql AS 'SELECT 1.0'",
  "CREATE FUNCTION odd.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
]

/** The rows that are missing from the answer are those whose address was guessed. */
const GUESSES = `INSERT INTO hr.employees (id, username)
  SELECT 1000 + g, 'c.qzvmail000' || g || '@tidewater.example' FROM generate_series(1, 9) g
  ON CONFLICT DO NOTHING RETURNING id`

const TELLING = [
  GUESSES,
  'UPDATE hr.employees SET tenant = tenant + 1',
  'SELECT id FROM parts.first',
  'SELECT id FROM parts.employees ORDER BY tableoid',
  'SELECT e.id, pg_get_expr(c.relpartbound, c.oid) FROM parts.employees e JOIN pg_class c ON c.oid = e.tableoid',
] as const

const ORDINARY = [
  'UPDATE hr.employees SET tenant = 2 WHERE id = 3',
  "INSERT INTO hr.employees (id, username) VALUES (2001, 'somebody')",
  'UPDATE hr.employees SET id = id + 5000 WHERE id = 4',
  'SELECT round(1.5), round(2.25, 1), lower(company) FROM customers WHERE id = 1',
  'SELECT count(*) FROM parts.employees',
  'SET row_security = off',
] as const

describe('P-02: what indexes and partitions know', () => {
  const later = teardown()
  let world: World
  let direct: Client
  let writer: Client

  beforeAll(async () => {
    world = await startWorld()
    later(() => world.stop())
    direct = new Client({ connectionString: world.server.dsn({ database: 'crm' }) })
    await direct.connect()
    later(() => direct.end())
    for (const sql of SETUP) await direct.query(sql)
    writer = new Client({ connectionString: await mintDsn(world.gateway, 'crm-super', 'writer') })
    await writer.connect()
    later(() => writer.end())
  }, 120_000)

  test.each(TELLING)('is for who may filter: %s', async (sql) => {
    await direct.query('BEGIN')
    expect((await direct.query(sql)).rowCount).toBeGreaterThan(0)
    await direct.query('ROLLBACK')
    await expect(writer.query(sql)).rejects.toThrow(/filter|protected|condition/i)
  })

  test('is hidden in tableoid', async () => {
    const { rows } = await writer.query('SELECT tableoid FROM parts.employees')
    expect(new Set(rows.map((row: { tableoid: unknown }) => row.tableoid)).size).toBe(1)
  })

  test.each(ORDINARY)('does not disturb: %s', async (sql) => {
    await expect(writer.query(sql)).resolves.toBeDefined()
  })
})
