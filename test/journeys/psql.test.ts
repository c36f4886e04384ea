/** A person works in psql: everything it shows is what it shows without the gateway, and Ctrl-C stops what runs. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { allowAll, TEST_IDENTITY, UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import { run } from '../support/process.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { libpqEnvironment, openTerminal } from '../support/tmux.ts'
import { JOURNEY_DATABASE, JOURNEY_PASSWORD, JOURNEY_ROLE, makeJourneyDatabase } from './fixture.ts'

/** What people type, by what they want. */
const SCRIPTS = {
  'look around': String.raw`
\d
\dt+
\d things
\d+ types
\di
\ds
\dv *.pg_stat*
\dn+
\df
\df+ complain
\sf mention
\dT+
\do +
\dx
\dy
\dD
\dC int4
\dO
\dp
\ddp
\du
\drds
\l
\dL
\dconfig search_path
\encoding
\z things
\dRp+
`,
  'shape the output': String.raw`
SELECT * FROM things ORDER BY id \gx
\x auto
\pset null '(none)'
SELECT * FROM things ORDER BY id;
\pset format csv
SELECT * FROM parts;
\pset format aligned
\a \t
SELECT 1, 2 \g
\t
\a
SELECT t.name, p.id, 1 FROM things t JOIN parts p ON p.thing_id = t.id \crosstabview
\pset format wrapped
\pset columns 40
SELECT repeat('wide ', 30);
`,
  'use variables and scripts': String.raw`
\set n 2
SELECT name AS found FROM things WHERE id = :n \gset
\echo :found :'found' :"found"
SELECT format('SELECT %s AS made', g) FROM generate_series(1, 3) AS g \gexec
\if :{?found}
SELECT 'yes';
\else
SELECT 'no';
\endif
SELECT 1 / 0;
\errverbose
\echo :SQLSTATE :ERROR :ROW_COUNT :LAST_ERROR_MESSAGE
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO scratch VALUES (1, NULL);
INSERT INTO scratch VALUES (1, 'kept');
COMMIT;
SELECT * FROM scratch;
\set AUTOCOMMIT off
DELETE FROM scratch;
ROLLBACK;
\set AUTOCOMMIT on
SELECT count(*) FROM scratch;
\set SHOW_ALL_RESULTS off
SELECT 1\; SELECT 2;
\gdesc
SELECT id, name, price FROM things \gdesc
\set FETCH_COUNT 2
SELECT g, repeat('x', g) FROM generate_series(1, 7) AS g;
`,
  'move data with copy': String.raw`
\copy scratch FROM STDIN
7	seven
8	\N
\.
\copy scratch FROM STDIN
7	seven
8	eight
\.
COPY scratch FROM STDIN WITH (FORMAT csv);
9,"nine, or so"
\.
\copy (SELECT * FROM scratch ORDER BY id) TO STDOUT
\copy scratch TO PROGRAM 'sort -r | head -2'
COPY things TO STDOUT (FORMAT csv, HEADER);
`,
  'hear notices and notifications': String.raw`
SELECT mention('psql');
\set VERBOSITY verbose
SELECT mention('psql');
SELECT complain('verbosely');
\set VERBOSITY sqlstate
SELECT complain('tersely');
LISTEN news;
NOTIFY news, 'paper';
SELECT pg_notify('news', 'more');
`,
  'connect again': String.raw`
SET application_name = 'before';
\c
SHOW application_name;
\c -
SELECT current_database();
\c nowhere_at_all
SELECT 1;
`,
} as const

/** What may differ: process ids; and the name somebody is known by, which is the credential's on one side. */
function plain(text: string): string {
  return text
    .replaceAll(/with PID \d+/g, 'with PID (n)')
    .replaceAll(/as user "[^"]*"/g, 'as user "(name)"')
    .replaceAll(/port "?\d+"?/g, 'port (n)')
}

describe.each(MAJORS)('P-01 psql against PostgreSQL %i', (major) => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let direct: string

  beforeAll(async () => {
    server = await startTestServer(major)
    later(() => server.stop())
    gateway = await startGateway({
      config: allowAll({ open: { server, user: JOURNEY_ROLE, databases: [JOURNEY_DATABASE] } }),
      env: { [UPSTREAM_PASSWORD]: JOURNEY_PASSWORD },
    })
    later(() => gateway.stop())
    direct = server.dsn({ database: JOURNEY_DATABASE, user: JOURNEY_ROLE, password: JOURNEY_PASSWORD })
  })

  test.each(Object.entries(SCRIPTS))('%s', async (name, script) => {
    const seen: { code: number | null; stdout: string; stderr: string }[] = []
    for (const dsn of [direct, await gateway.dsn('open', TEST_IDENTITY)]) {
      await makeJourneyDatabase(server)
      const { code, stdout, stderr } = await psql(dsn, script)
      seen.push({ code, stdout: plain(stdout), stderr: plain(stderr) })
    }
    const [expected, through] = seen
    expect(expected?.stdout.length, name).toBeGreaterThan(50)
    if (name === 'connect again') {
      // The one difference: the gateway does not tell which databases there are beyond its list.
      expect(through?.stdout).toBe(expected?.stdout)
      expect(through?.stderr).toMatch(/FATAL: {2}.+\n/)
    } else {
      expect(through).toEqual(expected)
    }
  })

  test('P-01: Ctrl-C stops what runs and leaves the session usable', async () => {
    await makeJourneyDatabase(server)
    const dsn = await gateway.dsn('open', TEST_IDENTITY)
    const terminal = await openTerminal(['psql', '-X'], libpqEnvironment(dsn))
    try {
      await terminal.shows(/=>$/m)
      await terminal.type('SELECT pg_sleep(60);', 'Enter')
      await terminal.shows(/pg_sleep\(60\)/)
      await new Promise((resolve) => setTimeout(resolve, 500))
      await terminal.type('C-c')
      await terminal.shows(/Cancel request sent\nERROR: {2}canceling statement due to user request/)
      await terminal.type("SELECT 'still ' || 'here';", 'Enter')
      await terminal.shows(/ still here\n\(1 row\)/)
      expect(
        await server.sql(
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'",
        ),
      ).toEqual([])
    } finally {
      await terminal.close()
    }
  })

  test('P-01: pg_dump reads the same, and its output loads again', async () => {
    await makeJourneyDatabase(server)
    const place = await mkdtemp(join(tmpdir(), 'sluice-dump-'))
    try {
      const dumps: string[] = []
      for (const dsn of [direct, await gateway.dsn('open', TEST_IDENTITY)]) {
        const file = join(place, 'dump.sql')
        // An older pg_dump refuses a newer server.
        const done = await run('pg_dump', ['-f', file, '--no-owner'], { env: libpqEnvironment(dsn) })
        if (major > 15) expect(done.stderr).toMatch(/server version mismatch/)
        else {
          expect(done).toMatchObject({ code: 0, stderr: '' })
          // Each dump has a random token of its own.
          dumps.push((await readFile(file, 'utf8')).replaceAll(/^\\(un)?restrict .*$/gm, ''))
        }
      }
      if (major > 15) return
      expect(dumps[0]?.length).toBeGreaterThan(5_000)
      expect(dumps[1]).toBe(dumps[0])
      const script = join(place, 'again.sql')
      await writeFile(script, `DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n${dumps[1]}`)
      const done = await psql(await gateway.dsn('open', TEST_IDENTITY), '', [
        '-v',
        'ON_ERROR_STOP=1',
        '-q',
        '-f',
        script,
      ])
      expect(done.code, done.stderr).toBe(0)
      expect(await server.sql('SELECT count(*)::int AS n FROM things', [], JOURNEY_DATABASE)).toEqual([
        { n: 3 },
      ])
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  })

  test('exit codes and files', async () => {
    await makeJourneyDatabase(server)
    for (const dsn of [direct, await gateway.dsn('open', TEST_IDENTITY)]) {
      expect((await psql(dsn, '', ['-c', 'SELECT 1', '-c', 'SELECT 1/0'])).code).toBe(1)
      expect((await psql(dsn, 'SELECT 1/0;\nSELECT 2;', ['-v', 'ON_ERROR_STOP=1'])).code).toBe(3)
      expect((await psql(dsn, 'SELECT 1/0;\nSELECT 2;')).code).toBe(0)
      const atOnce = await psql(dsn, "INSERT INTO scratch VALUES (1, 'x');\nSELECT 1/0;", ['-1', '-f', '-'])
      expect(atOnce.stderr).toMatch(/division by zero/)
    }
    expect(await server.sql('SELECT * FROM scratch', [], JOURNEY_DATABASE)).toEqual([])
    expect(gateway.stderr()).toBe('')
  })
})
