import { HASH_BYTES, type Hash } from '../../evidence/tree/hasher.ts'
import type { Primitives } from './ports.ts'

/** Full subtrees of a tree of less than 2^53 leaves, and one that is being merged. */
const DEPTH_MAX = 54
const NODE = 0x01

/**
 * The root of a run of frames (RFC 6962 section 2.1), as `CompactRange` computes it, in memory that is used again: this
 * runs once for each frame that was ever recorded.
 */
export class SegmentTree {
  readonly #sha256Into: Primitives['sha256Into']
  /** Hashes of the full subtrees, from the left. */
  readonly #stack = new Uint8Array(DEPTH_MAX * HASH_BYTES)
  /** By depth: the two topmost hashes of a stack so deep. Made when they are needed, since most trees are low. */
  readonly #pairs: Uint8Array[] = []
  readonly #node = new Uint8Array(1 + 2 * HASH_BYTES)
  #depth = 0
  #size = 0

  constructor({ sha256Into }: Pick<Primitives, 'sha256Into'>) {
    this.#sha256Into = sha256Into
    this.#node[0] = NODE
  }

  /** `leafInput`: the zero byte and the entry, as they are hashed. */
  append(leafInput: Uint8Array): void {
    this.#sha256Into(leafInput, this.#stack, this.#depth * HASH_BYTES)
    this.#depth += 1
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) this.#merge()
    this.#size += 1
  }

  /** Of what was appended, one leaf at least. Nothing can be appended behind it. */
  root(): Hash {
    while (this.#depth > 1) this.#merge()
    return this.#stack.slice(0, HASH_BYTES)
  }

  clear(): void {
    this.#depth = 0
    this.#size = 0
  }

  /** The two topmost become their node. */
  #merge(): void {
    const pair = (this.#pairs[this.#depth] ??= this.#stack.subarray(
      (this.#depth - 2) * HASH_BYTES,
      this.#depth * HASH_BYTES,
    ))
    this.#node.set(pair, 1)
    this.#depth -= 1
    this.#sha256Into(this.#node, this.#stack, (this.#depth - 1) * HASH_BYTES)
  }
}
