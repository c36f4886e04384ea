/** Upstreams that speak HTTP/2: real ones, of node. */
import { once } from 'node:events'
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { constants, createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { createCertificates } from '../../../net/index.ts'
import { HTTP_CANARIES, httpConnection, HttpStage, UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

let made: Awaited<ReturnType<typeof createCertificates>>
const trusted = getCACertificates('default')
const later: (() => unknown)[] = []

beforeAll(async () => {
  made = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
  setDefaultCACertificates([...trusted, made.authority])
})
afterAll(() => setDefaultCACertificates(trusted))
afterEach(async () => {
  for (const each of later.splice(0).toReversed()) await each()
})

type Answering = (request: Http2ServerRequest, response: Http2ServerResponse, body: Buffer) => void

/** A stage whose API is this one. `lines`: how often it was dialled. */
async function open(answer: Answering, maxConcurrentStreams = 100) {
  const server: Http2SecureServer = createSecureServer(
    { cert: made.certificate, key: made.key.reveal(), settings: { maxConcurrentStreams } },
    (request, response) => {
      request.on('error', () => undefined)
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => answer(request, response, Buffer.concat(chunks)))
    },
  )
  const counted = { lines: 0, server }
  server.on('session', () => counted.lines++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  later.push(() => server.close())
  const { port } = server.address() as AddressInfo
  const connection = httpConnection(port)
    .replace('http://', 'https://')
    .replace('    labels:\n', '      - { method: POST, path: /upload, class: read }\n    labels:\n')
  const stage = await HttpStage.open({ connection: () => connection })
  later.push(() => stage.close())
  return { stage, counted, client: await stage.client() }
}

it('is spoken to in HTTP/2, with the credential on, and its answers are masked (P-02)', async () => {
  const seen: Http2ServerRequest[] = []
  const { client } = await open((request, response) => {
    seen.push(request)
    response.writeHead(200, { 'content-type': 'application/json', 'x-own': ['1', '2'] })
    response.end(JSON.stringify([{ email: HTTP_CANARIES[0], name: 'plain' }]))
  })
  const reply = await client.request('GET /customers?limit=2', { headers: ['x-mine: 3'] })
  expect(reply).toMatchObject({ status: 200, whole: true })
  expect(reply.headers['x-own']).toBeDefined()
  expect(JSON.parse(reply.body)).toEqual([{ email: 'c***@example.com', name: 'plain' }])
  expect(seen[0]?.httpVersion).toBe('2.0')
  expect(seen[0]?.url).toBe('/customers?limit=2')
  expect(seen[0]?.headers).toMatchObject({ authorization: `Bearer ${UPSTREAM_TOKEN}`, 'x-mine': '3' })
  expect(seen[0]?.headers[':authority']).toMatch(/^127\.0\.0\.1:\d+$/)
})

it('does not give its credential back in HTTP/2 either (P-08)', async () => {
  const { client } = await open(({ headers }, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ you: headers.authorization }))
  })
  const reply = await client.request('GET /numbers')
  expect(reply.status).toBe(502)
  expect(client.received().toString()).not.toContain(UPSTREAM_TOKEN)
})

it('gets bodies in pieces, and what it says behind an answer is passed on', async () => {
  const { client } = await open((_request, response, body) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.addTrailers({ 'x-sum': String(body.length) })
    response.end('done')
  })
  const chunk = `${(40_000).toString(16)}\r\n${'x'.repeat(40_000)}\r\n`
  const head = [
    'POST /c/api/upload HTTP/1.1',
    'host: g',
    `authorization: Bearer ${client.token}`,
    'transfer-encoding: chunked',
  ].join('\r\n')
  const reply = await client.raw(`${head}\r\n\r\n${chunk.repeat(5)}0\r\n\r\n`)
  expect(reply).toMatchObject({ status: 200, body: 'done' })
  expect(reply.trailers).toMatchObject({ 'x-sum': '200000' })
})

it('is cut towards the client where it resets a stream, and the next request is served (P-03)', async () => {
  let isReset = true
  const { client, stage } = await open((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('half')
    if (isReset) setTimeout(() => response.stream.close(constants.NGHTTP2_INTERNAL_ERROR), 100)
    else response.end(' and half')
  })
  expect(await client.request('GET /numbers')).toMatchObject({ whole: false })
  isReset = false
  const again = await stage.client()
  expect(await again.request('GET /numbers')).toMatchObject({ status: 200, body: 'half and half' })
})

it('is asked no more for what its client does not want any more', async () => {
  let isClosed = false
  const { stage, client } = await open((_request, response) => {
    response.stream.on('close', () => {
      isClosed = true
    })
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('half')
  })
  client.socket.write(
    `GET /c/api/numbers HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\n\r\n`,
  )
  await until('it begins', () => client.received().includes('half'))
  client.socket.destroy()
  await until('the upstream is told', () => isClosed)
  await until('it has an outcome', () => stage.world.entries('outcome').length === 1)
  expect(stage.world.entries('outcome')[0]?.head.outcome).toBe('lost')
})

it('serves many at once, within what it allows on one line', async () => {
  const { stage, counted } = await open((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    setTimeout(() => response.end('ok'), 20)
  }, 5)
  const clients = await Promise.all(Array.from({ length: 30 }, () => stage.client()))
  const replies = await Promise.all(clients.map((each) => each.request('GET /numbers')))
  expect(replies.map(({ status }) => status)).toEqual(clients.map(() => 200))
  expect(counted.lines).toBeGreaterThan(0)
  expect(counted.lines).toBeLessThanOrEqual(clients.length)
})

it('that goes away in good order (GOAWAY) is dialled anew', async () => {
  const { client, counted } = await open((request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.end('ok')
    request.stream.session?.close()
  })
  for (let n = 0; n < 5; n++) {
    expect(await client.request('GET /numbers')).toMatchObject({ status: 200, body: 'ok' })
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(counted.lines).toBe(5)
})
