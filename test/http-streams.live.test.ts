import { once } from 'node:events'
import { createServer, request as ask } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { residentMiB } from './abuse/bytes.ts'
import { journalOf } from './abuse/evidence.ts'
import type { TestGateway } from './support/gateway.ts'
import { startGateway } from './support/gateway.ts'
import { teardown } from './support/teardown.ts'

const GIB = 1024 ** 3
const PIECE = Buffer.alloc(64 * 1024, 'sluice')

/** So many bytes, made as they are wanted. */
function bytes(count: number): Readable {
  return Readable.from(
    (function* () {
      for (let left = count; left > 0; left -= PIECE.length)
        yield PIECE.subarray(0, Math.min(left, PIECE.length))
    })(),
    { objectMode: false },
  )
}

/** An API with a long answer, a long answer that is JSON, and a place for uploads, which it counts. */
async function startBigApi() {
  const uploaded: number[] = []
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      let got = 0
      request.on('data', (piece: Buffer) => (got += piece.length))
      request.once('end', () => {
        uploaded.push(got)
        response.end(String(got))
      })
      return
    }
    if (request.url === '/blob' || request.url === '/short') {
      const length = request.url === '/blob' ? GIB : GIB / 8
      response.writeHead(200, { 'content-length': length })
      pipeline(bytes(length), response).catch(() => response.destroy())
      return
    }
    const record = Buffer.from(
      `${JSON.stringify({ email: 'a@b.example', note: 'x'.repeat(1000) })}\n`.repeat(64),
    )
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const lines = Readable.from(
      (function* () {
        const length = request.url === '/lines' ? GIB / 4 : GIB / 16
        for (let sent = 0; sent < length; sent += record.length) yield record
      })(),
      { objectMode: false },
    )
    pipeline(lines, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { port, uploaded, stop }
}

const config = (port: number): string => `
listen:
  http: { address: 127.0.0.1, port: 0 }
identities:
  local:
    - { name: agent, kind: agent, groups: [] }
labels:
  pii.email: { mask: full }
connections:
  big:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}", bearer: "\${env:BIG_TOKEN}" }
    routes:
      - { method: GET, path: /blob, class: read }
      - { method: GET, path: /short, class: read }
      - { method: GET, path: /lines, class: read }
      - { method: GET, path: /few, class: read }
      - { method: POST, path: /blob, class: write }
    labels:
      "/lines: email": pii.email
      "/few: email": pii.email
rules:
  - { name: all, who: everyone, on: [big], permit: { run: [read, write], unreviewed: [read, write], unlimited: true } }
`

describe('bodies of a gigabyte', () => {
  const later = teardown()
  let api: Awaited<ReturnType<typeof startBigApi>>
  let gateway: TestGateway
  let token: string

  beforeAll(async () => {
    api = await startBigApi()
    later(() => api.stop())
    gateway = await startGateway({ config: config(api.port), env: { BIG_TOKEN: 'big-upstream-token' } })
    later(() => gateway.stop())
    token = (await gateway.cli(['token', 'big', '--as', 'agent', '--ttl', '2h'])).stdout.trim()
    // What is loaded with the first request, and what garbage a process lets lie at full speed, is no growth with length.
    await send('POST', '/blob', bytes(1024 ** 2), 1024 ** 2)
    const short = await send('GET', '/short', bytes(0), 0)
    const few = await send('GET', '/few', bytes(0), 0)
    console.log(`before: ${short.grownMiB.toFixed(1)} and ${few.grownMiB.toFixed(1)} MiB more memory`)
  }, 120_000)

  /** Bytes of the answer, and how far the gateway's memory rose meanwhile. */
  async function send(method: string, path: string, body: Readable, length: number) {
    const before = await residentMiB(gateway.pid)
    let most = before
    const watch = setInterval(() => {
      void residentMiB(gateway.pid).then((now) => (most = Math.max(most, now)))
    }, 50)
    const headers = {
      authorization: `Bearer ${token}`,
      ...(length === 0 ? {} : { 'content-length': length }),
    }
    const port = gateway.ports['http'] ?? 0
    const asked = ask({ host: '127.0.0.1', port, method, path: `/c/big${path}`, headers })
    const answered = once(asked, 'response')
    await pipeline(body, asked)
    const [answer] = await answered
    const sink = new PassThrough()
    let got = 0
    sink.on('data', (piece: Buffer) => (got += piece.length))
    await pipeline(answer, sink)
    clearInterval(watch)
    return { status: answer.statusCode, got, grownMiB: most - before }
  }

  test('come down in bounded memory', async () => {
    const done = await send('GET', '/blob', bytes(0), 0)
    expect(done).toMatchObject({ status: 200, got: GIB })
    console.log(`down: ${done.grownMiB.toFixed(1)} MiB more memory`)
    expect(done.grownMiB).toBeLessThan(96)
  }, 300_000)

  test('go up in bounded memory, counted and hashed in the recording (P-04)', async () => {
    const done = await send('POST', '/blob', bytes(GIB), GIB)
    expect(done.status).toBe(200)
    expect(api.uploaded.at(-1)).toBe(GIB)
    console.log(`up: ${done.grownMiB.toFixed(1)} MiB more memory`)
    expect(done.grownMiB).toBeLessThan(96)
    const ends = (await journalOf(gateway)).flatMap(({ entry }) =>
      entry.kind === 'input' && entry.head.end !== undefined ? [entry] : [],
    )
    expect(ends.at(-1)?.head.end).toMatchObject({ how: 'done', bytes: GIB })
    expect(ends.at(-1)?.digest?.length).toBe(64)
  }, 300_000)

  test('are masked in bounded memory', async () => {
    const done = await send('GET', '/lines', bytes(0), 0)
    expect(done.status).toBe(200)
    expect(done.got).toBeGreaterThan(GIB / 5)
    console.log(`masked: ${done.grownMiB.toFixed(1)} MiB more memory`)
    expect(done.grownMiB).toBeLessThan(96)
  }, 300_000)
})
