import { crc32 } from 'node:zlib'
import { LIMITS } from '../core/index.ts'
import {
  FILE,
  FILE_HEADER_BYTES,
  FILE_MAGIC,
  type FileKind,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameKind,
  frameKindOf,
  getUint64,
} from './format.ts'

/** One frame as it lies in the file. The byte views are valid until the scanner is fed again. */
export class Frame {
  readonly what = 'frame'
  readonly kind: FrameKind
  /** The number of the session within the file; 0: none. */
  readonly session: number
  readonly sequence: number
  readonly time: number
  /** Where the frame begins in the file. */
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

  get head(): Buffer {
    return this.bytes.subarray(FRAME_HEADER_BYTES, this.#headEnd)
  }

  get body(): Buffer {
    return this.bytes.subarray(this.#headEnd)
  }
}

/** What stands at `offset` is not what was written there. */
export type Damage = { readonly what: 'damage'; readonly offset: number; readonly reason: string }

export type FileHeader = { readonly number: number; readonly firstSequence: number; readonly time: number }

/** Reads a file's header; a text says what is wrong with it. */
export function readFileHeader(bytes: Buffer, kind: FileKind): FileHeader | string {
  if (bytes.length < FILE_HEADER_BYTES) return 'the file ends inside its header'
  if (bytes.toString('latin1', 0, 8) !== FILE_MAGIC[kind])
    return `the file does not begin with ${FILE_MAGIC[kind]}`
  const view = new DataView(bytes.buffer, bytes.byteOffset, FILE_HEADER_BYTES)
  if (view.getUint32(FILE.crc, true) !== crc32(bytes.subarray(FILE.number, FILE_HEADER_BYTES))) {
    return 'the checksum of the file header is wrong'
  }
  return {
    number: view.getUint32(FILE.number, true),
    firstSequence: getUint64(view, FILE.firstSequence),
    time: getUint64(view, FILE.time),
  }
}

const RESTING_BYTES = 256 * 1024

/**
 * Takes the bytes of a file in pieces of any size and gives its frames, each checked. Pure: whoever reads the file
 * hands the bytes in. Memory is one frame and one piece.
 */
export class FrameScanner {
  /** Made when the first bytes are wanted: many a file is only opened to look at its header. */
  #bytes: Buffer = Buffer.alloc(0)
  #view = new DataView(this.#bytes.buffer)
  #start = 0
  #end = 0
  #offset: number
  #needed = FRAME_HEADER_BYTES
  readonly #restingBytes: number

  /** `offset`: where in the file the first byte fed stands; `bytesMax`: how many can follow, as far as is known. */
  constructor(offset: number = FILE_HEADER_BYTES, bytesMax: number = RESTING_BYTES) {
    this.#offset = offset
    this.#restingBytes = Math.max(FRAME_HEADER_BYTES, Math.min(bytesMax, RESTING_BYTES))
  }

  /** Where the first frame not given yet begins. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes fed but not given as frames yet. */
  get rest(): number {
    return this.#end - this.#start
  }

  /** Where to put the next bytes of the file; at least as many as the next frame needs fit. */
  room(): Buffer {
    const resting = this.#restingBytes
    const needed = Math.max(this.#needed, resting)
    const rest = this.rest
    if (
      needed > this.#bytes.length ||
      (this.#bytes.length > resting && needed === resting && rest < needed)
    ) {
      const bytes = Buffer.allocUnsafeSlow(needed)
      this.#bytes.copy(bytes, 0, this.#start, this.#end)
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer)
    } else if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end)
    }
    this.#start = 0
    this.#end = rest
    return this.#bytes.subarray(rest)
  }

  /** That many bytes were put into what `room` gave. */
  filled(bytes: number): void {
    this.#end += bytes
  }

  /** The next frame, or `more` when its bytes have not all been fed, or what is wrong with them. */
  next(): Frame | Damage | 'more' {
    const offset = this.#offset
    const rest = this.rest
    if (rest < FRAME_HEADER_BYTES) {
      this.#needed = FRAME_HEADER_BYTES
      return 'more'
    }
    const start = this.#start
    const view = this.#view
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
    if (rest < length) {
      this.#needed = length
      return 'more'
    }
    const bytes = this.#bytes.subarray(start, start + length)
    if (crc32(bytes.subarray(FRAME.kind)) !== view.getUint32(start + FRAME.crc, true)) {
      return damage('the checksum of the frame is wrong')
    }
    const kind = frameKindOf(view.getUint8(start + FRAME.kind))
    const reserved = view.getUint8(start + FRAME.flags) | view.getUint16(start + FRAME.reserved, true)
    if (kind === undefined || reserved !== 0) {
      return damage('the frame is of a kind that this version does not know')
    }
    this.#needed = FRAME_HEADER_BYTES
    this.#start += length
    this.#offset += length
    return new Frame(kind, view, start, offset, bytes)
  }
}
