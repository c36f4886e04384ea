import { crc32 } from 'node:zlib'
import { LIMITS } from '../../core/index.ts'
import { Feed } from './feed.ts'
import {
  FILE_HEADER_BYTES,
  FRAME,
  FRAME_1,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_MAGIC_1,
  type FrameKind,
  frameKindOf,
  getUint64,
} from '../files/format.ts'

const LAYOUTS = { 1: FRAME_1, 2: FRAME } as const

/** One frame as it lies in the file. The byte views are valid until the scanner is fed again. */
export class Frame {
  readonly what = 'frame'
  readonly kind: FrameKind
  /** In format 2 the payloads are in the body; in 1, all but bytes of results are in the head. */
  readonly format: 1 | 2
  /** The number of the session within the file; 0: none. */
  readonly session: number
  readonly sequence: number
  readonly time: number
  /** Where in the file the frame begins or, in format 2, its block. */
  readonly offset: number
  /** The whole frame, header included. */
  readonly bytes: Buffer
  readonly #headEnd: number

  constructor(format: 1 | 2, kind: FrameKind, view: DataView, at: number, offset: number, bytes: Buffer) {
    this.kind = kind
    this.format = format
    this.session = view.getUint32(at + LAYOUTS[format].session, true)
    this.sequence = getUint64(view, at + FRAME.sequence)
    this.time = getUint64(view, at + FRAME.time)
    this.offset = offset
    this.bytes = bytes
    this.#headEnd = FRAME_HEADER_BYTES + view.getUint32(at + FRAME.headLength, true)
  }

  /** The fields that are the beginning of the public part, and the head. Of format 2. */
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
 * Takes the bytes of a file in pieces of any size and gives its frames, each checked. Pure: whoever reads the file
 * hands the bytes in.
 */
export interface Scanner {
  /** Where what has not been given as frames yet begins: a frame in format 1, a block in format 2. */
  readonly offset: number
  /** Bytes fed from there on. */
  readonly rest: number
  /**
   * Up to where a right MAC vouches for all that is before; 0 when the scanner began in the middle of a file. In format
   * 1, which knows none, `offset`.
   */
  readonly vouched: number
  /** How many of the bytes before `vouched` got their MAC from a repair only. */
  readonly late: number
  /** Where to put the next bytes of the file; at least as many as the next frame or block needs fit. */
  room(): Buffer
  /** That many bytes were put into what `room` gave. */
  filled(bytes: number): void
  /** The next frame, or `more` when its bytes have not all been fed, or what is wrong with them. */
  next(): Frame | Damage | 'more'
  /** No more bytes are there for now: frames that wait for a MAC are given without. */
  release(): void
  /** One that goes on where this one stands and has been fed nothing yet. This one is of no use afterwards. */
  again(): Scanner
}

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
  const magic = view.getUint32(start + FRAME.magic, true)
  if (magic !== FRAME_MAGIC && magic !== FRAME_MAGIC_1) return damage('no frame begins here')
  const format = magic === FRAME_MAGIC ? 2 : 1
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
  const kind = frameKindOf(view.getUint32(start + LAYOUTS[format].kind, true))
  if (kind === undefined) {
    return damage('the frame is of a kind that this version does not know')
  }
  return new Frame(format, kind, view, start, offset, frame)
}

/** Frames one after the other: journal files of format 1, and session files. Memory is one frame and one piece. */
export class FrameScanner implements Scanner {
  readonly #feed: Feed
  #offset: number
  #needed = FRAME_HEADER_BYTES

  /** `offset`: where in the file the first byte fed stands; `bytesMax`: how many can follow, as far as is known. */
  constructor(offset: number = FILE_HEADER_BYTES, bytesMax?: number) {
    this.#offset = offset
    this.#feed = new Feed(FRAME_HEADER_BYTES, bytesMax)
  }

  get offset(): number {
    return this.#offset
  }

  get rest(): number {
    return this.#feed.rest
  }

  get vouched(): number {
    return this.#offset
  }

  get late(): number {
    return 0
  }

  release(): void {
    // Nothing waits.
  }

  room(): Buffer {
    return this.#feed.room(this.#needed)
  }

  filled(bytes: number): void {
    this.#feed.filled(bytes)
  }

  next(): Frame | Damage | 'more' {
    const feed = this.#feed
    const found = frameAt(feed.bytes, feed.view, feed.start, feed.end, this.#offset)
    if (typeof found === 'number') {
      this.#needed = found
      return 'more'
    }
    if (found.what === 'frame') {
      feed.used(found.bytes.length)
      this.#offset += found.bytes.length
    }
    return found
  }

  again(): FrameScanner {
    return new FrameScanner(this.#offset)
  }
}
