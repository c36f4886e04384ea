import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import { readOpenApi } from './operations.ts'

function documentOf(paths: unknown, components: unknown = {}, openapi = '3.1.0'): unknown {
  return { openapi, info: { title: 'CRM', version: '1' }, paths, components }
}

function operations(document: unknown) {
  const read = readOpenApi(typeof document === 'string' ? document : JSON.stringify(document), (path) =>
    path.startsWith('/'),
  )
  if (!read.ok) throw new Error(read.problems.map(({ line, message }) => `${line}: ${message}`).join())
  return read.value.operations
}

function problems(text: string) {
  const read = readOpenApi(text, (path) => !path.includes('}{'))
  return read.ok ? [] : read.problems
}

const answer = (schema: unknown, more: object = {}) => ({
  responses: { 200: { description: 'it', content: { 'application/json': { schema } }, ...more } },
})

function labelsOf(schema: unknown, schemas: unknown = {}): string[] {
  const [found] = operations(documentOf({ '/x': { get: answer(schema) } }, { schemas }))
  return (found?.labels ?? []).map(({ path, label }) => `${path}: ${label}`).sort()
}

describe('labels of an OpenAPI document (P-05)', () => {
  const email = { type: 'string', 'x-sluice-label': 'pii.email' }
  it.each([
    ['a property', { properties: { email } }, ['email: pii.email']],
    ['a list', { type: 'array', items: { properties: { 'e.mail': email } } }, ['[]."e.mail": pii.email']],
    ['everything', email, ['**: pii.email']],
    [
      'alternatives',
      { oneOf: [{ properties: { a: email } }, { allOf: [{ properties: { b: email } }] }] },
      ['a: pii.email', 'b: pii.email'],
    ],
    ['members of any name', { additionalProperties: email }, ['*: pii.email']],
    [
      'a reference with a label beside it',
      { properties: { a: { $ref: '#/components/schemas/Plain', 'x-sluice-label': 'secret' } } },
      ['a: secret'],
    ],
    [
      'a reference by way of another',
      { $ref: '#/components/schemas/Alias' },
      ['email: pii.email', 'note: secret'],
    ],
    [
      'a circle',
      { $ref: '#/components/schemas/Tree' },
      ['children[].**.email: pii.email', 'email: pii.email'],
    ],
    [
      'a circle whose members have one schema under two names',
      { $ref: '#/components/schemas/Pair' },
      ['a: pii.email', 'b: pii.email', 'next.**.a: pii.email', 'next.**.b: pii.email'],
    ],
    [
      'what has another name in XML',
      {
        properties: {
          email: { ...email, xml: { name: 'E-Mail' } },
          note: { $ref: '#/components/schemas/Named' },
          list: { type: 'array', items: { ...email, xml: { name: 'entry' } } },
        },
      },
      [
        'E-Mail: pii.email',
        'email: pii.email',
        'entry: pii.email',
        'list[]: pii.email',
        'note: pii.email',
        'remark: pii.email',
      ],
    ],
    [
      'what a text is written out as',
      { properties: { text: { contentSchema: { properties: { email } } } } },
      ['text.email: pii.email'],
    ],
    [
      'names of members, which are the whole',
      { properties: { map: { propertyNames: email } } },
      ['map: pii.email'],
    ],
    ['what depends on a member', { dependencies: { a: { properties: { b: email } } } }, ['b: pii.email']],
    ['nothing', { properties: { a: { type: 'string' } } }, []],
  ])('are found in %s', (_what, schema, expected) => {
    const schemas = {
      Plain: { type: 'string' },
      Person: { properties: { email } },
      Alias: { $ref: '#/components/schemas/Middle' },
      Mail: email,
      Through: { allOf: [{ $ref: '#/components/schemas/Mail' }] },
      Pair: {
        properties: {
          a: { $ref: '#/components/schemas/Through' },
          b: { $ref: '#/components/schemas/Through' },
          next: { $ref: '#/components/schemas/Pair' },
        },
      },
      Named: { allOf: [{ ...email, xml: { name: 'remark' } }] },
      Middle: { $ref: '#/components/schemas/Person', properties: { note: { 'x-sluice-label': 'secret' } } },
      Tree: {
        properties: { email, children: { type: 'array', items: { $ref: '#/components/schemas/Tree' } } },
      },
    }
    expect(labelsOf(schema, schemas)).toEqual(expected)
  })

  it('are found at headers and parameters by their content, and beside a reference to them', () => {
    const labelled = { content: { 'text/plain': { schema: email } } }
    const more = {
      headers: {
        'X-One': labelled,
        'X-Two': { $ref: '#/components/headers/Plain', 'x-sluice-label': 'secret' },
      },
    }
    const get = { ...answer({}, more), parameters: [{ name: 'who', in: 'query', ...labelled }] }
    const headers = { Plain: { schema: { type: 'string' } } }
    const [found] = operations(documentOf({ '/x': { get } }, { headers }))
    expect(found?.headers).toEqual([
      { name: 'x-one', label: 'pii.email' },
      { name: 'x-two', label: 'secret' },
    ])
    expect(found?.query).toEqual([{ name: 'who', label: 'pii.email' }])
  })

  it('stand at any depth where there are too many ways to one', () => {
    const names = Array.from({ length: 12 }, (_, n) => `S${n}`)
    const properties = Object.fromEntries(
      names.map((name) => [name, { $ref: `#/components/schemas/${name}` }]),
    )
    const schemas = Object.fromEntries(names.map((name) => [name, { properties: { ...properties, email } }]))
    const started = performance.now()
    expect(labelsOf({ $ref: '#/components/schemas/S0' }, schemas)).toContain('**.email: pii.email')
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  it('are found in heads, bodies and parameters, whatever the status', () => {
    const [found] = operations(
      documentOf(
        {
          '/x/{id}': {
            parameters: [{ $ref: '#/components/parameters/Mail' }],
            post: {
              operationId: 'x',
              requestBody: { content: { 'application/json': { schema: { properties: { email } } } } },
              responses: {
                200: { description: 'it', headers: { 'X-Mail': { schema: email } } },
                default: { $ref: '#/components/responses/Wrong' },
              },
            },
          },
        },
        {
          parameters: { Mail: { name: 'mail', in: 'query', schema: email } },
          responses: {
            Wrong: {
              description: 'no',
              content: { 'application/json': { schema: { properties: { who: email } } } },
            },
          },
        },
      ),
    )
    expect(found).toMatchObject({
      name: 'x',
      labels: [{ path: 'who', label: 'pii.email' }],
      headers: [{ name: 'x-mail', label: 'pii.email' }],
      body: [{ path: 'email', label: 'pii.email' }],
      query: [{ name: 'mail', label: 'pii.email' }],
    })
  })
})

describe('operations of an OpenAPI document', () => {
  it('have an effect and a page size', () => {
    const limit = { name: 'per_page', in: 'query', schema: { type: 'integer', default: 30 } }
    const found = operations(
      documentOf(
        {
          '/customers': { get: { ...answer({}), parameters: [limit] }, post: answer({}) },
          '/customers/export': { get: answer({}) },
          '/api-keys': { post: answer({}) },
          '/refunds': { post: { ...answer({}), 'x-sluice-effect': 'sends-outward' } },
        },
        {},
        '3.0.3',
      ),
    )
    expect(found.map(({ method, path, effect }) => `${method} ${path} ${effect}`)).toEqual([
      'GET /customers read',
      'POST /customers write',
      'GET /customers/export export',
      'POST /api-keys creates-a-credential',
      'POST /refunds sends-outward',
    ])
    expect(found[0]?.page).toEqual({ name: 'per_page', default: 30 })
  })
})

describe('a document that cannot be read', () => {
  const head = 'openapi: 3.1.0\ninfo: { title: a, version: "1" }\n'
  it.each([
    ['YAML', `${head}paths: [`, 3],
    ['a name twice', `${head}paths: {}\npaths: {}\n`, 4],
    ['another version', 'swagger: "2.0"\n', 1],
    [
      'what the specification does not have',
      `${head}paths:\n  /a:\n    get:\n      responses:\n        "200": { nothing: x }\n`,
      7,
    ],
    [
      'a label that is misspelt',
      `${head}paths:\n  /a:\n    get:\n      x-sluice-labels: pii\n      responses: { "200": { description: x } }\n`,
      6,
    ],
    [
      'a label where none is looked for',
      `${head}paths:\n  /a:\n    get:\n      x-sluice-label: pii\n      responses: { "200": { description: x } }\n`,
      6,
    ],
    [
      'a label among properties',
      `${head}paths:\n  /a:\n    get:\n      responses:\n        "200":\n          description: x\n          content:\n            a/b:\n              schema:\n                properties:\n                  x-sluice-label: pii\n`,
      13,
    ],
    [
      'an effect that there is not',
      `${head}paths:\n  /a:\n    get:\n      x-sluice-effect: reads\n      responses: { "200": { description: x } }\n`,
      6,
    ],
    [
      'a reference into another file',
      `${head}paths:\n  /a:\n    get:\n      responses:\n        "200":\n          $ref: other.yaml#/x\n`,
      8,
    ],
    [
      'a reference to nothing',
      `${head}paths:\n  /a:\n    get:\n      responses:\n        "200":\n          $ref: "#/components/responses/No"\n`,
      8,
    ],
    ['a path that nothing can be held against', `${head}paths:\n  /a/{b}{c}: {}\n`, 4],
  ])('is a problem with its place: %s', (_what, text, line) => {
    expect(problems(text)).toMatchObject([{ line }])
  })

  it('has a place in JSON as well', () => {
    expect(
      problems(
        JSON.stringify(
          documentOf({ '/a': { get: { 'x-sluice-effect': 'no', responses: {} } } }),
          undefined,
          2,
        ),
      )[0]?.line,
    ).toBe(10)
    expect(problems('{ "openapi": }')[0]?.line).toBe(1)
  })

  it('is not read when it is too long', () => {
    expect(problems(' '.repeat(LIMITS.apiDescriptionBytesMax + 1))).toHaveLength(1)
  })
})
