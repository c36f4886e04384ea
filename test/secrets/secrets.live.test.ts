import { randomBytes } from 'node:crypto'
import { TOTP } from 'otpauth'
import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { readSession } from '../../src/recording/index.ts'
import { journalOf } from '../abuse/evidence.ts'
import { startTap, through } from '../abuse/tap.ts'
import { operatorOf, SECRETS, startWorld } from '../abuse/world.ts'
import type { TestGateway } from '../support/gateway.ts'
import { psql } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import type { Named } from './forms.ts'
import { filesOf, formsOf, processes, secretsIn } from './forms.ts'

const MASTER_KEY = randomBytes(32)
const PERIOD_MS = 30_000

describe('P-08 sealed credentials: no secret in any byte that leaves or stays', () => {
  const later = teardown()
  /** Everything that somebody was shown: answers, output, bytes on the wire. */
  const shown: { where: string; bytes: Buffer }[] = []
  const keep = (where: string, bytes: Buffer | string): void => {
    shown.push({ where, bytes: Buffer.from(bytes) })
  }

  test('a whole day in front of the sample, searched through', async () => {
    const world = await startWorld({
      env: { SLUICE_KEY: MASTER_KEY.toString('base64') },
      edit: (text) =>
        text
          .replace('${env:CRM_PASSWORD}', '${store:crm-password}')
          .replace('${env:CRM_API_TOKEN}', '${store:crm-api-token}')
          .replaceAll('patience: 100ms', 'patience: 20s'),
    })
    let gateway = world.gateway
    later(async () => {
      await gateway.stop()
      await world.api.stop()
      await world.server.stop('immediate')
    })
    const secrets: Named[] = [
      { name: 'the password of the upstream role', value: SECRETS.role },
      { name: 'the bearer token of the API', value: SECRETS.api },
      { name: 'the master key', value: MASTER_KEY },
      { name: 'the master key as text', value: MASTER_KEY.toString('base64') },
    ]
    const cli = async (args: readonly string[], input = ''): Promise<string> => {
      const done = await gateway.cli(args, { input })
      keep(`sluice ${args.join(' ')}`, `${done.stdout}\n${done.stderr}`)
      return done.stdout.trim()
    }

    // A wrong password first, so that upstream says no; then the right ones.
    await cli(['secrets', 'set', 'crm-password'], 'a wrong password 81b2')
    secrets.push({ name: 'the wrong password', value: 'a wrong password 81b2' })
    await cli(['secrets', 'set', 'crm-api-token'], SECRETS.api)
    const first = await gateway.dsn('crm', 'support-agent')
    secrets.push(...secretsOf(first))
    const tap = await startTap(gateway.ports['postgres'] ?? 0)
    later(() => tap.stop())
    keep('psql refused by upstream', JSON.stringify(await psql(through(tap, first), 'SELECT 1')))
    await cli(['secrets', 'set', 'crm-password'], SECRETS.role)
    await cli(['secrets', 'ls', '--json'])

    // A person with a device.
    const operator = operatorOf(gateway)
    later(() => operator.close())
    const invited: unknown = await operator.call('POST', '/v1/people/ada/invitations')
    const code = field(invited, 'code')
    const begun: unknown = await operator.call('POST', '/v1/enrolments/begin', { code })
    const totpSecret = field(begun, 'secret')
    const device = new TOTP({ secret: totpSecret })
    let used = 0
    const next = (): string => {
      used = Math.max(Math.floor(Date.now() / PERIOD_MS), used + 1)
      return device.generate({ timestamp: used * PERIOD_MS })
    }
    const login: unknown = await operator.call('POST', '/v1/enrolments/confirm', { code, digits: next() })
    secrets.push(
      { name: 'the invitation', value: code },
      { name: 'the TOTP secret', value: totpSecret },
      { name: 'the TOTP secret as bytes', value: Buffer.from(device.secret.buffer) },
      { name: 'the token of a login', value: field(login, 'token') },
    )

    // Masked, refused, failing, held and approved, held and given up.
    const client = new Client({ connectionString: through(tap, first) })
    await client.connect()
    client.on('error', () => undefined)
    let ticket = ''
    client.on('notice', ({ message = '' }) => (ticket = /T-[0-9A-Z]+/.exec(message)?.[0] ?? ticket))
    await client.query('SELECT * FROM customers LIMIT 2')
    for (const sql of ['DROP TABLE customers', 'SELECT 1/0', 'SELEC', 'SELECT upper(email) FROM customers'])
      await client.query(sql).catch(() => undefined)
    const held = client.query("UPDATE invoices SET status = 'paid' WHERE id = 3")
    await eventually('the ticket', () => ticket)
    await operatorless(gateway, ticket, field(login, 'token'))
    expect((await held).rowCount).toBe(1)

    // HTTP, with a token that counts and one that does not.
    const token = await gatewayToken(gateway)
    secrets.push(...tokensOf(token))
    for (const [bearer, path] of [
      [token, '/customers?limit=1'],
      [token, '/nowhere'],
      [`${token}x`, '/customers'],
    ] as const) {
      const port = gateway.ports['http'] ?? 0
      const answer = await fetch(`http://127.0.0.1:${port}/c/crm-api${path}`, {
        headers: { authorization: `Bearer ${bearer}` },
      })
      keep(`GET ${path}`, `${JSON.stringify([...answer.headers])}\n${await answer.text()}`)
    }

    // A program that the credential is handed to.
    const running = gateway.cli([
      'run',
      'crm',
      '--as',
      'support-agent',
      '--',
      'psql',
      '-c',
      'SELECT pg_sleep(2)',
    ])
    const seen = await eventually('psql to run', async () => {
      const all = await processes(/psql -c|sluice.*\brun\b|main\.ts run/)
      return all.some(({ bytes }) => bytes.includes('SLUICE_DSN=')) && all
    })
    const handed = seen
      .map(({ bytes }) => /SLUICE_DSN=(\S+?)\0/.exec(bytes.toString('latin1'))?.[1] ?? '')
      .find(Boolean)
    const given = secretsOf(handed ?? '')
    secrets.push(...given)
    for (const { path, bytes } of seen) {
      // What it was started with is in its environment, and nowhere else.
      const own = path.endsWith('environ') && secretsIn(bytes, given).length > 0
      keep(path, own ? withoutValues(bytes, given) : bytes)
    }
    keep('sluice run', JSON.stringify(await running))

    for (const path of READABLE) keep(path, JSON.stringify(await operator.call('GET', path)))
    for (const args of COMMANDS) await cli(args)
    await client.end()
    keep('stderr of the gateway', gateway.stderr())

    // Killed, started, and asked again.
    gateway = await gateway.crashAndRestart()
    const again = await gateway.dsn('crm', 'support-agent')
    secrets.push(...secretsOf(again))
    keep('psql after the restart', JSON.stringify(await psql(again, 'SELECT email FROM customers LIMIT 1')))
    for (const args of COMMANDS) await cli(args)
    keep('stderr of the gateway', gateway.stderr())
    keep('bytes to clients', tap.toClients())
    await keepRecordings(gateway, keep)

    // A search that finds nothing in what does hold it proves nothing.
    for (const { name, value } of secrets)
      expect(secretsIn(Buffer.from(value), secrets), name).toContain(name)
    expect(formsOf(SECRETS.role).length).toBeGreaterThan(8)
    expect(shown.length).toBeGreaterThan(30)

    const found = shown.flatMap(({ where, bytes }) =>
      secretsIn(bytes, secrets).map((name) => `${where}: ${name}`),
    )
    for (const { path, bytes } of await filesOf(gateway.dataDirectory))
      found.push(...secretsIn(bytes, secrets).map((name) => `${path}: ${name}`))
    expect(found).toEqual([])
  }, 180_000)
})

const READABLE = [
  '/v1/credentials',
  '/v1/sessions',
  '/v1/approvals?state=used',
  '/v1/configuration',
  '/v1/secrets',
] as const

const COMMANDS = [
  ['status'],
  ['connections', 'ls', '--json'],
  ['sessions', 'ls', '--json'],
  ['approvals', 'ls', '--json'],
  ['credentials', 'ls', '--json'],
  ['identities', 'ls', '--json'],
  ['people', 'ls', '--json'],
  ['secrets', 'ls', '--json'],
  ['doctor'],
] as const

/** Approves as the person whose login this is. */
async function operatorless(gateway: TestGateway, ticket: string, login: string): Promise<void> {
  const done = await gateway.cli(['approvals', 'approve', ticket], { env: { SLUICE_LOGIN: login } })
  expect(done.stderr).toBe('')
}

async function gatewayToken(gateway: TestGateway): Promise<string> {
  return (await gateway.cli(['token', 'crm-api', '--as', 'support-agent'])).stdout.trim()
}

function secretsOf(dsn: string): Named[] {
  const { password, username } = new URL(dsn)
  return [{ name: `the secret of ${username}`, value: decodeURIComponent(password).replace(/^slu_/, '') }]
}

function withoutValues(bytes: Buffer, given: readonly Named[]): Buffer {
  let text = bytes.toString('latin1')
  for (const { value } of given) text = text.replaceAll(value.toString('latin1'), '')
  return Buffer.from(text, 'latin1')
}

function tokensOf(token: string): Named[] {
  const secret = /^slu_c_[a-z0-9]+_(.+)$/.exec(token)?.[1] ?? ''
  expect(secret.length).toBeGreaterThan(20)
  return [{ name: 'the secret of a token', value: secret }]
}

function field(answer: unknown, name: string): string {
  const value: unknown = Reflect.get(Object(answer), name)
  if (typeof value !== 'string' || value === '') throw new Error(`the answer has no ${name}`)
  return value
}

async function keepRecordings(
  gateway: TestGateway,
  keep: (where: string, text: string) => void,
): Promise<void> {
  const sessions = new Set((await journalOf(gateway)).flatMap(({ session }) => session ?? []))
  expect(sessions.size).toBeGreaterThan(3)
  for (const session of sessions) {
    for await (const { entry } of readSession(gateway.dataDirectory, gateway.recordingKeys, session)) {
      const body =
        'body' in entry && entry.body !== undefined ? Buffer.from(entry.body).toString('latin1') : ''
      keep(`recording of ${session}`, `${JSON.stringify(entry.head)}\n${body}`)
    }
  }
}
