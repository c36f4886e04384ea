import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../core/index.ts'
import { sampleCatalogue } from '../testing/sample-catalogue.ts'
import type { AnalysisContext } from './analyse.ts'
import { analyse } from './analyse.ts'
import type { Parser } from './parser.ts'
import { createParser } from './parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue(), ...more })
}

/** `id email=pii.email` for each output. */
function shown(facts: Facts, statement = 0): string | undefined {
  return facts.statements[statement]?.outputs
    ?.map(({ name, labels }) => (labels === undefined ? name : `${name}=${labels.join('+')}`))
    .join(' ')
}

describe('labelled columns may be handed out bare', () => {
  it.each([
    ['SELECT email FROM customers', 'email=pii.email'],
    ['SELECT c.email AS x, c.id FROM public.customers c', 'x=pii.email id'],
    ['SELECT public.customers.email FROM public.customers', 'email=pii.email'],
    ['SELECT * FROM customers', 'id name email=pii.email phone=pii.phone plan country created_at'],
    ['TABLE customers', 'id name email=pii.email phone=pii.phone plan country created_at'],
    [
      'SELECT o.id, c.* FROM orders o JOIN customers c ON c.id = o.customer_id',
      'id id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['SELECT l.*, c.email FROM leads l, customers c WHERE l.id = c.id', 'id email source email=pii.email'],
    [
      'SELECT * FROM customers JOIN leads USING (id)',
      'id name email=pii.email phone=pii.phone plan country created_at email source',
    ],
    ['SELECT (email) FROM customers', 'email=pii.email'],
    ['SELECT email FROM ONLY customers', 'email=pii.email'],
    ['SELECT contact_email FROM events', 'contact_email=pii.email'],
    ['SELECT * FROM events_2024', 'id contact_email=pii.email at kind'],
    ['SELECT * FROM staff', 'id name ssn=secret salary'],
    ['SELECT x FROM customers AS c (a, b, x)', 'x=pii.email'],
    ['SELECT j.e FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j (a, b, e)', 'e=pii.email'],
    ['SELECT id, email FROM audited', 'id email=pii.email'],
    ['SELECT id, upper(plan) AS p, count(*) FROM customers GROUP BY id, plan', 'id p count'],
    ['SELECT email FROM customers FOR UPDATE', 'email=pii.email'],
    ['SELECT name FROM customers ORDER BY 1 LIMIT 5', 'name'],
    ['SELECT id, email FROM customers ORDER BY 1', 'id email=pii.email'],
    ["UPDATE customers SET plan = 'pro' WHERE id = 7 RETURNING id, email", 'id email=pii.email'],
    [
      'DELETE FROM customers WHERE id = 7 RETURNING *',
      'id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ["INSERT INTO customers (name, email) VALUES ('a', 'b') RETURNING email", 'email=pii.email'],
    ['SELECT EXISTS (SELECT * FROM customers WHERE id = 5)', ''],
    ['SELECT id FROM customers c WHERE EXISTS (SELECT email FROM customers WHERE id = c.id)', 'id'],
    ['WITH x AS (SELECT id, plan FROM customers) SELECT * FROM x', 'id plan'],
    ['SELECT s.id FROM (SELECT id, name FROM customers) s', 'id'],
    [
      'SELECT c.id, o.total FROM customers c, LATERAL (SELECT total FROM orders WHERE customer_id = c.id) o',
      'id total',
    ],
    [
      "SELECT id, 'happy'::mood, $1::citext, similarity(name, 'x') FROM customers WHERE name % 'x'",
      'id   similarity',
    ],
    [
      "INSERT INTO customers (id, email) VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
      '',
    ],
    ['INSERT INTO leads (id) SELECT id FROM customers', ''],
    ['UPDATE customers SET email = $1, phone = lower($2) WHERE id = $3', ''],
    ['DELETE FROM customers', ''],
    [
      'WITH RECURSIVE t AS (SELECT id FROM customers WHERE id = 1 UNION ALL SELECT t.id + 1 FROM t WHERE t.id < 9) SELECT * FROM t',
      'id',
    ],
    ["SELECT CASE WHEN plan = 'pro' THEN 1 ELSE 0 END AS p, coalesce(name, 'x') FROM customers", 'p '],
    ["SELECT jsonb_build_object('id', id) FROM customers", 'jsonb_build_object'],
    ['SELECT id, ctid, tableoid, xmin FROM customers', 'id ctid tableoid xmin'],
    ['SELECT c.plan FROM customers c UNION SELECT source FROM leads', 'plan'],
    [
      "SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders) AND (plan, country) = ('a', 'b')",
      'id',
    ],
    ['SELECT g FROM customers c, generate_series(1, c.id) AS g', 'g'],
    ['SELECT sum(id) OVER (PARTITION BY plan ORDER BY created_at) FROM customers', 'sum'],
    [
      "SELECT plan, string_agg(name, ',' ORDER BY name) FILTER (WHERE id > 3) FROM customers GROUP BY ROLLUP (plan)",
      'plan string_agg',
    ],
  ])('%s', async (text, expected) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    if (expected !== '') expect(shown(facts)).toBe(expected)
    const labels = [...expected.matchAll(/=(\S+)/g)].map((match) => match[1])
    expect(new Set(facts.labels)).toEqual(new Set(labels))
    expect(facts.attributes['reach']).toBe(true)
  })

  it('with their source by the numbers of the catalogue', async () => {
    const facts = await factsOf('SELECT email, id + 1, e.contact_email FROM customers, events_2024 e')
    expect(facts.statements[0]?.outputs).toEqual([
      { name: 'email', labels: ['pii.email'], source: { relation: 20001, attribute: 4, type: 25 } },
      { name: '' },
      { name: 'contact_email', labels: ['pii.email'], source: { relation: 20005, attribute: 2, type: 25 } },
    ])
  })

  it('by each statement of a batch', async () => {
    const facts = await factsOf('BEGIN; SELECT email FROM customers; SELECT phone FROM customers; COMMIT')
    expect(facts.statements.map((_, i) => shown(facts, i))).toEqual([
      undefined,
      'email=pii.email',
      'phone=pii.phone',
      undefined,
    ])
    expect(facts.labels).toEqual(['pii.email', 'pii.phone'])
  })
})

describe('labelled columns in conditions, joins, order and groups are filters', () => {
  it.each([
    ["SELECT id FROM customers WHERE email = 'x'", 'pii.email'],
    ["SELECT id FROM customers WHERE 'x' = email", 'pii.email'],
    ["SELECT id FROM customers WHERE email LIKE 'a%'", 'pii.email'],
    ["SELECT id FROM customers WHERE email ILIKE 'a%' OR id = 5", 'pii.email'],
    ["SELECT id FROM customers WHERE email ~ '^a'", 'pii.email'],
    ["SELECT id FROM customers WHERE email > 'm'", 'pii.email'],
    ["SELECT id FROM customers WHERE NOT email IN ('a', 'b')", 'pii.email'],
    ["SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b'", 'pii.email'],
    ["SELECT id FROM customers WHERE email = ANY ('{a,b}')", 'pii.email'],
    ['SELECT id FROM customers WHERE email IS NULL', 'pii.email'],
    ['SELECT id FROM customers WHERE email IS DISTINCT FROM phone', 'pii.email,pii.phone'],
    ["SELECT id FROM customers WHERE lower(email) = lower('X')", 'pii.email'],
    ['SELECT id FROM customers c JOIN leads l ON l.email = c.email', 'pii.email'],
    ['SELECT id FROM customers ORDER BY email', 'pii.email'],
    ['SELECT email FROM customers ORDER BY 1', 'pii.email'],
    ['SELECT id, email FROM customers ORDER BY 2 DESC', 'pii.email'],
    ['SELECT email AS e FROM customers ORDER BY e', 'pii.email'],
    ['SELECT * FROM customers ORDER BY 1', 'pii.email,pii.phone'],
    ['SELECT count(*) FROM customers GROUP BY email', 'pii.email'],
    ['SELECT email, count(*) FROM customers GROUP BY 1', 'pii.email'],
    ['SELECT email AS e, count(*) FROM customers GROUP BY e', 'pii.email'],
    ['SELECT count(*) FROM customers GROUP BY CUBE (plan, email)', 'pii.email'],
    ['SELECT DISTINCT email FROM customers', 'pii.email'],
    ['SELECT DISTINCT ON (email) id FROM customers', 'pii.email'],
    ["SELECT plan FROM customers GROUP BY plan, phone HAVING phone > '5'", 'pii.phone'],
    [
      "SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.email = 'x')",
      'pii.email',
    ],
    ["UPDATE customers SET plan = 'x' WHERE email = 'y'", 'pii.email'],
    ["DELETE FROM customers WHERE email = 'y'", 'pii.email'],
    ['DELETE FROM customers USING leads l WHERE l.email = customers.email', 'pii.email'],
    ["INSERT INTO customers (email) VALUES ('a') ON CONFLICT (email) DO NOTHING", 'pii.email'],
    ["EXPLAIN SELECT id FROM customers WHERE email > 'm'", 'pii.email'],
    ["SELECT id FROM customers LIMIT (SELECT count(*) FROM customers WHERE email = 'x')", 'pii.email'],
    ["SELECT id FROM leads WHERE id IN (SELECT id FROM customers WHERE phone = '1')", 'pii.phone'],
    ["SELECT id FROM staff WHERE ssn = '1'", 'secret'],
  ])('%s', async (text, filters) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters.join(',')).toBe(filters)
  })
})

describe('labelled columns anywhere else are an escape of their labels', () => {
  it.each([
    ['SELECT lower(email) FROM customers', 'pii.email'],
    ['SELECT email || phone FROM customers', 'pii.email,pii.phone'],
    ['SELECT email::text FROM customers', 'pii.email'],
    ['SELECT CAST(phone AS int) FROM customers', 'pii.phone'],
    ['SELECT email COLLATE "C" FROM customers', 'pii.email'],
    ["SELECT email = 'x' FROM customers", 'pii.email'],
    ['SELECT email IS NULL FROM customers', 'pii.email'],
    ["SELECT coalesce(email, 'x') FROM customers", 'pii.email'],
    ["SELECT nullif(email, 'x') FROM customers", 'pii.email'],
    ['SELECT greatest(email, phone) FROM customers', 'pii.email,pii.phone'],
    ["SELECT CASE WHEN email = 'x' THEN 1 END FROM customers", 'pii.email'],
    ["SELECT CASE email WHEN 'x' THEN 1 END FROM customers", 'pii.email'],
    ['SELECT ARRAY[email] FROM customers', 'pii.email'],
    ['SELECT ROW(email) FROM customers', 'pii.email'],
    [
      'SELECT count(email), count(DISTINCT email), max(email), min(phone) FROM customers',
      'pii.email,pii.phone',
    ],
    ["SELECT string_agg(email, ',') FROM customers", 'pii.email'],
    ['SELECT array_agg(name ORDER BY email) FROM customers', 'pii.email'],
    ["SELECT count(*) FILTER (WHERE email = 'x') FROM customers", 'pii.email'],
    ['SELECT row_number() OVER (ORDER BY email) FROM customers', 'pii.email'],
    ['SELECT sum(id) OVER w FROM customers WINDOW w AS (PARTITION BY email)', 'pii.email'],
    ['SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY email) FROM customers', 'pii.email'],
    ['SELECT id FROM customers ORDER BY lower(email)', 'pii.email'],
    ['SELECT count(*) FROM customers GROUP BY lower(email)', 'pii.email'],
    ["SELECT id FROM customers WHERE substr(email, 1, 1) = 'a'", 'pii.email'],
    ['SELECT id FROM customers WHERE email::int = 5', 'pii.email'],
    ["SELECT id FROM customers WHERE email || 'x' = 'y'", 'pii.email'],
    ["SELECT id FROM customers WHERE (email, id) = ('x', 1)", 'pii.email'],
    ['SELECT id FROM customers WHERE email IN (SELECT source FROM leads)', 'pii.email'],
    ["SELECT id FROM customers WHERE CASE WHEN email = 'x' THEN true END", 'pii.email'],
    ['SELECT customers FROM customers', 'pii.email,pii.phone'],
    ['SELECT c FROM customers c', 'pii.email,pii.phone'],
    ['SELECT c.*::text FROM customers c', 'pii.email,pii.phone'],
    ['SELECT ROW(c.*) FROM customers c', 'pii.email,pii.phone'],
    ['SELECT (c).email FROM customers c', 'pii.email,pii.phone'],
    ['SELECT (c.*).email FROM customers c', 'pii.email,pii.phone'],
    ['SELECT to_jsonb(c), row_to_json(c) FROM customers c', 'pii.email,pii.phone'],
    ['SELECT json_agg(c) FROM customers c', 'pii.email,pii.phone'],
    ['SELECT count(c) FROM customers c', 'pii.email,pii.phone'],
    ['SELECT id FROM customers c WHERE c IS NOT NULL', 'pii.email,pii.phone'],
    ["SELECT id FROM customers c WHERE c = ROW(1, 'a')", 'pii.email,pii.phone'],
    ['SELECT id FROM customers c ORDER BY c', 'pii.email,pii.phone'],
    ['SELECT id FROM customers c GROUP BY id, c', 'pii.email,pii.phone'],
    ['SELECT c.text FROM customers c', 'pii.email,pii.phone'],
    ['SELECT * FROM (SELECT email FROM customers) s', 'pii.email'],
    ['SELECT 1 FROM (SELECT * FROM customers) s', 'pii.email,pii.phone'],
    ['WITH x AS (SELECT email FROM customers) SELECT 1 FROM x', 'pii.email'],
    ['SELECT (SELECT email FROM customers LIMIT 1)', 'pii.email'],
    ['SELECT ARRAY(SELECT email FROM customers)', 'pii.email'],
    ['SELECT * FROM leads l, LATERAL (SELECT phone FROM customers c WHERE c.id = l.id) s', 'pii.phone'],
    ["SELECT email FROM customers UNION ALL SELECT 'x'", 'pii.email'],
    ["SELECT 'x' UNION SELECT email FROM customers", 'pii.email'],
    ['SELECT email FROM customers EXCEPT SELECT source FROM leads', 'pii.email'],
    ['SELECT * FROM customers JOIN leads USING (email)', 'pii.email'],
    ['SELECT * FROM customers NATURAL JOIN leads', 'pii.email,pii.phone,secret'],
    ['SELECT g FROM customers c, generate_series(1, length(c.email)) g', 'pii.email'],
    ['INSERT INTO leads (id, email) SELECT id, email FROM customers', 'pii.email'],
    ['INSERT INTO leads (email) VALUES ((SELECT email FROM customers LIMIT 1))', 'pii.email'],
    ['UPDATE customers SET name = email', 'pii.email'],
    ['UPDATE customers SET email = upper(email)', 'pii.email'],
    ['UPDATE leads SET email = c.email FROM customers c WHERE c.id = leads.id', 'pii.email'],
    [
      'INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = customers.email',
      'pii.email',
    ],
    ['WITH d AS (DELETE FROM customers RETURNING email) SELECT 1 FROM d', 'pii.email'],
    ["UPDATE customers SET plan = 'x' RETURNING lower(email)", 'pii.email'],
    ['COPY (SELECT email FROM customers) TO STDOUT', 'pii.email'],
    ['DECLARE c CURSOR FOR SELECT email FROM customers', 'pii.email'],
    ['SELECT id FROM customers LIMIT (SELECT length(email) FROM customers LIMIT 1)', 'pii.email'],
  ])('%s', async (text, labels) => {
    const facts = await factsOf(text)
    expect(facts.escape?.labels.join(',')).toBe(labels)
    expect(facts.escape?.reason).toMatch(/^[\x20-\x7e]{10,199}$/)
    expect(facts.statements.every((each) => each.outputs === undefined)).toBe(true)
  })
})

describe('what is not followed is an escape of all labels', () => {
  it.each([
    'SELECT * FROM customer_list',
    'SELECT 1 FROM customer_names',
    'SELECT * FROM customer_mat',
    'SELECT * FROM stats_view',
    'SELECT * FROM calls_function',
    'SELECT * FROM ruled',
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
    'SELECT * FROM customers TABLESAMPLE SYSTEM (10)',
    'SELECT xmlelement(name x, id) FROM customers',
    'SELECT JSON_OBJECT(id: name) FROM customers',
    "SELECT * FROM customers, XMLTABLE('/a' PASSING '<a/>' COLUMNS b text)",
    'MERGE INTO customers USING leads ON leads.id = customers.id WHEN MATCHED THEN DELETE',
    'MERGE INTO leads USING customers ON leads.id = customers.id WHEN MATCHED THEN DELETE',
    'SELECT c.*, p.* FROM customers c, pg_class p',
    'WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT id FROM customers) SELECT * FROM a',
    "UPDATE customers SET plan = 'x' RETURNING old.email",
    "UPDATE customers SET plan = 'x' RETURNING WITH (OLD AS o) o.email",
    'COPY customers TO STDOUT',
    'COPY customers (id) TO STDOUT',
    'COPY customers FROM STDIN',
    'COPY customer_list TO STDOUT',
    'EXPLAIN ANALYZE SELECT id FROM customers',
    'EXPLAIN SELECT * FROM customer_list',
    'EXPLAIN EXECUTE p',
    'PREPARE p AS SELECT id FROM customers',
    'EXECUTE p',
    'DO $$ BEGIN END $$',
    'CALL p()',
    'FETCH ALL FROM c',
    'LISTEN x',
    'ALTER TABLE orders ADD COLUMN x text DEFAULT (SELECT email FROM customers LIMIT 1)',
    'CREATE VIEW v AS SELECT id FROM customers',
    'CREATE OR REPLACE VIEW order_totals AS SELECT id FROM customers',
    'CREATE MATERIALIZED VIEW v AS SELECT id FROM customers',
    'SELECT id INTO x FROM customers',
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
    'ALTER DATABASE crm SET search_path = x',
    'ALTER SYSTEM SET x = 1',
    'GRANT USAGE ON SCHEMA public TO r',
    'GRANT a TO b',
    'REINDEX TABLE customers',
    'CLUSTER',
    'TRUNCATE audited',
    'SET search_path = app, public',
    'SET search_path = "$user", public',
    'SET ROLE r',
    'RESET ROLE',
    'SET SESSION AUTHORIZATION r',
    "SET client_encoding = 'SJIS'",
    "SET NAMES 'GBK'",
    'SET standard_conforming_strings = off',
    'SET backslash_quote = on',
    'SET session_replication_role = replica',
    'SET row_security = off',
    'SET app.tenant = 5',
    "SELECT set_config('search_path', 'app', false)",
    "SELECT set_config('sea' || 'rch_path', 'app', false)",
    "SELECT set_config($1, 'app', false)",
    "SELECT pg_catalog.set_config('role', 'r', true)",
    "SELECT set_config(setting_name => 'role', new_value => 'r', is_local => true)",
    "SELECT set_config('work_mem', '5', true) FROM customers",
    'SELECT 1; SET search_path = app; SELECT email FROM customers',
  ])('%s', async (text) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeDefined()
    expect(facts.escape?.reason).toMatch(/^[\x20-\x7e]{10,199}$/)
  })

  it('whatever is reached, when a cast between built-in types runs a function of a user', async () => {
    const catalogue = sampleCatalogue({ casts: [{ source: 23, target: 25, extension: null }] })
    expect((await factsOf('SELECT id FROM customers', { catalogue })).escape).toBeDefined()
  })

  it('when a function of a user has the name of a built-in', async () => {
    const catalogue = sampleCatalogue({
      functions: [{ schema: 'app', name: 'lower', volatile: false, extension: null }],
    })
    expect((await factsOf('SELECT lower(name) FROM customers', { catalogue })).escape).toBeDefined()
    expect(
      (await factsOf('SELECT pg_catalog.lower(name) FROM customers', { catalogue })).escape,
    ).toBeUndefined()
  })

  it('when an operator of a user has the name of a built-in', async () => {
    const catalogue = sampleCatalogue({ operators: [{ name: '=', extension: null }] })
    expect((await factsOf('SELECT id FROM customers WHERE id = 1', { catalogue })).escape).toBeDefined()
    const qualified = 'SELECT id FROM customers WHERE id OPERATOR(pg_catalog.=) 1'
    expect((await factsOf(qualified, { catalogue })).escape).toBeUndefined()
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
    'EXPLAIN SELECT email FROM customers',
    'DECLARE c CURSOR FOR SELECT id FROM customers',
    'DECLARE c CURSOR FOR SELECT * FROM orders',
    'PREPARE p AS SELECT * FROM orders',
    'MOVE 5 FROM c',
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
    'GRANT SELECT ON customers TO r',
    '-- nothing',
  ])('%s', async (text) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    expect(facts.labels).toEqual([])
  })
})
