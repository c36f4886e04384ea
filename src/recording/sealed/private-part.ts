import type { Missing } from './payloads.ts'
import { SALT_BYTES } from './public-part.ts'

/** A payload as it lies in the private part of a chunk. */
export type StoredPayload = { readonly salt: Uint8Array; readonly bytes: Uint8Array }

const PRESENT = 0
const REMOVED = 1
/** State, three zeros, length. */
const FIXED_BYTES = 8

/** How many bytes a payload has in a private part; undefined: removed, and its salt with it. */
export function payloadBytes(payload: StoredPayload | undefined): number {
  return payload === undefined ? FIXED_BYTES : FIXED_BYTES + SALT_BYTES + payload.bytes.length
}

/** Puts a payload at `at`, where there is room for it. */
export function putPayload(into: Buffer, at: number, payload: StoredPayload | undefined): void {
  into.writeUInt32LE(payload === undefined ? REMOVED : PRESENT, at)
  into.writeUInt32LE(payload?.bytes.length ?? 0, at + 4)
  if (payload === undefined) return
  into.set(payload.salt, at + FIXED_BYTES)
  into.set(payload.bytes, at + FIXED_BYTES + SALT_BYTES)
}

/** Gives the payloads of a private part one after the other. Throws with the reason when there is no further one. */
export class PrivateReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  next(): StoredPayload | Missing {
    const bytes = this.#bytes
    const at = this.#at
    if (bytes.length - at < FIXED_BYTES) throw new Error('a payload is missing')
    const state = bytes.readUInt32LE(at)
    const length = bytes.readUInt32LE(at + 4)
    if (state === REMOVED && length === 0) {
      this.#at += FIXED_BYTES
      return 'removed'
    }
    const end = at + FIXED_BYTES + SALT_BYTES + length
    if (state !== PRESENT || end > bytes.length) throw new Error('a payload has an impossible length')
    const salt = bytes.subarray(at + FIXED_BYTES, at + FIXED_BYTES + SALT_BYTES)
    this.#at = end
    return { salt, bytes: bytes.subarray(at + FIXED_BYTES + SALT_BYTES, end) }
  }
}
