/** A SHA-256 hash, 32 bytes. */
export type Hash = Uint8Array

/** SHA-256 as a port (FIPS 180-4), of parts one behind the other. Synchronous, since it runs once per frame. */
export type Sha256 = (...parts: readonly Uint8Array[]) => Hash

/** The hashes of a Merkle tree. RFC 6962 section 2.1. */
export type TreeHasher = {
  /** The root of a tree without leaves. */
  readonly empty: Hash
  leaf(entry: Uint8Array): Hash
  node(left: Hash, right: Hash): Hash
}

export const HASH_BYTES = 32

/** What sets a leaf apart from a node: an entry of 64 bytes must not pass for two hashes. RFC 6962 section 2.1. */
const LEAF = Uint8Array.of(0x00)
const NODE = 0x01

export function treeHasher(sha256: Sha256): TreeHasher {
  const pair = new Uint8Array(1 + 2 * HASH_BYTES)
  pair[0] = NODE
  return {
    empty: sha256(),
    leaf: (entry) => sha256(LEAF, entry),
    node(left, right) {
      if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new Error('a hash has 32 bytes')
      pair.set(left, 1)
      pair.set(right, 1 + HASH_BYTES)
      return sha256(pair)
    },
  }
}

/** Not in constant time: hashes of a public tree are no secret. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
