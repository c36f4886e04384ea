import { viewOf } from './bytes.ts'

/** 0xFD2FB528. */
const MAGIC = 0xfd2fb528
/** By the flag in the descriptor. */
const DICTIONARY_BYTES = [0, 1, 2, 4] as const
const SIZE_BYTES = [0, 2, 4, 8] as const
const CHECKSUM_BYTES = 4
const BLOCK_HEADER_BYTES = 3
const RUN = 1
const RESERVED = 3

/**
 * Whether these bytes are one zstd frame from the first to the last: what is behind a frame, or before it in one that is
 * skipped, some programs read and others do not. RFC 8878 section 3.1.1; the blocks themselves are not looked at.
 */
export function isOneZstdFrame(bytes: Uint8Array): boolean {
  const view = viewOf(bytes)
  if (bytes.length < 5 || view.getUint32(0, true) !== MAGIC) return false
  const descriptor = view.getUint8(4)
  const isSingle = (descriptor & 0x20) !== 0
  const size = descriptor >> 6 === 0 && isSingle ? 1 : (SIZE_BYTES[descriptor >> 6] ?? 0)
  let at = 5 + (isSingle ? 0 : 1) + (DICTIONARY_BYTES[descriptor & 3] ?? 0) + size
  for (let isLast = false; !isLast; ) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return false
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const kind = (header >> 1) & 3
    if (kind === RESERVED) return false
    isLast = (header & 1) === 1
    at += BLOCK_HEADER_BYTES + (kind === RUN ? 1 : header >> 3)
  }
  return at + ((descriptor & 4) === 0 ? 0 : CHECKSUM_BYTES) === bytes.length
}
