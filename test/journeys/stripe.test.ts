/** Stripe's own SDK with another address and another key, against a stand-in that speaks Stripe's API (acceptance 1). */
import { Stripe } from 'stripe'
import { beforeAll, describe, expect, test } from 'vitest'
import { teardown } from '../support/teardown.ts'
import type { Stage } from './apis/stage.ts'
import { REAL_KEY, startStage } from './apis/stage.ts'
import type { StripeCustomer } from './apis/stripe-api.ts'
import { stripeApi, stripeCustomers } from './apis/stripe-api.ts'

const CONNECTION = `upstream: { url: "http://127.0.0.1:PORT", bearer: KEY }
routes:
  - { method: GET, path: /v1/customers, pageSize: { query: limit, default: 10 } }
  - { method: GET, path: "/v1/customers/{id}" }
  - { method: POST, path: /v1/customers, class: write }
  - { method: POST, path: /v1/ephemeral_keys, effect: creates-a-credential }
labels:
  "/v1/customers: **.email": pii.email
  "/v1/customers/{id}: email": pii.email
`

const CUSTOMERS = stripeCustomers(8)
const NEW_EMAIL = 'newcomer@customers.example'

describe('the SDK of Stripe', () => {
  const later = teardown()
  const made: StripeCustomer[] = []
  let stage: Stage
  let stripe: Stripe

  beforeAll(async () => {
    stage = await startStage({
      authorization: `Bearer ${REAL_KEY}`,
      connection: CONNECTION,
      answer: stripeApi(CUSTOMERS, made),
    })
    later(() => stage.stop())
    const { hostname, port } = new URL(stage.url)
    stripe = new Stripe(stage.token, {
      host: hostname,
      port,
      protocol: 'http',
      // This SDK takes a host and no path, so the connection's path is put in front by the function it fetches with.
      httpClient: Stripe.createFetchHttpClient((asked, init) => {
        const { pathname, search } = new URL(String(asked))
        return fetch(`${stage.url}${pathname}${search}`, init)
      }),
    })
  })

  const sealed = (): void => stage.expectSealed([...CUSTOMERS.map(({ email }) => email), NEW_EMAIL])

  test('reads a customer with the address masked, and what else is as Stripe says it (P-02)', async () => {
    const customer = await stripe.customers.retrieve('cus_1002')
    expect(customer).toEqual({ ...CUSTOMERS[2], email: '[masked]' })
    expect(customer.lastResponse).toMatchObject({
      statusCode: 200,
      requestId: expect.stringMatching(/^req_\d+$/),
    })
    expect(stage.api.seen.at(-1)?.headers['user-agent']).toMatch(/^Stripe\/v1 NodeBindings/)
    sealed()
  })

  test('walks through a list by its cursors', async () => {
    const names: string[] = []
    for await (const { name, email } of stripe.customers.list({ limit: 3 })) {
      expect(email).toBe('[masked]')
      names.push(name ?? '')
    }
    expect(names).toEqual(CUSTOMERS.map(({ name }) => name))
    const cursors = stage.api.seen.slice(-3).map(({ query }) => query.get('starting_after'))
    expect(cursors).toEqual([null, 'cus_1002', 'cus_1005'])
    sealed()
  })

  test('fails with its own error for a permission, which says why (P-09)', async () => {
    const before = stage.api.seen.length
    const failure = await stripe.ephemeralKeys
      .create({ customer: 'cus_1002' }, { apiVersion: '2025-03-31' })
      .then(String, (error: unknown) => error)
    expect(failure).toBeInstanceOf(Stripe.errors.StripePermissionError)
    expect(failure).toMatchObject({
      statusCode: 403,
      code: 'denied',
      message: expect.stringMatching(/permit.* Request [0-9A-Z]{26}\.\d+\.$/),
    })
    const missing = await stripe.customers.retrieve('cus_1').then(String, (error: unknown) => error)
    expect(missing).toBeInstanceOf(Stripe.errors.StripeInvalidRequestError)
    expect(missing).toMatchObject({ statusCode: 404, code: 'resource_missing', message: 'No such thing' })
    // One that is not there is asked for; the key was not.
    expect(stage.api.seen.length).toBe(before + 1)
  })

  test('waits while a person looks, and creates one customer with its form and its key (P-05)', async () => {
    const creating = stripe.customers.create(
      { name: 'New Comer & Sons', email: NEW_EMAIL, metadata: { source: 'journey' } },
      { idempotencyKey: 'journey-1' },
    )
    await stage.approve('POST /v1/customers')
    const created = await creating
    expect(created).toEqual({
      id: 'cus_9000',
      object: 'customer',
      name: 'New Comer & Sons',
      email: '[masked]',
      metadata: { source: 'journey' },
    })
    expect(made).toEqual([{ ...created, email: NEW_EMAIL }])
    const posted = stage.api.seen.filter(({ method }) => method === 'POST')
    expect(posted.map(({ headers }) => [headers['content-type'], headers['idempotency-key']])).toEqual([
      ['application/x-www-form-urlencoded', 'journey-1'],
    ])
    sealed()
  })
})
