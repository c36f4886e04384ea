import { crc32 } from 'node:zlib'
import { GatewayError, LIMITS } from '../../core/index.ts'
import { FRAME, FRAME_HEADER_BYTES, FRAME_MAGIC, putUint64 } from '../files/format.ts'
import type { SplitEntryJson } from './heads.ts'

/** Above this many characters the exact size is worth counting; below, three bytes per character are set aside. */
const COUNT_CHARACTERS_MIN = 4096
/** What the buffer holds at rest; a burst makes it grow, the next `clear` gives the rest back. */
const RESTING_BYTES = 1024 * 1024
/** What it begins with. */
const FIRST_BYTES = 64 * 1024

/** Frames of one file waiting for one write: encoded in place, one after the other, in memory that is used again. */
export class FrameBuffer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** What waits, as one piece; valid until the next call of any other method. */
  get waiting(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** The most bytes a frame of this can take. */
  static sizeOf({ head, payloadBytes }: SplitEntryJson): number {
    const headBytes = head.length < COUNT_CHARACTERS_MIN ? head.length * 3 : Buffer.byteLength(head)
    return FRAME_HEADER_BYTES + headBytes + payloadBytes
  }

  /** Adds a frame. Throws GatewayError `limit_exceeded` for one that is too large; then nothing was added. */
  push(code: number, session: number, sequence: number, time: number, entry: SplitEntryJson): void {
    const sizeMax = FrameBuffer.sizeOf(entry)
    if (sizeMax > LIMITS.frameBytesMax) {
      throw new GatewayError('limit_exceeded', 'An entry is too large for the recording.', {
        facts: { bytes: sizeMax, bytesMax: LIMITS.frameBytesMax },
      })
    }
    const start = this.#length
    this.#reserve(start + sizeMax)
    const bytes = this.#bytes
    const view = this.#view
    const headLength = bytes.write(entry.head, start + FRAME_HEADER_BYTES, 'utf8')
    let end = start + FRAME_HEADER_BYTES + headLength
    for (const payload of entry.payloads) {
      if (typeof payload === 'string') end += bytes.write(payload, end, 'utf8')
      else {
        bytes.set(payload, end)
        end += payload.length
      }
    }
    view.setUint32(start + FRAME.magic, FRAME_MAGIC, true)
    view.setUint32(start + FRAME.length, end - start, true)
    // With three bytes behind it that are kept at zero.
    view.setUint32(start + FRAME.kind, code, true)
    view.setUint32(start + FRAME.session, session, true)
    view.setUint32(start + FRAME.headLength, headLength, true)
    putUint64(view, start + FRAME.sequence, sequence)
    putUint64(view, start + FRAME.time, time)
    view.setUint32(start + FRAME.crc, crc32(bytes.subarray(start + FRAME.checked, end)), true)
    this.#length = end
  }

  clear(): void {
    this.#length = 0
    if (this.#bytes.length > RESTING_BYTES) this.#resize(RESTING_BYTES)
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return
    this.#resize(Math.max(length, this.#bytes.length * 2))
  }

  #resize(length: number): void {
    const bytes = Buffer.allocUnsafeSlow(length)
    bytes.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}
