import { createSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Certificates, createCertificates } from '../../net/index.ts'
import { eventOf } from '../../testing/recorded-events.ts'
import { isRefusal, type Sender } from './sender.ts'
import type { SyslogSettings } from './settings.ts'
import { syslogSender } from './syslog.ts'

const events = [eventOf(1), eventOf(2, { json: '{"text":"ü"}' })]
const { signal } = new AbortController()

/** Connections, and the bytes that came on each. */
let connections: Buffer[][]
let serve: (socket: Socket) => void
let server: Server
let sender: Sender | undefined
let sockets: Socket[]

beforeEach(() => {
  connections = []
  sockets = []
  serve = () => undefined
})
afterEach(async () => {
  await sender?.close()
  for (const each of sockets) each.destroy()
  await new Promise((resolve) => server.close(resolve))
})

function take(socket: Socket): void {
  const bytes: Buffer[] = []
  connections.push(bytes)
  sockets.push(socket)
  socket.on('data', (chunk: Buffer) => bytes.push(chunk))
  socket.on('error', () => undefined)
  serve(socket)
}

async function listen(made: Server): Promise<number> {
  server = made
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function open(port: number, rest: Partial<SyslogSettings> = {}): Sender {
  sender = syslogSender({
    kind: 'syslog',
    transport: 'tcp',
    host: 'localhost',
    port,
    facility: 13,
    enterprise: 32_473,
    confirm: 'close',
    datagramBytesMax: 2_048,
    ...rest,
  })
  return sender
}

function dieUnread(socket: Socket): void {
  socket.removeAllListeners('data')
  socket.pause()
  setTimeout(() => socket.destroy(), 50)
}

/** What came, taken apart by the lengths that stand before each message. */
function messages(): string[] {
  return connections.flatMap((chunks) => {
    const found: string[] = []
    for (let rest = Buffer.concat(chunks); rest.length > 0; ) {
      const space = rest.indexOf(' ')
      const length = Number(rest.toString('latin1', 0, space))
      found.push(rest.toString('utf8', space + 1, space + 1 + length))
      rest = rest.subarray(space + 1 + length)
    }
    return found
  })
}

async function failure(made: Sender, secrets = {}): Promise<unknown> {
  return await made.send(events, secrets, signal).then(
    () => expect.fail('it was taken'),
    (error: unknown) => error,
  )
}

describe('over TCP', () => {
  test('a batch has a connection, and counts when the receiver has closed it as well', async () => {
    // As receivers do that answer the end of a connection with theirs.
    const made = open(await listen(createServer(take)))
    expect(await made.send(events, {}, signal)).toEqual({ rejected: 0 })
    expect(messages().map((each) => /event="([^"]+)"/.exec(each)?.[1])).toEqual(['event-1', 'event-2'])
    await made.send(events, {}, signal)
    expect(connections).toHaveLength(2)
  })

  test.each([
    ['closes before it has read', (socket: Socket) => socket.end()],
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
    ['dies with everything unread', dieUnread],
    ['dies when it has read', (socket: Socket) => socket.once('data', () => socket.resetAndDestroy())],
    ['closes when it likes', (socket: Socket) => socket.once('data', () => socket.end())],
  ])('a receiver that %s has nothing', async (_what, how) => {
    serve = how
    const made = open(await listen(createServer(take)))
    expect(isRefusal(await failure(made))).toBe(false)
  })

  test('a receiver that is not there has nothing', async () => {
    const port = await listen(createServer(take))
    await new Promise((resolve) => server.close(resolve))
    expect(String(await failure(open(port)))).toMatch(/cannot be reached \(ECONNREFUSED\)/)
    server.listen(0)
  })

  test('a connection is kept, and a batch counts once it is sent, where that is asked for', async () => {
    const made = open(await listen(createServer({ allowHalfOpen: true }, take)), { confirm: 'none' })
    await made.send(events, {}, signal)
    await made.send(events, {}, signal)
    await expect.poll(() => messages().length).toBe(4)
    expect(connections).toHaveLength(1)
    // And another is made when it has gone.
    sockets[0]?.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await made.send(events, {}, signal)
    await expect.poll(() => connections.length).toBe(2)
  })

  test('what is called off ends at once', async () => {
    const made = open(await listen(createServer({ allowHalfOpen: true }, take)))
    const off = new AbortController()
    const sent = made.send(events, {}, off.signal)
    setTimeout(() => off.abort(), 20)
    await expect(sent).rejects.toThrow('stops')
  })
})

describe('over TLS', () => {
  let certificates: Certificates

  beforeEach(async () => {
    certificates = await createCertificates({ names: ['localhost'], now: Date.now() })
  })

  const tls = (rest = {}) =>
    listen(
      createTlsServer(
        { cert: certificates.certificate, key: certificates.key.reveal(), ...rest },
        (socket: TLSSocket) => take(socket),
      ),
    )

  test('a batch counts when both have ended it', async () => {
    const made = open(await tls(), { transport: 'tls' })
    await made.send(events, { ca: certificates.authority }, signal)
    expect(messages()).toHaveLength(2)
    expect(messages()[1]).toContain('{"text":"\\u00fc"}')
  })

  test('a receiver whose certificate nobody signed gets nothing', async () => {
    const port = await tls()
    expect(isRefusal(await failure(open(port, { transport: 'tls' })))).toBe(true)
    const other = open(port, { transport: 'tls', host: '127.0.0.1' })
    expect(isRefusal(await failure(other, { ca: certificates.authority }))).toBe(true)
    expect(messages()).toEqual([])
  })

  test('a receiver may ask who sends', async () => {
    const client = await createCertificates({ names: ['gateway.example'], now: Date.now() })
    const shown: unknown[] = []
    serve = (socket) =>
      void shown.push(socket instanceof TLSSocket ? socket.getPeerCertificate().subjectaltname : undefined)
    const made = open(await tls({ requestCert: true, rejectUnauthorized: false }), { transport: 'tls' })
    const ca = certificates.authority
    await made.send(events, { ca, certificate: client.certificate, key: client.key.reveal() }, signal)
    expect(shown).toEqual(['DNS:gateway.example'])
  })
})

test('over UDP each event is a datagram', async () => {
  server = createServer()
  server.listen(0)
  const got: string[] = []
  const receiver = createSocket('udp4', (message) => got.push(message.toString('utf8')))
  try {
    await new Promise<void>((resolve) => void receiver.bind(0, '127.0.0.1', resolve))
    const { port } = receiver.address()
    const made = open(port, { transport: 'udp', host: '127.0.0.1', datagramBytesMax: 480 })
    await made.send([...events, eventOf(3, { json: 'x'.repeat(5_000) })], {}, signal)
    await expect.poll(() => got.length).toBe(3)
    expect(got[0]).toMatch(/^<110>1 2026-.* \{"n":1,/)
    expect(got[2]).toMatch(/event="event-3".* left="5\d\d\d"\]$/)
  } finally {
    receiver.close()
  }
})
