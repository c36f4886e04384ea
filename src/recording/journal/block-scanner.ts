import { createHmac, type Hmac, timingSafeEqual } from 'node:crypto'
import { LIMITS } from '../../core/index.ts'
import { Feed } from '../frames/feed.ts'
import type { FileKeys } from './file-keys.ts'
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  FRAME_HEADER_BYTES,
  getUint64,
  MAC_BLOCK_BYTES,
  MAC_MAGIC,
  SEGMENT_BYTES,
} from '../files/format.ts'
import { KeystreamReader } from './keystream.ts'
import { type Damage, type Frame, frameAt } from '../frames/scan.ts'

const BLOCK_BYTES_MIN = BLOCK_HEADER_BYTES + FRAME_HEADER_BYTES
/** The largest frame, and what may wait when it comes. */
export const BLOCK_BYTES_MAX = LIMITS.frameBytesMax + LIMITS.journalWaitingBytesMax

/** Where a scanner begins: behind the file's header, or at any block, whose MAC it cannot check. */
export type ScanStart =
  | { readonly header: Buffer; readonly firstSequence: number }
  | { readonly offset: number }

/**
 * The frames in the blocks of a file, which is fed in pieces of any size by whoever reads it. A block is opened when it is there to its last byte, and its frames
 * are given when the MAC behind them is right; those that have none yet when `release` is called, or when something
 * else is damaged before it. Of a block whose frames are not right none is given. Memory is one segment and one block,
 * encrypted.
 */
export class BlockScanner {
  readonly #keys: FileKeys
  readonly #stream: KeystreamReader
  readonly #isWhole: boolean
  #feed: Feed
  #needed = BLOCK_HEADER_BYTES
  /** Where the next block begins. */
  #offset: number
  /** Where the segment does, behind the file header or the MAC block before it. */
  #segment: number
  /** That header, or MAC block; undefined until there is one, in the middle of a file. */
  #chain: Buffer | undefined
  #hmac: Hmac | undefined
  /** The first place of the keystream that no block before has used. */
  #place = 0
  #sequence: number | undefined
  /** The same as they were at the beginning of the segment. */
  #from: { readonly place: number; readonly sequence: number | undefined }
  #late = 0
  /** Waiting for their MAC. */
  #pending: Frame[] = []
  #frames: readonly Frame[] = []
  #given = 0
  /** What comes when these have been given. */
  #damage: Damage | undefined

  constructor(keys: FileKeys, start: ScanStart, bytesMax?: number) {
    this.#keys = keys
    this.#stream = new KeystreamReader(keys.cipher)
    this.#isWhole = 'header' in start
    this.#offset = 'header' in start ? start.header.length : start.offset
    this.#segment = this.#offset
    this.#sequence = 'header' in start ? start.firstSequence : undefined
    this.#from = { place: 0, sequence: this.#sequence }
    if ('header' in start) this.#beginSegment(start.header)
    this.#feed = new Feed(BLOCK_HEADER_BYTES, bytesMax)
  }

  /** Where the block begins that has not been given as frames yet. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes fed from there on. */
  get rest(): number {
    return this.#feed.rest
  }

  /** Up to where a right MAC vouches for all that is before; 0 when it began in the middle of a file. */
  get vouched(): number {
    return this.#isWhole ? this.#segment : 0
  }

  /** How many of the bytes before `vouched` got their MAC from a repair only. */
  get late(): number {
    return this.#late
  }

  /** Where to put the next bytes of the file; at least as many as the next block needs fit. */
  room(): Buffer {
    return this.#feed.room(this.#needed)
  }

  /** That many bytes were put into what `room` gave. */
  filled(bytes: number): void {
    this.#feed.filled(bytes)
  }

  /** The next frame, or `more` when its bytes have not all been fed, or what is wrong with them. */
  next(): Frame | Damage | 'more' {
    for (;;) {
      const frame = this.#frames[this.#given]
      if (frame !== undefined) {
        this.#given++
        return frame
      }
      if (this.#damage !== undefined) return this.#damage
      const found = this.#unit()
      if (found === 'more') return found
      if (found !== undefined) {
        this.#damage = found
        this.release()
      }
    }
  }

  /** No more bytes are there for now: frames that wait for a MAC are given without. */
  release(): void {
    if (this.#pending.length === 0) return
    this.#frames = this.#pending
    this.#given = 0
    this.#pending = []
  }

  /** Goes on where it stands, as if it had been fed nothing from there on. */
  again(): void {
    this.#feed = new Feed(BLOCK_HEADER_BYTES)
    this.#needed = BLOCK_HEADER_BYTES
    this.#damage = undefined
  }

  /** Takes one block, of frames or with a MAC. */
  #unit(): Damage | 'more' | undefined {
    const { bytes, view, start, rest } = this.#feed
    this.#needed = BLOCK_HEADER_BYTES
    if (rest < BLOCK_HEADER_BYTES) return 'more'
    const magic = view.getUint32(start + BLOCK.magic, true)
    const isMac = magic === MAC_MAGIC
    if (!isMac && magic !== BLOCK_MAGIC) return this.#damaged('no block begins here')
    const length = view.getUint32(start + BLOCK.length, true)
    if (isMac ? length !== MAC_BLOCK_BYTES : length < BLOCK_BYTES_MIN || length > BLOCK_BYTES_MAX) {
      return this.#damaged('the block has an impossible length')
    }
    this.#needed = length
    if (rest < length) return 'more'
    const block = bytes.subarray(start, start + length)
    const number = getUint64(view, start + BLOCK.place)
    const damage = isMac ? this.#takeMac(block, number) : this.#takeFrames(block, number)
    if (damage !== undefined) return damage
    this.#feed.used(length)
    this.#offset += length
    if (isMac) this.#segment = this.#offset
    return undefined
  }

  #takeFrames(block: Buffer, place: number): Damage | undefined {
    if (this.#hmac !== undefined && this.#offset - this.#segment >= SEGMENT_BYTES) {
      return this.#damaged('a MAC is missing before the block')
    }
    if (!(place >= this.#place)) return this.#damaged('the block is not in its place')
    const plain = this.#stream.decrypt(block.subarray(BLOCK_HEADER_BYTES), place)
    const frames = framesOf(plain, this.#offset)
    if (!Array.isArray(frames)) return frames
    const first = frames[0]?.sequence
    if (this.#sequence !== undefined && first !== this.#sequence) {
      return this.#damaged(`frame ${this.#sequence} is missing before it`)
    }
    this.#sequence = (frames.at(-1)?.sequence ?? 0) + 1
    this.#place = place + plain.length
    this.#hmac?.update(block)
    for (const frame of frames) this.#pending.push(frame)
    // In the middle of a file there is nothing to hold them against.
    if (this.#hmac === undefined) this.release()
    return undefined
  }

  #takeMac(block: Buffer, late: number): Damage | undefined {
    const mac = this.#hmac?.update(block.subarray(0, BLOCK_HEADER_BYTES)).digest()
    if (mac !== undefined && !timingSafeEqual(mac, block.subarray(BLOCK_HEADER_BYTES))) {
      // Nothing of the segment counts; whoever reads again begins at its beginning.
      this.#rewind()
      return this.#damaged('what is behind here is not what its MAC was made of')
    }
    if (Number.isNaN(late)) return this.#damaged('the MAC is of a kind that this version does not know')
    this.#late = late
    this.#beginSegment(block)
    this.release()
    return undefined
  }

  #beginSegment(chain: Buffer): void {
    this.#chain = Buffer.from(chain)
    this.#hmac = createHmac('sha256', this.#keys.mac).update(this.#chain)
    this.#from = { place: this.#place, sequence: this.#sequence }
  }

  #rewind(): void {
    this.#offset = this.#segment
    this.#pending = []
    this.#place = this.#from.place
    this.#sequence = this.#from.sequence
    if (this.#chain !== undefined) this.#beginSegment(this.#chain)
  }

  #damaged(reason: string): Damage {
    return { what: 'damage', offset: this.#offset, reason }
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
