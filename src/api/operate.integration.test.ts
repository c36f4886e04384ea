/** What operators, administrators and workloads do through the control API. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brand, type ConnectionName, type GatewayError, type IdentityChain } from '../core/index.ts'
import { readJournal } from '../recording/index.ts'
import type { TestApi } from '../testing/running-gateway.ts'
import { startTestApi } from '../testing/running-gateway.ts'

let api: TestApi

beforeAll(async () => {
  api = await startTestApi()
})

afterAll(() => api.stop())

async function recorded(): Promise<string[]> {
  const actions: string[] = []
  for await (const { entry } of readJournal(api.dataDirectory, api.recordingKeys)) {
    if (entry.kind === 'admin')
      actions.push(`${entry.head.action} ${entry.head.target ?? ''} by ${entry.head.by}`)
  }
  return actions
}

function chain(name: string): IdentityChain {
  const found = api.gateway.parts.localIdentity(name)
  if (found === undefined) throw new Error(name)
  return [found]
}

async function tokenOf(name: string): Promise<string> {
  return (await api.gateway.parts.issuer.issue(chain(name), 60_000)).token.reveal()
}

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token'

function form(fields: Record<string, string>): { raw: string; headers: Record<string, string> } {
  return {
    raw: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  }
}

describe('exchanging a token (RFC 8693)', () => {
  it('gives a database credential for the form of the standard, and records for whom', async () => {
    const answer = await api.person(
      'POST',
      '/v1/credentials',
      form({
        grant_type: GRANT,
        subject_token: await tokenOf('support-agent'),
        subject_token_type: ACCESS,
        audience: 'crm',
        expires_in: '120',
      }),
    )
    expect(answer.status).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.body).toMatchObject({
      issued_token_type: 'urn:sluice:token-type:database-credential',
      token_type: 'N_A',
      expires_in: 120,
      connection: 'crm',
      database: 'crm',
      port: api.gateway.endpoints.postgres?.port,
    })
    expect(answer.body.user).toBe(answer.body.id)
    expect(await recorded()).toContain('credential.exchange crm by agent:support-agent')
    const listed = await api.operator('GET', '/v1/credentials?identity=agent:support-agent')
    expect(listed.body.credentials).toMatchObject([{ id: answer.body.id, mintedBy: 'token exchange' }])
    expect(listed.text).not.toContain(String(answer.body.access_token))
  })

  it('gives an HTTP token for an HTTP connection, and joins an actor to a subject', async () => {
    const answer = await api.person('POST', '/v1/credentials', {
      body: {
        grant_type: GRANT,
        subject_token: await tokenOf('ada'),
        subject_token_type: ACCESS,
        actor_token: await tokenOf('support-agent'),
        actor_token_type: ACCESS,
        resource: 'crm-api',
      },
    })
    expect(answer.body).toMatchObject({ token_type: 'Bearer', path: '/c/crm-api' })
    const { credentials } = api.gateway.parts
    expect(credentials.find(String(answer.body.id))?.chain.map(({ name }) => name)).toEqual([
      'support-agent',
      'ada',
    ])
  })

  it('lets nobody act who was not allowed to', async () => {
    const answer = await api.person('POST', '/v1/credentials', {
      body: {
        grant_type: GRANT,
        subject_token: await tokenOf('ada'),
        subject_token_type: ACCESS,
        actor_token: await tokenOf('scraper'),
        actor_token_type: ACCESS,
        audience: 'crm',
      },
    })
    expect(answer.status).toBe(403)
    expect(answer.body.detail).toBe('agent:scraper may not act for person:ada.')
  })

  const base = { grant_type: GRANT, subject_token_type: ACCESS, audience: 'crm' }
  it.each([
    ['no token', { ...base, subject_token: 'nonsense' }, 401, 'malformed'],
    [
      'an unsigned token',
      { ...base, subject_token: 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJsb2NhbCIsInN1YiI6InBlcnNvbjphZGEifQ.' },
      401,
      'algorithm',
    ],
    ['another grant', { ...base, grant_type: 'password', subject_token: 'not-a-token' }, 400, undefined],
    [
      'a kind of token that is not taken',
      { ...base, subject_token_type: 'saml', subject_token: 'not-a-token' },
      400,
      undefined,
    ],
  ])('refuses %s with its reason', async (_what, fields, status, reason) => {
    const before = (await recorded()).length
    const answer = await api.person('POST', '/v1/credentials', form(fields))
    expect(answer.status).toBe(status)
    expect(answer.body.reason).toBe(reason)
    expect(answer.text).not.toContain(fields.subject_token)
    expect((await recorded()).length).toBe(before)
  })

  it('refuses a connection or a database that does not exist, and a parameter given twice', async () => {
    const subject_token = await tokenOf('support-agent')
    const given = { grant_type: GRANT, subject_token_type: ACCESS, subject_token }
    const send = (fields: Record<string, string>) => api.person('POST', '/v1/credentials', form(fields))
    expect((await send({ ...given, audience: 'nowhere' })).status).toBe(404)
    expect((await send({ ...given, audience: 'crm', database: 'postgres' })).status).toBe(400)
    expect((await send({ ...given, audience: 'crm', resource: 'crm-api' })).status).toBe(400)
    const twice = form({ ...given, audience: 'crm' })
    const answer = await api.person('POST', '/v1/credentials', {
      ...twice,
      raw: `${twice.raw}&audience=crm-api`,
    })
    expect(answer.body.detail).toBe('The form names a parameter twice.')
  })
})

describe('minting at the operator socket, and revoking', () => {
  it('ends the live sessions of a revoked credential within two seconds', async () => {
    const minted = await api.operator('POST', '/v1/operator/credentials', {
      body: { connection: 'crm', as: 'support-agent', for: 'ada' },
    })
    expect(minted.body).toMatchObject({ connection: 'crm', database: 'crm', tlsRequired: false })
    const id = String(minted.body.id)
    const ended: GatewayError[] = []
    const { gateway, config } = api.gateway.parts
    const connection = config().connections.get(brand<ConnectionName>('crm'))
    if (connection === undefined) throw new Error('crm')
    const session = gateway.open({
      chain: chain('support-agent'),
      connection,
      credential: id,
      mintedBy: 'operator socket',
      clientAddress: '127.0.0.1',
      program: 'test',
      database: 'crm',
      isIdle: () => true,
      onTerminate: (reason) => ended.push(reason),
    })
    const sessions = await api.operator('GET', '/v1/sessions?open=true')
    expect(sessions.body.sessions).toMatchObject([{ session: session.id, program: 'test', commands: 0 }])
    expect((await api.operator('DELETE', `/v1/credentials/${id}`)).body).toEqual({ id, revoked: true })
    for (let waited = 0; ended.length === 0 && waited < 2_000; waited += 20) await sleep(20)
    expect(ended.map(({ code }) => code)).toEqual(['unauthenticated'])
    expect((await api.operator('DELETE', `/v1/credentials/${id}`)).status).toBe(404)

    const read = await api.operator('GET', `/v1/sessions/${session.id}`)
    expect(read.body.entries).toMatchObject([{ kind: 'open', head: { program: 'test' } }])
    expect(await recorded()).toEqual(
      expect.arrayContaining([
        'credential.mint crm by operator socket',
        `credential.revoke ${id} by operator socket`,
        `recording.read ${session.id} by operator socket`,
      ]),
    )
    session.close('test is over')
  })

  it('mints nothing for who is not known, or may not act', async () => {
    const mint = (body: object) => api.operator('POST', '/v1/operator/credentials', { body })
    expect((await mint({ connection: 'crm', as: 'nobody' })).status).toBe(404)
    expect((await mint({ connection: 'crm', as: 'scraper', for: 'ada' })).status).toBe(403)
    expect((await mint({ connection: 'crm', as: 'scraper', ttlMs: 10 })).status).toBe(400)
    expect((await mint({ connection: 'crm', as: 'scraper', use: 'http' })).status).toBe(400)
    expect((await mint({ connection: 'crm', as: 'scraper', database: 'postgres' })).status).toBe(400)
  })

  it('blocks an identity, which then gets nothing', async () => {
    const body = { identity: 'scraper' }
    expect((await api.operator('POST', '/v1/identities/block', { body })).body).toEqual({
      identity: 'agent:scraper',
      blocked: true,
    })
    const mint = { connection: 'crm', as: 'scraper' }
    expect((await api.operator('POST', '/v1/operator/credentials', { body: mint })).status).toBe(403)
    const { blocked } = (await api.operator('GET', '/v1/identities')).body
    expect(blocked).toMatchObject([{ identity: 'agent:scraper', by: 'operator socket' }])
    await api.operator('POST', '/v1/identities/unblock', { body })
    expect((await api.operator('POST', '/v1/operator/credentials', { body: mint })).status).toBe(200)
  })
})

describe('secrets', () => {
  it('go in and do not come out (P-08)', async () => {
    const value = 'the-upstream-password'
    expect((await api.operator('PUT', '/v1/secrets/crm', { body: { value } })).body).toEqual({ name: 'crm' })
    const listed = await api.operator('GET', '/v1/secrets')
    expect(listed.body.secrets).toMatchObject([{ name: 'crm', updatedBy: 'operator socket' }])
    expect(listed.text).not.toContain(value)
    expect((await recorded()).join()).not.toContain(value)
    expect(await recorded()).toContain('secret.set crm by operator socket')
    const wrong = await api.operator('PUT', '/v1/secrets/crm', { body: { value: 7, other: value } })
    expect(wrong.status).toBe(400)
    expect(wrong.text).not.toContain(value)
    expect((await api.operator('DELETE', '/v1/secrets/crm')).status).toBe(200)
    expect((await api.operator('DELETE', '/v1/secrets/crm')).status).toBe(404)
    const own = await api.operator('PUT', '/v1/secrets/issuer%2Fsigning%20key', { body: { value } })
    expect(own.status).toBe(400)
  })
})

describe('the configuration', () => {
  it('is checked, applied, compared and rolled back', async () => {
    const first = String((await api.operator('GET', '/v1/configuration')).body.version)
    const text = api.configText.replace('databases: [crm, crm_archive]', 'databases: [crm]')
    const checked = await api.operator('POST', '/v1/configuration/check', { body: { text } })
    expect(checked.body.changes).toMatchObject([{ kind: 'changed', path: 'connections.crm.databases' }])
    const applied = await api.operator('POST', '/v1/configuration/apply', { body: { text } })
    expect(applied.body).toMatchObject({ sequence: 2, by: 'operator socket', version: checked.body.version })
    const { connections } = (await api.operator('GET', '/v1/connections')).body
    expect(connections).toMatchObject([{ name: 'crm', databases: ['crm'] }, { name: 'crm-api' }])
    const since = await api.operator('GET', `/v1/configuration/diff?version=${first}`)
    expect(since.body.changes).toHaveLength(1)
    await api.operator('POST', '/v1/configuration/rollback', { body: { version: first } })
    const { activations } = (await api.operator('GET', '/v1/configuration/history')).body
    expect(activations).toMatchObject([
      { version: first },
      { sequence: 2 },
      { version: first, by: 'configuration file' },
    ])
    const unknown = await api.operator('POST', '/v1/configuration/rollback', { body: { version: 'never' } })
    expect(unknown.status).toBe(404)
  })

  it('that is none changes nothing, and says where and why', async () => {
    const text = api.configText.replace('protocol: http', 'protocol: htp')
    const answer = await api.operator('POST', '/v1/configuration/apply', { body: { text } })
    expect(answer.status).toBe(400)
    expect(answer.body.detail).toMatch(/sluice\.yaml:\d+:\d+ connections\.crm-api\.protocol: .*write "http"/)
    const { activations } = (await api.operator('GET', '/v1/configuration/history?limit=1')).body
    expect(activations).not.toMatchObject([{ version: answer.body.version }])
  })
})

describe('requests that are none', () => {
  it.each([
    ['an unknown path', 'GET', '/v1/nothing', {}, 404],
    ['another method', 'PATCH', '/v1/status', {}, 404],
    ['a limit that is no number', 'GET', '/v1/sessions?limit=many', {}, 400],
    ['a session that is none', 'GET', '/v1/sessions/..%2F..%2Fetc', {}, 400],
    ['no JSON', 'PUT', '/v1/secrets/x', { raw: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['a form where none is taken', 'PUT', '/v1/secrets/x', form({ value: 'x' }), 400],
    [
      'a body that is too large',
      'PUT',
      '/v1/secrets/x',
      { body: { value: 'x'.repeat(2 * 1024 * 1024) } },
      400,
    ],
  ])('are answered with problem details: %s', async (_what, method, path, call, status) => {
    const answer = await api.operator(method, path, call)
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.body).toMatchObject({ status, retry: expect.any(String) })
  })

  it('are slowed down where they need no login', async () => {
    const attempts = Array.from({ length: 130 }, () =>
      api.operator('POST', '/v1/enrolments/begin', { body: { code: 'x' } }),
    )
    const statuses = (await Promise.all(attempts)).map(({ status }) => status)
    expect(statuses).toContain(429)
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(120)
  })
})

it('counts for Prometheus', async () => {
  const { text, headers } = await api.person('GET', '/metrics')
  expect(headers['content-type']).toBe('text/plain; version=0.0.4')
  expect(text).toMatch(/sluice_sessions_opened_total \d/)
  expect(text).not.toMatch(/support-agent|crm/)
  expect(api.faults).toEqual([])
})
