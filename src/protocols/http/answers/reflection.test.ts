import { afterEach, describe, expect, it } from 'vitest'
import type { HttpAnswer } from '../../../testing/http-stage.ts'
import { HttpStage, UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'

type ServerResponse = Parameters<HttpAnswer>[0]

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(): Promise<HttpStage> {
  const stage = await HttpStage.open()
  stages.push(stage)
  return stage
}

const ENCODED: Readonly<Record<string, (text: string) => string>> = {
  plain: (text) => text,
  URL: (text) => encodeURIComponent(text).replaceAll('-', '%2D'),
  'URL, every byte': (text) => Buffer.from(text).toString('hex').replaceAll(/../g, '%$&'),
  base64: (text) => Buffer.from(text).toString('base64'),
  'base64 of a header': (text) => Buffer.from(`Authorization: Bearer ${text}`).toString('base64'),
  base64url: (text) => Buffer.from(`:${text}`).toString('base64url'),
  hexadecimal: (text) => Buffer.from(text).toString('hex'),
  'hexadecimal, large': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'JSON, every character': (text) => [...text].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join(''),
  'HTML, every character': (text) => [...text].map((c) => `&#x${c.charCodeAt(0).toString(16)};`).join(''),
  backwards: (text) => [...text].toReversed().join(''),
  'upper case': (text) => text.toUpperCase(),
}

function inPieces(response: ServerResponse, text: string): void {
  let at = 0
  const next = (): void => {
    if (at === text.length) response.end()
    else response.write(text[at++] ?? '', () => setImmediate(next))
  }
  next()
}

/** Where an upstream may put it. */
const PLACES: Readonly<Record<string, (response: ServerResponse, written: string) => void>> = {
  'the body': (response, written) => response.end(`{"a": "${written}"}`),
  'an error': (response, written) => response.writeHead(500).end(`bad token ${written}`),
  'a redirect': (response, written) =>
    response.writeHead(302, { location: `https://elsewhere.example/?t=${written}` }).end(),
  'a field': (response, written) => response.writeHead(200, { 'x-debug': written }).end('{}'),
  'pieces of one byte': (response, written) => inPieces(response, `{"a": "${written}"}`),
}

describe('an upstream that gives the credential back', () => {
  it.each(Object.keys(ENCODED))('gets nothing through, written %s (P-08)', async (encoding) => {
    const stage = await open()
    const client = await stage.client()
    const written = ENCODED[encoding]?.(UPSTREAM_TOKEN) ?? ''
    for (const [place, put] of Object.entries(PLACES)) {
      stage.answer('GET /numbers', (response) => put(response, written))
      const reply = await (place === 'pieces of one byte' ? await stage.client() : client).request(
        'GET /numbers',
      )
      if (place === 'pieces of one byte') expect(reply.whole).toBe(false)
      else {
        expect(reply.status, place).toBe(502)
        expect(reply.headers['content-type']).toBe('application/problem+json')
        expect(reply.body).toContain('holds the credential')
      }
      expect(JSON.stringify(reply), place).not.toContain(written)
    }
    await until('all have ended', () => stage.world.entries('outcome').length === Object.keys(PLACES).length)
    for (const { head } of stage.world.entries('outcome'))
      expect([head.outcome, head.tag]).toEqual(['refused', 'credential_reflected'])
    const kept = stage.world.journal.bytes().toString()
    expect(kept).not.toContain(written)
    expect(kept).not.toContain(UPSTREAM_TOKEN)
    expect(stage.world.reports).toHaveLength(Object.keys(PLACES).length)
    expect(
      JSON.stringify(stage.world.reports.map((each) => (each instanceof Error ? each.message : each))),
    ).not.toContain(UPSTREAM_TOKEN)
  })

  it('in UTF-16, in a masked answer, in the words of the status or in a cookie gets nothing through either (P-08)', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.answer('GET /numbers', (response) => response.end(Buffer.from(UPSTREAM_TOKEN, 'utf16le')))
    expect((await client.request('GET /numbers')).status).toBe(502)
    stage.json('GET /customers', { items: [{ email: 'a@b.c', note: UPSTREAM_TOKEN }] })
    expect((await client.request('GET /customers')).status).toBe(502)
    stage.answer('GET /numbers', (response) => {
      response.writeHead(200, UPSTREAM_TOKEN, { 'set-cookie': `t=${UPSTREAM_TOKEN}` }).end('[1]')
    })
    const reply = await client.request('GET /numbers')
    // Neither is passed on, so there is nothing to withhold.
    expect([reply.status, reply.body.includes('[1]')]).toEqual([200, true])
    expect(client.received().includes(UPSTREAM_TOKEN)).toBe(false)
  })

  it('behind the first bytes has its line cut, so that nobody takes a part for the whole', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.answer('GET /numbers', (response) => {
      response.write('{"harmless": "')
      setTimeout(() => response.end(`${UPSTREAM_TOKEN}"}`), 50)
    })
    const reply = await client.request('GET /numbers')
    expect([reply.status, reply.whole]).toEqual([200, false])
    expect(client.received().includes(UPSTREAM_TOKEN)).toBe(false)
  })

  it('that compresses unasked is not searched, and so not passed on', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.answer('GET /numbers', (response) =>
      response.writeHead(200, { 'content-encoding': 'br' }).end('xxxx'),
    )
    const reply = await client.request('GET /numbers')
    expect([reply.status, reply.body.includes('compressed')]).toEqual([502, true])
  })
})

describe('an answer that holds no credential', () => {
  it('is the same to the byte, in pieces and with what begins like one', async () => {
    const stage = await open()
    const client = await stage.client()
    const text = `{"a": "${UPSTREAM_TOKEN.slice(0, -1)}", "b": "${UPSTREAM_TOKEN.slice(0, 9)}`
    stage.answer('GET /numbers', (response) => {
      response.writeHead(200, { 'content-length': text.length, location: '/elsewhere' })
      inPieces(response, text)
    })
    const reply = await client.request('GET /numbers')
    expect([reply.status, reply.body, reply.headers['location']]).toEqual([200, text, '/c/api/elsewhere'])
  })
})
