import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodingsOf } from '../../../testing/body-pieces.ts'
import { HTTP_CANARIES, HttpStage } from '../../../testing/http-stage.ts'

const [EMAIL] = HTTP_CANARIES

let stage: HttpStage
beforeEach(async () => {
  stage = await HttpStage.open()
})
afterEach(() => stage.close())

/** Answers in pieces of this many bytes, each of them sent by itself. */
function inPieces(
  type: string,
  body: Uint8Array | string,
  size: number,
  headers: Record<string, string> = {},
): void {
  const bytes = Buffer.from(body)
  stage.answer('GET /customers', (response) => {
    response.writeHead(200, { 'content-type': type, ...headers })
    for (let at = 0; at < bytes.length; at += size) response.write(bytes.subarray(at, at + size))
    response.end()
  })
}

describe('an answer that is masked', () => {
  it.each([
    ['JSON', 'application/vnd.api+json', `{"items":[{"email":"${EMAIL}","id":1.0}]}`],
    [
      'JSON in a text',
      'application/json',
      JSON.stringify({ event: JSON.stringify({ email: EMAIL }), id: 1 }),
    ],
    ['lines of JSON', 'application/x-ndjson', `{"email":"${EMAIL}","id":1}\r\n{"id":2}\n`],
    [
      'events',
      'text/event-stream; charset=utf-8',
      `id: 1\ndata: {"email":\ndata: "${EMAIL}"}\n\ndata: [DONE]\n\n`,
    ],
    ['a table', 'text/csv; charset=utf-8', `id,email\r\n1,"${EMAIL}"\r\n`],
    ['a form', 'application/x-www-form-urlencoded', `id=1&email=${encodeURIComponent(EMAIL)}`],
    [
      'XML',
      'application/atom+xml',
      `<a:feed xmlns:a="urn:a"><a:email>${EMAIL}</a:email><id x="1"/></a:feed>`,
    ],
  ])(
    'is read in pieces of any size, and what is not labelled passes as it is (P-02): %s',
    async (_name, type, body) => {
      for (const size of [1, 7, 1000]) {
        inPieces(type, body, size)
        const client = await stage.client()
        const reply = await client.request('GET /customers')
        const shown = type.includes('form') ? 'c***%40example.com' : 'c***@example.com'
        expect(reply.body).toBe(
          body.replace(type.includes('form') ? encodeURIComponent(EMAIL) : EMAIL, shown),
        )
        expect(reply.headers['sluice-masked']).toBe('1; **.email')
        expect(client.received().includes('canary')).toBe(false)
        expect(stage.world.journal.bytes().includes(EMAIL)).toBe(false)
      }
    },
  )

  it('has a marker in no encoding in it, whatever its type (P-02)', async () => {
    const marks = encodingsOf('cAnArY7f3a9')
    const values = marks.map((mark) => ({ email: mark }))
    const xml = (text: string): string => text.replaceAll('&', '&amp;')
    const bodies: Record<string, string> = {
      'application/json': JSON.stringify(values),
      'application/x-ndjson': values.map((each) => JSON.stringify(each)).join('\n'),
      'text/event-stream': values.map((each) => `data: ${JSON.stringify(each)}\n\n`).join(''),
      'text/csv': `id,email\n${marks.map((mark) => `1,"${mark.replaceAll('"', '""')}"`).join('\n')}`,
      'text/xml': `<r>${marks.map((mark) => `<email>${xml(mark)}</email>`).join('')}</r>`,
    }
    for (const [type, body] of Object.entries(bodies)) {
      inPieces(type, body, 13)
      const client = await stage.client()
      const reply = await client.request('GET /customers')
      expect(reply.status).toBe(200)
      expect(reply.headers['sluice-masked']).toBe(`${marks.length}; **.email`)
      for (const mark of marks) expect(client.received().includes(mark)).toBe(false)
    }
  })

  it('is unpacked, whatever it was packed with, and again when it was packed twice', async () => {
    const body = JSON.stringify([{ email: EMAIL, note: 'plain' }])
    const packed: Record<string, Uint8Array> = {
      gzip: gzipSync(body),
      deflate: deflateSync(body),
      br: brotliCompressSync(body),
      zstd: zstdCompressSync(body),
      'gzip, br': brotliCompressSync(gzipSync(body)),
    }
    for (const [coding, bytes] of Object.entries(packed)) {
      inPieces('application/json', bytes, 5, { 'content-encoding': coding })
      const reply = await (await stage.client()).request('GET /customers')
      expect(reply.headers['content-encoding']).toBeUndefined()
      expect(reply.body).toBe('[{"email":"c***@example.com","note":"plain"}]')
    }
  })

  it.each([
    ['cut off', gzipSync(`{"email":"${EMAIL}"}`).subarray(0, 20), 'gzip', 403],
    ['packed by something else', brotliCompressSync('{"email":"x"}'), 'gzip', 403],
    ['packed too often', gzipSync(gzipSync(gzipSync('{}'))), 'gzip, gzip, gzip', 403],
  ])('is withheld when it cannot be unpacked (P-03): %s', async (_name, bytes, coding, status) => {
    inPieces('application/json', bytes, 1000, { 'content-encoding': coding })
    const client = await stage.client()
    expect((await client.request('GET /customers')).status).toBe(status)
    expect(client.received().includes(EMAIL)).toBe(false)
  })

  it('goes on its way while more of it is to come, and tells in a trailer what was masked', async () => {
    let go: () => void = () => undefined
    stage.answer('GET /customers', (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: {"email":"${EMAIL}"}\n\n`)
      go = () => response.end(`data: {"email":"${EMAIL}"}\n\n`)
    })
    const client = await stage.client()
    const reply = client.request('GET /customers')
    while (!client.received().includes('c***@example.com'))
      await new Promise((resolve) => setTimeout(resolve, 5))
    go()
    const { headers, trailers, whole } = await reply
    expect(headers['sluice-masked']).toBe('pending; **.email, items[].card')
    expect(headers['trailer']).toBe('sluice-masked')
    expect(trailers?.['sluice-masked']).toBe('2; **.email')
    expect(whole).toBe(true)
  })

  it('is cut when it turns out too late that it cannot be read (P-02, P-03)', async () => {
    let go: () => void = () => undefined
    stage.answer('GET /customers', (response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      response.write('{"id":1}\n')
      go = () => response.end(`{"email":"${EMAIL}"]\n`)
    })
    const client = await stage.client()
    const reply = client.request('GET /customers')
    while (!client.received().includes('"id":1')) await new Promise((resolve) => setTimeout(resolve, 5))
    go()
    expect((await reply).whole).toBe(false)
    expect(client.received().includes(EMAIL)).toBe(false)
    expect(stage.world.entries('outcome').map(({ head }) => [head.outcome, head.tag])).toEqual([
      ['error', 'protocol_violation'],
    ])
  })
})

describe('detectors of a route', () => {
  it('mask what they find in texts that no path names, and withhold what they cannot look into (P-02)', async () => {
    const token = `ghp_${'a1B2'.repeat(9)}`
    stage.json('GET /notes', { text: `ask ${EMAIL}`, key: token, id: 7 })
    const client = await stage.client()
    const reply = await client.request('GET /notes')
    expect(JSON.parse(reply.body)).toEqual({ text: 'ask c***@example.com', key: '[masked]', id: 7 })
    expect(reply.headers['sluice-masked']).toBe('2; email, vendor-token')
    stage.json('GET /notes', `Dear ${EMAIL}`, 200, 'text/plain')
    expect((await client.request('GET /notes')).body).toBe('Dear c***@example.com')
    stage.json('GET /notes', EMAIL, 200, 'application/octet-stream')
    expect((await client.request('GET /notes')).status).toBe(403)
    expect(client.received().includes(EMAIL)).toBe(false)
  })
})
