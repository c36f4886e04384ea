import { createHmac, type KeyObject } from 'node:crypto'
import type { RandomBytes, RecordingKeys } from '../../core/index.ts'
import type { FileHeader } from '../files/file-header.ts'
import { newFileKeys } from './file-keys.ts'
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  MAC_BLOCK_BYTES,
  MAC_MAGIC,
  putUint64,
  SEALED_HEADER_BYTES,
  SEGMENT_BYTES,
} from '../files/format.ts'
import { Keystream } from './keystream.ts'

/** Room for a segment: what has to be behind it before its MAC comes, and one block more of a usual size. */
const RESTING_BYTES = 2 * SEGMENT_BYTES

/**
 * Makes the bytes of one new file: its header, blocks of frames, and now and then a MAC over all since the last one. Each
 * call gives what is to be written next; until `written` says that it is in the file, the next call gives other bytes
 * for the same place. Memory is one segment.
 */
export class BlockSealer {
  readonly #mac: KeyObject
  readonly #stream: Keystream
  /** The segment: the file header or the last MAC block, the blocks behind it, and the one that is being tried. */
  #bytes = Buffer.allocUnsafeSlow(RESTING_BYTES)
  #view = new DataView(this.#bytes.buffer)
  /** Where its first block begins. */
  #begin = SEALED_HEADER_BYTES
  /** How much of the segment is in the file. */
  #written = 0
  /** Where the block that is being tried begins: what is before stays as it is. */
  #settled = SEALED_HEADER_BYTES
  #end = 0

  constructor(keys: RecordingKeys, random: RandomBytes, of: Omit<FileHeader, 'bytes' | 'keyId'>) {
    const { header, keys: own } = newFileKeys(keys, random, of)
    this.#mac = own.mac
    this.#stream = new Keystream(own.cipher)
    this.#bytes.set(header)
  }

  /**
   * These frames as the next block, encrypted, behind a MAC if one is due. Called again before `written`, it takes the
   * same place in the file, and another one in the keystream, since what was tried before may have reached the disk.
   */
  seal(frames: Uint8Array): Buffer {
    const length = BLOCK_HEADER_BYTES + frames.length
    const isFull = this.#settled + length > this.#bytes.length - MAC_BLOCK_BYTES
    if (isFull || this.#settled - this.#begin >= SEGMENT_BYTES) this.#endSegment()
    this.#reserve(this.#settled + length + MAC_BLOCK_BYTES)
    const at = this.#settled
    const view = this.#view
    view.setUint32(at + BLOCK.magic, BLOCK_MAGIC, true)
    view.setUint32(at + BLOCK.length, length, true)
    putUint64(view, at + BLOCK.place, this.#stream.encrypt(frames, view, at + BLOCK_HEADER_BYTES))
    this.#end = at + length
    return this.#bytes.subarray(this.#written, this.#end)
  }

  /** A MAC over the blocks that have none yet; undefined when there are none. */
  authenticate(): Buffer | undefined {
    this.#endSegment()
    if (this.#written === this.#settled) return undefined
    this.#end = this.#settled
    return this.#bytes.subarray(this.#written, this.#end)
  }

  /** What was given last is in the file. */
  written(): void {
    this.#written = this.#end
    this.#settled = this.#end
  }

  /** The next segment begins with the MAC of this one. */
  #endSegment(): void {
    const end = this.#settled
    if (end === this.#begin) return
    const block = macBlock(this.#mac, [this.#bytes.subarray(0, end)], 0)
    if (this.#bytes.length > RESTING_BYTES) this.#resize(RESTING_BYTES, 0)
    this.#bytes.set(block)
    this.#begin = MAC_BLOCK_BYTES
    this.#settled = MAC_BLOCK_BYTES
    this.#written = 0
  }

  #reserve(length: number): void {
    if (length > this.#bytes.length) this.#resize(length, this.#settled)
  }

  #resize(length: number, kept: number): void {
    const bytes = Buffer.allocUnsafeSlow(length)
    this.#bytes.copy(bytes, 0, 0, kept)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}

/**
 * The MAC block for a segment: HMAC-SHA-256 (RFC 2104) over all of it, from the file header or the MAC block before it on,
 * and over the block's own header. `late`: how many bytes of blocks had no MAC when a repair found them; 0 from the
 * writer.
 */
export function macBlock(key: KeyObject, segment: Iterable<Uint8Array>, late: number): Buffer {
  const block = Buffer.alloc(MAC_BLOCK_BYTES)
  const view = new DataView(block.buffer, block.byteOffset, block.length)
  view.setUint32(BLOCK.magic, MAC_MAGIC, true)
  view.setUint32(BLOCK.length, MAC_BLOCK_BYTES, true)
  putUint64(view, BLOCK.late, late)
  const hmac = createHmac('sha256', key)
  for (const piece of segment) hmac.update(piece)
  block.set(hmac.update(block.subarray(0, BLOCK_HEADER_BYTES)).digest(), BLOCK_HEADER_BYTES)
  return block
}
