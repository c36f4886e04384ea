import { LIMITS, assertNever } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { isUtf8 } from 'node:buffer'
import { advance, copy, put, retreat } from './bytes.ts'
import type { CellMasker } from './masker.ts'
import { always } from './masker.ts'

/** Masks of text: whole, or all but a little of it. Each sees UTF-8 or hides the value whole. */

/** What stands in place of text that is hidden whole. */
export const MASKED: Uint8Array = Buffer.from('[masked]')

/** RFC 5321 section 4.5.3.1.3: a path is at most 256 octets, its two angle brackets included. */
const EMAIL_BYTES_MAX = 254

const STARS = Buffer.from('***')

export const FULL: CellMasker = always(MASKED)

/** The masker of text for one rule that shows nothing of it, or a little. */
export function partialText(rule: MaskingRule & { kind: 'partial' }): CellMasker {
  switch (rule.of) {
    case 'email':
      return { keeps: EMAIL_BYTES_MAX + 1, grows: MASKED.length, write: writeEmail }
    case 'phone':
      return { keeps: NUMBER_BYTES_MAX + 1, grows: MASKED.length, write: writePhone }
    case 'card':
      return { keeps: NUMBER_BYTES_MAX + 1, grows: MASKED.length, write: writeCard }
    case 'name':
      return { keeps: NAME_BYTES_MAX + 1, grows: MASKED.length + WORDS_MAX * STARS.length, write: writeName }
    case 'first':
      return firstCharacters(rule.keep)
    case 'last':
      return lastCharacters(rule.keep)
    default:
      return assertNever(rule)
  }
}

/** `Grace` with two to keep becomes `Gr***`. */
function firstCharacters(keep: number): CellMasker {
  if (!(keep >= 1)) return FULL
  // Twice the kept characters decide whether the value is long enough; a character has at most four bytes.
  const keeps = Math.min(8 * keep, LIMITS.partialCellBytesMax) + 1
  return {
    keeps,
    grows: MASKED.length,
    write(source, from, to, target, at) {
      // The last character of a value that was cut may be cut too; without it there are still enough.
      const end = to - from >= keeps ? retreat(source, from, to, 1) : to
      if (!isUtf8(source.subarray(from, end))) return put(MASKED, target, at)
      const shown = advance(source, from, end, keep)
      if (advance(source, shown, end, keep) < 0) return put(MASKED, target, at)
      return put(STARS, target, copy(source, from, shown, target, at))
    },
  }
}

/** `4111111111111111` with four to keep becomes `***1111`. */
function lastCharacters(keep: number): CellMasker {
  if (!(keep >= 1)) return FULL
  return {
    keeps: LIMITS.partialCellBytesMax + 1,
    grows: MASKED.length,
    write(source, from, to, target, at) {
      if (to - from > LIMITS.partialCellBytesMax || !isUtf8(source.subarray(from, to))) {
        return put(MASKED, target, at)
      }
      const shown = retreat(source, from, to, keep)
      if (retreat(source, from, shown, keep) < 0) return put(MASKED, target, at)
      return copy(source, shown, to, target, put(STARS, target, at))
    },
  }
}

/** `ada@example.com` becomes `a***@example.com`. Runs once per row of a result: one pass, nothing allocated. */
function writeEmail(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  const sign = signOfEmail(source, from, to)
  if (sign < 0) return put(MASKED, target, at)
  const shown = advance(source, from, to, 1)
  return copy(source, sign, to, target, put(STARS, target, copy(source, from, shown, target, at)))
}

/** Where the @ of an address stands; -1 when the bytes are not one address and nothing else. */
function signOfEmail(source: Uint8Array, from: number, to: number): number {
  if (to - from > EMAIL_BYTES_MAX) return -1
  let high = 0
  let sign = from
  for (; sign < to; sign++) {
    const byte = source[sign] ?? 0
    if (byte === AT) break
    if (((CLASSES[byte] ?? 0) & LOCAL_PART) === 0) return -1
    high |= byte
  }
  if (sign === from || sign === to) return -1
  let labels = 0
  let length = 0
  for (let i = sign + 1; i < to; i++) {
    const byte = source[i] ?? 0
    if (byte === DOT) {
      if (length === 0) return -1
      labels++
      length = 0
    } else if (((CLASSES[byte] ?? 0) & DOMAIN) !== 0) {
      length++
      high |= byte
    } else {
      return -1
    }
  }
  if (length === 0 || labels === 0) return -1
  return high >= 0x80 && !isUtf8(source.subarray(from, to)) ? -1 : sign
}

/** `+49 30 123 4567` becomes `***67`: two digits of at least seven. */
function writePhone(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  return writeLastDigits(source, from, to, target, at, PHONE)
}

/** `4111 1111 1111 1111` becomes `***1111`: four digits of twelve to nineteen (ISO/IEC 7812). */
function writeCard(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  return writeLastDigits(source, from, to, target, at, CARD)
}

type NumberForm = {
  readonly shown: number
  readonly least: number
  readonly most: number
  readonly punctuation: string
}
const PHONE: NumberForm = { shown: 2, least: 7, most: 20, punctuation: ' +-./()' }
const CARD: NumberForm = { shown: 4, least: 12, most: 19, punctuation: ' -' }
const NUMBER_BYTES_MAX = 40

function writeLastDigits(
  source: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
  form: NumberForm,
): number {
  let digits = 0
  for (let i = from; i < to; i++) {
    const byte = source[i] ?? 0
    if (byte >= ZERO && byte <= NINE) digits++
    else if (!form.punctuation.includes(String.fromCharCode(byte))) return put(MASKED, target, at)
  }
  if (digits < form.least || digits > form.most || to - from > NUMBER_BYTES_MAX)
    return put(MASKED, target, at)
  let end = put(STARS, target, at)
  for (let i = from, seen = 0; i < to; i++) {
    const byte = source[i] ?? 0
    if (byte < ZERO || byte > NINE) continue
    if (++seen > digits - form.shown) target[end++] = byte
  }
  return end
}

const NAME_BYTES_MAX = 256
const WORDS_MAX = 4

/** `Ada Lovelace` becomes `A*** L***`: the first character of up to four words; of a word of one, nothing. */
function writeName(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  if (to - from > NAME_BYTES_MAX || to === from || !isUtf8(source.subarray(from, to))) {
    return put(MASKED, target, at)
  }
  let end = at
  let words = 0
  for (let i = from; i < to; ) {
    if (source[i] === SPACE) {
      i++
      continue
    }
    let next = i
    while (next < to && source[next] !== SPACE) next++
    if (++words > WORDS_MAX) return put(MASKED, target, at)
    if (words > 1) target[end++] = SPACE
    const first = advance(source, i, next, 1)
    if (first < next) end = copy(source, i, first, target, end)
    end = put(STARS, target, end)
    i = next
  }
  return words === 0 ? put(MASKED, target, at) : end
}

const SPACE = 0x20
const ZERO = 0x30
const NINE = 0x39
const AT = 0x40
const DOT = 0x2e
const LOCAL_PART = 1
const DOMAIN = 2

/**
 * Where a byte may stand. Local part: RFC 5322 dot-atom. Domain: letters, digits and hyphens. Bytes beyond ASCII may
 * stand in both, as RFC 6531 and RFC 5890 let them. Quoted local parts are not taken: they may hold anything, another
 * address included.
 */
const CLASSES = new Uint8Array(256)
for (let byte = 0x80; byte < 256; byte++) CLASSES[byte] = LOCAL_PART | DOMAIN
for (const byte of Buffer.from("!#$%&'*+/=?^_`{|}~.")) CLASSES[byte] = LOCAL_PART
for (const byte of Buffer.from('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-')) {
  CLASSES[byte] = LOCAL_PART | DOMAIN
}
