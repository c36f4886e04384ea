/** Access for a time, through the whole gateway: asked for, granted, and what its end does to live sessions. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { brand, type ConnectionName, type GatewayError, type Identity } from '../core/index.ts'
import { ownJudgement, type Session } from '../session/index.ts'
import type { TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'
import { until } from '../testing/world.ts'

let api: TestApi
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
  const { body } = await api.person('POST', '/v1/login', { body: { person, code: codes() } })
  return String(body.token)
}

function identity(name: string): Identity {
  const found = api.gateway.parts.localIdentity(name)
  if (found === undefined) throw new Error(name)
  return found
}

/** A session of this identity on the CRM, and what it was told when it was ended. */
function session(name: string): { session: Session; told: GatewayError[] } {
  const connection = api.gateway.parts.config().connections.get(brand<ConnectionName>('crm'))
  if (connection === undefined) throw new Error('crm')
  const told: GatewayError[] = []
  const opened = api.gateway.parts.gateway.open({
    chain: [identity(name)],
    connection,
    credential: `c_${name}`,
    mintedBy: 'test',
    clientAddress: '192.0.2.1:1',
    program: 'test',
    database: 'crm',
    isIdle: () => true,
    onTerminate: (reason) => {
      told.push(reason)
      opened.close('ended')
    },
  })
  return { session: opened, told }
}

const facts = {
  ...ownJudgement('public.customers').facts,
  class: 'write',
  statements: [{ class: 'write' }],
} as const

function decides({ session: of }: { session: Session }): string {
  const judgement = of.cached('', 'w') ?? of.judge('', 'w', facts)
  try {
    of.step({ form: 'query', text: 'w', facts }, judgement)
  } catch {
    // Denied: the decision says so.
  }
  return judgement.decision.kind
}

it('is asked for from the host, granted by an approver, and over within two seconds of its revocation', async () => {
  const one = session('scraper')
  const idle = session('scraper')
  const other = session('support-agent')
  expect(decides(one)).toBe('deny')
  const body = { access: 'repair', reason: 'ticket 7', as: 'scraper', ms: 600_000 }
  const asked = await api.operator('POST', '/v1/access', { body })
  expect(asked.body).toMatchObject({
    state: 'pending',
    access: { name: 'repair', ms: 600_000, emergency: false },
    rules: [expect.stringContaining('repair')],
    class: 'write',
  })
  const { ticket } = asked.body
  expect(decides(one)).toBe('deny')
  const answer = { token: ada, body: { verdict: 'approve' } }
  expect((await api.person('POST', `/v1/approvals/${ticket}/answer`, answer)).status).toBe(200)
  expect(decides(one)).toBe('allow')
  expect(decides(other)).toBe('deny')
  const since = Date.now()
  expect((await api.operator('POST', `/v1/approvals/${ticket}/revoke`)).body.state).toBe('revoked')
  await until('the session was ended', () => one.told.length === 1)
  expect(Date.now() - since).toBeLessThan(2000)
  expect(one.told[0]?.message).toContain('Your access repair has ended')
  // Nothing was decided by it there: that session goes on, without it.
  expect(idle.told).toEqual([])
  expect(decides(idle)).toBe('deny')
  idle.session.close('done')
  other.session.close('done')
})

it('is taken in an emergency by a person with a fresh login, and by nobody else', async () => {
  const body = { access: 'repair', reason: 'the shop is down', ms: 600_000 }
  expect((await api.operator('POST', '/v1/access/emergency', { body })).status).toBe(403)
  const agent = await api.gateway.parts.issuer.issue([identity('scraper')], 60_000)
  const byAgent = { token: agent.token.reveal(), body }
  expect((await api.person('POST', '/v1/access/emergency', byAgent)).status).toBe(403)
  const stale = await api.gateway.parts.issuer.issue([identity('bob')], 60_000)
  const byStale = { token: stale.token.reveal(), body }
  expect((await api.person('POST', '/v1/access/emergency', byStale)).status).toBe(401)
  const taken = await api.person('POST', '/v1/access/emergency', { token: bob, body })
  expect(taken.body).toMatchObject({ state: 'approved', access: { emergency: true }, chain: ['person:bob'] })
  const his = session('bob')
  expect(decides(his)).toBe('allow')
  his.session.close('done')
})

it('is asked for by an agent for itself alone, and only what it may ask for', async () => {
  const { token } = await api.gateway.parts.issuer.issue([identity('support-agent'), identity('ada')], 60_000)
  const ask = (body: unknown) => api.person('POST', '/v1/access', { token: token.reveal(), body })
  expect((await ask({ access: 'repair', reason: 'r', as: 'bob' })).status).toBe(403)
  expect((await ask({ access: 'nothing', reason: 'r' })).status).toBe(404)
  expect((await ask({ access: 'repair', reason: 'r', connection: 'crm-api' })).status).toBe(400)
  expect((await ask({ access: 'repair', reason: 'r', ms: 24 * 3_600_000 })).status).toBe(400)
  expect((await ask({ access: 'repair', reason: ' ' })).status).toBe(400)
  const { body } = await ask({ access: 'repair', reason: 'r' })
  expect(body).toMatchObject({ state: 'pending', chain: ['agent:support-agent', 'person:ada'] })
  // Ada is behind it.
  const answer = { token: ada, body: { verdict: 'approve' } }
  expect((await api.person('POST', `/v1/approvals/${body.ticket}/answer`, answer)).status).toBe(403)
  expect((await api.operator('POST', '/v1/access', { body: { access: 'repair', reason: 'r' } })).status).toBe(
    400,
  )
})

it('is listed for who may ask, with what is open and what waits; others learn nothing of it', async () => {
  const { token } = await api.gateway.parts.issuer.issue([identity('support-agent'), identity('ada')], 60_000)
  const own = await api.person('GET', '/v1/access', { token: token.reveal() })
  expect(own.body).toMatchObject({
    access: [expect.objectContaining({ name: 'repair', connections: expect.arrayContaining(['crm']) })],
    requests: [expect.objectContaining({ name: 'repair', state: 'pending', connection: 'crm' })],
  })
  const taken = await api.operator('GET', '/v1/access?as=bob')
  expect(taken.body.requests).toEqual([
    expect.objectContaining({ name: 'repair', state: 'approved', emergency: true }),
  ])
  expect((await api.person('GET', '/v1/access?as=bob', { token: token.reveal() })).status).toBe(403)
  expect((await api.operator('GET', '/v1/access')).status).toBe(400)
})

it('a mute is lifted by an approver with a fresh login, not from the host', async () => {
  const body = { access: 'repair', reason: 'once more', as: 'scraper' }
  const asked = await api.operator('POST', '/v1/access', { body })
  const refusal = { token: ada, body: { verdict: 'refuse', muteMs: 60_000 } }
  const path = `/v1/approvals/${asked.body.ticket}`
  expect((await api.person('POST', `${path}/answer`, refusal)).body.state).toBe('refused')
  expect((await api.operator('POST', '/v1/access', { body })).status).toBe(403)
  expect((await api.operator('POST', `${path}/unmute`)).status).toBe(403)
  const lifted = await api.person('POST', `${path}/unmute`, { token: ada })
  expect([lifted.status, lifted.body.mutedUntil]).toEqual([200, undefined])
  expect((await api.operator('POST', '/v1/access', { body })).body.state).toBe('pending')
})
