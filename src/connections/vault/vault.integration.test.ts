/** Secrets of a Vault: what the HTTP API of HashiCorp Vault checks is checked by the stand-in. */
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SecretRef, VaultAuth, VaultSettings } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { APP_ROLE, SERVICE_ACCOUNT_JWT, VaultServer } from '../../testing/vault-server.ts'
import { until } from '../../testing/world.ts'
import { SecretResolver } from '../resolve.ts'

let clock: FakeClock
let vault: VaultServer
let url: string
let faults: unknown[]
let environment: Record<string, string>
let open: SecretResolver[]

const appRole: VaultAuth = {
  kind: 'appRole',
  mount: 'approle',
  roleId: { kind: 'env', name: 'ROLE_ID' },
  secretId: { kind: 'env', name: 'SECRET_ID' },
}

beforeEach(async () => {
  clock = new FakeClock()
  vault = new VaultServer(() => clock.now())
  url = await vault.start()
  faults = []
  open = []
  environment = { ROLE_ID: APP_ROLE.roleId, SECRET_ID: APP_ROLE.secretId }
  vault.kv.set('crm', { password: 'from-the-vault', port: 5432, nested: { x: 'y' } })
  vault.roles.set('crm', { ttl: 600, ttlMax: 3600 })
})

afterEach(async () => {
  for (const each of open) await each.close()
  await vault.stop()
})

function resolver(settings: Partial<VaultSettings> | (() => VaultSettings | undefined) = {}): SecretResolver {
  const made = new SecretResolver({
    environment,
    directory: '/',
    sealed: { get: () => undefined },
    clock,
    warn: () => undefined,
    vault: typeof settings === 'function' ? settings : () => ({ url, auth: appRole, ...settings }),
    report: (error) => faults.push(error),
  })
  open.push(made)
  return made
}

const at = (path: string, field = 'password'): SecretRef => ({ kind: 'vault', path, field })
const KV = at('secret/data/crm')
const USER = at('database/creds/crm', 'username')
const PASSWORD = at('database/creds/crm')
const count = (what: string) => vault.asked.filter((each) => each === what).length

async function value(of: SecretResolver, ref: SecretRef): Promise<string> {
  return (await of.resolve(ref)).reveal()
}

/** Time goes on in steps. Whatever falls due asks Vault and then waits for the next time, or for nothing any more. */
async function pass(seconds: number): Promise<void> {
  const STEP = 30
  for (let left = seconds; left > 0; left -= STEP) {
    const before = clock.waiting
    clock.advance(Math.min(left, STEP) * 1000)
    const end = performance.now() + 500
    while (clock.waiting < before && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('a value of KV version 2', () => {
  it('is read once for many sessions, and again in the background before it ends', async () => {
    const secrets = resolver()
    expect(await Promise.all([value(secrets, KV), value(secrets, KV)])).toEqual([
      'from-the-vault',
      'from-the-vault',
    ])
    expect(await value(secrets, at('secret/data/crm', 'port'))).toBe('5432')
    expect(count('GET secret/data/crm')).toBe(1)
    vault.kv.set('crm', { password: 'another' })
    clock.advance((LIMITS.secretKeptMs * 3) / 4)
    expect(await value(secrets, KV)).toBe('from-the-vault')
    await until('it was read again', () => count('GET secret/data/crm') === 2)
    await expect.poll(() => value(secrets, KV)).toBe('another')
  })

  it('is used to its end while Vault is away, and not longer', async () => {
    const secrets = resolver()
    await value(secrets, KV)
    vault.isSealed = true
    clock.advance(LIMITS.secretKeptMs - 1)
    expect(await value(secrets, KV)).toBe('from-the-vault')
    await until('it was told of', () => faults.length > 0)
    clock.advance(1)
    await expect(secrets.resolve(KV)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: '${vault:secret/data/crm#password}: Vault answers 503.',
    })
    vault.isSealed = false
    expect(await value(secrets, KV)).toBe('from-the-vault')
  })

  it('is read anew at once when the upstream no longer takes it', async () => {
    const secrets = resolver()
    await value(secrets, KV)
    vault.kv.set('crm', { password: 'another' })
    secrets.forget(KV)
    await expect.poll(() => value(secrets, KV)).toBe('another')
  })

  it.each([
    ['a path that is not there', at('secret/data/nothing'), 'there is nothing in Vault.'],
    ['a path without /data/', at('secret/crm'), 'Vault answers 403.'],
    ['a path that its policy does not have', at('secret/data/others/x'), 'Vault answers 403.'],
    [
      'a field that is not there',
      at('secret/data/crm', 'nothing'),
      'there is no nothing in it that is a text.',
    ],
    ['a field that is no text', at('secret/data/crm', 'nested'), 'there is no nested in it that is a text.'],
    [
      'a field of every object',
      at('secret/data/crm', 'constructor'),
      'there is no constructor in it that is a text.',
    ],
  ])('says what is wrong with %s, and no value (P-08)', async (_what, ref, message) => {
    const failed = await resolver()
      .resolve(ref)
      .catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'invalid' })
    expect(String(failed)).toContain(message)
    expect(inspect(failed, { depth: 9 })).not.toMatch(/from-the-vault|secret-id|hvs\./)
  })
})

describe('a role of the database engine', () => {
  it('has name and password of one lease, which is renewed while nobody asks', async () => {
    const secrets = resolver()
    const user = await value(secrets, USER)
    expect(await value(secrets, PASSWORD)).toBe(`password-of-${user}`)
    await pass(1_500)
    expect(count('POST sys/leases/renew')).toBeGreaterThanOrEqual(3)
    expect(vault.users).toEqual(new Set([user]))
    expect(await value(secrets, USER)).toBe(user)
  })

  it('is replaced for new sessions before its longest life ends, while the old one still lives', async () => {
    const secrets = resolver()
    const user = await value(secrets, USER)
    await pass(3_510)
    const next = await value(secrets, USER)
    expect(next).not.toBe(user)
    expect(vault.users).toEqual(new Set([user, next]))
    expect(await value(secrets, PASSWORD)).toBe(`password-of-${next}`)
    await pass(120)
    await value(secrets, KV)
    expect(vault.users.has(user)).toBe(false)
  })

  it('is made once for many sessions that come together', async () => {
    const secrets = resolver()
    const users = await Promise.all([1, 2, 3, 4].map(() => value(secrets, USER)))
    expect(new Set(users).size).toBe(1)
    expect(vault.users.size).toBe(1)
  })

  it('is renewed later when Vault is away for a while', async () => {
    const secrets = resolver()
    const user = await value(secrets, USER)
    await pass(420)
    vault.isSealed = true
    await pass(60)
    vault.isSealed = false
    await pass(200)
    expect(await value(secrets, USER)).toBe(user)
    expect(vault.users.has(user)).toBe(true)
    expect(faults.length).toBeGreaterThan(0)
  })

  it('is another when the lease was revoked', async () => {
    const secrets = resolver()
    const user = await value(secrets, USER)
    vault.revokeTokens()
    await pass(480)
    expect(await value(secrets, USER)).not.toBe(user)
    expect(vault.users).toEqual(new Set([await value(secrets, USER)]))
  })

  it('is given back when the gateway stops', async () => {
    const secrets = resolver()
    await value(secrets, USER)
    await secrets.close()
    expect(vault.users.size).toBe(0)
    expect(vault.asked.slice(-2)).toEqual(['POST sys/leases/revoke', 'POST auth/token/revoke-self'])
    expect(clock.waiting).toBe(0)
  })
})

describe('the gateway at Vault', () => {
  it('logs in once by AppRole, renews its token, and logs in anew at its longest life', async () => {
    const secrets = resolver()
    await value(secrets, KV)
    await pass(6_000)
    await value(secrets, KV)
    expect(count('POST auth/approle/login')).toBe(1)
    expect(count('POST auth/token/renew-self')).toBeGreaterThanOrEqual(1)
    await pass(1_500)
    expect(await value(secrets, KV)).toBe('from-the-vault')
    expect(count('POST auth/approle/login')).toBe(2)
  })

  it('comes as a service account of Kubernetes, and with a token that it was given', async () => {
    environment['JWT'] = SERVICE_ACCOUNT_JWT
    const jwt: SecretRef = { kind: 'env', name: 'JWT' }
    const kubernetes = resolver({ auth: { kind: 'kubernetes', mount: 'kubernetes', role: 'sluice', jwt } })
    expect(await value(kubernetes, KV)).toBe('from-the-vault')
    environment['GIVEN'] = vault.giveToken()
    const given = resolver({ auth: { kind: 'token', token: { kind: 'env', name: 'GIVEN' } } })
    expect(await value(given, KV)).toBe('from-the-vault')
    await given.close()
    // It is not the gateway's to end.
    const again = resolver({ auth: { kind: 'token', token: { kind: 'env', name: 'GIVEN' } } })
    expect(await value(again, KV)).toBe('from-the-vault')
  })

  it('logs in anew when its token was revoked, once, and asks again', async () => {
    const secrets = resolver()
    await value(secrets, KV)
    vault.revokeTokens()
    secrets.forget(KV)
    await expect.poll(() => value(secrets, KV)).toBe('from-the-vault')
    expect(await value(secrets, USER)).toMatch(/^v-approle-crm-/)
    expect(count('POST auth/approle/login')).toBe(2)
  })

  it('that is not let in says so, without what it showed (P-08)', async () => {
    environment['SECRET_ID'] = 'a-wrong-secret-id'
    const failed = await resolver()
      .resolve(KV)
      .catch((error: unknown) => error)
    expect(String(failed)).toContain('Vault does not let the gateway in (400).')
    expect(inspect(failed, { depth: 9 })).not.toContain('a-wrong-secret-id')
  })

  it('names its namespace', async () => {
    const inside = new VaultServer(() => clock.now(), 'team/crm')
    const place = await inside.start()
    inside.kv.set('crm', { password: 'of the team' })
    expect(await value(resolver({ url: place, namespace: 'team/crm' }), KV)).toBe('of the team')
    await expect(resolver({ url: place }).resolve(KV)).rejects.toMatchObject({ code: 'invalid' })
    await inside.stop()
  })

  it('follows the configuration to another Vault, and says when there is none', async () => {
    const other = new VaultServer(() => clock.now())
    const place = await other.start()
    other.kv.set('crm', { password: 'of the other' })
    let settings: VaultSettings | undefined = { url, auth: appRole }
    const secrets = resolver(() => settings)
    expect(await value(secrets, KV)).toBe('from-the-vault')
    settings = { url: place, auth: appRole }
    expect(await value(secrets, KV)).toBe('of the other')
    settings = undefined
    await expect(secrets.resolve(KV)).rejects.toThrow('there is no Vault in the configuration')
    await other.stop()
  })
})
