import { createHash } from 'node:crypto'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { httpConnection, HttpStage, UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(connection?: (port: number) => string): Promise<HttpStage> {
  const stage = await HttpStage.open(connection === undefined ? {} : { connection })
  stages.push(stage)
  return stage
}

const CODINGS = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
  'gzip, br': (bytes: Buffer) => brotliCompressSync(gzipSync(bytes)),
}

describe('a compressed answer in which nothing is masked', () => {
  it.each(Object.entries(CODINGS))(
    'is unpacked where the credential is looked for, and stopped when it is in there (P-08): %s',
    async (coding, pack) => {
      const stage = await open()
      const send = (text: string): void => {
        stage.answer('GET /numbers', (response) => {
          response.writeHead(200, { 'content-encoding': coding, etag: '"1"' }).end(pack(Buffer.from(text)))
        })
      }
      const client = await stage.client()
      send('{"a":1}')
      const reply = await client.request('GET /numbers')
      expect([reply.status, reply.body, reply.headers['content-encoding'], reply.headers['etag']]).toEqual([
        200,
        '{"a":1}',
        undefined,
        undefined,
      ])
      send(`{"a":"${UPSTREAM_TOKEN}"}`)
      expect((await client.request('GET /numbers')).status).toBe(502)
      expect(client.received().includes(UPSTREAM_TOKEN)).toBe(false)
    },
  )

  it('is withheld when it cannot be unpacked, and when it is a bomb (P-03, P-08)', async () => {
    const stage = await open((port) => httpConnection(port).replace('16KiB', '1GiB'))
    const client = await stage.client()
    stage.answer('GET /numbers', (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip')
    })
    expect(await client.request('GET /numbers')).toMatchObject({ status: 502, whole: true })
    stage.answer('GET /numbers', (response) => {
      response
        .writeHead(200, { 'content-encoding': 'br' })
        .end(brotliCompressSync(Buffer.alloc(16 * 1024 * 1024)))
    })
    client.socket.write(
      `GET /c/api/numbers HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\n\r\n`,
    )
    await until('its line is cut', () => client.ended, 20_000)
    expect(client.received().length).toBeGreaterThan(100_000)
    expect(client.received().length).toBeLessThan(4 * 1024 * 1024)
  })

  it('passes as it came where nothing has to be looked for', async () => {
    const stage = await open((port) => httpConnection(port).replace(', bearer: "${env:TOKEN}"', ''))
    const packed = gzipSync('{"a":1}')
    stage.answer('GET /numbers', (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length }).end(packed)
    })
    const client = await stage.client()
    const reply = await client.request('GET /numbers', { headers: ['accept-encoding: gzip, br'] })
    expect(stage.asked[0]?.headers['accept-encoding']).toBe('gzip, br')
    expect(reply.headers['content-encoding']).toBe('gzip')
    expect(Buffer.from(reply.body, 'latin1')).toEqual(packed)
  })
})

describe('fields behind an answer', () => {
  it('pass, but for those that frame or authenticate, and are searched (P-08)', async () => {
    const stage = await open()
    const send = (trailers: Record<string, string>): void => {
      stage.answer('GET /numbers', (response) => {
        response.writeHead(200, { trailer: Object.keys(trailers).join(', ') })
        response.write('[1]')
        response.addTrailers(trailers)
        response.end()
      })
    }
    const client = await stage.client()
    send({
      'x-sum': createHash('sha256').update('[1]').digest('hex'),
      'set-cookie': 'a=b',
      'content-type': 'x/y',
    })
    const reply = await client.request('GET /numbers')
    expect(Object.keys(reply.trailers ?? {}).filter((each) => each !== '')).toEqual(['x-sum'])
    send({ 'x-sum': UPSTREAM_TOKEN })
    expect((await client.request('GET /numbers')).whole).toBe(false)
    expect(client.received().includes(UPSTREAM_TOKEN)).toBe(false)
  })
})

describe('a part of an answer in which nothing is masked', () => {
  const TEXT = '0123456789'.repeat(400)
  const SECRET_AT = 2000
  const WITH_SECRET = TEXT.slice(0, SECRET_AT) + UPSTREAM_TOKEN + TEXT.slice(SECRET_AT)
  let stage: HttpStage
  let text = TEXT
  beforeEach(async () => {
    text = TEXT
    stage = await open()
    stage.answer('GET /numbers', (response, { headers }) => {
      const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(String(headers.range)) ?? []
      if (headers.range === undefined) {
        response.end(text)
        return
      }
      const first = from === '' ? Math.max(0, text.length - Number(to)) : Number(from)
      const last = from === '' || to === '' ? text.length - 1 : Math.min(Number(to), text.length - 1)
      if (first >= text.length) {
        response.writeHead(416, { 'content-range': `bytes */${text.length}` }).end()
        return
      }
      const part = text.slice(first, last + 1)
      const fields = {
        'content-range': `bytes ${first}-${last}/${text.length}`,
        'content-length': part.length,
      }
      response.writeHead(206, { etag: '"1"', ...fields }).end(part)
    })
  })

  it.each([
    ['bytes=5-14', 5, 15],
    ['bytes=3990-', 3990, 4000],
    ['bytes=-7', 3993, 4000],
    ['bytes=3995-9999', 3995, 4000],
  ])('is what was asked for: %s', async (range, from, to) => {
    const reply = await (await stage.client()).request('GET /numbers', { headers: [`range: ${range}`] })
    expect([reply.status, reply.body]).toEqual([206, TEXT.slice(from, to)])
    expect(reply.headers['content-range']).toBe(`bytes ${from}-${to - 1}/4000`)
    expect(reply.headers['content-length']).toBe(String(to - from))
    expect(reply.headers['etag']).toBe('"1"')
  })

  it('beyond the end is not there, and several parts are the whole', async () => {
    const client = await stage.client()
    const beyond = await client.request('GET /numbers', { headers: ['range: bytes=4000-'] })
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, 'bytes */4000'])
    const several = await client.request('GET /numbers', { headers: ['range: bytes=0-1,5-6'] })
    expect([several.status, several.body]).toEqual([200, TEXT])
  })

  it('shows no part of a credential, wherever it is cut (P-08)', async () => {
    text = WITH_SECRET
    const client = await stage.client()
    for (let at = SECRET_AT; at < SECRET_AT + UPSTREAM_TOKEN.length; at++) {
      for (const range of [`bytes=${at}-${at}`, `bytes=${at}-`, `bytes=${at - 3}-${at}`])
        expect((await client.request('GET /numbers', { headers: [`range: ${range}`] })).status, range).toBe(
          502,
        )
    }
    // Far enough away there is nothing to withhold.
    expect((await client.request('GET /numbers', { headers: ['range: bytes=0-9'] })).status).toBe(206)
  })
})
