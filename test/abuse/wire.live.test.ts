/** Rows of the catalogue of attacks that are about bytes, keys and many small questions, each by its name. */
import { connect as connectTls } from 'node:tls'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createCertificates } from '../../src/net/index.ts'
import type { Message, Target } from '../differential/raw-client.ts'
import { bind, closeNamed, execute, parse, query, RawClient, sync } from '../differential/raw-client.ts'
import { mintDsn } from '../support/mint.ts'
import { teardown } from '../support/teardown.ts'
import { frame, int32, send, startup } from './bytes.ts'
import { journalOf, unjudged } from './evidence.ts'
import type { World } from './world.ts'
import { marksIn, SECRETS, startWorld, targetOf } from './world.ts'

const SSL_REQUEST = int32(8, 80877103)
const CANCEL = 80877102

/** What one identity may read in a day, whatever connection and credential it comes with. */
const PAGED_MAX = 300

const BUDGETS = `budgets:
  - { name: pages of a day, who: { identities: ["service:pager"] }, on: all, rows: ${PAGED_MAX} }
  - { name: people of a day, who: { identities: ["service:collector"] }, on: all, labels: [pii.email], records: 40 }
`

const RULES = `  - name: both page through everything
    who: { identities: ["service:pager", "service:collector"] }
    on: [crm, crm-super]
    permit: { run: [read], unreviewed: [read] }
  - name: the owner of the definitions
    who: { identities: ["person:ada"] }
    on: [crm-super]
    permit: { run: all, unreviewed: all, see: all, filter: all, unlimited: true }
`

describe('P-02 and P-03: published attacks on the wire', () => {
  const later = teardown()
  let world: World
  let target: Target

  beforeAll(async () => {
    const made = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
    const place = join(tmpdir(), `sluice-wire-${process.pid}`)
    await writeFile(`${place}.pem`, made.certificate, { mode: 0o600 })
    await writeFile(`${place}.key`, made.key.reveal(), { mode: 0o600 })
    world = await startWorld({
      edit: (text) =>
        `${text
          .replace(
            'postgres: { address: 127.0.0.1, port: 0 }',
            `postgres: { address: 127.0.0.1, port: 0, tls: { certificate: "\${file:${place}.pem}", key: "\${file:${place}.key}" } }`,
          )
          .replace(
            '  local:\n',
            (head) =>
              `${head}    - { name: pager, kind: service }\n    - { name: collector, kind: service }\n`,
          )}${RULES}${BUDGETS}`,
    })
    later(() => world.stop())
    target = targetOf(await mintDsn(world.gateway, 'crm-super', 'builder'))
  }, 120_000)

  async function nothingRanUnjudged(): Promise<void> {
    const logged = (await world.server.statementsLogged()).filter(({ application }) =>
      application.includes('sluice'),
    )
    expect(unjudged(logged, await journalOf(world.gateway))).toEqual([])
    expect(world.gateway.stderr()).toBe('')
  }

  const SMUGGLED = query('SELECT upper(email) FROM customers /* smuggled */')

  /** A Bind whose one parameter claims `length` bytes, with another message where the server would read on. */
  function bindOf(length: number): Buffer {
    return frame(
      'B',
      Buffer.concat([Buffer.from('\0one\0'), Buffer.from([0, 0, 0, 1]), int32(length), SMUGGLED]),
    )
  }

  test.each<[string, Buffer]>([
    ['a length of 2 GiB', frame('Q', SMUGGLED, 0x7fffffff)],
    ['a length beyond 2 GiB', frame('Q', SMUGGLED, -2147483648)],
    ['a length of 4 GiB less one', frame('Q', SMUGGLED, -1)],
    ['a length that does not hold itself', frame('Q', SMUGGLED, 3)],
    ['a length of nothing', frame('Q', SMUGGLED, 0)],
    ['a length one short, and what follows begins early', frame('Q', Buffer.from('SELECT 1\0\0'), 12)],
    ['a message in the text of another', frame('Q', Buffer.concat([Buffer.from('SELECT 1\0'), SMUGGLED]))],
    [
      'a message behind the parameters',
      frame('P', Buffer.concat([Buffer.from('one\0SELECT 1\0\0\0'), SMUGGLED])),
    ],
    ['a parameter of 2 GiB', bindOf(0x7fffffff)],
    ['a parameter of less than nothing', bindOf(-2)],
    ['a parameter that ends before its message', bindOf(4)],
    [
      'more parameters than there are',
      frame('B', Buffer.concat([Buffer.from('\0one\0'), Buffer.from([0, 0, 0xff, 0xff]), SMUGGLED])),
    ],
    [
      'a count of types below zero',
      frame('P', Buffer.concat([Buffer.from('one\0SELECT 1\0\xff\xff', 'latin1'), SMUGGLED])),
    ],
    ['data for no COPY', Buffer.concat([frame('d', SMUGGLED), frame('c', '')])],
    ['a type that is none', Buffer.concat([frame('\x01', ''), SMUGGLED])],
  ])('A-22 smuggling by %s', async (_, bytes) => {
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.from([byte]))]) {
      const { client } = await RawClient.open(target)
      client.write(parse('one', 'SELECT $1::text'), sync())
      const seen = await client.readUntilReady()
      for (const piece of pieces) client.write(piece)
      client.write(execute(''), sync(), SMUGGLED)
      await client.closed(300)
      seen.push(...client.unread())
      expect(marksIn(Buffer.concat(seen.map(({ body }) => body)))).toEqual([])
      client.destroy()
    }
    const logged = await world.server.statementsLogged()
    expect(logged.filter(({ text }) => text.includes('smuggled'))).toEqual([])
    await nothingRanUnjudged()
  })

  const HELLO = () => startup({ user: target.user, database: target.database })
  /** AuthenticationOk, or a challenge: the start-up was believed. */
  const isBelieved = (answer: Buffer) => answer.includes('SCRAM') || answer.includes(Buffer.from('R\0\0\0'))

  test('A-23 what came in clear behind a request for TLS is not believed', async () => {
    for (const pieces of [
      [Buffer.concat([SSL_REQUEST, HELLO()])],
      [SSL_REQUEST, HELLO()],
      [Buffer.concat([SSL_REQUEST, HELLO().subarray(0, 5)]), HELLO().subarray(5)],
      [Buffer.concat([SSL_REQUEST, SSL_REQUEST]), HELLO()],
    ]) {
      const answer = await send(target.port, pieces, { end: false, msMax: 700, pauseMs: 20 })
      expect(isBelieved(answer)).toBe(false)
      expect(answer.length).toBeLessThan(200)
    }
    // The same start-up in clear from the beginning is: what was refused was the mixture.
    expect(isBelieved(await send(target.port, [HELLO()], { end: false, msMax: 700 }))).toBe(true)
  })

  test('A-23 direct TLS is taken for this protocol only', async () => {
    const { port } = target
    for (const protocols of [undefined, ['http/1.1'], ['h2', 'http/1.1'], ['postgresql2']]) {
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        ...(protocols === undefined ? {} : { ALPNProtocols: protocols }),
      })
      const seen: Buffer[] = []
      socket.on('data', (bytes) => seen.push(bytes))
      socket.on('error', () => undefined)
      socket.on('secureConnect', () => socket.write(HELLO()))
      const closed = new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)))
      const isClosed = await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 3000))])
      socket.destroy()
      expect(isClosed, String(protocols)).toBe(true)
      expect(isBelieved(Buffer.concat(seen))).toBe(false)
    }
  })

  type Key = { readonly pid: number; readonly secret: Buffer }

  function keyOf(greeting: readonly Message[]): Key {
    const body = greeting.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8)
    return { pid: body.readInt32BE(0), secret: body.subarray(4) }
  }

  async function cancel({ pid, secret }: Key): Promise<Buffer> {
    return send(target.port, [Buffer.concat([int32(12 + secret.length, CANCEL, pid), secret])], {
      msMax: 400,
    })
  }

  test.each([
    ['statements', (long: string) => [bind('', long, [], 0), execute('')]],
    ['portals', (long: string) => [execute(long)]],
  ] as const)('names of %s longer than the server keeps are the same name', async (what, run) => {
    const long = 'a'.repeat(63)
    const secret = 'SELECT email FROM customers ORDER BY id LIMIT 3'
    const steps =
      what === 'statements'
        ? [
            [parse(`${long}x`, 'SELECT 1'), sync()],
            [closeNamed('S', `${long}y`), parse(`${long}y`, secret), sync()],
            [...run(`${long}x`), sync()],
          ]
        : [
            [query('BEGIN')],
            [parse('one', 'SELECT 1'), bind(`${long}x`, 'one', [], 0), sync()],
            [closeNamed('P', `${long}y`), parse('two', secret), bind(`${long}y`, 'two', [], 0), sync()],
            [...run(`${long}x`), sync()],
          ]
    const heard = async (at: Target): Promise<Buffer> => {
      const { client } = await RawClient.open(at)
      const all: Message[] = []
      for (const messages of steps) {
        client.write(...messages)
        all.push(...(await client.readUntilReady()))
      }
      await client.close()
      return Buffer.concat(all.map(({ body }) => body))
    }
    const direct = targetOf(
      world.server.dsn({ database: 'crm', user: 'builder', password: SECRETS.superuser }),
    )
    expect(marksIn(await heard(direct)).length).toBeGreaterThan(0)
    const masked = await heard(targetOf(await mintDsn(world.gateway, 'crm', 'support-agent')))
    expect(marksIn(masked)).toEqual([])
    // It is the second statement that has run, and the gateway knows it.
    expect(masked.toString('latin1')).toContain('***')
  })

  test('A-25 a key that was not given cancels nothing and is told nothing', async () => {
    const { client, greeting } = await RawClient.open(target)
    const other = await RawClient.open(target)
    try {
      const [own, others] = [keyOf(greeting), keyOf(other.greeting)]
      expect(own).not.toEqual(others)
      const pids = await world.server.sql<{ pid: number }>('SELECT pid FROM pg_stat_activity')
      client.write(query('SELECT pg_sleep(2), 1 AS slept'))
      const answers: Buffer[] = []
      for (const guess of [
        { pid: own.pid, secret: others.secret },
        { pid: others.pid, secret: own.secret },
        { pid: own.pid, secret: Buffer.alloc(own.secret.length) },
        { pid: own.pid, secret: Buffer.concat([own.secret.subarray(0, -1), Buffer.alloc(1)]) },
        { pid: own.pid, secret: Buffer.concat([own.secret, Buffer.alloc(1)]) },
        { pid: 0, secret: own.secret },
        ...pids.map(({ pid }) => ({ pid, secret: own.secret })),
        // Those of the other session are right, and cancel only what it runs, which is nothing.
        others,
      ].filter((each) => each.pid !== own.pid || !each.secret.equals(own.secret)))
        answers.push(await cancel(guess))
      expect(Buffer.concat(answers)).toHaveLength(0)
      const seen = await client.readUntilReady()
      expect(seen.map(({ type }) => type).join('')).toContain('D')
      expect(seen.some(({ type }) => type === 'E')).toBe(false)
      // The right one does, or all of this showed nothing.
      client.write(query('SELECT pg_sleep(20)'))
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(await cancel(own)).toHaveLength(0)
      expect((await client.readUntilReady()).map(({ type }) => type)).toContain('E')
    } finally {
      await client.close()
      await other.client.close()
    }
  })

  test("A-25 the server's own keys are not handed on", async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, async () => RawClient.open(target)))
    const pids = await world.server.sql<{ pid: number }>('SELECT pid FROM pg_stat_activity')
    const keys = sessions.map(({ greeting }) => keyOf(greeting))
    for (const { client } of sessions) await client.close()
    expect(new Set(keys.map(({ secret }) => secret.toString('hex'))).size).toBe(8)
    expect(keys.filter((key) => pids.some(({ pid }) => pid === key.pid)).length).toBeLessThan(8)
  })

  /** What one session with a credential of its own is told. */
  async function told(identity: string, connection: string, ...texts: string[]): Promise<Message[]> {
    const dsn = await mintDsn(world.gateway, connection, identity)
    const { client, greeting } = await RawClient.open(targetOf(dsn))
    const seen = [...greeting]
    for (const sql of texts) {
      client.write(query(sql))
      seen.push(...(await client.readUntilReady()))
    }
    await client.close()
    return seen
  }
  const rowsIn = (messages: readonly Message[]) => messages.filter(({ type }) => type === 'D').length
  const stateIn = (messages: readonly Message[]) =>
    /\0C(\w{5})/.exec(`\0${messages.find(({ type }) => type === 'E')?.body.toString('latin1') ?? ''}`)?.[1]

  test('a view that is redefined over another connection to the same database shows nothing in clear', async () => {
    const view = (column: string) =>
      `CREATE OR REPLACE VIEW shown AS SELECT id, ${column} AS x FROM customers`
    await told('ada', 'crm-super', view('company'), 'GRANT SELECT ON shown TO PUBLIC')
    const { client } = await RawClient.open(targetOf(await mintDsn(world.gateway, 'crm', 'support-agent')))
    const look = async (): Promise<Message[]> => {
      client.write(query('SELECT x FROM shown WHERE id = 1'))
      return client.readUntilReady()
    }
    for (const column of ['company', 'email', 'company', 'email']) {
      await told('ada', 'crm-super', view(column))
      const seen = await look()
      expect(rowsIn(seen), Buffer.concat(seen.map(({ body }) => body)).toString()).toBe(1)
      expect(marksIn(Buffer.concat(seen.map(({ body }) => body))), column).toEqual([])
    }
    await client.close()
  })

  test('A-27 many small pages, over both connections and ever new credentials, meet one budget of the day', async () => {
    let taken = 0
    let refusals = 0
    for (let n = 0; n < 20; n++) {
      const sql = `SELECT id, email FROM customers WHERE id > ${n * 30} ORDER BY id LIMIT 30`
      const seen = await told('pager', n % 2 === 0 ? 'crm' : 'crm-super', sql)
      taken += rowsIn(seen)
      if (stateIn(seen) === 'SL005') refusals++
      expect(marksIn(Buffer.concat(seen.map(({ body }) => body)))).toEqual([])
    }
    expect(taken).toBe(PAGED_MAX)
    expect(refusals).toBeGreaterThanOrEqual(10)
  })

  test('A-27 one person at a time meets the budget of distinct people', async () => {
    let people = 0
    for (let n = 0; n < 6; n++) {
      const texts = Array.from(
        { length: 10 },
        (_, i) => `SELECT email FROM customers WHERE id = ${n * 10 + i + 1}`,
      )
      people += rowsIn(await told('collector', n % 2 === 0 ? 'crm' : 'crm-super', ...texts))
    }
    expect(people).toBeGreaterThanOrEqual(38)
    expect(people).toBeLessThanOrEqual(42)
  })
})
