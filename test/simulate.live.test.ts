/**
 * `sluice policy simulate` over what a real gateway recorded in front of a real server: a known mix of commands, before and
 * after a column was renamed and another got a label, and drafts that change exactly so many decisions.
 */
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:http'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { simulate } from '../src/composition/simulation.ts'
import { readSession, readSnapshot } from '../src/recording/index.ts'
import { isSessionId } from '../src/recording/files/names.ts'
import type { Simulation } from '../src/simulation/simulate.ts'
import { CLI, type TestGateway, startGateway } from './support/gateway.ts'
import { startTestServer, type TestServer } from './support/postgres.ts'
import { run } from './support/process.ts'
import { eventually } from './support/wait.ts'

const PASSWORD = 'simulated-upstream-password'
const MASTER_KEY = randomBytes(32).toString('base64')

const TABLES = `
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text, plan text);
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, total numeric NOT NULL);
CREATE TABLE audit_notes (id int, note text);
CREATE VIEW contacts AS SELECT id, email FROM customers;
INSERT INTO customers SELECT n, 'name ' || n, 'person' || n || '@example.com', '+49 30 ' || n, 'free' FROM generate_series(1, 20) n;
INSERT INTO orders SELECT n, n, n FROM generate_series(1, 20) n;
`

type Shape = {
  readonly phone?: string
  readonly email?: readonly string[]
  readonly plan?: string
  readonly rules?: string
  readonly limit?: string
  readonly routes?: string
  readonly mask?: string
}

const RULES = `
  - name: readers read
    who: { groups: [readers] }
    on: [crm, api]
    permit: { run: [read], unreviewed: [read] }
  - name: readers write
    who: { groups: [readers] }
    on: [crm]
    permit: { run: [write, define], unreviewed: [write, define] }
  - name: settings
    who: { groups: [readers] }
    on: [crm]
    permit: { run: [administer], unreviewed: [administer] }
`

describe('simulating a draft', () => {
  let server: TestServer
  let gateway: TestGateway
  let api: { readonly url: string; close(): void }
  /** A copy of the data directory: nothing else is needed. */
  let copy: string

  const config = (shape: Shape = {}): string => {
    const labels = [
      ...(shape.email ?? []).map((column) => `      public.customers.${column}: pii.email`),
      ...(shape.phone === undefined ? [] : [`      public.customers.phone: ${shape.phone}`]),
      ...(shape.plan === undefined ? [] : [`      public.customers.plan: ${shape.plan}`]),
      '      public.audit_notes.note: internal',
    ]
    return `listen:
  postgres: { port: 0 }
  http: { port: 0 }
identities:
  local:
    - { name: reader, kind: service, groups: [readers] }
labels:
  pii.email: { mask: ${shape.mask ?? '{ kind: partial, of: email }'} }
  pii.phone: { mask: { kind: partial, of: last, keep: 2 } }
  internal: { mask: full }
connections:
  crm:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: crm_app, password: "\${env:SIMULATED}", sslmode: disable }
    databases: [crm]
    labels:
${labels.join('\n')}
    limit: ${shape.limit ?? '{ rows: 100, bytes: 1MiB }'}
  api:
    protocol: http
    upstream: { url: "${api.url}" }
    routes:
      - { method: GET, path: "/customers/{id}", class: read }
${shape.routes ?? ''}
    labels:
      "/customers/{id}: email": pii.email
rules:${shape.rules ?? RULES}`
  }

  /** Each on its own: what is refused is part of the mix. */
  async function send(client: Client, ...texts: readonly string[]): Promise<void> {
    for (const text of texts) await client.query(text).catch(() => undefined)
  }

  const FIRST: Shape = { email: ['email'] }
  const SECOND: Shape = { email: ['mail'], phone: 'pii.phone' }
  /** What of both is the same: the column by both of its names. */
  const EITHER: Shape = { email: ['email', 'mail'] }
  /** Between the two. */
  let middle = 0

  beforeAll(async () => {
    server = await startTestServer(15)
    await server.role('crm_app', PASSWORD)
    await server.sql('CREATE DATABASE crm OWNER crm_app')
    const owner = await server.client('crm')
    await owner.query(`ALTER SCHEMA public OWNER TO crm_app; SET ROLE crm_app; ${TABLES}`)
    await owner.end()
    const upstream = createServer((_request, response) =>
      response.setHeader('content-type', 'application/json').end('{"id": 1, "email": "a@example.com"}'),
    )
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const at = upstream.address()
    if (at === null || typeof at === 'string') throw new Error('no port')
    api = { url: `http://127.0.0.1:${at.port}`, close: () => upstream.close() }
    gateway = await startGateway({
      config: config(FIRST),
      env: { SIMULATED: PASSWORD, SLUICE_KEY: MASTER_KEY },
    })
    await record()
    copy = await mkdtemp(join(tmpdir(), 'sluice-simulated-'))
    await cp(gateway.dataDirectory, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  }, 240_000)

  afterAll(async () => {
    await gateway?.stop()
    await server?.stop()
    api?.close()
    if (copy !== undefined) await rm(copy, { recursive: true, force: true })
  })

  async function record(): Promise<void> {
    const client = new Client({ connectionString: await gateway.dsn('crm', 'reader') })
    client.on('error', () => undefined)
    await client.connect()
    // 1 to 20: the first definitions, and phone without a label.
    await send(
      client,
      'SELECT id, email FROM customers WHERE id = 1', // 1 e
      'SELECT id, phone FROM customers WHERE id = 1', // 2 p
      'SELECT * FROM customers ORDER BY id LIMIT 2', // 3 e p plan
      'SELECT id FROM contacts WHERE id = 3', // 4
      'SELECT email FROM contacts WHERE id = 3', // 5 e
      'SELECT total FROM orders WHERE id = 4', // 6
      'SELECT count(*) FROM orders', // 7
      "SELECT plan FROM customers WHERE email = 'person1@example.com'", // 8 plan
      "SELECT id FROM customers WHERE email LIKE 'p%'", // 9 refused
      'SELECT o.id, c.email FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id = 5', // 10 e
      'UPDATE orders SET total = 1 WHERE id = 1', // 11 w
      "UPDATE customers SET plan = 'business' WHERE id = 2", // 12 w
      'BEGIN', // 13
      'CREATE TEMPORARY TABLE mine AS SELECT id, phone AS number FROM customers', // 14 w
      'SELECT id FROM mine WHERE id = 1', // 15
      'SELECT number FROM mine WHERE id = 1', // 16: of what is labelled later
      'ROLLBACK', // 17
      'SET search_path = public', // 18
      'SELECT total FROM orders WHERE id = 9', // 19
      'SELEC nonsense', // 20 unreadable
    )
    // 21 to 26: prepared by the protocol, twice, and by SQL.
    for (const id of [1, 2])
      await client.query({
        name: 'one',
        text: 'SELECT email, phone FROM customers WHERE id = $1',
        values: [id],
      })
    await send(
      client,
      'PREPARE total AS SELECT total FROM orders WHERE id = $1', // 23
      'EXECUTE total(3)', // 24
      'PREPARE mail AS SELECT email FROM customers WHERE id = $1', // 25
      'EXECUTE mail(3)', // 26 e
    )
    // Another client, and HTTP.
    const other = new Client({ connectionString: await gateway.dsn('crm', 'reader') })
    await other.connect()
    await send(
      other,
      'SELECT 1', // 27
      'INSERT INTO orders VALUES (100, 1, 5)', // 28 w
      'DELETE FROM orders WHERE id = 100', // 29 w
      'SELECT phone FROM customers WHERE id = 7', // 30 p
    )
    await other.end()
    const token = await gateway.cli(['token', 'api', '--as', 'reader'])
    const headers = { authorization: `Bearer ${token.stdout.trim()}` }
    const url = (path: string) => `http://127.0.0.1:${gateway.ports.http}/c/api${path}`
    await fetch(url('/customers/1'), { headers }) // 31
    await fetch(url('/orders/1'), { headers }) // 32: no route

    // A column is renamed behind the gateway's back, and its label follows; another column gets one.
    await server.sql('ALTER TABLE customers RENAME email TO mail', [], 'crm')
    middle = Date.now()
    await writeFile(gateway.configFile, config(SECOND))
    const applied = await gateway.cli(['config', 'apply', gateway.configFile])
    expect(applied).toMatchObject({ code: 0 })
    await eventually('the definitions to be read again', async () => {
      const probe = await gateway.cli([
        'policy',
        'explain',
        '--as',
        'reader',
        '--on',
        'crm',
        'SELECT mail FROM customers',
      ])
      if (!probe.stdout.includes('pii.email')) throw new Error(probe.stdout + probe.stderr)
      return true
    })
    const again = new Client({ connectionString: await gateway.dsn('crm', 'reader') })
    await again.connect()
    await send(
      again,
      'SELECT id, mail FROM customers WHERE id = 1', // 33 e
      'SELECT id, phone FROM customers WHERE id = 1', // 34 p
      'SELECT * FROM customers ORDER BY id LIMIT 2', // 35 e p plan
      'SELECT email FROM contacts WHERE id = 3', // 36 e: the view keeps its name
      'SELECT total FROM orders WHERE id = 4', // 37
      'UPDATE orders SET total = 2 WHERE id = 1', // 38 w
      "UPDATE customers SET plan = 'free' WHERE id = 2", // 39 w
      'PREPARE mail AS SELECT mail FROM customers WHERE id = $1', // 40
      'EXECUTE mail(3)', // 41 e
      "SELECT plan FROM customers WHERE mail = 'person1@example.com'", // 42 plan
      'SELECT sum(total) FROM orders', // 43
      'SELECT note FROM audit_notes', // 44
    )
    await again.end()
    // The first client is still there: its session goes on under the other configuration.
    await send(
      client,
      'SELECT name, phone FROM customers WHERE id = 8', // 45 p
      'EXECUTE total(4)', // 46
    )
    await client.end()
  }

  /** The texts of the commands that would be decided otherwise, in their order, by what would change. */
  async function simulated(
    shape: Shape,
    more: { readonly since?: number; readonly until?: number; readonly directory?: string } = {},
  ): Promise<{ readonly changes: Record<string, readonly string[]>; readonly result: Simulation }> {
    const directory = more.directory ?? copy
    const { result } = await simulate({
      directory,
      keys: gateway.recordingKeys,
      file: 'draft.yaml',
      text: config(shape),
      since: more.since ?? 0,
      until: more.until ?? Number.MAX_SAFE_INTEGER,
    })
    const changes: Record<string, string[]> = {}
    for (const { change, places, count } of result.groups) {
      expect(places).toHaveLength(count)
      for (const { session, n } of places) {
        if (!isSessionId(session)) throw new Error(session)
        for await (const { entry } of readSession(directory, gateway.recordingKeys, session))
          if (entry.kind === 'intent' && entry.head.n === n)
            (changes[change.what] ??= []).push(entry.head.text)
      }
    }
    for (const texts of Object.values(changes)) texts.sort()
    expect(Object.values(changes).flat()).toHaveLength(result.changed)
    expect(result.unjudged).toEqual([])
    expect(result.changed + result.unchanged).toBe(result.commands)
    return { changes, result }
  }

  const first = () => ({ until: middle })
  const second = () => ({ since: middle })
  const without = (rule: string): string => RULES.replace(rule, '')
  const WRITES = ', unreviewed: [write, define]'
  const ONE = 'SELECT email, phone FROM customers WHERE id = $1'

  test('the recording is of 46 commands over two states of the definitions', async () => {
    const { result } = await simulated(EITHER)
    expect(result.commands).toBe(46)
  })

  test('k = 0: what was in force changes nothing of its own time', async () => {
    expect((await simulated(FIRST, first())).changes).toEqual({})
    expect((await simulated(SECOND, second())).changes).toEqual({})
    const [before, after] = [await simulated(FIRST, first()), await simulated(SECOND, second())]
    expect(before.result.commands).toBe(32)
    expect(after.result.commands).toBe(14)
  })

  test('allow -> deny: writes are permitted no more', async () => {
    const rules = without(
      RULES.slice(RULES.indexOf('  - name: readers write'), RULES.indexOf('  - name: settings')),
    )
    expect((await simulated({ ...FIRST, rules }, first())).changes).toEqual({
      'allow -> deny': [
        'CREATE TEMPORARY TABLE mine AS SELECT id, phone AS number FROM customers',
        'DELETE FROM orders WHERE id = 100',
        'INSERT INTO orders VALUES (100, 1, 5)',
        'UPDATE orders SET total = 1 WHERE id = 1',
        "UPDATE customers SET plan = 'business' WHERE id = 2",
      ].sort(),
    })
  })

  test('allow -> hold: writes are looked at first', async () => {
    expect((await simulated({ ...SECOND, rules: without(WRITES) }, second())).changes).toEqual({
      'allow -> hold': [
        "UPDATE customers SET plan = 'free' WHERE id = 2",
        'UPDATE orders SET total = 2 WHERE id = 1',
      ],
    })
  })

  test('masks added: a label that the draft brings hides what was in clear, and what was made of it', async () => {
    const { changes, result } = await simulated({ ...EITHER, phone: 'pii.phone' })
    expect(changes).toEqual({
      'allow -> deny': [
        'CREATE TEMPORARY TABLE mine AS SELECT id, phone AS number FROM customers',
        'SELECT id FROM mine WHERE id = 1',
        'SELECT number FROM mine WHERE id = 1',
      ],
      'masks added': [
        'SELECT * FROM customers ORDER BY id LIMIT 2',
        ONE,
        ONE,
        'SELECT id, phone FROM customers WHERE id = 1',
        'SELECT phone FROM customers WHERE id = 7',
      ],
    })
    expect(result.changed).toBe(8)
    const one = result.groups.find(({ shape }) => shape === ONE)
    expect(one).toMatchObject({
      connection: 'crm',
      count: 2,
      change: { added: ['public.customers.phone', 'result 1.2'], removed: [] },
      before: { rules: [expect.stringMatching(/^readers read \(.*sluice\.yaml:\d+\)$/)] },
      after: { rules: [expect.stringMatching(/^readers read \(draft\.yaml:\d+\)$/)] },
    })
  })

  test('masks removed: a label that the draft leaves out', async () => {
    expect((await simulated(EITHER)).changes).toEqual({
      'masks removed': [
        'SELECT * FROM customers ORDER BY id LIMIT 2',
        'SELECT id, phone FROM customers WHERE id = 1',
        'SELECT name, phone FROM customers WHERE id = 8',
      ],
    })
  })

  test('masks changed: another masking rule for a label, also of an API and through EXECUTE', async () => {
    expect((await simulated({ ...FIRST, mask: 'full' }, first())).changes).toEqual({
      'masks changed': [
        'EXECUTE mail(3)',
        'GET /customers/1',
        'SELECT * FROM customers ORDER BY id LIMIT 2',
        'SELECT email FROM contacts WHERE id = 3',
        ONE,
        ONE,
        'SELECT id, email FROM customers WHERE id = 1',
        'SELECT o.id, c.email FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id = 5',
      ],
    })
  })

  test('limits changed: every command that runs, and none that does not', async () => {
    const { changes, result } = await simulated({ ...FIRST, limit: '{ rows: 50, bytes: 1MiB }' }, first())
    expect(Object.keys(changes)).toEqual(['limits changed'])
    // Two of the database were refused; the other two are of the API.
    expect(result.changed).toBe(32 - 2 - 2)
  })

  test('deny -> allow: a permit to filter, and a route', async () => {
    const rules = `${RULES}
  - name: readers look for addresses
    who: { groups: [readers] }
    on: [crm]
    permit: { filter: [pii.email] }
`
    expect((await simulated({ ...FIRST, rules }, first())).changes).toEqual({
      'deny -> allow': ['SELECT id FROM customers WHERE email LIKE [sealed 1]'],
    })
    const routes = '      - { method: GET, path: "/orders/{id}", class: read }'
    expect((await simulated({ ...FIRST, routes }, first())).changes).toEqual({
      'deny -> allow': ['GET /orders/1'],
    })
  })

  test('the command line says the same of the running gateway, with its exit codes', async () => {
    const draft = join(copy, 'draft.yaml')
    const env = { SLUICE_KEY: MASTER_KEY }
    const ask = async (shape: Shape, ...args: readonly string[]) => {
      await writeFile(draft, config(shape))
      return gateway.cli(['policy', 'simulate', '--config', draft, ...args], { env })
    }
    const changed = await ask(EITHER, '--since', '1d', '--json')
    expect(changed).toMatchObject({ code: 1 })
    expect(JSON.parse(changed.stdout)).toMatchObject({
      commands: 46,
      changed: 3,
      unchanged: 43,
      unjudged: [],
    })
    const same = await ask(EITHER, '--since', '1d', '--connection', 'api')
    expect(same).toMatchObject({ code: 0 })
    expect(same.stdout).toContain('no decision would change')
    const shown = await ask(EITHER, '--since', '1d')
    expect(shown.stdout).toContain('3 decisions would change')
    expect(shown.stdout).toMatch(
      /1 x {2}crm: masks removed\n {2}SELECT \* FROM customers ORDER BY id LIMIT \?/,
    )
    expect(await gateway.cli(['policy', 'simulate', '--config', draft, '--since', '1d'])).toMatchObject({
      code: 2,
    })
  })

  test('every command of docs/policies.md does what it is there for, on a copy and without a gateway', async () => {
    const page = await readFile(new URL('../docs/policies.md', import.meta.url), 'utf8')
    const commands = [...page.matchAll(/^sluice (policy simulate .*)$/gm)].map(([, command = '']) => command)
    expect(commands.length).toBeGreaterThan(0)
    const place = await mkdtemp(join(tmpdir(), 'sluice-documented-'))
    try {
      await writeFile(join(place, 'draft.yaml'), config(EITHER))
      await writeFile(join(place, 'sluice.key'), `${MASTER_KEY}\n`, { mode: 0o600 })
      for (const command of commands) {
        const args = [CLI, ...command.split(' '), '--data', copy]
        const done = await run(process.execPath, args, { cwd: place })
        expect(done, command).toMatchObject({ code: 1 })
        expect(done.stdout).toContain('3 decisions would change')
      }
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  })

  test('each proved decision is what the policy that made it gives, as docs/audit.md says to ask', async () => {
    const page = await readFile(new URL('../docs/audit.md', import.meta.url), 'utf8')
    const [, command = ''] = /^`sluice (audit verify data .* --policy sluice\.yaml)`/m.exec(page) ?? []
    const place = await mkdtemp(join(tmpdir(), 'sluice-policy-'))
    try {
      await writeFile(join(place, 'sluice.key'), `${MASTER_KEY}\n`, { mode: 0o600 })
      const key = await gateway.cli(['audit', 'key', '--master-key', join(place, 'sluice.key')])
      expect(key).toMatchObject({ code: 0 })
      await writeFile(join(place, 'gateway.vkey'), key.stdout)
      await symlink(gateway.dataDirectory, join(place, 'data'))
      const ask = async (shape: Shape, ...more: readonly string[]) => {
        await writeFile(join(place, 'sluice.yaml'), config(shape))
        return run(process.execPath, [CLI, ...command.split(' '), ...more], { cwd: place })
      }
      await eventually(
        'every command to be proved',
        async () => {
          const { policy } = JSON.parse((await ask(FIRST, '--json')).stdout)
          // That of the API stays open for a while, and what is open is not sealed.
          if (policy.commands !== 44) throw new Error(JSON.stringify(policy))
          return true
        },
        60_000,
      )
      const first = await ask(FIRST)
      expect(first).toMatchObject({ code: 0 })
      expect(first.stdout).toMatch(
        /it decided 30 of 44 proved commands\n +30 as it gives, 0 by what is no rule, 0 not/,
      )
      expect(first.stdout).toMatch(/14 by cfg_[0-9a-f]{16}: not looked at/)
      const second = await ask(SECOND)
      expect(second).toMatchObject({ code: 0 })
      expect(second.stdout).toMatch(
        /it decided 14 of 44 proved commands\n +14 as it gives, 0 by what is no rule, 0 not/,
      )
      const neither = await ask(EITHER)
      expect(neither).toMatchObject({ code: 3 })
      expect(neither.stdout).toContain('by that version none of 44 proved commands was decided')
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  })

  test('what cannot be judged anew is counted and told: without its snapshots no command is the same', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-simulated-'))
    try {
      await cp(copy, directory, { recursive: true })
      await rm(join(directory, 'snapshots'), { recursive: true })
      const { result } = await simulate({
        directory,
        keys: gateway.recordingKeys,
        file: 'draft.yaml',
        text: config(SECOND),
        since: 0,
        until: Number.MAX_SAFE_INTEGER,
      })
      expect(result).toMatchObject({ commands: 46, changed: 0, unchanged: 0 })
      expect(result.unjudged).toMatchObject([{ why: 'configuration', count: 46 }])
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })

  test('snapshots are encrypted, and hold definitions only', async () => {
    const folder = join(copy, 'snapshots')
    const names = await readdir(folder)
    expect(names).toHaveLength(4)
    const texts: string[] = []
    for (const name of names) {
      const bytes = await readFile(join(folder, name))
      expect(bytes.includes('customers')).toBe(false)
      const text = await readSnapshot(copy, gateway.recordingKeys, name.replace('.sls', ''))
      texts.push(text ?? '')
    }
    expect(texts.filter((text) => text.includes('"kind":"configuration"'))).toHaveLength(2)
    expect(texts.filter((text) => text.includes('"kind":"postgres catalogue"'))).toHaveLength(2)
    expect(texts.filter((text) => text.includes('"contacts"'))).toHaveLength(2)
    for (const text of texts) {
      expect(text).not.toContain('person1@example.com')
      expect(text).not.toContain(PASSWORD)
    }
  })
})
