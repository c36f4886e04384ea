import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts, LabelName } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { statementOf, Views } from './views.ts'

let parser: Parser
let views: Views

beforeAll(async () => {
  parser = await createParser()
  views = new Views((definition) => statementOf(parser.parseNow(definition)))
})

afterAll(() => parser.close())

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue(), views, ...more })
}

describe('what is not followed is an escape of all labels', () => {
  it.each([
    'SELECT * FROM stats_view',
    'SELECT * FROM calls_function',
    'SELECT get_email(1)',
    'SELECT public.get_email(1)',
    'SELECT * FROM get_email(1)',
    "SELECT crosstab('x')",
    "SELECT 1 WHERE get_email(1) LIKE 'a%'",
    'SELECT 1 ORDER BY get_email(1)',
    'INSERT INTO leads (email) VALUES (get_email(1))',
    'SELECT nowhere(1)',
    'SELECT * FROM nowhere',
    'SELECT nothing FROM customers',
    'SELECT nobody.email FROM customers',
    'SELECT crm.public.customers.email FROM customers',
    'SELECT * FROM other.public.customers',
    'SELECT 1 === 2',
    'SELECT 1 OPERATOR(public.+) 2 FROM customers WHERE 1 === id',
    "SELECT 'x'::odd",
    'SELECT 5::checked',
    'SELECT NULL::customers',
    "SELECT * FROM json_populate_record(NULL::customers, '{}')",
    'SELECT * FROM pg_stats',
    'SELECT * FROM pg_catalog.pg_statistic',
    'SELECT * FROM pg_authid',
    'SELECT * FROM pg_largeobject',
    'SELECT * FROM information_schema.user_mapping_options',
    'SELECT query FROM pg_stat_activity',
    'SELECT * FROM pg_stat_activity',
    'SELECT a FROM pg_stat_activity a',
    'SELECT statement FROM pg_prepared_statements',
    'SELECT * FROM pg_attribute',
    'SELECT a.* FROM pg_attribute a',
    'SELECT attmissingval FROM pg_attribute',
    'SELECT 1 FROM pg_attribute WHERE attmissingval IS NOT NULL',
    'SELECT to_json(a) FROM pg_attribute a',
    'SELECT z FROM pg_attribute AS a (b, c, d, z)',
    'SELECT j.* FROM (pg_attribute a JOIN pg_class c ON c.oid = a.attrelid) AS j',
    'SELECT 1 FROM pg_attribute NATURAL JOIN pg_class',
    "UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'",
    'DELETE FROM pg_class',
    "SELECT query_to_xml('SELECT * FROM customers', true, true, '')",
    "SELECT table_to_xml('customers', true, true, '')",
    "SELECT * FROM ts_stat('SELECT email::tsvector FROM customers')",
    "SELECT * FROM dblink('x', 'SELECT 1') AS t(a text)",
    "SELECT pg_read_file('x')",
    'SELECT lo_get(5)',
    'SELECT loread(1, 2)',
    "SELECT currtid2('customers', '(0,1)')",
    'SELECT pg_sleep(1) FROM customers',
    'SELECT pg_advisory_lock(id) FROM customers',
    "SELECT nextval('orders_id_seq') FROM customers",
    'SELECT c.*, p.* FROM customers c, pg_class p',
    'WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT id FROM customers) SELECT * FROM a',
    "COPY customers TO STDOUT (ENCODING 'LATIN1')",
    'EXPLAIN ANALYZE SELECT email FROM customers',
    'EXPLAIN EXECUTE p',
    'EXECUTE p',
    'DO $$ BEGIN END $$',
    'CALL p()',
    'FETCH ALL FROM c',
    'LISTEN x',
    'ALTER TABLE orders ADD COLUMN x text DEFAULT (SELECT email FROM customers LIMIT 1)',
    'CREATE VIEW v AS SELECT attmissingval FROM pg_attribute',
    'CREATE MATERIALIZED VIEW v AS SELECT * FROM pg_attribute',
    'CREATE RULE r AS ON DELETE TO orders DO ALSO SELECT attmissingval FROM pg_attribute',
    'CREATE TABLE x AS SELECT attmissingval FROM pg_attribute',
    'CREATE TABLE x AS SELECT umoptions FROM pg_user_mappings',
    'CREATE TABLE x AS SELECT query FROM pg_stat_activity',
    'CREATE TABLE x AS WITH y AS (DELETE FROM pg_class RETURNING 1) SELECT * FROM y',
    'WITH y AS (DELETE FROM pg_class RETURNING 1) SELECT * INTO x FROM y',
    "WITH y AS (UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path' RETURNING 1) SELECT * INTO x FROM y",
    'CREATE TABLE x AS SELECT nothing FROM customers',
    'CREATE TABLE x AS SELECT get_email(1) FROM customers',
    'CREATE TEMP TABLE orders AS SELECT id FROM customers',
    'CREATE OR REPLACE VIEW order_totals AS SELECT id FROM customers',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE f() LANGUAGE sql AS 'SELECT 1'",
    'CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()',
    'CREATE RULE r AS ON SELECT TO orders DO ALSO SELECT * FROM customers',
    'CREATE TABLE x (LIKE customers)',
    'CREATE TABLE x () INHERITS (customers)',
    'CREATE TABLE x PARTITION OF events FOR VALUES FROM (1) TO (2)',
    'CREATE TABLE x (a text DEFAULT get_email(1))',
    'CREATE TABLE x (a customers)',
    'CREATE TABLE x (a text REFERENCES customers (email))',
    'CREATE TABLE x (a int REFERENCES customers)',
    'ALTER TABLE orders ADD FOREIGN KEY (note) REFERENCES customers (email)',
    'ALTER TABLE orders ATTACH PARTITION customers FOR VALUES IN (1)',
    'ALTER TABLE orders INHERIT customers',
    'ALTER TABLE customers ADD COLUMN x text GENERATED ALWAYS AS (email) STORED',
    "ALTER TABLE customers ADD CHECK (email <> 'x')",
    'ALTER TABLE customers ADD UNIQUE (email)',
    'ALTER TABLE customers ALTER COLUMN email TYPE int USING 1',
    'ALTER TABLE customers ALTER COLUMN email SET NOT NULL',
    'ALTER TABLE customers RENAME COLUMN email TO plan2',
    'ALTER TABLE customers RENAME TO x',
    'ALTER TABLE customers SET SCHEMA app',
    'ALTER INDEX customers RENAME TO x',
    'ALTER SCHEMA public RENAME TO x',
    'ALTER FUNCTION get_email(int) RENAME TO lower',
    'ALTER FUNCTION get_email(int) SET search_path = x',
    'CREATE INDEX ON customers (lower(email))',
    'CREATE INDEX ON customers (email)',
    "CREATE INDEX ON customers (plan) WHERE email = 'x'",
    'CREATE STATISTICS s ON email, plan FROM customers',
    'CREATE CAST (int AS text) WITH FUNCTION f(int)',
    'CREATE OPERATOR = (LEFTARG = int, RIGHTARG = int, FUNCTION = f)',
    'CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int)',
    'CREATE EXTENSION dblink',
    'CREATE PUBLICATION p FOR TABLE customers',
    'CREATE DATABASE x TEMPLATE crm',
    'ALTER ROLE r SET search_path = x',
    'ALTER ROLE r NOSUPERUSER',
    'ALTER ROLE r NOINHERIT',
    'ALTER GROUP g ADD USER u',
    'CREATE ROLE r IN ROLE s',
    'CREATE ROLE r ROLE s',
    'ALTER DATABASE crm SET search_path = x',
    'ALTER SYSTEM SET x = 1',
    'GRANT USAGE ON SCHEMA public TO r',
    'GRANT a TO b',
    'REINDEX TABLE customers',
    'CLUSTER',
    'TRUNCATE audited',
    'SET search_path = elsewhere, public',
    'SET ROLE r',
    'SET SESSION AUTHORIZATION r',
    "SET client_encoding = 'SJIS'",
    "SET NAMES 'GBK'",
    'SET standard_conforming_strings = off',
    'SET backslash_quote = on',
    'SET session_replication_role = replica',
    'SET auto_explain.log_analyze = on',
    "SELECT set_config('search_path', 'elsewhere', false)",
    "SELECT set_config('sea' || 'rch_path', 'app', false)",
    "SELECT set_config($1, 'app', false)",
    "SELECT pg_catalog.set_config('role', 'r', true)",
    "SELECT set_config(setting_name => 'role', new_value => 'r', is_local => true)",
    "SELECT set_config('work_mem', '5', true) FROM customers",
    'SELECT 1; SET search_path = app; SELECT email FROM customers',
    "UPDATE customer_list SET email = 'x'",
    'INSERT INTO customer_list (id) VALUES (1)',
    'DELETE FROM ruled',
  ])('%s', async (text) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeDefined()
    expect(facts.escape?.reason).toMatch(/^[\x20-\x7e]{10,199}$/)
  })

  it('whatever is reached, when a cast between built-in types runs a function of a user', async () => {
    const catalogue = sampleCatalogue({ casts: [{ source: 23, target: 25, extension: null }] })
    expect((await factsOf('SELECT id FROM customers', { catalogue })).escape).toBeDefined()
  })

  it('when a function of a user casts the rows of a relation, whose type no text names', async () => {
    const casts = [{ source: 20105, target: 25, extension: null }]
    for (const text of ['SELECT o::text FROM orders o', 'SELECT id FROM orders']) {
      expect((await factsOf(text)).escape).toBeUndefined()
      expect((await factsOf(text, { catalogue: sampleCatalogue({ casts }) })).escape).toBeDefined()
    }
  })

  it('when a function of a user has the name of a built-in', async () => {
    const catalogue = sampleCatalogue({
      functions: [{ schema: 'app', name: 'lower', volatile: false, extension: null }],
    })
    const searchPath = ['public', 'app']
    expect(
      (await factsOf('SELECT lower(name) FROM customers', { catalogue, searchPath })).escape,
    ).toBeDefined()
    const qualified = 'SELECT pg_catalog.lower(name) FROM customers'
    expect((await factsOf(qualified, { catalogue, searchPath })).escape).toBeUndefined()
  })

  describe('a function of a user with the name of a built-in', () => {
    const catalogue = sampleCatalogue({
      schemas: ['app', 'me'],
      functions: [
        { schema: 'app', name: 'round', volatile: true, least: 2, most: 2, extension: null },
        { schema: 'me', name: 'concat', volatile: true, least: 0, extension: null },
      ],
      operators: [{ schema: 'app', name: '=', extension: null }],
      roles: [
        { name: 'me', unusable: 'app' },
        { name: 'other', unusable: null },
      ],
    })
    const own = { catalogue, searchPath: ['$user', 'public'], role: 'other', login: 'other' }

    it.each([
      'SELECT round(id), concat(id, 1), round(id, 2) FROM customers WHERE id = 1',
      'SET search_path = public; SELECT round(id, 2) FROM customers WHERE id = 1',
      'SET search_path = app; SELECT round(id), pg_catalog.round(id, 2) FROM public.customers WHERE id > 1',
      'SELECT id FROM customers WHERE id OPERATOR(pg_catalog.=) 1',
    ])('is not meant: %s', async (text) => {
      expect(await factsOf(text, own)).toMatchObject({ class: 'read' })
      expect((await factsOf(text, own)).escape).toBeUndefined()
    })

    it.each([
      'SET search_path = public, app; SELECT round(id, 2) FROM customers',
      'SET search_path = public, app; SELECT round(VARIADIC id) FROM customers',
      'SET search_path = public, app; SELECT round(v => id) FROM customers',
      'SET search_path = public, app; SELECT (customers).round FROM customers',
      'SET search_path = public, app; SELECT id FROM customers WHERE id = 1',
      'SELECT app.round(id, 2) FROM customers',
      'SELECT id FROM customers WHERE id OPERATOR(app.=) 1',
      'SELECT me.concat(id) FROM customers',
      'SET search_path = me; SELECT concat(id) FROM public.customers',
      // What it may not use may be given to it.
      'SET ROLE me; SET search_path = app; SELECT round(id, 2) FROM public.customers',
      'SET ROLE me; SELECT concat(id) FROM public.customers',
    ])('may be meant: %s', async (text) => {
      expect((await factsOf(text, own)).escape?.reason).toMatch(/round|concat|operator =/)
    })

    it('runs what nobody knows where it is meant', async () => {
      expect(
        await factsOf('SET search_path = public, app; SELECT round(id, 2) FROM orders', own),
      ).toMatchObject({
        class: 'opaque',
      })
    })
  })

  it('when an operator of a user has the name of a built-in', async () => {
    const catalogue = sampleCatalogue({ operators: [{ name: '=', extension: null }] })
    expect((await factsOf('SELECT id FROM customers WHERE id = 1', { catalogue })).escape).toBeDefined()
    const qualified = 'SELECT id FROM customers WHERE id OPERATOR(pg_catalog.=) 1'
    expect((await factsOf(qualified, { catalogue })).escape).toBeUndefined()
  })
})

describe('a cast by a function of a user', () => {
  const parts = sampleParts()
  const columns = parts.columns.map((each) =>
    each.relation === 20015 && each.name === 'mood' ? { ...each, type: 20101 } : each,
  )
  const recast = sampleCatalogue({ columns, casts: [{ source: 20101, target: 25, extension: null }] })

  // Nothing in these texts names the type.
  it.each([
    'SELECT mood::text FROM feelings',
    'SELECT upper(mood) FROM feelings',
    "SELECT * FROM feelings WHERE mood || 'x' = 'y'",
    'SELECT m FROM (SELECT mood AS m FROM feelings) f',
    "INSERT INTO feelings (mood) VALUES ('x')",
    'CREATE TABLE mine AS SELECT mood FROM feelings',
    'COPY feelings TO STDOUT',
    'CREATE TABLE mine (LIKE feelings)',
    'CREATE TEMP TABLE mine () INHERITS (feelings)',
    'ALTER TABLE feelings ALTER mood TYPE text',
  ])('comes along with a column of its type: %s', async (text) => {
    expect((await factsOf(text, { catalogue: recast })).escape).toBeDefined()
    expect((await factsOf(text, { catalogue: sampleCatalogue({ columns }) })).escape).toBeUndefined()
  })

  it('leaves other tables alone', async () => {
    expect((await factsOf('SELECT * FROM orders', { catalogue: recast })).escape).toBeUndefined()
  })
})

describe('ordinary work is left alone', () => {
  it.each([
    'SELECT * FROM orders',
    "SELECT lower(email), l FROM leads l WHERE email LIKE 'a%' ORDER BY email",
    'SELECT * FROM order_totals',
    'SELECT * FROM app.ledger',
    'SELECT o, to_json(o) FROM orders o',
    'INSERT INTO orders SELECT * FROM orders',
    'UPDATE orders SET note = upper(note)',
    'MERGE INTO orders USING leads ON leads.id = orders.id WHEN MATCHED THEN DELETE',
    'COPY orders TO STDOUT',
    'COPY orders FROM STDIN',
    'COPY (SELECT id, plan FROM customers) TO STDOUT',
    'EXPLAIN ANALYZE SELECT * FROM orders',
    'EXPLAIN ANALYZE SELECT id FROM customers',
    'EXPLAIN SELECT email FROM customers',
    'DECLARE c CURSOR FOR SELECT id FROM customers',
    'DECLARE c CURSOR FOR SELECT * FROM orders',
    'PREPARE p AS SELECT * FROM orders',
    'DECLARE c CURSOR FOR SELECT 1; MOVE 5 FROM c',
    'PREPARE p AS SELECT id FROM customers',
    'SET search_path = app, public',
    'SET app.tenant = 5',
    'CLOSE c',
    'SELECT * FROM orders TABLESAMPLE SYSTEM (10)',
    "SELECT nextval('orders_id_seq'), pg_sleep(0), pg_advisory_lock(5)",
    "SELECT pg_notify('a', 'b')",
    'SELECT pg_cancel_backend(5)',
    "SELECT current_setting('search_path'), current_user, version(), now()",
    'SELECT * FROM generate_series(1, 5)',
    "SELECT similarity(email, 'x') FROM leads WHERE email % 'x'",
    'SELECT JSON_OBJECT(1: 2), xmlelement(name x)',
    "SELECT * FROM feelings WHERE mood = 'happy'::mood OR mood = ANY ($1::mood[])",
    'SELECT 5::posint',
    'SELECT * FROM orders_id_seq',
    'SELECT relname FROM pg_class, information_schema.columns',
    'SELECT pid, state FROM pg_stat_activity',
    'SELECT name FROM pg_prepared_statements',
    "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.oid = 'customers'::regclass",
    'SELECT * FROM (SELECT attname FROM pg_attribute) s',
    'SELECT c.*, a.attname FROM pg_class c, pg_attribute a',
    'SELECT setting FROM pg_settings',
    'SET statement_timeout = 5',
    "SET client_encoding = 'UTF8'",
    'SET search_path = public',
    'RESET search_path',
    'RESET ALL',
    'DISCARD ALL',
    "SELECT set_config('work_mem', '5MB', false)",
    'BEGIN',
    'SAVEPOINT a',
    'CREATE TABLE x (id serial PRIMARY KEY, customer_id int REFERENCES customers (id), at timestamptz DEFAULT now())',
    'CREATE TEMP TABLE x AS SELECT * FROM orders',
    'CREATE TABLE x AS SELECT id, plan FROM customers',
    'CREATE TEMP TABLE x AS SELECT plan, count(*) AS n FROM customers GROUP BY plan',
    'CREATE TABLE IF NOT EXISTS x AS SELECT c.plan, o.* FROM orders o JOIN customers c ON c.id = o.customer_id',
    'CREATE TEMP TABLE x AS SELECT relname, relkind FROM pg_class',
    'CREATE VIEW v AS SELECT relname FROM pg_class',
    'SELECT * INTO x FROM orders',
    'CREATE VIEW v AS SELECT * FROM orders',
    'CREATE INDEX ON orders (lower(note))',
    'CREATE UNIQUE INDEX ON customers (name) INCLUDE (plan)',
    'ALTER TABLE orders ADD COLUMN x int',
    'ALTER TABLE orders RENAME TO purchases',
    'ALTER TABLE orders RENAME COLUMN note TO remark',
    'ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id)',
    'ALTER TABLE customers ADD COLUMN x int NOT NULL DEFAULT 5',
    'ALTER TABLE customers DROP COLUMN email',
    "ALTER TABLE customers ALTER COLUMN plan SET DEFAULT 'x'",
    'ALTER INDEX some_index RENAME TO other_index',
    'DROP TABLE customers',
    'DROP VIEW customer_list CASCADE',
    'DROP INDEX some_index',
    'TRUNCATE customers',
    'LOCK TABLE customers',
    'VACUUM customers',
    "COMMENT ON COLUMN customers.email IS 'x'",
    "CREATE TYPE color AS ENUM ('red')",
    'CREATE DOMAIN short AS text CHECK (length(value) < 5)',
    'CREATE SEQUENCE s',
    'CREATE SCHEMA s',
    'CREATE ROLE r',
    'CREATE ROLE r LOGIN SUPERUSER NOINHERIT',
    "ALTER ROLE r PASSWORD 'x' VALID UNTIL 'infinity' CONNECTION LIMIT 3",
    'GRANT SELECT ON customers TO r',
    '-- nothing',
  ])('%s', async (text) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    expect(facts.labels).toEqual([])
  })
})

describe('how much is asked about labelled columns', () => {
  const listOf = (n: number) => Array.from({ length: n }, (_, i) => `'a${i}'`).join(', ')
  it.each([
    ["SELECT id FROM customers WHERE email = 'a'", 1],
    ["SELECT id FROM customers WHERE email IN ('a', $1, 'c')", 3],
    ["SELECT id FROM customers WHERE email = 'a' OR email = 'b' OR 'c' = email", 3],
    ["SELECT id FROM customers WHERE (email, id) = ('a', 1)", 1],
    ["SELECT id FROM customers WHERE id IN (SELECT id FROM customers WHERE email IN ('a', 'b'))", 2],
    [
      "SELECT 1; SELECT id FROM customers WHERE email = 'a'; SELECT id FROM customers WHERE email IN ('b', 'c')",
      3,
    ],
    ["SELECT id FROM customers WHERE email = ANY (ARRAY['a', $1, 'c'])", 3],
    ["SELECT id FROM customers WHERE email = ANY (ARRAY['a', 'b']::text[])", 2],
    [`SELECT id FROM customers WHERE email IN (${listOf(5_000)})`, 5_000],
    [`SELECT id FROM customers WHERE email IN ($1, ${listOf(5_000)}, 'x'::text)`, 5_002],
    [`SELECT id FROM customers WHERE email = ANY (ARRAY[${listOf(5_000)}])`, 5_000],
    ['SELECT count(email) FROM customers', 1],
    ['SELECT id FROM customers WHERE id = 5', undefined],
  ])('%s', async (text, values) => {
    const facts = await factsOf(text)
    expect(facts.asked).toEqual(values === undefined ? undefined : { [facts.touches[0] ?? '']: values })
  })
})

describe('COPY FROM STDIN into labelled columns', () => {
  const text = { kind: 'text', delimiter: '\t', null: '\\N', header: false }

  it('says by position which columns have labels, and how rows are read', async () => {
    const named = await factsOf('COPY customers (id, email, plan) FROM STDIN')
    expect(named.statements[0]?.copyIn).toEqual({ form: text, columns: [[], ['pii.email'], []] })
    const all = await factsOf('COPY customers FROM STDIN (FORMAT binary)')
    expect(all.statements[0]?.copyIn?.form).toEqual({ kind: 'binary' })
    expect(all.statements[0]?.copyIn?.columns.flat()).toContain('pii.email')
    expect(all.escape).toBeUndefined()
  })

  it('of a batch, each for itself', async () => {
    const { statements } = await factsOf('COPY orders FROM STDIN; COPY customers (email) FROM STDIN')
    expect(statements.map(({ copyIn }) => copyIn?.columns)).toEqual([undefined, [['pii.email']]])
  })

  it('says nothing where none has', async () => {
    for (const sql of [
      'COPY orders FROM STDIN',
      'COPY customers (id) FROM STDIN',
      'COPY customers TO STDOUT',
    ])
      expect((await factsOf(sql)).statements[0]?.copyIn, sql).toBeUndefined()
  })

  it('is an escape in a form in which masked values could not be found', async () => {
    const { escape, statements } = await factsOf("COPY customers (id, email) FROM STDIN (ENCODING 'SJIS')")
    expect(statements[0]?.copyIn).toBeUndefined()
    expect(escape?.labels).toEqual(['pii.email'])
    expect((await factsOf("COPY customers (id) FROM STDIN (ENCODING 'SJIS')")).escape).toBeUndefined()
  })
})

describe('labels of paths inside JSON', () => {
  const label = brand<LabelName>('pii.email')
  const other = brand<LabelName>('pay.card')
  const catalogue = sampleCatalogue({}, [
    { pattern: 'public.customers.plan: a.b', label },
    { pattern: 'public.customers.plan: cards', label: other },
    { pattern: 'public.orders.note: c', label },
    { pattern: 'public.leads.email', label },
    { pattern: 'public.leads.source: a.b', label },
    { pattern: 'public.leads.source: cards', label: other },
  ])
  const plan = [
    { path: 'a.b', label },
    { path: 'cards', label: other },
  ]

  async function outputOf(sql: string) {
    const facts = await factsOf(sql, { catalogue })
    expect(facts.escape).toBeUndefined()
    return facts.statements[0]?.outputs?.[0]
  }

  it.each([
    'SELECT plan FROM customers',
    'SELECT (c.plan) FROM customers AS c',
    'SELECT p FROM (SELECT plan AS p FROM customers) AS x',
    'WITH x AS (SELECT plan FROM customers) SELECT x.* FROM x JOIN orders ON true',
    'SELECT plan FROM customers UNION ALL SELECT plan FROM customers',
    "SELECT plan FROM customers UNION ALL SELECT 'x'",
    'UPDATE customers SET name = $1 RETURNING plan',
    'COPY customers (plan) TO STDOUT',
  ])('stay with a bare output: %s', async (sql) => {
    const output = await outputOf(sql)
    expect(output).toMatchObject({ labels: [other, label], paths: plan })
  })

  it('are those of all arms, unless one is protected as a whole', async () => {
    const both = await outputOf('SELECT plan FROM customers UNION ALL SELECT note FROM orders')
    expect(both?.paths).toEqual([...plan, { path: 'c', label }])
    for (const sql of [
      'SELECT plan FROM customers UNION ALL SELECT email FROM leads',
      'SELECT email FROM leads UNION ALL SELECT plan FROM customers',
    ]) {
      const whole = await outputOf(sql)
      expect(whole?.labels).toEqual([other, label])
      expect(whole?.paths).toBeUndefined()
      expect(whole?.computed).toBeUndefined()
    }
  })

  it.each([
    "SELECT plan->'x' FROM customers",
    'SELECT plan::jsonb FROM customers',
    'SELECT upper(plan) FROM customers',
    'SELECT coalesce(plan, note) FROM customers, orders',
    'SELECT c FROM customers c',
    "SELECT CASE WHEN true THEN plan ELSE '' END FROM customers",
  ])('are of the whole in any other use: %s', async (sql) => {
    const facts = await factsOf(sql, { catalogue })
    const output = facts.statements[0]?.outputs?.[0]
    expect(output?.paths).toBeUndefined()
    expect(output?.computed).toBe(true)
    expect(facts.filters).toContain(label)
  })

  it('a value goes only where it is protected at the same paths, or as a whole', async () => {
    for (const sql of [
      'INSERT INTO leads (source) SELECT plan FROM customers',
      'UPDATE leads SET source = plan FROM customers',
      'UPDATE customers SET plan = plan',
      'INSERT INTO leads (email) SELECT note FROM orders',
    ])
      expect((await factsOf(sql, { catalogue })).escape, sql).toBeUndefined()
    for (const sql of [
      'INSERT INTO orders (note) SELECT plan FROM customers',
      'UPDATE orders SET note = plan FROM customers',
      "UPDATE customers SET plan = plan || 'x'",
      'UPDATE orders SET note = email FROM leads',
      'INSERT INTO leads (source) VALUES ((SELECT upper(plan) FROM customers))',
      'MERGE INTO orders o USING leads l ON o.id = l.id WHEN MATCHED THEN UPDATE SET note = l.email',
    ])
      expect((await factsOf(sql, { catalogue })).escape?.labels, sql).toContain(label)
  })
})
