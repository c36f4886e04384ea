/** Every route there is, held against what is promised of all of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brand, type ConnectionName, type IdentityChain } from '../core/index.ts'
import type { TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'
import { apiRoutes, EventStreams } from './index.ts'
import type { AnyRoute } from './route.ts'

let api: TestApi
let routes: readonly AnyRoute[]

beforeAll(async () => {
  api = await startTestApi()
  routes = apiRoutes(api.gateway.parts, new EventStreams(api.gateway.parts))
})

afterAll(() => api.stop())

function chainOf(...names: string[]): IdentityChain {
  const [first, ...rest] = names.map((name) => {
    const found = api.gateway.parts.localIdentity(name)
    if (found === undefined) throw new Error(name)
    return found
  })
  if (first === undefined) throw new Error('nobody')
  return [first, ...rest]
}

function example(route: AnyRoute): string {
  return route.path.replace('{id}', '0'.repeat(26)).replaceAll(/\{\w+\}/g, 'x')
}

const NEEDS_NO_LOGIN = [
  'GET /approvals',
  'GET /approvals/{ticket}',
  'GET /healthz',
  'GET /metrics',
  'GET /v1/login/issuers',
  'GET /v1/openapi.json',
  'POST /v1/channels/{channel}/answers',
  'POST /v1/channels/{channel}/clicks',
  'POST /v1/credentials',
  'POST /v1/enrolments/begin',
  'POST /v1/enrolments/confirm',
  'POST /v1/login',
]

describe('every route', () => {
  it('that is no GET leaves an administrative record before it acts', () => {
    const silent = routes.filter((route) => route.method !== 'GET' && !route.records)
    expect(silent.map((route) => `${route.method} ${route.path}`)).toEqual([])
    expect(routes.find((route) => route.path === '/v1/sessions/{id}')?.records).toBe(true)
  })

  it('asks for a role, but for those that are listed here', () => {
    const open = routes.filter((route) => route.access === 'public')
    expect(open.map((route) => `${route.method} ${route.path}`).toSorted()).toEqual(NEEDS_NO_LOGIN)
    for (const route of routes) expect(route.access.length).toBeGreaterThan(0)
  })

  it('turns down agents, who acts for a person, people without a role, credentials and nobody', async () => {
    const { issuer, credentials } = api.gateway.parts
    const agent = (await issuer.issue(chainOf('support-agent'), 60_000)).token.reveal()
    const acting = (await issuer.issue(chainOf('support-agent', 'ada'), 60_000)).token.reveal()
    const eve = (await issuer.issue(chainOf('eve'), 60_000)).token.reveal()
    const minted = await credentials.mint({
      use: 'http',
      chain: chainOf('ada'),
      connection: brand<ConnectionName>('crm-api'),
      ttlMs: 60_000,
      mintedBy: 'test',
    })
    for (const route of routes) {
      if (route.access === 'public') continue
      const [path, name] = [example(route), `${route.method} ${route.path}`]
      // Asking for access is for agents as well, and people may take it in an emergency: neither answers anything.
      const turnedDown = route.access.includes('identity')
        ? []
        : route.access.includes('person')
          ? [agent, acting]
          : [agent, acting, eve]
      for (const token of turnedDown) {
        expect((await api.person(route.method, path, { token })).status, name).toBe(403)
      }
      const withCredential = await api.person(route.method, path, { token: minted.secret.reveal() })
      expect(withCredential.status, name).toBe(401)
      expect((await api.person(route.method, path)).status, name).toBe(401)
    }
    const open = routes.filter(({ access }) => access.includes('identity') || access.includes('person'))
    expect(open.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'DELETE /v1/credentials/{id}',
      'GET /v1/whoami',
      'GET /v1/access',
      'POST /v1/access',
      'POST /v1/access/emergency',
    ])
    // Whoever holds a credential may give back that one, and no other.
    for (const token of [agent, acting, eve]) {
      const path = `/v1/credentials/${minted.credential.id}`
      expect((await api.person('DELETE', path, { token })).status).toBe(404)
    }
    expect(credentials.list().map(({ id }) => id)).toContain(minted.credential.id)
  }, 60_000)

  it('turns the operator socket down where it takes a person, in a sentence that says so', async () => {
    const closed = routes.filter(({ access }) => access !== 'public' && !access.includes('operator socket'))
    expect(closed.map((route) => `${route.method} ${route.path}`)).toEqual([
      'POST /v1/approvals/{ticket}/preview',
      'POST /v1/approvals/{ticket}/answer',
      'POST /v1/approvals/{ticket}/unmute',
      'POST /v1/access/emergency',
    ])
    for (const route of closed) {
      const { status, body } = await api.operator(route.method, example(route), {
        body: { verdict: 'approve' },
      })
      expect(status).toBe(403)
      expect(body.detail).toBe('The operator socket cannot do this: it takes a person who logs in.')
    }
  })
})

type Operation = {
  operationId: string
  parameters: { name: string; in: string; required: boolean; schema: object }[]
  requestBody?: { content: Record<string, { schema: object }> }
  responses: Record<string, { content: Record<string, { schema: Record<string, unknown> }> }>
}

describe('the OpenAPI description', () => {
  it('has every route, each with an id of its own, its parameters, its body and its answer', async () => {
    const { body } = await api.person('GET', '/v1/openapi.json')
    const document = body as { openapi: string; paths: Record<string, Record<string, Operation>> }
    expect(document.openapi).toBe('3.1.0')
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(described.toSorted()).toEqual(routes.map((route) => `${route.method} ${route.path}`).toSorted())
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length)
    for (const route of routes) {
      const operation = document.paths[route.path]?.[route.method.toLowerCase()]
      const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      const declared = operation?.parameters.filter((each) => each.in === 'path').map(({ name }) => name)
      expect(declared, route.path).toEqual(inPath)
      expect(operation?.parameters.every(({ in: where, required }) => where === 'query' || required)).toBe(
        true,
      )
      expect(Object.keys(operation?.responses ?? {}), route.path).toEqual(['200', 'default'])
      expect(operation?.responses['200']?.content[route.produces]?.schema.type, route.path).toBeDefined()
    }
    const answer = document.paths['/v1/approvals/{ticket}/answer']?.post?.requestBody
    expect(answer?.content['application/json']?.schema).toMatchObject({
      type: 'object',
      required: ['verdict'],
      additionalProperties: false,
    })
    const exchange = document.paths['/v1/credentials']?.post?.requestBody
    expect(Object.keys(exchange?.content ?? {})).toEqual([
      'application/json',
      'application/x-www-form-urlencoded',
    ])
  })

  it('names no schema that it does not hold', async () => {
    const { text, body } = await api.person('GET', '/v1/openapi.json')
    const held = body as { components: { schemas: object } }
    const named = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1])
    expect(named.length).toBeGreaterThan(0)
    for (const name of new Set(named)) {
      expect(Object.keys(held.components.schemas)).toContain(name?.replace('#/components/schemas/', ''))
    }
  })
})
