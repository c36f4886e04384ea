import { LIMITS } from '../../core/index.ts'
import { malformed } from '../note/text.ts'
import { HASH_BYTES, sameBytes, type Sha256 } from '../tree/hasher.ts'
import { isTreeSize } from '../tree/subtrees.ts'
import { decodeBundle, encodeBundle } from './layout.ts'

/** Entries that are being appended behind the first `start`. */
export type Staged = { readonly start: number; readonly entries: readonly Uint8Array[] }

const START_BYTES = 8

export const STAGED_BYTES_MAX =
  HASH_BYTES + START_BYTES + LIMITS.logBatchBytesMax + 2 * LIMITS.logBatchEntriesMax

/** SHA-256 of the rest, the size of the log without them (8 bytes, most significant first), the entries as a bundle. */
export function encodeStaged(sha256: Sha256, { start, entries }: Staged): Uint8Array {
  const bundle = encodeBundle(entries)
  const bytes = new Uint8Array(HASH_BYTES + START_BYTES + bundle.length)
  new DataView(bytes.buffer).setBigUint64(HASH_BYTES, BigInt(start))
  bytes.set(bundle, HASH_BYTES + START_BYTES)
  bytes.set(sha256(bytes.subarray(HASH_BYTES)))
  return bytes
}

/** Throws `invalid`. */
export function decodeStaged(sha256: Sha256, bytes: Uint8Array): Staged {
  const rest = bytes.subarray(HASH_BYTES)
  if (rest.length < START_BYTES || !sameBytes(sha256(rest), bytes.subarray(0, HASH_BYTES)))
    throw malformed('The entries that were being appended to the log are damaged')
  const start = Number(new DataView(rest.buffer, rest.byteOffset).getBigUint64(0))
  if (!isTreeSize(start)) throw malformed('The entries that were being appended to the log have no place')
  return { start, entries: decodeBundle(rest.subarray(START_BYTES)) }
}
