import { createHash } from 'node:crypto'
import type { LoginProof } from '../approvals/index.ts'
import type { Clock } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'

/**
 * Which tokens come from a fresh login. A token says who somebody is for an hour; that the person has just typed a code
 * is known only here, for five minutes, and is gone when the gateway stops. Bounded; the oldest go.
 */
export class FreshLogins {
  readonly #clock: Clock
  /** By the hash of the token: what stands in memory is no token. */
  readonly #proofs = new Map<string, LoginProof>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  keep(token: string, proof: LoginProof): void {
    for (const [key, { at }] of this.#proofs) {
      if (this.#proofs.size < LIMITS.loginsFreshMax && this.#clock.now() - at <= LIMITS.loginFreshMs) break
      this.#proofs.delete(key)
    }
    this.#proofs.set(hashOf(token), proof)
  }

  /** The login that this token came from, as long as it is fresh. */
  of(token: string): LoginProof | undefined {
    const proof = this.#proofs.get(hashOf(token))
    if (proof === undefined || this.#clock.now() - proof.at > LIMITS.loginFreshMs) return undefined
    return proof
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
