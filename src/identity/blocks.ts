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
  /** Blocks that are not known to be in the store. */
  readonly #unwritten = new Set<string>()

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
    this.#unwritten.add(identity)
    const ended = this.#options.end(identity, by)
    await Promise.all([ended, this.#write(block)])
  }

  /** Lifts a block. What was ended stays ended. */
  async unblock(identity: string): Promise<void> {
    await this.#options.store.remove(identity)
    this.#unwritten.delete(identity)
    this.#blocks.delete(identity)
  }

  /**
   * Takes over what other nodes have blocked, which ends what it holds here as well, and lifted. A block that could not be
   * written is written now, and stays.
   */
  async refresh(): Promise<void> {
    for (const identity of this.#unwritten) {
      const block = this.#blocks.get(identity)
      if (block !== undefined) await this.#write(block)
    }
    const stored = await this.#options.store.all()
    const there = new Set(stored.map(({ identity }) => identity))
    for (const identity of this.#blocks.keys())
      if (!there.has(identity) && !this.#unwritten.has(identity)) this.#blocks.delete(identity)
    for (const block of stored) {
      const isNew = !this.#blocks.has(block.identity)
      this.#blocks.set(block.identity, block)
      if (isNew) await this.#options.end(block.identity, block.by)
    }
  }

  async #write(block: Block): Promise<void> {
    await this.#options.store.add(block)
    this.#unwritten.delete(block.identity)
  }
}
