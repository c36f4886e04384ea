import type { Clock, Identity } from '../core/index.ts'
import { identityKey } from '../core/index.ts'
import type { Block, BlockStore } from './port.ts'

export type IdentityBlocksOptions = {
  readonly store: BlockStore
  readonly clock: Clock
  /** Ends every credential in whose chain the identity stands. */
  readonly end: (identity: string, by: string) => Promise<unknown>
}

/**
 * Identities that get nothing more here, although their issuer still vouches for them: for when an agent has gone
 * astray and the issuer is somebody else's. Answered from memory.
 */
export class IdentityBlocks {
  readonly #options: IdentityBlocksOptions
  readonly #blocks = new Map<string, Block>()

  private constructor(options: IdentityBlocksOptions) {
    this.#options = options
  }

  static async open(options: IdentityBlocksOptions): Promise<IdentityBlocks> {
    const blocks = new IdentityBlocks(options)
    for (const block of await options.store.all()) blocks.#blocks.set(block.identity, block)
    return blocks
  }

  isBlocked(identity: Identity): boolean {
    return this.#blocks.size > 0 && this.#blocks.has(identityKey(identity))
  }

  list(): readonly Block[] {
    return [...this.#blocks.values()]
  }

  /**
   * Blocks an identity (`identityKey`) and ends what it holds, from this moment, even when writing that down fails
   * (then this throws).
   */
  async block(identity: string, by: string): Promise<void> {
    const block = this.#blocks.get(identity) ?? { identity, by, at: this.#options.clock.now() }
    this.#blocks.set(identity, block)
    const ended = this.#options.end(identity, by)
    await Promise.all([ended, this.#options.store.add(block)])
  }

  /** Lifts a block. What was ended stays ended. */
  async unblock(identity: string): Promise<void> {
    await this.#options.store.remove(identity)
    this.#blocks.delete(identity)
  }
}
