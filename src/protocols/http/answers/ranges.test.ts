import { afterEach, beforeEach, expect, it } from 'vitest'
import { HttpStage } from '../../../testing/http-stage.ts'

const CARD = '4111111111111111'
const BODY = JSON.stringify({ items: [{ id: 1, card: CARD }] })

let stage: HttpStage
beforeEach(async () => {
  stage = await HttpStage.open()
})
afterEach(() => stage.close())

it('does not pass on a range: digits cut out of a protected value would be JSON by themselves (P-02)', async () => {
  const from = BODY.indexOf(CARD)
  stage.answer('GET /customers', (response, { headers }) => {
    const whole = headers.range === undefined
    response.writeHead(whole ? 200 : 206, { 'content-type': 'application/json' })
    response.end(whole ? BODY : BODY.slice(from, from + CARD.length))
  })
  const client = await stage.client()
  const range = `range: bytes=${from}-${from + CARD.length - 1}`
  const reply = await client.request('GET /customers', {
    headers: [range, 'if-range: "1"'],
  })
  expect(reply.status).toBe(200)
  expect(reply.body).not.toContain(CARD)
  expect(stage.asked[0]?.headers).not.toHaveProperty('if-range')
})

it('withholds a part of an answer that nobody asked for (P-02)', async () => {
  stage.answer('GET /customers', (response) => {
    response.writeHead(206, { 'content-type': 'application/json', 'content-range': 'bytes 21-36/40' })
    response.end(CARD)
  })
  const client = await stage.client()
  const reply = await client.request('GET /customers')
  expect(reply.status).toBe(403)
  expect(reply.body).not.toContain(CARD)
})
