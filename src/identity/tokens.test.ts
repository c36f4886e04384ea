import { createHmac, createPublicKey, randomBytes } from 'node:crypto'
import type { JWK } from 'jose'
import { CompactSign, EncryptJWT, exportJWK, generateKeyPair, importJWK } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GatewayError, LIMITS } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import type { TestProvider } from '../testing/oidc-provider.ts'
import {
  AGENT_CLIENT,
  AUDIENCE,
  newSigningKey,
  startTestProvider,
  WEB_CLIENT,
} from '../testing/oidc-provider.ts'
import type { IssuerSettings } from './claims.ts'
import { FixedKeys, RemoteKeys } from './issuer-keys.ts'
import { TokenVerifier } from './tokens.ts'

const SKEW_MS = 60_000
const GROUPS = ['support', 'eu']

let provider: TestProvider
let clock: FakeClock
let blocked: Set<string>
let verifier: TokenVerifier

function settings(changes: Partial<IssuerSettings> = {}): IssuerSettings {
  return {
    url: provider.issuer,
    audience: AUDIENCE,
    algorithms: ['ES256'],
    clockSkewMs: SKEW_MS,
    claims: { name: 'sub', groups: 'groups', kind: 'sluice_kind' },
    kind: 'person',
    ...changes,
  }
}

function verifierFor(changes: Partial<IssuerSettings> = {}): TokenVerifier {
  const issuer = { settings: settings(changes), keys: new RemoteKeys(provider.issuer, fetch, clock) }
  return new TokenVerifier([issuer], clock, (identity) => blocked.has(identity.name))
}

beforeAll(async () => {
  provider = await startTestProvider({
    claims: (client) => (client === AGENT_CLIENT ? { groups: GROUPS, sluice_kind: 'agent' } : {}),
  })
})
afterAll(() => provider.stop())
beforeEach(() => {
  clock = new FakeClock(Date.now())
  blocked = new Set()
  verifier = verifierFor()
})

async function reasonOf(token: string, by: TokenVerifier = verifier): Promise<unknown> {
  try {
    await by.verify(token)
    return 'taken'
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'unauthenticated') throw error
    // Nothing of what was presented comes back.
    for (const part of token.split('.')) {
      if (part.length > 8) expect(error.message).not.toContain(part)
    }
    return error.facts.reason
  }
}

const base64url = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

const seconds = () => Math.floor(clock.now() / 1000)

/** Claims as the provider gives them. */
function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    iss: provider.issuer,
    sub: 'ada',
    aud: AUDIENCE,
    iat: seconds(),
    exp: seconds() + 600,
    jti: randomBytes(8).toString('hex'),
    client_id: WEB_CLIENT,
    scope: 'api',
    ...changes,
  }
}

/** A token signed with the provider's own key, almost as it would. */
async function signed(
  changes: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key: JWK = provider.keys[0]!,
): Promise<string> {
  const protectedHeader = { alg: 'ES256', typ: 'at+jwt', kid: provider.keys[0]!.kid, ...header }
  return await new CompactSign(Buffer.from(JSON.stringify(claims(changes))))
    .setProtectedHeader(JSON.parse(JSON.stringify(protectedHeader)))
    .sign(await importJWK(key, protectedHeader.alg))
}

describe('access tokens of a certified provider', () => {
  it('are taken for an agent by its own client, with kind and groups', async () => {
    const verified = await verifier.verify(await provider.agentToken())
    expect(verified.chain).toEqual([
      { kind: 'agent', name: AGENT_CLIENT, issuer: provider.issuer, groups: ['eu', 'support'] },
    ])
    expect(verified.issuer).toBe(provider.issuer)
    expect(verified.expiresAt).toBeGreaterThan(clock.now())
  })

  it('are taken for a person who logged in to another client', async () => {
    const { accessToken } = await provider.personTokens('ada')
    const verified = await verifier.verify(accessToken)
    expect(verified.chain).toEqual([{ kind: 'person', name: 'ada', issuer: provider.issuer, groups: [] }])
  })

  it('are refused for another audience, when expired, and when changed by one letter', async () => {
    const other = await provider.agentToken('https://another.example')
    expect(await reasonOf(other)).toBe('wrong_audience')
    const token = await provider.agentToken()
    expect(await reasonOf(token)).toBe('taken')
    const at = token.lastIndexOf('.') + 10
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
    expect(await reasonOf(changed)).toBe('signature')
    clock.advance(600_000 + SKEW_MS + 1_000)
    expect(await reasonOf(token)).toBe('expired')
  })

  it('are not replaced by ID tokens, not even where the audience is the client by mistake', async () => {
    const { idToken } = await provider.personTokens('ada')
    expect(await reasonOf(idToken, verifierFor({ audience: WEB_CLIENT }))).toBe('id_token')
    expect(await reasonOf(idToken)).toBe('id_token')
  })
})

describe('the corpus of bad tokens', () => {
  it('starts from a token that is taken', async () => {
    expect(await reasonOf(await signed())).toBe('taken')
    expect(await reasonOf(await signed({}, { typ: 'application/AT+JWT' }))).toBe('taken')
    expect(await reasonOf(await signed({}, { typ: 'JWT' }))).toBe('taken')
    expect(await reasonOf(await signed({}, { typ: undefined }))).toBe('taken')
    expect(await reasonOf(await signed({}, { kid: undefined }))).toBe('taken')
    expect(await reasonOf(await signed({ aud: ['https://another.example', AUDIENCE] }))).toBe('taken')
  })

  const corpus: Record<string, [reason: string, make: () => string | Promise<string>]> = {
    'no token': ['malformed', () => ''],
    'a word': ['malformed', () => 'token'],
    'two parts': ['malformed', async () => (await signed()).split('.').slice(0, 2).join('.')],
    'four parts': ['malformed', async () => `${await signed()}.x`],
    'a blank before it': ['malformed', async () => ` ${await signed()}`],
    'a line break in it': ['malformed', async () => (await signed()).replace('.', '.\n')],
    padding: ['malformed', async () => `${await signed()}==`],
    'a header that is no JSON': ['malformed', async () => (await signed()).replace(/^[^.]+/, base64url('x'))],
    'a header that is a list': ['malformed', async () => (await signed()).replace(/^[^.]+/, base64url([1]))],
    'claims that are a string': [
      'malformed',
      async () => (await signed()).replace(/\.[^.]+\./, `.${base64url('"x"')}.`),
    ],
    'claims that are not UTF-8': [
      'malformed',
      async () =>
        (await signed()).replace(
          /\.[^.]+\./,
          `.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.`,
        ),
    ],
    'a key id that is a number': ['malformed', () => signed({}, { kid: 7 })],
    'a critical extension': ['malformed', () => signed({}, { crit: ['b64'], b64: true })],
    'more than any token needs': ['too_large', () => signed({ padding: 'x'.repeat(LIMITS.tokenBytesMax) })],
    'a megabyte of dots': ['too_large', () => '.'.repeat(1024 * 1024)],
    encryption: [
      'encrypted',
      async () => {
        const secret = randomBytes(32)
        return await new EncryptJWT(claims())
          .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
          .encrypt(secret)
      },
    ],
    'no signature, alg none': [
      'algorithm',
      () => `${base64url({ alg: 'none', typ: 'at+jwt' })}.${base64url(claims())}.`,
    ],
    'no signature, alg NoNe': ['algorithm', () => `${base64url({ alg: 'NoNe' })}.${base64url(claims())}.`],
    'no signature, alg as it should be': ['signature', async () => (await signed()).replace(/[^.]+$/, '')],
    'no algorithm': ['algorithm', () => `${base64url({ typ: 'at+jwt' })}.${base64url(claims())}.AA`],
    'an algorithm that is a list': [
      'algorithm',
      () => `${base64url({ alg: ['ES256'] })}.${base64url(claims())}.AA`,
    ],
    'HMAC with the public key as PEM': ['algorithm', () => hmacConfusion('pem')],
    'HMAC with the public key as JSON': ['algorithm', () => hmacConfusion('jwk')],
    'HMAC with an empty secret': ['algorithm', () => hmacConfusion('empty')],
    'a good algorithm that is not allowed for this issuer': [
      'algorithm',
      async () => {
        const key = await newSigningKey('RS256')
        return await signed({}, { alg: 'RS256', kid: key.kid }, key)
      },
    ],
    'an unknown issuer': ['issuer', () => signed({ iss: 'https://evil.example' })],
    'an issuer with a slash more': ['issuer', () => signed({ iss: `${provider.issuer}/` })],
    'no issuer': ['issuer', () => signed({ iss: undefined })],
    'two issuers': ['issuer', () => signed({ iss: [provider.issuer] })],
    'a key the issuer does not have': [
      'unknown_key',
      async () => {
        const key = await newSigningKey('ES256')
        return await signed({}, { kid: key.kid }, key)
      },
    ],
    'another key under a known id': ['signature', async () => signed({}, {}, await newSigningKey('ES256'))],
    'a key of its own in the header': [
      'signature',
      async () => {
        const key = await newSigningKey('ES256')
        const { d: _, ...jwk } = key
        return await signed({}, { jwk, jku: 'https://evil.example/keys', kid: undefined }, key)
      },
    ],
    'other claims under a good signature': [
      'signature',
      async () => (await signed()).replace(/\.[^.]+\./, `.${base64url(claims({ sub: 'root' }))}.`),
    ],
    'an ID token by its nonce': ['id_token', () => signed({ nonce: 'n' }, { typ: 'JWT' })],
    'an ID token by its at_hash': ['id_token', () => signed({ at_hash: 'h' }, { typ: undefined })],
    'an ID token of Keycloak': ['id_token', () => signed({ typ: 'ID' }, { typ: 'JWT' })],
    'an ID token of Cognito': ['id_token', () => signed({ token_use: 'id' }, { typ: 'JWT' })],
    'an ID token by its audience, the client': ['id_token', () => signed({ azp: AUDIENCE }, { typ: 'JWT' })],
    'a logout token': ['token_type', () => signed({ events: {} }, { typ: 'logout+jwt' })],
    'a logout token without its type': ['token_type', () => signed({ events: {} }, { typ: undefined })],
    'a DPoP proof': ['token_type', () => signed({}, { typ: 'dpop+jwt' })],
    'a token bound to a key of its client': ['sender_constrained', () => signed({ cnf: { jkt: 'x' } })],
    'another audience': ['wrong_audience', () => signed({ aud: 'https://another.example' })],
    'no audience': ['wrong_audience', () => signed({ aud: undefined })],
    'an audience that begins like ours': [
      'wrong_audience',
      () => signed({ aud: `${AUDIENCE}.evil.example` }),
    ],
    'an audience that is an object': ['wrong_audience', () => signed({ aud: { 0: AUDIENCE } })],
    expired: ['expired', () => signed({ exp: seconds() - 61 })],
    'no expiry': ['claims', () => signed({ exp: undefined })],
    'an expiry as text': ['claims', () => signed({ exp: '9999999999' })],
    'an expiry without end': ['claims', async () => signed({ exp: null })],
    'not valid yet': ['not_yet_valid', () => signed({ nbf: seconds() + 120 })],
    'a beginning as text': ['claims', () => signed({ nbf: 'now' })],
    'issued in the future': ['issued_in_future', () => signed({ iat: seconds() + 120 })],
    'no subject': ['claims', () => signed({ sub: undefined })],
    'an empty subject': ['claims', () => signed({ sub: '' })],
    'a subject that is a number': ['claims', () => signed({ sub: 7 })],
    'a subject that turns the line round': ['claims', () => signed({ sub: 'ada\u202Eadmin' })],
    'a subject with a line break': ['claims', () => signed({ sub: 'ada\nperson:root' })],
    'a subject that is too long': ['claims', () => signed({ sub: 'x'.repeat(LIMITS.identityNameMax + 1) })],
    'an unknown kind': ['claims', () => signed({ sluice_kind: 'root' })],
    'groups that are no names': ['claims', () => signed({ groups: ['a', 7] })],
    'groups in an object': ['claims', () => signed({ groups: { admin: true } })],
    'more groups than anybody has': [
      'claims',
      () => signed({ groups: Array.from({ length: LIMITS.groupsMax + 1 }, (_, i) => `${i}`) }),
    ],
    'an actor that is a string': ['actor', () => signed({ act: 'agent' })],
    'an actor of another issuer': ['actor', () => signed({ act: { iss: 'https://evil.example', sub: 'x' } })],
    'an actor without a subject': ['claims', () => signed({ act: {} })],
    'actors without end': ['too_deep', () => signed({ act: nested(LIMITS.chainMax) })],
    'a word on who may act that is no object': ['actor', () => signed({ may_act: 'anybody' })],
  }

  it.each(Object.entries(corpus))('refuses %s', async (_name, [reason, make]) => {
    expect(await reasonOf(await make())).toBe(reason)
  })
})

function nested(depth: number): Record<string, unknown> {
  let act: Record<string, unknown> = { sub: 'a0' }
  for (let i = 1; i < depth; i++) act = { sub: `a${i}`, act }
  return act
}

/** Signs with a shared secret that everybody knows: the public key (CVE-2015-9235 and its kin). */
function hmacConfusion(form: 'pem' | 'jwk' | 'empty'): string {
  const { d: _, ...jwk } = provider.keys[0]!
  const secrets = {
    pem: createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' }),
    jwk: JSON.stringify(jwk),
    empty: '',
  }
  const input = `${base64url({ alg: 'HS256', typ: 'at+jwt', kid: jwk.kid })}.${base64url(claims())}`
  return `${input}.${createHmac('sha256', secrets[form]).update(input).digest('base64url')}`
}

describe('times', () => {
  it('are taken with the clock skew, and not a moment more', async () => {
    const token = await signed({ exp: seconds() + 60, nbf: seconds() + 60, iat: seconds() + 60 })
    expect(await reasonOf(token)).toBe('taken')
    const late = await signed({ exp: seconds() })
    clock.advance(SKEW_MS - 1_000)
    expect(await reasonOf(late)).toBe('taken')
    clock.advance(2_000)
    expect(await reasonOf(late)).toBe('expired')
  })
})

describe('what claims mean', () => {
  it('keeps chains of actors: who acts first, for whom it all is last', async () => {
    const act = { sub: 'helper', act: { sub: 'planner', sluice_kind: 'service', groups: ['x'] } }
    const { chain } = await verifier.verify(await signed({ act, groups: 'support' }))
    expect(chain).toEqual([
      { kind: 'agent', name: 'helper', issuer: provider.issuer, groups: [] },
      { kind: 'service', name: 'planner', issuer: provider.issuer, groups: ['x'] },
      { kind: 'person', name: 'ada', issuer: provider.issuer, groups: ['support'] },
    ])
    const longest = await verifier.verify(await signed({ act: nested(LIMITS.chainMax - 1) }))
    expect(longest.chain).toHaveLength(LIMITS.chainMax)
  })

  it('reads names, groups and kinds from the claims that the configuration names', async () => {
    const custom = verifierFor({
      claims: { name: 'email', groups: 'realm_access.roles', kind: 'https://x.example/kind' },
    })
    const token = await signed({
      email: 'ada@example.com',
      email_verified: true,
      realm_access: { roles: ['b', 'a', 'b'] },
      'https://x.example/kind': 'service',
    })
    expect((await custom.verify(token)).chain).toEqual([
      { kind: 'service', name: 'ada@example.com', issuer: provider.issuer, groups: ['a', 'b'] },
    ])
    const unverified = await signed({ email: 'root@example.com', email_verified: false })
    expect(await reasonOf(unverified, custom)).toBe('claims')
    expect(await reasonOf(await signed(), custom)).toBe('claims')
  })

  it('refuses a chain in which somebody is blocked, also when the token was taken before', async () => {
    const token = await signed({ act: { sub: 'helper' } })
    expect(await reasonOf(token)).toBe('taken')
    blocked.add('ada')
    expect(await reasonOf(token)).toBe('blocked')
    blocked = new Set(['helper'])
    expect(await reasonOf(token)).toBe('blocked')
    blocked.clear()
    expect(await reasonOf(token)).toBe('taken')
  })
})

describe('keys', () => {
  const METADATA = '/.well-known/openid-configuration'

  it('are fetched once for many tokens, again after ten minutes, and kept while the issuer is away', async () => {
    const before = provider.requests(METADATA)
    await Promise.all([signed(), signed(), signed()].map(async (token) => reasonOf(await token)))
    expect(provider.requests(METADATA)).toBe(before + 1)
    clock.advance(LIMITS.issuerKeysMs)
    expect(await reasonOf(await signed())).toBe('taken')
    expect(provider.requests(METADATA)).toBe(before + 2)
  })

  it('that are unknown make them be fetched again, but not for every token', async () => {
    expect(await reasonOf(await signed())).toBe('taken')
    const before = provider.requests('/jwks')
    const invented = async () => signed({}, { kid: randomBytes(8).toString('hex') })
    for (let i = 0; i < 5; i++) expect(await reasonOf(await invented())).toBe('unknown_key')
    expect(provider.requests('/jwks')).toBe(before)
    clock.advance(LIMITS.issuerKeysCooldownMs)
    for (let i = 0; i < 5; i++) expect(await reasonOf(await invented())).toBe('unknown_key')
    expect(provider.requests('/jwks')).toBe(before + 1)
  })

  it('that were rotated are found, and the old ones count no longer', async () => {
    const first = await startTestProvider()
    const port = Number(new URL(first.issuer).port)
    const keys = new RemoteKeys(first.issuer, fetch, clock)
    const issuer = { settings: settings({ url: first.issuer }), keys }
    const rotating = new TokenVerifier([issuer], clock, () => false)
    const old = await first.agentToken()
    expect(await reasonOf(old, rotating)).toBe('taken')
    const oldUnseen = await first.agentToken()
    await first.stop()

    const second = await startTestProvider({ port })
    const fresh = await second.agentToken()
    clock.advance(LIMITS.issuerKeysCooldownMs)
    expect(await reasonOf(fresh, rotating)).toBe('taken')
    expect(await reasonOf(oldUnseen, rotating)).toBe('unknown_key')
    // A verified token is believed for some minutes; then it is asked again whether its key still counts.
    expect(await reasonOf(old, rotating)).toBe('taken')
    clock.advance(LIMITS.tokenKeptMs)
    expect(await reasonOf(old, rotating)).toBe('unknown_key')
    await second.stop()

    expect(await reasonOf(fresh, rotating)).toBe('taken')
    clock.advance(LIMITS.tokenKeptMs)
    expect(await reasonOf(fresh, rotating), 'the keys are not old yet').toBe('taken')
  })

  it('outlive an issuer that is away for a while, not for long', async () => {
    const away = await startTestProvider()
    const keys = new RemoteKeys(away.issuer, fetch, clock)
    const wanted = { alg: 'ES256', kid: String(away.keys[0]!.kid) }
    expect(await keys.find(wanted)).toHaveLength(1)
    await away.stop()
    clock.advance(LIMITS.issuerKeysStaleMs - 1)
    expect(await keys.find(wanted)).toHaveLength(1)
    clock.advance(LIMITS.issuerKeysRetryMs + 1)
    await expect(keys.find(wanted)).rejects.toMatchObject({
      code: 'unauthenticated',
      retry: 'later',
      facts: { reason: 'keys_unavailable' },
    })
  })

  it('of every public-key algorithm of a provider are understood', async () => {
    for (const algorithm of ['RS256', 'PS256', 'EdDSA'] as const) {
      const other = await startTestProvider({ algorithm })
      const issuer = {
        settings: settings({ url: other.issuer, algorithms: ['RS256', 'PS256', 'EdDSA'] }),
        keys: new RemoteKeys(other.issuer, fetch, clock),
      }
      const its = new TokenVerifier([issuer], clock, () => false)
      expect(await reasonOf(await other.agentToken(), its), algorithm).toBe('taken')
      await other.stop()
    }
  })

  it('without an id are tried one after the other', async () => {
    const pairs = await Promise.all([
      generateKeyPair('ES256', { extractable: true }),
      generateKeyPair('ES256'),
    ])
    const keys = await Promise.all(pairs.map((pair) => exportJWK(pair.publicKey)))
    const issuer = { settings: settings(), keys: new FixedKeys({ keys }) }
    const several = new TokenVerifier([issuer], clock, () => false)
    const own = await exportJWK(pairs[0].privateKey)
    expect(await reasonOf(await signed({}, { kid: undefined }, own), several)).toBe('taken')
    expect(await reasonOf(await signed({}, { kid: undefined }), several)).toBe('signature')
  })

  it('are not taken from an answer that is wrong in any way', async () => {
    const good = { issuer: 'https://id.example', jwks_uri: 'https://id.example/keys' }
    const json = (value: unknown) => async () => Response.json(value)
    const answers: Record<string, Record<string, () => Promise<Response>>> = {
      'another issuer': { [METADATA]: json({ ...good, issuer: 'https://evil.example' }) },
      'keys over plain HTTP': { [METADATA]: json({ ...good, jwks_uri: 'http://id.example/keys' }) },
      'keys from a file': { [METADATA]: json({ ...good, jwks_uri: 'file:///etc/passwd' }) },
      'no place of keys': { [METADATA]: json({ issuer: good.issuer }) },
      'no JSON': { [METADATA]: async () => new Response('<html>') },
      'an error': { [METADATA]: async () => new Response('', { status: 500 }) },
      'a fault of the network': {
        [METADATA]: async () => {
          throw new TypeError('fetch failed')
        },
      },
      'too much': { [METADATA]: async () => new Response('x'.repeat(LIMITS.issuerAnswerBytesMax + 1)) },
      'no keys': { [METADATA]: json(good), '/keys': json({ keys: 'none' }) },
      'keys that are no keys': { [METADATA]: json(good), '/keys': json({ keys: [7] }) },
    }
    for (const [what, pages] of Object.entries(answers)) {
      let asked = 0
      const keys = new RemoteKeys(
        good.issuer,
        async (url) => {
          asked++
          const page = pages[new URL(url).pathname]
          if (page === undefined) throw new Error(`nobody should ask for ${url}`)
          return await page()
        },
        clock,
      )
      const refused = { facts: { reason: 'keys_unavailable' } }
      await expect(keys.find({ alg: 'ES256' }), what).rejects.toMatchObject(refused)
      const before = asked
      await expect(keys.find({ alg: 'ES256' }), what).rejects.toMatchObject(refused)
      expect(asked, `${what}: not asked again at once`).toBe(before)
    }
  })
})
