import { GatewayError } from '../../../core/index.ts'
import type { CellMasker } from '../../../session/index.ts'
import { maskedCell } from '../../../session/index.ts'
import { CopyFrames } from './copy-frames.ts'
import type { RowTarget } from './row-target.ts'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const HEADER_BYTES = SIGNATURE.length + 8
/** A header says how long its extension is; the server has none. */
const EXTENSION_BYTES_MAX = 1024
const FIELD_BYTES_MAX = 1024 * 1024 * 1024

/**
 * The binary format of COPY, https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS: a header, rows
 * of counted fields, each with its length, and a count of -1 at the end.
 */
export class CopyBinary {
  readonly #frames = new CopyFrames()
  readonly #columns: readonly (CellMasker | undefined)[]
  /** What is read now: a piece of fixed length, the body of a field, or nothing any more. */
  #reading: 'header' | 'extension' | 'count' | 'length' | 'field' | 'nothing' = 'header'
  #head = Buffer.alloc(HEADER_BYTES)
  #filled = 0
  #wanted = HEADER_BYTES
  #column = 0
  /** Of the field being read. */
  #left = 0
  #masker: CellMasker | undefined
  #value: Buffer[] = []
  #valueLeft = 0

  constructor(columns: readonly (CellMasker | undefined)[]) {
    this.#columns = columns
  }

  push(buffer: Buffer, start: number, end: number, target: RowTarget): void {
    let at = start
    while (at < end) {
      at = this.#reading === 'field' ? this.#field(buffer, at, end) : this.#fixed(buffer, at, end)
      if (this.#frames.isFull) this.#frames.take(target)
    }
  }

  take(target: RowTarget): void {
    this.#frames.take(target)
  }

  end(target: RowTarget): void {
    if (this.#reading !== 'nothing') throw malformed()
    this.#frames.take(target)
  }

  #fixed(buffer: Buffer, at: number, end: number): number {
    if (this.#reading === 'nothing') throw malformed()
    const taken = Math.min(this.#wanted - this.#filled, end - at)
    buffer.copy(this.#head, this.#filled, at, at + taken)
    this.#filled += taken
    if (this.#filled === this.#wanted) this.#piece(this.#head.subarray(0, this.#wanted))
    return at + taken
  }

  #expect(reading: 'extension' | 'count' | 'length', bytes: number): void {
    this.#reading = reading
    this.#wanted = bytes
    this.#filled = 0
    if (bytes > this.#head.length) this.#head = Buffer.alloc(bytes)
  }

  #piece(piece: Buffer): void {
    switch (this.#reading) {
      case 'header': {
        if (!piece.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw malformed()
        const flags = piece.readUInt32BE(SIGNATURE.length)
        const extension = piece.readUInt32BE(SIGNATURE.length + 4)
        // Flags change what follows; there are none since oids went (version 12).
        if (flags !== 0 || extension > EXTENSION_BYTES_MAX) throw malformed()
        this.#frames.bytes(piece, 0, piece.length)
        if (extension > 0) this.#expect('extension', extension)
        else this.#expect('count', 2)
        return
      }
      case 'extension':
        this.#frames.bytes(piece, 0, piece.length)
        this.#expect('count', 2)
        return
      case 'count': {
        const count = piece.readInt16BE()
        if (count !== -1 && count !== this.#columns.length) throw malformed()
        this.#frames.bytes(piece, 0, piece.length)
        this.#column = 0
        if (count === -1) {
          this.#frames.endRow()
          this.#reading = 'nothing'
        } else {
          this.#nextField()
        }
        return
      }
      case 'length':
        this.#beginField(piece.readInt32BE())
        return
      default:
        throw malformed()
    }
  }

  #nextField(): void {
    if (this.#column < this.#columns.length) {
      this.#expect('length', 4)
      return
    }
    this.#frames.endRow()
    this.#expect('count', 2)
  }

  #beginField(length: number): void {
    if (length < -1 || length > FIELD_BYTES_MAX) throw malformed()
    this.#masker = this.#columns[this.#column]
    this.#left = Math.max(length, 0)
    this.#value = []
    this.#valueLeft = Math.min(this.#left, this.#masker?.keeps ?? 0)
    if (length < 0 || this.#masker === undefined) this.#writeLength(length)
    this.#reading = 'field'
    if (this.#left === 0) this.#endField(length < 0)
  }

  #field(buffer: Buffer, at: number, end: number): number {
    const taken = Math.min(this.#left, end - at)
    if (this.#masker === undefined) {
      this.#frames.bytes(buffer, at, at + taken)
    } else if (this.#valueLeft > 0) {
      const kept = Math.min(this.#valueLeft, taken)
      this.#value.push(Buffer.from(buffer.subarray(at, at + kept)))
      this.#valueLeft -= kept
    }
    this.#left -= taken
    if (this.#left === 0) this.#endField(false)
    return at + taken
  }

  #endField(isNull: boolean): void {
    if (this.#masker !== undefined && !isNull) {
      const [only = Buffer.alloc(0), ...more] = this.#value
      const shown = maskedCell(this.#masker, more.length === 0 ? only : Buffer.concat(this.#value))
      this.#writeLength(shown === null ? -1 : shown.length)
      if (shown !== null) this.#frames.bytes(shown, 0, shown.length)
    }
    this.#value = []
    this.#column++
    this.#nextField()
  }

  #writeLength(length: number): void {
    const { buffer, at } = this.#frames.room(4)
    buffer.writeInt32BE(length, at)
    this.#frames.written(4)
  }
}

export function malformed(): GatewayError {
  return new GatewayError(
    'protocol_violation',
    'The upstream sent rows of COPY that are not what was asked for.',
  )
}
