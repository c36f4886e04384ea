import { GatewayError } from '../../../core/index.ts'
import type { CopySearch, Look } from './value-search.ts'
import { ValueSearch } from './value-search.ts'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const HEADER_BYTES = SIGNATURE.length + 8

/** The binary format of COPY: a header, rows of counted fields, each with its length, and a count of -1 at the end. */
export class BinarySearch implements CopySearch {
  readonly #looks: readonly (Look | undefined)[]
  readonly #value = new ValueSearch()
  #reading: 'header' | 'extension' | 'count' | 'length' | 'field' | 'nothing' = 'header'
  readonly #head = Buffer.alloc(HEADER_BYTES)
  #filled = 0
  #wanted = HEADER_BYTES
  #column = 0
  /** Of the field or extension being read. */
  #left = 0

  constructor(looks: readonly (Look | undefined)[]) {
    this.#looks = looks
  }

  push(buffer: Buffer, start: number, end: number): void {
    let at = start
    while (at < end) {
      if (this.#reading === 'nothing') throw malformed()
      const long = this.#reading === 'field' || this.#reading === 'extension'
      at = long ? this.#body(buffer, at, end) : this.#fixed(buffer, at, end)
    }
  }

  /** What is missing at the end the server misses too. */
  end(): void {}

  #body(buffer: Buffer, at: number, end: number): number {
    const taken = Math.min(this.#left, end - at)
    if (this.#reading === 'field' && this.#value.isOn) this.#value.bytes(buffer, at, at + taken)
    this.#left -= taken
    if (this.#left === 0) this.#endBody()
    return at + taken
  }

  #endBody(): void {
    if (this.#reading === 'extension') {
      this.#expect('count', 2)
      return
    }
    this.#value.end()
    this.#nextField()
  }

  #fixed(buffer: Buffer, at: number, end: number): number {
    const taken = Math.min(this.#wanted - this.#filled, end - at)
    buffer.copy(this.#head, this.#filled, at, at + taken)
    this.#filled += taken
    if (this.#filled === this.#wanted) this.#piece(this.#head)
    return at + taken
  }

  #expect(reading: 'count' | 'length', bytes: number): void {
    this.#reading = reading
    this.#wanted = bytes
    this.#filled = 0
  }

  #piece(piece: Buffer): void {
    if (this.#reading === 'header') {
      const left = piece.readInt32BE(SIGNATURE.length + 4)
      if (!piece.subarray(0, SIGNATURE.length).equals(SIGNATURE) || left < 0) throw malformed()
      this.#left = left
      this.#reading = 'extension'
      if (left === 0) this.#endBody()
    } else if (this.#reading === 'count') {
      const count = piece.readInt16BE()
      if (count !== -1 && count !== this.#looks.length) throw malformed()
      this.#column = -1
      if (count === -1) this.#reading = 'nothing'
      else this.#nextField()
    } else {
      const length = piece.readInt32BE()
      if (length < -1) throw malformed()
      this.#left = Math.max(length, 0)
      this.#value.begin(length < 0 ? undefined : this.#looks[this.#column])
      this.#reading = 'field'
      if (this.#left === 0) this.#endBody()
    }
  }

  #nextField(): void {
    this.#column++
    if (this.#column < this.#looks.length) this.#expect('length', 4)
    else this.#expect('count', 2)
  }
}

function malformed(): GatewayError {
  return new GatewayError('invalid', 'Send rows in the binary form of COPY: these are not.', {
    retry: 'only-if-changed',
  })
}
