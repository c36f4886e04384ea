import { hash } from 'node:crypto'
import { putUint64 } from '../files/format.ts'
import { SALT_BYTES } from './public-part.ts'

const LABEL = Buffer.from('sluice payload salt 1')
const SECRET_BYTES = 32

/**
 * Salts that come out the same each time the same frames are sealed: the first 16 bytes of SHA-256 of `secret` (32 bytes), a
 * label, the sequence number and the payload's number. All of these have one length each, so that nothing can be
 * appended; HMAC, which costs ten times as much here, has no more to give. `secret` has to be gone once the file is
 * sealed: with it, and the commitment of a payload that was removed, guesses could be tried.
 */
export function saltsUnder(secret: Uint8Array): (sequence: number, payload: number) => Uint8Array {
  if (secret.length !== SECRET_BYTES) throw new Error(`a secret of salts has ${SECRET_BYTES} bytes`)
  const place = SECRET_BYTES + LABEL.length
  const bytes = new Uint8Array(place + 12)
  bytes.set(secret)
  bytes.set(LABEL, SECRET_BYTES)
  const view = new DataView(bytes.buffer)
  return (sequence, payload) => {
    putUint64(view, place, sequence)
    view.setUint32(place + 8, payload, true)
    // By way of a string: a buffer from `hash` is made outside of the heap each time.
    return Buffer.from(hash('sha256', bytes, 'binary').slice(0, SALT_BYTES), 'binary')
  }
}
