import { uint64At, viewOf } from './bytes.ts'
import { jsonOf, objectOf } from './objects.ts'

/** Numbers of kinds of frames that a verifier has to tell apart. */
export const KIND = { open: 2, close: 9, admin: 10 } as const

const KIND_MIN = 2
const KIND_MAX = 11
/** Kind, three zeros, length of the head, sequence number, time. */
export const PART_FIXED_BYTES = 24

/** What stands in front of the head of a public part. */
export type PartHead = {
  readonly kind: number
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly time: number
}

/** Reads the fixed fields of the public part from `begin` to `end`, and holds its length against them. Throws with the reason. */
export function readPart(view: DataView, begin: number, end: number): PartHead {
  if (end - begin < PART_FIXED_BYTES) throw new Error('a frame is too short')
  const kind = view.getUint8(begin)
  const [sequence, time] = [uint64At(view, begin + 8), uint64At(view, begin + 16)]
  if (kind < KIND_MIN || kind > KIND_MAX || view.getUint32(begin, true) >>> 8 !== 0)
    throw new Error('a frame is of a kind that has no public part')
  const headEnd = begin + PART_FIXED_BYTES + view.getUint32(begin + 4, true)
  if (headEnd > end || Number.isNaN(sequence) || Number.isNaN(time))
    throw new Error('a frame has an impossible length')
  return { kind, sequence, time }
}

/** The JSON of a public part. Throws with the reason. */
export function headOf(part: Uint8Array): unknown {
  return jsonOf(part.subarray(PART_FIXED_BYTES, headEndOf(part)), 'The head of a frame')
}

const COMMITMENT_BYTES = 32

/** What a public part commits to: name, length and commitment of each payload. Throws with the reason. */
export function commitmentsOf(
  part: Uint8Array,
): { readonly name: string; readonly bytes: number; readonly commitment: Uint8Array }[] {
  const { payloads = [] } = objectOf(headOf(part))
  const list: readonly unknown[] = Array.isArray(payloads) ? payloads : []
  const begin = part.length - list.length * COMMITMENT_BYTES
  if (begin !== headEndOf(part)) throw new Error('a frame has not one commitment for each payload')
  return list.map((each, i) => {
    const [name, bytes]: readonly unknown[] = Array.isArray(each) ? each : []
    if (typeof name !== 'string' || typeof bytes !== 'number')
      throw new Error('a frame names a payload that is none')
    const at = begin + i * COMMITMENT_BYTES
    return { name, bytes, commitment: part.subarray(at, at + COMMITMENT_BYTES) }
  })
}

function headEndOf(part: Uint8Array): number {
  return PART_FIXED_BYTES + viewOf(part).getUint32(4, true)
}
