/** People and their answers: enrolling, logging in, and approving what is held. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Approval } from '../approvals/index.ts'
import { brand, type ConnectionName, type RequestId, type SessionId } from '../core/index.ts'
import type { TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'

let api: TestApi
/** Tokens of fresh logins. */
let ada: string
let bob: string

beforeAll(async () => {
  api = await startTestApi()
  ada = await logIn('ada')
  bob = await logIn('bob')
})

afterAll(() => api.stop())

async function logIn(person: string): Promise<string> {
  const codes = await api.enrol(person)
  const { status, body } = await api.person('POST', '/v1/login', { body: { person, code: codes() } })
  expect(status).toBe(200)
  return String(body.token)
}

let fingerprints = 0

async function held(
  requester = 'support-agent',
  more: Pick<Approval, 'shown' | 'parameters'> = {},
): Promise<Approval> {
  const identity = api.gateway.parts.localIdentity(requester)
  if (identity === undefined) throw new Error(requester)
  return await api.gateway.parts.approvals.open({
    fingerprint: `fingerprint ${++fingerprints}`,
    shape: 'shape',
    kin: 'kin',
    requestId: brand<RequestId>('01JD000000000000000000000A.1'),
    session: brand<SessionId>('01JD000000000000000000000A'),
    chain: [identity],
    connection: brand<ConnectionName>('crm'),
    text: "UPDATE customers SET plan = 'gold'",
    class: 'write',
    reads: [],
    writes: ['public.customers'],
    rules: [{ name: 'read', file: 'sluice.yaml', line: 1 }],
    policyVersion: 'p',
    ...more,
  })
}

describe('logging in', () => {
  it('gives a short-lived token, and tells until when it is fresh', async () => {
    const codes = await api.enrol('eve')
    const { body } = await api.person('POST', '/v1/login', { body: { person: 'eve', code: codes() } })
    expect(body.person).toBe('person:eve')
    expect(Number(body.expiresAt) - Date.now()).toBeLessThanOrEqual(60 * 60 * 1000)
    expect(Number(body.freshUntil) - Date.now()).toBeLessThanOrEqual(5 * 60 * 1000)
    const pending = api.gateway.parts.approvals.list({ states: ['pending'] }).length
    const status = await api.person('GET', '/v1/status', { token: ada })
    expect(status.body).toMatchObject({ status: 'ok', approvalsPending: pending })
  })

  it.each([
    ['a wrong code', { person: 'ada', code: '000000' }, 401],
    ['somebody unknown', { person: 'nobody', code: '000000' }, 401],
    ['an agent', { person: 'agent:support-agent', code: '000000' }, 401],
    ['a body that is no login', { person: 'ada' }, 400],
    ['more than is asked for', { person: 'ada', code: '000000', role: 'admin' }, 400],
  ])('refuses %s', async (_what, body, status) => {
    const answer = await api.person('POST', '/v1/login', { body })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.text).not.toContain('000000')
  })

  it('makes no new one-time code without somebody who may', async () => {
    const token = bob
    const answer = await api.person('POST', '/v1/people/eve/invitations', { token })
    expect(answer.status).toBe(403)
    expect((await api.operator('POST', '/v1/people/nobody/invitations')).status).toBe(404)
  })
})

describe('answering an approval request', () => {
  it('shows sealed values to who may answer, while there is something to answer, and to nobody else', async () => {
    const shown = {
      text: 'UPDATE customers SET email = [sealed pii.email]',
      parameters: ['[sealed pii.email]'],
    }
    const { ticket } = await held('support-agent', { shown, parameters: ['"gold"'] })
    const plain = { text: "UPDATE customers SET plan = 'gold'", parameters: ['"gold"'] }
    const path = `/v1/approvals/${ticket}`
    expect((await api.person('GET', path, { token: ada })).body).toMatchObject(plain)
    expect((await api.operator('GET', path)).body).toMatchObject(shown)
    const { body } = await api.operator('GET', '/v1/approvals')
    expect(body.approvals).toContainEqual(expect.objectContaining({ ticket, ...shown }))
    const answer = { token: ada, body: { verdict: 'refuse' } }
    expect((await api.person('POST', `${path}/answer`, answer)).body).toMatchObject(shown)
    expect((await api.person('GET', path, { token: ada })).body).toMatchObject(shown)
  })

  it('lets a person approve with a fresh login, and shows the answer', async () => {
    const { ticket } = await held()
    const token = ada
    const listed = await api.operator('GET', '/v1/approvals?state=pending')
    // Newest first; what other tests held may wait behind it.
    const [newest] = listed.body.approvals as unknown[]
    expect(newest).toMatchObject({ ticket, state: 'pending', chain: ['agent:support-agent'] })
    const answer = await api.person('POST', `/v1/approvals/${ticket}/answer`, {
      token,
      body: { verdict: 'approve', reason: 'looked fine' },
    })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      ticket,
      state: 'approved',
      answers: [
        { verdict: 'approve', by: 'person:ada', method: 'code', through: 'api', reason: 'looked fine' },
      ],
    })
    const again = await api.person('POST', `/v1/approvals/${ticket}/answer`, {
      token,
      body: { verdict: 'refuse' },
    })
    expect(again.status).toBe(409)
  })

  it('never goes through the operator socket (P-05)', async () => {
    const { ticket } = await held()
    const answer = await api.operator('POST', `/v1/approvals/${ticket}/answer`, {
      body: { verdict: 'approve' },
    })
    expect(answer.status).toBe(403)
    expect(answer.body.detail).toMatch(/operator socket/)
    expect((await api.operator('GET', `/v1/approvals/${ticket}`)).body.state).toBe('pending')
  })

  it('takes no token that comes from no login', async () => {
    const { ticket } = await held()
    const { issuer, localIdentity } = api.gateway.parts
    const identity = localIdentity('ada')
    if (identity === undefined) throw new Error('ada')
    const { token } = await issuer.issue([identity], 60_000)
    const answer = await api.person('POST', `/v1/approvals/${ticket}/answer`, {
      token: token.reveal(),
      body: { verdict: 'approve' },
    })
    expect(answer.status).toBe(401)
    expect(answer.body.detail).toBe('An answer needs a fresh login by a person.')
  })

  it('takes no answer of who is no approver', async () => {
    const { ticket } = await held()
    const token = bob
    const answer = await api.person('POST', `/v1/approvals/${ticket}/answer`, {
      token,
      body: { verdict: 'approve' },
    })
    expect(answer.status).toBe(403)
  })

  it('finds a ticket as people type it', async () => {
    const { ticket } = await held()
    const typed = ticket.toLowerCase().replace('t-', '')
    expect((await api.operator('GET', `/v1/approvals/${typed}`)).body.ticket).toBe(ticket)
    expect((await api.operator('GET', '/v1/approvals/T-NOPE')).status).toBe(404)
  })
})

describe('the event stream', () => {
  it('tells of approval requests as they change, without the statement', async () => {
    const token = ada
    const stream = await api.open('/v1/events', token)
    let text = ''
    const seen = (async () => {
      for await (const chunk of stream) {
        text += chunk.toString()
        if (text.includes('event: approval')) break
      }
    })()
    const { ticket } = await held('scraper')
    await seen
    stream.destroy()
    expect(text).toContain(': connected\n\n')
    expect(text).toMatch(/id: \d+\nevent: approval\ndata: \{.*\}\n\n/)
    expect(text).toContain(ticket)
    expect(text).not.toContain('UPDATE')
  })
})
