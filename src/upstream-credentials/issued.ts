import type { Secret } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { BareRequest, CredentialPorts, UpstreamCredential, Worn } from './credential.ts'
import { withField } from './fixed.ts'
import type { Fresh } from './renewal.ts'
import { Renewal } from './renewal.ts'

/** A token, and the secrets it was got with: who knows those can get another. */
export type IssuedToken = { readonly token: Secret; readonly gotWith: readonly string[] }

type Issuer = {
  issue(): Promise<Fresh<IssuedToken>>
  /** Reads what it asks with, and asks nobody. */
  check(): Promise<void>
}

/** A token that an issuer gives for a time, shown as a bearer token. RFC 6750 section 2.1. */
export class IssuedCredential implements UpstreamCredential {
  readonly fields = ['authorization']
  readonly queryKeys: readonly string[] = []
  readonly #renewal: Renewal<IssuedToken>
  readonly #issuer: Issuer
  readonly #tokens = new WeakMap<Worn, IssuedToken>()
  /** Tokens that were given and have not ended: an upstream may still give back one that was replaced, and it is still good. */
  #living: readonly { readonly token: string; readonly endsAt: number }[] = []

  constructor(ports: CredentialPorts, issuer: Issuer) {
    this.#issuer = issuer
    this.#renewal = new Renewal(ports.clock, async () => {
      try {
        const issued = await issuer.issue()
        this.#remember(ports.clock.now(), issued)
        return issued
      } catch (error) {
        ports.report(error)
        throw error
      }
    })
  }

  async putOn(request: BareRequest): Promise<Worn> {
    const issued = await this.#renewal.current()
    const token = issued.token.reveal()
    const worn = {
      ...withField(request, 'authorization', `Bearer ${token}`),
      secrets: [...new Set([token, ...issued.gotWith, ...this.#living.map((each) => each.token)])],
    }
    this.#tokens.set(worn, issued)
    return worn
  }

  #remember(now: number, { value, lifeMs }: Fresh<IssuedToken>): void {
    const living = this.#living.filter(({ endsAt }) => endsAt > now)
    const fresh = { token: value.token.reveal(), endsAt: now + lifeMs }
    this.#living = [...living, fresh].slice(-LIMITS.upstreamTokensSearchedMax)
  }

  async refused(worn: Worn): Promise<boolean> {
    const issued = this.#tokens.get(worn)
    return issued !== undefined && (await this.#renewal.another(issued))
  }

  check(): Promise<void> {
    return this.#issuer.check()
  }
}
