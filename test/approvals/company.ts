/** A gateway on a real server whose writes wait for a person, for tests of what approvers see and say. */
import { Client } from 'pg'
import { dsnOf, mint } from '../../src/cli/credentials.ts'
import type { TestApi } from '../../src/testing/running-gateway.ts'
import { startTestApi } from '../../src/testing/running-gateway.ts'
import { CLI } from '../support/gateway.ts'
import type { MAJORS, TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import type { Finished } from '../support/process.ts'
import { run } from '../support/process.ts'
import { eventually } from '../support/wait.ts'

export const DATABASE = 'shop'
const PASSWORD = 'shop-upstream-password'

const SQL = `
CREATE TABLE customers (id serial PRIMARY KEY, email text NOT NULL, plan text NOT NULL);
CREATE TABLE orders (id serial PRIMARY KEY, customer integer REFERENCES customers ON DELETE CASCADE, state text);
CREATE TABLE late (id integer PRIMARY KEY, of integer);
CREATE TABLE notes (id serial PRIMARY KEY, note text, made timestamptz DEFAULT now());
CREATE TABLE audited (id integer PRIMARY KEY, note text);
CREATE TABLE deferred (id integer PRIMARY KEY, note text);
CREATE TABLE parts (id integer, part text) PARTITION BY LIST (part);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
CREATE VIEW plans AS SELECT id, plan FROM customers;
INSERT INTO customers (email, plan) SELECT 'person' || g || '@example.com', 'free' FROM generate_series(1, 40) g;
INSERT INTO orders (customer, state) SELECT 1 + g % 40, 'open' FROM generate_series(0, 119) g;
INSERT INTO audited SELECT g, 'x' FROM generate_series(1, 10) g;
INSERT INTO deferred SELECT g, 'x' FROM generate_series(1, 10) g;
INSERT INTO parts SELECT g, 'a' FROM generate_series(1, 10) g;
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes (note) VALUES ('changed'); RETURN NEW; END $$;
CREATE TRIGGER audited_note AFTER UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE CONSTRAINT TRIGGER deferred_note AFTER UPDATE ON deferred DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE FUNCTION surprise(x text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN x; END $$;
`

const config = (port: number): string => `listen:
  postgres: { port: 0 }
  api: { port: 0 }
identities:
  local:
    - { name: agent, kind: agent, groups: [agents] }
    - { name: ada, kind: person, groups: [clear], roles: [approver, admin] }
    - { name: eve, kind: person, roles: [approver] }
    - { name: bob, kind: person, roles: [auditor] }
labels:
  pii.email: { mask: { kind: partial, of: email } }
connections:
${['shop', 'bound', 'blind', 'plain', 'free']
  .map(
    (name) => `  ${name}:
    protocol: postgres
    upstream: { host: 127.0.0.1, port: ${port}, user: shop_app, password: "\${env:SHOP_PASSWORD}", sslmode: disable }
    databases: [${DATABASE}]
    patience: 60s
    sessionsPerIdentity: 100
${name === 'blind' ? '' : '    preview: { enabled: true, rows: 5, timeout: 2s, lockTimeout: 500ms }\n'}${name === 'plain' || name === 'free' ? '' : '    labels: { public.customers.email: pii.email }\n'}`,
  )
  .join('')}rules:
  - { name: sets what it likes, who: everyone, on: [free], permit: { unreviewed: [administer, write] }, when: '!context.writes.contains("locked")' }
  - { name: look, who: everyone, on: all, permit: { run: all, unreviewed: [read], store: [pii.email], unlimited: true } }
  - { name: in clear, who: { groups: [clear] }, on: all, permit: { see: [pii.email] } }
  - name: counted
    who: everyone
    on: [bound]
    review: { effect: required }
  - name: more than once
    who: everyone
    on: [shop]
    review: { reuse: { shape: 1h, session: true } }
`

export type Answered = { readonly status: number; readonly body: Record<string, unknown> }

export type Shop = {
  readonly server: TestServer
  readonly api: TestApi
  dsn(connection?: string): Promise<string>
  client(connection?: string): Promise<Client>
  sql(text: string): Promise<Record<string, unknown>[]>
  approvals(): Promise<readonly Record<string, unknown>[]>
  /** The ticket of the request whose text holds this, once it waits. */
  ticketOf(mark: string): Promise<string>
  /** Calls a route as this person. */
  as(person: 'ada' | 'eve' | 'bob', method: string, path: string, body?: unknown): Promise<Answered>
  login(person: 'ada' | 'eve' | 'bob'): string
  /** The command line, with the login of this person. */
  cli(person: 'ada' | 'eve' | 'bob', args: readonly string[]): Promise<Finished>
  /** Approves what waits, for so many rows if it says so; gives the ticket. */
  approve(mark: string, answer?: Record<string, unknown>): Promise<string>
  stop(): Promise<void>
}

export async function startShop(major: (typeof MAJORS)[number] = 15): Promise<Shop> {
  process.env['SHOP_PASSWORD'] = PASSWORD
  const server = await startTestServer(major)
  await server.role('shop_app', PASSWORD)
  await server.sql(`CREATE DATABASE ${DATABASE} OWNER shop_app`)
  const owner = await server.client(DATABASE)
  await owner.query('ALTER SCHEMA public OWNER TO shop_app')
  await owner.query('SET ROLE shop_app')
  await owner.query(SQL)
  await owner.end()
  const api = await startTestApi(() => config(server.port))
  const clients: Client[] = []
  const tokens = new Map<string, string>()
  for (const name of ['ada', 'eve', 'bob']) {
    const next = await api.enrol(name)
    const { body } = await api.person('POST', '/v1/login', { body: { person: name, code: next() } })
    tokens.set(name, String(body['token']))
  }
  const dsn = async (connection = 'shop'): Promise<string> =>
    dsnOf(await mint(connection, undefined, { data: api.dataDirectory, as: 'agent', ttl: '1h' }))
  const shop: Shop = {
    server,
    api,
    dsn,
    async client(connection) {
      const client = new Client({ connectionString: await dsn(connection), ssl: false })
      client.on('error', () => undefined)
      await client.connect()
      clients.push(client)
      return client
    },
    sql: (text) => server.sql(text, [], DATABASE),
    async approvals() {
      const { body } = await api.operator('GET', '/v1/approvals')
      return Array.isArray(body['approvals']) ? body['approvals'] : []
    },
    ticketOf: (mark) =>
      eventually(`a request for ${mark}`, async () => {
        const { body } = await shop.as('ada', 'GET', '/v1/approvals?state=pending')
        const found = (body['approvals'] as { ticket: string; text: string }[]).find(({ text }) =>
          text.includes(mark),
        )
        return found?.ticket
      }),
    as: (person, method, path, body) =>
      api.person(method, path, { token: tokens.get(person) ?? '', ...(body === undefined ? {} : { body }) }),
    login: (person) => tokens.get(person) ?? '',
    cli: (person, args) =>
      run(process.execPath, [CLI, ...args], {
        env: { SLUICE_DATA: api.dataDirectory, SLUICE_LOGIN: tokens.get(person) ?? '' },
      }),
    async approve(mark, answer = {}) {
      const ticket = await shop.ticketOf(mark)
      const done = await shop.as('ada', 'POST', `/v1/approvals/${ticket}/answer`, {
        verdict: 'approve',
        ...answer,
      })
      if (done.status !== 200) throw new Error(`${ticket} was not approved: ${JSON.stringify(done.body)}`)
      return ticket
    },
    async stop() {
      await Promise.all(clients.map((client) => client.end().catch(() => undefined)))
      await api.stop()
      await server.stop()
    },
  }
  return shop
}
