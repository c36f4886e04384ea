/**
 * A real gateway in front of a small shop whose triggers say aloud what they see: for tests of what comes back besides
 * rows. Whoever may not see `pii.email` must never find the mark in anything that the gateway sends.
 */
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { UPSTREAM_PASSWORD } from '../support/config.ts'

/** In every protected value, and nowhere else. */
export const MARK = 'qzvmark'

const ROLE = 'shop_app'
const ROLE_PASSWORD = 'shop-upstream-password'

const SQL = `
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, name text NOT NULL, plan text DEFAULT 'free',
  CONSTRAINT known_plan CHECK (plan <> 'none'));
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers (id), state text);
CREATE TABLE noted (id int PRIMARY KEY, note text);
INSERT INTO customers SELECT i, 'c' || i || '.${MARK}@example.com', 'customer ' || i FROM generate_series(1, 20) i;
INSERT INTO orders SELECT i, i, 'open' FROM generate_series(1, 20) i;
INSERT INTO noted SELECT i, 'note' FROM generate_series(1, 20) i;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE seen text; said text := to_jsonb(NEW)->>TG_ARGV[0];
BEGIN
  SELECT email INTO seen FROM customers WHERE id = 1;
  IF said LIKE 'raise %' THEN
    RAISE EXCEPTION USING ERRCODE = substr(said, 7), MESSAGE = seen, DETAIL = seen, HINT = seen, TABLE = seen,
      COLUMN = seen, CONSTRAINT = seen, SCHEMA = seen, DATATYPE = seen;
  ELSIF said = 'known' THEN
    RAISE EXCEPTION USING ERRCODE = '23505', MESSAGE = seen, SCHEMA = 'public', TABLE = 'customers', CONSTRAINT = seen, COLUMN = seen;
  ELSIF said = 'state' THEN
    RAISE EXCEPTION USING ERRCODE = 'Q' || upper(substr(md5(seen), 1, 4)), MESSAGE = seen;
  ELSIF said = 'notice' THEN
    RAISE NOTICE 'saw %', seen;
    RAISE WARNING USING ERRCODE = '23505', MESSAGE = seen, TABLE = seen;
    PERFORM pg_notify('told', seen);
    PERFORM set_config('application_name', seen, false);
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER tell_now AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tell('state');
CREATE CONSTRAINT TRIGGER tell_later AFTER UPDATE ON noted DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell('note');
`

export type Shop = {
  readonly server: TestServer
  readonly gateway: TestGateway
  stop(): Promise<void>
}

export type ShopOptions = {
  /** Further lines of the connection's block. */
  readonly connection?: string
  readonly rules?: string
  /** Further lines of the local identities. */
  readonly identities?: string
}

export async function startShop(options: ShopOptions = {}): Promise<Shop> {
  const server = await startTestServer(18)
  await server.role(ROLE, ROLE_PASSWORD)
  await server.sql(`CREATE DATABASE shop OWNER ${ROLE}`)
  const client = await server.client('shop')
  await client.query(`ALTER SCHEMA public OWNER TO ${ROLE}`)
  await client.query(`SET ROLE ${ROLE}`)
  await client.query(SQL)
  await client.end()
  const gateway = await startGateway({
    config: `listen:
  postgres: { port: 0 }
identities:
  local:
    - { name: reader, kind: agent, groups: [readers] }
    - { name: writer, kind: service, groups: [writers] }
    - { name: boss, kind: person, groups: [bosses] }
${options.identities ?? ''}labels:
  pii.email: { mask: { kind: partial, of: email }, description: an e-mail address }
connections:
  shop:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${ROLE}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [shop]
    labels: { public.customers.email: pii.email }
    limit: { rows: 100, bytes: 1MiB }
    patience: 100ms
${options.connection ?? ''}rules:
  - name: readers read
    who: { groups: [readers] }
    on: [shop]
    permit: { run: [read], unreviewed: [read] }
  - name: writers read and write
    who: { groups: [writers] }
    on: [shop]
    permit: { run: [read, write, administer], unreviewed: [read, write, administer] }
  - name: bosses do everything
    who: { groups: [bosses] }
    on: [shop]
    permit: { run: all, unreviewed: all, see: all, filter: all, unlimited: true }
${options.rules ?? ''}`,
    env: { [UPSTREAM_PASSWORD]: ROLE_PASSWORD },
  })
  return {
    server,
    gateway,
    async stop() {
      await gateway.stop()
      await server.stop('immediate')
    },
  }
}
