/**
 * Ways to get a protected value of the sample out, as data: each is tried by agents that may see none, in every form
 * the protocol has. `blind`: shows no mark even without the gateway (its harm would be another), or needs rights or
 * state that a plain run does not have; every other one must show a mark when it is sent to the server itself, or it
 * proves nothing. The text of an attempt is run statement by statement, on one connection.
 * Over 600 lines because it is a list, and one list is easier to search for what is missing than several.
 */
import { bind, closeNamed, describe, execute, flush, parse, query, sync } from '../differential/raw-client.ts'

export type Attempt = {
  readonly id: string
  readonly technique: string
  readonly blind?: true
} & (
  | { readonly sql: readonly string[] }
  /** Bytes sent in one piece, and how many ReadyForQuery answer them. */
  | { readonly raw: readonly { readonly bytes: Buffer; readonly readies: number }[] }
)

const C = 'customers'
const one = (id: string, technique: string, ...sql: string[]): Attempt => ({ id, technique, sql })
const blind = (id: string, technique: string, ...sql: string[]): Attempt => ({
  id,
  technique,
  sql,
  blind: true,
})

const MANY_SETTINGS = [
  "('app.a', 'b')",
  "('standard_conforming_strings', 'off')",
  ...Array.from({ length: 300 }, (_, i) => `('app.a', 'c${i}')`),
]
  .map((each) => `(set_config(${each.slice(1, -1)}, false))`)
  .join(', ')

const NAMES: readonly Attempt[] = [
  one('plain', 'names', `SELECT email FROM ${C} LIMIT 3`),
  one('star', 'names', `SELECT * FROM ${C} LIMIT 3`),
  one('qualified', 'names', `SELECT crm.public.${C}.email FROM crm.public.${C} LIMIT 3`),
  one('alias', 'names', `SELECT x.email AS id FROM ${C} AS x LIMIT 3`),
  one('alias-columns', 'names', `SELECT t.a, t.b, t.c FROM ${C} AS t(a, b, c) LIMIT 3`),
  one('alias-swap', 'names', `SELECT t.created_by FROM ${C} AS t(id, x, created_by) LIMIT 3`),
  one('quoted', 'names', `SELECT "email" FROM "public"."customers" LIMIT 3`),
  one('unicode-escape', 'names', `SELECT U&"\\0065mail" FROM U&"custom\\0065rs" LIMIT 3`),
  one('unicode-uescape', 'names', `SELECT U&"!0065mail" UESCAPE '!' FROM ${C} LIMIT 3`),
  one('upper', 'names', `SeLeCt EMAIL fRoM CUSTOMERS LIMIT 3`),
  one('comment', 'names', `SELECT/**/email/* /* nested */ */FROM--x\n${C} LIMIT 3`),
  one('whole-row', 'names', `SELECT c FROM ${C} c LIMIT 3`),
  one('whole-row-star', 'names', `SELECT (c).* FROM ${C} c LIMIT 3`),
  one('whole-row-field', 'names', `SELECT (c).email FROM ${C} c LIMIT 3`),
  one('functional-notation', 'names', `SELECT email(c) FROM ${C} c LIMIT 3`),
  blind('attribute-of-function', 'names', `SELECT c.text FROM ${C} c LIMIT 3`),
  blind('text-of-row', 'names', `SELECT text(c) FROM ${C} c LIMIT 3`),
  one('table-command', 'names', `TABLE ${C} LIMIT 3`),
  one('only', 'names', `SELECT email FROM ONLY ${C} LIMIT 3`),
  one('inherit-star', 'names', `SELECT email FROM ${C} * LIMIT 3`),
  one('other-label', 'names', `SELECT salary, email FROM employees LIMIT 3`),
  one('keys', 'names', `SELECT key FROM api_keys LIMIT 3`),
  one('iban', 'names', `SELECT iban FROM payment_methods WHERE iban IS NOT NULL LIMIT 3`),
  one('view', 'names', `SELECT email FROM customer_balance LIMIT 3`),
  one('view-star', 'names', `SELECT * FROM customer_balance LIMIT 3`),
  one('view-row', 'names', `SELECT b FROM customer_balance b LIMIT 3`),
  one('hidden-in-values', 'names', `SELECT * FROM (VALUES ((SELECT email FROM ${C} LIMIT 1))) v`),
  one('natural-join', 'names', `SELECT email FROM ${C} NATURAL JOIN (SELECT 1 AS id) x`),
  one('join-using-alias', 'names', `SELECT j.id, a.email FROM ${C} a JOIN ${C} b USING (id) AS j LIMIT 3`),
  one(
    'join-alias-star',
    'names',
    `SELECT j.* FROM (${C} a JOIN invoices i ON i.customer_id = a.id) AS j LIMIT 3`,
  ),
  one('using-merge', 'names', `SELECT email FROM ${C} a FULL JOIN ${C} b USING (email) LIMIT 3`),
  one('parentheses', 'names', `(((SELECT email FROM ${C} LIMIT 3)))`),
]

const EXPRESSIONS: readonly Attempt[] = [
  one('concat', 'expression', `SELECT email || '' FROM ${C} LIMIT 3`),
  one('upper', 'expression', `SELECT upper(email) FROM ${C} LIMIT 3`),
  one('reverse', 'expression', `SELECT reverse(email) FROM ${C} LIMIT 3`),
  one('hex', 'expression', `SELECT encode(convert_to(email, 'UTF8'), 'hex') FROM ${C} LIMIT 3`),
  one('base64', 'expression', `SELECT encode(email::bytea, 'base64') FROM ${C} LIMIT 3`),
  one('cast', 'expression', `SELECT email::varchar FROM ${C} LIMIT 3`),
  one('cast-function', 'expression', `SELECT CAST(email AS name) FROM ${C} LIMIT 3`),
  one('typed-literal-row', 'expression', `SELECT ROW(email) FROM ${C} LIMIT 3`),
  one('array', 'expression', `SELECT ARRAY[email] FROM ${C} LIMIT 3`),
  one('array-subquery', 'expression', `SELECT ARRAY(SELECT email FROM ${C} LIMIT 3)`),
  one('array-agg', 'expression', `SELECT array_agg(email) FROM ${C}`),
  one('string-agg', 'expression', `SELECT string_agg(email, ',') FROM ${C}`),
  one('min', 'expression', `SELECT min(email) FROM ${C}`),
  one('mode', 'expression', `SELECT mode() WITHIN GROUP (ORDER BY email) FROM ${C}`),
  one('percentile', 'expression', `SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY email) FROM ${C}`),
  one('any-value', 'expression', `SELECT any_value(email) FROM ${C}`),
  one('avg-salary', 'expression', `SELECT avg(salary) FROM employees WHERE id = 1`),
  one('sum-group', 'expression', `SELECT id, sum(salary) FROM employees GROUP BY id`),
  one('arithmetic', 'expression', `SELECT salary + 0 FROM employees LIMIT 3`),
  one('first-value', 'expression', `SELECT first_value(email) OVER () FROM ${C} LIMIT 1`),
  one('lag', 'expression', `SELECT lag(email) OVER (ORDER BY id) FROM ${C} LIMIT 3`),
  one('case', 'expression', `SELECT CASE WHEN true THEN email END FROM ${C} LIMIT 3`),
  one('coalesce', 'expression', `SELECT coalesce(email, '') FROM ${C} LIMIT 3`),
  one('nullif', 'expression', `SELECT nullif(email, '') FROM ${C} LIMIT 3`),
  one('greatest', 'expression', `SELECT greatest(email, '') FROM ${C} LIMIT 3`),
  one('collate', 'expression', `SELECT email COLLATE "C" FROM ${C} LIMIT 3`),
  one('parenthesised', 'expression', `SELECT (email) FROM ${C} LIMIT 3`),
  one('format', 'expression', `SELECT format('%s', email) FROM ${C} LIMIT 3`),
  one('quote-literal', 'expression', `SELECT quote_literal(email) FROM ${C} LIMIT 3`),
  one('substr', 'expression', `SELECT substr(email, 1, 12) FROM ${C} LIMIT 3`),
  one('regexp', 'expression', `SELECT (regexp_match(email, '.*'))[1] FROM ${C} LIMIT 3`),
  one('regexp-set', 'expression', `SELECT regexp_split_to_table(email, '@') FROM ${C} LIMIT 3`),
  one('string-to-table', 'expression', `SELECT string_to_table(email, '@') FROM ${C} LIMIT 3`),
  one(
    'ascii-of-each',
    'expression',
    `SELECT array_agg(ascii(x)) FROM (SELECT regexp_split_to_table(email, '') x FROM ${C} WHERE id = 1) t`,
  ),
  one('json', 'expression', `SELECT to_json(c) FROM ${C} c LIMIT 3`),
  one('row-to-json', 'expression', `SELECT row_to_json(c) FROM ${C} c LIMIT 3`),
  one('jsonb-build', 'expression', `SELECT jsonb_build_object('a', email) FROM ${C} LIMIT 3`),
  one('json-agg', 'expression', `SELECT json_agg(c) FROM ${C} c`),
  one('json-object', 'expression', `SELECT JSON_OBJECT('a': email) FROM ${C} LIMIT 3`),
  one('json-array-constructor', 'expression', `SELECT JSON_ARRAY(SELECT email FROM ${C} LIMIT 3)`),
  one('json-arrayagg', 'expression', `SELECT JSON_ARRAYAGG(email) FROM ${C}`),
  one(
    'json-table',
    'expression',
    `SELECT t.* FROM ${C} c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (e text PATH '$.email')) t LIMIT 3`,
  ),
  one('json-value', 'expression', `SELECT JSON_VALUE(to_jsonb(c), '$.email') FROM ${C} c LIMIT 3`),
  blind('xml', 'expression', `SELECT xmlelement(name a, email) FROM ${C} LIMIT 3`),
  blind('xmlforest', 'expression', `SELECT xmlforest(email) FROM ${C} LIMIT 3`),
  blind('xmlagg', 'expression', `SELECT xmlagg(xmlparse(content email)) FROM ${C}`),
  blind('table-to-xml', 'expression', `SELECT table_to_xml('customers', true, true, '')`),
  blind('query-to-xml', 'expression', `SELECT query_to_xml('SELECT email FROM customers', true, true, '')`),
  blind('cursor-to-xml', 'expression', `SELECT database_to_xml(true, true, '')`),
  one('tsvector', 'expression', `SELECT to_tsvector('simple', email) FROM ${C} LIMIT 3`),
  one(
    'ts-stat',
    'expression',
    `SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', email) FROM customers')`,
  ),
  one('ts-headline', 'expression', `SELECT ts_headline(email, 'a') FROM ${C} LIMIT 3`),
  one('unnest', 'expression', `SELECT unnest(ARRAY[email]) FROM ${C} LIMIT 3`),
  one('subquery', 'expression', `SELECT (SELECT email FROM ${C} LIMIT 1)`),
  one('lateral', 'expression', `SELECT l.x FROM ${C} c, LATERAL (SELECT c.email AS x) l LIMIT 3`),
  one('lateral-function', 'expression', `SELECT f FROM ${C} c, LATERAL upper(c.email) f LIMIT 3`),
  one('rows-from', 'expression', `SELECT * FROM ROWS FROM (upper((SELECT email FROM ${C} LIMIT 1)))`),
  one(
    'order-by-expression',
    'expression',
    `SELECT DISTINCT ON (email) email FROM ${C} ORDER BY email LIMIT 3`,
  ),
  one('group-by', 'expression', `SELECT email, count(*) FROM ${C} GROUP BY email LIMIT 3`),
  one('grouping-sets', 'expression', `SELECT email FROM ${C} GROUP BY GROUPING SETS ((email), ()) LIMIT 3`),
  one('having', 'expression', `SELECT max(email) FROM ${C} HAVING max(email) > ''`),
  one('tablesample', 'expression', `SELECT email || '' FROM ${C} TABLESAMPLE BERNOULLI (100) LIMIT 3`),
  one('operator-qualified', 'expression', `SELECT email OPERATOR(pg_catalog.||) '' FROM ${C} LIMIT 3`),
  one('at-time-zone', 'expression', `SELECT overlay(email placing '' from 1 for 0) FROM ${C} LIMIT 3`),
  one('int-digits', 'expression', `SELECT salary::int FROM employees LIMIT 3`),
  one('to-char', 'expression', `SELECT to_char(salary, '99999999') FROM employees LIMIT 3`),
  one('range', 'expression', `SELECT numrange(salary, NULL) FROM employees LIMIT 3`),
  one(
    'interval',
    'expression',
    `SELECT make_interval(secs => salary::float8) + '0' , salary * interval '1 us' , salary::text FROM employees LIMIT 3`,
  ),
]

const SHAPES: readonly Attempt[] = [
  one('cte', 'shape', `WITH x AS (SELECT email AS e FROM ${C}) SELECT e FROM x LIMIT 3`),
  one('cte-columns', 'shape', `WITH x(a, b) AS (SELECT id, email FROM ${C}) SELECT b FROM x LIMIT 3`),
  one(
    'cte-shadow',
    'shape',
    `WITH invoices AS (SELECT email AS number FROM ${C}) SELECT number FROM invoices LIMIT 3`,
  ),
  one(
    'cte-shadow-labelled',
    'shape',
    `WITH customers AS (SELECT id, email AS plan FROM public.customers) SELECT plan FROM customers LIMIT 3`,
  ),
  one(
    'cte-recursive',
    'shape',
    `WITH RECURSIVE r(n, e) AS (SELECT 1, email FROM ${C} WHERE id = 1 UNION ALL SELECT n + 1, e FROM r WHERE n < 3) SELECT e FROM r`,
  ),
  one(
    'cte-nested',
    'shape',
    `WITH a AS (WITH b AS (SELECT email FROM ${C}) SELECT * FROM b) SELECT * FROM a LIMIT 3`,
  ),
  one(
    'cte-materialized',
    'shape',
    `WITH a AS MATERIALIZED (SELECT email FROM ${C}) SELECT email FROM a LIMIT 3`,
  ),
  one(
    'cte-update',
    'shape',
    `WITH u AS (UPDATE ${C} SET tags = tags WHERE id = 1 RETURNING email) SELECT email FROM u`,
  ),
  one(
    'cte-delete',
    'shape',
    'BEGIN',
    `WITH d AS (DELETE FROM api_keys WHERE id = 1 RETURNING key) SELECT key FROM d`,
    'ROLLBACK',
  ),
  one('union', 'shape', `SELECT company FROM ${C} UNION ALL SELECT email FROM ${C}`),
  one('union-first', 'shape', `SELECT email FROM ${C} UNION ALL SELECT ''`),
  one('except', 'shape', `SELECT email FROM ${C} EXCEPT SELECT ''`),
  one('intersect', 'shape', `SELECT email FROM ${C} INTERSECT SELECT email FROM ${C}`),
  one('values', 'shape', `VALUES ((SELECT email FROM ${C} LIMIT 1))`),
  one('derived', 'shape', `SELECT e FROM (SELECT email AS e FROM ${C}) t LIMIT 3`),
  one('derived-alias', 'shape', `SELECT plan FROM (SELECT email, id FROM ${C}) AS t(plan, id) LIMIT 3`),
  one('derived-star', 'shape', `SELECT * FROM (SELECT * FROM ${C}) t LIMIT 3`),
  one(
    'exists-oracle',
    'shape',
    `SELECT id, (SELECT max(email) FROM ${C} i WHERE i.id = o.id) FROM ${C} o LIMIT 3`,
  ),
  one('for-update', 'shape', `SELECT email || '' FROM ${C} LIMIT 3 FOR UPDATE`),
  one(
    'window-frame',
    'shape',
    `SELECT string_agg(email, ',') OVER (ORDER BY id ROWS 1 PRECEDING) FROM ${C} LIMIT 3`,
  ),
  one('window-named', 'shape', `SELECT max(email) OVER w FROM ${C} WINDOW w AS (PARTITION BY id) LIMIT 3`),
  one('filter-aggregate', 'shape', `SELECT max(email) FILTER (WHERE id = 1) FROM ${C}`),
  one('batch', 'shape', `SELECT 1; SELECT email || '' FROM ${C} LIMIT 3; SELECT 2`),
  one('batch-mixed', 'shape', `SELECT id, plan FROM ${C} LIMIT 1; SELECT email, phone FROM ${C} LIMIT 1`),
  one(
    'batch-order',
    'shape',
    `SELECT email FROM ${C} LIMIT 1; SELECT id, email FROM ${C} LIMIT 1; SELECT plan, email FROM ${C} LIMIT 1`,
  ),
  one('batch-empty', 'shape', `;;; SELECT email FROM ${C} LIMIT 1;; SELECT id, email FROM ${C} LIMIT 1;`),
  one(
    'batch-error',
    'shape',
    `SELECT id, email FROM ${C} LIMIT 1; SELECT 1/0; SELECT email FROM ${C} LIMIT 1`,
  ),
  blind('batch-transaction', 'shape', `BEGIN; SELECT 1; ROLLBACK; SELECT email || 'x' FROM nowhere`),
  one('set-then-read', 'shape', `SET application_name = 'x'; SELECT email || '' FROM ${C} LIMIT 1`),
]

const FLOWS: readonly Attempt[] = [
  one('update-returning', 'flow', `UPDATE ${C} SET tags = tags WHERE id = 1 RETURNING *`),
  one(
    'update-returning-expression',
    'flow',
    `UPDATE ${C} SET tags = tags WHERE id = 1 RETURNING upper(email)`,
  ),
  one(
    'update-from',
    'flow',
    `UPDATE invoices i SET paid_at = paid_at FROM ${C} c WHERE c.id = i.customer_id AND i.id = 1 RETURNING c.email`,
  ),
  one('returning-old', 'flow', `UPDATE ${C} SET email = email WHERE id = 1 RETURNING old.email, new.email`),
  one(
    'returning-old-named',
    'flow',
    `UPDATE ${C} SET tags = tags WHERE id = 1 RETURNING WITH (OLD AS o) o.email`,
  ),
  one('delete-returning', 'flow', 'BEGIN', `DELETE FROM api_keys WHERE id = 2 RETURNING key`, 'ROLLBACK'),
  one(
    'delete-using',
    'flow',
    'BEGIN',
    `DELETE FROM invoices i USING ${C} c WHERE c.id = i.customer_id AND i.id = 1 RETURNING c.email || ''`,
    'ROLLBACK',
  ),
  one(
    'copy-to-unlabelled',
    'flow',
    'BEGIN',
    `UPDATE ${C} SET company = email WHERE id = 1`,
    `SELECT company FROM ${C} WHERE id = 1`,
    'ROLLBACK',
  ),
  one(
    'copy-multi-assign',
    'flow',
    'BEGIN',
    `UPDATE ${C} SET (company, plan) = (SELECT email, 'free' FROM ${C} WHERE id = 2) WHERE id = 1`,
    `SELECT company FROM ${C} WHERE id = 1`,
    'ROLLBACK',
  ),
  one(
    'insert-select',
    'flow',
    'BEGIN',
    `INSERT INTO support_tickets (customer_id, subject, body, status, priority, created_at) SELECT id, email, email, 'new', 1, now() FROM ${C} WHERE id = 1 RETURNING subject`,
    'ROLLBACK',
  ),
  one(
    'insert-default-returning',
    'flow',
    'BEGIN',
    `INSERT INTO support_tickets (customer_id, subject, body, status, priority, created_at) VALUES (1, (SELECT email FROM ${C} WHERE id = 1), '', 'new', 1, now()) RETURNING subject`,
    'ROLLBACK',
  ),
  one(
    'upsert',
    'flow',
    'BEGIN',
    `INSERT INTO ${C} (id, name, email, company, plan, country) VALUES (1, 'x', 'x', 'x', 'free', 'DE') ON CONFLICT (id) DO UPDATE SET company = ${C}.email RETURNING company`,
    'ROLLBACK',
  ),
  one(
    'upsert-returning',
    'flow',
    'BEGIN',
    `INSERT INTO ${C} (id, name, email, company, plan, country) VALUES (1, 'x', 'x', 'x', 'free', 'DE') ON CONFLICT (id) DO UPDATE SET plan = 'free' RETURNING *`,
    'ROLLBACK',
  ),
  one(
    'merge',
    'flow',
    'BEGIN',
    `MERGE INTO invoices i USING ${C} c ON c.id = i.customer_id AND i.id = 1 WHEN MATCHED THEN UPDATE SET number = c.email RETURNING i.number`,
    'ROLLBACK',
  ),
  one(
    'merge-returning',
    'flow',
    'BEGIN',
    `MERGE INTO ${C} c USING (VALUES (1)) v(id) ON v.id = c.id WHEN MATCHED THEN UPDATE SET tags = c.tags RETURNING c.*`,
    'ROLLBACK',
  ),
  one(
    'create-table-as',
    'flow',
    `CREATE TEMP TABLE stolen AS SELECT email AS x FROM ${C}`,
    'SELECT x FROM stolen LIMIT 3',
  ),
  one('select-into', 'flow', `SELECT email AS x INTO TEMP stolen FROM ${C}`, 'SELECT x FROM stolen LIMIT 3'),
  one(
    'temp-view',
    'flow',
    `CREATE TEMP VIEW peek AS SELECT email AS x FROM ${C}`,
    'SELECT x FROM peek LIMIT 3',
  ),
  one(
    'temp-view-shadow',
    'flow',
    `CREATE TEMP VIEW invoices AS SELECT email AS number FROM public.${C}`,
    'SELECT number FROM invoices LIMIT 3',
  ),
  one(
    'temp-table-shadow',
    'flow',
    'CREATE TEMP TABLE customers (id int, plan text)',
    `INSERT INTO customers SELECT id, email FROM public.customers`,
    'SELECT plan FROM customers LIMIT 3',
  ),
  one(
    'create-table-like',
    'flow',
    'CREATE TEMP TABLE copied (LIKE customers)',
    'INSERT INTO copied SELECT * FROM customers',
    'SELECT email FROM copied LIMIT 3',
  ),
  one(
    'inherits',
    'flow',
    'BEGIN',
    'CREATE TABLE everybody (email text)',
    'ALTER TABLE customers ALTER email DROP NOT NULL, ALTER email SET NOT NULL',
    'ALTER TABLE customers INHERIT everybody',
    'SELECT email FROM everybody LIMIT 3',
    'ROLLBACK',
  ),
  one(
    'rename',
    'flow',
    'BEGIN',
    `ALTER TABLE ${C} RENAME COLUMN email TO note`,
    `SELECT note FROM ${C} LIMIT 3`,
    'ROLLBACK',
  ),
  one(
    'rename-table',
    'flow',
    'BEGIN',
    `ALTER TABLE ${C} RENAME TO clients`,
    `SELECT email FROM clients LIMIT 3`,
    'ROLLBACK',
  ),
  one(
    'move-schema',
    'flow',
    'BEGIN',
    'CREATE SCHEMA elsewhere',
    `ALTER TABLE ${C} SET SCHEMA elsewhere`,
    `SELECT email FROM elsewhere.${C} LIMIT 3`,
    'ROLLBACK',
  ),
  one(
    'retype',
    'flow',
    'BEGIN',
    `ALTER TABLE ${C} ALTER company TYPE text USING email`,
    `SELECT company FROM ${C} LIMIT 3`,
    'ROLLBACK',
  ),
  one(
    'generated',
    'flow',
    'BEGIN',
    `ALTER TABLE ${C} ADD leak text GENERATED ALWAYS AS (email) STORED`,
    `SELECT leak FROM ${C} LIMIT 3`,
    'ROLLBACK',
  ),
  one(
    'add-default',
    'flow',
    'BEGIN',
    `ALTER TABLE ${C} DROP COLUMN plan CASCADE`,
    `ALTER TABLE ${C} ADD plan text`,
    `SELECT email FROM ${C} LIMIT 3`,
    'ROLLBACK',
  ),
  one(
    'materialised-view',
    'flow',
    'BEGIN',
    `CREATE MATERIALIZED VIEW peek AS SELECT email AS x FROM ${C}`,
    'SELECT x FROM peek LIMIT 3',
    'ROLLBACK',
  ),
  blind(
    'rule',
    'flow',
    'BEGIN',
    'CREATE TABLE inbox (x text)',
    `CREATE RULE "_RETURN" AS ON SELECT TO inbox DO INSTEAD SELECT email AS x FROM ${C}`,
    'SELECT x FROM inbox LIMIT 3',
    'ROLLBACK',
  ),
  one(
    'rule-on-write',
    'flow',
    'BEGIN',
    'CREATE TABLE inbox (x text)',
    `CREATE RULE r AS ON INSERT TO inbox DO INSTEAD SELECT email FROM ${C}`,
    `INSERT INTO inbox VALUES ('x')`,
    'ROLLBACK',
  ),
  one(
    'partition',
    'flow',
    'BEGIN',
    'CREATE TABLE whole (x text) PARTITION BY LIST (x)',
    `CREATE TABLE part PARTITION OF whole DEFAULT`,
    `INSERT INTO whole SELECT email FROM ${C}`,
    'SELECT x FROM part LIMIT 3',
    'ROLLBACK',
  ),
  one(
    'sql-function',
    'flow',
    'BEGIN',
    `CREATE FUNCTION peek() RETURNS SETOF text LANGUAGE sql AS 'SELECT email FROM public.customers'`,
    'SELECT peek() LIMIT 3',
    'ROLLBACK',
  ),
  one(
    'plpgsql-function',
    'flow',
    'BEGIN',
    `CREATE FUNCTION peek() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT email FROM public.customers LIMIT 1); END'`,
    'SELECT peek()',
    'ROLLBACK',
  ),
  one(
    'function-standard-body',
    'flow',
    'BEGIN',
    `CREATE FUNCTION peek() RETURNS text BEGIN ATOMIC SELECT email FROM customers LIMIT 1; END`,
    'SELECT peek()',
    'ROLLBACK',
  ),
  one(
    'shadow-builtin',
    'flow',
    'BEGIN',
    `CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT email FROM public.customers LIMIT 1'`,
    `SELECT public.lower('x')`,
    'ROLLBACK',
  ),
  one(
    'operator',
    'flow',
    'BEGIN',
    `CREATE FUNCTION peek(int, int) RETURNS text LANGUAGE sql AS 'SELECT email FROM public.customers LIMIT 1'`,
    'CREATE OPERATOR public.=#= (LEFTARG = int, RIGHTARG = int, FUNCTION = peek)',
    'SELECT 1 =#= 2',
    'ROLLBACK',
  ),
  one(
    'cast-definition',
    'flow',
    'BEGIN',
    'CREATE TYPE box_of AS (x int)',
    `CREATE FUNCTION peek(box_of) RETURNS text LANGUAGE sql AS 'SELECT email FROM public.customers LIMIT 1'`,
    'CREATE CAST (box_of AS text) WITH FUNCTION peek(box_of)',
    'SELECT ROW(1)::box_of::text',
    'ROLLBACK',
  ),
  one(
    'aggregate',
    'flow',
    'BEGIN',
    `CREATE FUNCTION peek(text, int) RETURNS text LANGUAGE sql AS 'SELECT email FROM public.customers LIMIT 1'`,
    'CREATE AGGREGATE leak(int) (SFUNC = peek, STYPE = text)',
    'SELECT leak(1)',
    'ROLLBACK',
  ),
  one(
    'domain-default',
    'flow',
    'BEGIN',
    `CREATE FUNCTION peek() RETURNS text LANGUAGE sql AS 'SELECT email FROM public.customers LIMIT 1'`,
    'CREATE TABLE d (a int, b text DEFAULT peek())',
    'INSERT INTO d (a) VALUES (1) RETURNING b',
    'ROLLBACK',
  ),
  one(
    'trigger',
    'flow',
    'BEGIN',
    `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', NEW.email; RETURN NEW; END'`,
    `CREATE TRIGGER t BEFORE UPDATE ON ${C} FOR EACH ROW EXECUTE FUNCTION tell()`,
    `UPDATE ${C} SET tags = tags WHERE id = 1`,
    'ROLLBACK',
  ),
  one(
    'policy',
    'flow',
    'BEGIN',
    `CREATE FUNCTION tell(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END'`,
    `SELECT id FROM ${C} WHERE tell(email) LIMIT 1`,
    'ROLLBACK',
  ),
  one('do', 'flow', `DO $$ BEGIN RAISE NOTICE '%', (SELECT email FROM customers LIMIT 1); END $$`),
  one('do-error', 'flow', `DO $$ BEGIN RAISE EXCEPTION '%', (SELECT email FROM customers LIMIT 1); END $$`),
  one(
    'call',
    'flow',
    'BEGIN',
    `CREATE PROCEDURE tell() LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', (SELECT email FROM public.customers LIMIT 1); END'`,
    'CALL tell()',
    'ROLLBACK',
  ),
  one(
    'set-config',
    'flow',
    `SELECT set_config('app.x', email, false) FROM ${C} WHERE id = 1`,
    `SELECT current_setting('app.x')`,
  ),
  one(
    'set-config-null',
    'flow',
    `SELECT count(set_config('app.x', email, false)) FROM ${C} WHERE id = 1`,
    `SHOW app.x`,
  ),
  one('notify', 'flow', 'LISTEN leak', `SELECT pg_notify('leak', email) FROM ${C} WHERE id = 1`),
  one(
    'sequence',
    'flow',
    'BEGIN',
    'CREATE SEQUENCE s',
    `SELECT setval('s', (SELECT salary FROM employees WHERE id = 1)::bigint)`,
    'SELECT last_value FROM s',
    'ROLLBACK',
  ),
  one(
    'large-object',
    'flow',
    'BEGIN',
    `SELECT lo_from_bytea(4711, email::bytea) FROM ${C} WHERE id = 1`,
    'SELECT lo_get(4711)',
    'SELECT data FROM pg_largeobject',
    'ROLLBACK',
  ),
  one(
    'advisory',
    'flow',
    `SELECT pg_advisory_lock(salary::bigint) FROM employees WHERE id = 1`,
    `SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'`,
  ),
  one(
    'prepared-name',
    'flow',
    `SELECT pg_sleep(0), query FROM pg_stat_activity, (SELECT email FROM ${C} LIMIT 1) x`,
    `SELECT email || '' FROM ${C} LIMIT 1`,
  ),
  one(
    'comment-on',
    'flow',
    'BEGIN',
    `DO $$ BEGIN EXECUTE format('COMMENT ON TABLE invoices IS %L', (SELECT email FROM customers LIMIT 1)); END $$`,
    `SELECT obj_description('invoices'::regclass)`,
    'ROLLBACK',
  ),
  one('copy-out', 'flow', `COPY ${C} TO STDOUT`),
  one('copy-out-columns', 'flow', `COPY ${C} (email) TO STDOUT (FORMAT csv)`),
  one('copy-out-binary', 'flow', `COPY ${C} (email) TO STDOUT (FORMAT binary)`),
  one('copy-query', 'flow', `COPY (SELECT email FROM ${C}) TO STDOUT`),
  one('copy-returning', 'flow', `COPY (UPDATE ${C} SET tags = tags WHERE id = 1 RETURNING email) TO STDOUT`),
  one('copy-view', 'flow', `COPY (SELECT * FROM customer_balance) TO STDOUT`),
  blind('copy-program', 'flow', `COPY ${C} TO PROGRAM 'cat > /tmp/sluice-stolen'`),
  blind('copy-file', 'flow', `COPY ${C} TO '/tmp/sluice-stolen'`),
]

const CATALOGUES: readonly Attempt[] = [
  one(
    'pg-stats',
    'catalogue',
    `SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE attname IN ('email', 'phone')`,
  ),
  one(
    'pg-statistic',
    'catalogue',
    `SELECT stavalues1::text, stavalues2::text FROM pg_statistic WHERE starelid = 'customers'::regclass`,
  ),
  one('pg-statistic-star', 'catalogue', `SELECT * FROM pg_catalog.pg_stats WHERE tablename = 'customers'`),
  one('stat-activity', 'catalogue', `SELECT 'qzvmail seen', query FROM pg_stat_activity`),
  blind('authid', 'catalogue', 'SELECT rolname, rolpassword FROM pg_authid'),
  blind('shadow', 'catalogue', 'SELECT * FROM pg_shadow'),
  blind('read-file', 'catalogue', `SELECT pg_read_file('PG_VERSION')`),
  one(
    'read-table-file',
    'catalogue',
    'CHECKPOINT',
    `SELECT pg_read_binary_file(pg_relation_filepath('customers'))`,
  ),
  one(
    'user-mapping',
    'catalogue',
    `SELECT c.email || '', m.* FROM ${C} c LEFT JOIN pg_user_mappings m ON true LIMIT 1`,
  ),
  one(
    'cursors',
    'catalogue',
    'BEGIN',
    `DECLARE c CURSOR FOR SELECT email FROM ${C}`,
    'FETCH 3 FROM c',
    'ROLLBACK',
  ),
  one(
    'view-definition',
    'catalogue',
    'BEGIN',
    `CREATE VIEW v AS SELECT email FROM ${C}`,
    'SELECT email FROM v LIMIT 3',
    'ROLLBACK',
  ),
  one(
    'explain-analyze',
    'catalogue',
    `EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM ${C} WHERE email = (SELECT max(email) FROM ${C})`,
    `SELECT max(email) FROM ${C}`,
  ),
  blind('explain', 'catalogue', `EXPLAIN VERBOSE SELECT email FROM ${C} WHERE email > 'c'`),
  one(
    'explain-function',
    'catalogue',
    'BEGIN',
    `CREATE FUNCTION peek() RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT email FROM public.customers LIMIT 1'`,
    'EXPLAIN VERBOSE SELECT peek()',
    'ROLLBACK',
  ),
  one(
    'check-constraint',
    'catalogue',
    `SELECT pg_get_constraintdef(oid), (SELECT email FROM ${C} LIMIT 1) FROM pg_constraint`,
  ),
  one(
    'dblink-like',
    'catalogue',
    `SELECT * FROM query_to_xml('SELECT 1', true, true, ''), (SELECT email FROM ${C} LIMIT 1) x`,
  ),
  one(
    'pageinspect-heap',
    'catalogue',
    `SELECT encode(pg_read_binary_file(pg_relation_filepath('api_keys')), 'escape')`,
  ),
  one('search-path', 'catalogue', `SET search_path = ''`, `SELECT email || '' FROM public.${C} LIMIT 1`),
  one(
    'search-path-shadow',
    'catalogue',
    'BEGIN',
    'CREATE SCHEMA evil',
    `CREATE VIEW evil.invoices AS SELECT email AS number FROM ${C}`,
    'SET LOCAL search_path = evil, public',
    'SELECT number FROM invoices LIMIT 1',
    'ROLLBACK',
  ),
  one(
    'set-config-search-path',
    'catalogue',
    'BEGIN',
    'CREATE SCHEMA evil',
    `CREATE VIEW evil.invoices AS SELECT email AS number FROM ${C}`,
    `SELECT set_config('search_path', 'evil,public', true)`,
    'SELECT number FROM invoices LIMIT 1',
    'ROLLBACK',
  ),
  one('role', 'catalogue', 'SET ROLE builder', `SELECT email || '' FROM ${C} LIMIT 1`),
  one(
    'session-authorization',
    'catalogue',
    'SET SESSION AUTHORIZATION builder',
    `SELECT email || '' FROM ${C} LIMIT 1`,
  ),
  one(
    'backslash-quote',
    'catalogue',
    'SET standard_conforming_strings = off',
    `SELECT '\\'', email || '' FROM ${C} LIMIT 1 --'`,
    `SELECT max(email) FROM ${C}`,
  ),
  one('client-encoding', 'catalogue', `SET client_encoding = 'SJIS'`, `SELECT email FROM ${C} LIMIT 1`),
  one('client-encoding-utf16', 'catalogue', `SET NAMES 'LATIN1'`, `SELECT email FROM ${C} LIMIT 1`),
  one('bytea-output', 'catalogue', `SET bytea_output = 'escape'`, `SELECT email::bytea FROM ${C} LIMIT 1`),
  one(
    'debug-print',
    'catalogue',
    'SET client_min_messages = debug5',
    'SET debug_print_plan = on',
    `SELECT email FROM ${C} WHERE email <> 'qzvmail' LIMIT 1`,
  ),
]

const ERRORS: readonly Attempt[] = [
  one('cast-error', 'error', `SELECT email::int FROM ${C} LIMIT 1`),
  one('cast-in-where', 'error', `SELECT id FROM ${C} WHERE email::int = 1`),
  one('cast-in-order', 'error', `SELECT id FROM ${C} ORDER BY email::date`),
  one('cast-in-limit', 'error', `SELECT 1 LIMIT (SELECT email::int FROM ${C} LIMIT 1)`),
  one('implicit-cast', 'error', `SELECT id FROM ${C} WHERE date_trunc('day', email::timestamptz) IS NULL`),
  one('case-cast', 'error', `SELECT CASE WHEN id = 1 THEN CAST(email AS inet) END FROM ${C} WHERE id = 1`),
  one('check-constraint', 'error', `UPDATE ${C} SET plan = 'enterprise' WHERE id = 7`),
  one('not-null', 'error', `UPDATE ${C} SET company = NULL WHERE id = 7`),
  one('not-null-salary', 'error', `UPDATE employees SET title = NULL WHERE id = 1`),
  one(
    'upsert-check',
    'error',
    `INSERT INTO ${C} (id, name, email, company, plan, country) VALUES (7, 'x', 'x', 'x', 'free', 'DE') ON CONFLICT (id) DO UPDATE SET plan = 'x'`,
  ),
  one('check-in-transaction', 'error', 'BEGIN', `UPDATE ${C} SET plan = 'x' WHERE id = 7`, 'ROLLBACK'),
  one(
    'check-in-cte',
    'error',
    `WITH u AS (UPDATE ${C} SET plan = 'x' WHERE id = 7 RETURNING id) SELECT id FROM u`,
  ),
  one(
    'check-in-prepare',
    'error',
    `PREPARE p AS UPDATE ${C} SET plan = $1 WHERE id = $2`,
    `EXECUTE p('x', 7)`,
  ),
  one('check-in-explain', 'error', `EXPLAIN ANALYZE UPDATE ${C} SET plan = 'x' WHERE id = 7`),
  one(
    'check-in-merge',
    'error',
    `MERGE INTO ${C} c USING (VALUES (7)) v(id) ON v.id = c.id WHEN MATCHED THEN UPDATE SET plan = 'x'`,
  ),
  one('check-in-payment', 'error', `UPDATE payment_methods SET kind = 'card' WHERE iban IS NOT NULL`),
  one('unique-index', 'error', 'BEGIN', `CREATE UNIQUE INDEX u ON ${C} ((left(email, 9)))`, 'ROLLBACK'),
  one(
    'add-check',
    'error',
    `ALTER TABLE ${C} ADD CHECK (length(email) < 3)`,
    `UPDATE ${C} SET plan = 'x' WHERE id = 1`,
  ),
  one('add-foreign-key', 'error', `ALTER TABLE ${C} ADD FOREIGN KEY (email) REFERENCES employees (email)`),
  one('retype-error', 'error', `ALTER TABLE ${C} ALTER phone TYPE int USING phone::int`),
  one(
    'deferred',
    'error',
    'BEGIN',
    `ALTER TABLE ${C} DROP CONSTRAINT customers_email_key, ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED`,
    `UPDATE ${C} SET email = (SELECT email FROM ${C} WHERE id = 2) WHERE id = 1`,
    'COMMIT',
  ),
  one(
    'exclusion',
    'error',
    'BEGIN',
    `ALTER TABLE ${C} ADD EXCLUDE USING btree (email WITH =)`,
    `UPDATE ${C} SET email = (SELECT email FROM ${C} WHERE id = 2) WHERE id = 1`,
    'ROLLBACK',
  ),
  one(
    'partition-error',
    'error',
    'BEGIN',
    'CREATE TABLE p (x text) PARTITION BY LIST (x)',
    `INSERT INTO p SELECT email FROM ${C}`,
    'ROLLBACK',
  ),
  one(
    'view-check-option',
    'error',
    'BEGIN',
    `CREATE VIEW w AS SELECT * FROM ${C} WHERE plan = 'free' WITH CHECK OPTION`,
    `UPDATE w SET plan = 'team' WHERE true`,
    'ROLLBACK',
  ),
  one('numeric-overflow', 'error', `SELECT salary::text::int FROM employees`),
  one('json-error', 'error', `SELECT key::json FROM api_keys LIMIT 1`),
  one('xml-error', 'error', `SELECT ('{' || email)::int[] FROM ${C} LIMIT 1`),
  one('regexp-error', 'error', `SELECT current_setting(email) FROM ${C} LIMIT 1`),
  one('regclass-error', 'error', `SELECT email::regclass FROM ${C} LIMIT 1`),
  blind('timezone-error', 'error', `SELECT now() AT TIME ZONE email FROM ${C} LIMIT 1`),
  one('encoding-error', 'error', `SELECT convert_from(email::bytea, email) FROM ${C} LIMIT 1`),
]

const NAMED: readonly Attempt[] = [
  one('sql-prepare', 'prepared', `PREPARE p AS SELECT email FROM ${C} LIMIT 3`, 'EXECUTE p'),
  one('sql-prepare-cast', 'prepared', `PREPARE p AS SELECT email || '' FROM ${C} LIMIT 3`, 'EXECUTE p'),
  one(
    'explain-execute',
    'prepared',
    `PREPARE p AS SELECT max(email) FROM ${C}`,
    'EXPLAIN ANALYZE EXECUTE p',
    'EXECUTE p',
  ),
  one(
    'create-as-execute',
    'prepared',
    `PREPARE p AS SELECT email FROM ${C}`,
    'CREATE TEMP TABLE stolen AS EXECUTE p',
    'SELECT email FROM stolen LIMIT 1',
  ),
  one(
    'cursor',
    'prepared',
    'BEGIN',
    `DECLARE c CURSOR FOR SELECT email FROM ${C}`,
    'FETCH 3 FROM c',
    'ROLLBACK',
  ),
  one('cursor-hold', 'prepared', `DECLARE c CURSOR WITH HOLD FOR SELECT email FROM ${C}`, 'FETCH 3 FROM c'),
  one(
    'cursor-binary',
    'prepared',
    'BEGIN',
    `DECLARE c BINARY CURSOR FOR SELECT email FROM ${C}`,
    'FETCH ALL FROM c',
    'ROLLBACK',
  ),
  one(
    'cursor-reused',
    'prepared',
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT 1',
    'CLOSE c',
    `DECLARE c CURSOR FOR SELECT email FROM ${C}`,
    'FETCH ALL FROM c',
    'ROLLBACK',
  ),
  one(
    'cursor-in-function',
    'prepared',
    'BEGIN',
    `DO $$ DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT email FROM customers; END $$`,
    'FETCH ALL FROM c',
    'ROLLBACK',
  ),
  {
    id: 'describe-only',
    technique: 'prepared',
    blind: true,
    raw: [
      {
        bytes: Buffer.concat([parse('s', `SELECT email FROM ${C}`), describe('S', 's'), sync()]),
        readies: 1,
      },
    ],
  },
  {
    id: 'portal-fetched-by-sql',
    technique: 'prepared',
    raw: [
      {
        bytes: Buffer.concat([query('BEGIN'), query('DECLARE c CURSOR FOR SELECT 1'), query('CLOSE c')]),
        readies: 3,
      },
      {
        bytes: Buffer.concat([
          parse('s', `SELECT email, phone FROM ${C}`),
          bind('c', 's', [], 0),
          flush(),
          query('FETCH ALL FROM c'),
        ]),
        readies: 1,
      },
    ],
  },
  {
    id: 'setting-in-many-rows',
    technique: 'prepared',
    // Behind it a backslash hides a quote from who has not seen it.
    raw: [
      {
        bytes: Buffer.concat([
          query(`SELECT count(*) FROM (VALUES ${MANY_SETTINGS}) z`),
          query(`SELECT '\\', ' || email, upper(company) -- ' AS x --\n FROM ${C} ORDER BY id LIMIT 3`),
        ]),
        readies: 2,
      },
    ],
  },
  {
    id: 'cursor-executed-as-portal',
    technique: 'prepared',
    raw: [
      {
        bytes: Buffer.concat([query('BEGIN'), query(`DECLARE c CURSOR FOR SELECT email FROM ${C}`)]),
        readies: 2,
      },
      { bytes: Buffer.concat([execute('c'), sync()]), readies: 1 },
    ],
  },
  {
    id: 'portal-closed-by-sql-then-declared',
    technique: 'prepared',
    raw: [
      { bytes: query('BEGIN'), readies: 1 },
      {
        bytes: Buffer.concat([parse('s', `SELECT plan FROM ${C}`), bind('c', 's', [], 0), sync()]),
        readies: 1,
      },
      { bytes: query('CLOSE c'), readies: 1 },
      { bytes: query(`DECLARE c CURSOR FOR SELECT email FROM ${C}`), readies: 1 },
      { bytes: Buffer.concat([execute('c'), sync()]), readies: 1 },
    ],
  },
  {
    id: 'statement-deallocated-then-prepared',
    technique: 'prepared',
    raw: [
      { bytes: Buffer.concat([parse('s', `SELECT plan FROM ${C}`), sync()]), readies: 1 },
      { bytes: query('DEALLOCATE s'), readies: 1 },
      { bytes: query(`PREPARE s AS SELECT email FROM ${C}`), readies: 1 },
      { bytes: Buffer.concat([bind('', 's', [], 0), execute(''), sync()]), readies: 1 },
    ],
  },
  {
    id: 'statement-parsed-twice',
    technique: 'prepared',
    raw: [
      { bytes: Buffer.concat([parse('s', `SELECT email FROM ${C}`), sync()]), readies: 1 },
      // The second is refused by the server, because the name is taken: the first is what runs.
      {
        bytes: Buffer.concat([
          parse('s', `SELECT plan FROM ${C}`),
          bind('', 's', [], 0),
          execute(''),
          sync(),
        ]),
        readies: 1,
      },
      { bytes: Buffer.concat([bind('', 's', [], 0), execute(''), sync()]), readies: 1 },
    ],
  },
  {
    id: 'statement-close-then-parse-behind-an-error',
    technique: 'prepared',
    raw: [
      { bytes: Buffer.concat([parse('s', `SELECT email FROM ${C}`), sync()]), readies: 1 },
      {
        bytes: Buffer.concat([
          parse('', 'SELECT nothing FROM nowhere'),
          closeNamed('S', 's'),
          parse('s', `SELECT plan FROM ${C}`),
          sync(),
        ]),
        readies: 1,
      },
      { bytes: Buffer.concat([bind('', 's', [], 0), execute(''), sync()]), readies: 1 },
    ],
  },
  {
    id: 'portal-rebound-behind-an-error',
    technique: 'prepared',
    raw: [
      { bytes: query('BEGIN'), readies: 1 },
      {
        bytes: Buffer.concat([
          parse('a', `SELECT plan FROM ${C}`),
          parse('b', `SELECT email FROM ${C}`),
          bind('p', 'b', [], 0),
          sync(),
        ]),
        readies: 1,
      },
      { bytes: Buffer.concat([bind('p', 'a', [], 0), execute('p'), sync()]), readies: 1 },
      { bytes: query('ROLLBACK'), readies: 1 },
      { bytes: Buffer.concat([bind('p', 'b', [], 0), execute('p', 1), execute('p'), sync()]), readies: 1 },
    ],
  },
  {
    id: 'pipelined-plans',
    technique: 'prepared',
    raw: [
      {
        bytes: Buffer.concat([
          ...[
            `SELECT plan FROM ${C}`,
            `SELECT email FROM ${C}`,
            `SELECT id, email FROM ${C}`,
            `SELECT phone, id FROM ${C}`,
          ].flatMap((sql) => [parse('', sql), bind('', '', [], 0), execute('', 1), sync()]),
          query(`SELECT plan FROM ${C} LIMIT 1; SELECT email FROM ${C} LIMIT 1`),
          query(`SELECT email FROM ${C} LIMIT 1`),
        ]),
        readies: 6,
      },
    ],
  },
  {
    id: 'pipelined-behind-a-failure',
    technique: 'prepared',
    raw: [
      {
        bytes: Buffer.concat([
          parse('', 'SELECT 1'),
          bind('', '', [], 0),
          execute(''),
          query('SELECT 2'),
          query(`SELECT 1/0; SELECT plan FROM ${C}`),
          query(`SELECT email FROM ${C} LIMIT 1`),
        ]),
        readies: 3,
      },
    ],
  },
  {
    id: 'query-behind-a-skipped-one',
    technique: 'prepared',
    raw: [
      {
        bytes: Buffer.concat([parse('', 'SELECT nothing'), query(`SELECT plan FROM ${C} LIMIT 1`), sync()]),
        readies: 1,
      },
      { bytes: query(`SELECT email FROM ${C} LIMIT 1`), readies: 1 },
    ],
  },
  {
    id: 'message-inside-copy',
    technique: 'copy',
    // A server since 14 ends the connection.
    blind: true,
    raw: [
      { bytes: Buffer.concat([query('COPY invoices FROM STDIN'), query('SELECT 1')]), readies: 1 },
      { bytes: query(`SELECT email FROM ${C} LIMIT 1`), readies: 1 },
    ],
  },
  {
    id: 'messages-inside-copy-extended',
    technique: 'copy',
    // A server since 14 ends the connection.
    blind: true,
    raw: [
      {
        bytes: Buffer.concat([
          parse('', 'COPY invoices FROM STDIN'),
          bind('', '', [], 0),
          execute(''),
          parse('x', 'SELECT 1'),
          bind('x', 'x', [], 0),
          execute('x'),
          sync(),
        ]),
        readies: 1,
      },
      { bytes: query(`SELECT email FROM ${C} LIMIT 1`), readies: 1 },
    ],
  },
  {
    id: 'function-call',
    technique: 'prepared',
    blind: true,
    // pg_read_file(text), by its oid.
    raw: [{ bytes: functionCall(2624, 'PG_VERSION'), readies: 1 }],
  },
  {
    id: 'nul-hides-the-rest',
    technique: 'lexing',
    blind: true,
    raw: [{ bytes: query(`SELECT 1\0; SELECT email FROM ${C}`), readies: 1 }],
  },
  {
    id: 'not-utf8',
    technique: 'lexing',
    blind: true,
    raw: [
      {
        bytes: rawQuery(
          Buffer.from([...Buffer.from(`SELECT email || '`), 0xc0, 0x27, ...Buffer.from(`' FROM ${C}`)]),
        ),
        readies: 1,
      },
    ],
  },
  {
    id: 'unnamed-replaced',
    technique: 'prepared',
    raw: [
      {
        bytes: Buffer.concat([
          parse('', `SELECT email FROM ${C}`),
          query('SELECT 1'),
          bind('', '', [], 0),
          execute(''),
          sync(),
        ]),
        readies: 2,
      },
      { bytes: query(`SELECT email FROM ${C} LIMIT 1`), readies: 1 },
    ],
  },
]

const LEXING: readonly Attempt[] = [
  one('dollar', 'lexing', `SELECT $a$'$a$, email || $$$$ FROM ${C} LIMIT 1`),
  one('e-string', 'lexing', `SELECT E'\\'', email || '' FROM ${C} LIMIT 1`),
  one('comment-in-string', 'lexing', `SELECT '/*', email || '', '*/' FROM ${C} LIMIT 1`),
  one(
    'nested-comment',
    'lexing',
    `SELECT /* /* */ email || '' FROM ${C} -- */\n 1`,
    `SELECT /*/**/*/ email || '' FROM ${C} LIMIT 1`,
  ),
  one(
    'line-ends',
    'lexing',
    `SELECT 1 --\r, email || '' FROM ${C}`,
    `SELECT 1, --\remail\nemail || '' FROM ${C} LIMIT 1`,
  ),
  one('vertical-tab', 'lexing', `SELECT\vemail\f||''FROM\v${C}\vLIMIT 1`),
  one('string-continuation', 'lexing', `SELECT 'a'\n'b', email || 'x'\n'' FROM ${C} LIMIT 1`),
  one('unicode-space', 'lexing', `SELECT email AS "\u00a0" FROM ${C} LIMIT 1`),
  one('escape-in-comment', 'lexing', `SELECT 1 /* '; */, email || '' FROM ${C} LIMIT 1 /* ' */`),
  one('numeric-underscore', 'lexing', `SELECT 1_0, email || '' FROM ${C} LIMIT 1`),
  one(
    'cached-literal',
    'lexing',
    `SELECT 'a', plan FROM ${C} WHERE id = 1`,
    `SELECT max('x'), max(email) FROM ${C} WHERE id = 1`,
  ),
  one('cached-regclass', 'lexing', `SELECT 'invoices'::regclass`, `SELECT email || '' FROM ${C} LIMIT 1`),
]

export const ATTEMPTS: readonly Attempt[] = [
  ...NAMES,
  ...EXPRESSIONS,
  ...SHAPES,
  ...FLOWS,
  ...CATALOGUES,
  ...ERRORS,
  ...NAMED,
  ...LEXING,
]

function rawQuery(sql: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(sql.length + 5)
  return Buffer.concat([Buffer.from('Q'), length, sql, Buffer.from([0])])
}

function functionCall(oid: number, argument: string): Buffer {
  const text = Buffer.from(argument)
  const body = Buffer.alloc(4 + 2 + 2 + 4 + text.length + 2)
  body.writeInt32BE(oid, 0)
  body.writeInt16BE(0, 4)
  body.writeInt16BE(1, 6)
  body.writeInt32BE(text.length, 8)
  text.copy(body, 12)
  body.writeInt16BE(0, 12 + text.length)
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from('F'), length, body])
}
