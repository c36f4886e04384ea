import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import { HttpStage, httpConnection, UPSTREAM_TOKEN } from '../../testing/http-stage.ts'
import { until } from '../../testing/world.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(connection = httpConnection): Promise<HttpStage> {
  const stage = await HttpStage.open({ connection })
  stages.push(stage)
  return stage
}

/** With a route beside `/customers/{id}`, behind it. */
const withExport = (port: number): string =>
  httpConnection(port).replace(
    '      - { method: GET, path: /numbers,',
    '      - { method: GET, path: /customers/export, class: define }\n      - { method: GET, path: /numbers,',
  )

describe('a request that the upstream may read otherwise than the rules', () => {
  it.each([
    '/customers/..;',
    '/customers/..;x=1',
    '/customers/%2e%2e;x',
    '/customers/..%20',
    '/customers/%c0%ae%c0%ae',
    '/customers/%ef%bc%8f',
    '/customers/Export',
    '/customers/export;x=1',
    '/customers/export.csv',
    '/customers/export%20',
    '/customers/7?_method=DELETE',
    '/customers/7?a=1;.method=DELETE',
  ])('never reaches it: GET %s (C-01, C-02, P-03)', async (target) => {
    const stage = await open(withExport)
    const reply = await (await stage.client()).request(`GET ${target}`)
    expect([400, 403]).toContain(reply.status)
    expect(reply.headers['content-type']).toBe('application/problem+json')
    expect(stage.asked).toEqual([])
  })

  it('by the method in its body never reaches it, and is recorded as refused (C-02, P-03)', async () => {
    const stage = await open()
    const headers = ['content-type: application/x-www-form-urlencoded']
    const client = await stage.client()
    const reply = await client.request('POST /orders/1', { headers, body: 'a=1&_method=DELETE' })
    expect([reply.status, reply.body.includes('leave _method out')]).toEqual([403, true])
    expect(stage.world.entries('intent').map(({ head }) => head.decision)).toEqual(['deny'])
    expect(stage.asked).toEqual([])
  })

  it.each([
    ['application/x-www-form-urlencoded', 'gzip', '_method=DELETE', 403],
    ['application/json', 'gzip', '{"_method":"DELETE"}', 403],
    [
      'multipart/form-data; boundary=x',
      'gzip',
      '--x\r\nContent-Disposition: a; name="_method"\r\n\r\nX',
      403,
    ],
    ['application/json', 'gzip, gzip', '{}', 400],
    ['application/json', 'gzip', ' '.repeat(LIMITS.httpRequestBodyBytesMax + 1), 400],
  ])('by the method in a packed body never reaches it: %s, %s (C-02)', async (type, coding, text, status) => {
    const stage = await open()
    const client = await stage.client()
    const body = gzipSync(text)
    const head = `POST /c/api/orders/1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${client.token}\r\ncontent-type: ${type}\r\ncontent-encoding: ${coding}\r\n`
    const reply = await client.raw(
      Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]),
    )
    expect(reply.status).toBe(status)
    expect(stage.asked).toEqual([])
  })

  it('packed goes on as it came, its fields known to nobody', async () => {
    const stage = await open((port) =>
      httpConnection(port).replace(
        '{ method: POST, path: "/orders/{id}", class: write }',
        '{ method: POST, path: "/orders/{id}", class: read }',
      ),
    )
    stage.json('POST /orders/1', { ok: true })
    const client = await stage.client()
    const body = gzipSync('{"a":1}')
    const head = `POST /c/api/orders/1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${client.token}\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n`
    const reply = await client.raw(
      Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]),
    )
    expect(reply.status).toBe(200)
    expect(stage.asked[0]?.headers['content-encoding']).toBe('gzip')
    expect(stage.asked[0]?.body).toBe(body.toString())
  })

  it('by its fields goes on without those, in whatever form their names are (C-02)', async () => {
    const stage = await open((port) =>
      httpConnection(port).replace(
        'bearer: "${env:TOKEN}"',
        'credential: { kind: header, name: X-Api-Key, value: "${env:TOKEN}" }',
      ),
    )
    stage.json('GET /numbers', [1])
    const headers = [
      'X_HTTP_Method_Override: DELETE',
      'X_Api_Key: of-somebody-else',
      'X-Api.Key: of-somebody-else',
      'Content_Length: 5',
      'X-Forwarded-User: root',
      'X-Mine: yes',
    ]
    expect((await (await stage.client()).request('GET /numbers', { headers })).status).toBe(200)
    expect(stage.asked[0]?.headers).toEqual({
      host: `127.0.0.1:${stage.upstreamPort}`,
      connection: 'keep-alive',
      'accept-encoding': 'identity',
      'x-mine': 'yes',
      'x-api-key': UPSTREAM_TOKEN,
    })
  })

  it.each([
    ['two hosts', 'HTTP/1.1\r\nhost: a\r\nhost: b\r\n'],
    ['a host that is none', 'HTTP/1.1\r\nhost: a/b@c\r\n'],
    ['a coding besides chunks', 'HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n'],
    ['chunks in HTTP/1.0', 'HTTP/1.0\r\ntransfer-encoding: chunked\r\n'],
  ])('by its frame is refused: %s (C-03)', async (_name, head) => {
    const stage = await open()
    const client = await stage.client()
    const token = `authorization: Bearer ${client.token}\r\n`
    const reply = await client.raw(`POST /c/api/orders/1 ${head}${token}\r\n0\r\n\r\n`)
    expect(reply.status).toBe(400)
    expect(stage.world.entries('intent')).toEqual([])
  })

  it('with a key that the credential fills, however it is written, is refused', async () => {
    const stage = await open((port) =>
      httpConnection(port).replace(
        'bearer: "${env:TOKEN}"',
        'credential: { kind: query, name: api_key, value: "${env:TOKEN}" }',
      ),
    )
    const client = await stage.client()
    for (const query of ['API_KEY=x', 'api.key=x', 'a=%ff;api%5Fkey=x', 'api_key[]=x'])
      expect((await client.request(`GET /numbers?${query}`)).status).toBe(400)
    expect(stage.asked).toEqual([])
  })

  it('shows the token of the gateway in no second place, however that is escaped', async () => {
    const stage = await open()
    const client = await stage.client()
    const escaped = client.token.replace('s', '%73')
    expect((await client.request(`GET /numbers?x=%ff&y=${escaped}`)).status).toBe(400)
    expect(stage.asked).toEqual([])
  })
})

describe('an answer in which something is masked', () => {
  const FIELDS = { etag: '"of-the-whole"', 'last-modified': 'x', 'content-digest': 'sha-256=:x:' }

  it('has no condition asked of it, which would tell what is masked (C-07)', async () => {
    const stage = await open()
    stage.json('GET /customers', [])
    stage.json('GET /numbers', [])
    const headers = ['If-None-Match: "guess"', 'If-Match: "guess"', 'If-Modified-Since: x']
    const client = await stage.client()
    await client.request('GET /customers', { headers })
    await client.request('GET /numbers', { headers })
    const sent = stage.asked.map((each) => Object.keys(each.headers).filter((name) => name.startsWith('if-')))
    expect(sent).toEqual([[], ['if-none-match', 'if-match', 'if-modified-since']])
  })

  it('has no length, date or hash of it told by HEAD or by 304 (C-07)', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.answer('HEAD /customers', (response) =>
      response
        .writeHead(200, { ...FIELDS, 'content-length': '77', 'content-type': 'application/json' })
        .end(),
    )
    stage.answer('GET /customers', (response) => response.writeHead(304, FIELDS).end())
    for (const [request, status] of [
      ['HEAD /customers', 200],
      ['GET /customers', 304],
    ] as const) {
      const reply = await client.request(request)
      expect(reply.status).toBe(status)
      for (const name of ['etag', 'last-modified', 'content-digest'])
        expect(reply.headers).not.toHaveProperty(name)
      expect(reply.headers['content-length']).not.toBe('77')
    }
  })
})

describe('an upstream', () => {
  it('that packs its answer on the way, where nobody could find the credential, is not passed on (C-09, P-08)', async () => {
    const stage = await open()
    const packed = gzipSync(UPSTREAM_TOKEN)
    stage.answer('GET /numbers', (response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n')
      response.socket?.write(`${packed.length.toString(16)}\r\n`)
      response.socket?.write(Buffer.concat([packed, Buffer.from('\r\n0\r\n\r\n')]))
    })
    const client = await stage.client()
    const reply = await client.request('GET /numbers')
    expect([reply.status, reply.body.includes('packed on its way')]).toEqual([502, true])
    expect(client.received().includes(packed.subarray(10))).toBe(false)
  })
})

describe('a pipeline', () => {
  it('has so many requests judged at once and no more; the rest is refused, in order', async () => {
    const stage = await open()
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    stage.answer('GET /numbers', (response) => void released.then(() => response.end('[1]')))
    const client = await stage.client()
    const one = `GET /c/api/numbers HTTP/1.1\r\nhost: g\r\nauthorization: Bearer ${client.token}\r\n\r\n`
    client.socket.write(one.repeat(LIMITS.httpRequestsPerSocketMax + 40))
    await until('as many as may are there', () => stage.asked.length === LIMITS.httpRequestsPerSocketMax)
    release()
    const statuses = (): readonly (string | undefined)[] =>
      [
        ...client
          .received()
          .toString()
          .matchAll(/HTTP\/1\.1 (\d{3})/g),
      ].map(([, status]) => status)
    await until('all are answered', () => statuses().length === LIMITS.httpRequestsPerSocketMax + 40)
    expect(
      statuses()
        .slice(0, LIMITS.httpRequestsPerSocketMax)
        .every((each) => each === '200'),
    ).toBe(true)
    expect(
      statuses()
        .slice(LIMITS.httpRequestsPerSocketMax)
        .every((each) => each !== '200'),
    ).toBe(true)
    expect(stage.world.entries('intent')).toHaveLength(LIMITS.httpRequestsPerSocketMax)
  })
})
