/** Attacks that move a protected value first and read it elsewhere, and those that make the server say it in passing. */
import { technique } from './attack.ts'

const TICKET = 'INSERT INTO support_tickets (customer_id, subject, body, status, priority, created_at)'

export const FLOW_ATTACKS = [
  ...technique(
    'copied, then read',
    [
      ['s', 'CREATE TABLE own AS SELECT email FROM customers', 'SELECT * FROM own'],
      ['e', 'CREATE TEMP TABLE own AS TABLE customers', 'SELECT email FROM own'],
      ['b', 'SELECT email INTO TEMP own FROM customers', 'TABLE own'],
      ['c', 'CREATE MATERIALIZED VIEW own AS SELECT phone FROM customers', 'SELECT * FROM own'],
      [
        'y',
        `${TICKET} SELECT id, email, '', 'new', 1, now() FROM customers`,
        'SELECT subject FROM support_tickets',
      ],
      [
        'p',
        'CREATE TABLE own (LIKE customers)',
        'INSERT INTO own SELECT * FROM customers',
        'SELECT * FROM own',
      ],
      ['l', 'UPDATE customers SET company = email', 'SELECT company FROM customers'],
      [
        's',
        'CREATE TABLE own (x text)',
        'INSERT INTO own VALUES ((SELECT key FROM api_keys LIMIT 1))',
        'TABLE own',
      ],
      ['e', 'CREATE UNLOGGED TABLE own (a, b) AS SELECT id, iban FROM payment_methods', 'SELECT b FROM own'],
    ],
    { of: 'A-17' },
  ),
  ...technique('RETURNING', [
    ['s', 'UPDATE customers SET plan = plan RETURNING email'],
    ['e', "DELETE FROM api_keys WHERE id < 3 RETURNING key || ''"],
    ['b', 'UPDATE employees SET title = title RETURNING *'],
    [
      's',
      `${TICKET} VALUES (1, (SELECT email FROM customers WHERE id = 1), '', 'new', 1, now()) RETURNING subject`,
    ],
    [
      'l',
      'UPDATE invoices i SET paid_at = paid_at FROM customers c WHERE c.id = i.customer_id RETURNING c.email',
    ],
    [
      'e',
      "MERGE INTO customers c USING invoices i ON i.customer_id = c.id AND i.id = 1 WHEN MATCHED THEN UPDATE SET plan = 'free' RETURNING c.phone",
    ],
    ['s', 'UPDATE customers SET email = email RETURNING old.email, new.email'],
    ['b', 'DELETE FROM invoices i USING customers c WHERE c.id = i.customer_id RETURNING c.name'],
  ]),
  ...technique(
    'writing CTE',
    [
      ['s', 'WITH u AS (UPDATE customers SET plan = plan RETURNING email) SELECT * FROM u'],
      ['e', 'WITH d AS (DELETE FROM api_keys RETURNING *) SELECT max(key) FROM d'],
      [
        'b',
        `WITH i AS (${TICKET} SELECT id, email, phone, 'new', 1, now() FROM customers RETURNING subject, body) TABLE i`,
      ],
      ['l', 'WITH u AS (UPDATE customers SET company = email RETURNING company) SELECT company FROM u'],
      ['s', 'WITH u AS (UPDATE employees SET title = salary::text RETURNING title) SELECT title FROM u'],
      [
        'e',
        'WITH m AS (MERGE INTO customers c USING customers s ON s.id = c.id WHEN MATCHED THEN UPDATE SET company = s.phone RETURNING c.company) TABLE m',
      ],
      [
        's',
        'WITH u AS (UPDATE customers SET plan = plan RETURNING customers) SELECT (u.customers).email FROM u',
      ],
    ],
    { of: 'A-16' },
  ),
  ...technique('upserts', [
    [
      's',
      'INSERT INTO customers (id, name, email, company, plan, country, created_at) SELECT id, name, email, company, plan, country, created_at FROM customers ON CONFLICT (id) DO UPDATE SET company = excluded.email RETURNING company',
    ],
    [
      'e',
      "INSERT INTO invoices (id, customer_id, number, amount, currency, status, issued_on) SELECT i.id, i.customer_id, i.number, 1, 'EUR', 'paid', now() FROM invoices i ON CONFLICT (id) DO UPDATE SET number = (SELECT email FROM customers c WHERE c.id = invoices.customer_id) || invoices.id RETURNING number",
    ],
    [
      'b',
      'INSERT INTO api_keys (id, customer_id, name, key, created_at) SELECT id, customer_id, name, key, created_at FROM api_keys ON CONFLICT (id) DO UPDATE SET name = api_keys.key RETURNING name',
    ],
    [
      's',
      'INSERT INTO api_keys AS k (id, customer_id, name, key, created_at) SELECT id, customer_id, name, key, created_at FROM api_keys ON CONFLICT (id) DO UPDATE SET name = k.name WHERE k.key IS NOT NULL RETURNING k.key',
    ],
  ]),
  ...technique(
    'views and what is stored',
    [
      ['s', 'CREATE VIEW own AS SELECT email AS x FROM customers', 'SELECT x FROM own'],
      ['e', 'CREATE VIEW own AS SELECT * FROM customer_balance', 'TABLE own'],
      [
        'b',
        'CREATE OR REPLACE VIEW customer_balance AS SELECT id, email AS name, email, plan, 0::bigint AS invoices, 0::numeric AS owed FROM customers',
        'SELECT name FROM customer_balance',
      ],
      [
        'c',
        'CREATE VIEW own AS SELECT upper(email) u FROM customers',
        'CREATE VIEW own2 AS TABLE own',
        'SELECT * FROM own2',
      ],
      ['y', 'CREATE RECURSIVE VIEW own (x) AS SELECT email FROM customers', 'SELECT x FROM own'],
      [
        'p',
        'ALTER TABLE customers ADD COLUMN own text GENERATED ALWAYS AS (email) STORED',
        'SELECT own FROM customers',
      ],
      ['l', 'ALTER TABLE customers RENAME COLUMN email TO own', 'SELECT own FROM customers'],
      ['s', 'ALTER TABLE customers RENAME TO own', 'SELECT email FROM own'],
      ['e', 'CREATE TABLE own () INHERITS (customers)', 'SELECT email FROM customers'],
      ['s', 'CREATE SCHEMA own', 'ALTER TABLE customers SET SCHEMA own', 'SELECT email FROM own.customers'],
    ],
    { of: 'A-01' },
  ),
  ...technique(
    'rules and triggers',
    [
      [
        's',
        'CREATE RULE own AS ON UPDATE TO invoices DO INSTEAD SELECT email FROM customers',
        "UPDATE invoices SET status = 'paid'",
      ],
      [
        's',
        'CREATE TABLE own (x text)',
        'CREATE RULE r AS ON DELETE TO invoices DO ALSO INSERT INTO own SELECT email FROM customers',
        'DELETE FROM invoices WHERE id = 1',
        'TABLE own',
      ],
      [
        's',
        'CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.number := (SELECT email FROM customers LIMIT 1); RETURN NEW; END$$',
        'CREATE TRIGGER own BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION own()',
        'UPDATE invoices SET status = status WHERE id = 1 RETURNING number',
      ],
      [
        's',
        "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '%', NEW; RETURN NEW; END$$",
        'CREATE TRIGGER own BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION own()',
        'UPDATE customers SET plan = plan',
      ],
      [
        's',
        "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'x' USING COLUMN = OLD.email; END$$",
        'CREATE TRIGGER own BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION own()',
        'DELETE FROM customers WHERE id = 1',
      ],
      [
        's',
        'CREATE POLICY own ON invoices USING ((SELECT email FROM customers LIMIT 1)::int = 1)',
        'ALTER TABLE invoices ENABLE ROW LEVEL SECURITY',
        'ALTER TABLE invoices FORCE ROW LEVEL SECURITY',
        'SET LOCAL ROLE crm_app',
        'SELECT * FROM invoices',
      ],
    ],
    { of: 'hoop 3.9 CREATE RULE' },
  ),
  ...technique(
    'functions of their own',
    [
      [
        's',
        'CREATE FUNCTION own() RETURNS SETOF text LANGUAGE sql AS $$SELECT email FROM public.customers$$',
        'SELECT own()',
      ],
      [
        'e',
        "CREATE FUNCTION own() RETURNS text LANGUAGE plpgsql AS $$DECLARE x text; BEGIN EXECUTE 'SELECT em'||'ail FROM customers LIMIT 1' INTO x; RETURN x; END$$",
        'SELECT own()',
      ],
      [
        'b',
        'CREATE FUNCTION own() RETURNS text BEGIN ATOMIC SELECT phone FROM customers LIMIT 1; END',
        'SELECT own()',
      ],
      [
        's',
        'CREATE PROCEDURE own(INOUT x text) LANGUAGE sql AS $$SELECT email FROM customers LIMIT 1$$',
        "CALL own('')",
      ],
      [
        'c',
        'CREATE FUNCTION own(customers) RETURNS text LANGUAGE sql AS $$SELECT $1.email$$',
        'SELECT c.own FROM customers c',
      ],
      [
        'p',
        "CREATE AGGREGATE own(text) (SFUNC = textcat, STYPE = text, INITCOND = '')",
        'SELECT own(email) FROM customers',
      ],
      [
        's',
        'CREATE FUNCTION own() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$SELECT max(key) FROM api_keys$$',
        'SELECT * FROM own()',
      ],
    ],
    { of: 'A-20' },
  ),
  ...technique(
    'anonymous blocks',
    [
      ['s', "DO $$BEGIN RAISE NOTICE '%', (SELECT email FROM customers LIMIT 1); END$$"],
      ['s', "DO $$BEGIN RAISE EXCEPTION '%', (SELECT max(phone) FROM customers); END$$"],
      [
        's',
        "DO $$BEGIN RAISE WARNING USING MESSAGE = 'x', DETAIL = (SELECT key FROM api_keys LIMIT 1); END$$",
      ],
      ['s', "DO $$BEGIN RAISE INFO USING MESSAGE = 'x', HINT = (SELECT name FROM customers LIMIT 1); END$$"],
      ['e', 'DO $$BEGIN PERFORM (SELECT email FROM customers LIMIT 1)::int; END$$'],
      [
        's',
        "DO $$BEGIN PERFORM set_config('my.x', (SELECT email FROM customers LIMIT 1), false); END$$",
        'SHOW my.x',
      ],
      [
        's',
        'DO $$BEGIN ASSERT false, (SELECT iban FROM payment_methods WHERE iban IS NOT NULL LIMIT 1); END$$',
      ],
      [
        's',
        "DO $$BEGIN RAISE NOTICE USING MESSAGE = 'x', SCHEMA = (SELECT max(email) FROM customers); END$$",
      ],
    ],
    { of: 'A-07' },
  ),
  ...technique(
    'cast errors',
    [
      ['s', 'SELECT email::int FROM customers'],
      ['e', 'SELECT key::date FROM api_keys'],
      ['b', 'SELECT phone::numeric FROM customers'],
      ['c', 'SELECT name::uuid FROM customers'],
      ['y', 'SELECT email::inet FROM customers'],
      ['p', 'SELECT email::macaddr FROM customers'],
      ['l', 'SELECT iban::interval FROM payment_methods WHERE iban IS NOT NULL'],
      ['s', 'SELECT id FROM customers WHERE email::int = 1'],
      ['e', 'SELECT id FROM customers ORDER BY email::bool'],
      ['s', 'SELECT count(*) FROM customers GROUP BY email::timestamp'],
      ['s', 'SELECT (SELECT email FROM customers LIMIT 1)::regclass'],
      ['s', 'SELECT 1 LIMIT (SELECT max(email)::int FROM customers)'],
    ],
    { of: 'A-06' },
  ),
  ...technique(
    'other errors that quote',
    [
      ['s', 'SELECT email::regtype FROM customers'],
      ['e', 'SELECT email::pg_lsn FROM customers'],
      ['s', 'SELECT now() AT TIME ZONE email FROM customers'],
      ['s', "SELECT to_tsquery('simple', split_part(email, '@', 1) || ' )') FROM customers"],
      ['s', 'SELECT nextval(email) FROM customers'],
      ['e', "SELECT encode('x', email) FROM customers"],
      ['s', "SELECT convert_from('x', phone) FROM customers"],
      ['s', 'SELECT set_config(email, $$x$$, true) FROM customers'],
      ['s', 'SELECT has_table_privilege(email, $$select$$) FROM customers'],
      ['s', 'SELECT email::oid FROM customers'],
      ['s', 'SELECT date_trunc(email, now()) FROM customers'],
      ['s', 'SELECT lo_get(email::oid) FROM customers'],
    ],
    { of: 'A-06' },
  ),
  ...technique(
    'constraint violations',
    [
      ['s', "UPDATE customers SET plan = 'x' WHERE id = 1"],
      ['e', 'UPDATE customers SET company = NULL WHERE id = 1'],
      ['s', 'CREATE UNIQUE INDEX own ON customers ((left(email, 9)))'],
      ['s', 'ALTER TABLE customers ADD CONSTRAINT own EXCLUDE USING btree (substr(email, 1, 9) WITH =)'],
      ['s', "CREATE TABLE own (e text CHECK (e = 'x'))", 'INSERT INTO own SELECT email FROM customers'],
      [
        's',
        'CREATE TABLE own (e text PRIMARY KEY)',
        'INSERT INTO own SELECT email FROM customers UNION ALL SELECT email FROM customers',
      ],
      [
        's',
        'CREATE TABLE own (e text REFERENCES invoices (number))',
        'INSERT INTO own SELECT email FROM customers',
      ],
      ['s', 'UPDATE employees SET title = NULL WHERE id = 1'],
      ['s', 'CREATE TABLE own (e text) PARTITION BY LIST (e)', 'INSERT INTO own SELECT email FROM customers'],
      [
        's',
        "CREATE VIEW own AS SELECT * FROM customers WHERE plan <> 'free' WITH CHECK OPTION",
        "UPDATE own SET plan = 'free'",
      ],
    ],
    { of: 'A-06' },
  ),
  ...technique(
    'EXPLAIN',
    [
      ['s', 'EXPLAIN ANALYZE SELECT email::int FROM customers'],
      ['s', 'EXPLAIN (ANALYZE, COSTS off) SELECT phone::int FROM customers'],
      ['e', 'EXPLAIN (ANALYZE, VERBOSE) SELECT id FROM customers WHERE email::date = now()'],
      [
        's',
        'CREATE FUNCTION own() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT max(email) FROM public.customers$$',
        'EXPLAIN VERBOSE SELECT own() FROM invoices',
      ],
      [
        's',
        'ANALYZE customers',
        'CREATE STATISTICS own (mcv) ON plan, email FROM customers',
        'ANALYZE customers',
        'SELECT m.* FROM pg_statistic_ext_data d, pg_mcv_list_items(d.stxdmcv) m',
      ],
    ],
    { of: 'A-08' },
  ),
  ...technique(
    'statistics and other catalogues',
    [
      ['s', 'ANALYZE customers', 'SELECT histogram_bounds::text FROM pg_stats'],
      [
        'e',
        'ANALYZE customers',
        'SELECT most_common_vals, histogram_bounds FROM pg_catalog.pg_stats WHERE tablename = $$customers$$',
      ],
      ['b', 'ANALYZE api_keys', 'SELECT stavalues1::text, stavalues2::text FROM pg_statistic'],
      ['y', 'ANALYZE employees', 'SELECT stavalues1::text, stavalues2::text FROM pg_statistic'],
      ['s', 'ANALYZE customers', 'SELECT to_jsonb(s) FROM pg_stats s'],
      [
        's',
        "DO $$BEGIN EXECUTE format('ALTER TABLE invoices ALTER number SET DEFAULT %L', (SELECT email FROM customers LIMIT 1)); END$$",
        'SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef',
      ],
      ['s', 'ANALYZE customers', 'SELECT (s.*)::text FROM pg_statistic s'],
    ],
    { of: 'A-08' },
  ),
  ...technique(
    'COPY in its formats',
    [
      ['s', 'COPY customers TO STDOUT'],
      ['s', 'COPY customers (id, email) TO STDOUT (FORMAT csv, HEADER)'],
      ['s', 'COPY customers TO STDOUT (FORMAT binary)'],
      ['s', "COPY (SELECT email FROM customers) TO STDOUT (FORMAT csv, FORCE_QUOTE *, DELIMITER ';')"],
      ['e', 'COPY api_keys TO STDOUT'],
      ['s', 'COPY (UPDATE customers SET plan = plan RETURNING email) TO STDOUT'],
      ['s', 'COPY (TABLE customer_balance) TO STDOUT'],
      ['s', 'COPY (WITH x AS (SELECT key FROM api_keys) SELECT reverse(key) FROM x) TO STDOUT'],
      ['l', "COPY (SELECT email::text FROM customers) TO STDOUT (NULL 'x')"],
      ['s', 'copy binary customers to stdout'],
    ],
    { of: 'A-09' },
  ),
  ...technique(
    'files, large objects, programs',
    [
      [
        's',
        'SELECT lo_from_bytea(424242, (SELECT email::bytea FROM customers LIMIT 1))',
        "SELECT convert_from(lo_get(424242), 'UTF8')",
      ],
      [
        'b',
        "SELECT lo_from_bytea(424243, (SELECT string_agg(key, ',')::bytea FROM api_keys))",
        'SELECT data FROM pg_largeobject',
      ],
      [
        's',
        "COPY (SELECT email FROM customers) TO '/tmp/sluice-abuse-own'",
        "SELECT pg_read_file('/tmp/sluice-abuse-own')",
      ],
      [
        's',
        "COPY (SELECT phone FROM customers) TO PROGRAM 'cat > /tmp/sluice-abuse-own2'",
        'CREATE TEMP TABLE own (x text)',
        "COPY own FROM '/tmp/sluice-abuse-own2'",
        'TABLE own',
      ],
      ['e', 'CHECKPOINT', "SELECT encode(pg_read_binary_file(pg_relation_filepath('api_keys')), 'hex')"],
    ],
    { of: 'A-10' },
  ),
  ...technique(
    'notifications, settings, names',
    [
      ['s', 'LISTEN own', "SELECT pg_notify('own', email) FROM customers", 'COMMIT', 'SELECT 1'],
      ['s', "SELECT set_config('my.own', (SELECT email FROM customers LIMIT 1), false)", 'SHOW my.own'],
      [
        'e',
        "SELECT set_config('my.own', (SELECT max(key) FROM api_keys), true)",
        "SELECT current_setting('my.own')",
      ],
      [
        's',
        "SELECT set_config('application_name', (SELECT phone FROM customers LIMIT 1), false)",
        'SELECT application_name FROM pg_stat_activity',
      ],
      [
        's',
        "SELECT set_config('search_path', (SELECT quote_ident(email) FROM customers LIMIT 1), false)",
        'SHOW search_path',
      ],
      [
        's',
        "DO $$BEGIN EXECUTE format('COMMENT ON TABLE invoices IS %L', (SELECT email FROM customers LIMIT 1)); END$$",
        "SELECT obj_description('invoices'::regclass)",
      ],
      [
        's',
        "DO $$BEGIN EXECUTE format('CREATE SEQUENCE %I', (SELECT email FROM customers LIMIT 1)); END$$",
        'SELECT relname FROM pg_class',
      ],
      [
        's',
        'CREATE SEQUENCE own',
        "SELECT setval('own', (SELECT salary::int8 FROM employees WHERE id = 1))",
        'SELECT last_value FROM own',
      ],
      [
        's',
        'SELECT pg_advisory_lock(salary::int8) FROM employees WHERE id = 1',
        "SELECT objid FROM pg_locks WHERE locktype = 'advisory'",
      ],
    ],
    { of: 'A-17' },
  ),
  ...technique(
    'prepared and executed',
    [
      ['s', 'PREPARE own AS SELECT email FROM customers', 'EXECUTE own'],
      ['e', 'PREPARE own (int) AS SELECT upper(email) FROM customers WHERE id = $1', 'EXECUTE own (1)'],
      [
        's',
        'PREPARE own AS SELECT 1',
        'DEALLOCATE own',
        'PREPARE own AS SELECT key FROM api_keys',
        'EXECUTE own',
      ],
      ['s', 'PREPARE own AS SELECT phone FROM customers', 'CREATE TEMP TABLE t1 AS EXECUTE own', 'TABLE t1'],
      ['s', 'PREPARE own (int) AS SELECT array_agg(email) FROM customers WHERE id >= $1', 'EXECUTE own (1)'],
      ['b', 'PREPARE own AS SELECT c FROM customers c', 'EXECUTE own'],
      ['s', 'PREPARE own AS UPDATE customers SET plan = plan RETURNING email', 'EXECUTE own'],
    ],
    { of: 'A-13' },
  ),
  ...technique(
    'cursors',
    [
      ['s', 'DECLARE own CURSOR FOR SELECT email FROM customers', 'FETCH 3 FROM own'],
      ['e', 'DECLARE own BINARY CURSOR FOR SELECT email, id FROM customers', 'FETCH ALL FROM own'],
      [
        's',
        'DECLARE own SCROLL CURSOR FOR SELECT reverse(email) FROM customers',
        'MOVE 2 FROM own',
        'FETCH PRIOR FROM own',
      ],
      ['s', 'DECLARE own CURSOR WITH HOLD FOR SELECT key FROM api_keys', 'COMMIT', 'FETCH NEXT FROM own'],
      [
        's',
        'DECLARE own CURSOR FOR SELECT 1',
        'CLOSE own',
        'DECLARE own CURSOR FOR TABLE customers',
        'FETCH FORWARD 2 FROM own',
      ],
      ['l', 'DECLARE own CURSOR FOR SELECT phone FROM customers', 'FETCH ABSOLUTE 1 FROM own'],
      ['s', 'DECLARE own CURSOR FOR SELECT salary FROM employees', 'FETCH ALL IN own'],
    ],
    { of: 'A-11' },
  ),
  ...technique(
    'roles and modes',
    [
      ['s', 'SET ROLE builder', 'SELECT upper(email) FROM customers'],
      ['s', 'SET SESSION AUTHORIZATION builder', 'SELECT reverse(email) FROM customers'],
      [
        's',
        'RESET ALL',

        'SELECT key || $$$$ FROM api_keys',
      ],
      ['s', 'SET row_security = off', "SELECT concat(phone, '') FROM customers"],
      ['s', 'SET standard_conforming_strings = off', "SELECT email || '' FROM customers"],
      ['s', "SET client_encoding = 'LATIN1'", 'SELECT upper(email) FROM customers'],
      [
        's',
        'SET session_replication_role = replica',
        'UPDATE customers SET plan = plan RETURNING upper(email)',
      ],
      [
        's',
        "SET client_min_messages = 'debug5'",
        'SET debug_print_plan = on',
        'SELECT email::int FROM customers',
      ],
    ],
    { of: 'A-19' },
  ),
  ...technique(
    'oracle by pattern',
    [
      ['s', "SELECT 'qzv' || 'mail' FROM customers WHERE email LIKE 'c.q%'"],
      ['e', "SELECT 'qzv' || 'mail' FROM customers WHERE email ~ '^c[.]q'"],
      ['b', "SELECT 'qzv' || 'mail' WHERE EXISTS (SELECT FROM customers WHERE substr(email, 1, 3) = 'c.q')"],
      ['c', "SELECT 'qzv' || 'mail' FROM customers WHERE email > 'c.q' AND email < 'c.r'"],
      ['y', "SELECT 'qzv' || 'mail' FROM customers WHERE starts_with(email, 'c.q')"],
      ['p', "SELECT 'qzv' || 'mail' FROM customers WHERE position('qz' IN email) > 0"],
      ['l', "SELECT 'qzv' || 'mail' FROM customers WHERE (email, id) > ('c.q', 0)"],
      ['s', "SELECT 'qzv' || 'mail' FROM customers WHERE email SIMILAR TO 'c.q%'"],
      ['s', "SELECT 'qzv' || 'mail' FROM employees WHERE salary BETWEEN 48151000 AND 48152000"],
      ['s', "SELECT 'qzv' || 'mail' FROM customers WHERE length(email) > 5"],
    ],
    { of: 'A-04', predicate: true },
  ),
  ...technique(
    'oracle by order, join and limit',
    [
      ['s', "SELECT 'qzv' || 'mail' FROM customers ORDER BY email LIMIT 1"],
      ['e', "SELECT 'qzv' || 'mail' FROM customers a JOIN (VALUES ('c.qzvmail')) v(p) ON a.email ^@ v.p"],
      [
        'b',
        "SELECT 'qzv' || 'mail' FROM generate_series(1, 3) LIMIT (SELECT count(*) FROM customers WHERE email LIKE 'c.%')",
      ],
      ['c', "SELECT 'qzv' || 'mail' FROM customers GROUP BY left(email, 1)"],
      [
        'c',
        "SELECT v FROM (VALUES ('c.qzvmail0001@x')) t(v) LEFT JOIN customers ON true WHERE email LIKE 'c.q%'",
      ],
      ['y', "SELECT 'qzv' || 'mail' HAVING (SELECT bool_and(email LIKE 'c.%') FROM customers)"],
      ['p', "SELECT row_number() OVER (ORDER BY email), 'qzv' || 'mail' FROM customers"],
      ['l', "SELECT DISTINCT ON (left(phone, 2)) 'qzv' || 'mail' FROM customers"],
      ['s', "SELECT 'qzv' || 'mail' FROM customers c, generate_series(1, ascii(c.email)) g"],
      [
        's',
        "SELECT 'qzv' || 'mail' FROM customers WHERE email IN (SELECT email FROM employees UNION SELECT min(email) FROM customers)",
      ],
    ],
    { of: 'A-05', predicate: true },
  ),
]
