/** What Stripe's API does as its SDK needs it: forms, lists with cursors, idempotency keys, errors of its own. */
import type { ServerResponse } from 'node:http'
import type { Answering, Seen } from './stand-in.ts'
import { sendJson } from './stand-in.ts'

export type StripeCustomer = {
  readonly id: string
  readonly object: 'customer'
  readonly name: string
  readonly email: string
  readonly metadata: Readonly<Record<string, string>>
}

export function stripeCustomers(count: number): StripeCustomer[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `cus_${1000 + i}`,
    object: 'customer' as const,
    name: `Customer ${i}`,
    email: `payer${i}@customers.example`,
    metadata: {},
  }))
}

/** `made` takes what was created. */
export function stripeApi(customers: readonly StripeCustomer[], made: StripeCustomer[]): Answering {
  /** An answer that was given is given again for the same key, whatever the body is. */
  const given = new Map<string, StripeCustomer>()
  let requests = 0
  return (seen, response) => {
    response.setHeader('request-id', `req_${++requests}`)
    response.setHeader('stripe-version', seen.headers['stripe-version'] ?? '')
    if (seen.method === 'GET' && seen.path === '/v1/customers') return list(customers, seen, response)
    const id = /^\/v1\/customers\/(cus_\d+)$/.exec(seen.path)?.[1]
    if (seen.method === 'GET' && id !== undefined) {
      const found = customers.find((each) => each.id === id)
      if (found !== undefined) return sendJson(response, 200, found)
    }
    if (seen.method === 'POST' && seen.path === '/v1/customers') {
      const key = String(seen.headers['idempotency-key'])
      const known = given.get(key)
      const customer = known ?? customerOf(new URLSearchParams(seen.body), made.length)
      given.set(key, customer)
      if (known === undefined) made.push(customer)
      return sendJson(response, 200, customer)
    }
    const error = { type: 'invalid_request_error', code: 'resource_missing', message: 'No such thing' }
    sendJson(response, 404, { error })
  }
}

function list(customers: readonly StripeCustomer[], { query }: Seen, response: ServerResponse): void {
  const after = query.get('starting_after')
  const from = after === null ? 0 : customers.findIndex(({ id }) => id === after) + 1
  const limit = Number(query.get('limit') ?? '10')
  const data = customers.slice(from, from + limit)
  const has_more = from + limit < customers.length
  sendJson(response, 200, { object: 'list', url: '/v1/customers', has_more, data })
}

function customerOf(form: URLSearchParams, n: number): StripeCustomer {
  const metadata: Record<string, string> = {}
  for (const [name, value] of form) {
    const key = /^metadata\[(\w+)\]$/.exec(name)?.[1]
    if (key !== undefined) metadata[key] = value
  }
  const [name, email] = [form.get('name') ?? '', form.get('email') ?? '']
  return { id: `cus_${9000 + n}`, object: 'customer', name, email, metadata }
}
