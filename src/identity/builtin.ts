import type { JSONWebKeySet, JWK } from 'jose'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose'
import type { Clock, Identity, IdentityChain, RandomBytes } from '../core/index.ts'
import { GatewayError, identityKey, LIMITS, Secret } from '../core/index.ts'
import { FixedKeys } from './issuer-keys.ts'
import { isObject, parseObject } from './json.ts'
import { tokenRefusal } from './refusal.ts'
import type { TrustedIssuer } from './tokens.ts'

/** The `iss` of the built-in issuer, and what `Identity.issuer` says of whom it knows. */
export const BUILT_IN_ISSUER = 'local'
/** The `aud` of its tokens: the gateway itself. */
const AUDIENCE = 'sluice'
const ALGORITHM = 'ES256'
const KEY_NAME = 'signing key'

/** Where the key is kept: sealed, out of reach of everybody else. */
export interface KeyVault {
  get(name: string): Secret | undefined
  /** Keeps it unless there is one already; gives what is kept. */
  keepFirst(name: string, value: Secret): Promise<Secret>
}

export type BuiltInIssuerOptions = {
  readonly vault: KeyVault
  readonly clock: Clock
  readonly random: RandomBytes
  /** A configured local identity by its `identityKey`, as the configuration has it now. */
  readonly find: (key: string) => Identity | undefined
}

export type IssuedToken = { readonly token: Secret; readonly expiresAt: number }

/**
 * An issuer for the single machine: it knows the identities of the configuration and signs access tokens (RFC 9068)
 * for them, to be shown to this gateway's own API and exchanged there. Groups and kind are not in a token: they are
 * looked up when it is used, so that a change of the configuration counts at once.
 */
export class BuiltInIssuer {
  /** What the verifier needs to take its tokens. */
  readonly trusted: TrustedIssuer
  readonly #key: JWK
  readonly #published: JSONWebKeySet
  readonly #clock: Clock
  readonly #random: RandomBytes

  private constructor(options: BuiltInIssuerOptions, key: JWK) {
    this.#key = key
    this.#clock = options.clock
    this.#random = options.random
    this.#published = { keys: [publicPart(key)] }
    this.trusted = {
      settings: {
        url: BUILT_IN_ISSUER,
        audience: AUDIENCE,
        algorithms: [ALGORITHM],
        // Its clock is ours.
        clockSkewMs: 0,
        claims: { name: 'sub', groups: 'groups', kind: 'kind' },
        kind: 'agent',
      },
      keys: new FixedKeys(this.#published),
      identify: (claims) => {
        const identity = typeof claims.sub === 'string' ? options.find(claims.sub) : undefined
        if (identity === undefined) throw tokenRefusal('identity_unknown')
        return identity
      },
    }
  }

  /** Takes its key from the vault, making one the first time. */
  static async open(options: BuiltInIssuerOptions): Promise<BuiltInIssuer> {
    const kept = options.vault.get(KEY_NAME)
    if (kept !== undefined) return new BuiltInIssuer(options, parseKey(kept))
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
    const made = await exportJWK(privateKey)
    const key: JWK = { ...made, alg: ALGORITHM, use: 'sig', kid: await calculateJwkThumbprint(made) }
    // Of nodes that begin together one is first, and its key is everybody's.
    return new BuiltInIssuer(
      options,
      parseKey(await options.vault.keepFirst(KEY_NAME, new Secret(JSON.stringify(key)))),
    )
  }

  /** The public key as a JSON Web Key Set, for whoever wants to verify the tokens too. */
  publicKeys(): JSONWebKeySet {
    return structuredClone(this.#published)
  }

  /**
   * Signs a token for a chain of local identities. Throws `invalid` for a life outside the limits of credentials, and
   * for an identity of another issuer.
   */
  async issue(chain: IdentityChain, ttlMs: number): Promise<IssuedToken> {
    if (!(ttlMs >= LIMITS.credentialTtlMsMin && ttlMs <= LIMITS.credentialTtlMsMax)) {
      const from = LIMITS.credentialTtlMsMin / 1000
      const to = LIMITS.credentialTtlMsMax / 1000
      throw new GatewayError('invalid', `A token lives from ${from} to ${to} seconds.`)
    }
    if (chain.some((identity) => identity.issuer !== BUILT_IN_ISSUER)) {
      throw new GatewayError('invalid', 'The built-in issuer signs only for identities of its own.')
    }
    const issuedAt = Math.floor(this.#clock.now() / 1000)
    const expiresAt = issuedAt + Math.floor(ttlMs / 1000)
    const token = await new SignJWT(claimsOf(chain))
      .setProtectedHeader({
        alg: ALGORITHM,
        typ: 'at+jwt',
        ...(this.#key.kid === undefined ? {} : { kid: this.#key.kid }),
      })
      .setIssuer(BUILT_IN_ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .setJti(Buffer.from(this.#random(16)).toString('base64url'))
      .sign(await importJWK(this.#key, ALGORITHM))
    return { token: new Secret(token), expiresAt: expiresAt * 1000 }
  }
}

/** The subject is the last of the chain; whoever acts for it stands in `act`, outermost first (RFC 8693 section 4.1). */
function claimsOf(chain: IdentityChain): Record<string, unknown> {
  const keys = chain.map(identityKey)
  const subject = keys.at(-1)
  let act: Record<string, unknown> | undefined
  for (const actor of keys.slice(0, -1).toReversed())
    act = act === undefined ? { sub: actor } : { sub: actor, act }
  return act === undefined ? { sub: subject } : { sub: subject, act }
}

function publicPart(key: JWK): JWK {
  const { d: _, ...shown } = key
  return shown
}

function parseKey(kept: Secret): JWK {
  const key = parseObject(Buffer.from(kept.reveal()))
  if (key === undefined || !isObject(key) || key.kty !== 'EC' || typeof key.d !== 'string') {
    throw new GatewayError('invalid', 'The signing key of the built-in issuer is damaged.')
  }
  return { ...key, kty: 'EC' }
}
