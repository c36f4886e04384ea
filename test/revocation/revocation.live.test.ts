import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { createCertificates } from '../../src/net/index.ts'
import type { HostileApi } from '../abuse/hostile-api.ts'
import { startHostileApi } from '../abuse/hostile-api.ts'
import type { World } from '../abuse/world.ts'
import { startWorld, targetOf } from '../abuse/world.ts'
import type { Message, Target } from '../differential/raw-client.ts'
import { query, RawClient } from '../differential/raw-client.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'

/** Design section 7: revocation reaches live sessions within this. */
const ENDED_MS_MAX = 2_000

describe('credentials end when they should, and take their sessions along', () => {
  const later = teardown()
  let world: World
  let api: HostileApi
  let authority: string

  beforeAll(async () => {
    const made = await createCertificates({ names: ['localhost', '127.0.0.1'], now: Date.now() })
    const place = join(tmpdir(), `sluice-revocation-${process.pid}`)
    authority = `${place}.ca`
    await writeFile(authority, made.authority)
    await writeFile(`${place}.pem`, made.certificate, { mode: 0o600 })
    await writeFile(`${place}.key`, made.key.reveal(), { mode: 0o600 })
    api = await startHostileApi()
    later(() => api.stop())
    world = await startWorld({
      upstreamUrl: api.url,
      edit: (text) =>
        text
          .replaceAll('patience: 100ms', 'patience: 60s')
          .replace('    routes:\n', '    patience: 60s\n    routes:\n')
          .replace(
            'postgres: { address: 127.0.0.1, port: 0 }',
            `postgres: { address: 127.0.0.1, port: 0, tls: { certificate: "\${file:${place}.pem}", key: "\${file:${place}.key}" } }`,
          ),
    })
    later(() => world.stop())
  }, 120_000)

  async function credential(connection = 'crm', agent = 'support-agent', ttl = '15m'): Promise<Target> {
    return targetOf(await world.gateway.dsn(connection, agent, ttl))
  }

  async function token(agent = 'support-agent', ttl = '15m'): Promise<string> {
    return (await world.gateway.cli(['token', 'crm-api', '--as', agent, '--ttl', ttl])).stdout.trim()
  }

  function revoke(id: string): Promise<unknown> {
    return world.operator.call('DELETE', `/v1/credentials/${id}`)
  }

  /** What a login with this is answered: the text of the error, or `in`. */
  async function login(target: Target): Promise<string> {
    const { client, greeting } = await RawClient.open(target)
    const seen = [
      ...greeting,
      ...(greeting.some(({ type }) => 'EZ'.includes(type)) ? [] : await client.readUntilType('ZE')),
    ]
    client.destroy()
    return textOf(seen) ?? 'in'
  }

  describe('wrong credentials are refused', () => {
    test('and every variant tells the same, so that none tells which part was right', async () => {
      const good = await credential()
      const other = await credential()
      const variants: Partial<Target>[] = [
        { password: '' },
        { password: 'x' },
        { password: good.password.slice(0, -1) },
        { password: `${good.password} ` },
        { password: good.password.toUpperCase() },
        { password: other.password },
        { password: 'x'.repeat(10_000) },
        { user: 'c_0000000000000000' },
        { user: 'postgres' },
        { user: good.user.toUpperCase() },
        { user: `${good.user} ` },
        { user: '../../etc/passwd' },
        { user: "x' OR 1=1 --" },
      ]
      const told = new Set<string>()
      for (const each of variants) told.add(await refusedLogin({ ...good, ...each }))
      expect([...told]).toHaveLength(1)
      expect([...told][0]).toMatch(/^28/)
    })

    test('and so is a good one for another database, or shown as a token, or a token shown as a password', async () => {
      const good = await credential()
      expect(await refusedLogin({ ...good, database: 'postgres' })).toMatch(/^3D000/)
      expect(await refusedLogin({ ...good, database: 'crm_loading' })).toMatch(/^3D000/)
      expect(await status('/customers', good.password)).toBe(401)
      const [, id = '', secret = ''] = /^slu_(c_[a-z0-9]+)_(.+)$/.exec(await token()) ?? []
      expect(await refusedLogin({ ...good, user: id, password: secret })).toMatch(/^28/)
    })

    test('and a token is for its own connection', async () => {
      const good = await token()
      expect(await status('/customers', good)).toBe(200)
      expect(await status('/customers', good, 'crm')).toBe(401)
    })

    test('after they have expired', async () => {
      const short = await credential('crm', 'support-agent', '1s')
      const shortToken = await token('support-agent', '1s')
      await sleep(1_500)
      expect(await refusedLogin(short)).toMatch(/^28/)
      expect(await status('/customers', shortToken)).toBe(401)
    })

    test('after they were revoked', async () => {
      const good = await credential()
      expect(await login(good)).toBe('in')
      await revoke(good.user)
      expect(await refusedLogin(good)).toMatch(/^28/)
    })
  })

  /** SQLSTATE and text of a refusal; the request id in it differs. */
  async function refusedLogin(target: Target): Promise<string> {
    const told = await login(target)
    expect(told).not.toBe('in')
    return told
  }

  async function status(path: string, bearer: string, connection = 'crm-api'): Promise<number> {
    return (await request(path, bearer, { connection })).status
  }

  function request(
    path: string,
    bearer: string,
    options: { connection?: string; method?: string } = {},
  ): Promise<Response> {
    const { connection = 'crm-api', method = 'GET' } = options
    const port = world.gateway.ports['http'] ?? 0
    return fetch(`http://127.0.0.1:${port}/c/${connection}${path}`, {
      method,
      headers: { authorization: `Bearer ${bearer}`, connection: 'close' },
    })
  }

  describe('live PostgreSQL sessions end within two seconds, and are told why', () => {
    const SITUATIONS = {
      idle: [],
      'in a transaction': ['BEGIN'],
      'in the middle of a long query': ['SELECT pg_sleep(60)'],
      'in the middle of a long result': ['SELECT a, b, c FROM invoices a, invoices b, invoices c'],
      'while a command is held': ["UPDATE customers SET plan = 'free' WHERE id = 7"],
    } as const

    test.each(Object.keys(SITUATIONS) as (keyof typeof SITUATIONS)[])('%s', async (situation) => {
      const agent = situation.includes('long') ? ['crm-super', 'builder'] : ['crm', 'support-agent']
      const target = await credential(agent[0], agent[1])
      const { client } = await RawClient.open(target)
      for (const sql of SITUATIONS[situation]) client.write(query(sql))
      await sleep(600)
      const began = Date.now()
      await revoke(target.user)
      expect(await client.closed(5_000)).toBe(true)
      expect(Date.now() - began).toBeLessThan(ENDED_MS_MAX)
      expect(textOf(client.unread())).toMatch(/^28000 .*revoked/)
      await gone(target.user)
    })

    test('when the credential expires', async () => {
      const target = await credential('crm', 'support-agent', '2s')
      const { client } = await RawClient.open(target)
      expect(await client.closed(2_000 + ENDED_MS_MAX)).toBe(true)
      expect(textOf(client.unread())).toMatch(/^28000 .*expired/)
    })

    test('also when its client does not read', async () => {
      const target = await credential('crm-super', 'builder')
      const { client } = await RawClient.open(target)
      client.stopReading()
      client.write(query(`SELECT repeat('x', 1000) FROM generate_series(1, 200000)`))
      await sleep(600)
      await revoke(target.user)
      await gone(target.user)
      client.destroy()
    })
  })

  /** Neither the gateway nor the server has anything left of it. */
  async function gone(id: string): Promise<void> {
    await eventually(
      'the session to be over',
      async () => {
        const rows = await world.server.sql(
          `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sluice:%' AND state = 'active'`,
        )
        const live: unknown = await world.operator.call('GET', '/v1/sessions?open=true')
        return rows.length === 0 && !JSON.stringify(live).includes(id)
      },
      ENDED_MS_MAX,
    )
  }

  describe('live HTTP sessions end within two seconds, and are told why', () => {
    test.each([
      ['in the middle of a slow answer', 'GET', '/customers?as=slow'],
      ['while a request is held', 'POST', '/invoices/1/refund'],
    ])('%s', async (_, method, path) => {
      const bearer = await token()
      const served = api.served.length
      const answer = request(path, bearer, { method })
      await sleep(600)
      const began = Date.now()
      await revoke(idOf(bearer))
      const { status: code, text } = await answer.then(async (got) => ({
        status: got.status,
        text: await got.text(),
      }))
      expect(Date.now() - began).toBeLessThan(ENDED_MS_MAX)
      expect(code).toBe(401)
      expect(text).toContain('revoked')
      // What was held never ran.
      if (method === 'POST') expect(api.served.slice(served)).toEqual([])
      await gone(idOf(bearer))
    })

    test('between two requests', async () => {
      const bearer = await token()
      expect(await status('/customers', bearer)).toBe(200)
      await revoke(idOf(bearer))
      expect(await status('/customers', bearer)).toBe(401)
    })
  })

  describe('over TLS with a certificate of our own', () => {
    const dsnWith = async (parameters: string): Promise<string> => {
      const { user, password, port, database } = await credential()
      return `postgresql://${user}:${password}@localhost:${port}/${database}?${parameters}`
    }

    test.each([
      'sslmode=require&channel_binding=require',
      'sslmode=verify-full&channel_binding=require',
      'sslmode=verify-ca&channel_binding=disable',
      'sslmode=require&channel_binding=prefer',
      'sslmode=disable',
    ])('psql with %s', async (parameters) => {
      const dsn = await dsnWith(`${parameters}&sslrootcert=${authority}`)
      const done = await psql(dsn, '\\conninfo\nSELECT 1;', ['-At'])
      expect(done.stderr).toBe('')
      expect(done.stdout.trim().endsWith('1')).toBe(true)
      expect(done.stdout.includes('SSL connection')).toBe(
        !parameters.includes('disable') || parameters.includes('verify'),
      )
    })

    test('node-postgres with channel binding', async () => {
      const client = new Client({
        connectionString: await dsnWith(''),
        ssl: { rejectUnauthorized: false },
        enableChannelBinding: true,
      })
      await client.connect()
      expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
      await client.end()
    })

    test('psql without TLS but with channel binding required is not let down by us', async () => {
      const done = await psql(await dsnWith('sslmode=disable&channel_binding=require'), 'SELECT 1')
      expect(done.code).toBe(2)
      expect(done.stderr).toMatch(/channel binding/i)
    })
  })

  test('an identity that is taken out of the configuration takes its sessions along', async () => {
    const target = await credential('crm-super', 'builder')
    const { client } = await RawClient.open(target)
    const stays = await RawClient.open(await credential())
    const current: unknown = await world.operator.call('GET', '/v1/configuration')
    const text = String(Reflect.get(Object(current), 'text'))
    const began = Date.now()
    await world.operator.call('POST', '/v1/configuration/apply', {
      text: text
        .replace('    - { name: builder, kind: service }\n', '')
        .replace(/ {2}- name: the builder does[\s\S]*$/, ''),
    })
    expect(await client.closed(5_000)).toBe(true)
    expect(Date.now() - began).toBeLessThan(ENDED_MS_MAX)
    expect(textOf(client.unread())).toMatch(/^28000 /)
    expect(await refusedLogin(target)).toMatch(/^28/)
    stays.client.write(query('SELECT 1'))
    expect((await stays.client.readUntilReady()).map(({ type }) => type).join('')).toBe('TDCZ')
    await stays.client.close()
    expect(world.gateway.stderr()).toBe('')
  })
})

describe('a listener that requires TLS', () => {
  const later = teardown()

  test('takes no login in clear', async () => {
    const made = await createCertificates({ names: ['localhost'], now: Date.now() })
    const place = join(tmpdir(), `sluice-tls-${process.pid}`)
    await writeFile(`${place}.pem`, made.certificate, { mode: 0o600 })
    await writeFile(`${place}.key`, made.key.reveal(), { mode: 0o600 })
    const world = await startWorld({
      edit: (text) =>
        text.replaceAll(
          /(postgres|http): \{ address: 127.0.0.1, port: 0 \}/g,
          `$1: { address: 127.0.0.1, port: 0, tls: { required: true, certificate: "\${file:${place}.pem}", key: "\${file:${place}.key}" } }`,
        ),
    })
    later(() => world.stop())
    const dsn = await world.gateway.dsn('crm', 'support-agent')
    const [plain = ''] = dsn.split('?')
    const clear = await psql(`${plain}?sslmode=disable`, 'SELECT 1')
    expect(clear.code).toBe(2)
    expect(clear.stderr).toContain('TLS')
    const secure = await psql(`${plain}?sslmode=require&channel_binding=require`, 'SELECT 1', ['-At'])
    expect(secure.stdout.trim()).toBe('1')
    const port = world.gateway.ports['http'] ?? 0
    const answer = await fetch(`http://127.0.0.1:${port}/c/crm-api/customers`).then(
      ({ status }) => status,
      () => 0,
    )
    expect([0, 400]).toContain(answer)
  })
})

function idOf(bearer: string): string {
  return /^slu_(c_[a-z0-9]+)_/.exec(bearer)?.[1] ?? ''
}

/** SQLSTATE and message of the last error in there. */
function textOf(messages: readonly Message[]): string | undefined {
  const error = messages.findLast(({ type }) => type === 'E')
  if (error === undefined) return undefined
  const fields = new Map(
    error.body
      .toString('utf8')
      .split('\0')
      .map((each) => [each.slice(0, 1), each.slice(1)]),
  )
  return `${fields.get('C')} ${fields.get('M')}`
}
