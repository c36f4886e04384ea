import { GatewayError, LIMITS } from '../../core/index.ts'
import { cellMasker } from '../cell.ts'
import { DEAD } from '../json-paths.ts'
import type { JsonPaths, Place } from '../json-paths.ts'
import { maskedCell } from '../masker.ts'
import type { CellMasker } from '../masker.ts'
import { TEXT } from '../types.ts'
import { harmlessEnd } from './harmless.ts'
import type { BodyMasking, BodyPlan, MaskedPath, Tally } from './plan.ts'
import { JSON_TEXT } from './text-coding.ts'
import { TextWatch } from './watch.ts'
import type { InnerMasker } from './watch.ts'

/** What may come next. Names say what has been read. */
const Expect = {
  value: 0,
  elementOrEnd: 1,
  nameOrEnd: 2,
  name: 3,
  colon: 4,
  commaOrEnd: 5,
  nothing: 6,
  string: 7,
  escape: 8,
  hex: 9,
  utf8: 10,
  literal: 11,
  minus: 12,
  zero: 13,
  integer: 14,
  point: 15,
  fraction: 16,
  exponent: 17,
  exponentSign: 18,
  exponentDigits: 19,
  bom: 20,
} as const
type Expect = (typeof Expect)[keyof typeof Expect]

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OBJECT = 0x7b
const ARRAY = 0x5b
const NULL = Buffer.from('null')
const NONE = Buffer.alloc(0)
const WORDS = { true: Buffer.from('true'), false: Buffer.from('false'), null: NULL } as const
const BOM = Buffer.from([0xef, 0xbb, 0xbf])
const WHOLE = cellMasker({ kind: 'full' }, TEXT, 'text')

/** What the short escapes stand for. */
const ESCAPES: ReadonlyMap<number, number> = new Map(
  [...'"\\/bfnrt'].map((letter, n) => [letter.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(n)]),
)

/**
 * Masks one JSON document (RFC 8259) as it streams by. Keeps the string in hand as far as a rule wants to see it, and a
 * stack of places; everything else passes as it came. Not JSON: GatewayError `protocol_violation`.
 */
export class JsonRewriter implements BodyMasking {
  readonly #paths: JsonPaths
  readonly #plan: BodyPlan
  readonly #tally: Tally
  /** Looks into strings that no path hides; undefined: nobody asked for that. */
  readonly #watch: TextWatch | undefined
  /** The string being read is watched: its bytes go there, and come out when they have been looked at. */
  #watching = false
  #expect: Expect = Expect.value
  /** Bytes taken before the ones in hand, for messages. */
  #offset = 0

  /** The containers around the next value: what they are, and their places. */
  #depth = 0
  readonly #kinds: number[] = []
  readonly #places: Place[] = []
  /** The place of the next value. */
  #place: Place
  /** The string being read is the name of a member. */
  #isName = false

  /** The depth of the value being hidden, -1 while nothing is. */
  #hiding = -1
  /** Masks the string being hidden; undefined: what is being hidden is not a string. */
  #masker: CellMasker | undefined

  /** The string being read, unescaped, as far as somebody wants to see it. */
  #kept: Buffer = NONE
  #keptLength = 0
  #keeps = 0
  /** The string has an escaped surrogate without its other half: there is no text it stands for. */
  #broken = false
  /** A high surrogate waits for its low one. */
  #high = 0
  #unit = 0
  #hexLeft = 0

  /** Continuation bytes still to come, and what the next one may be (Unicode table 3-7). */
  #utf8Left = 0
  #utf8From = 0x80
  #utf8To = 0xbf

  #word: Buffer = NULL
  #wordAt = 0

  /** What goes out of the bytes in hand, once it differs from them; `#from`: what is still to be copied begins there. */
  #out: Buffer = NONE
  #outLength = 0
  #from = 0

  /** `root`: the place of the document, where it is not that of the body. `levels`: strings around it that held it. */
  constructor(plan: BodyPlan, tally: Tally, root: Place = plan.paths.root, levels = 0) {
    this.#plan = plan
    this.#paths = plan.paths
    this.#tally = tally
    this.#place = root
    this.#watch = plan.looksIntoTexts ? new TextWatch(plan, tally, JSON_TEXT, innerJson, levels) : undefined
  }

  get masked(): readonly MaskedPath[] {
    return this.#tally.masked(this.#plan)
  }

  write(bytes: Uint8Array): Uint8Array {
    this.#out = NONE
    this.#outLength = 0
    this.#from = 0
    let at = 0
    // Some servers begin with a byte order mark, and clients skip it: RFC 8259 section 8.1.
    if (this.#offset === 0 && bytes[0] === BOM[0]) this.#expect = Expect.bom
    while (at < bytes.length) at = this.#step(bytes, at)
    this.#offset += bytes.length
    if (this.#watching) {
      this.#watched(bytes, bytes.length)
    } else if (this.#hiding < 0) {
      if (this.#from === 0 && this.#outLength === 0) return bytes
      this.#emit(bytes, this.#from, bytes.length)
    }
    return this.#out.subarray(0, this.#outLength)
  }

  end(): Uint8Array {
    this.#out = NONE
    this.#outLength = 0
    const isNumber =
      this.#expect === Expect.zero ||
      this.#expect === Expect.integer ||
      this.#expect === Expect.fraction ||
      this.#expect === Expect.exponentDigits
    if (isNumber && this.#depth === 0) this.#valueEnds(0)
    if (this.#expect !== Expect.nothing) this.#fail(0)
    return this.#out.subarray(0, this.#outLength)
  }

  /** Takes at least one byte, or changes what is expected; gives where to go on. */
  #step(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0
    switch (this.#expect) {
      case Expect.string:
        return this.#string(bytes, at)
      case Expect.utf8:
        if (byte < this.#utf8From || byte > this.#utf8To) this.#fail(at)
        this.#utf8From = 0x80
        this.#utf8To = 0xbf
        if (this.#keeps > 0) this.#keepByte(byte)
        if (--this.#utf8Left === 0) this.#expect = Expect.string
        return at + 1
      case Expect.escape:
        return this.#escape(byte, at)
      case Expect.hex:
        return this.#hex(byte, at)
      case Expect.literal:
        if (byte !== this.#word[this.#wordAt]) this.#fail(at)
        if (++this.#wordAt === this.#word.length) this.#valueEnds(at + 1)
        return at + 1
      case Expect.minus:
      case Expect.zero:
      case Expect.integer:
      case Expect.point:
      case Expect.fraction:
      case Expect.exponent:
      case Expect.exponentSign:
      case Expect.exponentDigits:
        return this.#number(byte, at)
      case Expect.bom:
        if (byte !== BOM[this.#offset + at]) this.#fail(at)
        if (this.#offset + at === BOM.length - 1) this.#expect = Expect.value
        return at + 1
      default:
        if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at + 1
        return this.#structure(bytes, byte, at)
    }
  }

  /** Between the tokens; blanks are behind us. */
  #structure(bytes: Uint8Array, byte: number, at: number): number {
    switch (this.#expect) {
      case Expect.elementOrEnd:
        if (byte === 0x5d) return this.#close(at)
        return this.#value(bytes, byte, at)
      case Expect.value:
        return this.#value(bytes, byte, at)
      case Expect.nameOrEnd:
        if (byte === 0x7d) return this.#close(at)
        return this.#name(bytes, byte, at)
      case Expect.name:
        return this.#name(bytes, byte, at)
      case Expect.colon:
        if (byte !== 0x3a) this.#fail(at)
        this.#expect = Expect.value
        return at + 1
      case Expect.commaOrEnd: {
        const isObject = this.#kinds[this.#depth - 1] === OBJECT
        if (byte === 0x2c) {
          this.#expect = isObject ? Expect.name : Expect.value
          if (!isObject) this.#enterElement()
          return at + 1
        }
        if (byte === (isObject ? 0x7d : 0x5d)) return this.#close(at)
        return this.#fail(at)
      }
      default:
        return this.#fail(at)
    }
  }

  #value(bytes: Uint8Array, byte: number, at: number): number {
    const masker = this.#hiding < 0 ? this.#place.masker : undefined
    if (masker !== undefined) this.#hide(bytes, byte, at, masker)
    switch (byte) {
      case QUOTE:
        if (this.#watch !== undefined && this.#hiding < 0) {
          const end = harmlessEnd(bytes, at + 1, this.#plan.detectors.length > 0)
          if (end >= 0) {
            this.#valueEnds(end + 1)
            return end + 1
          }
        }
        this.#startString(false, this.#masker?.keeps ?? 0)
        if (this.#watch !== undefined && this.#hiding < 0 && this.#watch.begin(this.#place)) {
          this.#emit(bytes, this.#from, at + 1)
          this.#from = at + 1
          this.#watching = true
        }
        return at + 1
      case OBJECT:
      case ARRAY:
        this.#open(byte, at)
        return at + 1
      case 0x74:
        return this.#startWord(WORDS.true, at)
      case 0x66:
        return this.#startWord(WORDS.false, at)
      case 0x6e:
        return this.#startWord(WORDS.null, at)
      case 0x2d:
        this.#expect = Expect.minus
        return at + 1
      case 0x30:
        this.#expect = Expect.zero
        return at + 1
      default:
        if (byte < 0x31 || byte > 0x39) this.#fail(at)
        this.#expect = Expect.integer
        return at + 1
    }
  }

  /** From here to the end of the value nothing of it goes out. */
  #hide(bytes: Uint8Array, byte: number, at: number, masker: CellMasker): void {
    this.#emit(bytes, this.#from, at)
    this.#from = at
    this.#hiding = this.#depth
    this.#masker = byte === QUOTE ? masker : undefined
    // null is no value: it stays, and nothing was masked.
    if (byte === 0x6e) return
    this.#tally.count(this.#place)
  }

  #valueEnds(end: number): void {
    this.#expect = this.#depth === 0 ? Expect.nothing : Expect.commaOrEnd
    if (this.#hiding !== this.#depth) return
    this.#replace()
    this.#hiding = -1
    this.#masker = undefined
    this.#from = end
  }

  /** Says what stands in place of the value that was hidden. */
  #replace(): void {
    const masker = this.#broken && (this.#masker?.keeps ?? 0) > 0 ? WHOLE : this.#masker
    const shown = masker === undefined ? null : maskedCell(masker, this.#kept.subarray(0, this.#keptLength))
    if (shown === null) {
      this.#emit(NULL, 0, NULL.length)
    } else {
      const text = Buffer.from(JSON.stringify(Buffer.from(shown).toString()))
      this.#emit(text, 0, text.length)
    }
  }

  /** Hands what is in hand of a watched string to the watch. */
  #watched(bytes: Uint8Array, to: number): void {
    this.#add(this.#watch?.push(bytes.subarray(this.#from, to)) ?? NONE)
    this.#from = to
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#emit(bytes, 0, bytes.length)
  }

  #emit(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from
    const needed = this.#outLength + length
    if (needed > this.#out.length) {
      // A masked document is about as long as the one in hand, and seldom much longer.
      const larger = Buffer.allocUnsafe(Math.max(needed, bytes.length + 256, 2 * this.#out.length))
      larger.set(this.#out.subarray(0, this.#outLength))
      this.#out = larger
    }
    this.#out.set(bytes.subarray(from, to), this.#outLength)
    this.#outLength = needed
  }

  #open(kind: number, at: number): void {
    if (this.#depth >= LIMITS.jsonDepthMax) this.#fail(at)
    const place = this.#hiding < 0 ? this.#place : DEAD
    this.#kinds[this.#depth] = kind
    this.#places[this.#depth] = place
    this.#depth++
    if (kind === OBJECT) {
      this.#expect = Expect.nameOrEnd
    } else {
      this.#expect = Expect.elementOrEnd
      this.#enterElement()
    }
  }

  #close(at: number): number {
    this.#depth--
    this.#valueEnds(at + 1)
    return at + 1
  }

  #enterElement(): void {
    const place = this.#places[this.#depth - 1] ?? DEAD
    this.#place = place.dead ? DEAD : this.#paths.element(place)
  }

  #name(bytes: Uint8Array, byte: number, at: number): number {
    if (byte !== QUOTE) this.#fail(at)
    const place = this.#places[this.#depth - 1] ?? DEAD
    // Most names are plain ASCII and lie here as a whole: they are compared where they are.
    let end = at + 1
    while (isPlain(bytes[end] ?? 0)) end++
    if (bytes[end] === QUOTE) {
      this.#expect = Expect.colon
      this.#place = place.dead ? DEAD : this.#paths.member(place, nameAt(place, bytes, at + 1, end))
      return end + 1
    }
    // One byte more than the longest name: a longer one is none of them.
    this.#startString(true, place.names.length === 0 ? 0 : this.#paths.nameBytesMax + 1)
    return at + 1
  }

  #nameEnds(): void {
    const place = this.#places[this.#depth - 1] ?? DEAD
    this.#expect = Expect.colon
    // A name with half a surrogate pair has no text, and so is in no path.
    const known = !this.#broken && this.#keeps > 0
    const name = known ? nameAt(place, this.#kept, 0, this.#keptLength) : undefined
    this.#place = place.dead ? DEAD : this.#paths.member(place, name)
  }

  #startString(isName: boolean, keeps: number): void {
    this.#expect = Expect.string
    this.#isName = isName
    this.#keeps = keeps
    this.#keptLength = 0
    this.#broken = false
    this.#high = 0
    if (this.#kept.length < Math.min(keeps, 256)) this.#kept = Buffer.allocUnsafe(256)
  }

  /** Inside a string: plain characters in one sweep, up to whatever needs more thought. */
  #string(bytes: Uint8Array, start: number): number {
    let at = start
    let byte = bytes[at] ?? 0
    while (isPlain(byte)) byte = bytes[++at] ?? 0
    if (at > start) {
      if (this.#high !== 0) this.#loneSurrogate()
      if (this.#keptLength < this.#keeps) this.#keep(bytes, start, at)
    }
    if (at >= bytes.length) return at
    if (byte === BACKSLASH) {
      this.#expect = Expect.escape
      return at + 1
    }
    if (this.#high !== 0) this.#loneSurrogate()
    if (byte === QUOTE) {
      if (this.#watching) {
        this.#watched(bytes, at)
        this.#watching = false
        this.#add(this.#watch?.end() ?? NONE)
      }
      if (this.#isName) this.#nameEnds()
      else this.#valueEnds(at + 1)
      return at + 1
    }
    this.#startUtf8(byte, at)
    if (this.#keeps > 0) this.#keepByte(byte)
    return at + 1
  }

  /** The first byte of a character beyond ASCII. Unicode 15, table 3-7: no overlong forms, no surrogates. */
  #startUtf8(byte: number, at: number): void {
    if (byte < 0xc2 || byte > 0xf4) this.#fail(at)
    this.#utf8Left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    this.#utf8From = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80
    this.#utf8To = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf
    this.#expect = Expect.utf8
  }

  #escape(byte: number, at: number): number {
    if (byte === 0x75) {
      this.#expect = Expect.hex
      this.#hexLeft = 4
      this.#unit = 0
      return at + 1
    }
    const plain = ESCAPES.get(byte)
    if (plain === undefined) return this.#fail(at)
    if (this.#high !== 0) this.#loneSurrogate()
    if (this.#keeps > 0) this.#keepByte(plain)
    this.#expect = Expect.string
    return at + 1
  }

  #hex(byte: number, at: number): number {
    const digit =
      byte >= 0x30 && byte <= 0x39
        ? byte - 0x30
        : (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66
          ? (byte | 0x20) - 0x57
          : this.#fail(at)
    this.#unit = this.#unit * 16 + digit
    if (--this.#hexLeft > 0) return at + 1
    this.#expect = Expect.string
    const unit = this.#unit
    if (unit >= 0xdc00 && unit <= 0xdfff) {
      if (this.#high === 0) this.#loneSurrogate()
      else this.#keepCharacter(0x1_0000 + ((this.#high - 0xd800) << 10) + (unit - 0xdc00))
      this.#high = 0
      return at + 1
    }
    if (this.#high !== 0) this.#loneSurrogate()
    if (unit >= 0xd800 && unit <= 0xdbff) this.#high = unit
    else this.#keepCharacter(unit)
    return at + 1
  }

  #loneSurrogate(): void {
    this.#broken = true
    this.#high = 0
  }

  #keepCharacter(codePoint: number): void {
    if (this.#keptLength >= this.#keeps) return
    for (const byte of Buffer.from(String.fromCodePoint(codePoint))) this.#keepByte(byte)
  }

  #keepByte(byte: number): void {
    if (this.#keptLength >= this.#keeps) return
    this.#makeRoom(1)
    this.#kept[this.#keptLength++] = byte
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const length = Math.min(to - from, this.#keeps - this.#keptLength)
    this.#makeRoom(length)
    this.#kept.set(bytes.subarray(from, from + length), this.#keptLength)
    this.#keptLength += length
  }

  #makeRoom(length: number): void {
    const needed = this.#keptLength + length
    if (needed <= this.#kept.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#kept.length))
    this.#kept.copy(larger, 0, 0, this.#keptLength)
    this.#kept = larger
  }

  #startWord(word: Buffer, at: number): number {
    this.#word = word
    this.#wordAt = 1
    this.#expect = Expect.literal
    return at + 1
  }

  /** A number ends at the first byte that is no part of it; that byte is looked at again. */
  #number(byte: number, at: number): number {
    const isDigit = byte >= 0x30 && byte <= 0x39
    const isExponent = byte === 0x65 || byte === 0x45
    switch (this.#expect) {
      case Expect.minus:
        if (!isDigit) this.#fail(at)
        this.#expect = byte === 0x30 ? Expect.zero : Expect.integer
        return at + 1
      case Expect.point:
        if (!isDigit) this.#fail(at)
        this.#expect = Expect.fraction
        return at + 1
      case Expect.exponent:
        if (byte === 0x2b || byte === 0x2d) {
          this.#expect = Expect.exponentSign
          return at + 1
        }
        if (!isDigit) this.#fail(at)
        this.#expect = Expect.exponentDigits
        return at + 1
      case Expect.exponentSign:
        if (!isDigit) this.#fail(at)
        this.#expect = Expect.exponentDigits
        return at + 1
      default:
        break
    }
    if (isDigit && this.#expect !== Expect.zero) return at + 1
    if (byte === 0x2e && (this.#expect === Expect.zero || this.#expect === Expect.integer)) {
      this.#expect = Expect.point
      return at + 1
    }
    if (isExponent && this.#expect !== Expect.exponentDigits) {
      this.#expect = Expect.exponent
      return at + 1
    }
    this.#valueEnds(at)
    return at
  }

  #fail(at: number): never {
    throw new GatewayError(
      'protocol_violation',
      'The answer of the upstream is not valid JSON; it was withheld, because protected fields could not be found in it.',
      { remedy: 'Tell whoever runs the API.', retry: 'later', facts: { byte: this.#offset + at } },
    )
  }
}

/** JSON inside of a text, of any format. */
export const innerJson: InnerMasker = (text, plan, tally, place, levels) => {
  const inner = new JsonRewriter(plan, tally, place, levels)
  return Buffer.concat([inner.write(Buffer.from(text)), inner.end()]).toString()
}

/** A character of a string that stands for itself in one byte. */
function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte < 0x80 && byte !== QUOTE && byte !== BACKSLASH
}

/** Which of the names that matter at a place these bytes are. */
function nameAt(place: Place, bytes: Uint8Array, from: number, to: number): string | undefined {
  for (const { name, utf8 } of place.names) {
    if (utf8.length !== to - from) continue
    let same = 0
    while (same < utf8.length && utf8[same] === bytes[from + same]) same++
    if (same === utf8.length) return name
  }
  return undefined
}
