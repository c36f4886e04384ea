import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readConfiguration } from '../../composition/configuration.ts'
import type { Decision, Facts } from '../../core/index.ts'
import { isGatewayError, UNLIMITED } from '../../core/index.ts'
import { FakeNetwork } from '../../testing/fake-network.ts'
import { HTTP_CANARIES, HttpStage } from '../../testing/http-stage.ts'
import { configurationOf } from '../../testing/world.ts'
import { http } from './index.ts'

const OPENAPI = `openapi: 3.1.0
info: { title: CRM, version: "1" }
paths:
  /people:
    get:
      operationId: listPeople
      parameters: [{ name: limit, in: query, schema: { type: integer } }]
      responses:
        "200":
          description: people
          headers: { X-Owner: { schema: { type: string, x-sluice-label: secret } } }
          content:
            application/json:
              schema: { type: array, items: { $ref: "#/components/schemas/Person" } }
  /people/{id}:
    delete: { responses: { "204": { description: gone } } }
  /people/export:
    get: { responses: { "200": { description: all } } }
components:
  schemas:
    Person:
      type: object
      properties: { email: { type: string, x-sluice-label: pii.email }, name: { type: string } }
`
const SDL = `type Customer { email: String name: String }
type Query { customer(id: ID): Customer customers(first: Int): [Customer] }
type Mutation { deleteCustomer(id: ID): ID }
`

const folders: string[] = []
const stages: HttpStage[] = []
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function files(openapi = OPENAPI, sdl = SDL): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-apis-'))
  folders.push(folder)
  writeFileSync(join(folder, 'crm.yaml'), openapi)
  writeFileSync(join(folder, 'crm.graphql'), sdl)
  return folder
}

function connection(port: number, folder: string): string {
  return `  api:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}", bearer: "\${env:TOKEN}" }
    routes:
      - { method: GET, path: /notes }
      - { method: WEBSOCKET, path: /graphql, class: read }
    openapi: { file: ${join(folder, 'crm.yaml')} }
    graphql: { schema: ${join(folder, 'crm.graphql')}, persisted: { known: "{ customer { who: email } }" } }
    labels:
      "/notes: header X-Author": secret
      Customer.email: pii.email
    patience: 30s`
}

async function open(): Promise<HttpStage> {
  const folder = files()
  const stage = await HttpStage.open({ connection: (port) => connection(port, folder) })
  stages.push(stage)
  return stage
}

function refusalOf(configuration: string): string {
  try {
    readConfiguration('sluice.yaml', configurationOf(configuration), () => undefined)
  } catch (error) {
    if (isGatewayError(error)) return error.message
    throw error
  }
  return ''
}

const JSON_BODY = ['content-type: application/json']

describe('an API that is described', () => {
  it('has no operations in messages of a WebSocket: they are read in requests only (P-03)', async () => {
    const stage = await open()
    const client = await stage.client()
    const upgrade = ['connection: Upgrade', 'upgrade: websocket', 'sec-websocket-version: 13']
    const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='
    const reply = await client.request('GET /graphql', { headers: [...upgrade, key] })
    expect(reply.status).toBe(403)
    expect(reply.body).toContain('in messages of a WebSocket they are not read')
    expect(stage.asked).toHaveLength(0)
  })

  it('has the operations of its document as routes, and what they label is masked, in heads as well (P-05)', async () => {
    const stage = await open()
    stage.answer('GET /people?limit=2', (response) => {
      const body = JSON.stringify([{ email: HTTP_CANARIES[0], name: 'plain' }])
      response.writeHead(200, { 'content-type': 'application/json', 'x-owner': HTTP_CANARIES[1] }).end(body)
    })
    const client = await stage.client()
    const reply = await client.request('GET /people?limit=2')
    expect(reply.status).toBe(200)
    expect(reply.body).toContain('plain')
    for (const canary of HTTP_CANARIES) expect(client.received().toString()).not.toContain(canary)
    expect((await client.request('GET /people/export/more')).status).toBe(403)
    expect(stage.asked).toHaveLength(1)
    const [intent] = stage.world.entries('intent')
    expect(intent?.head).toMatchObject({ class: 'read', reads: ['GET /people'] })
  })

  it('hides the words of the upstream beside the data of GraphQL where fields of it are masked (P-05)', async () => {
    const stage = await open()
    const answer = {
      data: { customer: { who: 'shown@example.com', name: 'c1' } },
      errors: [
        {
          message: `duplicate ${HTTP_CANARIES[0]}`,
          path: ['customer', 'who'],
          extensions: { code: 'X', value: HTTP_CANARIES[0] },
          data: { value: HTTP_CANARIES[0] },
        },
      ],
      extensions: { cache: { keys: [HTTP_CANARIES[0]] } },
      incremental: [{ data: { who: HTTP_CANARIES[0] }, path: ['customer'] }],
      payload: { data: { customer: { who: HTTP_CANARIES[0] } } },
    }
    stage.json('POST /graphql', answer)
    const client = await stage.client()
    const ask = async (query: string) =>
      (await client.request('POST /graphql', { headers: JSON_BODY, body: JSON.stringify({ query }) })).body
    const masked = await ask('{ customer { who: email name } }')
    expect(masked).toContain('"name":"c1"')
    expect(masked).toContain('"path":["customer","who"]')
    expect(client.received().toString()).not.toContain(HTTP_CANARIES[0])
    stage.json('POST /graphql', [answer, answer])
    await ask('{ customer { who: email name } }')
    expect(client.received().toString()).not.toContain(HTTP_CANARIES[0])
    // Where nothing of the data is masked, all is as it came.
    stage.json('POST /graphql', { errors: [{ message: 'no such customer' }] })
    expect(await ask('{ customer { name } }')).toContain('no such customer')
  })

  it('has fields of heads masked where only these are labelled, and the body as it came', async () => {
    const stage = await open()
    stage.answer('GET /notes', (response) => {
      response
        .writeHead(200, {
          'content-type': 'text/plain',
          'x-author': HTTP_CANARIES[0],
          x_author: HTTP_CANARIES[0],
        })
        .end('just text')
    })
    const client = await stage.client()
    const reply = await client.request('GET /notes')
    expect(reply).toMatchObject({ status: 200, body: 'just text' })
    expect(client.received().toString()).not.toContain(HTTP_CANARIES[0])
  })

  it('has fields of GraphQL masked behind their aliases, and a batch (P-05)', async () => {
    const stage = await open()
    const client = await stage.client()
    stage.json('POST /graphql', { data: { c: { x: HTTP_CANARIES[0], name: 'plain' } } })
    const body = JSON.stringify({
      query: 'query { c: customer { ...F name } } fragment F on Customer { x: email }',
    })
    const reply = await client.request('POST /graphql', { body, headers: JSON_BODY })
    expect(reply.status).toBe(200)
    expect(reply.body).toContain('plain')
    stage.json('POST /graphql', [
      { data: { customer: { who: HTTP_CANARIES[0] } } },
      { data: { customer: { name: 'plain' } } },
    ])
    const batch = JSON.stringify([{ id: 'known' }, { query: '{ customer { name } }' }])
    expect((await client.request('POST /graphql', { body: batch, headers: JSON_BODY })).status).toBe(200)
    expect(client.received().toString()).not.toContain(HTTP_CANARIES[0])
    const [intent] = stage.world.entries('intent')
    expect(intent?.head).toMatchObject({
      class: 'read',
      reads: ['Customer.email', 'Customer.name', 'POST /graphql', 'Query.customer'],
      columns: [{ column: 'Customer.email', label: 'pii.email' }],
      parameters: ['[sealed 1]'],
    })
  })

  it.each([
    ['that is not GraphQL', '{"query":"{ customer { email "}', 400],
    ['that is not in the schema', '{"query":"{ customer { phone } }"}', 400],
    ['under a hash that is not registered', '{"id":"other"}', 400],
    ['twice', '{"query":"{ customer { name } }","query":"{ customer { email } }"}', 400],
    ['that is no body at all', '', 400],
  ])('refuses an operation %s, and the upstream sees nothing (P-03)', async (_what, body, status) => {
    const stage = await open()
    const reply = await (await stage.client()).request('POST /graphql', { body, headers: JSON_BODY })
    expect(reply.status).toBe(status)
    expect(stage.asked).toEqual([])
  })

  it.each([
    'POST /graphql?query[]=x',
    'POST /graphql?%20query=x',
    'POST /graphql?query%00x=1',
    'POST /graphql?a=1;query=x',
    'POST /graphql?doc_id=7',
    `GET /graphql?query=${encodeURIComponent('{ customer { name } }')}&%20query=${encodeURIComponent('{ customer { email } }')}`,
    `GET /graphql?query=${encodeURIComponent('{ customer { name } }')}&query[]=x`,
    `GET /graphql?query=${encodeURIComponent('{ customer { name } }')}&a=1;query=x`,
  ])('refuses an operation beside which the URL has another to some: %s (C-02, P-03)', async (line) => {
    const stage = await open()
    const post = { body: '{"query":"{ customer { name } }"}', headers: JSON_BODY }
    const reply = await (await stage.client()).request(line, line.startsWith('POST') ? post : {})
    expect(reply.status).toBe(400)
    expect(stage.asked).toEqual([])
  })

  it('refuses an operation whose body two readers could take for two (P-03)', async () => {
    const stage = await open()
    const body = JSON.stringify({
      query: '{ customer { name } }',
      variables: { a: '&query={customer{email}}&' },
    })
    const headers = [...JSON_BODY, 'content-type: application/x-www-form-urlencoded']
    expect((await (await stage.client()).request('POST /graphql', { body, headers })).status).toBe(400)
    expect(stage.asked).toEqual([])
  })
})

describe('a request that is explained', () => {
  const decide = (facts: Facts): Decision => ({
    kind: 'allow',
    masks: new Map(facts.labels.map((label) => [label, { kind: 'full' }])),
    limit: UNLIMITED,
    rules: [],
    observed: [],
    volatile: false,
  })
  async function explained(text: string) {
    const { config } = readConfiguration(
      'sluice.yaml',
      configurationOf(connection(1, files())),
      () => undefined,
    )
    const [found] = config.connections.values()
    if (found === undefined) throw new Error('no connection')
    const ports = {
      network: new FakeNetwork(),
      random: () => new Uint8Array(0),
      resolveSecret: () => Promise.reject(new Error()),
    }
    return await http.explain?.(ports, found, { text, database: '', decide })
  }

  it('comes to facts and masks by route, operation and field, and is not sent', async () => {
    expect(await explained('GET /people')).toMatchObject({
      facts: {
        class: 'read',
        calls: ['listPeople'],
        unbounded: true,
        attributes: { effect: 'read', operation: 'listPeople' },
      },
      outputs: [{ name: '/people: [].email', mask: { kind: 'full' } }, { name: '/people: header x-owner' }],
    })
    expect(await explained('GET /people?limit=20')).toMatchObject({
      facts: { unbounded: false, estimatedRows: 20 },
    })
    expect(await explained('GET /people/export')).toMatchObject({
      facts: { attributes: { effect: 'export' } },
    })
    expect(await explained('DELETE /people/7')).toMatchObject({
      facts: { class: 'write', writes: ['DELETE /people/{id}'], attributes: { effect: 'destructive' } },
    })
    expect(await explained('POST /graphql\n\n{"query":"mutation { deleteCustomer(id: 1) }"}')).toMatchObject({
      facts: {
        class: 'write',
        calls: ['Mutation.deleteCustomer'],
        attributes: { effect: 'destructive', graphql: 'mutation' },
      },
      outputs: [],
    })
    expect(await explained('POST /graphql\n\n{ customers(first: 3) { mail: email } }')).toMatchObject({
      facts: { estimatedRows: 3, attributes: { types: ['Customer', 'Query'], depth: 2 } },
      outputs: [{ name: 'Customer.email' }],
    })
    await expect(explained('select 1')).rejects.toMatchObject({ code: 'invalid' })
    await expect(explained('GET /nothing')).rejects.toMatchObject({ code: 'denied' })
  })
})

describe('a configuration that names files', () => {
  it('has another version when one of them is another', () => {
    const folder = files()
    const read = () =>
      readConfiguration('sluice.yaml', configurationOf(connection(1, folder)), () => undefined).config
    const before = read()
    expect([...before.files.values()]).toEqual([OPENAPI, SDL])
    expect(read().version).toBe(before.version)
    writeFileSync(join(folder, 'crm.graphql'), `${SDL}\ntype More { a: Int }`)
    expect(read().version).not.toBe(before.version)
  })

  it.each([
    [
      'a file that is not there',
      (folder: string) => connection(1, folder).replace('crm.yaml', 'no.yaml'),
      /^sluice\.yaml:\d+:\d+ connections\.api\.openapi\.file: /,
    ],
    [
      'a document that is broken',
      () => connection(1, files(`${OPENAPI}  : [`)),
      /crm\.yaml:24:\d+ connections\.api: /,
    ],
    [
      'a schema that is broken',
      () => connection(1, files(OPENAPI, `${SDL}type {`)),
      /crm\.graphql:4:6 connections\.api: expected a GraphQL schema/,
    ],
    [
      'a label that there is not',
      () => connection(1, files(OPENAPI.replace('pii.email', 'pii.emial'))),
      /crm\.yaml:23:\d+ .*expected a label.*pii\.email/,
    ],
    [
      'a field that is not in the schema',
      (folder: string) => connection(1, folder).replace('Customer.email:', 'Customer.mail:'),
      /sluice\.yaml:\d+:\d+ .*expected a field of the GraphQL schema/,
    ],
  ])('is refused with its place for %s', (_what, written, message) => {
    expect(refusalOf(written(files()))).toMatch(message)
  })
})
