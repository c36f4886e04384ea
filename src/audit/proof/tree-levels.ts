import type { Hash, TreeHasher } from '../../evidence/tree/hasher.ts'
import { inclusionRanges } from '../../evidence/tree/proofs.ts'
import { foldSubtrees, fullSubtrees } from '../../evidence/tree/subtrees.ts'

/** A tree in memory, all full subtrees of it, to make proofs of many leaves. RFC 6962 section 2.1.1. */
export class TreeLevels {
  readonly #hasher: TreeHasher
  /** By height, from the leaves up. */
  readonly #levels: (readonly Hash[])[]

  constructor(hasher: TreeHasher, leaves: readonly Hash[]) {
    this.#hasher = hasher
    this.#levels = [leaves]
    for (let below = leaves; below.length > 1; ) {
      const above: Hash[] = []
      for (let at = 0; at + 1 < below.length; at += 2) {
        const [left, right] = [below[at], below[at + 1]]
        if (left !== undefined && right !== undefined) above.push(hasher.node(left, right))
      }
      this.#levels.push(above)
      below = above
    }
  }

  proof(index: number): Hash[] {
    return inclusionRanges(index, this.#levels[0]?.length ?? 0).map((range) =>
      foldSubtrees(
        this.#hasher,
        fullSubtrees(range).map(({ height, index: at }) => {
          const hash = this.#levels[height]?.[at]
          if (hash === undefined) throw new Error('a subtree is none of this tree')
          return hash
        }),
      ),
    )
  }
}
