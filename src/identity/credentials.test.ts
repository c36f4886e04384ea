import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ConnectionName, Credential, Identity, ScramVerifier } from '../core/index.ts'
import { brand, GatewayError, LIMITS } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryCredentialStore } from '../testing/memory-credential-store.ts'
import type { Ending, MintRequest } from './credentials.ts'
import { Credentials } from './credentials.ts'

const crm = brand<ConnectionName>('crm')
const ada: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: ['support'] }
const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: [] }
const MINUTE = 60_000

function request(changes: Partial<MintRequest> = {}): MintRequest {
  return {
    use: 'database',
    chain: [agent, ada],
    connection: crm,
    ttlMs: 15 * MINUTE,
    mintedBy: 'operator socket',
    ...changes,
  }
}

async function setUp(store = new MemoryCredentialStore(), clock = new FakeClock()) {
  const faults: unknown[] = []
  const credentials = await Credentials.open({
    store,
    clock,
    random: randomBytes,
    report: (error) => faults.push(error),
    isBlocked: (identity) => identity.name === 'blocked-agent',
  })
  const endings: { id: string; ending: Ending }[] = []
  credentials.onEnd((credential, ending) => endings.push({ id: credential.id, ending }))
  return { credentials, store, clock, faults, endings }
}

/** Whether this password is the verifier's, computed from the text of RFC 5802 and not by the code under test. */
function matches(verifier: ScramVerifier, password: string): boolean {
  const salted = pbkdf2Sync(password, verifier.salt, verifier.iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  return createHash('sha256').update(clientKey).digest().equals(verifier.storedKey)
}

function reasonOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'unauthenticated') return error.facts.reason
    throw error
  }
  return 'admitted'
}

describe('a database credential', () => {
  it('is bound to chain, connection, database and end, and its password passes SCRAM', async () => {
    const { credentials, clock } = await setUp()
    const { credential, secret } = await credentials.mint(request({ database: 'crm' }))
    expect(credential).toEqual({
      id: credential.id,
      use: 'database',
      chain: [agent, ada],
      connection: crm,
      database: 'crm',
      createdAt: clock.now(),
      expiresAt: clock.now() + 15 * MINUTE,
      mintedBy: 'operator socket',
    } satisfies Credential)
    expect(secret.reveal()).toMatch(/^slu_[A-Za-z0-9_-]{43}$/)
    expect(matches(credentials.verifier(credential.id), secret.reveal())).toBe(true)
    expect(matches(credentials.verifier(credential.id), 'slu_wrong')).toBe(false)
    expect(credentials.find(credential.id)).toBe(credential)
  })

  it('keeps no secret: what is stored can only check it', async () => {
    const { credentials, store, clock } = await setUp()
    const { secret } = await credentials.mint(request())
    const token = await credentials.mint(request({ use: 'http' }))
    const stored = JSON.stringify(await store.unexpired(clock.now()), (_, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    )
    expect(stored).toContain('operator socket')
    for (const each of [secret.reveal().slice(4), token.secret.reveal().slice(-43)]) {
      expect(stored).not.toContain(each)
    }
    expect(`${secret}${JSON.stringify({ secret })}`).not.toContain(secret.reveal())
  })

  it('opens nothing after its end, not even before the sweep has seen it', async () => {
    const { credentials, clock, endings } = await setUp()
    const { credential, secret } = await credentials.mint(request({ ttlMs: MINUTE }))
    clock.advance(MINUTE - 1)
    expect(credentials.find(credential.id)).toBeDefined()
    expect(endings).toEqual([])
    clock.advance(1)
    expect(credentials.find(credential.id)).toBeUndefined()
    expect(credentials.list()).toEqual([])
    expect(matches(credentials.verifier(credential.id), secret.reveal())).toBe(false)
  })

  it('tells listeners within two seconds that it expired', async () => {
    const { credentials, clock, endings } = await setUp()
    clock.advance(456)
    const { credential } = await credentials.mint(request({ ttlMs: MINUTE }))
    clock.advance(MINUTE + 2_000)
    expect(endings).toEqual([{ id: credential.id, ending: { reason: 'expired', at: credential.expiresAt } }])
  })

  it('tells listeners at once that it was revoked, and only once', async () => {
    const { credentials, clock, endings } = await setUp()
    const { credential, secret } = await credentials.mint(request())
    expect(await credentials.revoke(credential.id, 'person:ada@example.com')).toBe(true)
    expect(await credentials.revoke(credential.id, 'person:eve@example.com')).toBe(false)
    clock.advance(60 * MINUTE)
    expect(endings).toEqual([
      {
        id: credential.id,
        ending: { reason: 'revoked', by: 'person:ada@example.com', at: clock.now() - 60 * MINUTE },
      },
    ])
    expect(credentials.find(credential.id)).toBeUndefined()
    expect(matches(credentials.verifier(credential.id), secret.reveal())).toBe(false)
  })

  it('is still there after a restart, revoked ones still revoked, unknown ones as unknown as before', async () => {
    const before = await setUp()
    const kept = await before.credentials.mint(request())
    const revoked = await before.credentials.mint(request({ use: 'http' }))
    await before.credentials.revoke(revoked.credential.id, 'operator')
    const stranger = before.credentials.verifier('c_nobody')
    before.credentials.close()
    const { credentials } = await setUp(before.store, before.clock)
    expect(credentials.find(kept.credential.id)).toEqual(kept.credential)
    expect(matches(credentials.verifier(kept.credential.id), kept.secret.reveal())).toBe(true)
    expect(reasonOf(() => credentials.admitToken(revoked.secret.reveal(), crm))).toBe('revoked')
    expect(credentials.verifier('c_nobody')).toEqual(stranger)
  })

  it('looks the same from outside whether an id is known or not', async () => {
    const { credentials } = await setUp()
    const { credential } = await credentials.mint(request())
    const token = await credentials.mint(request({ use: 'http' }))
    const known = credentials.verifier(credential.id)
    for (const id of ['c_nobody', '', token.credential.id]) {
      const mock = credentials.verifier(id)
      expect(mock.iterations).toBe(known.iterations)
      expect(mock.salt).toHaveLength(known.salt.length)
      expect(credentials.verifier(id)).toEqual(mock)
    }
  })
})

describe('an HTTP token', () => {
  it('is admitted for its own connection', async () => {
    const { credentials } = await setUp()
    const { credential, secret } = await credentials.mint(request({ use: 'http' }))
    expect(secret.reveal()).toMatch(/^slu_c_[0-9a-z]{16}_[A-Za-z0-9_-]{43}$/)
    expect(credentials.admitToken(secret.reveal(), crm)).toBe(credential)
  })

  it('is refused, with its reason, when it is anything else', async () => {
    const { credentials, clock } = await setUp()
    const http = await credentials.mint(request({ use: 'http', ttlMs: MINUTE }))
    const gone = await credentials.mint(request({ use: 'http' }))
    const database = await credentials.mint(request())
    await credentials.revoke(gone.credential.id, 'operator')
    const token = http.secret.reveal()
    const other = token.endsWith('A') ? 'B' : 'A'
    const asToken = `slu_${database.credential.id}_${database.secret.reveal().slice(4)}`
    const reasons = {
      '': 'malformed',
      'Bearer x': 'malformed',
      [`${token}x`]: 'malformed',
      [`${token}\n`]: 'malformed',
      [database.secret.reveal()]: 'malformed',
      [token.slice(0, -1) + other]: 'unknown_credential',
      [`slu_c_${'0'.repeat(16)}_${'A'.repeat(43)}`]: 'unknown_credential',
      [asToken]: 'unknown_credential',
      [gone.secret.reveal()]: 'revoked',
    }
    for (const [presented, reason] of Object.entries(reasons)) {
      expect(
        reasonOf(() => credentials.admitToken(presented, crm)),
        presented,
      ).toBe(reason)
    }
    const erp = brand<ConnectionName>('erp')
    expect(reasonOf(() => credentials.admitToken(token, erp))).toBe('wrong_connection')
    expect(reasonOf(() => credentials.admitToken(token, crm))).toBe('admitted')
    clock.advance(MINUTE)
    expect(reasonOf(() => credentials.admitToken(token, crm))).toBe('expired')
  })
})

describe('limits', () => {
  it('refuses a life that is too short, too long or not a number', async () => {
    const { credentials } = await setUp()
    for (const ttlMs of [0, -1, 999, 1.5e3 + 0.5, Number.NaN, Number.POSITIVE_INFINITY, 86_400_001]) {
      await expect(credentials.mint(request({ ttlMs })), String(ttlMs)).rejects.toMatchObject({
        code: 'invalid',
      })
    }
    expect(credentials.list()).toEqual([])
  })

  it('refuses a chain that is too long', async () => {
    const { credentials } = await setUp()
    const more = Array.from({ length: LIMITS.chainMax }, () => ada)
    await expect(credentials.mint(request({ chain: [agent, ...more] }))).rejects.toMatchObject({
      code: 'invalid',
    })
  })

  it('refuses an identity that holds too many, and lets it go on when some have ended', async () => {
    const { credentials, clock } = await setUp()
    const mint = () => credentials.mint(request({ use: 'http', ttlMs: MINUTE }))
    for (let i = 0; i < LIMITS.credentialsPerIdentityMax; i++) await mint()
    await expect(mint()).rejects.toMatchObject({ code: 'limit_exceeded' })
    const someoneElse = credentials.mint(request({ chain: [ada] }))
    await expect(someoneElse).resolves.toBeDefined()
    clock.advance(MINUTE + 1_000)
    await expect(mint()).resolves.toBeDefined()
  })
})

describe('an identity', () => {
  it('is cut off everywhere it stands in a chain', async () => {
    const { credentials, endings } = await setUp()
    const later = await credentials.mint(request({ ttlMs: 2 * MINUTE }))
    const sooner = await credentials.mint(request({ chain: [ada], ttlMs: MINUTE }))
    const other = await credentials.mint(request({ chain: [agent] }))
    const held = credentials.heldBy('person:ada@example.com').map((each) => each.id)
    expect(held).toEqual([sooner.credential.id, later.credential.id])
    expect(await credentials.revokeHeldBy('person:ada@example.com', 'operator')).toBe(2)
    expect(endings).toHaveLength(2)
    expect(credentials.list()).toEqual([other.credential])
  })

  it('loses its credentials when the configuration no longer names it', async () => {
    const { credentials } = await setUp()
    await credentials.mint(request())
    const kept = await credentials.mint(request({ chain: [agent] }))
    const known = (identity: Identity) => identity.name === 'support-agent'
    expect(await credentials.revokeUnknown(known, 'configuration')).toBe(1)
    expect(credentials.list()).toEqual([kept.credential])
  })
})

it('mints nothing for a blocked identity, wherever it stands in the chain', async () => {
  const { credentials } = await setUp()
  const blocked = { ...agent, name: 'blocked-agent' }
  await expect(credentials.mint(request({ chain: [ada, blocked] }))).rejects.toMatchObject({
    code: 'denied',
    message: 'agent:blocked-agent was blocked here.',
  })
})

describe('when something breaks', () => {
  it('tells every listener although one throws, and reports the fault', async () => {
    const { credentials, faults } = await setUp()
    let told = 0
    credentials.onEnd(() => {
      throw new Error('a listener of the test')
    })
    const stop = credentials.onEnd(() => told++)
    const first = await credentials.mint(request())
    await credentials.revoke(first.credential.id, 'operator')
    expect(told).toBe(1)
    expect(faults).toMatchObject([{ message: 'a listener of the test' }])
    stop()
    const second = await credentials.mint(request())
    await credentials.revoke(second.credential.id, 'operator')
    expect(told).toBe(1)
  })

  it('keeps no credential that could not be written', async () => {
    class Broken extends MemoryCredentialStore {
      override async add(): Promise<void> {
        throw new Error('the disk is full')
      }
    }
    const { credentials } = await setUp(new Broken())
    await expect(credentials.mint(request())).rejects.toThrow('the disk is full')
    expect(credentials.list()).toEqual([])
  })

  it('revokes although it cannot be written, says so, and writes it as soon as that works', async () => {
    class Flaky extends MemoryCredentialStore {
      broken = true
      override async revoke(...args: Parameters<MemoryCredentialStore['revoke']>): Promise<void> {
        if (this.broken) throw new Error('the disk is full')
        await super.revoke(...args)
      }
    }
    const store = new Flaky()
    const { credentials, clock, faults } = await setUp(store)
    const { credential } = await credentials.mint(request())
    await expect(credentials.revoke(credential.id, 'operator')).rejects.toThrow('the disk is full')
    expect(credentials.find(credential.id)).toBeUndefined()
    clock.advance(1_000)
    await new Promise(setImmediate)
    expect(faults).toMatchObject([{ message: 'the disk is full' }])
    store.broken = false
    clock.advance(1_000)
    expect(await store.unexpired(clock.now())).toMatchObject([{ revoked: { by: 'operator' } }])
  })
})
