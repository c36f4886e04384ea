import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { HttpStage, httpConnection } from '../../../testing/http-stage.ts'
import { until } from '../../../testing/world.ts'
import { httpSettings } from '../settings.ts'

const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
})

async function open(credential: string, secrets: Readonly<Record<string, string>>): Promise<HttpStage> {
  const stage = await HttpStage.open({
    connection: (port) => httpConnection(port).replace('bearer: "${env:TOKEN}"', `credential: ${credential}`),
    secrets,
  })
  stages.push(stage)
  stage.json('GET /numbers', [1])
  return stage
}

const SECRET = 'a secret:with/odd+characters'

describe('a fixed credential', () => {
  it.each([
    ['a field', '{ kind: header, name: X-Api-Key, value: "${env:S}" }', { 'x-api-key': SECRET }],
    [
      'a scheme',
      '{ kind: header, name: Authorization, scheme: Token, value: "${env:S}" }',
      { authorization: `Token ${SECRET}` },
    ],
    [
      'basic',
      '{ kind: basic, username: svc, password: "${env:S}" }',
      { authorization: `Basic ${btoa(`svc:${SECRET}`)}` },
    ],
    ['bearer', '{ kind: bearer, token: "${env:S}" }', { authorization: `Bearer ${SECRET}` }],
  ])('is put on as %s', async (_name, credential, fields) => {
    const stage = await open(credential, { S: SECRET })
    const reply = await (await stage.client()).request('GET /numbers')
    expect(reply.status).toBe(200)
    expect(stage.asked[0]?.headers).toMatchObject(fields)
    stage.answer('GET /numbers', (response, { headers }) => response.end(JSON.stringify(headers)))
    expect((await (await stage.client()).request('GET /numbers')).status).toBe(502)
  })

  it('is put on as a key of the query, which nobody else sees', async () => {
    const stage = await open('{ kind: query, name: key, value: "${env:S}" }', { S: SECRET })
    const written = `/numbers?key=${encodeURIComponent(SECRET)}`
    stage.json(`GET ${written}`, [1])
    expect((await (await stage.client()).request('GET /numbers')).status).toBe(200)
    expect(stage.asked[0]?.request).toBe(`GET ${written}`)
    expect(stage.world.journal.bytes().toString()).not.toContain('odd')
    // As servers do that put a slash behind a path.
    stage.answer(`GET ${written}`, (response, { request }) => {
      response.writeHead(301, { location: request.slice(4).replace('?', '/?') }).end()
    })
    const reply = await (await stage.client()).request('GET /numbers')
    expect([reply.status, reply.headers['location']]).toEqual([502, undefined])
  })

  it.each([
    ['that is too short to be searched for', '1234567'],
    ['that a field cannot hold', 'line\nbreak-and-more'],
  ])('%s is not used', async (_name, value) => {
    const stage = await open('{ kind: bearer, token: "${env:S}" }', { S: value })
    const reply = await (await stage.client()).request('GET /numbers')
    expect(reply.status).toBe(502)
    expect(reply.body).toContain('The credential of this connection cannot be had')
    expect(stage.asked).toEqual([])
  })
})

describe('a fixed credential that was replaced at its source', () => {
  it('is read anew after a 401, and tried once more; one that is still the same is not', async () => {
    const stage = await open('{ kind: bearer, token: "${env:S}" }', { S: 'the-first-secret' })
    const client = await stage.client()
    stage.answer('GET /numbers', (response, { headers }) => {
      const isNew = headers.authorization === 'Bearer the-second-secret'
      stage.secrets['S'] = 'the-second-secret'
      response.writeHead(isNew ? 200 : 401).end('[1]')
    })
    expect((await client.request('GET /numbers')).status).toBe(200)
    expect(stage.asked.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer the-first-secret',
      'Bearer the-second-secret',
    ])
    // The answer may hold neither of the two that it was sent with.
    stage.secrets['S'] = 'the-third-secret'
    stage.answer('GET /numbers', (response, { headers }) => {
      stage.secrets['S'] = 'the-fourth-secret'
      response
        .writeHead(headers.authorization === 'Bearer the-fourth-secret' ? 200 : 401)
        .end('the-third-secret')
    })
    const reply = await client.request('GET /numbers')
    expect([reply.status, reply.body.includes('third')]).toEqual([502, false])
    stage.answer('GET /numbers', (response) => response.writeHead(401).end('no'))
    expect((await client.request('GET /numbers')).status).toBe(401)
    expect(stage.asked).toHaveLength(5)
  })
})

describe('the settings of a credential', () => {
  const upstream = (more: object): unknown => ({ upstream: { url: 'https://api.example', ...more } })
  const issues = (value: unknown): string => JSON.stringify(httpSettings.safeParse(value).error?.issues ?? [])
  const oauth = { kind: 'clientCredentials', clientId: 'a', clientSecret: '${env:S}' }

  it.each([
    [
      'two at once',
      upstream({ bearer: '${env:A}', credential: { kind: 'bearer', token: '${env:A}' } }),
      'expected either bearer or credential',
    ],
    [
      'a token endpoint without TLS',
      upstream({ credential: { ...oauth, tokenUrl: 'http://issuer.example/token' } }),
      'expected an https URL',
    ],
    [
      'a token endpoint with a password',
      upstream({ credential: { ...oauth, tokenUrl: 'https://a:b@issuer.example/token' } }),
      'expected an https URL',
    ],
    [
      'a field that frames',
      upstream({ credential: { kind: 'header', name: 'Content-Length', value: '${env:A}' } }),
      'expected a field that holds a credential',
    ],
    [
      'the secret itself',
      upstream({ credential: { kind: 'bearer', token: 'sk_live_1' } }),
      'got the value itself',
    ],
    [
      'a certificate on a line without TLS',
      {
        upstream: {
          url: 'http://127.0.0.1:1',
          credential: { kind: 'mutualTls', certificate: '${file:a}', key: '${file:b}' },
        },
      },
      'expected an https URL for mutualTls',
    ],
    [
      'scope and audience',
      upstream({ credential: { kind: 'googleServiceAccount', key: '${file:a}', scope: 'a', audience: 'b' } }),
      'expected either scope or audience',
    ],
    [
      'a slot twice',
      {
        ...(upstream({}) as object),
        client: {
          slots: [
            { kind: 'header', name: 'A' },
            { kind: 'header', name: 'a' },
          ],
        },
      },
      'expected each place once',
    ],
  ])('are refused with %s', (_name, value, message) => {
    const found = issues(value)
    expect(found).toContain(message)
    expect(found).not.toContain('sk_live')
  })

  it('take http for a token endpoint on this machine', () => {
    for (const tokenUrl of [
      'http://127.0.0.1:1/token',
      'http://localhost/token',
      'http://[::1]:1/t',
      'https://a.example/t',
    ])
      expect(issues(upstream({ credential: { ...oauth, tokenUrl } }))).toBe('[]')
  })
})

const OAUTH_SECRET = 'client-secret-0123456789'

/** The fake API is its own issuer; tokens are numbered. `taken`: which one it takes. */
async function openOAuth(more = '') {
  const issued: string[] = []
  let taken = 1
  const stage = await HttpStage.open({
    connection: (port) =>
      httpConnection(port).replace(
        'bearer: "${env:TOKEN}"',
        `credential: { kind: clientCredentials, tokenUrl: "http://127.0.0.1:${port}/token", clientId: gw, clientSecret: "\${env:S}"${more} }`,
      ),
    secrets: { S: OAUTH_SECRET },
  })
  stages.push(stage)
  stage.answer('POST /token', (response, { headers, body }) => {
    issued.push(`${headers.authorization ?? ''} ${body}`)
    const token = { access_token: `access-token-${issued.length}`, token_type: 'Bearer', expires_in: 120 }
    setTimeout(
      () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(token)),
      20,
    )
  })
  for (const request of ['GET /numbers', 'POST /orders/1', 'DELETE /customers']) {
    stage.answer(request, (response, { headers }) => {
      response.writeHead(headers.authorization === `Bearer access-token-${taken}` ? 200 : 401).end('[1]')
    })
  }
  const asked = (): readonly string[] =>
    stage.asked.map((each) => each.request).filter((each) => !each.includes('/token'))
  return { stage, issued, asked, take: (n: number) => (taken = n) }
}

describe('a credential that is issued', () => {
  it('is asked for once, by many requests at the same time, and renewed ahead of its end', async () => {
    const { stage, issued, take } = await openOAuth()
    const clients = await Promise.all(Array.from({ length: 8 }, () => stage.client()))
    const all = async (): Promise<number[]> =>
      (await Promise.all(clients.map((each) => each.request('GET /numbers')))).map(({ status }) => status)
    expect(new Set(await all())).toEqual(new Set([200]))
    expect(issued).toEqual([
      `Basic ${btoa(`gw:${OAUTH_SECRET.replaceAll('-', '%2D')}`)} grant_type=client_credentials`,
    ])
    stage.world.clock.advance(89_000)
    await all()
    expect(issued).toHaveLength(1)
    stage.world.clock.advance(1_000)
    await all()
    await until('it is renewed', () => issued.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 60))
    take(2)
    expect(new Set(await all())).toEqual(new Set([200]))
    expect(issued).toHaveLength(2)
    expect(stage.world.journal.bytes().toString()).not.toMatch(/access-token|client-secret/)
  })

  it('is renewed after a 401, and what may be sent twice is sent once more', async () => {
    const { stage, issued, asked, take } = await openOAuth()
    const client = await stage.client()
    await client.request('GET /numbers')
    take(2)
    stage.world.clock.advance(60_000)
    expect((await client.request('GET /numbers')).status).toBe(200)
    expect(asked()).toEqual(['GET /numbers', 'GET /numbers', 'GET /numbers'])
    expect(issued).toHaveLength(2)
    // One command, one outcome, whatever it took.
    expect(stage.world.entries('intent')).toHaveLength(2)
    // Not again and again: a token that is seconds old is not given up.
    take(9)
    expect((await client.request('GET /numbers')).status).toBe(401)
    expect(asked()).toHaveLength(4)
    expect(issued).toHaveLength(2)
  })

  it('is renewed after the 401 of a request that may not be sent twice, for the next', async () => {
    const { stage, issued, asked, take } = await openOAuth()
    const client = await stage.client()
    await client.request('GET /numbers')
    take(2)
    stage.world.clock.advance(60_000)
    const held = client.request('POST /orders/1', { body: '{}' })
    await until('it is held', () => stage.world.waiting().length === 1)
    const [ticket] = stage.world.waiting()
    if (ticket !== undefined) await stage.world.answer(ticket, 'approve')
    expect((await held).status).toBe(401)
    expect(asked()).toEqual(['GET /numbers', 'POST /orders/1'])
    expect(issued).toHaveLength(2)
    expect((await client.request('GET /numbers')).status).toBe(200)
  })

  it.each([
    ['refuses in words', 400, { error: 'invalid_client', error_description: `no ${OAUTH_SECRET}` }, {}],
    ['sends elsewhere', 307, {}, { location: '/elsewhere' }],
    ['answers with too much', 200, { access_token: 'x'.repeat(70_000), token_type: 'bearer' }, {}],
    ['gives what is no token', 200, { access_token: 'a b\n cdefgh', token_type: 'bearer' }, {}],
    ['gives what is too short to search for', 200, { access_token: 'abc', token_type: 'bearer' }, {}],
  ])(
    'cannot be had when the issuer %s, and none of its words are told',
    async (_name, status, body, fields) => {
      const { stage } = await openOAuth()
      stage.answer('POST /token', (response) =>
        response
          .writeHead(status, { 'content-type': 'application/json', ...fields })
          .end(JSON.stringify(body)),
      )
      const reply = await (await stage.client()).request('GET /numbers')
      expect([reply.status, reply.body.includes('cannot be had')]).toEqual([502, true])
      expect(stage.asked.map((each) => each.request)).toEqual(['POST /token'])
      const told =
        reply.body +
        stage.world.reports.map((each) => inspect(each, { depth: 9 })).join('') +
        stage.world.journal.bytes().toString()
      expect(told).not.toContain(OAUTH_SECRET)
      expect(told).not.toContain('xxxxxxxx')
      expect(stage.world.reports).toHaveLength(1)
    },
  )

  it('does not come back, nor does the secret that it was got with (P-08)', async () => {
    const { stage } = await openOAuth()
    const client = await stage.client()
    for (const told of ['access-token-1', OAUTH_SECRET]) {
      stage.answer('GET /numbers', (response) => response.end(`{"you": "${told}"}`))
      const reply = await client.request('GET /numbers')
      expect([reply.status, reply.body.includes(told)]).toEqual([502, false])
    }
  })

  it('does not come back while it is still good, though another is sent by now (C-09, P-08)', async () => {
    const { stage, issued, take } = await openOAuth()
    const client = await stage.client()
    await client.request('GET /numbers')
    stage.world.clock.advance(90_000)
    await client.request('GET /numbers')
    await until('it is renewed', () => issued.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 60))
    take(2)
    // As an API does that shows the requests before this one.
    stage.answer('GET /numbers', (response) => response.end('{"last": "Bearer access-token-1"}'))
    const reply = await client.request('GET /numbers')
    expect(stage.asked.at(-1)?.headers.authorization).toBe('Bearer access-token-2')
    expect([reply.status, reply.body.includes('access-token-1')]).toEqual([502, false])
  })
})
