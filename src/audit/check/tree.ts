import { isGatewayError } from '../../core/index.ts'
import {
  BUNDLE_BYTES_MAX,
  bundlePath,
  decodeBundle,
  decodeTile,
  TILE_BYTES_MAX,
  TILE_WIDTH,
  tilePath,
} from '../../evidence/log/layout.ts'
import { LogReader, type LogSource } from '../../evidence/log/reader.ts'
import { malformed } from '../../evidence/note/text.ts'
import { CompactRange } from '../../evidence/tree/compact-range.ts'
import { HASH_BYTES, type Hash, sameBytes, type TreeHasher } from '../../evidence/tree/hasher.ts'
import type { Failures } from './failures.ts'
import { LOG_PREFIX } from './pieces.ts'

/** The entries of one bundle; what could not be read, or is not what was signed, is undefined. */
export type CheckedBundle = {
  readonly path: string
  /** Number of its first entry. */
  readonly first: number
  readonly entries: readonly (Uint8Array | undefined)[]
}

/** `sound`: the hashes are those that the tree above asks for, up to the root that was signed. */
type Tile = { readonly path: string; readonly hashes: readonly Hash[]; readonly sound: boolean }

/** `width`: how many hashes or entries it has by its name. */
type Piece = { readonly bytes: Uint8Array; readonly width: number }

export type TreeCheckOptions = {
  readonly source: LogSource
  readonly hasher: TreeHasher
  readonly size: number
  /** What was signed. */
  readonly root: Hash
  readonly failures: Failures
}

/**
 * Reads a log from its first entry to its last, and holds each entry against its tile, each tile against the one above,
 * all of them against the root that was signed. Where one of two is wrong it says which. Memory: a tile of each level.
 */
export class TreeCheck {
  readonly #options: TreeCheckOptions
  readonly #tree: CompactRange
  /** The tile read last, by level. */
  readonly #tiles = new Map<number, { readonly index: number; readonly tile: Tile | undefined }>()
  #edgeSound = false
  /** Whether the bundle read last has more entries than its name says. */
  #isLonger = false

  constructor(options: TreeCheckOptions) {
    this.#options = options
    this.#tree = new CompactRange(options.hasher)
  }

  async *bundles(): AsyncGenerator<CheckedBundle> {
    const { size, root, failures } = this.#options
    this.#edgeSound = await this.#edgeComesToRoot()
    for (let index = 0; index * TILE_WIDTH < size; index++) {
      const bundle = await this.#bundle(index)
      // Neither a tile nor entries: what follows cannot be held against anything.
      if (bundle === undefined) return
      yield bundle
    }
    if (!sameBytes(this.#tree.root(), root))
      failures.add({
        code: 'root',
        path: `${LOG_PREFIX}checkpoint`,
        why: `the ${size} entries of the log do not come to the root that was signed`,
      })
  }

  async #bundle(index: number): Promise<CheckedBundle | undefined> {
    const { hasher, failures } = this.#options
    const path = `${LOG_PREFIX}${bundlePath(index, this.#width(0, index))}`
    const first = index * TILE_WIDTH
    const tile = await this.#tile(0, index)
    const entries = await this.#entries(index)
    const leaves = entries?.map((entry) => hasher.leaf(entry))
    const chosen = this.#chosen(tile, leaves, this.#width(0, index))
    if (chosen === undefined) return undefined
    const wrong = new Set<number>()
    chosen.forEach((hash, at) => {
      const leaf = leaves?.[at]
      if (leaves === undefined || (leaf !== undefined && sameBytes(leaf, hash))) return
      wrong.add(at)
      const why =
        leaf === undefined ? 'a bundle ends before this entry' : 'an entry is not the one that was signed'
      if (wrong.size === 1) failures.add({ code: 'entry', path, entry: first + at, why })
    })
    if (tile !== undefined && chosen === leaves && !sameHashes(tile.hashes, leaves))
      failures.add({ code: 'tile', path: tile.path, why: 'a tile has other hashes than its entries' })
    // Entries that agree with their tile, and both not with what is above: both were changed.
    else if (tile?.sound === false && this.#edgeSound && leaves !== undefined)
      failures.add({ code: 'entry', path, entry: first, why: 'entries are not those that were signed' })
    else if (wrong.size === 0 && entries !== undefined && this.#isLonger)
      failures.add({
        code: 'damaged',
        path,
        entry: first,
        why: 'a bundle has more entries than its name says',
      })
    for (const hash of chosen) this.#tree.append(hash)
    return { path, first, entries: chosen.map((_, at) => (wrong.has(at) ? undefined : entries?.[at])) }
  }

  /** The hashes to go on with: those of the entries, unless the tile is known to be right, or the likelier of the two. */
  #chosen(
    tile: Tile | undefined,
    leaves: readonly Hash[] | undefined,
    width: number,
  ): readonly Hash[] | undefined {
    if (tile === undefined || leaves?.length !== width) return tile?.hashes ?? leaves
    if (sameHashes(tile.hashes, leaves)) return leaves
    if (tile.sound) return tile.hashes
    if (width === TILE_WIDTH) return this.#isAskedForAbove(leaves) ? leaves : tile.hashes
    const tree = this.#tree.copy()
    for (const leaf of leaves) tree.append(leaf)
    return sameBytes(tree.root(), this.#options.root) ? leaves : tile.hashes
  }

  /** Whether the tile above a full one names the root of these leaves. */
  #isAskedForAbove(leaves: readonly Hash[]): boolean {
    const at = Math.floor(this.#tree.size / TILE_WIDTH)
    const parent = this.#tiles.get(1)?.tile?.hashes[at % TILE_WIDTH]
    return parent !== undefined && sameBytes(parent, this.#rootOf(leaves))
  }

  /** Fewer where the bundle ends too early. */
  async #entries(index: number): Promise<readonly Uint8Array[] | undefined> {
    const width = this.#width(0, index)
    const path = `${LOG_PREFIX}${bundlePath(index, width)}`
    const entry = index * TILE_WIDTH
    return this.#read(path, entry, async () => {
      const bytes = await this.#piece((each) => bundlePath(index, each), width, BUNDLE_BYTES_MAX)
      if (bytes === undefined) return undefined
      const entries = decodeBundle(bytes.bytes)
      this.#isLonger = entries.length > bytes.width
      return entries.slice(0, width)
    })
  }

  async #tile(level: number, index: number): Promise<Tile | undefined> {
    const kept = this.#tiles.get(level)
    if (kept?.index === index) return kept.tile
    const width = this.#width(level, index)
    const path = `${LOG_PREFIX}${tilePath(level, index, width)}`
    const hashes = await this.#read(path, undefined, async () => {
      const bytes = await this.#piece((each) => tilePath(level, index, each), width, TILE_BYTES_MAX)
      return bytes === undefined ? undefined : decodeTile(this.#exactTile(bytes), width)
    })
    const tile =
      hashes === undefined
        ? undefined
        : { path, hashes, sound: await this.#isSound(level, index, path, hashes) }
    this.#tiles.set(level, { index, tile })
    return tile
  }

  async #isSound(level: number, index: number, path: string, hashes: readonly Hash[]): Promise<boolean> {
    if (hashes.length < TILE_WIDTH) return this.#edgeSound
    const above = await this.#tile(level + 1, Math.floor(index / TILE_WIDTH))
    const said = above?.hashes[index % TILE_WIDTH]
    if (above === undefined || said === undefined) return false
    if (sameBytes(said, this.#rootOf(hashes))) return above.sound
    this.#options.failures.add({
      code: 'tile',
      path: above.sound ? path : above.path,
      why: above.sound
        ? 'a tile is not the one that the tree above it asks for'
        : 'a tile asks for another one below it than there is',
    })
    return false
  }

  /** Whether the last tiles of all levels come to the root that was signed: then each tile below can be held against it. */
  async #edgeComesToRoot(): Promise<boolean> {
    const { source, hasher, size, root } = this.#options
    try {
      return sameBytes(await new LogReader(source, hasher, size).root(), root)
    } catch (error) {
      if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
      return false
    }
  }

  async #piece(path: (width: number) => string, width: number, bytesMax: number): Promise<Piece | undefined> {
    const { source } = this.#options
    // A part may be gone once the whole is there, which begins with it.
    for (const each of width === TILE_WIDTH ? [width] : [width, TILE_WIDTH]) {
      const bytes = await source.read(path(each), bytesMax)
      if (bytes !== undefined) return { bytes, width: each }
    }
    return undefined
  }

  /** Not more hashes than its name says. */
  #exactTile({ bytes, width }: Piece): Uint8Array {
    if (bytes.length > width * HASH_BYTES)
      throw malformed('A tile of the log has more hashes than its name says')
    return bytes
  }

  /** What is not there, or not of its form, is a failure; what cannot be reached is nobody's. */
  async #read<T>(
    path: string,
    entry: number | undefined,
    work: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { failures } = this.#options
    const place = { path, ...(entry === undefined ? {} : { entry }) }
    try {
      const found = await work()
      if (found !== undefined) return found
      failures.add({ code: 'missing', ...place, why: 'a log of this size must have it' })
    } catch (error) {
      if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
      failures.add({ code: 'damaged', ...place, why: error.message })
    }
    return undefined
  }

  #width(level: number, index: number): number {
    return Math.min(TILE_WIDTH, Math.floor(this.#options.size / TILE_WIDTH ** level) - index * TILE_WIDTH)
  }

  #rootOf(hashes: readonly Hash[]): Hash {
    const range = new CompactRange(this.#options.hasher)
    for (const hash of hashes) range.append(hash)
    return range.root()
  }
}

function sameHashes(a: readonly Hash[], b: readonly Hash[]): boolean {
  return a.length === b.length && a.every((hash, at) => b[at] !== undefined && sameBytes(hash, b[at]))
}
