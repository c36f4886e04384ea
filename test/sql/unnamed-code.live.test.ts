import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { loadCatalogue } from './load.ts'

/**
 * Code of the database that runs without being named, and changes where names are looked for in the session it runs in: what
 * `customers` is behind it, its statement does not say. Each is tried on a connection without labels, too, where it does show a mark.
 */

const PASSWORD = 'unnamed-role-password'
const MARK = 'qzvmark'

/** What hangs the code on a table, and what runs it. */
const HANGING = {
  trigger: [
    'CREATE TRIGGER moves BEFORE INSERT ON by_trigger FOR EACH ROW EXECUTE FUNCTION of_row()',
    'INSERT INTO by_trigger (n) VALUES (1)',
  ],
  default: [
    'ALTER TABLE by_default ALTER m SET DEFAULT of_value()',
    'INSERT INTO by_default (n) VALUES (1) RETURNING n',
  ],
  check: [
    'ALTER TABLE by_check ADD CHECK (of_value() > n)',
    'WITH x AS (INSERT INTO by_check (n) VALUES (1) RETURNING n) SELECT n FROM x',
  ],
  domain: [
    'CREATE DOMAIN number AS integer CHECK (of_value() > VALUE); ALTER TABLE by_domain ALTER n TYPE number',
    'INSERT INTO by_domain (n) VALUES (1)',
  ],
  cascade: [
    `ALTER TABLE by_cascade ADD UNIQUE (n);
     CREATE TABLE child (n integer REFERENCES by_cascade (n) ON DELETE CASCADE);
     CREATE TRIGGER moves BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION of_row(); INSERT INTO child VALUES (7)`,
    'DELETE FROM by_cascade WHERE n = 7',
  ],
  'row policy': [
    'ALTER TABLE "by_row policy" ENABLE ROW LEVEL SECURITY; CREATE POLICY moves ON "by_row policy" USING (of_value() > n)',
    'SELECT n FROM "by_row policy"',
  ],
  'prepared statement': [
    'CREATE TRIGGER moves AFTER INSERT ON "by_prepared statement" FOR EACH ROW EXECUTE FUNCTION of_row()',
    'PREPARE into_it AS INSERT INTO "by_prepared statement" (n) VALUES (1); EXECUTE into_it',
  ],
} as const satisfies Record<string, readonly [hang: string, run: string]>

const SCHEMA = `
CREATE TABLE customers (id int PRIMARY KEY, email text);
INSERT INTO customers SELECT i, '${MARK}' || i || '@example.com' FROM generate_series(1, 3) i;
CREATE SCHEMA tenant;
CREATE TABLE tenant.customers (id int, email text);
INSERT INTO tenant.customers VALUES (1, 'tenant@example.com');
CREATE FUNCTION of_row() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN SET search_path = public; RETURN coalesce(NEW, OLD); END $$;
CREATE FUNCTION of_value() RETURNS integer LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('search_path', 'public', false); RETURN 9; END $$;
${Object.entries(HANGING)
  .map(
    ([what, [hang]]) =>
      `CREATE TABLE "by_${what}" (n integer, m integer); INSERT INTO "by_${what}" (n) VALUES (7); ${hang};`,
  )
  .join('\n')}
CREATE TABLE quiet (n integer);
GRANT USAGE ON SCHEMA public, tenant TO worker;
GRANT ALL ON ALL TABLES IN SCHEMA public, tenant TO worker;
`

const READ = 'SELECT email FROM customers ORDER BY id LIMIT 1'

/** Bodies of functions in PL/pgSQL, and whether they say that they change where names are looked for. */
const BODIES: readonly (readonly [string, boolean])[] = [
  ['SET search_path = public', true],
  ["SET LOCAL Search_Path TO ''", true],
  ['RESET ALL', true],
  ['RESET ROLE', true],
  ['SET ROLE other', true],
  ['SET LOCAL role = other', true],
  ['IF true THEN SET SESSION AUTHORIZATION other; END IF', true],
  ["PERFORM set_config('role', 'other', true)", true],
  ["PERFORM set_config('search' || '_path', 'public', false)", true],
  ['PERFORM set_config(n, v, false) FROM (SELECT 1) s (n)', true],
  ["EXECUTE 'SET ROLE other'", true],
  ["EXECUTE format('SET %I = public', 'x')", true],
  ["EXECUTE format('RESET %I', 'x')", true],
  ['-- back to where it began\n SET ROLE other', true],
  ["PERFORM set_config('app.tenant', '7', true)", false],
  ["PERFORM pg_catalog.set_config ( 'app.tenant', '7', true)", false],
  ["UPDATE people SET role = 'x'", false],
  ["UPDATE people\n SET role = 'x', session = 2", false],
  ["SET LOCAL statement_timeout = '1s'", false],
  ['SET LOCAL session_replication_role = replica', false],
  ["INSERT INTO audit (text) VALUES (TG_OP || ' of ' || TG_TABLE_NAME)", false],
  ["EXECUTE format('INSERT INTO %I VALUES ($1)', TG_TABLE_NAME) USING NEW", false],
]

describe.each(MAJORS)('code that nobody names, on PostgreSQL %i', (major) => {
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
    await server.sql('CREATE DATABASE bodies')
    const upstream = { server, user: 'worker', databases: ['postgres'] }
    gateway = await startGateway({
      config: allowAll({ plain: upstream, crm: upstream })
        .replace('see: all, filter: all, ', '')
        .replace('connections:', 'labels:\n  pii.email: { mask: { kind: partial, of: email } }\nconnections:')
        .replace(
          /( {2}crm:[\s\S]*?tagApplicationName: false)/,
          '$1\n    labels: { public.customers.email: pii.email }',
        ),
      env: { [UPSTREAM_PASSWORD]: PASSWORD },
    })
    later(() => gateway.stop())
  })

  async function connected(connection: string, work: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client({ connectionString: await gateway.dsn(connection, TEST_IDENTITY) })
    await client.connect()
    try {
      await work(client)
    } finally {
      await client.end()
    }
  }

  /** In a transaction that is undone, so that the next one finds the tables as they were. */
  async function moved(client: Client, run: string): Promise<void> {
    await client.query('SET search_path = tenant, public')
    expect((await client.query(READ)).rows).toEqual([{ email: 'tenant@example.com' }])
    await client.query(run)
  }

  test.each(Object.entries(HANGING))(
    'a %s that moves names: nothing of another table is shown (P-02)',
    async (what, [, run]) => {
      const again = `DELETE FROM "by_${what}"; INSERT INTO "by_${what}" (n) VALUES (7)`
      await connected('plain', async (client) => {
        await moved(client, run)
        expect((await client.query(READ)).rows).toEqual([{ email: `${MARK}1@example.com` }])
      })
      if (what === 'cascade') await server.sql(`${again}; INSERT INTO child VALUES (7)`)
      await connected('crm', async (client) => {
        await moved(client, run)
        await expect(client.query(READ)).rejects.toMatchObject({
          code: 'SL001',
          message: expect.stringContaining('DISCARD ALL'),
        })
        await client.query('DISCARD ALL')
        expect((await client.query(READ)).rows).toEqual([{ email: 'q***@example.com' }])
      })
    },
  )

  test('what runs no such code goes on', async () => {
    await connected('crm', async (client) => {
      await moved(client, 'INSERT INTO quiet (n) VALUES (1)')
      await client.query('SELECT n FROM by_trigger')
      expect((await client.query(READ)).rows).toEqual([{ email: 'tenant@example.com' }])
    })
  })

  test.each(BODIES)('a body says so: %s', async (body, moves) => {
    const client = await server.client('bodies')
    try {
      await client.query('BEGIN; SET LOCAL check_function_bodies = off')
      await client.query(
        `CREATE FUNCTION said() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN ${body}; RETURN NEW; END $body$`,
      )
      expect((await loadCatalogue(client)).userCode?.moves).toBe(moves)
    } finally {
      await client.end()
    }
  })

  test('a database without functions says nothing', async () => {
    const client = await server.client('bodies')
    expect((await loadCatalogue(client)).userCode?.moves).toBe(false)
    await client.end()
  })
})
