import type { ConnectionName, Credential, Identity, IdentityChain } from '../core/index.ts'
import { GatewayError, identityKey, LIMITS } from '../core/index.ts'
import type { Credentials, Minted } from './credentials.ts'
import { tokenRefusal } from './refusal.ts'
import type { TokenVerifier, VerifiedToken } from './tokens.ts'

/** RFC 8693 section 2.1 without its HTTP: tokens in, what is wanted for them. */
export type ExchangeRequest = {
  /** For whom: an access token. */
  readonly subjectToken: string
  /** Who acts for that subject, when it is somebody else: an access token as well. */
  readonly actorToken?: string
  readonly use: Credential['use']
  readonly connection: ConnectionName
  readonly database?: string
  /** Milliseconds; absent: `LIMITS.credentialTtlMs`. It may outlive the tokens, which only begin it. */
  readonly ttlMs?: number
}

export type TokenExchangeOptions = {
  readonly verifier: Pick<TokenVerifier, 'verify'>
  readonly credentials: Credentials
  /** Whether there is such a connection. What the chain may do on it is policy's to say, for every command. */
  readonly knows: (connection: ConnectionName) => boolean
  /**
   * Whether this actor may act for this subject, asked when two tokens are joined into a chain. A subject's token
   * that names its actors itself (`may_act`) is asked in addition.
   */
  readonly mayAct: (actor: Identity, subject: Identity) => boolean
}

/** Turns tokens of an issuer into a short-lived credential for one connection. */
export class TokenExchange {
  readonly #options: TokenExchangeOptions

  constructor(options: TokenExchangeOptions) {
    this.#options = options
  }

  /**
   * Throws `unauthenticated` for a token that is not taken, `denied` when the actor must not act for the subject,
   * `connection_unknown`, `invalid` and `limit_exceeded` as minting does.
   */
  async exchange(request: ExchangeRequest): Promise<Minted> {
    const { verifier, credentials, knows } = this.#options
    const subject = await verifier.verify(request.subjectToken)
    const actor = request.actorToken === undefined ? undefined : await verifier.verify(request.actorToken)
    const chain = actor === undefined ? subject.chain : this.#join(actor, subject)
    if (!knows(request.connection)) {
      throw new GatewayError('connection_unknown', `There is no connection ${request.connection}.`, {
        retry: 'only-if-changed',
      })
    }
    return await credentials.mint({
      use: request.use,
      chain,
      connection: request.connection,
      ...(request.database === undefined ? {} : { database: request.database }),
      ttlMs: request.ttlMs ?? LIMITS.credentialTtlMs,
      mintedBy: 'token exchange',
    })
  }

  /** The actor's chain, then the subject's: whoever acts now comes first, for whom it all is comes last. */
  #join(actor: VerifiedToken, subject: VerifiedToken): IdentityChain {
    const acting = actor.chain[0]
    const actedFor = subject.chain[0]
    const { mayAct } = subject
    if (
      mayAct !== undefined &&
      (actor.subject !== mayAct.sub || (mayAct.iss ?? subject.issuer) !== actor.issuer)
    ) {
      throw refused(acting, actedFor, 'Its token names who may (`may_act`), and that is somebody else.')
    }
    if (!this.#options.mayAct(acting, actedFor)) {
      throw refused(acting, actedFor, 'Whoever runs the gateway can allow it in its configuration.')
    }
    if (actor.chain.length + subject.chain.length > LIMITS.chainMax) throw tokenRefusal('too_deep')
    return [acting, ...actor.chain.slice(1), ...subject.chain]
  }
}

function refused(actor: Identity, subject: Identity, remedy: string): GatewayError {
  return new GatewayError('denied', `${identityKey(actor)} may not act for ${identityKey(subject)}.`, {
    remedy,
  })
}
