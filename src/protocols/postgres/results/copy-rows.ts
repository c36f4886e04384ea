import type { CopyForm } from '../../../core/index.ts'
import type { CellMasker } from '../../../session/index.ts'
import { maskedCell } from '../../../session/index.ts'
import { CopyBinary, malformed } from './copy-binary.ts'
import { CopyFrames } from './copy-frames.ts'
import type { RowTarget } from './row-target.ts'

/** Masks the rows of one COPY ... TO STDOUT as they stream by, cut anywhere, in memory that does not grow with them. */
export interface CopyRows {
  /** The next bytes that the server sent as CopyData. */
  push(buffer: Buffer, start: number, end: number, target: RowTarget): void
  /** Hands over, as CopyData, what is ready. */
  take(target: RowTarget): void
  /** The server has sent all. Throws when it stopped in the middle of a row. */
  end(target: RowTarget): void
}

/** `columns`: by position, what hides the values; undefined: they are passed on. */
export function copyRows(form: CopyForm, columns: readonly (CellMasker | undefined)[]): CopyRows {
  return form.kind === 'binary' ? new CopyBinary(columns) : new CopyLines(form, columns)
}

const NEWLINE = 0x0a
const BACKSLASH = 0x5c

/** Control characters that the text format writes as a backslash and a letter. */
const LETTERS = new Map(
  [...'bfnrtv'].map((letter, i) => [[8, 12, 10, 13, 9, 11][i] ?? 0, letter.charCodeAt(0)]),
)
const CONTROLS = new Map([...LETTERS].map(([control, letter]) => [letter, control]))

/** Where the reader stands in a field. */
type Place = 'begin' | 'plain' | 'escaped' | 'quoted' | 'quoted-escape' | 'quote-seen'

/**
 * Text and CSV, https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS. Fields that are not masked
 * pass as they are written; of those that are, no more is kept than their masker wants to see.
 */
class CopyLines implements CopyRows {
  readonly #frames = new CopyFrames()
  readonly #columns: readonly (CellMasker | undefined)[]
  readonly #csv: boolean
  readonly #delimiter: number
  readonly #quote: number
  readonly #escape: number
  readonly #null: Buffer
  /** Bytes that may mean something inside a field. */
  readonly #special = new Uint8Array(256)
  #place: Place = 'begin'
  #column = 0
  #masker: CellMasker | undefined
  /** The first row is names, and is passed on. */
  #isHeader: boolean
  /** Of a masked field: its value without escapes, as much as is wanted, and how it was written, to know NULL. */
  #wanted = 0
  #value: Buffer
  #valueLength = 0
  #raw: Buffer
  #rawLength = 0
  #wasQuoted = false

  constructor(form: CopyForm & { kind: 'text' | 'csv' }, columns: readonly (CellMasker | undefined)[]) {
    this.#columns = columns
    this.#csv = form.kind === 'csv'
    this.#delimiter = byteOf(form.delimiter)
    this.#quote = form.kind === 'csv' ? byteOf(form.quote) : -1
    this.#escape = form.kind === 'csv' ? byteOf(form.escape) : BACKSLASH
    this.#null = Buffer.from(form.null)
    const meaning = this.#csv ? [this.#quote, this.#escape] : [BACKSLASH]
    for (const byte of [this.#delimiter, NEWLINE, ...meaning]) this.#special[byte] = 1
    this.#isHeader = form.header
    this.#value = Buffer.alloc(0)
    this.#raw = Buffer.alloc(this.#null.length + 1)
    this.#beginField()
  }

  push(buffer: Buffer, start: number, end: number, target: RowTarget): void {
    let at = start
    while (at < end) {
      at = this.#masker === undefined ? this.#clear(buffer, at, end) : this.#hidden(buffer, at, end)
      if (this.#frames.isFull) this.#frames.take(target)
    }
  }

  take(target: RowTarget): void {
    this.#frames.take(target)
  }

  end(target: RowTarget): void {
    if (this.#column !== 0 || this.#place !== 'begin') throw malformed()
    this.#frames.take(target)
  }

  /** Passes on what is there of a field that is not masked, and what ends it. */
  #clear(buffer: Buffer, from: number, end: number): number {
    for (let at = this.#plainEnd(buffer, from, end); at < end; at = this.#plainEnd(buffer, at + 1, end)) {
      const byte = buffer[at] ?? 0
      if (!this.#endsField(byte)) continue
      this.#frames.bytes(buffer, from, at + 1)
      this.#endField(byte)
      return at + 1
    }
    this.#frames.bytes(buffer, from, end)
    return end
  }

  /** Where the next byte stands that may mean something, looking at no more of a field than it takes to find it. */
  #plainEnd(buffer: Buffer, from: number, end: number): number {
    if (this.#place !== 'plain' && this.#place !== 'quoted') return from
    let at = from
    while (at < end && this.#special[buffer[at] ?? 0] === 0) at++
    return at
  }

  #hidden(buffer: Buffer, from: number, end: number): number {
    for (let at = from; at < end; at++) {
      if (this.#valueLength >= this.#wanted && this.#rawLength === this.#raw.length) {
        at = this.#plainEnd(buffer, at, end)
        if (at === end) break
      }
      const byte = buffer[at] ?? 0
      if (this.#endsField(byte)) {
        this.#writeMasked()
        this.#frames.byte(byte)
        this.#endField(byte)
        return at + 1
      }
      if (this.#rawLength < this.#raw.length) this.#raw[this.#rawLength++] = byte
    }
    return end
  }

  /** Takes a byte, and tells whether it is the delimiter or the end of the line: then it is no part of the field. */
  #endsField(byte: number): boolean {
    switch (this.#place) {
      case 'begin':
      case 'plain':
        if (byte === this.#delimiter || byte === NEWLINE) return true
        if (this.#csv && this.#place === 'begin' && byte === this.#quote) {
          this.#place = 'quoted'
          this.#wasQuoted = true
        } else if (!this.#csv && byte === BACKSLASH) {
          this.#place = 'escaped'
        } else {
          this.#place = 'plain'
          this.#keep(byte)
        }
        return false
      case 'escaped':
        this.#keep(CONTROLS.get(byte) ?? byte)
        this.#place = 'plain'
        return false
      case 'quoted':
        // Where both are the same byte, the next one tells which of the two it was.
        if (byte === this.#quote) this.#place = 'quote-seen'
        else if (byte === this.#escape) this.#place = 'quoted-escape'
        else this.#keep(byte)
        return false
      case 'quoted-escape':
        if (byte !== this.#quote && byte !== this.#escape) this.#keep(this.#escape)
        this.#keep(byte)
        this.#place = 'quoted'
        return false
      case 'quote-seen':
        if (byte === this.#delimiter || byte === NEWLINE) return true
        if (byte !== this.#quote || this.#escape !== this.#quote) throw malformed()
        this.#keep(byte)
        this.#place = 'quoted'
        return false
    }
  }

  #keep(byte: number): void {
    const wanted = this.#wanted
    if (this.#valueLength >= wanted) return
    if (this.#valueLength === this.#value.length) {
      const larger = Buffer.allocUnsafe(Math.min(wanted, Math.max(256, 2 * this.#value.length)))
      this.#value.copy(larger, 0, 0, this.#valueLength)
      this.#value = larger
    }
    this.#value[this.#valueLength++] = byte
  }

  #writeMasked(): void {
    const masker = this.#masker
    const isNull = !this.#wasQuoted && this.#raw.subarray(0, this.#rawLength).equals(this.#null)
    const shown =
      masker === undefined || isNull ? null : maskedCell(masker, this.#value.subarray(0, this.#valueLength))
    if (shown === null) this.#frames.bytes(this.#null, 0, this.#null.length)
    else if (this.#csv) this.#writeCsv(Buffer.from(shown.buffer, shown.byteOffset, shown.length))
    else this.#writeText(shown)
  }

  #writeText(shown: Uint8Array): void {
    for (const byte of shown) {
      const letter = LETTERS.get(byte)
      if (letter !== undefined || byte === BACKSLASH || byte === this.#delimiter) this.#frames.byte(BACKSLASH)
      this.#frames.byte(letter ?? byte)
    }
  }

  /** In quotes where it has to be, as the server decides it, and where it was. */
  #writeCsv(shown: Buffer): void {
    const special = [this.#delimiter, this.#quote, NEWLINE, 0x0d]
    const quotes =
      this.#wasQuoted ||
      shown.equals(this.#null) ||
      shown.equals(END_OF_DATA) ||
      special.some((byte) => shown.includes(byte))
    if (!quotes) {
      this.#frames.bytes(shown, 0, shown.length)
      return
    }
    this.#frames.byte(this.#quote)
    for (const byte of shown) {
      if (byte === this.#quote || byte === this.#escape) this.#frames.byte(this.#escape)
      this.#frames.byte(byte)
    }
    this.#frames.byte(this.#quote)
  }

  #endField(byte: number): void {
    if (byte === NEWLINE) {
      // A row of no columns is one empty field.
      const fields = Math.max(this.#columns.length, 1)
      if (this.#column !== fields - 1) throw malformed()
      this.#column = 0
      this.#isHeader = false
      this.#frames.endRow()
    } else {
      this.#column++
      // More fields than columns: nobody knows which is which.
      if (this.#column >= this.#columns.length) throw malformed()
    }
    this.#beginField()
  }

  #beginField(): void {
    this.#place = 'begin'
    this.#masker = this.#isHeader ? undefined : this.#columns[this.#column]
    this.#wanted = this.#masker?.keeps ?? 0
    this.#valueLength = 0
    this.#rawLength = 0
    this.#wasQuoted = false
  }
}

const END_OF_DATA = Buffer.from('\\.')

function byteOf(text: string): number {
  const bytes = Buffer.from(text)
  const [byte] = bytes
  if (byte === undefined || bytes.length !== 1)
    throw new TypeError('a delimiter, quote or escape is one byte')
  return byte
}
