import { crc32 } from 'node:zlib'
import { LIMITS } from '../../core/index.ts'
import {
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameKind,
  frameKindOf,
  getUint64,
} from '../files/format.ts'

/** One frame as it lies in the file, its payloads in the body. The byte views are valid until the scanner is fed again. */
export class Frame {
  readonly what = 'frame'
  readonly kind: FrameKind
  /** The number of the session within the file; 0: none. */
  readonly session: number
  readonly sequence: number
  readonly time: number
  /** Where in the file its block begins. */
  readonly offset: number
  /** The whole frame, header included. */
  readonly bytes: Buffer
  readonly #headEnd: number

  constructor(kind: FrameKind, view: DataView, at: number, offset: number, bytes: Buffer) {
    this.kind = kind
    this.session = view.getUint32(at + FRAME.session, true)
    this.sequence = getUint64(view, at + FRAME.sequence)
    this.time = getUint64(view, at + FRAME.time)
    this.offset = offset
    this.bytes = bytes
    this.#headEnd = FRAME_HEADER_BYTES + view.getUint32(at + FRAME.headLength, true)
  }

  /** The fields that are the beginning of the public part, and the head. */
  get publicPart(): Buffer {
    return this.bytes.subarray(FRAME.kind, this.#headEnd)
  }

  get head(): Buffer {
    return this.bytes.subarray(FRAME_HEADER_BYTES, this.#headEnd)
  }

  get body(): Buffer {
    return this.bytes.subarray(this.#headEnd)
  }
}

/** What stands at `offset` is not what was written there. */
export type Damage = { readonly what: 'damage'; readonly offset: number; readonly reason: string }

/**
 * The frame at `start` in `bytes`, which end at `end`; if it goes on behind that, its length, as far as it is known.
 * `offset`: where in the file that is.
 */
export function frameAt(
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  offset: number,
): Frame | Damage | number {
  const rest = end - start
  if (rest < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES
  const damage = (reason: string): Damage => ({ what: 'damage', offset, reason })
  if (view.getUint32(start + FRAME.magic, true) !== FRAME_MAGIC) return damage('no frame begins here')
  const length = view.getUint32(start + FRAME.length, true)
  const headLength = view.getUint32(start + FRAME.headLength, true)
  if (
    length < FRAME_HEADER_BYTES ||
    length > LIMITS.frameBytesMax ||
    headLength > length - FRAME_HEADER_BYTES
  ) {
    return damage('the frame has an impossible length')
  }
  if (rest < length) return length
  const frame = bytes.subarray(start, start + length)
  if (crc32(frame.subarray(FRAME.checked)) !== view.getUint32(start + FRAME.crc, true)) {
    return damage('the checksum of the frame is wrong')
  }
  // With the three bytes behind it, which are kept at zero.
  const kind = frameKindOf(view.getUint32(start + FRAME.kind, true))
  if (kind === undefined) {
    return damage('the frame is of a kind that this version does not know')
  }
  return new Frame(kind, view, start, offset, frame)
}
