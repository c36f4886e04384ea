import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestServer } from '../../../../test/support/postgres.ts'
import { MAJORS, startTestServer } from '../../../../test/support/postgres.ts'
import { QUIET_QUERY, quietOf } from './quiet-code.ts'

const SETS = "BEGIN PERFORM set_config('app.tenant', 'b', false); RETURN NEW; END"

const OBJECTS = [
  'CREATE SCHEMA s',
  'CREATE TABLE plain (id int PRIMARY KEY, n int CHECK (n < 5), at timestamptz DEFAULT now())',
  'CREATE INDEX ON plain (lower(n::text))',
  'CREATE VIEW quiet AS SELECT id, upper(n::text) AS n FROM plain WHERE at < now() ORDER BY id',
  "CREATE VIEW setter AS SELECT set_config('search_path', 's', false) AS x",
  'CREATE VIEW over_setter AS SELECT * FROM setter',
  `CREATE FUNCTION sets() RETURNS trigger LANGUAGE plpgsql AS $f$${SETS}$f$`,
  'CREATE FUNCTION touches() RETURNS trigger LANGUAGE plpgsql AS $f$BEGIN NEW.at := now(); RETURN NEW; END$f$',
  "CREATE FUNCTION sets_by_itself() RETURNS text LANGUAGE sql AS $f$SELECT set_config('a.b', 'c', false)$f$",
  'CREATE TABLE touched (id int PRIMARY KEY, at timestamptz)',
  'CREATE TRIGGER t BEFORE UPDATE ON touched FOR EACH ROW EXECUTE FUNCTION touches()',
  'CREATE TABLE watched (id int PRIMARY KEY)',
  'CREATE TRIGGER t BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION sets()',
  'CREATE TABLE parent (id int PRIMARY KEY)',
  'CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE)',
  'CREATE TRIGGER t BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION sets()',
  'CREATE TABLE defaulted (id int, x text DEFAULT sets_by_itself())',
  'CREATE TABLE guarded (id int)',
  'CREATE POLICY p ON guarded USING (sets_by_itself() IS NOT NULL)',
  "CREATE FUNCTION standard() RETURNS text LANGUAGE sql RETURN set_config('a.b', 'c', false)",
  'CREATE VIEW calls_standard AS SELECT standard()',
  'CREATE TYPE money_range AS RANGE (subtype = numeric)',
]

describe.each(MAJORS)('PostgreSQL %i: code of users that runs without being named', (major) => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer(major)
    for (const each of OBJECTS) await server.sql(each)
  })
  afterAll(() => server.stop())

  const look = async (): Promise<ReturnType<typeof quietOf>> => {
    const client = await server.client()
    try {
      const { rows } = await client.query<(string | null)[]>({ text: QUIET_QUERY, rowMode: 'array' })
      return quietOf(rows)
    } finally {
      await client.end()
    }
  }

  it('is told apart by whether it could change settings', async () => {
    const quiet = await look()
    const reads = (name: string): boolean => quiet([name], [])
    const writes = (name: string): boolean => quiet([], [name])
    for (const name of [
      'plain',
      'quiet',
      'touched',
      'watched',
      'parent',
      'child',
      'defaulted',
      'pg_class',
      'pg_settings',
    ])
      expect(reads(name), `reading ${name}`).toBe(true)
    for (const name of ['setter', 'over_setter', 'guarded', 'calls_standard', 'nobody'])
      expect(reads(name), `reading ${name}`).toBe(false)
    for (const name of ['plain', 'quiet', 'touched', 'public.plain'])
      expect(writes(name), `writing ${name}`).toBe(true)
    for (const name of ['watched', 'parent', 'child', 'defaulted', 'guarded', 'pg_settings'])
      expect(writes(name), `writing ${name}`).toBe(false)
  })

  it('makes nothing quiet where an operator could', async () => {
    await server.sql(
      "CREATE FUNCTION op(int, int) RETURNS bool LANGUAGE sql AS $f$SELECT set_config('a.b', 'c', false) IS NULL$f$",
    )
    await server.sql('CREATE OPERATOR === (FUNCTION = op, LEFTARG = int, RIGHTARG = int)')
    expect((await look())(['plain'], [])).toBe(false)
    await server.sql('DROP OPERATOR === (int, int)')
    expect((await look())(['plain'], [])).toBe(true)
    // A name of the server's that may mean another function for arguments of other types.
    await server.sql(
      "CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS $f$SELECT set_config('a.b', 'c', false)$f$",
    )
    expect((await look())(['plain'], [])).toBe(false)
  })
})
