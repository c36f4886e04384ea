import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isGatewayError, LIMITS } from '../../core/index.ts'
import { readOperation, refuseTooManyLabelled } from './operation.ts'
import { operationsAsked } from './request.ts'
import { FieldLabels, hasField, readGraphqlSchema } from './schema.ts'

const SDL = `
  interface Node { id: ID! }
  type Customer implements Node { id: ID! email: String name: String orders(first: Int = 20): OrderConnection friends: [Customer!] }
  type Bot implements Node { id: ID! email: String }
  type Order { id: ID! total: Int }
  type OrderConnection { edges: [OrderEdge] }
  type OrderEdge { node: Order }
  union Actor = Customer | Bot
  input CustomerInput { email: String nested: CustomerInput }
  type Query { customer(id: ID): Customer customers(limit: Int): [Customer!]! node(id: ID!): Node actor: Actor find(where: CustomerInput): [Customer] }
  type Mutation { renameCustomer(input: CustomerInput): Customer deleteCustomer(id: ID!): ID createApiKey: String }
`
const read = readGraphqlSchema(SDL)
if (!read.ok) throw new Error('the schema of this test cannot be read')
const schema = read.value
const labels = new FieldLabels(schema, [
  { type: 'Customer', field: 'email', label: 'pii.email' },
  { type: 'CustomerInput', field: 'email', label: 'pii.email' },
])

function operation(text: string, variables: Record<string, unknown> = {}, name?: string, depthMax = 10) {
  return readOperation({ text, name, variables }, { schema, labels, depthMax })
}

function paths(text: string): string[] {
  return operation(text).labelled.map(({ path }) => path)
}

function code(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (isGatewayError(error)) return error.code
    throw error
  }
  return 'none'
}

describe('where labelled fields are in the answer of an operation (P-05)', () => {
  it.each([
    ['{ customer { email } }', ['data.customer.email']],
    ['{ a: customer { b: email } }', ['data.a.b']],
    [
      '{ customer { ...F } } fragment F on Customer { x: email ...G } fragment G on Customer { y: email }',
      ['data.customer.x', 'data.customer.y'],
    ],
    ['{ actor { ... on Bot { e: email } ... on Customer { e: email } } }', ['data.actor.e']],
    ['{ actor { ... on Bot { email } } }', []],
    ['{ node(id: 1) { ... on Node { ... on Customer { email } } } }', ['data.node.email']],
    [
      '{ customers { friends { friends { z: email @include(if: false) } } } }',
      ['data.customers.friends.friends.z'],
    ],
    ['query A { customer { name } } query B { customer { email } }', undefined],
  ])('%s', (text, expected) => {
    if (expected === undefined) expect(code(() => paths(text))).toBe('invalid')
    else expect(paths(text)).toEqual(expected)
  })

  it('are those of every type that may stand behind an interface', () => {
    const onNode = new FieldLabels(schema, [{ type: 'Node', field: 'id', label: 'secret' }])
    const through = (text: string) =>
      readOperation({ text, name: undefined, variables: {} }, { schema, labels: onNode, depthMax: 10 })
        .labelled
    expect(through('{ customer { id } }')).toHaveLength(1)
    expect(through('{ node(id: 1) { id } }')).toHaveLength(1)
    const onType = new FieldLabels(schema, [{ type: 'Customer', field: 'id', label: 'secret' }])
    const behind = readOperation(
      { text: '{ node(id: 1) { id } }', name: undefined, variables: {} },
      { schema, labels: onType, depthMax: 10 },
    )
    expect(behind.labelled).toEqual([{ field: 'Node.id', path: 'data.node.id', label: 'secret' }])
  })

  it('are told with types, fields, introspection and depth', () => {
    const found = operation(
      'query Q { customer { __typename e: email orders { edges { node { id } } } } __schema { types { name } } }',
    )
    expect(found).toMatchObject({
      kind: 'query',
      name: 'Q',
      roots: ['customer', '__schema'],
      introspection: true,
      depth: 5,
    })
    expect(found.fields).toContain('Customer.email')
    expect(found.types).toContain('OrderEdge')
    expect(operation('{ customer { id } }').introspection).toBe(false)
  })

  it('are told of what is sent in literals, variables and defaults', () => {
    const sent = (text: string, variables = {}) => operation(text, variables).sent
    expect(sent('mutation { renameCustomer(input: {nested: {email: "x"}}) { id } }')).toEqual(['pii.email'])
    expect(
      sent('mutation($i: CustomerInput) { renameCustomer(input: $i) { id } }', {
        i: { nested: { email: 'x' } },
      }),
    ).toEqual(['pii.email'])
    expect(sent('mutation($i: CustomerInput = {email: "x"}) { renameCustomer(input: $i) { id } }')).toEqual([
      'pii.email',
    ])
    expect(sent('query($i: CustomerInput) { find(where: $i) { id } }', { i: {} })).toEqual([])
  })
})

describe('the size of what an operation asks for', () => {
  it.each([
    [
      '{ customers(limit: 30) { orders(first: 5) { edges { node { id } } } } }',
      {},
      { rows: 150, bounded: true },
    ],
    ['{ customers(limit: 2) { orders { edges { node { id } } } } }', {}, { rows: 40, bounded: true }],
    ['query($n: Int) { customers(limit: $n) { id } }', { n: 7 }, { rows: 7, bounded: true }],
    ['query($n: Int = 9) { customers(limit: $n) { id } }', {}, { rows: 9, bounded: true }],
    ['{ customers { id } }', {}, { rows: 1, bounded: false }],
    ['{ customers(limit: 3) { friends { id } } }', {}, { rows: 3, bounded: false }],
  ])('%s', (text, variables, size) => {
    expect(operation(text, variables).size).toEqual(size)
  })
})

describe('an operation that cannot be judged', () => {
  it.each([
    '{ customer { nothing } }',
    '{ customer }',
    '{ customer { id { x } } }',
    '{ customer { ...F } }',
    '{ customer { ...F } } fragment F on Customer { ...F }',
    '{ customer { ...F } } fragment F on Nothing { id }',
    '{ customer { id @defer } }',
    '{ customer { id @unknown } }',
    '{ customer { id ',
    'subscription { x }',
    'type X { a: Int }',
    '{ customer(no: 1) { id } }',
    'mutation { renameCustomer(input: {no: 1}) { id } }',
    'query($x: Nothing) { customer { id } }',
    '{ a: customer { id } } { b: customer { id } }',
    '{ __proto__ }',
  ])('is refused: %s', (text) => {
    expect(code(() => operation(text))).toBe('invalid')
  })

  it('is refused for its size before anything is made of it', () => {
    const wide = `{ customer { ${'id '.repeat(LIMITS.graphqlTokensMax)} } }`
    expect(code(() => operation(wide))).toBe('limit_exceeded')
    expect(code(() => operation('{ customer { friends { friends { id } } } }', {}, undefined, 3))).toBe(
      'limit_exceeded',
    )
    // Each fragment holds the next one twice.
    const doubling = Array.from(
      { length: 30 },
      (_, n) => `fragment F${n} on Customer { ...F${n + 1} ...F${n + 1} }`,
    ).join(' ')
    const started = performance.now()
    expect(code(() => operation(`{ customer { ...F0 } } ${doubling} fragment F30 on Customer { id }`))).toBe(
      'limit_exceeded',
    )
    expect(performance.now() - started).toBeLessThan(20_000)
    const deep = `{ customer(id: ${'['.repeat(3_000)}`
    expect(['invalid', 'limit_exceeded']).toContain(code(() => operation(deep)))
  })
})

describe('a GraphQL request over HTTP', () => {
  const asked = (
    body: unknown,
    more: { query?: string; method?: string; form?: 'json' | 'graphql' | 'other' } = {},
  ) =>
    operationsAsked(
      {
        method: 'POST',
        query: '',
        form: 'json',
        body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
        ...more,
      },
      new Map([['known', '{ customer { id } }']]),
    )
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')

  it('is one operation, a batch, a plain document or a URL', () => {
    expect(asked({ query: '{ a }', variables: { b: 1 }, operationName: 'N' })).toEqual([
      { text: '{ a }', name: 'N', variables: { b: 1 } },
    ])
    expect(asked([{ query: '{ a }' }, { query: '{ b }' }])).toHaveLength(2)
    expect(asked('{ a }', { form: 'graphql' })[0]?.text).toBe('{ a }')
    expect(asked('', { method: 'GET', query: 'query=%7B%20a%20%7D&variables=%7B%22b%22:1%7D' })).toEqual([
      { text: '{ a }', name: undefined, variables: { b: 1 } },
    ])
  })

  it('may name a document that is registered, and no other', () => {
    const persisted = (sha256Hash: string, query?: string) =>
      asked({
        extensions: { persistedQuery: { version: 1, sha256Hash } },
        ...(query === undefined ? {} : { query }),
      })
    expect(persisted('known')[0]?.text).toBe('{ customer { id } }')
    expect(asked({ id: 'known' })[0]?.text).toBe('{ customer { id } }')
    expect(persisted(hash('{ a }'), '{ a }')[0]?.text).toBe('{ a }')
    expect(code(() => persisted(hash('{ a }')))).toBe('invalid')
    expect(code(() => persisted(hash('{ a }'), '{ b }'))).toBe('invalid')
    expect(code(() => persisted('known', '{ b }'))).toBe('invalid')
    expect(code(() => asked({ id: 'known', documentId: 'known' }))).toBe('invalid')
  })

  it.each([
    ['a name twice', '{"query":"{ a }","query":"{ b }"}', {}],
    ['a name twice in another spelling of JSON', '{"query":"{ a }","\\u0071uery":"{ b }"}', {}],
    ['a name in capitals', '{"query":"{ a }","Query":"{ b }"}', {}],
    ['the URL as well', '{"query":"{ a }"}', { query: 'query=%7Bb%7D' }],
    ['the URL as well, in capitals', '{"query":"{ a }"}', { query: 'Query=%7Bb%7D' }],
    ['an extension in capitals', '{"query":"{ a }","extensions":{"persistedquery":{}}}', {}],
    ['a form', 'query=%7Ba%7D', { form: 'other' as const }],
    ['nothing', '', {}],
    ['an empty batch', '[]', {}],
    ['a body in GET', '{"query":"{ a }"}', { method: 'GET', query: 'query=%7Ba%7D' }],
    ['two in a URL', '', { method: 'GET', query: 'query=%7Ba%7D&query=%7Bb%7D' }],
    ['another method', '{"query":"{ a }"}', { method: 'PUT' }],
  ])('is refused with %s', (_what, body, more) => {
    expect(code(() => asked(body, more))).toBe('invalid')
  })

  it('has a limit on what is protected in all of its operations together', () => {
    const half = (name: string) =>
      operation(
        `{ ${Array.from({ length: LIMITS.graphqlLabelledMax / 2 }, (_, n) => `${name}${n}: customer { email }`).join(' ')} }`,
      )
    expect(code(() => refuseTooManyLabelled([half('a'), half('b')]))).toBe('none')
    expect(
      code(() => refuseTooManyLabelled([half('a'), half('b'), operation('{ customer { email } }')])),
    ).toBe('limit_exceeded')
  })

  it('has a limit on its batch', () => {
    const batch = Array.from({ length: LIMITS.graphqlBatchMax + 1 }, () => ({ query: '{ a }' }))
    expect(code(() => asked(batch))).toBe('limit_exceeded')
  })
})

describe('a schema', () => {
  it('that cannot be read is a problem with its place', () => {
    const broken = readGraphqlSchema('type Query {\n  a: \n}')
    expect(broken).toMatchObject({ ok: false, problems: [{ line: 3, column: 1 }] })
    expect(readGraphqlSchema('type Query { a: Nothing }')).toMatchObject({ ok: false })
    expect(readGraphqlSchema('type A { a: Int }')).toMatchObject({ ok: false })
  })

  it('knows its fields', () => {
    expect(hasField(schema, 'Customer', 'email')).toBe(true)
    expect(hasField(schema, 'CustomerInput', 'email')).toBe(true)
    expect(hasField(schema, 'Customer', 'constructor')).toBe(false)
    expect(hasField(schema, 'Actor', 'email')).toBe(false)
  })
})
