import { isUtf8 } from 'node:buffer'
import { LIMITS } from '../../core/index.ts'
import { DEAD } from '../json-paths.ts'
import type { Place } from '../json-paths.ts'
import { Field, unreadable } from './field.ts'
import { placeOfName, stepsOf } from './flat-name.ts'
import { Output } from './output.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'
import { QUOTED_TEXT, UNQUOTED_TEXT } from './text-coding.ts'

const QUOTE = 0x22
const CR = 0x0d
const LF = 0x0a
const DELIMITERS = [',', ';', '\t', '|']

/** What is known of a table besides its bytes: the parameter `header` of its type, and whether it is separated by tabs. */
export type CsvForm = { readonly header: 'present' | 'absent' | 'unknown'; readonly tabs: boolean }

type Expect = 'head' | 'field' | 'plain' | 'quoted' | 'quote' | 'end of line'

/**
 * Tables as in RFC 4180: the first row has the names, a row is an element of the list that a path
 * names first, with the fields as its members. Fields beyond the names are hidden whole. What readers of tables are
 * not of one mind about (a quote inside of a plain field, a lone CR, two kinds of separators among the names, a second table behind
 * an empty line) is not read, and neither is a table in whose names none of the paths is found: it may have none. Names may be paths
 * themselves, as programs write them that flatten records: `customer.email`.
 */
export class CsvBody implements BodyMasking {
  readonly #plan: BodyPlan
  readonly #tally: Tally
  readonly #form: CsvForm
  readonly #plain: Field
  readonly #quoted: Field
  readonly #out = new Output()
  #expect: Expect = 'head'
  #head = Buffer.alloc(0)
  #headQuoted = false
  #places: readonly Place[] = []
  #delimiter = 0x2c
  #column = 0
  /** A line with nothing in it was read. */
  #gap = false

  constructor(plan: BodyPlan, form: CsvForm) {
    this.#plan = plan
    this.#form = form
    this.#tally = plan.tally()
    this.#plain = new Field(plan, this.#tally, UNQUOTED_TEXT)
    this.#quoted = new Field(plan, this.#tally, QUOTED_TEXT)
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    if (bytes.includes(0)) throw unreadable('has a byte in it that is no text')
    let at = this.#expect === 'head' ? this.#names(bytes) : 0
    while (at < bytes.length) at = this.#step(bytes, at)
    return this.#out.take()
  }

  end(): Uint8Array {
    switch (this.#expect) {
      case 'head':
        if (this.#head.length > 0) this.#headEnds()
        break
      case 'plain':
        this.#out.add(this.#plain.end())
        break
      case 'quote':
        this.#closeQuote()
        break
      case 'quoted':
        throw unreadable('ends inside of a quoted field')
      default:
        break
    }
    return this.#out.take()
  }

  /** Collects the first row; gives where the second begins. */
  #names(bytes: Uint8Array): number {
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === QUOTE) this.#headQuoted = !this.#headQuoted
      if (bytes[at] !== LF || this.#headQuoted) continue
      this.#keepHead(bytes.subarray(0, at + 1))
      this.#headEnds()
      return at + 1
    }
    this.#keepHead(bytes)
    return bytes.length
  }

  #keepHead(bytes: Uint8Array): void {
    if (this.#head.length + bytes.length > LIMITS.bodyNamesBytesMax)
      throw unreadable('has too long a first row')
    this.#head = Buffer.concat([this.#head, bytes])
  }

  #headEnds(): void {
    if (this.#headQuoted || !isUtf8(this.#head)) throw unreadable('has no names in its first row')
    const text = this.#head.toString().replace(/^\ufeff/, '')
    const row = text.replace(/\r?\n$/, '')
    this.#delimiter = this.#delimiterOf(row).charCodeAt(0)
    const names = namesOf(row, String.fromCharCode(this.#delimiter))
    const { paths } = this.#plan
    if (paths.assignments.length > 0) {
      if (/^"?sep=/i.test(row)) throw unreadable('says in its first row how it is separated')
      const found = names.some((name) => paths.knows(name) || stepsOf(name).some((step) => paths.knows(step)))
      const isTold = this.#form.header === 'present'
      if (this.#form.header === 'absent' || (!found && !isTold))
        throw unreadable('has no names that are known')
    }
    const place = paths.row
    this.#places = names.map((name) => placeOfName(paths, place, name))
    this.#out.add(this.#head)
    this.#head = Buffer.alloc(0)
    this.#expect = 'field'
  }

  #delimiterOf(row: string): string {
    if (this.#form.tabs) return '\t'
    const unquoted = row.replaceAll(/"(?:[^"]|"")*"/g, '')
    const found = DELIMITERS.filter((each) => unquoted.includes(each))
    if (found.length > 1) throw unreadable('has two kinds of separators in its first row')
    return found[0] ?? ','
  }

  #step(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0
    switch (this.#expect) {
      case 'plain':
        return this.#run(bytes, at)
      case 'quoted': {
        const found = bytes.indexOf(QUOTE, at)
        const end = found < 0 ? bytes.length : found
        this.#out.add(this.#quoted.push(bytes.subarray(at, end)))
        if (found >= 0) this.#expect = 'quote'
        return end + 1
      }
      case 'quote':
        if (byte === QUOTE) {
          this.#out.add(this.#quoted.push(TWO_QUOTES))
          this.#expect = 'quoted'
          return at + 1
        }
        this.#closeQuote()
        return this.#fieldEnds(bytes, at)
      case 'end of line':
        if (byte !== LF) throw unreadable('has a lone carriage return outside of quotes')
        return this.#fieldEnds(bytes, at)
      default:
        return this.#fieldBegins(bytes, at)
    }
  }

  #fieldBegins(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0
    // An empty field is no value.
    if (byte === this.#delimiter || byte === LF || byte === CR) {
      if (this.#column === 0 && byte !== this.#delimiter) this.#gap = this.#places.length > 1
      return this.#fieldEnds(bytes, at)
    }
    if (this.#gap) throw unreadable('goes on behind an empty line, perhaps with another table')
    const isQuoted = byte === QUOTE
    const place = this.#places[this.#column]
    const isBeyond = place === undefined && this.#plan.paths.assignments.length > 0
    ;(isQuoted ? this.#quoted : this.#plain).begin(place ?? DEAD, isBeyond)
    this.#expect = isQuoted ? 'quoted' : 'plain'
    if (!isQuoted) return this.#run(bytes, at)
    this.#out.add(bytes.subarray(at, at + 1))
    return at + 1
  }

  #run(bytes: Uint8Array, start: number): number {
    let at = start
    for (; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0
      if (byte === this.#delimiter || byte === LF || byte === CR || byte === QUOTE) break
    }
    this.#out.add(this.#plain.push(bytes.subarray(start, at)))
    if (at === bytes.length) return at
    if (bytes[at] === QUOTE) throw unreadable('has a quote inside of a field without quotes')
    this.#out.add(this.#plain.end())
    return this.#fieldEnds(bytes, at)
  }

  #closeQuote(): void {
    this.#out.add(this.#quoted.end())
    this.#out.add(ONE_QUOTE)
  }

  /** Behind a field: what ends it is at `at`. */
  #fieldEnds(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0
    this.#out.add(bytes.subarray(at, at + 1))
    if (byte === CR) {
      this.#expect = 'end of line'
      return at + 1
    }
    if (byte !== this.#delimiter && byte !== LF) throw unreadable('has something behind a quoted field')
    this.#column = byte === LF ? 0 : this.#column + 1
    if (this.#column > LIMITS.csvFieldsMax) throw unreadable('has too many fields in a row')
    this.#expect = 'field'
    return at + 1
  }
}

const ONE_QUOTE = Buffer.from('"')
const TWO_QUOTES = Buffer.from('""')

function namesOf(row: string, delimiter: string): string[] {
  const names: string[] = []
  const field = new RegExp(
    `(?:"((?:[^"]|"")*)"|([^"${delimiter === '\t' ? '\\t' : `\\${delimiter}`}\\r\\n]*))`,
    'y',
  )
  let at = 0
  for (;;) {
    field.lastIndex = at
    const found = field.exec(row)
    if (found === null) throw unreadable('has names that cannot be read')
    names.push((found[1]?.replaceAll('""', '"') ?? found[2] ?? '').trim())
    at = field.lastIndex
    if (at === row.length) return names
    if (row[at] !== delimiter) throw unreadable('has names that cannot be read')
    if (names.length > LIMITS.csvFieldsMax) throw unreadable('has too many names')
    at++
  }
}
