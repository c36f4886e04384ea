/** The database that the benchmarks run against: pgbench's own tables, and a table of customers with labelled columns. */
import type { TestServer } from '../../test/support/postgres.ts'
import { run } from '../support/processes.ts'

export const DATABASE = 'bench'
export const ROLE = 'bench_app'
export const ROLE_PASSWORD = 'bench-upstream-password'

/** `customers` carries the labels; the others make the catalogue one that somebody could have. */
const SCHEMA = `
CREATE TABLE customers (
  id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text NOT NULL, city text NOT NULL,
  plan text NOT NULL, balance numeric(12, 2) NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE cards (
  id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, number text NOT NULL, expires date NOT NULL);
CREATE TABLE notes (
  id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, author text NOT NULL, body text NOT NULL);
CREATE TABLE invoices (
  id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, total numeric(12, 2) NOT NULL, due date NOT NULL);
CREATE TABLE staff (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, salary numeric(12, 2) NOT NULL);
CREATE VIEW customer_totals AS
  SELECT c.id, c.name, c.email, sum(i.total) AS total FROM customers c JOIN invoices i ON i.customer_id = c.id GROUP BY c.id;
CREATE VIEW open_invoices AS SELECT id, customer_id, total FROM invoices WHERE due < now();
`

const CUSTOMERS = `
INSERT INTO customers
SELECT n, 'Customer ' || n, 'customer' || n || '@example.com', '+1 555 ' || lpad((n % 10000000)::text, 7, '0'),
  (ARRAY['Lisbon', 'Nairobi', 'Osaka', 'Quito', 'Tromso'])[n % 5 + 1], (ARRAY['free', 'team', 'business'])[n % 3 + 1],
  (n % 100000) / 100.0, timestamptz '2024-01-01' + n * interval '1 second'
FROM generate_series(1, $1::bigint) n
`

export type DataSize = {
  /** pgbench's scale: 100,000 accounts each. */
  readonly scale: number
  readonly customers: number
}

/** Makes role, database, tables and rows; everything in memory afterwards, nothing left for the server to do. */
export async function makeDatabase(server: TestServer, size: DataSize): Promise<void> {
  await server.role(ROLE, ROLE_PASSWORD)
  await server.sql(`CREATE DATABASE ${DATABASE} OWNER ${ROLE}`)
  const env = {
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: ROLE,
    PGPASSWORD: ROLE_PASSWORD,
    PGDATABASE: DATABASE,
  }
  await server.sql(`ALTER SCHEMA public OWNER TO ${ROLE}`, [], DATABASE)
  const client = await server.client(DATABASE)
  try {
    await client.query(`SET ROLE ${ROLE}`)
    await client.query(SCHEMA)
    await client.query(CUSTOMERS, [size.customers])
  } finally {
    await client.end()
  }
  await run('pgbench', ['-i', '-q', '-I', 'dtgp', '-s', String(size.scale)], env)
  await server.sql('VACUUM ANALYZE', [], DATABASE)
  await server.sql('CHECKPOINT', [], DATABASE)
}
