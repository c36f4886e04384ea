import type { Hash, TreeHasher } from './hasher.ts'
import { foldSubtrees, fullSubtrees, isTreeSize } from './subtrees.ts'

/** Is told of every full subtree that an entry completed, from its leaf (height 0) upwards. */
export type OnSubtree = (height: number, hash: Hash) => void

/**
 * A tree that only grows, kept as the hashes of its full subtrees: at most 53, whatever its size. Appending costs two
 * hashes on average, the root at most 52.
 */
export class CompactRange {
  readonly #hasher: TreeHasher
  /** From the left; their heights are the bits of the size that are set. */
  readonly #subtrees: Hash[]
  #size: number

  /** Empty, or a tree of `size` with the hashes that `fullSubtrees` of it names. */
  constructor(hasher: TreeHasher, size = 0, subtrees: readonly Hash[] = []) {
    if (!isTreeSize(size) || fullSubtrees({ start: 0, end: size }).length !== subtrees.length)
      throw new Error('these are not the subtrees of a tree of this size')
    this.#hasher = hasher
    this.#size = size
    this.#subtrees = [...subtrees]
  }

  get size(): number {
    return this.#size
  }

  append(leaf: Hash, onSubtree?: OnSubtree): void {
    onSubtree?.(0, leaf)
    let hash = leaf
    let height = 0
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      const left = this.#subtrees.pop()
      if (left === undefined) throw new Error('a compact range has lost a subtree')
      hash = this.#hasher.node(left, hash)
      height += 1
      onSubtree?.(height, hash)
    }
    this.#subtrees.push(hash)
    this.#size += 1
  }

  /** The root of the tree as it is now. RFC 6962 section 2.1. */
  root(): Hash {
    return foldSubtrees(this.#hasher, this.#subtrees)
  }

  /** The same tree, to be grown apart from this one. */
  copy(): CompactRange {
    return new CompactRange(this.#hasher, this.#size, this.#subtrees)
  }
}
