import type { CryptoKey, JSONWebKeySet, LocalJWKSet } from 'jose'
import { createLocalJWKSet, errors } from 'jose'
import type { Clock } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { JsonObject } from './json.ts'
import { isObject, parseObject } from './json.ts'
import { tokenRefusal } from './refusal.ts'

/** Keys without an id that fit one token; a set with more is not meant to be used so. */
const CANDIDATES_MAX = 8

export type KeyWanted = { readonly alg: string; readonly kid?: string }

/** Where the keys of an issuer come from. */
export interface IssuerKeys {
  /** The public keys that may have signed such a token; none: the issuer does not publish it. */
  find(wanted: KeyWanted): Promise<readonly CryptoKey[]>
}

/** The part of the web's `fetch` that is needed, handed in by whoever has a network. */
export type Fetch = (
  url: string,
  options: {
    readonly headers: Readonly<Record<string, string>>
    readonly redirect: 'error'
    readonly signal: AbortSignal
  },
) => Promise<Response>

type Fetched = { readonly keys: LocalJWKSet; readonly at: number }

/**
 * The keys that an OpenID provider publishes, found through its metadata (OpenID Connect Discovery 1.0 section 4) and
 * kept. A key that is not known makes them be fetched again, but not more often than twice a minute, or whoever
 * sends tokens with invented keys could have us hammer the issuer.
 */
export class RemoteKeys implements IssuerKeys {
  readonly #issuer: string
  readonly #fetch: Fetch
  readonly #clock: Clock
  #fetched: Fetched | undefined
  #fetching: Promise<Fetched> | undefined
  #failed: { readonly at: number; readonly error: unknown } | undefined

  /** `issuer` is the exact value of the `iss` claim. */
  constructor(issuer: string, fetch: Fetch, clock: Clock) {
    this.#issuer = issuer
    this.#fetch = fetch
    this.#clock = clock
  }

  /** Throws `unauthenticated` with reason `keys_unavailable` when the issuer does not answer, or not sensibly. */
  async find(wanted: KeyWanted): Promise<readonly CryptoKey[]> {
    const current = await this.#current()
    const found = await candidates(current.keys, wanted)
    const age = this.#clock.now() - current.at
    if (found.length > 0 || age < LIMITS.issuerKeysCooldownMs) return found
    return await candidates((await this.#refresh(current)).keys, wanted)
  }

  async #current(): Promise<Fetched> {
    const fetched = this.#fetched
    if (fetched === undefined) return await this.#load()
    return this.#clock.now() - fetched.at < LIMITS.issuerKeysMs ? fetched : await this.#refresh(fetched)
  }

  /** Newer keys, or these while the issuer does not answer and they are not too old. */
  async #refresh(fetched: Fetched): Promise<Fetched> {
    try {
      return await this.#load()
    } catch (error) {
      if (this.#clock.now() - fetched.at < LIMITS.issuerKeysStaleMs) return fetched
      throw error
    }
  }

  /** Many that ask at once share one fetch; a failure is not tried again for some seconds. */
  async #load(): Promise<Fetched> {
    if (this.#failed !== undefined && this.#clock.now() - this.#failed.at < LIMITS.issuerKeysRetryMs) {
      throw this.#failed.error
    }
    this.#fetching ??= this.#fetchKeys().finally(() => {
      this.#fetching = undefined
    })
    return await this.#fetching
  }

  async #fetchKeys(): Promise<Fetched> {
    try {
      const metadata = await this.#fetchJson(
        `${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
      )
      // Section 4.3: or a metadata document could speak for somebody else.
      if (metadata.issuer !== this.#issuer) throw new Error('its metadata is about another issuer')
      const location = metadata.jwks_uri
      if (typeof location !== 'string' || !mayFetch(location)) throw new Error('its jwks_uri is not https')
      const set = await this.#fetchJson(location)
      if (!isKeySet(set)) throw new Error('what it publishes is no set of keys')
      this.#fetched = { keys: createLocalJWKSet(set), at: this.#clock.now() }
      this.#failed = undefined
      return this.#fetched
    } catch (error) {
      const refusal = tokenRefusal('keys_unavailable', undefined, error)
      this.#failed = { at: this.#clock.now(), error: refusal }
      throw refusal
    }
  }

  async #fetchJson(url: string): Promise<JsonObject> {
    const response = await this.#fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(LIMITS.issuerAnswerMs),
    })
    if (response.status !== 200 || response.body === null) throw new Error(`it answered ${response.status}`)
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body) {
      length += chunk.length
      if (length > LIMITS.issuerAnswerBytesMax) throw new Error('its answer is too long')
      chunks.push(chunk)
    }
    const json = parseObject(Buffer.concat(chunks))
    if (json === undefined) throw new Error('its answer is not a JSON object')
    return json
  }
}

/** A fixed set of keys: those of the built-in issuer. */
export class FixedKeys implements IssuerKeys {
  readonly #keys: LocalJWKSet

  constructor(set: JSONWebKeySet) {
    this.#keys = createLocalJWKSet(set)
  }

  async find(wanted: KeyWanted): Promise<readonly CryptoKey[]> {
    return await candidates(this.#keys, wanted)
  }
}

async function candidates(keys: LocalJWKSet, wanted: KeyWanted): Promise<readonly CryptoKey[]> {
  try {
    return [await keys(wanted)]
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) {
      const found: CryptoKey[] = []
      for await (const key of error) {
        found.push(key)
        if (found.length === CANDIDATES_MAX) break
      }
      return found
    }
    // No such key, or one that cannot be used (a weak RSA key is a TypeError): none that may have signed it.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return []
    throw error
  }
}

function isKeySet(value: JsonObject): value is JsonObject & JSONWebKeySet {
  return Array.isArray(value.keys) && value.keys.every((key) => isObject(key) && typeof key.kty === 'string')
}

/** Keys come over TLS, or from this machine: whoever can change them on the way can sign anything. */
function mayFetch(location: string): boolean {
  if (!URL.canParse(location)) return false
  const { protocol, hostname } = new URL(location)
  if (protocol === 'https:') return true
  return protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname)
}
