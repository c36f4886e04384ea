import { decodeUtf8, showText } from './text.ts'
import { violation } from './violation.ts'

/** A text up to this length is scanned byte by byte. */
const NEAR_BYTES = 32

/**
 * A cursor over one message, `buffer[start, end)`. Integers are big-endian, as in network formats. Every read is
 * checked against the end of the message, not of the buffer: reading past it throws `protocol_violation`.
 * Sub-arrays share the buffer's memory and live as long as it does.
 */
export class Reader {
  readonly #buffer: Buffer
  readonly #end: number
  #at: number

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    if (start < 0 || start > end || end > buffer.length)
      throw new RangeError('a message must lie inside its buffer')
    this.#buffer = buffer
    this.#at = start
    this.#end = end
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#end - this.#at
  }

  /** Where the next read begins, as an offset into the buffer. */
  get at(): number {
    return this.#at
  }

  uint8(): number {
    return this.#buffer.readUInt8(this.#advance(1))
  }

  int16(): number {
    return this.#buffer.readInt16BE(this.#advance(2))
  }

  uint16(): number {
    return this.#buffer.readUInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#advance(4))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4))
  }

  /** The next `length` bytes. A negative length is a violation like one that is too long. */
  bytes(length: number): Buffer {
    const from = this.#advance(length)
    return this.#buffer.subarray(from, from + length)
  }

  /** Everything that is left. */
  rest(): Buffer {
    return this.bytes(this.remaining)
  }

  /** The bytes before the next zero byte, which is skipped. */
  cstringBytes(): Buffer {
    const from = this.#at
    const zero = this.#zero()
    return this.#buffer.subarray(from, zero)
  }

  /** The text before the next zero byte, which must be UTF-8. */
  cstring(): string {
    const from = this.#at
    const zero = this.#zero()
    return decodeUtf8(this.#buffer, from, zero)
  }

  /** The text before the next zero byte, for people: never fails over its encoding. */
  cstringShown(): string {
    const from = this.#at
    const zero = this.#zero()
    return showText(this.#buffer, from, zero)
  }

  /**
   * A count of items that follow, each at least `itemBytesMin` long: a count that cannot fit into what is left is
   * refused before anyone makes room for it.
   */
  count16(itemBytesMin: number): number {
    const count = this.uint16()
    if (count * itemBytesMin > this.remaining) throw violation('A message counts more items than it holds.')
    return count
  }

  /** Ends the message: bytes left over are a violation. */
  done(): void {
    if (this.#at !== this.#end) throw violation('A message holds more bytes than its content.')
  }

  #advance(length: number): number {
    const from = this.#at
    if (length < 0 || length > this.#end - from) throw violation('A message ended before its content did.')
    this.#at = from + length
    return from
  }

  /** Moves behind the next zero byte and returns where it is. */
  #zero(): number {
    // Names are short: looking for their end here costs less than the call that does it for long texts.
    const near = Math.min(this.#end, this.#at + NEAR_BYTES)
    for (let at = this.#at; at < near; at++) {
      if (this.#buffer[at] !== 0) continue
      this.#at = at + 1
      return at
    }
    const zero = this.#buffer.indexOf(0, near)
    if (zero < 0 || zero >= this.#end) throw violation('A text in a message had no end.')
    this.#at = zero + 1
    return zero
  }
}
