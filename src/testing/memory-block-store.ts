import type { Block, BlockStore } from '../identity/index.ts'

/** The in-memory twin of the repository of blocked identities. */
export class MemoryBlockStore implements BlockStore {
  readonly #blocks = new Map<string, Block>()

  async all(): Promise<readonly Block[]> {
    return [...this.#blocks.values()].sort((a, b) => (a.identity < b.identity ? -1 : 1))
  }

  async add(block: Block): Promise<void> {
    if (!this.#blocks.has(block.identity)) this.#blocks.set(block.identity, block)
  }

  async remove(identity: string): Promise<void> {
    this.#blocks.delete(identity)
  }
}
