import { createCipheriv, createSecretKey } from 'node:crypto'
import { SALT_BYTES } from './public-part.ts'

const SECRET_BYTES = 32
/** Salts of so many frames are made at once: one alone costs as much. */
const TOGETHER = 512
const ZEROS = Buffer.alloc(TOGETHER * SALT_BYTES)
/** Numbers of payloads whose salts are kept for the frames to come. */
const KEPT_MAX = 64

type Kept = { readonly first: number; readonly salts: Uint8Array }

/**
 * Salts that come out the same each time the same frames are sealed: AES-256 (FIPS 197) under `secret` (32 bytes) of the
 * block of the payload's number and the sequence number. A block cipher gives no block twice, so no two salts are the
 * same. `secret` has to be gone once the file is sealed: with it, and the commitment of a payload that was removed,
 * guesses could be tried. What is given is a view.
 */
export function saltsUnder(secret: Uint8Array): (sequence: number, payload: number) => Uint8Array {
  if (secret.length !== SECRET_BYTES) throw new Error(`a secret of salts has ${SECRET_BYTES} bytes`)
  const key = createSecretKey(secret)
  const kept = new Map<number, Kept>()
  const make = (payload: number, first: number): Kept => {
    if (kept.size >= KEPT_MAX) kept.clear()
    // Counter mode over zeros is the cipher of one block after the other.
    const block = Buffer.alloc(SALT_BYTES)
    block.writeBigUInt64BE(BigInt(payload), 0)
    block.writeBigUInt64BE(BigInt(first), 8)
    const made = { first, salts: new Uint8Array(createCipheriv('aes-256-ctr', key, block).update(ZEROS)) }
    kept.set(payload, made)
    return made
  }
  return (sequence, payload) => {
    const first = sequence - (sequence % TOGETHER)
    let those = kept.get(payload)
    if (those?.first !== first) those = make(payload, first)
    const at = (sequence - first) * SALT_BYTES
    return those.salts.subarray(at, at + SALT_BYTES)
  }
}
