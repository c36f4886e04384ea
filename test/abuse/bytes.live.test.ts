import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { collectGarbage, inspectorUrl } from '../../bench/support/inspector.ts'
import { LIMITS } from '../../src/core/index.ts'
import { createCertificates } from '../../src/net/index.ts'
import type { Target } from '../differential/raw-client.ts'
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from '../differential/raw-client.ts'
import { psqlRows } from '../support/psql.ts'
import { randomFrom, seed, tally, times } from '../support/proof.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import { ask, dial, frame, int32, pause, residentMiB, send, startup } from './bytes.ts'
import { journalOf, unjudged } from './evidence.ts'
import { startTap, through } from './tap.ts'
import type { World } from './world.ts'
import { marksIn, startWorld, targetOf } from './world.ts'

/**
 * Garbage that nobody has collected counts here as well; the last test counts what is really kept. Memory for a message
 * of every socket, or for a result, would be far more.
 */
const GROWTH_MIB_MAX = 400
/** What may be kept after thousands of sessions, once garbage is collected: caches that have a limit. */
const KEPT_MIB_MAX = 40
/** An ended conversation is hung up within LIMITS.hangUpMs; more is one that stands still. */
const GONE_MS_MAX = LIMITS.hangUpMs + 2_000

describe('P-03 fail closed, whatever bytes arrive', () => {
  const later = teardown()
  const random = randomFrom(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)))
  let world: World
  let dsn: string
  let target: Target
  let port: number
  let began = 0

  beforeAll(async () => {
    const made = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
    const place = join(tmpdir(), `sluice-abuse-${process.pid}`)
    await writeFile(`${place}.pem`, made.certificate, { mode: 0o600 })
    await writeFile(`${place}.key`, made.key.reveal(), { mode: 0o600 })
    world = await startWorld({
      edit: (text) =>
        text.replace(
          'postgres: { address: 127.0.0.1, port: 0 }',
          `postgres: { address: 127.0.0.1, port: 0, tls: { certificate: "\${file:${place}.pem}", key: "\${file:${place}.key}" } }`,
        ),
    })
    later(() => world.stop())
    dsn = await world.gateway.dsn('crm-super', 'builder', '2h')
    target = targetOf(dsn)
    port = target.port
    await ask(dsn)
    began = await residentMiB(world.gateway.pid)
  }, 120_000)

  /** After every kind of abuse the same questions. */
  async function unharmed(): Promise<void> {
    expect(await ask(dsn)).toEqual([{ n: 1 }])
    await settled()
    expect(world.gateway.stderr(), `seed ${seed}`).toBe('')
    const logged = await world.server.statementsLogged()
    const ours = logged.filter(({ application }) => application.includes('sluice'))
    expect(unjudged(ours, await journalOf(world.gateway)), `seed ${seed}`).toEqual([])
  }

  /** Memory is back where it was. Asking makes garbage be collected; what is still there then is kept. */
  async function settled(): Promise<void> {
    // A minute: when garbage is collected is V8's affair, and on a busy machine it takes its time.
    const free = async (): Promise<boolean> => {
      await ask(dsn)
      return (await residentMiB(world.gateway.pid)) - began < GROWTH_MIB_MAX
    }
    await eventually('the memory to be free again', free, 60_000)
  }

  const HELLO = () => startup({ user: target.user, database: target.database })

  test('greetings that are cut off, and left open half', async () => {
    const hello = HELLO()
    const cuts = Array.from({ length: hello.length }, (_, cut) => hello.subarray(0, cut))
    await inGroups(cuts, async (bytes) => {
      expect((await send(port, [bytes])).includes('AuthenticationOk')).toBe(false)
    })
    tally('greetings', cuts.length)
    await unharmed()
  })

  test('greetings that are none', async () => {
    const bad: Buffer[] = [
      int32(0),
      int32(-1, 196608),
      int32(0x7fffffff, 196608),
      int32(10_001, 196608),
      int32(8, 0x0002_0000),
      int32(8, 196608),
      int32(9, 196608, 0),
      int32(16, 80877102, 1, 2),
      int32(12, 80877102, 1),
      int32(8, 80877103, 8, 80877103),
      Buffer.concat([
        int32(8, 80877104),
        int32(8, 80877104),
        int32(8, 80877104),
        int32(8, 80877104),
        int32(8, 80877104),
      ]),
      Buffer.concat([int32(8, 80877103), HELLO()]),
      startup({}),
      startup({ user: '' }),
      startup({ user: '', database: '' }),
      startup({ user: target.user, database: target.database, replication: 'true' }),
      startup({ user: target.user, database: target.database, replication: 'database' }),
      startup({ user: 'x'.repeat(9000), database: 'crm' }),
      startup({ user: target.user, database: target.database, options: '-c search_path=evil' }),
      startup({ user: target.user, database: target.database }, 0x0003_ffff),
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'),
      Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 1, 0, 0, 1, 0]),
      Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff]),
      Buffer.concat([HELLO(), frame('Q', 'SELECT 1\0')]),
      Buffer.concat([HELLO(), frame('p', 'SCRAM-SHA-256\0\xff\xff\xff\xff')]),
      Buffer.concat([HELLO(), frame('p', 'SCRAM-SHA-1\0\0\0\0\0')]),
      Buffer.concat([
        HELLO(),
        frame('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), int32(8), Buffer.from('n,,n=,r=')])),
      ]),
      Buffer.concat([HELLO(), frame('p', '', 0x7fffffff)]),
      Buffer.concat([HELLO(), frame('p', '', 3)]),
      Buffer.concat([HELLO(), frame('p', `${target.password}\0`)]),
      ...Array.from({ length: times({ small: 60, full: 3_000 }) }, () => noise(1 + below(300))),
      ...Array.from({ length: times({ small: 20, full: 500 }) }, () =>
        Buffer.concat([HELLO(), noise(1 + below(300))]),
      ),
      Buffer.concat([HELLO(), noise(2 * 1024 * 1024)]),
    ]
    await inGroups(bad, async (bytes) => {
      const answer = await send(port, [bytes])
      // AuthenticationOk is R, 8, 0.
      expect(answer.includes(Buffer.concat([Buffer.from('R'), int32(8, 0)]))).toBe(false)
    })
    tally('greetings', bad.length)
    await unharmed()
  })

  test('a whole conversation one byte at a time, in every form', async () => {
    const { client } = await RawClient.open(target)
    const conversation = Buffer.concat([
      query('SELECT 1; SELECT email FROM customers LIMIT 1'),
      parse('s', 'SELECT id, email FROM customers WHERE id = $1'),
      bind('p', 's', ['7'], 0),
      describeMessage('P', 'p'),
      execute('p', 1),
      sync(),
      bind('', 's', ['8'], 1),
      execute(''),
      sync(),
    ])
    await client.writeInPieces(conversation, 1)
    const seen = await client.readUntilReady(3)
    expect(seen.filter(({ type }) => type === 'D').length).toBe(4)
    expect(seen.filter(({ type }) => type === 'E')).toEqual([])
    expect(marksIn(Buffer.concat(seen.map(({ body }) => body)))).toEqual([])
    await client.close()
    await unharmed()
  })

  test('a start-up and a login one byte at a time', async () => {
    const tap = await startTap(port)
    try {
      await ask(through(tap, dsn))
      const [conversation] = tap.conversations
      const bytes = Buffer.concat(conversation?.fromClient ?? [])
      const pieces = Array.from({ length: bytes.length }, (_, i) => bytes.subarray(i, i + 1))
      // The proof in it is another login's: refused, and not a byte sooner.
      const answer = await send(port, pieces, { msMax: 10_000 })
      expect(answer.toString('latin1')).toContain('FATAL')
      expect(answer.includes(Buffer.concat([Buffer.from('R'), int32(8, 0)]))).toBe(false)
    } finally {
      await tap.stop()
    }
    await unharmed()
  })

  test('messages that are not', async () => {
    const bad: Buffer[] = [
      frame('Q', 'SELECT 1'),
      frame('Q', ''),
      frame('Q', 'SELECT 1\0SELECT 2\0'),
      frame('Q', 'SELECT 1\0', 3),
      frame('Q', 'SELECT 1\0', -5),
      frame('Q', 'SELECT 1\0', 0x7fffffff),
      frame('Q', `SELECT '${'x'.repeat(2 * 1024 * 1024)}'\0`),
      frame('P', 'x'),
      frame('P', 's\0SELECT 1\0'),
      frame('P', Buffer.concat([Buffer.from('s\0SELECT 1\0'), Buffer.from([0xff, 0xff])])),
      frame('B', 'p\0s\0'),
      frame('B', Buffer.concat([Buffer.from('\0\0'), Buffer.from([0xff, 0xff]), int32(0)])),
      frame('B', Buffer.concat([Buffer.from('\0\0\0\0\0\x01', 'latin1'), int32(0x7fffffff)])),
      frame('D', 'X\0'),
      frame('D', ''),
      frame('E', '\0'),
      frame('E', Buffer.concat([Buffer.from('\0'), int32(-1)])),
      frame('C', 'Q\0'),
      frame('F', ''),
      frame('F', noise(40)),
      frame('S', 'not empty'),
      frame('X', 'not empty'),
      frame('d', 'data for nobody'),
      frame('c', ''),
      frame('f', 'no'),
      frame('p', 'a password\0'),
      frame('Z', 'I'),
      frame('T', ''),
      frame('\0', ''),
      frame('\xff', 'x'),
      int32(8, 80877103),
      int32(16, 80877102, 1, 2),
      HELLO(),
    ]
    await inGroups(bad, async (bytes) => {
      const { client } = await RawClient.open(target)
      client.write(bytes)
      client.write(sync())
      expect(
        await client.halfClose(GONE_MS_MAX),
        `stands still behind ${bytes.subarray(0, 40).toString('hex')}`,
      ).toBe(true)
    })
    tally('messages', bad.length)
    await unharmed()
  })

  test('clients that stop in the middle and say goodbye', async () => {
    const left: Buffer[] = [
      Buffer.concat([parse('', 'SELECT 1'), bind('', '', [], 0), execute('')]),
      Buffer.concat([parse('', 'SELECT 1'), query('SELECT 2'), parse('', 'SELECT 3')]),
      query('COPY invoices FROM STDIN'),
      Buffer.concat([parse('', 'COPY invoices FROM STDIN'), bind('', '', [], 0), execute(''), sync()]),
      Buffer.concat([query('COPY invoices FROM STDIN'), frame('d', '1\t')]),
      Buffer.concat([query('BEGIN'), query('SELECT 1').subarray(0, 9)]),
      Buffer.concat([parse('', 'SELECT nothing'), bind('', '', [], 0)]),
      Buffer.concat([
        query(`UPDATE invoices SET paid_at = paid_at WHERE id = 1`),
        frame('B', '').subarray(0, 3),
      ]),
    ]
    for (const bytes of left) {
      const { client } = await RawClient.open(target)
      client.write(bytes)
      await pause(200)
      expect(await client.halfClose(GONE_MS_MAX), `stands still behind ${bytes.toString('latin1')}`).toBe(
        true,
      )
    }
    await eventually('every upstream session to have ended', async () => {
      const rows = await world.server.sql(
        `SELECT pid, state, query FROM pg_stat_activity WHERE application_name LIKE 'sluice:%'`,
      )
      return rows.length === 0
    })
    await unharmed()
  })

  test('recorded conversations, mutated', async () => {
    const recorded = await recordings()
    const count = times({ small: 150, full: 10_000 })
    let stuck = 0
    await inGroups(Array.from({ length: count }), async () => {
      const bytes = mutated(recorded[below(recorded.length)] ?? Buffer.alloc(0))
      const { client } = await RawClient.open(target)
      client.write(bytes)
      if (below(2) === 0) await pause(below(30))
      if (!(await client.halfClose(GONE_MS_MAX))) stuck++
      const shown = Buffer.concat(client.unread().map(({ body }) => body))
      expect(marksIn(shown), `seed ${seed}`).toEqual([])
    })
    tally('mutations', count)
    expect(stuck, `seed ${seed}`).toBe(0)
    await unharmed()
  }, 1_800_000)

  /** What psql and node-postgres really say once they are in, byte for byte. */
  async function recordings(): Promise<Buffer[]> {
    const tap = await startTap(port)
    try {
      const tapped = `${through(tap, dsn)}?sslmode=disable`
      await psqlRows(
        tapped,
        'SELECT email FROM customers LIMIT 2; BEGIN; SELECT 1; ROLLBACK; SELECT count(*) FROM invoices;',
      )
      const client = new Client({ connectionString: through(tap, dsn) })
      await client.connect()
      await client.query('SELECT id, email FROM customers WHERE id = $1', [7])
      await client.query({
        name: 'n',
        text: 'SELECT plan, phone FROM customers WHERE id = ANY($1)',
        values: [[1, 2]],
      })
      await client.query({
        name: 'n',
        text: 'SELECT plan, phone FROM customers WHERE id = ANY($1)',
        values: [[3]],
      })
      await client.query('SELECT 1/0').catch(() => undefined)
      await client.query('UPDATE invoices SET paid_at = paid_at WHERE id = 1')
      await client.end()
      return tap.conversations.map(({ fromClient }) => behindLogin(Buffer.concat(fromClient)))
    } finally {
      await tap.stop()
    }
  }

  function mutated(original: Buffer): Buffer {
    let bytes = Buffer.from(original)
    for (let n = 1 + below(4); n > 0; n--) {
      const at = below(bytes.length)
      const some = below(Math.min(40, bytes.length - at) + 1)
      switch (below(6)) {
        case 0:
          bytes[at] = below(256)
          break
        case 1:
          bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + some)])
          break
        case 2:
          bytes = Buffer.concat([bytes.subarray(0, at), noise(some), bytes.subarray(at)])
          break
        case 3:
          bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + some), bytes.subarray(at)])
          break
        case 4:
          bytes = bytes.subarray(0, at)
          break
        default: {
          // Two messages change places: each is whole, the order is not.
          const messages = messagesOf(bytes)
          if (messages.length > 1) {
            const [a, b] = [below(messages.length), below(messages.length)]
            const first = messages[a]
            const second = messages[b]
            if (first !== undefined && second !== undefined) [messages[a], messages[b]] = [second, first]
            bytes = Buffer.concat(messages)
          }
        }
      }
      if (bytes.length === 0) break
    }
    return bytes
  }

  test('sockets that never speak or stop half-way do not keep others out, and are cut at the deadline', async () => {
    const silent = await Promise.all(Array.from({ length: 1000 }, () => dial(port)))
    const hello = HELLO()
    const slow = await Promise.all(
      [
        [hello.subarray(0, 11)],
        // Silent in the login.
        [hello],
        // Silent in the TLS handshake, and in the middle of one.
        [int32(8, 80877103)],
        [int32(8, 80877103), Buffer.from([0x16, 0x03, 0x01, 0x01, 0x00, 0x01])],
        [Buffer.from([0x16, 0x03, 0x01, 0x01, 0x00, 0x01])],
        [hello, frame('p', '').subarray(0, 3)],
      ].map(async (pieces) => {
        const socket = await dial(port)
        for (const piece of pieces) {
          socket.write(piece)
          await pause(50)
        }
        return socket
      }),
    )
    // Alive all the time, one byte a second: the deadline is not for silence only.
    const dripping = await dial(port)
    let dripped = 0
    const drip = setInterval(() => dripping.write(hello.subarray(dripped, ++dripped)), 1000)
    const half = await RawClient.open(target)
    half.client.write(query('SELECT 1').subarray(0, 7))

    const start = Date.now()
    expect(await ask(dsn)).toEqual([{ n: 1 }])
    expect(Date.now() - start).toBeLessThan(2_000)
    await settled()

    const waiting = [...silent, ...slow, dripping]
    for (const socket of waiting) socket.resume().on('end', () => socket.end())
    await eventually(
      'all of them to be cut',
      () => waiting.every((socket) => socket.destroyed || socket.closed),
      LIMITS.handshakeMs + 10_000,
    )
    clearInterval(drip)
    // A session is not a handshake: it may be slow.
    half.client.write(query('SELECT 1').subarray(7))
    expect((await half.client.readUntilReady()).map(({ type }) => type).join('')).toBe('TDCZ')
    await half.client.close()
    tally('silent sockets', waiting.length)
    await unharmed()
  }, 90_000)

  test('clients that ask and never read', async () => {
    // By itself: the heap does not give back at once what earlier abuses made it take.
    began = await residentMiB(world.gateway.pid)
    const sockets: RawClient[] = []
    for (let i = 0; i < 10; i++) {
      const { client } = await RawClient.open(target)
      client.stopReading()
      client.write(query(`SELECT repeat('x', 1000) FROM generate_series(1, 200000)`))
      sockets.push(client)
    }
    await pause(3_000)
    await settled()
    const start = Date.now()
    await ask(dsn)
    expect(Date.now() - start).toBeLessThan(2_000)
    for (const each of sockets) each.destroy()
    await unharmed()
  })

  test('of thousands of sessions nothing is kept', async () => {
    // SIGUSR1 makes node open its inspector, which alone can have garbage collected from outside.
    process.kill(world.gateway.pid, 'SIGUSR1')
    const url = await eventually(
      'the inspector',
      () => /ws:/.test(world.gateway.stderr()) && inspectorUrl(world.gateway.stderr()),
    )
    const kept = async (): Promise<number> => {
      // What has ended is hung up on for so long.
      await pause(LIMITS.hangUpMs + 500)
      await collectGarbage(url)
      return residentMiB(world.gateway.pid)
    }
    const before = await kept()
    const count = times({ small: 640, full: 10_000 })
    await inGroups(Array.from({ length: count }), async () => {
      const { client } = await RawClient.open(target)
      client.write(query(`SELECT ${below(1e9)} AS x${below(1e9)}, email FROM customers LIMIT 1`))
      expect(await client.halfClose(GONE_MS_MAX)).toBe(true)
    })
    tally('sessions', count)
    expect((await kept()) - before).toBeLessThan(KEPT_MIB_MAX)
  }, 600_000)
})

/** A few at a time: this is about the gateway, not about how many sockets a machine has. */
async function inGroups<T>(all: readonly T[], run: (each: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < all.length; at += 16) await Promise.all(all.slice(at, at + 16).map(run))
}

/** What follows the start-up and the two messages of the login. */
function behindLogin(bytes: Buffer): Buffer {
  let at = bytes.readInt32BE(0)
  for (let logins = 0; logins < 2; ) {
    if (bytes[at] === 0x70) logins++
    at += 1 + bytes.readInt32BE(at + 1)
  }
  return bytes.subarray(at)
}

function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.length - at >= 5 ? bytes.readInt32BE(at + 1) + 1 : bytes.length - at
    const end = length < 5 ? bytes.length : Math.min(bytes.length, at + length)
    messages.push(bytes.subarray(at, end))
    at = end
  }
  return messages
}
