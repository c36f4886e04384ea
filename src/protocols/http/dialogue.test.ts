import { afterEach, describe, expect, it } from 'vitest'
import { HTTP_CANARIES, HttpStage, UPSTREAM_TOKEN } from '../../testing/http-stage.ts'
import { turns } from '../../testing/pipe-pair.ts'
import { until } from '../../testing/world.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(): Promise<HttpStage> {
  const stage = await HttpStage.open()
  stages.push(stage)
  return stage
}

const ALICE = { id: 1, email: HTTP_CANARIES[0], card: HTTP_CANARIES[1], note: 'plain' }

describe('a request', () => {
  it("carries the upstream's credential there and never the client's", async () => {
    const stage = await open()
    stage.json('GET /numbers', [1])
    const client = await stage.client()
    await client.request('GET /numbers', {
      headers: ['cookie: a=b', 'x-forwarded-for: 10.0.0.1', 'x-http-method-override: DELETE', 'x-mine: yes'],
    })
    const [asked] = stage.asked
    expect(asked?.headers).toMatchObject({
      authorization: `Bearer ${UPSTREAM_TOKEN}`,
      host: `127.0.0.1:${stage.upstreamPort}`,
      'accept-encoding': 'identity',
      'x-mine': 'yes',
    })
    expect(JSON.stringify(asked?.headers)).not.toContain(client.token)
    expect(Object.keys(asked?.headers ?? {})).not.toContain('cookie')
    expect(Object.keys(asked?.headers ?? {})).not.toContain('x-forwarded-for')
  })

  it.each([
    'GET /customers/../secrets',
    'GET /customers/%2e%2e/secrets',
    'GET //customers',
    'GET /customers%2f1',
    'GET /unknown',
    'GET /customers/',
    'PUT /customers',
    'OPTIONS /customers',
  ])('that is no configured route never reaches the upstream: %s (P-03)', async (line) => {
    const stage = await open()
    const reply = await (await stage.client()).request(line)
    expect([400, 403]).toContain(reply.status)
    expect(reply.headers['content-type']).toBe('application/problem+json')
    expect(stage.asked).toEqual([])
  })

  it.each([
    ['without a token', 'GET /c/api/customers HTTP/1.1\r\nhost: gateway\r\n\r\n', 401],
    [
      'with another scheme',
      'GET /c/api/customers HTTP/1.1\r\nhost: gateway\r\nauthorization: Basic YTpi\r\n\r\n',
      401,
    ],
    [
      'without a connection',
      'GET /customers HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer x\r\n\r\n',
      404,
    ],
    ['without a host', 'GET /c/api/customers HTTP/1.1\r\n\r\n', 400],
    ['that is not HTTP', '\x16\x03\x01nonsense\r\n\r\n', 400],
    [
      'with two lengths',
      'POST /c/api/orders/1 HTTP/1.1\r\nhost: g\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
      400,
    ],
    [
      'with a length and chunks',
      'POST /c/api/orders/1 HTTP/1.1\r\nhost: g\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
  ])('%s is refused', async (_name, text, status) => {
    const stage = await open()
    const reply = await (await stage.client()).raw(text)
    expect(reply.status).toBe(status)
    expect(stage.asked).toEqual([])
    expect(stage.world.gateway.sessions()).toEqual([])
  })

  it('whose credential is revoked while its body arrives opens nothing', async () => {
    const stage = await open()
    const minted = await stage.world.mint('http', 'api')
    const client = await stage.client(minted)
    const head = `POST /c/api/orders/1 HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\ncontent-length: 4\r\n\r\n`
    client.socket.write(`${head}ab`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await stage.world.credentials.revoke(minted.credential.id, 'test')
    expect((await client.raw('cd')).status).toBe(401)
    expect(stage.asked).toEqual([])
    expect(stage.world.gateway.sessions()).toEqual([])
  })

  it('with a body is recorded with it, and the same request with another body is another command', async () => {
    const stage = await open()
    stage.json('POST /orders/1', { ok: true })
    const client = await stage.client()
    const first = client.request('POST /orders/1', { body: '{"a":1}' })
    await until('it is held', () => stage.world.waiting().length === 1)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    expect((await first).status).toBe(200)
    const second = client.request('POST /orders/1', { body: '{"a":2}' })
    await until('the other is held', () => stage.world.waiting().length === 1)
    expect(stage.world.waiting()[0]).not.toBe(ticket)
    expect(stage.asked.map((each) => each.body)).toEqual(['{"a":1}'])
    const [other] = stage.world.waiting()
    if (other !== undefined) await stage.world.answer(other, 'refuse')
    expect((await second).status).toBe(403)
  })
})

describe('the recording of a request', () => {
  it('has its body sealed where fields of the route have labels, and an answer that gives it back (P-06)', async () => {
    const stage = await open()
    stage.json('GET /customers', { found: 'new@x.org' })
    const client = await stage.client()
    expect((await client.request('GET /customers', { body: '{"email":"new@x.org"}' })).status).toBe(200)
    expect(stage.asked[0]?.body).toBe('{"email":"new@x.org"}')
    const [intent] = stage.world.entries('intent')
    expect(intent?.head).toMatchObject({
      text: 'GET /customers',
      parameters: ['[sealed 1]'],
      sealed: [{ labels: ['pii.email', 'secret'], numbers: [1] }],
    })
    await until('it has ended', () => stage.world.entries('outcome').length === 1)
    const all = [...stage.world.entries('result'), ...stage.world.entries('outcome')]
    expect(all.some(({ head }) => head.sealed?.join() === 'pii.email,secret')).toBe(true)
    for (const { body } of all) expect(Buffer.from(body ?? []).toString()).not.toContain('new@x.org')
    // No label, nothing sealed.
    stage.json('GET /numbers', [1])
    await client.request('GET /numbers', { body: '{"a":"plain"}' })
    const [, plain] = stage.world.entries('intent')
    expect(plain?.head).toMatchObject({ parameters: [Buffer.from('{"a":"plain"}').toString('base64')] })
    expect(plain?.head.sealed).toBeUndefined()
  })
})

describe('an answer', () => {
  it.each([
    ['HTML', 'text/html', `<p>${HTTP_CANARIES[0]}</p>`],
    ['text', 'text/plain', JSON.stringify(ALICE)],
    ['no type', '', JSON.stringify(ALICE)],
    ['broken JSON', 'application/json', `{"items":[{"email":"${HTTP_CANARIES[0]}"`],
    [
      'JSON with something behind it',
      'application/json',
      `${JSON.stringify(ALICE)}{"email":"${HTTP_CANARIES[0]}"}`,
    ],
    ['another charset', 'application/json; charset=utf-16', JSON.stringify(ALICE)],
    ['a table without names', 'text/csv', `1,${HTTP_CANARIES[0]}\n`],
    ['XML with a document type', 'text/xml', `<!DOCTYPE a><a><email>${HTTP_CANARIES[0]}</email></a>`],
  ])('with protected fields that cannot be read is withheld: %s (P-02, P-03)', async (_name, type, body) => {
    const stage = await open()
    stage.json('GET /customers/1', body, 200, type)
    const client = await stage.client()
    const reply = await client.request('GET /customers/1')
    expect(reply.status).toBe(403)
    expect(reply.body).toContain('withheld')
    for (const canary of HTTP_CANARIES) {
      expect(client.received().includes(canary)).toBe(false)
      expect(stage.world.journal.bytes().includes(canary)).toBe(false)
    }
    expect(stage.world.entries('outcome').map(({ head }) => head.outcome)).toEqual(['refused'])
  })

  it('that is compressed although nobody asked for it is withheld (P-02)', async () => {
    const stage = await open()
    stage.answer('GET /customers/1', (response) => {
      const body = JSON.stringify(ALICE)
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'x-mine' }).end(body)
    })
    const client = await stage.client()
    expect((await client.request('GET /customers/1')).status).toBe(403)
    for (const canary of HTTP_CANARIES) expect(client.received().includes(canary)).toBe(false)
  })

  it('says how much of it was masked, and has the length that it has now', async () => {
    const stage = await open()
    stage.json('GET /customers/1', ALICE)
    const reply = await (await stage.client()).request('GET /customers/1')
    expect(reply.whole).toBe(true)
    expect(JSON.parse(reply.body)).toEqual({
      id: 1,
      email: 'c***@example.com',
      card: '[masked]',
      note: 'plain',
    })
    expect(reply.headers['sluice-masked']).toMatch(/^2; /)
  })

  it('without a body stays one', async () => {
    const stage = await open()
    stage.answer('HEAD /customers', (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1234 }).end()
    })
    stage.answer('GET /customers', (response) => {
      response.writeHead(304, { etag: '"1"' }).end()
    })
    const client = await stage.client()
    expect(await client.request('HEAD /customers')).toMatchObject({ status: 200, body: '' })
    expect(await client.request('GET /customers')).toMatchObject({ status: 304, body: '' })
    expect((await client.request('GET /unknown')).status).toBe(403)
  })

  it('too long to be shown is refused in words when its length is known, and cut off when it is not (P-03)', async () => {
    const stage = await open()
    stage.json('GET /numbers', 'x'.repeat(20_000), 200, 'text/plain')
    const client = await stage.client()
    const reply = await client.request('GET /numbers')
    expect(reply).toMatchObject({ status: 413, whole: true })
    stage.answer('GET /numbers', (response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write('y'.repeat(10_000))
      setTimeout(() => response.end('z'.repeat(10_000)), 20)
    })
    const cut = await client.request('GET /numbers')
    expect(cut).toMatchObject({ status: 200, whole: false })
    expect(cut.body).not.toContain('z')
    expect(stage.world.entries('outcome').map(({ head }) => head.outcome)).toEqual(['cut', 'cut'])
  })

  it('that leads elsewhere is passed on, not followed', async () => {
    const stage = await open()
    stage.answer('GET /numbers', (response) => {
      response.writeHead(302, { location: 'http://169.254.169.254/secrets', 'set-cookie': 'a=b' }).end()
    })
    const reply = await (await stage.client()).request('GET /numbers')
    expect(reply.status).toBe(302)
    expect(reply.headers['set-cookie']).toBeUndefined()
    expect(stage.asked).toHaveLength(1)
  })

  it('of an upstream that is not there is told as such, without its address', async () => {
    const stage = await open()
    stage.answer('GET /numbers', (response) => response.socket?.destroy())
    const client = await stage.client()
    const reply = await client.request('GET /numbers')
    expect(reply.status).toBe(502)
    expect(client.received().includes(String(stage.upstreamPort))).toBe(false)
    expect(stage.world.entries('outcome').map(({ head }) => head.outcome)).toEqual(['error'])
  })
})

describe('requests on one connection', () => {
  it('are answered in order, and are commands of one session', async () => {
    const stage = await open()
    stage.json('GET /numbers', [1]).json('GET /customers/1', ALICE)
    const client = await stage.client()
    const one = `GET /c/api/numbers HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\n\r\n`
    const two = one.replace('/numbers', '/customers/1')
    expect((await client.raw(`${one}${two}${one}`)).body).toBe('[1]')
    expect((await client.raw('')).body).toContain('c***@example.com')
    expect((await client.raw('')).body).toBe('[1]')
    expect(stage.world.entries('open')).toHaveLength(1)
    expect(stage.world.entries('intent').map(({ head }) => head.n)).toEqual([1, 2, 3])
    client.socket.end()
    await until('the end is recorded', () => stage.world.entries('close').length === 1)
    expect(stage.world.entries('close')[0]?.head.commands).toBe(3)
  })

  it('with two tokens are two sessions', async () => {
    const stage = await open()
    stage.json('GET /numbers', [1])
    const client = await stage.client()
    const other = await stage.world.mint('http', 'api')
    await client.request('GET /numbers')
    await client.request('GET /numbers', { token: other.secret.reveal() })
    expect(stage.world.entries('open')).toHaveLength(2)
  })

  it('end their session after five idle minutes; the next one begins another', async () => {
    const stage = await open()
    stage.json('GET /numbers', [1])
    const client = await stage.client()
    await client.request('GET /numbers')
    // The answer is with the client a moment before the request has ended here.
    await turns(50)
    stage.world.clock.advance(5 * 60 * 1000)
    expect(stage.world.entries('close').map(({ head }) => head.reason)).toEqual(['idle'])
    expect((await client.request('GET /numbers')).status).toBe(200)
    expect(stage.world.entries('open')).toHaveLength(2)
  })
})
