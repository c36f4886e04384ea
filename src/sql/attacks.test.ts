import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandClass, Facts } from '../core/index.ts'
import { sampleCatalogue } from '../testing/sample-catalogue.ts'
import { analyse } from './analyse.ts'
import type { ParseResult, Parser } from './parse/parser.ts'
import { createParser } from './parse/parser.ts'
import { statementOf, Views } from './lineage/views.ts'

/**
 * Published ways around masking and around classification, each with what it comes to here: `masked` (an untouched output,
 * which carries its label), `touch` (allowed and counted), `filter` (asks for a permission of its own; what is made of
 * the value is computed), `nothing` (it has no protected value in it), `escape` (only for who may see the values), a
 * class, `everything` (a write that spares nothing), or `refused` (does not even parse).
 */
type Outcome = 'masked' | 'touch' | 'filter' | 'nothing' | 'escape' | 'everything' | 'refused' | CommandClass

let parser: Parser
let views: Views

beforeAll(async () => {
  parser = await createParser()
  views = new Views((definition) => statementOf(parser.parseNow(definition)))
})

afterAll(() => parser.close())

const catalogue = sampleCatalogue()

async function judge(text: string): Promise<{ parsed: ParseResult; facts: Facts; bare: Facts }> {
  const parsed = await parser.parse(text)
  return {
    parsed,
    facts: analyse(parsed, { searchPath: ['public'], catalogue, views }),
    bare: analyse(parsed, { searchPath: ['public'] }),
  }
}

async function check(text: string, expected: Outcome): Promise<void> {
  const { parsed, facts, bare } = await judge(text)
  switch (expected) {
    case 'refused':
      expect(parsed.kind).toBe('unparsed')
      expect(facts.escape).toBeDefined()
      return
    case 'escape':
      expect(facts.escape).toBeDefined()
      return
    case 'filter':
      expect(facts.escape).toBeUndefined()
      expect(facts.filters.length).toBeGreaterThan(0)
      return
    case 'touch':
    case 'nothing':
      expect(facts.escape).toBeUndefined()
      expect(facts.filters).toEqual([])
      expect(facts.labels).toEqual([])
      expect(facts.touches.length > 0).toBe(expected === 'touch')
      return
    case 'masked':
      expect(facts.escape).toBeUndefined()
      expect(facts.filters).toEqual([])
      expect(facts.labels.length).toBeGreaterThan(0)
      return
    case 'everything':
      expect(bare.writesEverything).toBe(true)
      return
    default:
      expect(bare.class).toBe(expected)
  }
}

/** `x.f` is `f(x)` where x has no column f, and may be any value in parentheses. */
const AS_ATTRIBUTES: readonly (readonly [string, Outcome])[] = [
  ["SELECT ('SELECT to_tsvector(email) FROM customers'::text).ts_stat", 'escape'],
  ["SELECT x.ts_stat FROM unnest(ARRAY['SELECT to_tsvector(email) FROM customers']) x", 'escape'],
  ['SELECT ($1::text).ts_stat', 'escape'],
  ["SELECT (lower('SELECT to_tsvector(email) FROM customers')).ts_stat", 'escape'],
  ["SELECT ((ARRAY['/etc/passwd'])[1]).pg_read_file", 'escape'],
  ["SELECT ((ARRAY['/etc/passwd'])[1]).pg_read_file", 'administer'],
  ["SELECT ('/etc/passwd'::text).lo_import", 'administer'],
  ['SELECT (1234).pg_terminate_backend', 'administer'],
  ["SELECT s.nextval FROM unnest(ARRAY['orders_id_seq'::regclass]) s", 'write'],
  ["SELECT ('SELECT 1'::text).ts_stat", 'opaque'],
  ['SELECT (16384::oid).lo_get', 'escape'],
  ['SELECT orders.get_email FROM orders', 'escape'],
  ['SELECT public.orders.get_email FROM public.orders', 'escape'],
  ['SELECT (o).get_email FROM orders o', 'escape'],
  ['SELECT id FROM orders o WHERE o.get_email > $1', 'escape'],
  ['SELECT (SELECT o.get_email) FROM orders o', 'escape'],
  ['WITH customers AS (SELECT * FROM orders) SELECT customers.get_email FROM customers', 'escape'],
  ['SELECT o.get_email FROM (SELECT * FROM orders) o', 'escape'],
  ['SELECT o.get_email FROM orders AS o(a, b, c, d, e)', 'escape'],
  ['INSERT INTO orders (id) VALUES (1) RETURNING orders.get_email', 'escape'],
  ['UPDATE orders SET note = orders.get_email', 'escape'],
  // A type with code of a user behind it.
  ["SELECT ('5'::text).checked", 'escape'],
  ['SELECT o.checked FROM orders o', 'escape'],
  // A column is a column.
  ['SELECT x.orders FROM (SELECT count(*) AS orders FROM orders) x', 'nothing'],
  ["SELECT ('5'::text).posint", 'nothing'],
  ['SELECT o.note FROM orders o', 'nothing'],
  ['SELECT (o).note FROM orders o', 'nothing'],
  ["SELECT ('abc'::text).upper", 'nothing'],
  ['SELECT c.relname FROM pg_class c', 'nothing'],
]

describe('functions called as attributes', () => {
  it.each(AS_ATTRIBUTES)('%s', check)
})

const WRAPPED = [
  'concat(email)',
  'substring(email FROM 1 FOR 3)',
  'upper(email)',
  'email::bytea',
  "encode(email::bytea, 'base64')",
  "encode(convert_to(email, 'UTF8'), 'hex')",
  'reverse(email)',
  "format('%s', email)",
  "email || ''",
  "'' || email",
  'trim(email)',
  "lpad(email, 50, 'x')",
  'md5(email)',
  'quote_literal(email)',
  "replace(email, '@', ' ')",
  "split_part(email, '@', 1)",
  "translate(email, 'a', 'b')",
  'left(email, 5)',
  'ascii(email)',
  'length(email)',
  "regexp_replace(email, '.', 'x')",
  "(regexp_match(email, '.*'))[1]",
  "string_to_array(email, '@')",
  'to_tsvector(email)',
  'overlay(email PLACING 1 FROM 1)',
  "position('a' IN email)",
  "to_char(phone::int, '999')",
  "email LIKE 'a%'",
  "NULLIF(email, '')",
  'GREATEST(email)',
  'ARRAY[email]',
  '(ARRAY[email])[1]',
  'ROW(email)',
  'email COLLATE "C"',
  'normalize(email)',
  "overlay(email placing '' from 1)",
  'pg_typeof(email)',
  'pg_column_size(email)',
].map((expression) => [`SELECT ${expression} FROM customers c`, 'filter'] as const)

const ATTACKS: Record<string, readonly (readonly [string, Outcome])[]> = {
  'A-01 rename by alias, CTE, subquery or view': [
    ['SELECT email AS x FROM customers', 'masked'],
    ['SELECT "em\u0061il" FROM customers', 'masked'],
    ['SELECT U&"em\\0061il" FROM customers', 'masked'],
    ['SELECT U&"em!0061il" UESCAPE \'!\' FROM customers', 'masked'],
    ['SELECT EMAIL FROM CUSTOMERS', 'masked'],
    ['WITH a AS (SELECT email AS x FROM customers), b AS (SELECT x AS y FROM a) SELECT y FROM b', 'masked'],
    ['SELECT y FROM (SELECT x AS y FROM (SELECT email AS x FROM customers) a) b', 'masked'],
    ['SELECT * FROM customer_list', 'masked'],
    ['SELECT n FROM customer_names', 'nothing'],
    ['SELECT b FROM customers AS c (a, x, b)', 'masked'],
  ],
  'A-02 wrap in expressions': [
    ...WRAPPED,
    ['SELECT email IS NOT NULL FROM customers c', 'touch'],
    ['SELECT (SELECT c.email) FROM customers c', 'masked'],
    ['SELECT (VALUES (c.email)) FROM customers c', 'masked'],
  ],
  'A-03 whole rows and JSON': [
    ['SELECT c FROM customers c', 'filter'],
    ['SELECT customers FROM customers', 'filter'],
    ['SELECT customers.customers FROM customers', 'filter'],
    ['SELECT to_json(c), to_jsonb(c.*) FROM customers c', 'filter'],
    ['SELECT json_agg(c) FROM customers c', 'filter'],
    ["SELECT json_agg(email), array_agg(email), string_agg(email, ',') FROM customers", 'filter'],
    ['SELECT json_object_agg(id, email) FROM customers', 'filter'],
    ["SELECT json_build_object('e', email) FROM customers", 'filter'],
    ['SELECT hstore(c) FROM customers c', 'escape'],
    ['SELECT xmlforest(email) FROM customers', 'filter'],
    ['SELECT xmlagg(xmlelement(name x, email)) FROM customers', 'filter'],
    ['SELECT * FROM json_each((SELECT to_json(c) FROM customers c LIMIT 1))', 'escape'],
    ['SELECT x.* FROM customers c, LATERAL json_each_text(row_to_json(c)) x', 'escape'],
    ['SELECT (SELECT c.*) FROM customers c', 'filter'],
    ['SELECT email(customers) FROM customers', 'escape'],
    ["SELECT JSON_OBJECT('a': email) FROM customers", 'filter'],
    ['SELECT JSON_ARRAYAGG(email) FROM customers', 'filter'],
    ['SELECT JSON_ARRAY(SELECT email FROM customers)', 'filter'],
  ],
  'A-04 predicate oracles': [
    ["SELECT 1 FROM customers WHERE email LIKE 'a%'", 'filter'],
    ["SELECT count(*) FROM customers WHERE email < 'm'", 'filter'],
    ["SELECT count(*) FROM customers WHERE email ~ '^a'", 'filter'],
    ["SELECT 1 FROM customers WHERE email SIMILAR TO 'a%'", 'filter'],
    ["SELECT 1 FROM customers WHERE starts_with(email, 'a')", 'filter'],
    ["SELECT 1 FROM customers WHERE email ^@ 'a'", 'filter'],
    ["SELECT 1 WHERE EXISTS (SELECT 1 FROM customers WHERE email = 'a')", 'touch'],
    ["SELECT 1 FROM orders LIMIT (SELECT count(*) FROM customers WHERE email LIKE 'a%')", 'filter'],
    ["SELECT 1 FROM customers ORDER BY (email = 'a')", 'filter'],
    [
      "SELECT CASE WHEN EXISTS (SELECT 1 FROM customers WHERE email LIKE 'a%') THEN 1 ELSE 1 / 0 END",
      'filter',
    ],
    ["EXPLAIN SELECT 1 FROM customers WHERE email < 'm'", 'filter'],
    [
      "WITH RECURSIVE r AS (SELECT '' AS p UNION ALL SELECT p || chr(97) FROM r WHERE EXISTS (SELECT 1 FROM customers WHERE email LIKE p || '%')) SELECT max(p) FROM r",
      'filter',
    ],
    ["UPDATE orders SET note = 'x' WHERE (SELECT email FROM customers LIMIT 1) LIKE 'a%'", 'filter'],
    ["DELETE FROM customers WHERE email LIKE 'a%'", 'filter'],
  ],
  'A-05 order, group, distinct, min, max, join': [
    ['SELECT id FROM customers ORDER BY email', 'filter'],
    ['SELECT id, email FROM customers ORDER BY 2', 'filter'],
    ['SELECT count(*) FROM customers GROUP BY email', 'filter'],
    ['SELECT DISTINCT email FROM customers', 'filter'],
    ['SELECT min(email), max(email) FROM customers', 'filter'],
    ['SELECT l.source FROM leads l JOIN customers c ON c.email = l.email', 'filter'],
    ['SELECT source FROM leads JOIN customers USING (email)', 'filter'],
    ['SELECT source FROM leads NATURAL JOIN customers', 'filter'],
    ["SELECT l.source FROM leads l JOIN customers c ON c.email || '' = l.email", 'filter'],
    ['SELECT rank() OVER (ORDER BY email) FROM customers', 'filter'],
    ["SELECT email FROM customers INTERSECT SELECT 'a@b'", 'filter'],
  ],
  'A-06 errors that hold the value': [
    ['SELECT email::int FROM customers', 'filter'],
    ['SELECT 1 FROM customers WHERE email::int = 1', 'filter'],
    ['SELECT 1 / (length(email) - 5) FROM customers', 'filter'],
    ["SELECT to_date(email, 'YYYY') FROM customers", 'filter'],
    ['SELECT 1 FROM customers WHERE CAST(lower(email) AS date) > now()', 'filter'],
    ['INSERT INTO orders (id) SELECT email::int FROM customers', 'escape'],
    ['ALTER TABLE customers ALTER COLUMN email TYPE int USING email::int', 'escape'],
    ['CREATE UNIQUE INDEX ON customers (email)', 'escape'],
    ["ALTER TABLE customers ADD CHECK (email = '')", 'escape'],
  ],
  'A-07 notices': [["DO $$ BEGIN RAISE NOTICE '%', (SELECT email FROM customers LIMIT 1); END $$", 'escape']],
  'A-08 plans, statistics, activity': [
    ['EXPLAIN ANALYZE SELECT * FROM customers', 'escape'],
    ['SELECT most_common_vals FROM pg_stats', 'escape'],
    ['SELECT stavalues1 FROM pg_catalog.pg_statistic', 'escape'],
    ['SELECT query FROM pg_stat_activity', 'escape'],
    ['SELECT * FROM pg_stat_statements', 'escape'],
    ["SELECT * FROM pg_mcv_list_items('')", 'escape'],
    ['SELECT * FROM stats_view', 'escape'],
  ],
  'A-09 COPY': [
    ['COPY customers TO STDOUT', 'masked'],
    ['COPY customers (email) TO STDOUT WITH (FORMAT binary)', 'masked'],
    ['COPY (SELECT * FROM customers) TO STDOUT CSV', 'masked'],
    ['COPY (DELETE FROM customers RETURNING email) TO STDOUT', 'masked'],
    ['COPY (TABLE customers) TO STDOUT', 'masked'],
    ["COPY customers TO STDOUT (NULL 'ada@example.com')", 'escape'],
    ["COPY customers TO STDOUT (ENCODING 'UTF16')", 'escape'],
    ['COPY (SELECT reverse(email) FROM customers) TO STDOUT', 'filter'],
  ],
  'A-10 programs, files, other servers': [
    ["COPY customers TO PROGRAM 'curl'", 'administer'],
    ["COPY orders FROM PROGRAM 'cat'", 'administer'],
    ["COPY (SELECT 1) TO '/tmp/x'", 'administer'],
    ["COPY orders FROM PROGRAM 'cat'", 'escape'],
    ["COPY orders (id) FROM '/var/lib/postgresql/15/main/base/1/2'", 'escape'],
    ["COPY orders TO '/tmp/x'", 'escape'],
    ["SELECT pg_input_is_valid('3', 'some_domain')", 'escape'],
    ["SELECT * FROM pg_input_error_info('3', 'some_domain')", 'escape'],
    ["SELECT lo_export(1, '/tmp/x')", 'administer'],
    ["SELECT lo_import('/etc/passwd')", 'escape'],
    ["SELECT pg_read_file('x')", 'escape'],
    ["SELECT * FROM dblink('host=x', 'SELECT 1') AS t (a int)", 'escape'],
    ["SELECT dblink_exec('DELETE FROM t')", 'opaque'],
    ['CREATE FOREIGN TABLE f (a int) SERVER s', 'escape'],
    ['CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw', 'administer'],
    ["SELECT pg_notify('x', email) FROM customers", 'escape'],
    ['LISTEN x', 'escape'],
    ["SELECT (SELECT pg_read_file('x'))", 'escape'],
  ],
  'A-11 cursors': [
    ['DECLARE c CURSOR FOR SELECT email FROM customers; FETCH ALL FROM c', 'masked'],
    ['DECLARE c BINARY CURSOR FOR TABLE customers; FETCH ALL FROM c', 'masked'],
    ['MOVE ALL FROM c', 'escape'],
    ['FETCH ALL FROM c', 'escape'],
    ['FETCH NEXT FROM "portal of the protocol"', 'escape'],
  ],
  'A-13 prepared under one text, run later': [
    ['PREPARE p AS SELECT email FROM customers; EXECUTE p', 'masked'],
    ['EXECUTE p', 'escape'],
    ['PREPARE p AS SELECT email FROM customers; CREATE TABLE t AS EXECUTE p', 'escape'],
    ['EXECUTE p', 'opaque'],
    ['EXPLAIN ANALYZE EXECUTE p', 'opaque'],
    ['CREATE TABLE t AS EXECUTE p', 'opaque'],
  ],
  'A-14 hidden second statements': [
    ['SELECT 1; DELETE FROM t', 'write'],
    ['SELECT 1 /* ; */ ; /* nested /* comment */ */ DELETE FROM t', 'write'],
    ['SELECT $$;$$; DELETE FROM t -- ;', 'write'],
    ["SELECT ';'; SELECT U&'\\003b'; DELETE FROM t", 'write'],
    ["SELECT ';DELETE FROM t'", 'read'],
    ['SELECT $a$ ; DELETE FROM t $a$', 'read'],
    ['SELECT 1 -- ; \n; DELETE FROM t', 'write'],
    ["SELECT E'\\'; DELETE FROM t --'", 'read'],
    ['SELECT 1; /* unterminated', 'refused'],
    ['COMMIT; DELETE FROM t', 'write'],
  ],
  'A-15 leaving read-only mode': [
    ['BEGIN READ WRITE', 'write'],
    ['SET TRANSACTION READ WRITE', 'write'],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', 'write'],
    ['SET transaction_read_only TO off', 'write'],
    ["SELECT set_config('default_transaction_read_only', 'off', false)", 'write'],
    ['COMMIT; BEGIN; DROP TABLE t', 'define'],
  ],
  'A-16 writes that look like reads': [
    ['WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x', 'write'],
    ['SELECT * INTO y FROM t', 'define'],
    ['EXPLAIN ANALYZE DELETE FROM t', 'write'],
    ['SELECT do_things()', 'opaque'],
    ['CALL p()', 'opaque'],
    ['DO $$ BEGIN DELETE FROM t; END $$', 'opaque'],
    ['TABLE t; TRUNCATE t', 'write'],
    ['VALUES (do_things())', 'opaque'],
    ['SELECT lo_unlink(1)', 'write'],
    ['SELECT 1 FROM t WHERE do_things() IS NULL', 'opaque'],
    ['COPY (INSERT INTO t VALUES (1) RETURNING *) TO STDOUT', 'write'],
    ['PREPARE p AS DELETE FROM t', 'write'],
    ['CREATE RULE r AS ON SELECT TO t DO INSTEAD SELECT do_things()', 'define'],
  ],
  'A-17 copy first, read later': [
    ['CREATE TABLE mine AS SELECT email FROM customers', 'escape'],
    ['CREATE TEMP TABLE mine AS TABLE customers', 'escape'],
    ['SELECT email INTO mine FROM customers', 'escape'],
    ['INSERT INTO leads (email) SELECT email FROM customers', 'escape'],
    [
      'INSERT INTO leads (email) SELECT name FROM customers RETURNING (SELECT email FROM customers LIMIT 1)',
      'masked',
    ],
    ['UPDATE leads SET email = (SELECT email FROM customers LIMIT 1)', 'escape'],
    ['UPDATE customers SET plan = email', 'escape'],
    ['UPDATE customers SET (plan, country) = (email, phone)', 'escape'],
    ['UPDATE customers SET (plan, country) = (SELECT email, phone FROM customers LIMIT 1)', 'escape'],
    ['INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET plan = customers.email', 'escape'],
    [
      'MERGE INTO leads l USING customers c ON l.id = c.id WHEN MATCHED THEN UPDATE SET email = c.email',
      'escape',
    ],
    ['CREATE MATERIALIZED VIEW mine AS TABLE customers', 'escape'],
    ["SELECT set_config('my.x', email, false) FROM customers", 'escape'],
    ['SELECT pg_advisory_lock(hashtext(email)) FROM customers', 'escape'],
    ["SELECT setval('orders_id_seq', phone::int) FROM customers", 'escape'],
    ['ALTER TABLE customers ADD COLUMN copy text GENERATED ALWAYS AS (email) STORED', 'escape'],
    ['ALTER TABLE customers RENAME COLUMN email TO plain', 'escape'],
    ['ALTER TABLE customers ALTER COLUMN plan TYPE text USING email', 'escape'],
    ['CREATE TABLE mine (LIKE customers INCLUDING ALL)', 'escape'],
    ['CREATE TABLE mine () INHERITS (customers)', 'escape'],
    ['CREATE VIEW mine AS SELECT email FROM customers', 'escape'],
    ['ALTER TABLE customers INHERIT leads', 'escape'],
    ['CREATE PUBLICATION p FOR TABLE customers', 'escape'],
    ["UPDATE audited SET note = 'x'", 'escape'],
  ],
  'A-18 shadowed names': [
    ['SET search_path = evil, public', 'escape'],
    ["SELECT set_config('search_path', 'evil', false)", 'escape'],
    ["SELECT pg_catalog.set_config('search_' || 'path', 'evil', false)", 'escape'],
    ["CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT 1'", 'escape'],
    ['CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = f)', 'escape'],
    ['ALTER FUNCTION get_email(int) RENAME TO lower', 'escape'],
    ['ALTER SCHEMA public RENAME TO old', 'escape'],
    ['SELECT evil.customers.email FROM evil.customers', 'escape'],
  ],
  'A-19 other roles': [
    ['SET ROLE admin', 'escape'],
    ['SET LOCAL ROLE admin', 'administer'],
    ['SET SESSION AUTHORIZATION admin', 'escape'],
    ["SELECT set_config('role', 'admin', false)", 'administer'],
    ['SELECT get_email(1)', 'escape'],
    ['GRANT admin TO me', 'escape'],
    ["CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", 'escape'],
  ],
  'A-20 dynamic SQL': [
    ["DO $$ BEGIN EXECUTE format('SELECT %I FROM customers', 'email'); END $$", 'escape'],
    ["SELECT query_to_xml('SELECT email FROM customers', true, true, '')", 'escape'],
    ["SELECT cursor_to_xml('c', 5, true, true, '')", 'escape'],
    ["SELECT database_to_xml(true, true, '')", 'escape'],
    ["SELECT schema_to_xml('public', true, true, '')", 'escape'],
    ["SELECT * FROM ts_stat('SELECT email::tsvector FROM customers')", 'escape'],
    ["SELECT ts_rewrite('a'::tsquery, 'SELECT email::tsquery, phone::tsquery FROM customers')", 'escape'],
    ["SELECT * FROM crosstab('SELECT id, email, phone FROM customers') AS t (a int, b text)", 'escape'],
    ['CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$', 'escape'],
  ],
  'A-21 encodings and NUL': [
    ["SET client_encoding = 'GBK'", 'escape'],
    ["SET NAMES 'SJIS'", 'administer'],
    ["SELECT set_config('client_encoding', 'BIG5', false)", 'escape'],
    ['SET standard_conforming_strings = off', 'escape'],
    ['SET backslash_quote = on', 'escape'],
    ['SELECT 1\0; DROP TABLE t', 'refused'],
    ["SELECT '\ud83d'", 'refused'],
  ],
  'A-28 waiting as a side channel': [
    ['SELECT pg_sleep(1) FROM customers', 'escape'],
    ["SELECT 1 FROM customers WHERE email LIKE 'a%' AND pg_sleep(1) IS NULL", 'escape'],
    ['SELECT pg_advisory_xact_lock(id) FROM customers', 'escape'],
  ],
  'A-30 destructive mistakes': [
    ['DELETE FROM t', 'everything'],
    ['DELETE FROM t WHERE 1 = 1', 'everything'],
    ['UPDATE t SET a = 1 WHERE true', 'everything'],
    ['TRUNCATE t', 'everything'],
    ['DROP TABLE t', 'define'],
    ['DROP OWNED BY r', 'administer'],
  ],
  'documented bypasses of masking by result column': [
    ['SELECT concat(email) FROM customers', 'filter'],
    ["SELECT 'x' UNION SELECT email FROM customers", 'filter'],
    ['SELECT * FROM (SELECT email FROM customers) s', 'masked'],
    ['SELECT "email" FROM customers', 'masked'],
    ['PREPARE p AS SELECT email FROM customers; EXECUTE p', 'masked'],
    ['CREATE TABLE mine AS SELECT * FROM customers', 'escape'],
    ['EXPLAIN ANALYZE TABLE customers', 'escape'],
    ['SELECT email AS plan FROM customers', 'masked'],
    ['SELECT l.*, c.* FROM leads l, customers c', 'masked'],
    ['SELECT FROM FROM customers', 'refused'],
  ],
  'statements that rules by pattern let pass': [
    ['SELECT 1; UPDATE t SET a = 1', 'everything'],
    ['/* WHERE */ DELETE FROM t', 'everything'],
    ['WITH x AS (DELETE FROM t RETURNING 1) SELECT 1', 'everything'],
    ['BEGIN; UPDATE t SET a = 1', 'everything'],
    ['EXPLAIN ANALYZE DELETE FROM t', 'everything'],
    ['MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE', 'write'],
    ['DROP/**/TABLE t', 'define'],
    ['DROP\n--\nTABLE t', 'define'],
    ['DROP MATERIALIZED VIEW v', 'define'],
    ['DROP FUNCTION f', 'define'],
    ['DROP OWNED BY r', 'administer'],
    ['DROP ROLE r', 'administer'],
    ['TRUNCATE t', 'write'],
    ["SELECT 'DROP TABLE t'", 'read'],
    ['SELECT 1, c.* FROM customers c', 'masked'],
    ['TABLE customers', 'masked'],
    ['SELECT/**/*FROM/**/customers', 'masked'],
    ['CREATE RULE r AS ON INSERT TO t DO INSTEAD DELETE FROM t', 'define'],
  ],
}

for (const [name, statements] of Object.entries(ATTACKS)) {
  describe(name, () => {
    it.each(statements)('%s: %s', (text, expected) => check(text, expected))
  })
}
