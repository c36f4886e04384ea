/** `sluice policy prove` against a real gateway and a real server: that it finds nothing, and that it finds what is there. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { UsedGateway, World } from '../../../../test/abuse/world.ts'
import { SECRETS, startWorldWith } from '../../../../test/abuse/world.ts'
import { CLI } from '../../../../test/support/gateway.ts'
import { startGatewayInside } from '../../../../test/support/gateway-inside.ts'
import { run } from '../../../../test/support/process.ts'
import { teardown } from '../../../../test/support/teardown.ts'

/** Of the analyser that reads what clients send. The one that explains is another, and is right. */
const lineage = vi.hoisted(() => ({ holds: true, made: 0 }))

vi.mock(import('../../../sql/index.ts'), async (original) => {
  const real = await original()
  return {
    ...real,
    async createSqlAnalyser(load) {
      lineage.made++
      if (lineage.made > 1) return await real.createSqlAnalyser(load)
      const whole = await real.createSqlAnalyser(load)
      const none = await real.createSqlAnalyser(load, new Set(['relation']))
      return { ...whole, analyse: (...given) => (lineage.holds ? whole : none).analyse(...given) }
    },
  }
})

/** Little of everything that a schema can have. */
const SHOP = `
CREATE SCHEMA app;
CREATE DOMAIN app.mail AS text CHECK (value LIKE '%@%');
CREATE TYPE app.state AS ENUM ('on', 'off');
CREATE TABLE app.people (id uuid, contact app.mail NOT NULL, "Odd Name" varchar(40), born date, small "char",
  state app.state NOT NULL, low text GENERATED ALWAYS AS (lower("Odd Name")) STORED) PARTITION BY RANGE (born);
CREATE TABLE app.people_old PARTITION OF app.people FOR VALUES FROM ('1900-01-01') TO ('2000-01-01');
CREATE FUNCTION app.loud(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
CREATE VIEW app.contacts AS SELECT p.id, app.loud(p.contact) AS reached_at FROM app.people p;
CREATE TABLE plain (id int PRIMARY KEY, note text);
CREATE TYPE odd;
CREATE TABLE far (LIKE plain);
INSERT INTO app.people (contact, "Odd Name", born, state) VALUES ('ada@real.example', 'Ada Reality', '1950-01-01', 'on');
`

const LABELS = `
      app.people.contact: pii.email
      'app.people."Odd Name"': pii.name
      app.people.small: secret`

const SEER = `  - name: the seer sees
    who: { identities: ["service:seer"] }
    on: [crm-super]
    permit: { run: all, unreviewed: all, unlimited: true, see: all }
`

const TINY = `CREATE TABLE customers (id int, email text); INSERT INTO customers VALUES (1, 'ada@real.example');`

describe('sluice policy prove', () => {
  const later = teardown()
  let world: World<UsedGateway>

  beforeAll(async () => {
    world = await startWorldWith(startGatewayInside, {
      edit: (text) =>
        text
          .replaceAll('databases: [crm]', 'databases: [crm, shop, tiny, probe]')
          .replaceAll('"*.employees.email": pii.email', (line) => `${line}${LABELS}`)
          .replace('    - { name: writer,', (line) => `    - { name: seer, kind: service }\n${line}`)
          .concat(SEER),
    })
    later(() => world.stop())
    for (const [name, text] of [
      ['shop', SHOP],
      ['tiny', TINY],
    ] as const) {
      await world.server.sql(`CREATE DATABASE ${name} OWNER builder`)
      const client = await world.server.client(name)
      later(() => client.end())
      await client.query(text)
    }
  }, 120_000)

  const proving = (database: string, ...args: readonly string[]) => {
    const dsn = world.server.dsn({ database, user: 'builder', password: SECRETS.superuser })
    return run(process.execPath, [CLI, 'policy', 'prove', ...args, '--data', world.gateway.dataDirectory], {
      env: { SLUICE_PROVE_DSN: dsn },
      msMax: 280_000,
    })
  }
  const on = (as: string) =>
    ['--on', 'crm-super', '--as', as, '--scratch-database', 'probe', '--json'] as const

  test('P-02: shows that no value comes out, and what it could not try', async () => {
    const done = await proving('shop', ...on('analyst'))
    expect(done.stderr).toBe('')
    const { summary } = JSON.parse(done.stdout)
    expect(summary).toMatchObject({
      connection: 'crm-super',
      database: 'shop',
      identity: 'service:analyst',
      marked: ['app.people.contact', 'app.people."Odd Name"', 'app.people.low'],
      seen: [],
      leaks: [],
      counts: { leaked: 0, failed: 0, held: 0 },
    })
    expect(summary.unmarked).toContain('app.people.small')
    expect(summary.schema).toMatch(/^[0-9a-f]{64}$/)
    const { run: sent, telling, refused, masked } = summary.counts
    expect(sent).toBeGreaterThan(150)
    expect(telling).toBeGreaterThan(sent * 0.9)
    expect(refused + masked).toBe(telling)
    expect(masked).toBeGreaterThan(refused)
    expect(done.code).toBe(0)
    // Nothing is left behind, and nothing of the real rows was read.
    expect(await world.server.sql("SELECT FROM pg_database WHERE datname = 'probe'")).toEqual([])
    const read = (await world.server.statementsLogged()).filter(
      ({ database, text }) => database === 'shop' && /FROM (app\.people|"?app"?\."?people)/.test(text),
    )
    expect(read).toEqual([])
  }, 300_000)

  test('finds what leaks, and ends with 1', async () => {
    lineage.holds = false
    const file = join(world.gateway.dataDirectory, 'summary.json')
    const done = await proving('tiny', ...on('analyst'), '--out', file)
    lineage.holds = true
    const { summary } = JSON.parse(done.stdout)
    expect(done.code).toBe(1)
    expect(summary.counts.leaked).toBeGreaterThan(20)
    expect(summary.leaks).toContain('bare: public.customers.email')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(done.stdout))

    const key = join(world.gateway.dataDirectory, 'proofs', 'prove-key.pem')
    expect(statSync(key).mode & 0o777).toBe(0o600)
    const checked = await proving('tiny', '--verify', file)
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('the signature fits') })
    writeFileSync(file, done.stdout.replace('"leaked":', '"leaked":0').replace(/"leaked":0\d+/, '"leaked":0'))
    const changed = await proving('tiny', '--verify', file)
    expect(changed).toMatchObject({ code: 1, stderr: expect.stringContaining('changed after it was signed') })
  }, 300_000)

  test('asks nobody for an approval, and leaves alone what the identity may see', async () => {
    const held = await proving(
      'tiny',
      '--on',
      'crm',
      '--as',
      'support-agent',
      '--scratch-database',
      'probe',
      '--json',
    )
    const agent = JSON.parse(held.stdout).summary
    expect(agent.counts.held).toBeGreaterThan(0)
    expect(agent).toMatchObject({
      leaks: [],
      counts: { leaked: 0, failed: 0 },
      marked: ['public.customers.email'],
    })
    expect(held.code).toBe(0)
    expect(await world.operator.call('GET', '/v1/approvals')).toMatchObject({ approvals: [] })

    const seen = await proving('tiny', ...on('seer'))
    expect(JSON.parse(seen.stdout).summary).toMatchObject({
      marked: [],
      seen: ['public.customers.email'],
      counts: { run: 0 },
    })
    // Nothing was shown, one way or the other.
    expect(seen.code).toBe(1)
  }, 300_000)

  test('touches no database that holds anything, and says what it needs', async () => {
    const full = await proving('tiny', '--on', 'crm-super', '--as', 'analyst', '--scratch-database', 'shop')
    expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining('Name one that is empty') })
    const same = await proving('tiny', '--on', 'crm-super', '--as', 'analyst', '--scratch-database', 'tiny')
    expect(same).toMatchObject({ code: 1, stderr: expect.stringContaining('Name two databases') })
    const unknown = await proving(
      'tiny',
      '--on',
      'crm-super',
      '--as',
      'analyst',
      '--scratch-database',
      'other',
    )
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('other') })
    expect(await world.server.sql("SELECT FROM pg_database WHERE datname = 'other'")).toEqual([])
    const few = await proving('tiny', '--on', 'crm-super')
    expect(few).toMatchObject({ code: 2, stderr: expect.stringContaining('--as IDENTITY') })
    expect(world.gateway.stderr()).toBe('')
  }, 120_000)
})
