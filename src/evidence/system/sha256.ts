import { hash } from 'node:crypto'
import type { Sha256 } from '../tree/hasher.ts'

/**
 * SHA-256 of Node. By way of a string: a fifth of the time of a buffer from `hash`, which is made outside of the heap
 * each time (0.6 against 3.2 microseconds for 65 bytes).
 */
export const nodeSha256: Sha256 = (...parts) => {
  const [only] = parts
  const bytes = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary')
}
