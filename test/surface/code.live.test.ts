/** Code of the database that runs without being named: what it says of protected values is not heard. */
import { beforeAll, describe, expect, test } from 'vitest'
import { encodeClient } from '../../src/wire/postgres/index.ts'
import { targetOf } from '../abuse/world.ts'
import type { Target } from '../differential/raw-client.ts'
import { bind, execute, parse, query, RawClient, sync } from '../differential/raw-client.ts'
import { teardown } from '../support/teardown.ts'
import type { Shop } from './world.ts'
import { MARK, startShop } from './world.ts'

const SAY = `
CREATE FUNCTION seen() RETURNS text LANGUAGE sql STABLE AS $$SELECT email FROM public.customers WHERE id = 1$$;
CREATE FUNCTION says(v text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
  IF v LIKE '%fail%' THEN RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = public.seen(); END IF;
  IF v LIKE '%row%' THEN RAISE NOTICE 'saw %', public.seen(); END IF;
  RETURN true; END$$;
CREATE FUNCTION shows(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN public.seen(); END$$;
`
const OBJECTS = `
CREATE TABLE quiet (id int PRIMARY KEY, at timestamptz DEFAULT now(), n serial, note text CHECK (length(note) < 9));
INSERT INTO quiet (id) VALUES (1);
CREATE TABLE policed (id int, v text); INSERT INTO policed VALUES (1, 'row'), (2, 'fail');
ALTER TABLE policed ENABLE ROW LEVEL SECURITY; ALTER TABLE policed FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON policed USING (says(v));
CREATE VIEW policed_view AS SELECT v FROM policed;
CREATE TABLE reads (id int); INSERT INTO reads VALUES (1);
ALTER TABLE reads ENABLE ROW LEVEL SECURITY; ALTER TABLE reads FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON reads USING (id = (SELECT c.email::int FROM customers c WHERE c.id = 1));
CREATE TABLE checked (id int, v text CHECK (says(v)));
CREATE TABLE parted (id int, v text) PARTITION BY LIST (v);
CREATE TABLE parted_1 PARTITION OF parted (CHECK (says(v))) DEFAULT;
CREATE DOMAIN dom AS text CHECK (says(VALUE));
CREATE TABLE domained (v dom);
CREATE TYPE pair AS (a dom, b int);
CREATE TABLE paired (p pair, ds dom[]); INSERT INTO paired VALUES (NULL, NULL), (NULL, NULL);
CREATE FUNCTION fails() RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM says('fail'); RETURN 'x'; END$$;
CREATE TABLE defaulted (id int, v text DEFAULT fails());
CREATE TABLE generated (id int, v text, g bool GENERATED ALWAYS AS (says(v)) STORED);
CREATE TABLE indexed (id int, v text); CREATE UNIQUE INDEX ON indexed (shows(v));
CREATE TABLE keyed (id int, v text) PARTITION BY LIST (shows(v));
CREATE TYPE grade AS ENUM ('a', 'b');
CREATE FUNCTION grade_cmp(grade, grade) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM public.says('fail'); RETURN 0; END$$;
CREATE FUNCTION grade_lt(grade, grade) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN public.says('fail'); END$$;
CREATE OPERATOR <! (leftarg = grade, rightarg = grade, function = grade_lt);
CREATE OPERATOR =! (leftarg = grade, rightarg = grade, function = grade_lt);
RESET ROLE;
CREATE OPERATOR CLASS grades DEFAULT FOR TYPE grade USING btree AS OPERATOR 1 <!, OPERATOR 3 =!, FUNCTION 1 grade_cmp(grade, grade);
CREATE FUNCTION on_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
  IF tg_tag IN ('DROP TABLE', 'GRANT', 'REVOKE', 'SELECT INTO') THEN RAISE NOTICE 'saw %', public.seen(); END IF; END$$;
CREATE EVENT TRIGGER dropped ON ddl_command_start EXECUTE FUNCTION on_drop();
SET ROLE shop_app;
CREATE TABLE put_off (id int, v text);
CREATE FUNCTION on_put_off() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM says(NEW.v); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON put_off DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION on_put_off();
CREATE TABLE graded (g grade); INSERT INTO graded VALUES ('a'), ('b');
CREATE TABLE measured (id int, v text); INSERT INTO measured VALUES (1, 'row'); CREATE INDEX ON measured (says(v));
CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
CREATE FUNCTION on_child() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM says('fail'); RETURN OLD; END$$;
CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE); INSERT INTO child VALUES (1);
CREATE TRIGGER t BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION on_child();
CREATE TYPE word AS ENUM ('a');
CREATE FUNCTION word_text(word) RETURNS text LANGUAGE sql STABLE AS $$SELECT seen()$$;
CREATE CAST (word AS text) WITH FUNCTION word_text(word);
CREATE TABLE words (w word); INSERT INTO words VALUES ('a');
CREATE TABLE letters (w word); INSERT INTO letters VALUES ('a');
CREATE VIEW words_view AS SELECT w::text AS w FROM words;
`

/** Does anything, and sees nothing. */
const BUILDS = `  - name: builders build
    who: { groups: [builders] }
    on: [shop]
    permit: { run: all, unreviewed: all, unlimited: true }
`

/** Statements that show the mark when the server is asked itself. */
const TRIES: readonly string[] = [
  'SELECT id FROM policed',
  'SELECT id FROM policed WHERE id = 1',
  'COPY policed (id) TO STDOUT',
  'SELECT v FROM policed_view',
  'EXPLAIN ANALYZE SELECT id FROM policed',
  'SELECT id FROM reads',
  "INSERT INTO checked VALUES (1, 'row')",
  "INSERT INTO checked VALUES (1, 'fail')",
  "INSERT INTO parted VALUES (1, 'fail')",
  "INSERT INTO parted_1 VALUES (1, 'row')",
  "INSERT INTO domained VALUES ('fail')",
  "SELECT p FROM paired UNION ALL SELECT '(fail,1)'",
  "SELECT greatest(p, '(fail,1)') FROM paired",
  "SELECT coalesce(ds, '{fail}') FROM paired",
  "SELECT p FROM paired WHERE ds = '{row}'",
  'INSERT INTO defaulted (id) VALUES (1)',
  "INSERT INTO generated (id, v) VALUES (1, 'fail')",
  "INSERT INTO indexed VALUES (1, 'x'), (2, 'y')",
  "INSERT INTO keyed VALUES (1, 'x')",
  'SELECT g FROM graded ORDER BY g',
  'SELECT DISTINCT g FROM graded',
  'SELECT count(*) FROM graded GROUP BY g',
  'SELECT g FROM graded UNION SELECT g FROM graded',
  'SELECT rank() OVER (PARTITION BY g) FROM graded',
  'SELECT array_agg(g) AS a FROM graded GROUP BY g',
  "SELECT x FROM (VALUES ('a'::grade), ('b')) v (x) ORDER BY x",
  'DELETE FROM parent WHERE id = 1',
  'DROP TABLE graded',
  'GRANT SELECT ON quiet TO shop_app',
  'REVOKE SELECT ON quiet FROM shop_app',
  'SELECT 1 AS a INTO made',
  "INSERT INTO put_off VALUES (1, 'row'); SET/**/CONSTRAINTS ALL IMMEDIATE",
  "INSERT INTO put_off VALUES (1, 'fail'); SET--x\nCONSTRAINTS later IMMEDIATE",
  "INSERT INTO put_off VALUES (1, 'fail'); COMMIT",
  'ANALYZE',
  'ANALYZE measured',
  'CREATE TEMP TABLE mine (LIKE checked INCLUDING ALL); INSERT INTO mine VALUES (1, $$fail$$)',
  'SELECT w::text FROM words',
  'SELECT CAST(w AS text) FROM words',
  'SELECT w FROM words_view',
  'SELECT $$x$$ || w::text FROM words',
  'CREATE TEMP TABLE mine (LIKE words); INSERT INTO mine VALUES ($$a$$); SELECT w::text FROM mine',
  'CREATE TEMP TABLE mine () INHERITS (words); INSERT INTO mine VALUES ($$a$$); SELECT w::text FROM mine',
  'CREATE TABLE mine AS SELECT w::text AS x FROM words; SELECT x FROM mine',
  'ALTER TABLE letters ALTER w TYPE text USING w::text; SELECT w FROM letters',
]

describe('P-02: code that runs without being named', () => {
  const later = teardown()
  let shop: Shop
  let writer: Target
  let builder: Target
  let own: Target
  let types: Readonly<Record<string, number>>

  beforeAll(async () => {
    shop = await startShop({
      identities: '    - { name: builder, kind: service, groups: [builders] }\n',
      rules: BUILDS,
    })
    later(() => shop.stop())
    const client = await shop.server.client('shop')
    await client.query('SET ROLE shop_app')
    await client.query(SAY)
    await client.query(OBJECTS)
    const { rows } = await client.query<{ typname: string; oid: number }>(
      "SELECT typname, oid::int FROM pg_type WHERE typname IN ('dom', '_dom', 'pair', 'word')",
    )
    types = Object.fromEntries(rows.map(({ typname, oid }) => [typname, oid]))
    await client.end()
    writer = targetOf(await shop.gateway.dsn('shop', 'writer'))
    builder = targetOf(await shop.gateway.dsn('shop', 'builder'))
    const { host, port } = shop.server
    own = { host, port, user: 'shop_app', password: 'shop-upstream-password', database: 'shop' }
  }, 120_000)

  async function heard(target: Target, ...messages: Buffer[]): Promise<string> {
    const { client } = await RawClient.open(target)
    const told: string[] = []
    try {
      for (const bytes of messages) {
        client.write(bytes)
        const seen = await client.readUntilReady()
        told.push(...seen.map(({ type, body }) => `${type}${body.toString('utf8')}`))
      }
      return told.join('\n')
    } finally {
      await client.close()
    }
  }

  const within = (...messages: Buffer[]) => [query('BEGIN'), ...messages, query('ROLLBACK')]
  const extended = (sql: string) => Buffer.concat([parse('', sql), bind('', '', [], 0), execute(''), sync()])

  test.each(TRIES)('%s', async (sql) => {
    const forms = sql.includes(';') ? [query] : [query, extended]
    for (const form of forms) {
      expect(await heard(own, ...within(form(sql)))).toContain(MARK)
      expect(await heard(builder, ...within(form(sql)))).not.toContain(MARK)
    }
  })

  const declared = (statement: string, sql: string, type: number) =>
    encodeClient({ kind: 'parse', statement, sql: Buffer.from(sql), parameterTypes: [type] })
  const typed = (name: string, sql: string, type: string, value: string) =>
    Buffer.concat([declared(name, sql, types[type] ?? 0), bind('', name, [value], 0), execute(''), sync()])

  test.each([
    ['dom', 'row'],
    ['dom', 'fail'],
    ['_dom', '{fail}'],
    ['pair', '(fail,1)'],
  ])('a parameter of the type %s: %s', async (type, value) => {
    const tries = [typed('', 'SELECT $1', type, value)]
    const later = [
      Buffer.concat([declared('kept', 'SELECT $1', types[type] ?? 0), sync()]),
      query(`EXECUTE kept ('${value}')`),
    ]
    for (const each of [tries, later]) {
      expect(await heard(own, ...each)).toContain(MARK)
      expect(await heard(writer, ...each)).not.toContain(MARK)
    }
  })

  test.each([
    ['INSERT INTO quiet (id, n) VALUES (1, 1)', /Key \(id\)=\(1\) already exists/],
    ["INSERT INTO quiet (id, note) VALUES (2, 'much too long')", /Failing row contains/],
    ["INSERT INTO quiet (id) VALUES ('x')", /invalid input syntax for type integer: "x"/],
    ['SELECT nothing FROM policed', /column "nothing" does not exist/],
  ])('other errors are told in full: %s', async (sql, expected) => {
    for (const form of [query, extended]) expect(await heard(writer, form(sql))).toMatch(expected)
  })

  test('who sees every label hears it', async () => {
    const boss = targetOf(await shop.gateway.dsn('shop', 'boss'))
    expect(await heard(boss, ...within(query("INSERT INTO checked VALUES (1, 'fail')")))).toContain(MARK)
  })
})
