import { hash } from 'node:crypto'
import type { Sha256 } from '../tree/hasher.ts'

/**
 * SHA-256 of Node. By way of a string: a fifth of the time of a buffer from `hash`, which is made outside of the heap
 * each time (0.6 against 3.2 microseconds for 65 bytes).
 */
export const nodeSha256: Sha256 = (...parts) => {
  const [only] = parts
  const bytes = parts.length === 1 && only !== undefined ? only : joined(parts)
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary')
}

/** What most hashes are of: a commitment, a leaf. No Buffer: a view of one takes three times as long to make. */
const scratch = new Uint8Array(4096)

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  if (length > scratch.length) return Buffer.concat(parts, length)
  let at = 0
  for (const part of parts) {
    scratch.set(part, at)
    at += part.length
  }
  return scratch.subarray(0, length)
}
