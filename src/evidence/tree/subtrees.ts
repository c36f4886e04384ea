import type { Hash, TreeHasher } from './hasher.ts'

/** The entries from `start` up to, but not including, `end`. */
export type Range = { readonly start: number; readonly end: number }

/** A full subtree: `2 ** height` entries, the first of which is `index * 2 ** height`. */
export type Subtree = { readonly height: number; readonly index: number }

/** Trees are counted in whole numbers that stay exact: 2^53 entries are three hundred years of a million a second. */
export function isTreeSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0
}

/**
 * The full subtrees that a range of RFC 6962 consists of, from the left, each smaller than the one before. Ranges that
 * the recursions of section 2.1 come to begin at a multiple of the power of two that holds them: others have no hash.
 */
export function fullSubtrees({ start, end }: Range): Subtree[] {
  const found: Subtree[] = []
  let at = start
  let height = heightBelow(end - start)
  for (let count = 2 ** height; at < end; height -= 1, count /= 2) {
    if (at + count > end) continue
    if (at % count !== 0) throw new Error(`the range ${start} to ${end} is none of a Merkle tree`)
    found.push({ height, index: at / count })
    at += count
  }
  return found
}

/** The hash of a range from the hashes of its full subtrees, left to right: the tree leans to the left. */
export function foldSubtrees(hasher: TreeHasher, hashes: readonly Hash[]): Hash {
  const last = hashes.at(-1)
  if (last === undefined) return hasher.empty
  let folded = last
  for (let i = hashes.length - 2; i >= 0; i--) {
    const left = hashes[i]
    if (left !== undefined) folded = hasher.node(left, folded)
  }
  return folded
}

/** The largest power of two smaller than `count`, which is at least 2: where a tree of so many leaves is split. */
export function splitOf(count: number): number {
  const half = 2 ** heightBelow(count)
  return half === count ? half / 2 : half
}

/** The height of the largest full subtree in `count` leaves: floor(log2), without the rounding of Math.log2. */
function heightBelow(count: number): number {
  let height = 0
  for (let full = 2; full <= count; full *= 2) height += 1
  return height
}
