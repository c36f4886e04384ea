import { LIMITS } from '../../core/index.ts'
import { malformed } from '../note/text.ts'
import { HASH_BYTES, type Hash } from '../tree/hasher.ts'

/** What lies where in a log. https://c2sp.org/tlog-tiles; `docs/formats/log.md` is this in words. */

/** Hashes in a full tile, and entries in a full bundle. */
export const TILE_WIDTH = 256
/** Levels of the tree that one level of tiles spans. */
export const TILE_HEIGHT = 8

export const CHECKPOINT_PATH = 'checkpoint'
/** The newest checkpoint that had the cosignatures which the gateway wants. Not of C2SP. */
export const COSIGNED_PATH = 'checkpoint.cosigned'
/** The entries that are being appended. Not of C2SP. */
export const STAGED_PATH = 'staged'

export const TILE_BYTES_MAX = TILE_WIDTH * HASH_BYTES
export const BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + LIMITS.logEntryBytesMax)

/** Where the tile `index` of a level lies, from its first hash to the `width`th: all 256, or a part of it. */
export function tilePath(level: number, index: number, width: number = TILE_WIDTH): string {
  return `tile/${level}/${numbered(index)}${partOf(width)}`
}

/** Where the entries of the tile `index` of level 0 lie. */
export function bundlePath(index: number, width: number = TILE_WIDTH): string {
  return `tile/entries/${numbered(index)}${partOf(width)}`
}

/** Below which the parts of a tile or bundle lie, that are not needed any more once it is full. */
export function partsBelow(path: string): string {
  return `${path}.p/`
}

/** 1234067 as `x001/x234/067`. */
function numbered(index: number): string {
  if (!Number.isSafeInteger(index) || index < 0) throw new Error('a tile has a whole number')
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? []
  return groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/')
}

function partOf(width: number): string {
  if (!Number.isSafeInteger(width) || width < 1 || width > TILE_WIDTH)
    throw new Error('a tile holds 1 to 256 hashes')
  return width === TILE_WIDTH ? '' : `.p/${width}`
}

export function encodeTile(hashes: readonly Hash[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES)
  hashes.forEach((hash, at) => bytes.set(hash, at * HASH_BYTES))
  return bytes
}

/** The first `width` hashes of a tile. Throws `invalid` when it has not as many. */
export function decodeTile(bytes: Uint8Array, width: number): Hash[] {
  if (bytes.length % HASH_BYTES !== 0 || bytes.length < width * HASH_BYTES)
    throw malformed('A tile of the log is cut off')
  return Array.from({ length: width }, (_, at) => bytes.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES))
}

/** Entries one behind the other, each with its length before it: 2 bytes, most significant first. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + 2 + entry.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const entry of entries) {
    if (entry.length > LIMITS.logEntryBytesMax) throw new Error('an entry has at most 65,535 bytes')
    view.setUint16(at, entry.length)
    bytes.set(entry, at + 2)
    at += 2 + entry.length
  }
  return bytes
}

/** All entries of a bundle, which must end where the last one does. Throws `invalid`. */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 > bytes.length ? Number.POSITIVE_INFINITY : at + 2 + view.getUint16(at)
    if (end > bytes.length) throw malformed('A bundle of entries of the log is cut off')
    entries.push(bytes.slice(at + 2, end))
    at = end
  }
  return entries
}
