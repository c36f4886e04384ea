import { randomBytes } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Identity, IdentityChain } from '../core/index.ts'
import { identityKey, LIMITS, Secret } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import type { KeyVault } from './builtin.ts'
import { BuiltInIssuer } from './builtin.ts'
import { TokenVerifier } from './tokens.ts'

const ada: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: ['support'] }
const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: [] }
const helper: Identity = { kind: 'agent', name: 'helper', issuer: 'local', groups: ['x'] }
const MINUTE = 60_000

let clock: FakeClock
let kept: Map<string, Secret>
let configured: Map<string, Identity>
let issuer: BuiltInIssuer
let verifier: TokenVerifier

async function open(): Promise<void> {
  const vault: KeyVault = {
    get: (name) => kept.get(name),
    keepFirst: async (name, value) => {
      const first = kept.get(name) ?? value
      kept.set(name, first)
      return first
    },
  }
  issuer = await BuiltInIssuer.open({
    vault,
    clock,
    random: randomBytes,
    find: (key) => configured.get(key),
  })
  verifier = new TokenVerifier([issuer.trusted], clock, () => false)
}

beforeEach(async () => {
  clock = new FakeClock()
  kept = new Map()
  configured = new Map([ada, agent, helper].map((each) => [identityKey(each), each]))
  await open()
})

describe('a token of the built-in issuer', () => {
  it.each<[string, IdentityChain]>([
    ['one identity', [agent]],
    ['an agent for a person', [agent, ada]],
    ['an agent for an agent for a person', [helper, agent, ada]],
  ])('comes back as it was issued, for %s', async (_what, chain) => {
    const { token, expiresAt } = await issuer.issue(chain, 15 * MINUTE)
    const verified = await verifier.verify(token.reveal())
    expect(verified.chain).toEqual(chain)
    expect(verified.expiresAt).toBe(expiresAt)
    expect(expiresAt).toBe(clock.now() + 15 * MINUTE)
  })

  it('is an access token as RFC 9068 has it, and anybody can verify it with the published key', async () => {
    const { token } = await issuer.issue([agent, ada], MINUTE)
    const published = issuer.publicKeys()
    expect(published.keys).toHaveLength(1)
    expect(published.keys[0]).not.toHaveProperty('d')
    expect(decodeProtectedHeader(token.reveal())).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: published.keys[0]?.kid,
    })
    expect(decodeJwt(token.reveal())).toMatchObject({
      iss: 'local',
      aud: 'sluice',
      sub: 'person:ada@example.com',
      act: { sub: 'agent:support-agent' },
    })
    const currentDate = new Date(clock.now())
    const { payload } = await jwtVerify(token.reveal(), createLocalJWKSet(published), { currentDate })
    expect(payload.sub).toBe('person:ada@example.com')
  })

  it('ends on time', async () => {
    const { token } = await issuer.issue([agent], MINUTE)
    clock.advance(MINUTE - 1)
    await expect(verifier.verify(token.reveal())).resolves.toBeDefined()
    clock.advance(1)
    await expect(verifier.verify(token.reveal())).rejects.toMatchObject({ facts: { reason: 'expired' } })
  })

  it('gives the groups of today, and nothing once the configuration does not name the identity', async () => {
    const { token } = await issuer.issue([ada], MINUTE)
    configured.set(identityKey(ada), { ...ada, groups: ['other'] })
    const today = new TokenVerifier([issuer.trusted], clock, () => false)
    expect((await today.verify(token.reveal())).chain).toEqual([{ ...ada, groups: ['other'] }])
    configured.delete(identityKey(ada))
    const tomorrow = new TokenVerifier([issuer.trusted], clock, () => false)
    await expect(tomorrow.verify(token.reveal())).rejects.toMatchObject({
      facts: { reason: 'identity_unknown' },
    })
  })

  it('outlives a restart with the same vault, not with another', async () => {
    const { token } = await issuer.issue([agent], MINUTE)
    await open()
    await expect(verifier.verify(token.reveal())).resolves.toBeDefined()
    kept.clear()
    await open()
    await expect(verifier.verify(token.reveal())).rejects.toMatchObject({ facts: { reason: 'unknown_key' } })
  })

  it('is not made for a stranger, or for a life outside the limits', async () => {
    const stranger: Identity = { ...ada, issuer: 'https://id.example' }
    await expect(issuer.issue([agent, stranger], MINUTE)).rejects.toMatchObject({ code: 'invalid' })
    for (const ttlMs of [0, Number.NaN, LIMITS.credentialTtlMsMax + 1]) {
      await expect(issuer.issue([agent], ttlMs)).rejects.toMatchObject({ code: 'invalid' })
    }
  })
})

it('refuses to start with a damaged key', async () => {
  kept.set('signing key', new Secret('{"kty":"oct","k":"x"}'))
  await expect(open()).rejects.toMatchObject({ code: 'invalid' })
})
