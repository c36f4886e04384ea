import { createHash } from 'node:crypto'
import { compactVerify, errors } from 'jose'
import type { Clock, Identity, IdentityChain } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { IssuerSettings } from './claims.ts'
import { chainFrom, checkPurpose, checkValidity, identityFrom } from './claims.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import type { JsonObject } from './json.ts'
import { isObject, parseObject } from './json.ts'
import { tokenRefusal } from './refusal.ts'

/**
 * Signatures with a public key, and no others: with a shared secret (HS256) whoever verifies could sign as well, and
 * an issuer's public key could be passed off as the secret.
 */
const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

export type TrustedIssuer = {
  readonly settings: IssuerSettings
  readonly keys: IssuerKeys
  /** Whom claims are about, where that is not a matter of the settings; throws for nobody. */
  readonly identify?: (claims: JsonObject) => Identity
}

/** What a token that was taken says. */
export type VerifiedToken = {
  readonly chain: IdentityChain
  readonly issuer: string
  /** The `sub` claim as it is. */
  readonly subject: string
  /** Milliseconds; the clock skew is not in it. */
  readonly expiresAt: number
  /** Who may act for the subject (RFC 8693 section 4.4); absent: the token does not say. */
  readonly mayAct?: JsonObject
}

type Kept = { readonly token: VerifiedToken; readonly until: number }

/**
 * Verifies access tokens: JSON Web Tokens signed by an issuer that is trusted here. Every refusal is a GatewayError
 * `unauthenticated` with its reason in `facts.reason`.
 */
export class TokenVerifier {
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>
  readonly #clock: Clock
  readonly #isBlocked: (identity: Identity) => boolean
  /** By the hash of the token: what stands in memory is no token. Oldest first. */
  readonly #kept = new Map<string, Kept>()

  /** `isBlocked` is asked every time, also for tokens that were verified before. */
  constructor(issuers: readonly TrustedIssuer[], clock: Clock, isBlocked: (identity: Identity) => boolean) {
    this.#isBlocked = isBlocked
    this.#issuers = new Map(issuers.map((issuer) => [issuer.settings.url, issuer]))
    this.#clock = clock
  }

  async verify(token: string): Promise<VerifiedToken> {
    const verified = await this.#verify(token)
    if (verified.chain.some(this.#isBlocked)) throw tokenRefusal('blocked')
    return verified
  }

  async #verify(token: string): Promise<VerifiedToken> {
    if (token.length > LIMITS.tokenBytesMax) throw tokenRefusal('too_large')
    const hash = createHash('sha256').update(token).digest('base64')
    const now = this.#clock.now()
    const kept = this.#kept.get(hash)
    if (kept !== undefined && now < kept.until) return kept.token
    this.#kept.delete(hash)
    const { verified, usableUntil } = await this.#check(token)
    if (this.#kept.size >= LIMITS.tokensKeptMax) this.#dropOldest()
    this.#kept.set(hash, { token: verified, until: Math.min(usableUntil, now + LIMITS.tokenKeptMs) })
    return verified
  }

  async #check(token: string): Promise<{ readonly verified: VerifiedToken; readonly usableUntil: number }> {
    const { header, claims } = decode(token)
    const algorithm = header.alg
    if (typeof algorithm !== 'string' || !PUBLIC_KEY_ALGORITHMS.includes(algorithm)) {
      throw tokenRefusal('algorithm')
    }
    // The issuer is believed only once its key has verified the signature over it.
    const issuer = typeof claims.iss === 'string' ? this.#issuers.get(claims.iss) : undefined
    if (issuer === undefined) throw tokenRefusal('issuer')
    const { settings } = issuer
    if (!settings.algorithms.includes(algorithm)) throw tokenRefusal('algorithm')
    await checkSignature(token, header, algorithm, issuer.keys)
    checkPurpose(header, claims)
    const expiresAt = checkValidity(claims, settings, this.#clock.now())
    const identify = issuer.identify ?? ((about: JsonObject) => identityFrom(about, settings))
    const chain = chainFrom(claims, settings, identify)
    const mayAct = mayActOf(claims)
    return {
      verified: {
        chain,
        issuer: settings.url,
        subject: subjectOf(claims),
        expiresAt,
        ...(mayAct === undefined ? {} : { mayAct }),
      },
      usableUntil: expiresAt + settings.clockSkewMs,
    }
  }

  #dropOldest(): void {
    const oldest = this.#kept.keys().next()
    if (!oldest.done) this.#kept.delete(oldest.value)
  }
}

function decode(token: string): { readonly header: JsonObject; readonly claims: JsonObject } {
  const parts = token.split('.')
  if (parts.length === 5) throw tokenRefusal('encrypted')
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]*$/.test(part))) {
    throw tokenRefusal('malformed')
  }
  const [header, claims] = parts.map((part) => parseObject(Buffer.from(part, 'base64url')))
  if (header === undefined || claims === undefined) throw tokenRefusal('malformed')
  // Nothing that must be understood (RFC 7515 section 4.1.11) is understood here.
  if (header.crit !== undefined) throw tokenRefusal('malformed', 'Its header has `crit`.')
  return { header, claims }
}

async function checkSignature(
  token: string,
  header: JsonObject,
  algorithm: string,
  keys: IssuerKeys,
): Promise<void> {
  const { kid } = header
  if (kid !== undefined && typeof kid !== 'string') throw tokenRefusal('malformed')
  const candidates = await keys.find({ alg: algorithm, ...(kid === undefined ? {} : { kid }) })
  if (candidates.length === 0) throw tokenRefusal('unknown_key')
  for (const key of candidates) {
    try {
      await compactVerify(token, key, { algorithms: [algorithm] })
      return
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) continue
      if (error instanceof errors.JOSEError) throw tokenRefusal('malformed', undefined, error)
      throw error
    }
  }
  throw tokenRefusal('signature')
}

function subjectOf(claims: JsonObject): string {
  if (typeof claims.sub !== 'string' || claims.sub === '') throw tokenRefusal('claims', '`sub` is missing.')
  return claims.sub
}

function mayActOf(claims: JsonObject): JsonObject | undefined {
  const mayAct = claims.may_act
  if (mayAct === undefined || isObject(mayAct)) return mayAct
  throw tokenRefusal('actor')
}
