import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandClass } from '../../core/index.ts'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import { analyse } from '../analyse.ts'
import { classOfKind } from './classify.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

async function classOf(text: string, catalogue = false): Promise<CommandClass> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, {
    searchPath: ['public'],
    ...(catalogue ? { catalogue: sampleCatalogue({}, []) } : {}),
  }).class
}

describe('the grammar', () => {
  it('has no kind of statement without an answer', () => {
    const require = createRequire(createRequire(import.meta.url).resolve('libpg-query'))
    const description = readFileSync(require.resolve('@pgsql/types').replace(/[^/]+$/, 'types.d.ts'), 'utf8')
    const kinds = [...description.matchAll(/^export interface (\w+Stmt) \{/gm)].map((match) => match[1] ?? '')
    expect(kinds.length).toBeGreaterThan(110)
    expect(kinds.filter((kind) => classOfKind(kind) === undefined)).toEqual([])
  })

  it('has no answer for what is no statement', () => {
    expect(classOfKind('A_Const')).toBeUndefined()
    expect(classOfKind('constructor')).toBeUndefined()
  })
})

const STATEMENTS: Record<CommandClass, readonly string[]> = {
  read: [
    'SELECT 1',
    'TABLE t',
    'VALUES (1)',
    'SELECT * FROM t FOR UPDATE',
    'WITH x AS (SELECT 1) SELECT * FROM x',
    'EXPLAIN DELETE FROM t',
    'EXPLAIN (ANALYZE, ANALYZE off) DELETE FROM t',
    'EXPLAIN ANALYZE SELECT 1',
    'EXPLAIN SELECT f(x) FROM t',
    'COPY t TO STDOUT',
    'COPY (SELECT 1) TO STDOUT',
    'DECLARE c CURSOR FOR SELECT 1',
    'FETCH ALL FROM c',
    'MOVE 5 FROM c',
    'CLOSE c',
    'PREPARE p AS SELECT 1',
    'DEALLOCATE ALL',
    'SHOW ALL',
    'SET statement_timeout = 5',
    'SET row_security = off',
    'RESET row_security',
    "SET TIME ZONE 'UTC'",
    "SET NAMES 'UTF8'",
    'SET search_path = a, b',
    'SET app.tenant = 5',
    'RESET ALL',
    'RESET statement_timeout',
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
    "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'",
    'SET CONSTRAINTS ALL DEFERRED',
    'BEGIN',
    'START TRANSACTION READ ONLY',
    'COMMIT',
    'ROLLBACK',
    'SAVEPOINT a',
    'ROLLBACK TO a',
    'RELEASE a',
    'LOCK TABLE t IN ACCESS SHARE MODE',
    'LOCK t IN ROW SHARE MODE NOWAIT',
    'LISTEN x',
    'UNLISTEN *',
    'DISCARD ALL',
    "SELECT set_config('statement_timeout', '5', false)",
    'SELECT lower(a), count(*), now(), pg_sleep(1), substring(a FROM 1) FROM t',
    'SELECT current_user, a IS JSON, JSON_OBJECT(1: 2), XMLELEMENT(name x) FROM t',
  ],
  write: [
    'LOCK TABLE t',
    'LOCK TABLE t IN ROW EXCLUSIVE MODE',
    'LOCK TABLE t IN ACCESS EXCLUSIVE MODE',
    'INSERT INTO t VALUES (1)',
    'UPDATE t SET a = 1',
    'DELETE FROM t',
    'MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE',
    'TRUNCATE t',
    "NOTIFY x, 'y'",
    'COPY t FROM STDIN',
    'COPY (DELETE FROM t RETURNING *) TO STDOUT',
    'WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x',
    'WITH x AS (SELECT 1), y AS (INSERT INTO t SELECT * FROM x) SELECT 1',
    'EXPLAIN ANALYZE DELETE FROM t',
    'EXPLAIN (ANALYZE off, ANALYZE) DELETE FROM t',
    'EXPLAIN (ANALYZE 1) INSERT INTO t VALUES (1)',
    'PREPARE p AS UPDATE t SET a = 1',
    "SELECT nextval('s')",
    "SELECT pg_notify('a', 'b')",
    'SELECT lo_unlink(5)',
    "SELECT * FROM t WHERE a = (SELECT setval('s', 1))",
    'BEGIN READ WRITE',
    'SET TRANSACTION READ WRITE',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
    'SET default_transaction_read_only = off',
    "SELECT set_config('transaction_read_only', 'off', false)",
    'REFRESH MATERIALIZED VIEW v',
    'SELECT 1; DELETE FROM t',
    'DELETE FROM t; SELECT 1',
  ],
  define: [
    'CREATE TABLE t (a int)',
    'CREATE TABLE t AS SELECT 1',
    'SELECT 1 INTO t',
    'SELECT 1 INTO t UNION SELECT 2',
    'WITH x AS (DELETE FROM t RETURNING *) SELECT * INTO y FROM x',
    'CREATE VIEW v AS SELECT f() FROM t',
    'CREATE RULE r AS ON INSERT TO t DO INSTEAD DELETE FROM s',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    'CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()',
    'CREATE INDEX ON t (a)',
    'CREATE SCHEMA s',
    'CREATE SCHEMA s CREATE TABLE t (a int)',
    "CREATE TYPE e AS ENUM ('a')",
    'ALTER TABLE t ADD COLUMN a int',
    'ALTER TABLE t RENAME TO s',
    'DROP TABLE t',
    'DROP FUNCTION f()',
    'DROP SCHEMA s CASCADE',
    "COMMENT ON TABLE t IS 'x'",
    'CREATE TABLE t (id uuid DEFAULT uuid_generate_v4())',
    'BEGIN; CREATE TABLE t (a int); COMMIT',
  ],
  administer: [
    'ALTER TABLE t REPLICA IDENTITY FULL',
    'CREATE ROLE r',
    'ALTER ROLE r SUPERUSER',
    'ALTER ROLE r SET search_path = x',
    'GRANT SELECT ON t TO r',
    'REVOKE SELECT ON t FROM r',
    'GRANT a TO b',
    'SET ROLE r',
    'RESET ROLE',
    'SET SESSION AUTHORIZATION r',
    'RESET SESSION AUTHORIZATION',
    "SET client_encoding = 'SJIS'",
    'SET standard_conforming_strings = off',
    'SET session_replication_role = replica',
    "SET plpgsql.extra_errors = 'all'",
    'SET some_unknown_setting = 5',
    "SELECT set_config('role', 'r', false)",
    "SELECT set_config(name, 'x', false) FROM t",
    'ALTER SYSTEM SET x = 1',
    'ALTER DATABASE d SET x = 1',
    'ALTER TABLE t OWNER TO r',
    'ALTER TABLE t DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE t DISABLE TRIGGER ALL',
    'CREATE POLICY p ON t',
    'DROP POLICY p ON t',
    'CREATE EXTENSION dblink',
    'DROP EXTENSION dblink',
    "COPY t TO PROGRAM 'cat'",
    "COPY t FROM PROGRAM 'cat'",
    "COPY t TO '/tmp/x'",
    "COPY t FROM '/tmp/x'",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    'VACUUM',
    'ANALYZE t',
    'CHECKPOINT',
    "LOAD 'x'",
    'CREATE DATABASE d',
    'DROP DATABASE d',
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
    'CREATE PUBLICATION p FOR ALL TABLES',
    'CREATE SCHEMA s AUTHORIZATION r',
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    'DROP ROLE r',
    'ALTER ROLE r RENAME TO s',
    'SELECT pg_terminate_backend(5)',
    'SELECT pg_reload_conf()',
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM pg_ls_dir('.')",
    "SELECT lo_export(5, '/tmp/x')",
    "SELECT lo_import('/etc/passwd')",
    "EXPLAIN ANALYZE SELECT pg_read_file('x')",
    "SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)",
  ],
  opaque: [
    'DO $$ BEGIN END $$',
    'CALL p()',
    'EXECUTE p',
    'CREATE TABLE t AS EXECUTE p',
    'EXPLAIN ANALYZE EXECUTE p',
    'SELECT f()',
    'SELECT public.lower(x) FROM t',
    "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    "SELECT table_to_xml('t', true, true, '')",
    "SELECT * FROM dblink('x', 'y') AS t(a int)",
    "SELECT dblink_exec('DELETE FROM t')",
    "SELECT ts_stat('SELECT 1')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT 1')",
    'SELECT 1 FROM t WHERE EXISTS (SELECT f())',
    'INSERT INTO t VALUES (f())',
    'DELETE FROM t WHERE f(a)',
    'SELECT 1; DO $$ BEGIN END $$',
    'ALTER TABLE t ADD COLUMN a int DEFAULT f()',
  ],
}

describe('the class of', () => {
  for (const [expected, statements] of Object.entries(STATEMENTS)) {
    it.each(statements)(`%s is ${expected}`, async (text) => {
      expect(await classOf(text)).toBe(expected)
    })
  }

  it.each([
    ['SELECT get_email(1)', 'read'],
    ['SELECT do_things()', 'opaque'],
    ['SELECT public.do_things()', 'opaque'],
    ['SELECT other.do_things()', 'opaque'],
    ['SELECT similarity(a, b) FROM leads', 'read'],
    ['SELECT nowhere()', 'opaque'],
    ['SELECT lower(source) FROM leads', 'read'],
  ])('%s with a catalogue is %s', async (text, expected) => {
    expect(await classOf(text, true)).toBe(expected)
  })

  it('a built-in whose name a volatile function of a user has is opaque', async () => {
    const catalogue = sampleCatalogue(
      { functions: [{ schema: 'public', name: 'lower', volatile: true, extension: null }] },
      [],
    )
    const parsed = await parser.parse("SELECT lower('X')")
    expect(analyse(parsed, { catalogue, searchPath: ['public'] }).class).toBe('opaque')
    const qualified = await parser.parse("SELECT pg_catalog.lower('X')")
    expect(analyse(qualified, { catalogue, searchPath: ['public'] }).class).toBe('read')
  })
})
