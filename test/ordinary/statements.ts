/** Ordinary statements over the sample database, as analysts, tools and migrations send them. Each list is run in order. */

/** What somebody asks of a database with protected columns who has no ill intent. */
export const ANALYTICS: readonly string[] = [
  'SELECT count(*) FROM customers',
  'SELECT plan, count(*) FROM customers GROUP BY plan ORDER BY plan',
  'SELECT country, count(*) AS n FROM customers GROUP BY 1 HAVING count(*) > 1 ORDER BY n DESC, 1',
  'SELECT id, email, plan FROM customers ORDER BY id LIMIT 10',
  'SELECT * FROM customers ORDER BY id LIMIT 5',
  'SELECT c.id, c.email, i.number, i.amount FROM customers c JOIN invoices i ON i.customer_id = c.id ORDER BY i.id LIMIT 20',
  'SELECT c.plan, sum(i.amount) FROM customers c JOIN invoices i ON i.customer_id = c.id GROUP BY c.plan ORDER BY 1',
  "SELECT date_trunc('month', issued_on) AS m, sum(amount), avg(amount)::numeric(10,2) FROM invoices GROUP BY 1 ORDER BY 1",
  'SELECT status, count(*) FILTER (WHERE amount > 100), sum(amount) FROM invoices GROUP BY status ORDER BY status',
  'SELECT customer_id, rank() OVER (ORDER BY sum(amount) DESC, customer_id) FROM invoices GROUP BY customer_id ORDER BY 2, 1 LIMIT 10',
  'SELECT id, amount, sum(amount) OVER (PARTITION BY customer_id ORDER BY id) FROM invoices ORDER BY id LIMIT 20',
  'WITH t AS (SELECT customer_id, sum(amount) s FROM invoices GROUP BY 1) SELECT c.plan, avg(t.s)::int FROM t JOIN customers c ON c.id = t.customer_id GROUP BY 1 ORDER BY 1',
  'SELECT count(email), count(DISTINCT email) FROM customers',
  'SELECT count(*) FROM customers WHERE phone IS NULL',
  "SELECT id, plan FROM customers WHERE email = 'nobody@example.com'",
  "SELECT id, plan FROM customers WHERE lower(email) = lower('Nobody@example.com')",
  "SELECT id FROM customers WHERE email IN ('a@example.com', 'b@example.com')",
  'SELECT s.id, s.email FROM (SELECT id, email FROM customers) s ORDER BY s.id LIMIT 5',
  'WITH x AS (SELECT id, email, company FROM customers) SELECT * FROM x ORDER BY id LIMIT 5',
  'SELECT id, email FROM customers UNION ALL SELECT id, email FROM employees ORDER BY 1 LIMIT 5',
  'SELECT e.id, e.title, m.title AS boss FROM employees e LEFT JOIN employees m ON m.id = e.manager_id ORDER BY 1',
  'SELECT title, count(*) FROM employees GROUP BY title ORDER BY 1',
  'WITH RECURSIVE chain AS (SELECT id, manager_id, 1 AS depth FROM employees WHERE manager_id IS NULL UNION ALL SELECT e.id, e.manager_id, depth + 1 FROM employees e JOIN chain ON e.manager_id = chain.id) SELECT depth, count(*) FROM chain GROUP BY depth ORDER BY 1',
  'SELECT priority, status, count(*) FROM support_tickets GROUP BY GROUPING SETS ((priority, status), (priority), ()) ORDER BY 1, 2, 3',
  "SELECT context->>'browser', count(*) FROM support_tickets GROUP BY 1 ORDER BY 1",
  'SELECT id, jsonb_object_keys(context) FROM support_tickets ORDER BY 1, 2 LIMIT 10',
  'SELECT unnest(tags) AS tag, count(*) FROM customers GROUP BY 1 ORDER BY 1',
  "SELECT id FROM customers WHERE 'vip' = ANY (tags) ORDER BY id",
  'SELECT id, array_length(tags, 1) FROM customers ORDER BY id LIMIT 10',
  "SELECT id, subject FROM support_tickets WHERE subject ILIKE '%invoice%' ORDER BY id",
  "SELECT count(*) FROM support_tickets WHERE created_at > timestamptz '2020-01-01'",
  'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM invoices',
  'SELECT width_bucket(amount, 0, 1000, 5) AS b, count(*) FROM invoices GROUP BY 1 ORDER BY 1',
  "SELECT currency, string_agg(DISTINCT status, ',' ORDER BY status) FROM invoices GROUP BY currency ORDER BY 1",
  'SELECT DISTINCT country FROM customers ORDER BY 1',
  'SELECT DISTINCT ON (customer_id) customer_id, id, amount FROM invoices ORDER BY customer_id, issued_on DESC, id LIMIT 10',
  'SELECT c.id FROM customers c WHERE NOT EXISTS (SELECT FROM invoices i WHERE i.customer_id = c.id) ORDER BY 1',
  'SELECT c.id, (SELECT count(*) FROM invoices i WHERE i.customer_id = c.id) FROM customers c ORDER BY 1 LIMIT 10',
  'SELECT c.id, l.number FROM customers c, LATERAL (SELECT number FROM invoices i WHERE i.customer_id = c.id ORDER BY id LIMIT 1) l ORDER BY 1 LIMIT 10',
  "SELECT id, CASE WHEN amount > 500 THEN 'big' ELSE 'small' END FROM invoices ORDER BY id LIMIT 10",
  'SELECT coalesce(paid_at::date, issued_on) FROM invoices ORDER BY id LIMIT 10',
  'SELECT id, invoices, owed FROM customer_balance ORDER BY id LIMIT 10',
  'SELECT plan, sum(owed) FROM customer_balance GROUP BY plan ORDER BY 1',
  'SELECT * FROM customer_balance ORDER BY id LIMIT 5',
  'SELECT kind, brand, count(*) FROM payment_methods GROUP BY 1, 2 ORDER BY 1, 2',
  'SELECT id, iban FROM payment_methods ORDER BY id LIMIT 10',
  'SELECT revoked, count(*) FROM api_keys GROUP BY 1 ORDER BY 1',
  'SELECT id, name, key FROM api_keys ORDER BY id LIMIT 5',
  'EXPLAIN (COSTS off) SELECT id FROM invoices WHERE customer_id = 3',
  'EXPLAIN (COSTS off) SELECT plan FROM customers WHERE id = 3',
  'SELECT generate_series(1, 5)',
  "SELECT 1 AS one, 'two' AS two, NULL AS three, ARRAY[1, 2], '{\"a\": 1}'::jsonb",
  "VALUES (1, 'a'), (2, 'b')",
  'SHOW search_path',
  'SHOW server_version_num',
  'SELECT current_user, current_database(), current_schema()',
  'BEGIN',
  'SAVEPOINT s',
  "UPDATE customers SET plan = 'team' WHERE id = 1",
  "INSERT INTO support_tickets (customer_id, subject, body, status, priority, created_at) VALUES (1, 'a', 'b', 'new', 1, '2020-01-01') RETURNING subject, status",
  'DELETE FROM api_keys WHERE id = 1',
  'ROLLBACK TO s',
  'RELEASE s',
  'ROLLBACK',
  'SELECT plan FROM customers WHERE id = 1',
]

/** A role that may define makes, changes and drops what is its own. */
export const MIGRATIONS: readonly string[] = [
  'BEGIN',
  'CREATE TABLE ord_projects (id serial PRIMARY KEY, name text NOT NULL, owner_id int REFERENCES employees (id))',
  'CREATE INDEX ord_projects_name ON ord_projects (name)',
  'ALTER TABLE ord_projects ADD COLUMN budget numeric(10, 2) DEFAULT 0 NOT NULL',
  'ALTER TABLE ord_projects ADD CONSTRAINT ord_budget CHECK (budget >= 0)',
  "COMMENT ON TABLE ord_projects IS 'made by a migration'",
  'COMMIT',
  "INSERT INTO ord_projects (name, budget) VALUES ('one', 1), ('two', 2) RETURNING id, name",
  "UPDATE ord_projects SET budget = budget * 2 WHERE name = 'one' RETURNING budget",
  'SELECT * FROM ord_projects ORDER BY id',
  "INSERT INTO ord_projects (id, name) VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name",
  'ALTER TABLE ord_projects RENAME COLUMN name TO title',
  'SELECT title FROM ord_projects ORDER BY id',
  'CREATE VIEW ord_titles AS SELECT title FROM ord_projects',
  'SELECT * FROM ord_titles ORDER BY 1',
  "CREATE TYPE ord_state AS ENUM ('new', 'done')",
  "ALTER TABLE ord_projects ADD COLUMN state ord_state DEFAULT 'new'",
  'SELECT id, state FROM ord_projects ORDER BY id',
  'DELETE FROM ord_projects WHERE id = 2 RETURNING title',
  'DROP VIEW ord_titles',
  'TRUNCATE ord_projects',
  'DROP TABLE ord_projects',
  'DROP TYPE ord_state',
]

/** Written down after the public documentation and source of Prisma, Metabase and DBeaver, not recorded from them. */
export const TOOLS: readonly string[] = [
  "SELECT EXISTS(SELECT 1 FROM pg_namespace WHERE nspname = 'public')",
  'SELECT version()',
  "SELECT oid.namespace, info.table_name FROM (SELECT table_schema AS namespace, table_name FROM information_schema.tables) AS info, (SELECT 'x' AS namespace) oid WHERE info.namespace = 'public' ORDER BY 2",
  "SELECT tbl.relname AS table_name, namespace.nspname AS namespace FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace WHERE tbl.relkind = 'r' AND namespace.nspname = 'public' ORDER BY namespace, table_name",
  "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'customers' ORDER BY ordinal_position",
  "SELECT views.viewname AS view_name FROM pg_catalog.pg_views views WHERE schemaname = 'public' ORDER BY 1",
  'SELECT nspname FROM pg_catalog.pg_namespace ORDER BY nspname',
  'SELECT t.typname, e.enumlabel FROM pg_type t JOIN pg_enum e ON t.oid = e.enumtypid ORDER BY 1, e.enumsortorder',
  "SELECT con.conname, con.contype FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid WHERE c.relname = 'invoices' ORDER BY 1",
  "SELECT sequencename, increment_by FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1",
  'SELECT TRUE AS "_" FROM "public"."customers" WHERE 1 <> 1 LIMIT 0',
  'SELECT "public"."invoices"."id" AS "id", "public"."invoices"."amount" AS "amount" FROM "public"."invoices" ORDER BY 1 LIMIT 10',
  'SELECT "source"."plan" AS "plan", COUNT(*) AS "count" FROM (SELECT "public"."customers"."id" AS "id", "public"."customers"."plan" AS "plan" FROM "public"."customers") AS "source" GROUP BY "source"."plan" ORDER BY "source"."plan" ASC',
  'SELECT CAST(DATE_TRUNC(\'month\', CAST("public"."invoices"."issued_on" AS timestamp)) AS date) AS "issued_on", SUM("public"."invoices"."amount") AS "sum" FROM "public"."invoices" GROUP BY 1 ORDER BY 1 ASC',
  'SELECT "public"."customers"."id", "public"."customers"."email", "public"."customers"."plan" FROM "public"."customers" WHERE ("public"."customers"."id" = 1 AND 1=1) LIMIT 1 OFFSET 0',
  'SELECT "public"."customers"."id" FROM "public"."customers" WHERE "public"."customers"."email" = \'x@example.com\' LIMIT 1',
  'SELECT COUNT(*) FROM (SELECT "public"."customers"."id" FROM "public"."customers" WHERE 1=1 OFFSET 0) AS "sub"',
  'SELECT db.oid, db.datname FROM pg_catalog.pg_database db WHERE NOT datistemplate AND datallowconn ORDER BY db.datname',
  'SELECT x.id, x.plan FROM public.customers x ORDER BY 1 LIMIT 200',
  'SELECT n.oid, n.nspname, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 ORDER BY nspname',
  "SELECT c.oid, c.relname, c.relkind FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY 2",
  "SELECT a.attname, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'public.invoices'::regclass AND NOT a.attisdropped ORDER BY a.attnum",
  'SET extra_float_digits = 3',
  "SET application_name = 'DBeaver 24.1 - Main'",
  'SHOW TRANSACTION ISOLATION LEVEL',
  "SELECT typname, typcategory FROM pg_type WHERE typtype = 'e' ORDER BY 1",
]

/** psql's backslash commands, run by psql itself. */
export const BACKSLASH = String.raw`\d
\dt
\dt+
\d customers
\d invoices
\d+ employees
\di
\ds
\dv
\dm
\dn
\dn+
\df
\dT
\dx
\dy
\dD
\dO
\dp
\ddp
\du
\dg
\dA
\db
\dc int*
\dC int4
\des
\dew
\dF
\dFd
\dl
\do +
\dRp
\l
\z
\conninfo
\encoding
\sv customer_balance`
  .split('\n')
  .filter((line) => line !== '\\conninfo')
