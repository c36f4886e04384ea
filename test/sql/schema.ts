/** Tables for the tests of the SQL analysis against real servers: names, types and dependencies of many kinds. */
export const SCHEMA: readonly string[] = [
  'CREATE SCHEMA app',
  `CREATE TABLE customers (id int PRIMARY KEY, name text, gone text, email text, phone text, plan text DEFAULT 'free',
    country text)`,
  'ALTER TABLE customers DROP COLUMN gone',
  "ALTER TABLE customers ADD COLUMN folded text GENERATED ALWAYS AS (lower(email) || '') STORED",
  'CREATE TABLE orders (id serial PRIMARY KEY, customer_id int REFERENCES customers (id), total int, note text)',
  'CREATE TABLE leads (id int, email text, source text)',
  'CREATE TABLE events (id int, at int NOT NULL, contact_email text, kind text) PARTITION BY RANGE (at)',
  // Attached: its columns have another order and other numbers.
  'CREATE TABLE events_1 (kind text, contact_email text, id int, at int NOT NULL)',
  'ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (0) TO (100)',
  'CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200)',
  'CREATE TABLE people (id int, name text, ssn text)',
  'CREATE TABLE staff (salary int) INHERITS (people)',
  'CREATE TABLE audited (id int, email text, note text)',
  "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
  'CREATE TRIGGER audit BEFORE UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION audit()',
  'CREATE TABLE ruled (id int, note text)',
  'CREATE RULE r AS ON DELETE TO ruled DO INSTEAD INSERT INTO leads (email) SELECT email FROM customers',
  'CREATE VIEW customer_list AS SELECT id, name, email FROM customers',
  'CREATE VIEW customer_names AS SELECT id, upper(name) AS n FROM customer_list',
  'CREATE VIEW order_totals AS SELECT customer_id, sum(total) AS total FROM orders GROUP BY 1',
  'CREATE VIEW stats_view AS SELECT tablename, most_common_vals::text AS v FROM pg_stats',
  'CREATE VIEW xml_view AS SELECT query_to_xml(note, true, true, note)::text AS x FROM orders',
  "CREATE VIEW vip AS SELECT id, email AS mail, phone FROM customers WHERE plan = 'pro'",
  'CREATE VIEW contacts AS SELECT id, email FROM customers UNION ALL SELECT id, email FROM leads',
  'CREATE VIEW nested AS SELECT v.id, v.mail, l.source FROM vip v LEFT JOIN leads l USING (id)',
  'CREATE VIEW masked_mail AS SELECT id, left(email, 2) AS start, plan FROM customers',
  `CREATE VIEW newest AS WITH m AS (SELECT max(id) AS id FROM customers)
    SELECT c.id, c.email, (SELECT s.ssn FROM staff s WHERE s.id = c.id + 100) AS ssn FROM customers c JOIN m ON m.id >= c.id`,
  "CREATE VIEW by_address AS SELECT id, plan FROM customers WHERE email > 'm'",
  'CREATE VIEW rows_of AS SELECT id, c AS whole FROM customers c',
  'CREATE MATERIALIZED VIEW mat AS SELECT id, email, country FROM customers',
  'CREATE MATERIALIZED VIEW customer_mat AS SELECT country, count(*) FROM customers GROUP BY 1',
  `CREATE FUNCTION get_email(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT email FROM public.customers WHERE id = $1'`,
  'CREATE VIEW calls_function AS SELECT get_email(1) AS x',
  "CREATE FUNCTION do_things() RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
  "CREATE TYPE mood AS ENUM ('happy', 'sad')",
  'CREATE DOMAIN posint AS int CHECK (value > 0)',
  "CREATE FUNCTION is_fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
  'CREATE DOMAIN checked AS int CHECK (is_fine(value))',
  'CREATE TABLE feelings (id int, m mood, ms mood[], p posint)',
  'CREATE EXTENSION citext',
  'CREATE TABLE handles (id int, handle citext)',
  'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
  'CREATE FUNCTION same(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS $$SELECT $1 = $2$$',
  'CREATE OPERATOR ==== (LEFTARG = int, RIGHTARG = int, FUNCTION = same)',
  "CREATE FUNCTION mood_text(mood) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'x'$$",
  "CREATE TYPE temper AS ENUM ('hot')",
  "CREATE FUNCTION temper_text(temper) RETURNS varchar LANGUAGE sql IMMUTABLE AS $$SELECT 'x'::varchar$$",
  'CREATE CAST (temper AS varchar) WITH FUNCTION temper_text(temper)',
  'CREATE TABLE app.ledger (id int, amount int)',
]

/** Rows that are the same in every database, but for the protected values, which `secret` makes. */
export function rows(secret: (kind: string, i: number) => string): readonly string[] {
  const many = Array.from({ length: 8 }, (_, i) => i)
  const text = (value: string): string => `'${value}'`
  return [
    `INSERT INTO customers (id, name, email, phone, plan, country) VALUES ${many
      .map(
        (i) =>
          `(${i}, 'name ${i}', ${text(secret('email', i))}, ${text(secret('phone', i))}, '${i % 2 === 0 ? 'free' : 'pro'}', 'c${i % 3}')`,
      )
      .join(', ')}`,
    `INSERT INTO orders (id, customer_id, total, note) VALUES ${many.map((i) => `(${i}, ${i % 5}, ${i * 10}, 'note ${i}')`).join(', ')}`,
    `INSERT INTO leads VALUES ${many.map((i) => `(${i}, 'lead${i}@example.com', 's${i % 2}')`).join(', ')}`,
    `INSERT INTO events (id, at, contact_email, kind) VALUES ${many.map((i) => `(${i}, ${i * 20}, ${text(secret('contact', i))}, 'k${i}')`).join(', ')}`,
    `INSERT INTO people VALUES ${many.map((i) => `(${i}, 'person ${i}', ${text(secret('ssn', i))})`).join(', ')}`,
    `INSERT INTO staff VALUES ${many.map((i) => `(${i + 100}, 'worker ${i}', ${text(secret('ssn', i + 100))}, ${i * 1000})`).join(', ')}`,
    'REFRESH MATERIALIZED VIEW mat',
    `INSERT INTO audited VALUES ${many.map((i) => `(${i}, ${text(secret('audited', i))}, 'a${i}')`).join(', ')}`,
  ]
}
