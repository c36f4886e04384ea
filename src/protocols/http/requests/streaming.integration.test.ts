import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../../core/index.ts'
import { httpConnection, HttpStage } from '../../../testing/http-stage.ts'
import type { HttpStageClient } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

type Upload = { readonly request: IncomingMessage; readonly response: ServerResponse; bytes: number }

/** A stage whose API sees bodies as they come. `POST /upload` is a route that nothing is asked about. */
async function open(onData: (upload: Upload) => void = () => undefined) {
  const uploads: Upload[] = []
  const upstream: Server = createServer((request, response) => {
    const upload = { request, response, bytes: 0 }
    uploads.push(upload)
    request.on('error', () => undefined)
    request.on('data', (piece: Buffer) => {
      upload.bytes += piece.length
      onData(upload)
    })
    request.once('end', () => response.end('{"ok":true}'))
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const { port } = upstream.address() as AddressInfo
  const connection = httpConnection(port).replace(
    '    labels:\n',
    '      - { method: POST, path: /upload, class: read }\n      - { method: POST, path: /labelled, class: read }\n    labels:\n      "/labelled: **.email": pii.email\n',
  )
  const stage = await HttpStage.open({ connection: () => connection })
  closing.push(() => stage.close())
  closing.push(() => {
    upstream.closeAllConnections()
    upstream.close()
  })
  return { stage, uploads, client: await stage.client() }
}

function head(client: HttpStageClient, target: string, ...fields: string[]): string {
  const all = [`POST /c/api${target} HTTP/1.1`, 'host: g', `authorization: Bearer ${client.token}`, ...fields]
  return `${all.join('\r\n')}\r\n\r\n`
}

const CHUNKED = 'transfer-encoding: chunked'
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

function inputs(stage: HttpStage) {
  return stage.world.entries('input')
}

describe('a body that nothing asks for', () => {
  it('goes on in pieces, each of them recorded before (P-04)', async () => {
    let unrecorded = 0
    const { stage, uploads, client } = await open((upload) => {
      const recorded = inputs(stage).reduce((sum, { body }) => sum + (body?.length ?? 0), 0)
      unrecorded = Math.max(unrecorded, upload.bytes - recorded)
    })
    const reply = client.raw(head(client, '/upload', CHUNKED) + chunk('a'.repeat(10_000)))
    await until('the first piece has arrived', () => uploads[0]?.bytes === 10_000)
    expect(stage.world.entries('intent')[0]?.head.parameters).toBeUndefined()
    client.socket.write(chunk('b'.repeat(20_000)))
    await until('the second piece has arrived', () => uploads[0]?.bytes === 30_000)
    client.socket.write('0\r\n\r\n')
    expect(await reply).toMatchObject({ status: 200, body: '{"ok":true}' })
    expect(unrecorded).toBe(0)
    expect(inputs(stage).at(-1)?.head).toMatchObject({ n: 1, end: { how: 'done', bytes: 30_000, unkept: 0 } })
    const kept = Buffer.concat(inputs(stage).map(({ body }) => body ?? Buffer.alloc(0)))
    expect(kept.toString()).toBe('a'.repeat(10_000) + 'b'.repeat(20_000))
  })

  it('has the length upstream that its client said, and is counted beyond what is kept', async () => {
    const { stage, uploads, client } = await open()
    const bytes = 2 * LIMITS.httpRequestBodyBytesMax
    const reply = await client.raw(head(client, '/upload', `content-length: ${bytes}`) + 'x'.repeat(bytes))
    expect(reply.status).toBe(200)
    expect(uploads[0]?.request.headers).toMatchObject({ 'content-length': String(bytes) })
    expect(uploads[0]?.bytes).toBe(bytes)
    const end = inputs(stage).at(-1)?.head.end
    expect(end).toMatchObject({ how: 'done', bytes })
    expect(end?.unkept).toBeGreaterThan(0)
  })

  it('is not taken faster than the upstream takes it', async () => {
    const { uploads, client } = await open((upload) => upload.request.pause())
    client.socket.write(head(client, '/upload', `content-length: ${64 * 1024 * 1024}`))
    const piece = Buffer.alloc(1024 * 1024)
    let sent = 0
    let last = -1
    while (sent < 64 && sent !== last) {
      last = sent
      while (sent < 64 && client.socket.writableLength < piece.length) {
        client.socket.write(piece)
        sent++
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    // What the sockets of both sides take, and a few pieces between them.
    expect(sent).toBeLessThan(48)
    expect(uploads[0]?.bytes).toBeLessThan(piece.length)
  })

  it('whose client goes away in the middle is not taken for a whole one', async () => {
    const { stage, uploads, client } = await open()
    client.socket.write(head(client, '/upload', CHUNKED) + chunk('a'.repeat(1000)))
    await until('it has begun', () => uploads[0]?.bytes === 1000)
    client.socket.destroy()
    await until('it has ended', () => stage.world.entries('outcome').length === 1)
    expect(stage.world.entries('outcome')[0]?.head).toMatchObject({ outcome: 'lost' })
    expect(['failed', 'cut']).toContain(inputs(stage).at(-1)?.head.end?.how)
    await until('the upstream knows', () => uploads[0]?.request.destroyed === true)
    expect(uploads[0]?.request.complete).toBe(false)
  })

  it('that the upstream answers in the middle is cut, and the answer arrives', async () => {
    const { stage, client } = await open(({ response }) => {
      if (!response.headersSent) response.writeHead(413, { 'content-length': 4 }).end('full')
    })
    const reply = await client.raw(head(client, '/upload', CHUNKED) + chunk('a'.repeat(1000)))
    expect(reply).toMatchObject({ status: 413, body: 'full', whole: true })
    await until('it has ended', () => stage.world.entries('outcome').length === 1)
    expect(inputs(stage).at(-1)?.head.end?.how).toBe('cut')
    await until('the line is closed', () => client.ended)
  })
})

describe('a body that something asks for', () => {
  it.each([
    ['/orders/1', 'people are asked about exactly these bytes'],
    ['/labelled', 'fields of this route have labels'],
  ])('is refused when it is too long, saying what asks (P-03): %s', async (target, why) => {
    const { stage, uploads, client } = await open()
    const bytes = LIMITS.httpRequestBodyBytesMax + 1
    const said = await client.raw(head(client, target, `content-length: ${bytes}`))
    expect([said.status, said.body.includes(why)]).toEqual([413, true])
    const other = await stage.client()
    const unsaid = await other.raw(head(other, target, CHUNKED) + chunk('x'.repeat(bytes)))
    expect([unsaid.status, unsaid.body.includes(why)]).toEqual([413, true])
    expect(uploads).toEqual([])
    expect(stage.world.entries('outcome').map((each) => each.head.tag)).toEqual([
      'limit_exceeded',
      'limit_exceeded',
    ])
  })

  it('is whole before it is judged, however it comes', async () => {
    const { stage, uploads, client } = await open()
    const reply = client.raw(head(client, '/orders/1', CHUNKED) + chunk('{"a":'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(stage.world.waiting()).toEqual([])
    client.socket.write(`${chunk('1}')}0\r\n\r\n`)
    await until('it is held', () => stage.world.waiting().length === 1)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    expect((await reply).status).toBe(200)
    expect(uploads[0]?.bytes).toBe(7)
    expect(stage.world.entries('intent')[0]?.head.parameters).toHaveLength(1)
  })
})

describe('a client that waits to be told to go on', () => {
  it('is told so when its body is wanted', async () => {
    const { uploads, client } = await open()
    client.socket.write(head(client, '/upload', 'content-length: 100000', 'expect: 100-continue'))
    await until('it is told', () => client.received().includes('HTTP/1.1 100 Continue\r\n\r\n'))
    client.socket.write('x'.repeat(100_000))
    await until('it is answered', () => client.received().includes('{"ok":true}'))
    expect(uploads[0]?.request.headers.expect).toBeUndefined()
  })

  it('is refused without a word of going on, and its line ends', async () => {
    const { uploads, client } = await open()
    const asked = head(client, '/unknown', 'content-length: 100000', 'expect: 100-continue')
    const reply = await client.raw(asked)
    expect([reply.status, reply.headers['connection']]).toEqual([403, 'close'])
    await until('its line has ended', () => client.ended)
    expect(uploads).toEqual([])
  })
})

describe('a refusal', () => {
  it('reaches a client that still sends, and the line serves on where the rest is short', async () => {
    const { stage, client } = await open()
    const reply = client.raw(head(client, '/unknown', 'content-length: 70000') + 'x'.repeat(60_000))
    await until('it came', () => client.received().includes('403'))
    client.socket.write('x'.repeat(10_000))
    expect(await reply).toMatchObject({ status: 403, whole: true })
    const other = await stage.client()
    const short = head(other, '/unknown', 'content-length: 70000') + 'x'.repeat(70_000)
    expect((await other.raw(short)).status).toBe(403)
    expect((await other.raw(short)).status).toBe(403)
  })
})

describe('a body that cannot be read on', () => {
  it('cuts the line within an answer, and nothing is written into that (C-03)', async () => {
    const { client } = await open(({ response }) =>
      response.writeHead(200, { 'content-length': 60 }).write('['),
    )
    client.socket.write(head(client, '/upload', CHUNKED) + chunk('a'))
    await until('an answer begins', () => client.received().toString().endsWith('['))
    client.socket.write('zz\r\n')
    await until('the line has ended', () => client.ended)
    expect(
      client
        .received()
        .toString()
        .match(/HTTP\/1\.1 \d+/g),
    ).toEqual(['HTTP/1.1 200'])
    expect(client.received().toString().endsWith('[')).toBe(true)
  })

  it('is answered 400, and its request has an outcome (C-03)', async () => {
    const { stage, uploads, client } = await open()
    client.socket.write(head(client, '/upload', CHUNKED) + chunk('a'))
    await until('the piece has arrived', () => uploads[0]?.bytes === 1)
    expect((await client.raw('zz\r\n')).status).toBe(400)
    await until('it has an outcome', () => stage.world.entries('outcome').length === 1)
    expect(stage.world.entries('outcome').map(({ head: { outcome } }) => outcome)).toEqual(['lost'])
    expect(inputs(stage).at(-1)?.head.end).toMatchObject({ how: 'cut', bytes: 1 })
  })
})
