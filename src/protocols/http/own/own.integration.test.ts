import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readConfiguration } from '../../../composition/configuration.ts'
import { brand, isGatewayError, LIMITS } from '../../../core/index.ts'
import { httpConnection, HttpStage, UPSTREAM_TOKEN } from '../../../testing/http-stage.ts'
import { AGENT_RULES, configurationOf, STRICT_RULES, until } from '../../../testing/world.ts'

const OPENAPI = `openapi: 3.1.0
info: { title: CRM, version: "1", x-owner: somebody-inside }
servers: [{ url: "https://crm.internal:8443/secret-base" }]
security: [{ internal: [] }]
tags: [{ name: people }, { name: keys-nobody-hears-of }]
paths:
  /people:
    get:
      operationId: listPeople
      tags: [people]
      x-amazon-apigateway-integration: { uri: "https://lambda.internal" }
      responses:
        "200":
          description: people
          content:
            application/json:
              schema: { type: array, items: { $ref: "#/components/schemas/Person" } }
              example: [{ email: canary.example@example.com }]
  /people/{person-id}:
    get: { operationId: getPerson, responses: { "200": { description: one } } }
    post: { operationId: changePerson, responses: { "200": { description: done } } }
  /api-keys:
    post:
      operationId: makeKey
      tags: [keys-nobody-hears-of]
      responses:
        "200": { description: key, content: { application/json: { schema: { $ref: "#/components/schemas/Key" } } } }
components:
  securitySchemes: { internal: { type: apiKey, in: header, name: X-Internal } }
  schemas:
    Person:
      type: object
      properties:
        email: { type: string, x-sluice-label: pii.email, example: canary.example@example.com }
        example: { $ref: "#/components/schemas/Note" }
    Note: { type: string }
    Key: { type: object, properties: { secretName: { type: string } } }
`
const SDL = `type Customer { email: String name: String }
type Query { customer(id: ID): Customer }
type Mutation { deleteCustomer(id: ID): ID }
`

const folders: string[] = []
const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function described(port: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-own-'))
  folders.push(folder)
  writeFileSync(join(folder, 'crm.yaml'), OPENAPI)
  writeFileSync(join(folder, 'crm.graphql'), SDL)
  return `  api:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}", bearer: "\${env:TOKEN}" }
    openapi: { file: ${join(folder, 'crm.yaml')} }
    graphql: { schema: ${join(folder, 'crm.graphql')} }
    labels: { Customer.email: pii.email }
    patience: 20s`
}

async function open(connection: (port: number) => string = httpConnection) {
  const stage = await HttpStage.open({ connection })
  stages.push(stage)
  const base = `http://127.0.0.1:${stage.port}/c/api`
  const { secret } = await stage.world.mint('http', 'api')
  const ask = (path: string, token = secret.reveal(), method = 'GET') =>
    fetch(base + path, { method, headers: { authorization: `Bearer ${token}` } })
  return { stage, base, ask, token: secret.reveal() }
}

type Route = { readonly method: string; readonly path: string; readonly [name: string]: unknown }

describe('/.sluice/policy', () => {
  it('tells which routes this identity may use, how, and what is masked in them', async () => {
    const { stage, ask, base } = await open()
    const response = await ask('/.sluice/policy')
    expect(response.headers.get('cache-control')).toBe('no-store')
    const told = (await response.json()) as { readonly routes: readonly Route[] }
    expect(told).toMatchObject({
      connection: 'api',
      identity: 'agent:agent',
      waits: { seconds: 30 },
      tickets: `${base}/.sluice/tickets/{ticket}`,
    })
    const routes = told.routes.map(({ method, path, runs }) => `${method} ${path}: ${String(runs)}`)
    expect(routes).toContain('GET /customers: at once')
    expect(routes).toContain('POST /orders/{id}: after approval')
    expect(routes.filter((each) => each.startsWith('DELETE'))).toEqual([])
    expect(told.routes.find(({ path, method }) => path === '/customers' && method === 'GET')?.masked).toEqual(
      [
        { path: '**.email', label: 'pii.email', shown: 'masked: partial (email)' },
        { path: 'items[].card', label: 'secret', shown: 'masked: full' },
      ],
    )
    expect(JSON.stringify(told)).not.toContain(UPSTREAM_TOKEN)
    expect(JSON.stringify(told)).not.toContain(String(stage.upstreamPort))
    expect(stage.asked).toEqual([])
  })

  it('is of the rules in force, of GraphQL as well, and recorded as every command is (P-04)', async () => {
    const { stage, ask } = await open(described)
    const before = (await (await ask('/.sluice/policy')).json()) as { readonly routes: readonly Route[] }
    expect(before.routes.find(({ method, path }) => method === 'POST' && path === '/graphql')).toMatchObject({
      graphql: { queries: 'at once', mutations: 'after approval' },
      masked: [{ field: 'Customer.email', label: 'pii.email', shown: 'masked: partial (email)' }],
    })
    expect(before.routes.map(({ operation }) => operation)).not.toContain('makeKey')
    stage.world.adopt(configurationOf(described(stage.upstreamPort), STRICT_RULES))
    expect(await (await ask('/.sluice/policy')).json()).toMatchObject({ routes: [] })
    const intents = stage.world.entries('intent').map(({ head }) => head.text)
    expect(intents).toEqual(['GET /.sluice/policy', 'GET /.sluice/policy'])
    expect(stage.world.entries('outcome').map(({ head }) => head.outcome)).toEqual(['ok', 'ok'])
  })
})

describe('/.sluice/openapi.json', () => {
  it('is the description with what this identity may use, and nothing of how the API is reached (P-08)', async () => {
    const { ask, base } = await open(described)
    const text = await (await ask('/.sluice/openapi.json')).text()
    const document = JSON.parse(text) as {
      readonly paths: Record<string, object>
      readonly [name: string]: unknown
    }
    expect(
      Object.entries(document.paths).map(([path, item]) => `${path} ${Object.keys(item).join()}`),
    ).toEqual(['/people get', '/people/{person-id} get,post'])
    expect(document).toMatchObject({
      servers: [{ url: base }],
      tags: [{ name: 'people' }],
      components: {
        securitySchemes: { sluice1: { type: 'http', scheme: 'bearer' } },
        schemas: {
          Person: {
            properties: {
              email: { 'x-sluice-label': 'pii.email' },
              example: { $ref: '#/components/schemas/Note' },
            },
          },
          Note: { type: 'string' },
        },
      },
    })
    for (const hidden of ['internal', 'canary', 'makeKey', 'secretName', 'nobody-hears', 'somebody-inside'])
      expect(text).not.toContain(hidden)
  })

  it('is not there where the connection has no description', async () => {
    const { ask } = await open()
    expect((await ask('/.sluice/openapi.json')).status).toBe(404)
  })
})

describe('/.sluice/tickets', () => {
  it('are told to the chain that asked, and to nobody else', async () => {
    const { stage, ask, token, base } = await open()
    const held = fetch(`${base}/orders/1`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    await until('it is held', () => stage.world.waiting().length === 1)
    const [ticket = brand('')] = stage.world.waiting()
    const at = `/.sluice/tickets/${ticket}`
    expect((await ask(at)).status).toBe(200)
    const agent = { kind: 'agent', name: 'agent', issuer: 'local', groups: ['agents'] } as const
    const others = [
      [{ ...agent, name: 'another' }],
      [{ ...agent, issuer: 'https://idp.example' }],
      [agent, { kind: 'person', name: 'ada', issuer: 'local', groups: [] }],
    ] as const
    const missing = await (await ask('/.sluice/tickets/T-ZZZZZZ')).json()
    for (const chain of others) {
      const minted = await stage.world.credentials.mint({
        use: 'http',
        chain,
        connection: brand('api'),
        ttlMs: 60_000,
        mintedBy: 'test',
      })
      const response = await ask(at, minted.secret.reveal())
      expect(response.status).toBe(404)
      // The same words as of a ticket that nobody has.
      expect({ ...((await response.json()) as object), request: 0 }).toEqual({
        ...(missing as object),
        request: 0,
      })
    }
    await stage.world.answer(ticket, 'refuse')
    expect((await held).status).toBe(403)
    const refused = await ask(at)
    expect(refused.headers.get('retry-after')).toBeNull()
    expect(await refused.json()).toMatchObject({
      state: 'refused',
      answers: [{ verdict: 'refuse' }],
      next: { do: 'change' },
    })
  })
})

describe('a path below /.sluice/', () => {
  it.each([
    '/.sluice',
    '/.sluice/',
    '/.sluice/nothing',
    '/.sluice/policy/',
    '/.sluice/policy;x=1',
    '/.sluice/Policy',
    '/.SLUICE/policy',
    '/.sluice;v=1/policy',
    '/%2Esluice/%50olicy/x',
    '/.sluice%20/policy',
    '/.sluice./policy',
    '/.sluice.json/policy',
    '/.%73luice/tickets/..%2fpolicy',
    '/.sluice/..%2f',
    '/.sluice/%2e%2e/customers',
    '/.sluice/..;/customers',
    '/.sluice//policy',
    '/.sluice%2fpolicy',
    '/%EF%BC%8Esluice/policy',
    '/.sluice/tickets/T-1234%00',
  ])('never reaches an upstream, however it is written: %s (P-03)', async (path) => {
    const anything = (port: number): string =>
      httpConnection(port).replace(
        '    labels:\n',
        '      - { method: GET, path: "/{a}", class: read }\n      - { method: GET, path: "/{a}/{b}", class: read }\n      - { method: GET, path: "/{a}/{b}/{c}", class: read }\n    labels:\n',
      )
    const { stage } = await open(anything)
    const client = await stage.client()
    const reply = await client.request(`GET ${path}`)
    expect([400, 404]).toContain(reply.status)
    expect(stage.asked).toEqual([])
  })

  it('wants a token, is read only, and is answered to HEAD without a body', async () => {
    const { stage, ask, base, token } = await open()
    expect((await fetch(`${base}/.sluice/policy`)).status).toBe(401)
    const posted = await ask('/.sluice/policy', token, 'POST')
    expect([posted.status, stage.world.entries('outcome')[0]?.head.outcome]).toEqual([403, 'refused'])
    const head = await ask('/.sluice/policy', token, 'HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100)
  })

  it('is answered so often and no more, and records no more either', async () => {
    const { stage, ask } = await open()
    for (let n = 0; n < LIMITS.httpOwnQuestionsMax; n++)
      expect((await ask('/.sluice/policy')).status).toBe(200)
    const late = await ask('/.sluice/policy')
    expect([late.status, late.headers.get('retry-after')]).toEqual([429, '1'])
    expect(stage.world.entries('intent')).toHaveLength(LIMITS.httpOwnQuestionsMax)
    stage.world.clock.advance(1000)
    expect((await ask('/.sluice/policy')).status).toBe(200)
  })

  it('is no route of a configuration', () => {
    const wrong = httpConnection(1).replace('path: /numbers', 'path: /.Sluice/numbers')
    const read = (): unknown =>
      readConfiguration('sluice.yaml', configurationOf(wrong, AGENT_RULES), () => undefined)
    expect(read).toThrow(/the gateway answers itself below/)
    try {
      read()
    } catch (error) {
      expect(isGatewayError(error)).toBe(true)
    }
  })
})
