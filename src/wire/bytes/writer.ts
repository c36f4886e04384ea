import { GatewayError } from '../../core/errors.ts'

const FIRST_BYTES = 256

/** A buffer that grows as it is written. Integers are big-endian, as in network formats. */
export class Writer {
  #buffer: Buffer
  #at = 0

  constructor(bytesExpected = FIRST_BYTES) {
    this.#buffer = Buffer.allocUnsafe(bytesExpected)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at
  }

  uint8(value: number): this {
    this.#reserve(1)
    this.#at = this.#buffer.writeUInt8(value, this.#at)
    return this
  }

  int16(value: number): this {
    this.#reserve(2)
    this.#at = this.#buffer.writeInt16BE(value, this.#at)
    return this
  }

  uint16(value: number): this {
    this.#reserve(2)
    this.#at = this.#buffer.writeUInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#at = this.#buffer.writeInt32BE(value, this.#at)
    return this
  }

  uint32(value: number): this {
    this.#reserve(4)
    this.#at = this.#buffer.writeUInt32BE(value, this.#at)
    return this
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
    return this
  }

  /** Text as UTF-8 without a terminator. */
  text(value: string): this {
    if (value === '') return this
    this.#reserve(Buffer.byteLength(value))
    this.#at += this.#buffer.write(value, this.#at)
    return this
  }

  /**
   * Text or bytes and a zero byte. A zero byte inside would end the text early and turn the rest into content of its
   * own, so it is refused.
   */
  cstring(value: string | Uint8Array): this {
    const broken = typeof value === 'string' ? value.includes('\0') : value.includes(0)
    if (broken) throw new GatewayError('invalid', 'A text that goes into a message may not hold a zero byte.')
    if (typeof value === 'string') this.text(value)
    else this.bytes(value)
    return this.uint8(0)
  }

  /** Overwrites four bytes written earlier: how a length gets in front of what it measures. */
  patchInt32(at: number, value: number): this {
    if (at + 4 > this.#at) throw new RangeError('only what was written can be patched')
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  /** Hands over what was written and begins anew; the bytes are the caller's. */
  take(): Buffer {
    const written = this.#buffer.subarray(0, this.#at)
    this.#buffer = Buffer.allocUnsafe(FIRST_BYTES)
    this.#at = 0
    return written
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#at)
    this.#buffer = grown
  }
}
