import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LIMITS } from '../../../core/index.ts'
import { HttpStage } from '../../../testing/http-stage.ts'

let stage: HttpStage
const waiting: ServerResponse[] = []

beforeAll(async () => {
  stage = await HttpStage.open()
  stage.answer('GET /customers', (response) => void waiting.push(response))
})

afterAll(() => stage.close())

it('who has too many requests on their way is told to ask again in a moment, by a status that clients do that for', async () => {
  const clients = await Promise.all(
    Array.from({ length: LIMITS.httpRequestsPerIdentityMax }, () => stage.client()),
  )
  const replies = clients.map((client) => client.request('GET /customers'))
  while (waiting.length < clients.length) await new Promise((resolve) => setTimeout(resolve, 10))
  const another = await stage.client()
  const refused = await another.request('GET /customers')
  expect(refused.status).toBe(429)
  expect(refused.headers['retry-after']).toBe('1')
  expect(JSON.parse(refused.body)).toMatchObject({
    retry: 'later',
    type: expect.stringContaining('limit_exceeded'),
  })
  for (const response of waiting) response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  expect(new Set((await Promise.all(replies)).map(({ status }) => status))).toEqual(new Set([200]))
  const then = another.request('GET /customers')
  while (waiting.length <= clients.length) await new Promise((resolve) => setTimeout(resolve, 10))
  waiting.at(-1)?.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  expect((await then).status).toBe(200)
})
