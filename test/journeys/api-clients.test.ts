/** Clients of no vendor in particular against an internal API: base URL and key are changed and nothing else (acceptance 1). */
import { beforeAll, describe, expect, test } from 'vitest'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { ApiUserName, Place } from './apis/clients.ts'
import { API_USERS } from './apis/clients.ts'
import type { Stage } from './apis/stage.ts'
import { REAL_KEY, startStage } from './apis/stage.ts'
import type { Answering } from './apis/stand-in.ts'
import { sendJson } from './apis/stand-in.ts'

const CUSTOMERS = Array.from({ length: 7 }, (_, i) => ({
  id: i + 1,
  name: `Customer ${i + 1}`,
  email: `someone${i + 1}@customers.example`,
}))
const SHOWN = CUSTOMERS.map((each) => ({ ...each, email: '[masked]' }))
const PAGE = 3

const CONNECTION = `upstream: { url: "http://127.0.0.1:PORT/v2", bearer: KEY }
routes:
  - { method: GET, path: /customers }
  - { method: GET, path: "/customers/{id}" }
  - { method: GET, path: /feed }
  - { method: POST, path: /invoices }
  - { method: POST, path: /api-keys }
labels:
  "/customers: [].email": pii.email
  "/customers/{id}: email": pii.email
  "/feed: [].email": pii.email
`

/** How each says that a request was refused, in its own words. */
const REFUSALS: Readonly<Record<ApiUserName, string>> = {
  curl: '22 curl: (22) The requested URL returned error: 403',
  fetch: 'false 403 Forbidden',
  undici: '403',
  axios: 'ERR_BAD_REQUEST Request failed with status code 403',
  'Python requests': '403 Client Error: Forbidden for url: ',
  'Python httpx': "Client error '403 Forbidden' for url ",
}

const later = teardown()
let stage: Stage
let lines = 0

const answer: Answering = async (seen, response) => {
  if (seen.path === '/v2/customers') {
    const page = Number(seen.query.get('page') ?? '1')
    const next = `<http://${seen.headers.host}/v2/customers?page=${page + 1}>; rel="next"`
    const items = CUSTOMERS.slice((page - 1) * PAGE, page * PAGE)
    return sendJson(response, 200, items, page * PAGE < CUSTOMERS.length ? { link: next } : {})
  }
  if (seen.path === '/v2/feed') {
    const first = { ...CUSTOMERS[0], name: `Line ${lines++}.` }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.write(`${JSON.stringify(first)}\n`)
    // Whoever collects an answer before passing it on never gets the second line.
    await eventually('the first line at the client', () => stage.tap.toClients().includes(first.name))
    return void response.end(`${JSON.stringify(CUSTOMERS[1])}\n`)
  }
  if (seen.method === 'POST') {
    const made = { id: 81, ...JSON.parse(seen.body) }
    return sendJson(response, 201, made, { location: `http://${seen.headers.host}/v2/invoices/81` })
  }
  const id = /^\/v2\/customers\/(\d+)$/.exec(seen.path)?.[1]
  const found = CUSTOMERS.find((each) => String(each.id) === id)
  return sendJson(response, found === undefined ? 404 : 200, found ?? { message: 'Not found' })
}

beforeAll(async () => {
  stage = await startStage({ authorization: `Bearer ${REAL_KEY}`, connection: CONNECTION, answer })
  later(() => stage.stop())
})

describe.each(Object.keys(REFUSALS) as ApiUserName[])('the internal API in %s', (name) => {
  const client = API_USERS[name]
  const place = (): Place => ({ url: stage.url, token: stage.token })

  test('is read, walked through and listened to, masked (P-02)', async () => {
    expect(await client.lines(place(), '/feed')).toEqual([
      { ...SHOWN[0], name: expect.stringMatching(/^Line \d\.$/) },
      SHOWN[1],
    ])
    expect(await client.one(place(), '/customers/2')).toEqual(SHOWN[1])
    // The API links to itself; what the client follows leads to the gateway all the same.
    expect(await client.pages(place(), '/customers')).toEqual(SHOWN)
    stage.expectSealed(CUSTOMERS.map(({ email }) => email))
  })

  test('says why a request was refused, and the API has not had it (P-09)', async () => {
    const before = stage.api.seen.length
    const { error, problem } = await client.refused(place(), '/api-keys', '{"name":"mine"}')
    expect(error).toContain(REFUSALS[name])
    expect(problem.detail.length).toBeGreaterThan(20)
    expect(problem.remedy.length).toBeGreaterThan(10)
    expect(problem.request).toMatch(/^[0-9A-Z]{26}\.\d+$/)
    expect(stage.api.seen.length).toBe(before)
  })

  test('waits while a person looks, and the request is made once (P-05)', async () => {
    const mark = `of=${encodeURIComponent(name)}`
    const creating = client.create(place(), `/invoices?${mark}`, '{"amount":12}')
    await stage.approve(mark)
    expect(await creating).toEqual({
      status: 201,
      location: `${stage.url}/invoices/81`,
      body: { id: 81, amount: 12 },
    })
    const made = stage.api.seen.filter(({ query }) => query.get('of') === name)
    expect(made.map(({ body }) => JSON.parse(body))).toEqual([{ amount: 12 }])
    stage.expectSealed(CUSTOMERS.map(({ email }) => email))
  })
})
