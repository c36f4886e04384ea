import type { EntryKind } from '../../core/index.ts'
import { FRAME_CODES, frameKindOf, getUint64, putUint64 } from '../files/format.ts'
import { isPayloadName, type PayloadName } from './payloads.ts'

/**
 * The part of a frame that a proof is about, byte for byte as `docs/formats/session.md` describes it: who has nothing but
 * public keys reads it, hashes it and finds it in the log. What it says of payloads are commitments.
 */
export type PublicPart = {
  readonly kind: EntryKind
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly time: number
  readonly head: Readonly<Record<string, unknown>>
  readonly payloads: readonly {
    readonly name: PayloadName
    readonly bytes: number
    readonly commitment: Uint8Array
  }[]
}

/** SHA-256 of these parts, one after the other. Handed in, so that this runs where there is no Node as well. */
export type Sha256 = (...parts: readonly Uint8Array[]) => Uint8Array

export const SALT_BYTES = 16
export const COMMITMENT_BYTES = 32
/** Kind, three zeros, length of the head, sequence number, time. */
const FIXED_BYTES = 24

const LEAF = Uint8Array.of(0)
const COMMITTED = Uint8Array.of(2)

/** Commits to a payload without saying anything about it to whoever does not know the salt: SHA-256(0x02 || salt || bytes). */
export function commitmentOf(sha256: Sha256, salt: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new Error(`a salt has ${SALT_BYTES} bytes`)
  return sha256(COMMITTED, salt, bytes)
}

/** The hash of a frame as a leaf of its segment's tree (RFC 6962, section 2.1). */
export function leafOf(sha256: Sha256, part: Uint8Array): Uint8Array {
  return sha256(LEAF, part)
}

export function encodePublicPart({ kind, sequence, time, head, payloads }: PublicPart): Buffer {
  const named =
    payloads.length === 0 ? head : { payloads: payloads.map(({ name, bytes }) => [name, bytes]), ...head }
  const text = Buffer.from(JSON.stringify(named))
  const bytes = Buffer.alloc(FIXED_BYTES + text.length + payloads.length * COMMITMENT_BYTES)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  view.setUint8(0, FRAME_CODES[kind])
  view.setUint32(4, text.length, true)
  putUint64(view, 8, sequence)
  putUint64(view, 16, time)
  text.copy(bytes, FIXED_BYTES)
  let at = FIXED_BYTES + text.length
  for (const { commitment } of payloads) {
    bytes.set(commitment, at)
    at += COMMITMENT_BYTES
  }
  return bytes
}

/** Throws on anything that `encodePublicPart` does not write. */
export function decodePublicPart(bytes: Buffer): PublicPart {
  if (bytes.length < FIXED_BYTES) throw new Error('a frame is too short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const kind = frameKindOf(view.getUint8(0))
  if (kind === undefined || kind === 'file' || kind === 'bind' || view.getUint32(0, true) >>> 8 !== 0)
    throw new Error('a frame is of a kind that does not stand in a session file')
  const headEnd = FIXED_BYTES + view.getUint32(4, true)
  const sequence = getUint64(view, 8)
  const time = getUint64(view, 16)
  if (headEnd > bytes.length || Number.isNaN(sequence) || Number.isNaN(time))
    throw new Error('a frame has an impossible length')
  const parsed: unknown = JSON.parse(bytes.toString('utf8', FIXED_BYTES, headEnd))
  if (!isRecord(parsed)) throw new Error('a frame has a head that is no object')
  const { payloads: named = [], ...head } = parsed
  const list: readonly unknown[] = Array.isArray(named) ? named : [undefined]
  if (bytes.length !== headEnd + list.length * COMMITMENT_BYTES)
    throw new Error('a frame has not one commitment for each payload')
  const payloads = list.map((each, i) => {
    const [name, size]: readonly unknown[] = Array.isArray(each) ? each : []
    if (!isPayloadName(name) || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw new Error('a frame names a payload that is none')
    const at = headEnd + i * COMMITMENT_BYTES
    return { name, bytes: size, commitment: Buffer.from(bytes.subarray(at, at + COMMITMENT_BYTES)) }
  })
  return { kind, sequence, time, head, payloads }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
