/** A GraphQL client with another address and another key (acceptance 1): urql, against the executor of graphql-js. */
import { Client, fetchExchange } from '@urql/core'
import { buildSchema, graphql } from 'graphql'
import { beforeAll, describe, expect, test } from 'vitest'
import { teardown } from '../support/teardown.ts'
import type { Stage } from './apis/stage.ts'
import { REAL_KEY, startStage } from './apis/stage.ts'
import { sendJson } from './apis/stand-in.ts'

const SDL = `type Customer { id: ID! name: String! email: String! friends: [Party!]! }
type Company { id: ID! name: String! email: String! }
union Party = Customer | Company
type Page { items: [Customer!]! next: Int }
type Query { customer(id: ID!): Customer customers(first: Int!, after: Int): Page! }
type Mutation { renameCustomer(id: ID!, name: String!): Customer createApiKey(name: String!): ID }
`
const schema = buildSchema(SDL)

const CONNECTION = `upstream: { url: "http://127.0.0.1:PORT", bearer: KEY }
graphql: { schema: vendor.graphql }
labels:
  Customer.email: pii.email
`

const company = { __typename: 'Company', id: 'c1', name: 'Works', email: 'office@works.example' }
const customers = Array.from({ length: 5 }, (_, i) => ({
  __typename: 'Customer',
  id: String(i),
  name: `Customer ${i}`,
  email: `person${i}@customers.example`,
  friends: () => [customers[(i + 1) % 5], company],
}))

const root = {
  customer: ({ id }: { id: string }) => customers[Number(id)],
  customers: ({ first, after = 0 }: { first: number; after?: number }) => ({
    items: customers.slice(after, after + first),
    next: after + first < customers.length ? after + first : null,
  }),
  renameCustomer: ({ id, name }: { id: string; name: string }) => ({ ...customers[Number(id)], name }),
}

describe('a client of GraphQL', () => {
  const later = teardown()
  let stage: Stage
  let client: Client

  beforeAll(async () => {
    stage = await startStage({
      authorization: `Bearer ${REAL_KEY}`,
      connection: CONNECTION,
      files: { 'vendor.graphql': SDL },
      async answer(seen, response) {
        const { query, variables } =
          seen.method === 'GET'
            ? {
                query: seen.query.get('query') ?? '',
                variables: JSON.parse(seen.query.get('variables') ?? '{}'),
              }
            : JSON.parse(seen.body)
        const result = await graphql({ schema, source: query, rootValue: root, variableValues: variables })
        sendJson(response, 200, result)
      },
    })
    later(() => stage.stop())
    client = new Client({
      url: `${stage.url}/graphql`,
      exchanges: [fetchExchange],
      preferGetMethod: false,
      fetchOptions: { headers: { authorization: `Bearer ${stage.token}` } },
    })
  })

  const sealed = (): void => stage.expectSealed(customers.map(({ email }) => email))

  test('reads by alias, fragment and union, and what is labelled is masked (P-02)', async () => {
    const query = `query One($id: ID!) {
        customer(id: $id) { ...Shown friends { __typename ... on Company { mail: email } ...Shown } }
      }
      fragment Shown on Customer { id address: email }`
    for (const preferGetMethod of [false, 'force'] as const) {
      const { data, error } = await client.query(query, { id: '2' }, { preferGetMethod })
      expect(error).toBeUndefined()
      // `mail` of another type stands where a labelled one could: it is not asked for under this name.
      expect(data).toMatchObject({
        customer: {
          id: '2',
          address: '[masked]',
          friends: [
            { __typename: 'Customer', id: '3', address: '[masked]' },
            { __typename: 'Company', mail: company.email },
          ],
        },
      })
      sealed()
    }
    expect(stage.api.seen.slice(-2).map(({ method }) => method)).toEqual(['POST', 'GET'])
  })

  test('walks through pages', async () => {
    const names: string[] = []
    for (let after: number | null = 0; after !== null; ) {
      const query = 'query ($after: Int) { customers(first: 2, after: $after) { items { name email } next } }'
      const result: {
        data?: { customers: { items: { name: string; email: string }[]; next: number | null } }
      } = await client.query(query, { after })
      const { items, next } = result.data?.customers ?? { items: [], next: null }
      names.push(...items.map(({ name, email }) => `${name} ${email}`))
      after = next
    }
    expect(names).toEqual(customers.map(({ name }) => `${name} [masked]`))
    sealed()
  })

  test('is told why in errors of GraphQL (P-09)', async () => {
    const before = stage.api.seen.length
    const made = await client.mutation('mutation { createApiKey(name: "mine") }', {})
    expect(made.data).toBeUndefined()
    expect(made.error?.networkError).toBeUndefined()
    expect(made.error?.graphQLErrors.map(({ message, extensions }) => ({ message, extensions }))).toEqual([
      {
        message: expect.stringMatching(/permit.* Request [0-9A-Z]{26}\.\d+\.$/),
        extensions: expect.objectContaining({ status: 403, title: 'denied' }),
      },
    ])
    const unknown = await client.query('{ customer(id: 1) { password } }', {})
    expect(unknown.error?.message).toMatch(/^\[GraphQL\] .*its fields are in the schema/)
    expect(stage.api.seen.length).toBe(before)
  })

  test('waits while a person looks, and the mutation runs once (P-05)', async () => {
    const mutation = 'mutation ($n: String!) { renameCustomer(id: 1, name: $n) { name email } }'
    const renaming = client.mutation(mutation, { n: 'Renamed by a journey' }).toPromise()
    await stage.approve('/graphql', 'renameCustomer')
    expect((await renaming).data).toEqual({
      renameCustomer: { name: 'Renamed by a journey', email: '[masked]' },
    })
    expect(stage.api.seen.filter(({ body }) => body.includes('renameCustomer'))).toHaveLength(1)
    sealed()
  })
})
