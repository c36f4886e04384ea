import { hash, timingSafeEqual } from 'node:crypto'
import type {
  Clock,
  ConnectionName,
  Credential,
  CredentialId,
  Identity,
  IdentityChain,
  RandomBytes,
  ScramVerifier,
  Timer,
} from '../core/index.ts'
import {
  brand,
  createScramVerifier,
  GatewayError,
  identityKey,
  LIMITS,
  mockScramVerifier,
  newCredentialId,
  SCRAM_ITERATIONS,
  SCRAM_SALT_BYTES,
  Secret,
} from '../core/index.ts'
import type { CredentialProof, CredentialStore, Revocation, StoredCredential } from './port.ts'

/**
 * Minted credentials: short-lived secrets for the gateway, each bound to an identity chain, a connection and an end.
 *
 * Leaves to others who may mint (the control API and the operator socket), SCRAM itself (wire), and ending live
 * sessions (the session listens to `onEnd`). Promise: a secret is known only to whoever it was minted for; what is
 * kept can check it and nothing more; after expiry or revocation it opens nothing, and `onEnd` says so within two
 * seconds, also when the machine slept in between.
 */

/** A secret has 32 random bytes; base64url makes 43 characters of them. */
const SECRET_BYTES = 32
/** So that secret scanners and people recognise a leaked one: `slu_...` is a password, `slu_c_..._...` a token. */
const PREFIX = 'slu_'
const TOKEN = /^slu_(c_[0-9a-z]{16})_([A-Za-z0-9_-]{43})$/

/** Half of what is promised: the other half is for the session to end. */
const SWEEP_MS = 1_000
const DAY_MS = 24 * 60 * 60 * 1000
/** Rows of ended credentials stay this long, so that an auditor can ask who revoked one. */
const KEEP_ENDED_MS = 30 * DAY_MS

const NO_TOKEN_HASH = new Uint8Array(32)

export type MintRequest = {
  readonly use: Credential['use']
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  /** The one database it opens; absent: any of the connection's list. */
  readonly database?: string
  readonly ttlMs: number
  /** `operator socket`, `token exchange`: shown to auditors. */
  readonly mintedBy: string
}

/** `secret` is the password of a DSN, or a whole HTTP token. It cannot be had again. */
export type Minted = { readonly credential: Credential; readonly secret: Secret }

export type Ending = {
  readonly reason: 'expired' | 'revoked'
  readonly at: number
  /** Who revoked it. */
  readonly by?: string
}

export type EndListener = (credential: Credential, ending: Ending) => void

export type CredentialsOptions = {
  readonly store: CredentialStore
  readonly clock: Clock
  readonly random: RandomBytes
  /** Faults nobody is waiting for: a listener that threw, a clean-up that failed. */
  readonly report: (error: unknown) => void
  /** Identities that get nothing (`IdentityBlocks`); absent: there are none. */
  readonly isBlocked?: (identity: Identity) => boolean
}

type Live = { readonly credential: Credential; readonly proof: CredentialProof }
type Ended = Live & { readonly ending: Ending }

export class Credentials {
  readonly #store: CredentialStore
  readonly #clock: Clock
  readonly #random: RandomBytes
  readonly #report: (error: unknown) => void
  readonly #isBlocked: (identity: Identity) => boolean
  readonly #mockKey: Uint8Array
  readonly #live = new Map<CredentialId, Live>()
  /** What each identity of a chain holds, so that an identity can be cut off without looking at everything. */
  readonly #byIdentity = new Map<string, Set<CredentialId>>()
  /** How many each identity holds as the one who acts: an agent must not use up the share of whom it acts for. */
  readonly #minted = new Map<string, number>()
  /** Ended and not yet forgotten, so that a refusal can say why. Bounded; the oldest go. */
  readonly #ended = new Map<CredentialId, Ended>()
  /** Revocations that are not known to be on the disk: after a restart they would be forgotten. */
  readonly #unwritten = new Map<CredentialId, Revocation>()
  readonly #listeners = new Set<EndListener>()
  #nextExpiry = Number.POSITIVE_INFINITY
  #nextCleaning: number
  #timer: Timer | undefined

  private constructor(options: CredentialsOptions, mockKey: Uint8Array) {
    this.#store = options.store
    this.#clock = options.clock
    this.#random = options.random
    this.#report = options.report
    this.#isBlocked = options.isBlocked ?? (() => false)
    this.#mockKey = mockKey
    this.#nextCleaning = this.#clock.now() + DAY_MS
  }

  /** Reads what was minted before; from then on every question is answered from memory. */
  static async open(options: CredentialsOptions): Promise<Credentials> {
    const now = options.clock.now()
    const mockKey = await options.store.mockKey(options.random(32))
    await options.store.forget(now - KEEP_ENDED_MS)
    const credentials = new Credentials(options, mockKey)
    for (const stored of await options.store.unexpired(now)) credentials.#load(stored)
    credentials.#arm()
    return credentials
  }

  /** Stops the timer; what is in the store stays. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /**
   * Makes a credential. It is on the disk before this resolves. Throws `invalid` for a life outside the limits or a
   * chain that is too long, `limit_exceeded` when the identity or the gateway holds too many.
   */
  async mint(request: MintRequest): Promise<Minted> {
    this.#check(request)
    const now = this.#clock.now()
    const id = newCredentialId(this.#random)
    const text = Buffer.from(this.#random(SECRET_BYTES)).toString('base64url')
    const secret = new Secret(request.use === 'database' ? PREFIX + text : `${PREFIX}${id}_${text}`)
    const proof: CredentialProof =
      request.use === 'database'
        ? {
            kind: 'scram',
            verifier: createScramVerifier(secret.reveal(), SCRAM_ITERATIONS, this.#random(SCRAM_SALT_BYTES)),
          }
        : { kind: 'token', hash: sha256(text) }
    const credential: Credential = {
      id,
      use: request.use,
      chain: request.chain,
      connection: request.connection,
      ...(request.database === undefined ? {} : { database: request.database }),
      createdAt: now,
      expiresAt: now + request.ttlMs,
      mintedBy: request.mintedBy,
    }
    await this.#store.add({ credential, proof })
    this.#keep({ credential, proof })
    // Blocked while it was written, here or at another node: who blocked it did not see this one.
    if (await this.#revokeBlocked(credential)) throw blockedRefusal(request.chain.find(this.#isBlocked))
    return { credential, secret }
  }

  /** The credential of this id, as long as it is neither expired nor revoked. */
  find(id: string): Credential | undefined {
    return this.#findLive(id)?.credential
  }

  /** Every live credential, oldest first. */
  list(): readonly Credential[] {
    const now = this.#clock.now()
    return [...this.#live.values()].map((live) => live.credential).filter((each) => each.expiresAt > now)
  }

  /**
   * What SCRAM checks a password against. For an id that is unknown, expired, revoked or not for databases, one that
   * no password matches and that looks the same every time.
   */
  verifier(id: string): ScramVerifier {
    const live = this.#findLive(id)
    return live?.proof.kind === 'scram' ? live.proof.verifier : mockScramVerifier(id, this.#mockKey)
  }

  /**
   * The credential a client presented as an HTTP token, for this connection. Throws `unauthenticated`; why is in
   * `facts.reason`: `malformed`, `unknown_credential`, `expired`, `revoked`, `wrong_connection`. Only who knows the
   * secret is told more than that there is no such token.
   */
  admitToken(token: string, connection: ConnectionName): Credential {
    const match = TOKEN.exec(token)
    const [, id, secret] = match ?? []
    if (id === undefined || secret === undefined) {
      throw refusal('malformed', 'This is not a token of this gateway.')
    }
    const known = this.#live.get(brand<CredentialId>(id)) ?? this.#ended.get(brand<CredentialId>(id))
    const expected = known?.proof.kind === 'token' ? known.proof.hash : NO_TOKEN_HASH
    const matches = timingSafeEqual(sha256(secret), expected)
    if (!matches || known === undefined) {
      throw refusal('unknown_credential', 'There is no such token.')
    }
    const ending = this.endingOf(id)
    if (ending !== undefined) throw endedRefusal(ending)
    if (known.credential.connection !== connection) {
      throw refusal('wrong_connection', `This token opens ${known.credential.connection}, not ${connection}.`)
    }
    return known.credential
  }

  /** How and when a credential ended; nothing for one that is live, or that was forgotten or never minted. */
  endingOf(id: string): Ending | undefined {
    const key = brand<CredentialId>(id)
    const live = this.#live.get(key)
    if (live !== undefined && live.credential.expiresAt <= this.#clock.now()) this.#expire(live)
    return this.#ended.get(key)?.ending
  }

  /** Live credentials in whose chain this identity stands (`identityKey`), soonest end first. */
  heldBy(identity: string): readonly Credential[] {
    const held: Credential[] = []
    for (const id of this.#byIdentity.get(identity) ?? []) {
      const credential = this.find(id)
      if (credential !== undefined) held.push(credential)
    }
    return held.sort((a, b) => a.expiresAt - b.expiresAt)
  }

  /**
   * Ends a credential now. It opens nothing from this moment, even when writing that down fails: then this throws,
   * and writing is tried again every second. Gives false when there is no such live credential.
   */
  async revoke(id: string, by: string): Promise<boolean> {
    const live = this.#findLive(id)
    if (live === undefined) return false
    const revocation: Revocation = { by, at: this.#clock.now() }
    this.#end(live, { reason: 'revoked', ...revocation })
    await this.#writeRevocation(live.credential.id, revocation)
    return true
  }

  /** Ends everything in whose chain this identity stands (`identityKey`). Gives how many. */
  async revokeHeldBy(identity: string, by: string): Promise<number> {
    return await this.#revokeAll(this.heldBy(identity), by)
  }

  /** Ends what belongs to identities that are no longer known: for when a new configuration leaves some out. */
  async revokeUnknown(known: (identity: Identity) => boolean, by: string): Promise<number> {
    const stale = this.list().filter((credential) => !credential.chain.every(known))
    return await this.#revokeAll(stale, by)
  }

  /**
   * Takes over what other nodes minted and revoked: of one credential, or of all. What they have revoked ends here as if it
   * had been revoked here; what was revoked here stays so.
   */
  async refresh(id?: string): Promise<void> {
    if (id === undefined) {
      for (const stored of await this.#store.unexpired(this.#clock.now())) await this.#follow(stored)
      return
    }
    const stored = await this.#store.get(brand<CredentialId>(id))
    if (stored !== undefined && stored.credential.expiresAt > this.#clock.now()) await this.#follow(stored)
  }

  /** Calls `listener` once for each credential that ends, within two seconds of its end. Gives the way to stop. */
  onEnd(listener: EndListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async #revokeAll(credentials: readonly Credential[], by: string): Promise<number> {
    const ended = await Promise.all(credentials.map((credential) => this.revoke(credential.id, by)))
    return ended.filter(Boolean).length
  }

  async #writeRevocation(id: CredentialId, revocation: Revocation): Promise<void> {
    this.#unwritten.set(id, revocation)
    await this.#store.revoke(id, revocation)
    this.#unwritten.delete(id)
  }

  #check(request: MintRequest): void {
    const { ttlMs, chain } = request
    if (!Number.isInteger(ttlMs) || ttlMs < LIMITS.credentialTtlMsMin || ttlMs > LIMITS.credentialTtlMsMax) {
      const from = LIMITS.credentialTtlMsMin / 1000
      const to = LIMITS.credentialTtlMsMax / 1000
      throw new GatewayError('invalid', `A credential lives from ${from} to ${to} seconds.`)
    }
    if (chain.length > LIMITS.chainMax) {
      throw new GatewayError('invalid', `A chain has at most ${LIMITS.chainMax} identities.`)
    }
    const blocked = chain.find(this.#isBlocked)
    if (blocked !== undefined) throw blockedRefusal(blocked)
    if (this.#live.size >= LIMITS.credentialsMax) {
      throw new GatewayError('limit_exceeded', 'The gateway holds too many live credentials.', {
        remedy: 'Wait until some expire, or revoke those not in use.',
        retry: 'later',
      })
    }
    if ((this.#minted.get(identityKey(chain[0])) ?? 0) >= LIMITS.credentialsPerIdentityMax) {
      throw new GatewayError('limit_exceeded', `${identityKey(chain[0])} holds too many live credentials.`, {
        remedy: 'Use one credential for its whole life instead of minting one for each use.',
        retry: 'later',
      })
    }
  }

  #load(stored: StoredCredential): void {
    const { credential, proof, revoked } = stored
    if (revoked === undefined) this.#keep({ credential, proof })
    else this.#remember({ credential, proof, ending: { reason: 'revoked', ...revoked } })
  }

  async #follow(stored: StoredCredential): Promise<void> {
    const { credential, revoked } = stored
    const live = this.#live.get(credential.id)
    if (live !== undefined && revoked !== undefined) this.#end(live, { reason: 'revoked', ...revoked })
    else if (live === undefined && !this.#ended.has(credential.id)) {
      this.#load(stored)
      await this.#revokeBlocked(credential)
    }
  }

  async #revokeBlocked({ id, chain }: Credential): Promise<boolean> {
    return chain.some(this.#isBlocked) && (await this.revoke(id, 'block'))
  }

  #keep(live: Live): void {
    // Another part of this process may have heard of it first.
    if (this.#live.has(live.credential.id) || this.#ended.has(live.credential.id)) return
    this.#live.set(live.credential.id, live)
    this.#nextExpiry = Math.min(this.#nextExpiry, live.credential.expiresAt)
    const actor = identityKey(live.credential.chain[0])
    this.#minted.set(actor, (this.#minted.get(actor) ?? 0) + 1)
    for (const identity of live.credential.chain) {
      const key = identityKey(identity)
      const ids = this.#byIdentity.get(key)
      if (ids === undefined) this.#byIdentity.set(key, new Set([live.credential.id]))
      else ids.add(live.credential.id)
    }
  }

  /** Expired is expired at once, whether or not the sweep has come by. */
  #findLive(id: string): Live | undefined {
    const live = this.#live.get(brand<CredentialId>(id))
    return live !== undefined && live.credential.expiresAt > this.#clock.now() ? live : undefined
  }

  #expire(live: Live): void {
    this.#end(live, { reason: 'expired', at: live.credential.expiresAt })
  }

  #end(live: Live, ending: Ending): void {
    const { credential } = live
    this.#live.delete(credential.id)
    const actor = identityKey(credential.chain[0])
    const minted = this.#minted.get(actor) ?? 0
    if (minted > 1) this.#minted.set(actor, minted - 1)
    else this.#minted.delete(actor)
    for (const identity of credential.chain) {
      const key = identityKey(identity)
      const ids = this.#byIdentity.get(key)
      ids?.delete(credential.id)
      if (ids?.size === 0) this.#byIdentity.delete(key)
    }
    this.#remember({ ...live, ending })
    for (const listener of this.#listeners) {
      try {
        listener(credential, ending)
      } catch (error) {
        // One listener's fault must not keep another session open.
        this.#report(error)
      }
    }
  }

  #remember(ended: Ended): void {
    if (this.#ended.size >= LIMITS.credentialsMax) {
      const oldest = this.#ended.keys().next()
      if (!oldest.done) this.#ended.delete(oldest.value)
    }
    this.#ended.set(ended.credential.id, ended)
  }

  /** Looks at the wall clock every second: a timer of the whole life would stand still while the machine sleeps. */
  #arm(): void {
    this.#timer = this.#clock.after(SWEEP_MS, () => {
      this.#sweep()
      this.#arm()
    })
  }

  #sweep(): void {
    const now = this.#clock.now()
    if (now >= this.#nextExpiry) {
      let next = Number.POSITIVE_INFINITY
      for (const live of this.#live.values()) {
        if (live.credential.expiresAt <= now) this.#expire(live)
        else next = Math.min(next, live.credential.expiresAt)
      }
      this.#nextExpiry = next
    }
    for (const [id, revocation] of this.#unwritten) {
      this.#writeRevocation(id, revocation).catch(this.#report)
    }
    if (now >= this.#nextCleaning) this.#clean(now)
  }

  #clean(now: number): void {
    this.#nextCleaning = now + DAY_MS
    for (const [id, ended] of this.#ended) if (ended.ending.at < now - DAY_MS) this.#ended.delete(id)
    this.#store.forget(now - KEEP_ENDED_MS).catch(this.#report)
  }
}

function sha256(text: string): Uint8Array {
  return Buffer.from(hash('sha256', text, 'binary'), 'binary')
}

function refusal(reason: string, message: string, remedy?: string): GatewayError {
  return new GatewayError('unauthenticated', message, {
    facts: { reason },
    ...(remedy === undefined ? {} : { remedy }),
  })
}

function blockedRefusal(blocked: Identity | undefined): GatewayError {
  const who = blocked === undefined ? 'An identity of this chain' : identityKey(blocked)
  return new GatewayError('denied', `${who} was blocked here.`, {
    remedy: 'An administrator can lift the block.',
  })
}

function endedRefusal(ending: Ending): GatewayError {
  const at = new Date(ending.at).toISOString()
  return refusal(
    ending.reason,
    ending.reason === 'expired'
      ? `This credential expired at ${at}.`
      : `This credential was revoked at ${at}.`,
    'Get a new one where you got this one.',
  )
}
