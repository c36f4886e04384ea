import { createHmac } from 'node:crypto'
import { putUint64 } from '../format.ts'
import { SALT_BYTES } from './public-part.ts'

const LABEL = Buffer.from('sluice payload salt 1')

/**
 * Salts that come out the same each time the same frames are sealed: HMAC-SHA256 under `secret` of the sequence number and the
 * payload's number, its first 16 bytes. `secret` has to be gone once the file is sealed: with it, and the
 * commitment of a payload that was removed, guesses could be tried.
 */
export function saltsUnder(secret: Uint8Array): (sequence: number, payload: number) => Uint8Array {
  return (sequence, payload) => {
    const place = new DataView(new ArrayBuffer(12))
    putUint64(place, 0, sequence)
    place.setUint32(8, payload, true)
    const mac = createHmac('sha256', secret).update(LABEL).update(new Uint8Array(place.buffer)).digest()
    return mac.subarray(0, SALT_BYTES)
  }
}
