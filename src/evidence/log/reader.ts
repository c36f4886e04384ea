import { GatewayError } from '../../core/index.ts'
import { CompactRange } from '../tree/compact-range.ts'
import type { Hash, TreeHasher } from '../tree/hasher.ts'
import { consistencyRanges, inclusionRanges } from '../tree/proofs.ts'
import { foldSubtrees, fullSubtrees, isTreeSize, type Range, type Subtree } from '../tree/subtrees.ts'
import {
  BUNDLE_BYTES_MAX,
  bundlePath,
  decodeBundle,
  decodeTile,
  TILE_BYTES_MAX,
  TILE_HEIGHT,
  TILE_WIDTH,
  tilePath,
} from './layout.ts'
import type { LogStorage } from './storage.ts'

/** What reading needs of a storage; a client that fetches over HTTP has no more. */
export type LogSource = Pick<LogStorage, 'read'>

/** Tiles kept between two reads: a path through a tree of 2^53 touches 7 of them. */
const TILES_KEPT = 64

/**
 * Reads a log at one size from its tiles, and makes proofs. What it gives is what the tiles say: hold `root` against a
 * signed checkpoint, or a proof against its root, before believing it. Throws `not_found` where a tile that a log of
 * this size must have is missing, and `invalid` where one is damaged.
 */
export class LogReader {
  readonly size: number
  readonly #source: LogSource
  readonly #hasher: TreeHasher
  readonly #tiles = new Map<string, readonly Hash[]>()

  constructor(source: LogSource, hasher: TreeHasher, size: number) {
    if (!isTreeSize(size)) throw new Error('a log has a whole number of entries')
    this.size = size
    this.#source = source
    this.#hasher = hasher
  }

  async root(): Promise<Hash> {
    return this.#rangeHash({ start: 0, end: this.size })
  }

  /** The whole tree, to go on from. */
  async compactRange(): Promise<CompactRange> {
    const hashes = await this.#subtreeHashes(fullSubtrees({ start: 0, end: this.size }))
    return new CompactRange(this.#hasher, this.size, hashes)
  }

  /** Proves that the entry is in the log. RFC 6962 section 2.1.1. */
  async inclusionProof(index: number): Promise<Hash[]> {
    return this.#rangeHashes(inclusionRanges(index, this.size))
  }

  /** Proves that the log begins with what it was at `oldSize`. RFC 6962 section 2.1.2. */
  async consistencyProof(oldSize: number): Promise<Hash[]> {
    return this.#rangeHashes(consistencyRanges(oldSize, this.size))
  }

  /** The hashes of the last tile of a level that is not full; none where it is. */
  async lastHashes(level: number): Promise<readonly Hash[]> {
    const count = Math.floor(this.size / TILE_WIDTH ** level)
    return count % TILE_WIDTH === 0 ? [] : this.#tile(level, Math.floor(count / TILE_WIDTH))
  }

  /** The entries of the bundle `index`, from its first one; as many as a log of this size has in it. */
  async entries(index: number): Promise<Uint8Array[]> {
    const width = this.#width(0, index)
    if (width === 0) return []
    const bytes = await this.#read((each) => bundlePath(index, each), width, BUNDLE_BYTES_MAX)
    const entries = decodeBundle(bytes)
    if (entries.length < width) throw missing(bundlePath(index, width))
    return entries.slice(0, width)
  }

  /** One entry. */
  async entry(index: number): Promise<Uint8Array> {
    const entry = (await this.entries(Math.floor(index / TILE_WIDTH)))[index % TILE_WIDTH]
    if (entry === undefined) throw new Error(`no entry ${index} in a log of ${this.size}`)
    return entry
  }

  async #rangeHashes(ranges: readonly Range[]): Promise<Hash[]> {
    const hashes: Hash[] = []
    for (const range of ranges) hashes.push(await this.#rangeHash(range))
    return hashes
  }

  async #rangeHash(range: Range): Promise<Hash> {
    return foldSubtrees(this.#hasher, await this.#subtreeHashes(fullSubtrees(range)))
  }

  async #subtreeHashes(subtrees: readonly Subtree[]): Promise<Hash[]> {
    const hashes: Hash[] = []
    for (const subtree of subtrees) hashes.push(await this.#subtreeHash(subtree))
    return hashes
  }

  /** From the one tile that spans the subtree. */
  async #subtreeHash({ height, index }: Subtree): Promise<Hash> {
    const level = Math.floor(height / TILE_HEIGHT)
    const count = 2 ** (height % TILE_HEIGHT)
    const first = index * count
    const tile = await this.#tile(level, Math.floor(first / TILE_WIDTH))
    const range = new CompactRange(this.#hasher)
    for (const hash of tile.slice(first % TILE_WIDTH, (first % TILE_WIDTH) + count)) range.append(hash)
    if (range.size !== count) throw new Error('a subtree lies in one tile')
    return range.root()
  }

  async #tile(level: number, index: number): Promise<readonly Hash[]> {
    const width = this.#width(level, index)
    const path = tilePath(level, index, width)
    let tile = this.#tiles.get(path)
    if (tile === undefined) {
      const bytes = await this.#read((each) => tilePath(level, index, each), width, TILE_BYTES_MAX)
      tile = decodeTile(bytes, width)
      const [oldest] = this.#tiles.keys()
      if (this.#tiles.size >= TILES_KEPT && oldest !== undefined) this.#tiles.delete(oldest)
      this.#tiles.set(path, tile)
    }
    return tile
  }

  /** A part of a tile may be gone once the whole is there, which begins with it. */
  async #read(path: (width: number) => string, width: number, bytesMax: number): Promise<Uint8Array> {
    const bytes = (await this.#source.read(path(width), bytesMax)) ?? undefined
    if (bytes !== undefined) return bytes
    const whole = width < TILE_WIDTH ? await this.#source.read(path(TILE_WIDTH), bytesMax) : undefined
    if (whole === undefined) throw missing(path(width))
    return whole
  }

  #width(level: number, index: number): number {
    const count = Math.floor(this.size / TILE_WIDTH ** level)
    return Math.max(0, Math.min(TILE_WIDTH, count - index * TILE_WIDTH))
  }
}

function missing(path: string): GatewayError {
  return new GatewayError('not_found', `The log has no ${path}, which a log of this size must have.`, {
    remedy: 'It is incomplete: bring it back from a copy; what depends on this part is not proved.',
  })
}
