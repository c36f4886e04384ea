/** HTTP/2 towards clients: real ones (node, curl), and frames of our own. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import { connect, constants } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../../core/index.ts'
import { createCertificates } from '../../../net/index.ts'
import { HTTP_CANARIES, httpConnection, HttpStage } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

const HOST = 'api.gateway.example'
const run = promisify(execFile)

let stage: HttpStage
let token: string
let made: Awaited<ReturnType<typeof createCertificates>>
const sessions: ClientHttp2Session[] = []

beforeAll(async () => {
  made = await createCertificates({ names: ['gateway.example', '*.gateway.example'], now: Date.now() })
})

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await stage.close()
})

async function open(): Promise<void> {
  stage = await HttpStage.open({
    tls: made,
    listen: 'listen:\n  http: { port: 0, hosts: { below: [gateway.example] } }\n',
    connection: (port) =>
      httpConnection(port)
        .replace('bytes: 16KiB', 'bytes: 64MiB')
        .replace('    labels:\n', '      - { method: POST, path: /upload, class: read }\n    labels:\n'),
  })
  token = (await stage.world.mint('http', 'api')).secret.reveal()
}

type Reply = {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly trailers: Readonly<Record<string, unknown>>
  readonly body: string
  /** False: the stream was cut. */
  readonly whole: boolean
}

async function session(options: { readonly host?: string } = {}): Promise<ClientHttp2Session> {
  const host = options.host ?? 'gateway.example'
  const opened = connect(`https://${host}`, {
    createConnection: () =>
      connectTls({
        port: stage.port,
        host: '127.0.0.1',
        servername: host,
        ca: made.authority,
        ALPNProtocols: ['h2'],
      }),
  })
  opened.on('error', () => undefined)
  sessions.push(opened)
  await once(opened, 'connect')
  return opened
}

function ask(
  on: ClientHttp2Session,
  path: string,
  more: OutgoingHttpHeaders = {},
  body?: string | Buffer,
  onHead: () => void = () => undefined,
): Promise<Reply> {
  const stream = on.request(
    { ':path': path, authorization: `Bearer ${token}`, ...more },
    { endStream: body === undefined },
  )
  return new Promise((resolve) => {
    let headers: Record<string, unknown> = {}
    let trailers: Record<string, unknown> = {}
    let isCut = false
    const chunks: Buffer[] = []
    stream.on('response', (fields) => {
      headers = fields
      onHead()
    })
    stream.on('trailers', (fields) => {
      trailers = fields
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('aborted', () => {
      isCut = true
    })
    stream.on('error', () => {
      isCut = true
    })
    stream.on('close', () => {
      const status = Number(headers[':status'] ?? 0)
      const whole = !isCut && (stream.rstCode ?? 0) === constants.NGHTTP2_NO_ERROR
      resolve({ status, headers, trailers, body: Buffer.concat(chunks).toString(), whole })
    })
    if (body !== undefined) stream.end(body)
  })
}

const intents = () => stage.world.entries('intent').map(({ head }) => head.text)

describe('a client that speaks HTTP/2', () => {
  it('has its streams judged, recorded and answered like requests, in one session (P-04)', async () => {
    await open()
    stage.json('GET /customers', [{ email: HTTP_CANARIES[0], name: 'plain' }])
    const on = await session()
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask(on, '/c/api/customers')))
    for (const reply of replies) {
      expect(reply).toMatchObject({ status: 200, whole: true })
      expect(reply.headers['sluice-masked']).toBe('1; **.email')
      expect(JSON.parse(reply.body)).toMatchObject([{ email: 'c***@example.com', name: 'plain' }])
    }
    expect(intents()).toHaveLength(20)
    expect(stage.world.entries('open')).toHaveLength(1)
    expect(stage.asked[0]?.headers).not.toHaveProperty('host', 'gateway.example')
  })

  it('is refused in words, and its line goes on', async () => {
    await open()
    stage.json('GET /numbers', { n: 1 })
    const on = await session()
    expect(await ask(on, '/c/api/nothing')).toMatchObject({ status: 403, whole: true })
    expect(await ask(on, '/c/api/customers', { authorization: '' })).toMatchObject({ status: 401 })
    expect(await ask(on, '/nowhere')).toMatchObject({ status: 404 })
    for (const method of ['WEBSOCKET', 'get', 'TRACE', 'PROPFIND'])
      expect(await ask(on, '/c/api/numbers', { ':method': method })).toMatchObject({ status: 501 })
    expect(await ask(on, '/c/api/numbers')).toMatchObject({ status: 200, body: '{"n":1}' })
  })

  it('names a connection by :authority, which has to be the host of TLS, and that of Host (P-03)', async () => {
    await open()
    stage.json('GET /numbers', { n: 1 })
    const on = await session({ host: HOST })
    expect(await ask(on, '/numbers')).toMatchObject({ status: 200 })
    expect(await ask(on, '/numbers', { host: HOST })).toMatchObject({ status: 200 })
    expect(await ask(on, '/numbers', { ':authority': HOST, host: 'other.gateway.example' })).toMatchObject({
      status: 400,
    })
    expect(await ask(on, '/numbers', { ':authority': 'other.gateway.example' })).toMatchObject({
      status: 421,
    })
    expect(await ask(on, '/c/api/numbers', { ':authority': 'gateway.example' })).toMatchObject({
      status: 421,
    })
    expect(stage.asked).toHaveLength(2)
  })

  it('sends a body of any length, each piece of it recorded before it goes on (P-04)', async () => {
    await open()
    stage.answer('POST /upload', (response, { body }) => response.end(String(body.length)))
    const on = await session()
    const post = { ':method': 'POST' }
    expect(await ask(on, '/c/api/upload', post, 'x'.repeat(300_000))).toMatchObject({ body: '300000' })
    expect(stage.asked[0]?.headers).toMatchObject({ 'transfer-encoding': 'chunked' })
    expect(stage.world.entries('input').at(-1)?.head.end).toMatchObject({ how: 'done', bytes: 300_000 })
    const known = { ...post, 'content-length': 5 }
    expect(await ask(on, '/c/api/upload', known, 'hello')).toMatchObject({ status: 200, body: '5' })
    expect(await ask(on, '/c/api/upload', post)).toMatchObject({ status: 200, body: '0' })
    const refused = await ask(on, '/c/api/nothing', post, 'x'.repeat(300_000))
    expect(refused.status).toBe(403)
    expect(await ask(on, '/c/api/upload', post, 'again')).toMatchObject({ status: 200, body: '5' })
  })

  it('is told behind the body what was masked in it, and sees half an answer as one that was cut (P-02)', async () => {
    await open()
    const long = JSON.stringify([{ email: HTTP_CANARIES[0], text: 'x'.repeat(10_000) }])
    const waiting: (() => void)[] = []
    stage.answer('GET /notes', (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(JSON.stringify({ note: `write to ${HTTP_CANARIES[0]}` }).padEnd(9_000))
      waiting.push(() => response.end())
    })
    stage.answer('GET /customers', (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(long.slice(0, 9_000))
      waiting.push(() => response.destroy())
    })
    // The rest comes when the client has the beginning.
    const goOn = (): void => waiting.pop()?.()
    const on = await session()
    const told = await ask(on, '/c/api/notes', {}, undefined, goOn)
    expect(told.headers['sluice-masked']).toMatch(/^pending/)
    expect(told.trailers['sluice-masked']).toBe('1; email')
    const cut = await ask(on, '/c/api/customers', {}, undefined, goOn)
    expect(cut).toMatchObject({ status: 200, whole: false })
    expect(cut.body).not.toContain('canary')
  })

  it('waits for people on one stream while others are answered (P-05)', async () => {
    await open()
    stage.json('GET /numbers', { n: 1 }).json('POST /orders/7', { done: true })
    const on = await session()
    const held = ask(on, '/c/api/orders/7', { ':method': 'POST' }, '{}')
    await until('somebody is asked', () => stage.world.waiting().length === 1)
    expect(await ask(on, '/c/api/numbers')).toMatchObject({ status: 200 })
    expect(stage.asked).toHaveLength(1)
    const [ticket] = stage.world.waiting()
    if (ticket === undefined) throw new Error('nobody was asked')
    await stage.world.answer(ticket, 'approve')
    expect(await held).toMatchObject({ status: 200, body: '{"done":true}' })
  })

  it('reads as slowly as it likes: its upstream waits, and the other streams of its line do not', async () => {
    await open()
    const piece = 'x'.repeat(64 * 1024)
    let pieces = 0
    stage.json('GET /slow', { n: 1 }).answer('GET /numbers', (response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      const more = (): void => {
        while (pieces < 400) {
          pieces++
          if (!response.write(piece)) {
            response.once('drain', more)
            return
          }
        }
        response.end()
      }
      more()
    })
    const on = await session()
    const slow = on.request({ ':path': '/c/api/numbers', authorization: `Bearer ${token}` })
    await once(slow, 'response')
    for (let n = 0; n < 10; n++) expect(await ask(on, '/c/api/slow')).toMatchObject({ status: 200 })
    await new Promise((resolve) => setTimeout(resolve, 500))
    // Of 25 MiB.
    expect(pieces).toBeLessThan(300)
    let bytes = 0
    slow.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    await once(slow, 'end')
    expect(bytes).toBe(400 * piece.length)
  })

  it('is ended with its credential: streams on their way are told, and the line is cut (P-09)', async () => {
    await open()
    const minted = await stage.world.mint('http', 'api')
    stage.answer('GET /slow', () => undefined)
    const on = await session()
    const asked = ask(on, '/c/api/slow', { authorization: `Bearer ${minted.secret.reveal()}` })
    await until('it is on its way', () => stage.asked.length === 1)
    await stage.world.credentials.revoke(minted.credential.id, 'test')
    expect(await asked).toMatchObject({ status: 401 })
    stage.world.clock.advance(2_000)
    await until('the line ends', () => on.destroyed)
  })

  it('may be curl, which agrees on either', async () => {
    await open()
    stage.json('GET /numbers', { n: 1 })
    const folder = mkdtempSync(join(tmpdir(), 'sluice-h2-'))
    try {
      writeFileSync(join(folder, 'ca.pem'), made.authority)
      writeFileSync(join(folder, 'header'), `Authorization: Bearer ${token}\n`)
      for (const [flag, version] of [
        ['--http2', '2'],
        ['--http1.1', '1.1'],
      ] as const) {
        const { stdout } = await run('curl', [
          '--silent',
          '--noproxy',
          '*',
          flag,
          '--cacert',
          join(folder, 'ca.pem'),
          '--resolve',
          `${HOST}:${stage.port}:127.0.0.1`,
          '--header',
          `@${join(folder, 'header')}`,
          '--write-out',
          ' %{http_version} %{http_code}',
          `https://${HOST}:${stage.port}/numbers`,
        ])
        expect(stdout).toBe(`{"n":1} ${version} 200`)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('a client that attacks', () => {
  async function isServed(): Promise<void> {
    expect(await ask(await session(), '/c/api/numbers')).toMatchObject({ status: 200 })
  }

  it('by a thousand streams that it resets at once (CVE-2023-44487) loses its line, and does little until then', async () => {
    await open()
    stage.json('GET /numbers', { n: 1 }).answer('GET /slow', () => undefined)
    const line = await rawLine()
    const head = fields({ path: '/c/api/slow', authorization: `Bearer ${token}` })
    // END_HEADERS and END_STREAM; then CANCEL.
    const frames = Array.from({ length: 1_000 }, (_, n) => [
      frame(0x1, 0x5, 2 * n + 1, head),
      frame(0x3, 0x0, 2 * n + 1, Buffer.from([0, 0, 0, 8])),
    ])
    line.write(Buffer.concat(frames.flat()))
    await until('the line of the thousand ends', () => line.destroyed, 60_000)
    expect(stage.world.entries('intent').length).toBeLessThan(1_000)
    expect(stage.asked.length).toBeLessThan(LIMITS.http2ResetsAtOnceMax + LIMITS.httpRequestsPerSocketMax + 2)
    await isServed()
    const { world } = stage
    await until('all have ended', () => world.entries('outcome').length === world.entries('intent').length)
    expect(world.reports).toEqual([])
  }, 90_000)

  it('has no more streams at once than a line has requests', async () => {
    await open()
    const on = await session()
    const { httpRequestsPerSocketMax } = LIMITS
    await until('that is known', () => on.remoteSettings.maxConcurrentStreams === httpRequestsPerSocketMax)
    expect(on.remoteSettings).toMatchObject({ enableConnectProtocol: false })
  })

  it.each([
    ['a head that is too long', { 'x-long': 'x'.repeat(40_000) }],
    ['too many fields', Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`x-${n}`, 'y']))],
  ])('by %s has that stream refused (P-03)', async (_what, more) => {
    await open()
    stage.json('GET /numbers', { n: 1 })
    const on = await session()
    const reply = await ask(on, '/c/api/numbers', more)
    expect(reply.status).not.toBe(200)
    expect(stage.asked).toHaveLength(0)
    await isServed()
  })

  it('by a head without an end (CONTINUATION) loses its line', async () => {
    await open()
    stage.json('GET /numbers', { n: 1 })
    const line = await rawLine()
    line.write(frame(0x1, 0x0, 1, Buffer.from([0x82])))
    let written = 0
    while (!line.destroyed && written < 4_000) {
      // A field without a name that is kept nowhere: RFC 7541 section 6.2.2.
      line.write(
        frame(0x9, 0x0, 1, Buffer.concat([Buffer.from([0x00, 0x01, 0x78, 0x7d]), Buffer.alloc(125, 0x79)])),
      )
      written++
      if (written % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await until('its line ends', () => line.destroyed)
    expect(written).toBeLessThan(4_000)
    expect(stage.asked).toHaveLength(0)
    await isServed()
  })

  async function rawLine(): Promise<TLSSocket> {
    const line = connectTls({
      port: stage.port,
      host: '127.0.0.1',
      servername: 'gateway.example',
      ca: made.authority,
      ALPNProtocols: ['h2'],
    })
    line.on('error', () => undefined)
    line.on('data', () => undefined)
    await once(line, 'secureConnect')
    line.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    line.write(frame(0x4, 0x0, 0, Buffer.alloc(0)))
    return line
  }
})

/** RFC 9113 section 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A head as RFC 7541 writes it: two fields of the static table, and the others without being kept. */
function fields({ path, authorization }: { readonly path: string; readonly authorization: string }): Buffer {
  const text = (value: string): number[] => {
    const { length } = value
    const said = length < 127 ? [length] : [127, ...(length - 127 < 128 ? [length - 127] : [])]
    return [...said, ...Buffer.from(value)]
  }
  // Name 23 of the static table, behind the 15 that its prefix holds.
  const named = [0x0f, 0x08]
  return Buffer.from([
    0x82,
    0x87,
    0x01,
    ...text('gateway.example'),
    0x04,
    ...text(path),
    ...named,
    ...text(authorization),
  ])
}
