import type { RandomBytes } from '../core/index.ts'
import { GatewayError, Secret } from '../core/index.ts'
import type { SealedSecrets } from './sealed.ts'

/** Bytes of a new secret: as many as tokens of the gateway's own have. */
const SECRET_BYTES = 32

/** The part of the sealed store that has what is about to replace a secret. */
const PART = 'rotation'

/** An upstream that a sealed secret is for. */
export type Account = {
  takes(secret: Secret): Promise<boolean>
  replace(now: Secret, next: Secret): Promise<void>
}

/** `oldRefused` false: the upstream takes the old one, too, and so perhaps any. `resumed`: one that was cut short is finished with this. */
export type Rotated = { readonly oldRefused: boolean; readonly resumed: boolean }

/**
 * Replaces sealed secrets at their upstreams. The new one is sealed before the upstream learns of it, so that a gateway that is killed in
 * the middle has both; the next rotation finds out which of them is in force.
 */
export class SecretRotation {
  readonly #sealed: SealedSecrets
  readonly #random: RandomBytes
  readonly #underWay = new Set<string>()

  constructor(sealed: SealedSecrets, random: RandomBytes) {
    this.#sealed = sealed
    this.#random = random
  }

  /** Throws GatewayError: `not_found`, `conflict` while the same is being rotated, and as `account` does, with the old one in force. */
  async rotate(name: string, account: Account, by: string): Promise<Rotated> {
    if (this.#underWay.has(name)) {
      throw new GatewayError('conflict', 'This secret is being replaced at the moment.', { retry: 'later' })
    }
    this.#underWay.add(name)
    try {
      return await this.#rotate(name, account, by)
    } finally {
      this.#underWay.delete(name)
    }
  }

  async #rotate(name: string, account: Account, by: string): Promise<Rotated> {
    const pending = this.#sealed.vault(PART)
    const now = this.#sealed.get(name)
    if (now === undefined) {
      throw new GatewayError('not_found', 'There is no such secret in the store.', {
        remedy: `Set it: sluice secrets set ${name}`,
      })
    }
    const begun = pending.get(name)
    const resumed = begun !== undefined && !(await account.takes(now)) && (await account.takes(begun))
    const next = resumed ? begun : new Secret(Buffer.from(this.#random(SECRET_BYTES)).toString('base64url'))
    if (!resumed) {
      await pending.set(name, next)
      await account.replace(now, next)
    }
    await this.#sealed.set(name, next, by)
    await pending.remove(name)
    return { oldRefused: !(await account.takes(now)), resumed }
  }
}
