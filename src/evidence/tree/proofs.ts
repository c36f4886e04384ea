import { HASH_BYTES, type Hash, sameBytes, type TreeHasher } from './hasher.ts'
import { isTreeSize, type Range, splitOf } from './subtrees.ts'

/** The ranges whose hashes prove that an entry is in a tree, in the order of the proof. RFC 6962 section 2.1.1. */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size)
    throw new Error(`no entry ${index} in a tree of ${size}`)
  const found: Range[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    if (index < middle) {
      found.push({ start: middle, end })
      end = middle
    } else {
      found.push({ start, end: middle })
      start = middle
    }
  }
  return found.reverse()
}

/**
 * The ranges whose hashes prove that a tree of `size` begins with the tree of `oldSize`, in the order of the proof:
 * none where that needs no proof. RFC 6962 section 2.1.2.
 */
export function consistencyRanges(oldSize: number, size: number): Range[] {
  if (!isTreeSize(size) || !isTreeSize(oldSize) || oldSize > size)
    throw new Error(`a tree of ${size} does not begin with one of ${oldSize}`)
  if (oldSize === 0 || oldSize === size) return []
  const found: Range[] = []
  let [start, end] = [0, size]
  while (end !== oldSize) {
    const middle = start + splitOf(end - start)
    if (oldSize <= middle) {
      found.push({ start: middle, end })
      end = middle
    } else {
      found.push({ start, end: middle })
      start = middle
    }
  }
  // The old tree as a whole is known to whoever asks.
  if (start > 0) found.push({ start, end })
  return found.reverse()
}

export type Inclusion = {
  /** Of the entry, from 0. */
  readonly index: number
  readonly size: number
  readonly leaf: Hash
  readonly root: Hash
  readonly proof: readonly Hash[]
}

/** Whether the proof shows that the leaf is in the tree, at that place. RFC 9162 section 2.1.3.2. */
export function verifyInclusion(hasher: TreeHasher, claim: Inclusion): boolean {
  const { index, size, leaf, root, proof } = claim
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size) return false
  if (leaf.length !== HASH_BYTES || !areHashes(proof)) return false
  let [at, last] = [index, size - 1]
  let hash = leaf
  for (const other of proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      hash = hasher.node(other, hash)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, half(last)]
    } else hash = hasher.node(hash, other)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && sameBytes(hash, root)
}

export type Consistency = {
  readonly oldSize: number
  readonly size: number
  readonly oldRoot: Hash
  readonly root: Hash
  readonly proof: readonly Hash[]
}

/**
 * Whether the proof shows that the tree begins with the older one. Everything begins with the empty tree, whose proof is
 * empty, as is that of a tree with itself. RFC 9162 section 2.1.4.2.
 */
export function verifyConsistency(hasher: TreeHasher, claim: Consistency): boolean {
  const { oldSize, size, oldRoot, root, proof } = claim
  if (!isTreeSize(size) || !isTreeSize(oldSize) || oldSize > size || !areHashes(proof)) return false
  if (oldSize === size) return proof.length === 0 && sameBytes(oldRoot, root)
  if (oldSize === 0) return proof.length === 0 && sameBytes(oldRoot, hasher.empty)
  let [at, last] = [oldSize - 1, size - 1]
  while (at % 2 === 1) [at, last] = [half(at), half(last)]
  // An old tree that is full is a node of the new one: then its root begins the proof, and is left out of it.
  const [first, ...rest] = at === 0 ? [oldRoot, ...proof] : proof
  if (first === undefined) return false
  let [old, now] = [first, first]
  for (const other of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      old = hasher.node(other, old)
      now = hasher.node(other, now)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, half(last)]
    } else now = hasher.node(now, other)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && sameBytes(old, oldRoot) && sameBytes(now, root)
}

function areHashes(proof: readonly Uint8Array[]): boolean {
  return proof.every((each) => each.length === HASH_BYTES)
}

/** Not a shift: those work on 32 bits. */
function half(value: number): number {
  return Math.floor(value / 2)
}
