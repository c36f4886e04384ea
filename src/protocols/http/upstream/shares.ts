import type { IdentityChain } from '../../../core/index.ts'
import { GatewayError, identityKey, LIMITS } from '../../../core/index.ts'
import { BUSY } from '../errors.ts'

/** Requests on their way to one upstream, by who they are for: nobody has all of its connections. */
export class Shares {
  readonly #active = new Map<string, number>()

  /** Counts one until what this gives is called. Throws GatewayError `limit_exceeded` with `LIMITS.httpRequestsPerIdentityMax` of them. */
  enter(chain: IdentityChain): () => void {
    const key = chain.map(identityKey).join(' ')
    const before = this.#active.get(key) ?? 0
    if (before >= LIMITS.httpRequestsPerIdentityMax) throw tooMany()
    this.#active.set(key, before + 1)
    return () => {
      const left = (this.#active.get(key) ?? 1) - 1
      if (left === 0) this.#active.delete(key)
      else this.#active.set(key, left)
    }
  }
}

function tooMany(): GatewayError {
  return new GatewayError('limit_exceeded', 'Wait for answers: too many of your requests are on their way.', {
    remedy: `At most ${LIMITS.httpRequestsPerIdentityMax} of one identity are, on each connection.`,
    retry: 'later',
    facts: { reason: BUSY },
  })
}
