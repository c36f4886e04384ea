import { beforeAll, describe, expect, test } from 'vitest'
import { targetOf } from '../abuse/world.ts'
import type { Target } from '../differential/raw-client.ts'
import { bind, execute, parse, query, RawClient, sync } from '../differential/raw-client.ts'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'

/**
 * What commits, what is taken back and what outlives that, kind by kind and wherever a statement may stand: asked of a real
 * server. Two schemas have a table of the same name, and only one of them is protected, so what comes of a query tells both
 * where the server looks for the name and where the gateway believes that it does.
 */

const PASSWORD = 'settling-role-password'
const MARK = 'qzvmark'
const SCHEMA = `
CREATE TABLE customers (id int PRIMARY KEY, email text);
INSERT INTO customers VALUES (1, '${MARK}1@example.com');
CREATE SCHEMA tenant;
CREATE TABLE tenant.customers (id int PRIMARY KEY, email text);
INSERT INTO tenant.customers VALUES (1, 'tenant@example.com');
CREATE TABLE tenant.notes (id int PRIMARY KEY, n int);
CREATE TABLE public.notes (id int PRIMARY KEY, n int);
CREATE TABLE public.scratch (id int);
CREATE TABLE public.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (10);
CREATE ROLE other;
GRANT USAGE ON SCHEMA tenant TO other;
GRANT SELECT ON ALL TABLES IN SCHEMA public, tenant TO other;
CREATE PROCEDURE nothing() LANGUAGE sql AS '';
`

const TO_TENANT = 'SET search_path = tenant, public'
const TO_PUBLIC = 'SET search_path = public'
const FAILS = 'SELECT 1/0'
/** Without Describe the server says nothing of where it comes from. */
const READ = "SELECT id, email FROM customers UNION ALL SELECT 5, 'x'"

const KINDS = [
  'DISCARD ALL',
  'DISCARD TEMP',
  'VACUUM notes',
  'ANALYZE',
  'ANALYZE notes',
  'ANALYZE notes, scratch',
  'REINDEX TABLE notes',
  'REINDEX INDEX notes_pkey',
  'REINDEX TABLE parted',
  'REINDEX TABLE CONCURRENTLY notes',
  'REINDEX SCHEMA tenant',
  'CLUSTER notes USING notes_pkey',
  'CLUSTER',
  'CREATE INDEX CONCURRENTLY IF NOT EXISTS later ON notes (n)',
  'DROP INDEX CONCURRENTLY IF EXISTS later',
  'CREATE INDEX IF NOT EXISTS plain ON notes (n)',
  'ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY',
  'ALTER SYSTEM RESET work_mem',
  'DROP DATABASE IF EXISTS nobody',
  'DROP TABLESPACE IF EXISTS nobody',
  'ALTER DATABASE postgres CONNECTION LIMIT -1',
  'CHECKPOINT',
  'LISTEN a',
  'NOTIFY a',
  'LOCK TABLE scratch',
  'TRUNCATE scratch',
  "DO 'BEGIN END'",
  'CALL nothing()',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'COMMIT AND CHAIN',
  'ROLLBACK AND CHAIN',
  'SAVEPOINT s',
  'RELEASE s',
  'ROLLBACK TO s',
  "PREPARE TRANSACTION 'prepared'",
  "ROLLBACK PREPARED 'prepared'",
  'SET LOCAL search_path = tenant, public',
  'SET TRANSACTION READ WRITE',
  'RESET ALL',
  'RESET search_path',
  'SET ROLE other',
  'CREATE TEMP TABLE IF NOT EXISTS made (a int)',
  'DEALLOCATE ALL',
  'CLOSE ALL',
] as const

const x = (sql: string): Buffer[] => [parse('', sql), bind('', '', [], 0), execute('')]
const q = (...texts: string[]): Buffer[][] => texts.map((each) => [query(each)])

/** Where it stands: what is sent in one write each, and the search path that it begins with. */
const SITUATIONS: Readonly<Record<string, (kind: string) => { from: string; writes: Buffer[][] }>> = {
  'by itself': (kind) => ({ from: TO_TENANT, writes: q(kind) }),
  'by itself in a group': (kind) => ({ from: TO_TENANT, writes: [[...x(kind), sync()]] }),
  'behind SET in a batch that fails': (kind) => ({
    from: TO_PUBLIC,
    writes: q(`${TO_TENANT}; ${kind}; ${FAILS}`),
  }),
  'before SET in a batch that fails': (kind) => ({
    from: TO_PUBLIC,
    writes: q(`${kind}; ${TO_TENANT}; ${FAILS}`),
  }),
  'behind SET in a group that fails': (kind) => ({
    from: TO_PUBLIC,
    writes: [[...x(TO_TENANT), ...x(kind), ...x(FAILS), sync()]],
  }),
  'behind SET in a group that does not': (kind) => ({
    from: TO_PUBLIC,
    writes: [[...x(TO_TENANT), ...x(kind), sync()]],
  }),
  'before SET in a group that fails': (kind) => ({
    from: TO_PUBLIC,
    writes: [[...x(kind), ...x(TO_TENANT), ...x(FAILS), sync()]],
  }),
  'before what fails': (kind) => ({ from: TO_TENANT, writes: [[...x(kind), ...x(FAILS), sync()]] }),
  'before what cannot be read': (kind) => ({
    from: TO_TENANT,
    writes: [[...x(kind), parse('', 'SELECT nobody'), sync()]],
  }),
  'before ROLLBACK in a group': (kind) => ({
    from: TO_TENANT,
    writes: [[...x(kind), ...x(TO_PUBLIC), ...x('ROLLBACK'), sync()]],
  }),
  'before a block in its group': (kind) => ({
    from: TO_TENANT,
    writes: [[...x(kind), ...x('BEGIN'), ...x(TO_PUBLIC), ...x('ROLLBACK'), sync()]],
  }),
  'in a block that is rolled back': (kind) => ({
    from: TO_PUBLIC,
    writes: q('BEGIN', TO_TENANT, kind, 'ROLLBACK'),
  }),
  'in a block that is committed': (kind) => ({
    from: TO_PUBLIC,
    writes: q('BEGIN', TO_TENANT, kind, 'COMMIT'),
  }),
  'in a block in one group': (kind) => ({
    from: TO_PUBLIC,
    writes: [[...x('BEGIN'), ...x(TO_TENANT), ...x(kind), ...x('ROLLBACK'), sync()]],
  }),
  'in a block of several groups in one write': (kind) => ({
    from: TO_PUBLIC,
    writes: [
      [
        query('BEGIN'),
        ...x(TO_TENANT),
        sync(),
        query(kind),
        ...x('ROLLBACK'),
        sync(),
        query(TO_PUBLIC),
        query('RESET ROLE'),
      ],
    ],
  }),
  'behind a savepoint that is taken back': (kind) => ({
    from: TO_PUBLIC,
    writes: q('BEGIN', 'SAVEPOINT s', TO_TENANT, kind, 'ROLLBACK TO s', 'COMMIT'),
  }),
}

describe.each(MAJORS)('a session that commits on PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer
  let target: Target

  beforeAll(async () => {
    server = await startTestServer(major, { max_prepared_transactions: 20 })
    later(() => server.stop())
    await server.role('worker', PASSWORD, { superuser: true })
    const client = await server.client()
    await client.query(SCHEMA)
    await client.end()
    const gateway = await startGateway({
      config: allowAll({ crm: { server, user: 'worker', databases: ['postgres'] } })
        .replace('see: all, filter: all, ', '')
        .replace('connections:', 'labels:\n  pii.email: { mask: { kind: partial, of: email } }\nconnections:')
        .replace(
          'tagApplicationName: false',
          (line) => `${line}\n    labels: { public.customers.email: pii.email }`,
        ),
      env: { [UPSTREAM_PASSWORD]: PASSWORD },
    })
    later(() => gateway.stop())
    target = targetOf(await gateway.dsn('crm', TEST_IDENTITY))
  })

  test.each(KINDS)('%s: names mean to the gateway what they mean to the server (P-02)', async (kind) => {
    const { client } = await RawClient.open(target)
    for (const [situation, play] of Object.entries(SITUATIONS)) {
      const { from, writes } = play(kind)
      await say(client, q('DISCARD ALL', from).flat())
      for (const write of writes) await say(client, write)
      const heard = await say(client, [query('ROLLBACK'), ...x(READ), sync()])
      if (kind.startsWith('PREPARE')) await server.sql("ROLLBACK PREPARED 'prepared'").catch(() => undefined)
      const shown = heard.filter(({ type }) => type === 'D').map(({ body }) => body.toString('latin1'))
      const all = heard.map(({ type, body }) => `${type} ${body.toString('latin1')}`).join('\n')
      expect(shown.length === 2 || /SL001/.test(all), `${situation}: ${all}`).toBe(true)
      expect(all, `${situation}: the server read what is protected, the gateway what is not`).not.toContain(
        MARK,
      )
      expect(all, `${situation}: the server read what is not protected, the gateway what is`).not.toContain(
        't***',
      )
    }
  })
})

async function say(client: RawClient, messages: readonly Buffer[]): ReturnType<RawClient['read']> {
  client.write(...messages)
  return await client.readUntilReady(
    messages.filter((each) => 'QS'.includes(String.fromCharCode(each[0] ?? 0))).length,
  )
}
