import type { CopyForm } from '../../../core/index.ts'
import type { CopySearch, Look } from './value-search.ts'
import { ValueSearch } from './value-search.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d
const BACKSLASH = 0x5c

/** What the text format writes as a backslash and a letter. */
const CONTROLS = new Map(
  [...'bfnrtv'].map((letter, i) => [letter.charCodeAt(0), [8, 12, 10, 13, 9, 11][i] ?? 0]),
)

/** Where the reader stands in a field. */
type Place = 'plain' | 'escaped' | 'octal' | 'hex' | 'quoted' | 'quoted-escape' | 'quote-seen'

/**
 * Text and CSV as the server reads them (`CopyReadLineText`, `CopyReadAttributesText`, `CopyReadAttributesCSV`), which is
 * more than it writes: lines may end in CR, characters be written as octal or hexadecimal numbers, and quotes begin in
 * the middle of a field. A line end of both CR and LF is a line and an empty one, in which there is nothing to find.
 */
export class LineSearch implements CopySearch {
  readonly #looks: readonly (Look | undefined)[]
  readonly #value = new ValueSearch()
  readonly #csv: boolean
  readonly #delimiter: number
  readonly #quote: number
  readonly #escape: number
  readonly #null: Buffer
  /** Bytes that may mean something inside a field. */
  readonly #special = new Uint8Array(256)
  #place: Place = 'plain'
  #column = 0
  /** The first line is names. */
  #isHeader: boolean
  /** No part of the field was quoted or escaped. */
  #isBare = true
  #code = 0
  #digits = 0

  constructor(form: CopyForm & { kind: 'text' | 'csv' }, looks: readonly (Look | undefined)[]) {
    this.#looks = looks
    this.#csv = form.kind === 'csv'
    this.#delimiter = form.delimiter.charCodeAt(0)
    this.#quote = form.kind === 'csv' ? form.quote.charCodeAt(0) : -1
    this.#escape = form.kind === 'csv' ? form.escape.charCodeAt(0) : -1
    this.#null = Buffer.from(form.null)
    const meaning = this.#csv ? [this.#quote, this.#escape] : [BACKSLASH]
    for (const byte of [this.#delimiter, NEWLINE, RETURN, ...meaning]) this.#special[byte] = 1
    this.#isHeader = form.header
    this.#beginField()
  }

  push(buffer: Buffer, start: number, end: number): void {
    let at = start
    while (at < end) {
      if (this.#place === 'plain' || this.#place === 'quoted') {
        const from = at
        while (at < end && this.#special[buffer[at] ?? 0] === 0) at++
        if (at > from && this.#value.isOn) this.#value.bytes(buffer, from, at)
        if (at === end) return
      }
      this.#byte(buffer[at] ?? 0)
      at++
    }
  }

  end(): void {
    this.#endField()
  }

  #byte(byte: number): void {
    switch (this.#place) {
      case 'plain':
        this.#plain(byte)
        return
      case 'escaped':
        this.#escaped(byte)
        return
      case 'octal':
      case 'hex':
        this.#digit(byte)
        return
      case 'quoted':
        // Where both are the same byte, the next one tells which of the two it was.
        if (byte === this.#quote) this.#place = 'quote-seen'
        else if (byte === this.#escape) this.#place = 'quoted-escape'
        else this.#keep(byte)
        return
      case 'quoted-escape':
        if (byte === this.#quote || byte === this.#escape) {
          this.#keep(byte)
          this.#place = 'quoted'
          return
        }
        this.#keep(this.#escape)
        this.#place = 'quoted'
        this.#byte(byte)
        return
      case 'quote-seen':
        if (byte === this.#quote && this.#escape === this.#quote) {
          this.#keep(byte)
          this.#place = 'quoted'
          return
        }
        this.#place = 'plain'
        this.#plain(byte)
    }
  }

  #plain(byte: number): void {
    if (byte === this.#delimiter || byte === NEWLINE || byte === RETURN) {
      this.#endField()
      if (byte === this.#delimiter) {
        this.#column++
      } else {
        this.#column = 0
        this.#isHeader = false
      }
      this.#beginField()
    } else if (byte === this.#quote) {
      this.#isBare = false
      this.#place = 'quoted'
    } else if (byte === BACKSLASH && !this.#csv) {
      this.#isBare = false
      this.#place = 'escaped'
    } else {
      this.#keep(byte)
    }
  }

  #escaped(byte: number): void {
    const octal = octalOf(byte)
    if (octal >= 0) {
      this.#code = octal
      this.#digits = 1
      this.#place = 'octal'
    } else if (byte === 0x78) {
      this.#code = 0
      this.#digits = 0
      this.#place = 'hex'
    } else {
      this.#keep(CONTROLS.get(byte) ?? byte)
      this.#place = 'plain'
    }
  }

  #digit(byte: number): void {
    const isHex = this.#place === 'hex'
    const digit = isHex ? hexOf(byte) : octalOf(byte)
    if (digit >= 0) {
      this.#code = (this.#code * (isHex ? 16 : 8) + digit) & 0xff
      this.#digits++
      if (this.#digits === (isHex ? 2 : 3)) this.#endCode()
      return
    }
    this.#endCode()
    this.#plain(byte)
  }

  #endCode(): void {
    // \x without a digit is an x.
    this.#keep(this.#digits === 0 ? 0x78 : this.#code)
    this.#place = 'plain'
  }

  #keep(byte: number): void {
    if (this.#value.isOn) this.#value.byte(byte)
  }

  #beginField(): void {
    this.#place = 'plain'
    this.#isBare = true
    this.#value.begin(this.#isHeader ? undefined : this.#looks[this.#column])
  }

  #endField(): void {
    if (this.#place === 'octal' || this.#place === 'hex') this.#endCode()
    // What the client calls NULL is not stored.
    if (!(this.#isBare && this.#value.is(this.#null))) this.#value.end()
  }
}

function octalOf(byte: number): number {
  return byte >= 0x30 && byte <= 0x37 ? byte - 0x30 : -1
}

function hexOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
