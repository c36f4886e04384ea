import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import type { RandomBytes } from '../../core/index.ts'
import type { FieldKeys, LabelKeys } from './label-keys.ts'

/*
 * Sealed values: id of the recording key (8 bytes), a counter block (16), the JSON of the list of values, padded with
 * blanks and encrypted with AES-256-CTR (NIST SP 800-38A), and an HMAC-SHA-256 over all of it. A MAC of full length under
 * a key that is derived together with the cipher's commits to both, which the tag of AES-GCM would not: nobody can have
 * another key under which the same bytes say something else.
 */
const CIPHER = 'aes-256-ctr'
const ID_BYTES = 8
const COUNTER_BYTES = 16
const MAC_BYTES = 32
/** So that the length says little of the values. */
const PADDED_TO_BYTES = 64

export function sealValues(
  keys: LabelKeys,
  labels: readonly string[],
  values: readonly string[],
  random: RandomBytes,
): Uint8Array {
  const { mac, stream } = keys.sealing(labels, random)
  const json = JSON.stringify(values)
  const plain = Buffer.byteLength(json)
  const from = ID_BYTES + COUNTER_BYTES
  const end = from + Math.ceil(plain / PADDED_TO_BYTES) * PADDED_TO_BYTES
  const bytes = Buffer.allocUnsafe(end + MAC_BYTES)
  bytes.write(keys.id, 'hex')
  bytes.fill(' ', from + bytes.write(json, from), end)
  stream.seal(bytes, from, end)
  bytes.set(createHmac('sha256', mac).update(bytes.subarray(0, end)).digest(), end)
  return bytes
}

/** The id of the recording key that sealed values are under; undefined for bytes that are none. */
export function keyIdOf(bytes: Uint8Array): string | undefined {
  if (bytes.length < ID_BYTES + COUNTER_BYTES + MAC_BYTES) return undefined
  return Buffer.from(bytes.subarray(0, ID_BYTES)).toString('hex')
}

/** The values; undefined when these are not the keys that sealed them, or a byte is not what it was. */
export function openValues({ cipher, mac }: FieldKeys, bytes: Uint8Array): readonly string[] | undefined {
  if (keyIdOf(bytes) === undefined) return undefined
  const end = bytes.length - MAC_BYTES
  const expected = createHmac('sha256', mac).update(bytes.subarray(0, end)).digest()
  if (!timingSafeEqual(expected, bytes.subarray(end))) return undefined
  const from = ID_BYTES + COUNTER_BYTES
  const json = createDecipheriv(CIPHER, cipher, bytes.subarray(ID_BYTES, from)).update(
    bytes.subarray(from, end),
  )
  const values: unknown = JSON.parse(json.toString('utf8'))
  return Array.isArray(values) && values.every((each) => typeof each === 'string') ? values : undefined
}
