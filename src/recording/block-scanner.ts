import { LIMITS } from '../core/index.ts'
import { Feed } from './feed.ts'
import { BLOCK, BLOCK_HEADER_BYTES, BLOCK_MAGIC, FRAME_HEADER_BYTES, getUint64, TAG_BYTES } from './format.ts'
import { type Damage, type Frame, frameAt, type Scanner } from './scan.ts'
import type { BlockOpener } from './sealing.ts'

const BLOCK_BYTES_MIN = BLOCK_HEADER_BYTES + FRAME_HEADER_BYTES + TAG_BYTES
/** The largest frame, and what may wait when it comes. */
export const BLOCK_BYTES_MAX = LIMITS.frameBytesMax + LIMITS.journalWaitingBytesMax

/**
 * The frames in the blocks of a file of format 2. A block is opened when it is there to its last byte, and its frames
 * are given when all of them are right: all of a block or none. Memory is one block, encrypted and not.
 */
export class BlockScanner implements Scanner {
  readonly #opener: BlockOpener
  readonly #feed: Feed
  #offset: number
  /** What the next block must have; undefined: it may have any. */
  #counter: number | undefined
  #needed = BLOCK_HEADER_BYTES
  #frames: readonly Frame[] = []
  #given = 0

  constructor(opener: BlockOpener, offset: number, counter: number | undefined, bytesMax?: number) {
    this.#opener = opener
    this.#offset = offset
    this.#counter = counter
    this.#feed = new Feed(BLOCK_HEADER_BYTES, bytesMax)
  }

  get offset(): number {
    return this.#offset
  }

  get rest(): number {
    return this.#feed.rest
  }

  room(): Buffer {
    return this.#feed.room(this.#needed)
  }

  filled(bytes: number): void {
    this.#feed.filled(bytes)
  }

  next(): Frame | Damage | 'more' {
    const frame = this.#frames[this.#given]
    if (frame !== undefined) {
      this.#given++
      return frame
    }
    const opened = this.#block()
    if (opened === 'more' || 'what' in opened) return opened
    this.#frames = opened
    this.#given = 0
    return this.next()
  }

  again(): BlockScanner {
    return new BlockScanner(this.#opener, this.#offset, this.#counter)
  }

  /** The frames of the next block: one at least. */
  #block(): readonly Frame[] | Damage | 'more' {
    const { bytes, view, start, rest } = this.#feed
    const damage = (reason: string): Damage => ({ what: 'damage', offset: this.#offset, reason })
    this.#needed = BLOCK_HEADER_BYTES
    if (rest < BLOCK_HEADER_BYTES) return 'more'
    if (view.getUint32(start + BLOCK.magic, true) !== BLOCK_MAGIC) return damage('no block begins here')
    const length = view.getUint32(start + BLOCK.length, true)
    if (length < BLOCK_BYTES_MIN || length > BLOCK_BYTES_MAX) {
      return damage('the block has an impossible length')
    }
    this.#needed = length
    if (rest < length) return 'more'
    const plain = this.#opener.open(bytes.subarray(start, start + length))
    if (plain === undefined) return damage('the block is not what was written here')
    const counter = getUint64(view, start + BLOCK.counter)
    if (this.#counter !== undefined && counter !== this.#counter) {
      return damage(`it is block ${counter} of the file where block ${this.#counter} belongs`)
    }
    const frames = framesOf(plain, this.#offset)
    if (!Array.isArray(frames)) return damage(frames.reason)
    this.#feed.used(length)
    this.#offset += length
    this.#counter = counter + 1
    return frames
  }
}

/** What is in an open block must be frames from its first byte to its last, one number after the other. */
function framesOf(bytes: Buffer, offset: number): Frame[] | Damage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; ) {
    const frame = frameAt(bytes, view, at, bytes.length, offset)
    if (typeof frame === 'number') {
      return { what: 'damage', offset, reason: 'the block ends inside a frame' }
    }
    if (frame.what === 'damage') return frame
    const last = frames.at(-1)
    if (last !== undefined && frame.sequence !== last.sequence + 1) {
      return { what: 'damage', offset, reason: `frame ${last.sequence + 1} is missing in the block` }
    }
    frames.push(frame)
    at += frame.bytes.length
  }
  return frames
}
