/** Connections that are named by host: which host is asked, what TLS was told, and what the path is then. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCertificates } from '../../../net/index.ts'
import { httpConnection, HttpStage } from '../../../testing/http-stage.ts'

const ISSUER = 'https://login.example.com'
const HOST = 'api.gateway.example'
const DOCUMENT = '/.well-known/oauth-protected-resource'

let stage: HttpStage
let token: string
let authority: string

beforeAll(async () => {
  const made = await createCertificates({
    names: ['gateway.example', '*.gateway.example', 'crm.example'],
    now: Date.now(),
  })
  authority = made.authority
  stage = await HttpStage.open({
    tls: made,
    listen:
      'listen:\n  http: { port: 0, hosts: { below: [gateway.example], names: { crm.example: api } } }\n',
    connection: (port) =>
      `${httpConnection(port)}
  c: { protocol: http, upstream: { url: "http://127.0.0.1:${port}" }, routes: [{ method: GET, path: /c/api/customers }] }
  other: { protocol: http, upstream: { url: "http://127.0.0.1:${port}" }, routes: [{ method: GET, path: /customers }] }`,
    issuer: ISSUER,
  })
  stage.json('GET /customers', { items: [] }).json('GET /c/api/customers', { itself: true })
  token = (await stage.world.mint('http', 'api')).secret.reveal()
})

afterAll(() => stage.close())

type Ask = {
  readonly host?: string
  readonly sni?: string
  readonly token?: string
  readonly method?: string
}

async function ask(
  path: string,
  { host = HOST, sni = host, token: shown = token, method = 'GET' }: Ask = {},
) {
  const options: RequestOptions & { readonly servername: string } = {
    port: stage.port,
    host: '127.0.0.1',
    method,
    path,
    servername: sni,
    agent: false,
    headers: { host, ...(shown === '' ? {} : { authorization: `Bearer ${shown}` }) },
  }
  // Whoever asks for another name than the certificate's is the attacker, and checks nothing.
  const sent = httpsRequest({ ...options, ca: authority, checkServerIdentity: () => undefined }).end()
  return answerOf(sent)
}

async function answerOf(sent: ReturnType<typeof httpRequest>) {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
}

describe('a connection named by host', () => {
  it.each([HOST, `${HOST}:8443`, 'API.Gateway.Example', 'crm.example'])('is reached at %s', async (host) => {
    const sni = host.replace(/:.*/, '').toLowerCase()
    expect(await ask('/customers', { host, sni })).toMatchObject({ status: 200, body: '{"items":[]}' })
    expect(stage.asked.at(-1)).toMatchObject({ request: 'GET /customers' })
  })

  it('has its own addresses, with nothing in front of their paths', async () => {
    stage.answer('GET /customers', (response) =>
      response
        .writeHead(200, { link: `<http://127.0.0.1:${stage.upstreamPort}/customers?page=2>; rel="next"` })
        .end(),
    )
    expect((await ask('/customers')).headers.link).toBe(`<https://${HOST}/customers?page=2>; rel="next"`)
    stage.json('GET /customers', { items: [] })
  })

  it('has all paths for itself: /c/NAME is one of that API (P-03)', async () => {
    const before = stage.asked.length
    expect((await ask('/c/api/customers')).status).toBe(403)
    expect((await ask('/c/other/customers')).status).toBe(403)
    expect(stage.asked).toHaveLength(before)
    const { secret } = await stage.world.mint('http', 'c')
    const answer = await ask('/c/api/customers', { host: 'c.gateway.example', token: secret.reveal() })
    expect(answer).toMatchObject({ status: 200, body: '{"itself":true}' })
  })

  it('is reached by its path at every host that names none', async () => {
    expect((await ask('/c/api/customers', { host: 'gateway.example' })).status).toBe(200)
    expect((await ask('/c/api/customers', { host: 'a.b.gateway.example' })).status).toBe(200)
    expect((await ask('/customers', { host: 'gateway.example' })).status).toBe(404)
  })

  it('takes its own tokens and no others, and says the same where there is none of that name', async () => {
    const other = (await stage.world.mint('http', 'other')).secret.reveal()
    const [there, nowhere] = [
      await ask('/customers', { token: other }),
      await ask('/customers', { token: other, host: 'nothing.gateway.example' }),
    ]
    expect(there.status).toBe(401)
    expect(nowhere.status).toBe(401)
    expect(nowhere.body).toBe(there.body.replace('not api', 'not nothing'))
  })

  it.each([
    ['another connection', HOST, 'other.gateway.example', '/customers'],
    ['the gateway', HOST, 'gateway.example', '/customers'],
    [
      'a connection, by a path at the gateway',
      'gateway.example',
      'other.gateway.example',
      '/c/api/customers',
    ],
    ['another name of the same connection', HOST, 'crm.example', '/customers'],
  ])('is refused on a TLS line that was made for %s (P-03)', async (_which, host, sni, path) => {
    const before = stage.asked.length
    expect(await ask(path, { host, sni })).toMatchObject({ status: 421 })
    expect(stage.asked).toHaveLength(before)
  })

  it.each([`${HOST}.`, 'api%2egateway.example', 'api.gateway.example%2e', '%61pi.gateway.example'])(
    'is refused where its host can be read in two ways: %s',
    async (host) => {
      expect(await ask('/c/api/customers', { host, sni: 'localhost' })).toMatchObject({ status: 400 })
    },
  )

  it('is not named by the host of an absolute target', async () => {
    const before = stage.asked.length
    for (const target of [
      'https://other.gateway.example/customers',
      'https://api.gateway.example/customers',
    ]) {
      expect((await ask(target)).status).toBe(400)
    }
    expect(stage.asked).toHaveLength(before)
  })

  it('is named in clear on loopback as well, where there is no other name', async () => {
    const sent = httpRequest({
      port: stage.port,
      host: '127.0.0.1',
      path: '/customers',
      headers: { host: HOST, authorization: `Bearer ${token}` },
    }).end()
    expect(await answerOf(sent)).toMatchObject({ status: 200 })
  })

  it('is a resource of its own (RFC 9728): all of its host', async () => {
    const refused = await ask('/customers', { token: '' })
    expect(refused.status).toBe(401)
    const url = `https://${HOST}${DOCUMENT}`
    expect(refused.headers['www-authenticate']).toBe(`Bearer resource_metadata="${url}"`)
    expect(JSON.parse((await ask(DOCUMENT, { token: '' })).body)).toMatchObject({
      resource: `https://${HOST}`,
      authorization_servers: [ISSUER],
    })
    expect((await ask(`${DOCUMENT}/c/api`, { token: '' })).status).toBe(401)
    const nowhere = await ask('/customers', { token: '', host: 'nothing.gateway.example' })
    expect(nowhere.headers['www-authenticate']).toBe(
      `Bearer resource_metadata="https://nothing.gateway.example${DOCUMENT}"`,
    )
  })
})
