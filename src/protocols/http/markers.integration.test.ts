/**
 * Random answers of every type on their whole way, over real sockets (acceptance 3): nothing of a labelled field in any byte to the client, for who
 * may not see it; and to the letter what the upstream sent, for who may see everything and where nothing is labelled.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { randomFrom, seed, tally, times } from '../../../test/support/proof.ts'
import type { MaskingRule } from '../../core/index.ts'
import type { HttpReply, HttpStageClient } from '../../testing/http-stage.ts'
import { HttpStage } from '../../testing/http-stage.ts'
import { FORMATS, markedBody, MARKS, records } from '../../testing/marked-bodies.ts'
import type { Format, MarkedRecord } from '../../testing/marked-bodies.ts'
import { answerOf, LABELLED, markedOperation, SDL } from '../../testing/marked-graphql.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-markers-'))
writeFileSync(join(folder, 'api.graphql'), SDL)
afterAll(() => rmSync(folder, { recursive: true }))

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

const FULL: MaskingRule = { kind: 'full' }
const RULES: Readonly<Record<string, MaskingRule>> = { email: FULL, card: FULL }

const connection = (port: number): string => `  api:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}", bearer: "\${env:TOKEN}" }
    routes:
      - { method: GET, path: /labelled, class: read }
      - { method: GET, path: /plain, class: read }
    graphql: { schema: ${join(folder, 'api.graphql')} }
    labels:
      "/labelled: **.email": secret
      "/labelled: **.card": secret
      "/labelled: **.nested.token": secret
${LABELLED.map((field) => `      ${field}: secret\n`).join('')}`

const rules = (more: string): string =>
  `  - { name: reading, who: everyone, on: all, permit: { run: [read], unreviewed: [read], unlimited: true${more} } }\n`

/** One who sees nothing that is labelled, or everything. */
async function open(sees: 'nothing' | 'all') {
  const stage = await HttpStage.open({
    connection,
    rules: rules(sees === 'all' ? ', see: all, filter: all' : ''),
  })
  stages.push(stage)
  const minted = await stage.world.mint('http', 'api')
  const ask = async (line: string, headers: readonly string[], body = '') => {
    const client: HttpStageClient = await stage.client(minted)
    try {
      const reply = await client.request(line, { headers: ['connection: close', ...headers], body })
      return { ...reply, received: client.received() }
    } finally {
      client.socket.destroy()
    }
  }
  return { stage, ask }
}

const TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  'lines of JSON': 'application/x-ndjson',
  events: 'text/event-stream; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  form: 'application/x-www-form-urlencoded',
  xml: 'application/xml',
}

/** Fields that say nothing of the body, that describe it, and that steer caches and clients. */
const FIELDS: readonly (readonly [string, string])[] = [
  ['X-Request-Id', 'r-1'],
  ['X-RateLimit-Remaining', '41'],
  ['ETag', '"a1b2"'],
  ['Last-Modified', 'Fri, 27 Nov 2026 10:00:00 GMT'],
  ['Cache-Control', 'private, max-age=60'],
  ['Vary', 'Accept, Origin'],
  ['Content-Language', 'de'],
  ['Content-Disposition', 'attachment; filename="a b.json"'],
  ['Accept-Ranges', 'bytes'],
  ['Link', '<https://elsewhere.example/p/2>; rel="next"'],
  ['Location', 'https://elsewhere.example/p/1'],
  ['Retry-After', '120'],
  ['Access-Control-Allow-Origin', '*'],
  ['WWW-Authenticate', 'Basic realm="api"'],
  ['X-Obs', 'caf\xe9'],
]
/** Of one hop (RFC 9110 section 7.6.1), said anew. */
const OF_ONE_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding'])

const sending = fc.record({
  status: fc.constantFrom(200, 201, 202, 203, 400, 403, 404, 409, 418, 422, 429, 500, 503),
  fields: fc.subarray([...FIELDS]),
  size: fc.integer({ min: 1, max: 60 }),
  hasLength: fc.boolean(),
})
const coding = fc.constantFrom('identity', 'identity', 'gzip', 'deflate', 'br', 'zstd')
type Sending = typeof sending extends fc.Arbitrary<infer Value> ? Value : never

const CODINGS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  identity: (bytes) => bytes,
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}

/** Answers so, in pieces each of which is a chunk of its own where the length is not said. `coding`: packed though nobody asked for that. */
function send(
  stage: HttpStage,
  line: string,
  type: string,
  body: string,
  how: Sending,
  coding = 'identity',
): void {
  const bytes = CODINGS[coding]?.(Buffer.from(body)) ?? Buffer.from(body)
  stage.answer(line, (response) => {
    const length = how.hasLength ? [['Content-Length', String(bytes.length)]] : []
    const packed = coding === 'identity' ? [] : [['Content-Encoding', coding]]
    response.writeHead(how.status, [['Content-Type', type], ...packed, ...length, ...how.fields].flat())
    for (let at = 0; at < bytes.length; at += how.size) response.write(bytes.subarray(at, at + how.size))
    response.end()
  })
}

function expectNoMark(bytes: Buffer, body: string): void {
  expect(MARKS.filter((mark) => bytes.includes(mark) || body.includes(mark))).toEqual([])
}

/** Status, fields and body are those of the upstream. */
function expectTheSame(reply: HttpReply, type: string, body: string, how: Sending): void {
  const sent: Record<string, string> = { 'content-type': type }
  for (const [name, value] of how.fields) sent[name.toLowerCase()] = value
  if (how.hasLength) sent['content-length'] = String(Buffer.byteLength(body))
  const { date, ...got } = Object.fromEntries(
    Object.entries(reply.headers).filter(([name]) => !OF_ONE_HOP.has(name)),
  )
  expect(date).toMatch(/GMT$/)
  expect({ status: reply.status, fields: got, trailers: reply.trailers ?? {} }).toEqual({
    status: how.status,
    fields: sent,
    trailers: {},
  })
  expect(Buffer.from(reply.body, 'latin1').equals(Buffer.from(body))).toBe(true)
  expect(reply.whole).toBe(true)
}

const bodyOf = (reply: HttpReply): string => Buffer.from(reply.body, 'latin1').toString()

describe.each(Object.entries(FORMATS))('an answer of %s, on its whole way', (name, format: Format) => {
  const type = TYPES[name] ?? ''

  it('has no marker of a labelled field in any byte, and all else as it was (acceptance 3, P-02)', async () => {
    const numRuns = times({ small: 12, full: 3_000 })
    const { stage, ask } = await open('nothing')
    await fc.assert(
      fc.asyncProperty(records, sending, coding, async (list: readonly MarkedRecord[], how, packedBy) => {
        const { sent, shown } = markedBody(format, list, RULES)
        send(stage, 'GET /labelled', type, sent, how, packedBy)
        const reply = await ask('GET /labelled', [])
        expect(reply.status).toBe(how.status)
        expect(bodyOf(reply)).toBe(shown)
        expect(reply.whole).toBe(true)
        expectNoMark(reply.received, bodyOf(reply))
      }),
      { numRuns, seed },
    )
    expectNoMark(stage.world.journal.bytes(), '')
    tally(`answers of ${name} masked on their whole way`, numRuns)
  })

  it('is to the letter what the upstream sent, for who sees all and where nothing is labelled (P-01)', async () => {
    const numRuns = times({ small: 8, full: 1_500 })
    const seeing = await open('all')
    const other = await open('nothing')
    await fc.assert(
      fc.asyncProperty(
        records,
        sending,
        fc.boolean(),
        async (list: readonly MarkedRecord[], how, seesAll) => {
          const { sent } = markedBody(format, list, RULES)
          const { stage, ask } = seesAll ? seeing : other
          const line = seesAll ? 'GET /labelled' : 'GET /plain'
          send(stage, line, type, sent, how)
          expectTheSame(await ask(line, []), type, sent, how)
        },
      ),
      { numRuns, seed },
    )
    tally(`answers of ${name} passed on their whole way`, numRuns)
  })
})

describe('answers of GraphQL, on their whole way', () => {
  it('have no marker in any byte by whatever alias, fragment or union, and are as they were for who sees all (acceptance 3, P-01, P-02)', async () => {
    const count = times({ small: 25, full: 3_000 })
    const random = randomFrom(seed)
    const below = (n: number): number => Math.floor(random() * n)
    const masked = await open('nothing')
    const seeing = await open('all')
    let hidden = 0
    for (let n = 0; n < count; n++) {
      const query = markedOperation(below)
      const data = answerOf(query, () => MARKS[below(MARKS.length)] ?? '')
      if (data === undefined) continue
      const answer = JSON.stringify({ data })
      const how: Sending = { status: 200, fields: [], size: 1 + below(60), hasLength: below(2) === 0 }
      for (const { stage, ask } of [masked, seeing]) {
        send(stage, 'POST /graphql', 'application/json', answer, how)
        const reply = await ask(
          'POST /graphql',
          ['content-type: application/json'],
          JSON.stringify({ query }),
        )
        if (stage === seeing.stage) expectTheSame(reply, 'application/json', answer, how)
        else {
          expect(reply.status, `seed ${seed}: ${query}`).toBe(200)
          const shown = bodyOf(reply)
          expectNoMark(reply.received, JSON.stringify(leavesOf(JSON.parse(shown))))
          const before = leavesOf(JSON.parse(answer))
          const after = leavesOf(JSON.parse(shown))
          hidden += after.filter((each) => each === '[masked]').length
          // Each value is as it was, or hidden: no other, and none fewer.
          expect(after.map((each, i) => (each === '[masked]' ? before[i] : each))).toEqual(before)
        }
      }
    }
    expectNoMark(masked.stage.world.journal.bytes(), '')
    expect(hidden).toBeGreaterThan(count / 10)
    tally('answers of GraphQL masked and passed on their whole way', count)
  })
})

/** Values of a document, in order. */
function leavesOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leavesOf) : [value]
}
