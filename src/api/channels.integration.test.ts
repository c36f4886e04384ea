/** Channels through the whole gateway: webhooks and Slack out, signed answers and clicks in, and where links lead. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Approval, ApprovalInput } from '../approvals/index.ts'
import { brand, type ConnectionName, type RequestId, type SessionId } from '../core/index.ts'
import type { ApiCall, TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'
import { SlackServer } from '../testing/slack-server.ts'
import { signedAnswer, WebhookReceiver } from '../testing/webhook-receiver.ts'
import { until } from '../testing/world.ts'

const OUT = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const OLD = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
const IN = `whsec_${Buffer.alloc(32, 3).toString('base64')}`

let api: TestApi
let receiver: WebhookReceiver
let slack: SlackServer

beforeAll(async () => {
  receiver = new WebhookReceiver(OUT)
  slack = new SlackServer()
  const url = await receiver.start()
  const apiUrl = await slack.start()
  const block = `approvals:
  channels:
    ops:
      kind: webhook
      url: ${url}
      secret: "\${store:out}"
      previousSecret: "\${store:old}"
      perMinute: 600
      answers:
        secret: "\${store:in}"
        people: { u-ada: "person:ada", u-bob: "person:bob" }
    chat:
      kind: slack
      token: "\${store:token}"
      to: C0123456789
      apiUrl: ${apiUrl}
      perMinute: 600
      answers: { signingSecret: "\${store:signing}", people: { U1: "person:ada" } }
  routes:
    told: { steps: [{ anyone: true }], channels: [ops, chat], answers: [ops, chat] }
    quiet: { steps: [{ anyone: true }], channels: [ops] }
`
  api = await startTestApi((config) =>
    config
      .replace('approvals:\n', block)
      .replace('api: { port: 0 }', 'api: { port: 0, publicUrl: "https://sluice.example.com/" }'),
  )
  for (const [name, value] of Object.entries({
    out: OUT,
    old: OLD,
    in: IN,
    token: slack.token,
    signing: slack.signingSecret,
  }))
    expect((await api.operator('PUT', `/v1/secrets/${name}`, { body: { value } })).status).toBe(200)
})

afterAll(async () => {
  await api.stop()
  await receiver.stop()
  await slack.stop()
})

beforeEach(() => {
  receiver.taken.length = 0
  receiver.status = 200
})

let asked = 0
function ask(route: string, rest: Partial<ApprovalInput> = {}): Promise<Approval> {
  const { parts } = api.gateway
  const agent = parts.localIdentity('scraper')
  if (agent === undefined) throw new Error('scraper')
  asked++
  return parts.approvals.open({
    fingerprint: `f${asked}`,
    shape: `f${asked}`,
    kin: `f${asked}`,
    requestId: brand<RequestId>(`01J00000000000000000000000.${asked}`),
    session: brand<SessionId>('01J00000000000000000000000'),
    chain: [agent],
    connection: brand<ConnectionName>('crm'),
    text: `DELETE FROM t WHERE id = ${asked}`,
    class: 'write',
    reads: [],
    writes: ['public.t'],
    rules: [],
    policyVersion: parts.policy().version,
    review: [{ route, reuse: {} }],
    ...rest,
  })
}

const post = (path: string, call: ApiCall) => api.person('POST', path, call)
const answer = (ticket: string, rest = {}) => ({
  type: 'approval.answer',
  ticket,
  verdict: 'approve',
  user: 'u-ada',
  ...rest,
})

let sent = 0
const sign = (body: unknown, id = `evt_${++sent}`, secret = IN, at = Date.now()) =>
  signedAnswer(secret, id, body, at)

async function stateOf(ticket: string): Promise<unknown> {
  return (await api.operator('GET', `/v1/approvals/${ticket}`)).body.state
}

describe('webhooks out', () => {
  it('are taken by the library of Standard Webhooks, with all that is to be known and the link', async () => {
    const { ticket } = await ask('told', { parameters: ['7'], shown: undefined as never })
    await until('it is told', () => receiver.taken.length === 1)
    const [{ body, id } = { body: undefined, id: '' }] = receiver.taken
    expect(id).toMatch(/^msg_/)
    expect(body).toMatchObject({
      type: 'approval.requested',
      data: {
        ticket,
        state: 'pending',
        chain: ['agent:scraper'],
        connection: 'crm',
        class: 'write',
        text: `DELETE FROM t WHERE id = ${asked}`,
        parameters: ['7'],
        sealed: false,
        writes: ['public.t'],
        answerable: true,
        peopleNeeded: 1,
        link: `https://sluice.example.com/approvals/${ticket}`,
        command: `sluice approvals show ${ticket}`,
      },
    })
    expect(body?.data).not.toHaveProperty('truncated')
    await post(`/v1/channels/ops/answers`, sign(answer(ticket, { verdict: 'refuse', reason: 'no' })))
    await until('the answer is told', () => receiver.taken.length === 2)
    expect(receiver.taken[1]?.body).toMatchObject({
      type: 'approval.answered',
      data: { state: 'refused', answers: [{ verdict: 'refuse', by: 'person:ada' }] },
    })
  })

  it('carry the signature under the earlier secret as well', async () => {
    receiver.secret = OLD
    await ask('quiet')
    await until('it is told', () => receiver.taken.length === 1)
    receiver.secret = OUT
    expect(receiver.faults).toEqual([])
  })

  it('J-04: say how much of a long command they show, and take no answer to it', async () => {
    const text = `DELETE FROM t WHERE a IN (${'1, '.repeat(20_000)}2) OR true`
    const { ticket } = await ask('told', { text })
    await until('it is told', () => receiver.taken.length === 1)
    const data = receiver.taken[0]?.body.data ?? {}
    expect(data.truncated).toEqual({ shown: String(data.text).length, total: text.length })
    expect(String(data.text).length).toBe(24 * 1024)
    expect(data.answerable).toBe(false)
    expect((await post('/v1/channels/ops/answers', sign(answer(ticket)))).status).toBe(403)
    expect(await stateOf(ticket)).toBe('pending')
  })

  it('hold no value that is sealed (P-02)', async () => {
    const shown = { text: 'UPDATE c SET e = [sealed pii.email]' }
    const { ticket } = await ask('told', { text: "UPDATE c SET e = 'eve@example.com'", shown })
    await until('it is told', () => receiver.taken.length === 1 && slack.messages.size > 0)
    expect(receiver.taken[0]?.body.data).toMatchObject({ text: shown.text, sealed: true, answerable: false })
    expect(receiver.taken[0]?.text + JSON.stringify([...slack.messages])).not.toContain('eve@example.com')
    expect((await post('/v1/channels/ops/answers', sign(answer(ticket)))).status).toBe(403)
  })

  it('that are redirected or not taken wait, are counted, and come when they are taken', async () => {
    receiver.status = 302
    const { ticket } = await ask('quiet')
    await until('it has failed', () => api.faults.some((fault) => String(fault).includes('answered 302')))
    const { text } = await api.operator('GET', '/metrics')
    expect(text).toMatch(/sluice_notifications_failures\{channel="ops"\} [1-9]/)
    expect(text).toMatch(/sluice_notifications_undelivered\{channel="ops"\} 0/)
    const { body } = await api.operator('GET', '/v1/status')
    expect(body['channels']).toContainEqual(
      expect.objectContaining({
        name: 'ops',
        undelivered: 0,
        fault: expect.stringContaining('answered 302'),
      }),
    )
    expect(JSON.stringify(api.faults.map(String))).not.toContain(ticket)
  })
})

describe('signed answers in', () => {
  it('count as the person they are of, and name the channel', async () => {
    const { ticket } = await ask('told')
    const { status, body } = await post(
      '/v1/channels/ops/answers',
      sign(answer(ticket, { reason: 'looks right' })),
    )
    expect({ status, body }).toEqual({ status: 200, body: { ticket, state: 'approved' } })
    const [given] = (await api.operator('GET', `/v1/approvals/${ticket}`)).body.answers as object[]
    expect(given).toMatchObject({
      by: 'person:ada',
      method: 'channel',
      through: 'channel:ops',
      reason: 'looks right',
    })
  })

  it('J-07: are refused when they are forged, too old, or of another channel, and leave no entry', async () => {
    const { ticket } = await ask('told')
    const entries = async () =>
      (await api.operator('GET', '/metrics')).text.match(/sluice_admin_entries_total (\d+)/)?.[1]
    const before = await entries()
    const good = sign(answer(ticket))
    for (const call of [
      sign(answer(ticket), 'evt_a', OUT),
      sign(answer(ticket), 'evt_b', IN, Date.now() - 301_000),
      sign(answer(ticket), 'evt_c', IN, Date.now() + 330_000),
      { ...good, raw: good.raw.replace('approve"', 'refuse"') },
      { ...good, headers: { ...good.headers, 'webhook-id': 'evt_d' } },
      { raw: good.raw, headers: { 'content-type': 'application/json' } },
    ])
      expect((await post('/v1/channels/ops/answers', call)).status).toBe(401)
    expect((await post('/v1/channels/chat/answers', good)).status).toBe(404)
    expect((await post('/v1/channels/none/answers', good)).status).toBe(404)
    expect(await entries()).toBe(before)
    expect(await stateOf(ticket)).toBe('pending')
  })

  it('J-07: count once, whatever came of it', async () => {
    const { ticket } = await ask('told')
    const call = sign(answer(ticket))
    expect((await post('/v1/channels/ops/answers', call)).status).toBe(200)
    const again = await post('/v1/channels/ops/answers', call)
    expect(again.status).toBe(409)
    expect(again.body.detail).toBe(`This message was here before, and counts once. ${ticket} is approved.`)
    const other = await ask('told')
    expect(
      (await post('/v1/channels/ops/answers', sign(answer(other.ticket), call.headers['webhook-id']))).status,
    ).toBe(409)
    expect(await stateOf(other.ticket)).toBe('pending')
  })

  it('J-06: are refused of who has no role, of nobody, and where the route does not let the channel answer', async () => {
    const { ticket } = await ask('told')
    for (const user of ['u-bob', 'u-eve'])
      expect((await post('/v1/channels/ops/answers', sign(answer(ticket, { user })))).status).toBe(403)
    const quiet = await ask('quiet')
    expect((await post('/v1/channels/ops/answers', sign(answer(quiet.ticket)))).status).toBe(403)
    expect(await stateOf(ticket)).toBe('pending')
    expect(await stateOf(quiet.ticket)).toBe('pending')
  })

  it('J-06: are refused of a person that is blocked', async () => {
    const { ticket } = await ask('told')
    expect(
      (await api.operator('POST', '/v1/identities/block', { body: { identity: 'person:ada' } })).status,
    ).toBe(200)
    expect((await post('/v1/channels/ops/answers', sign(answer(ticket)))).status).toBe(403)
    await api.operator('POST', '/v1/identities/unblock', { body: { identity: 'person:ada' } })
    expect(await stateOf(ticket)).toBe('pending')
  })

  it('are refused when they say something else', async () => {
    const { ticket } = await ask('told')
    for (const body of [
      { ...answer(ticket), through: 'cli' },
      { ...answer(ticket), verdict: 'maybe' },
      [],
      'x',
    ])
      expect((await post('/v1/channels/ops/answers', sign(body))).status).toBe(400)
    expect((await post('/v1/channels/ops/answers', sign(answer('T-00000000')))).status).toBe(404)
  })
})

it('a click in Slack is posted as a form, and answers', async () => {
  const { ticket } = await ask('told')
  const times = () =>
    [...slack.messages].flatMap(([ts, message]) =>
      JSON.stringify(message).includes(`"value":"${ticket}"`) ? ts : [],
    )
  await until('it stands in Slack', () => times().length === 1)
  const [ts = ''] = times()
  // The message is known by its time once Slack's answer has been read.
  let state: unknown
  for (let i = 0; i < 20 && state !== 'approved'; i++) {
    const { body, headers } = slack.click('U1', ts, 'sluice_approve')
    expect((await post('/v1/channels/chat/clicks', { raw: body, headers })).status).toBe(200)
    state = await stateOf(ticket)
    if (state === 'pending') await new Promise((resolve) => setTimeout(resolve, 250))
  }
  expect(state).toBe('approved')
  const { body, headers } = slack.click('U1', ts, 'sluice_approve', { secret: 'x' })
  expect((await post('/v1/channels/chat/clicks', { raw: body, headers })).status).toBe(401)
})

it('a link leads to how one answers, the same for every ticket, and opens nothing', async () => {
  const { ticket } = await ask('told', { text: 'DELETE FROM hidden' })
  const there = await api.person('GET', `/approvals/${ticket}`)
  expect(there.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(there.text).toContain(`sluice approvals show ${ticket}`)
  expect(there.text).not.toContain('hidden')
  const nowhere = await api.person('GET', '/approvals/T-00000000')
  expect(nowhere.text.replaceAll('T-00000000', ticket)).toBe(there.text)
  expect((await api.person('GET', '/approvals/%3Cscript%3E')).status).toBe(404)
  expect((await api.person('GET', '/approvals')).text).toContain('sluice approvals ls')
})
