import { LIMITS, assertNever } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { isUtf8 } from 'node:buffer'

/** Whether the value is text in UTF-8, or of a type whose bytes mean something else (a number, a date, binary). */
export type ValueKind = 'text' | 'other'

/** Masks the cells of one column. Holds no state: one serves any number of rows and results. */
export type CellMasker = {
  /**
   * How many leading bytes of a cell `write` wants to see: 0 for rules that show nothing of it, so that the cell can be
   * skipped as it streams by. A longer cell may be cut to this length before it is handed over.
   */
  readonly keeps: number
  /** How many bytes longer than what it sees of a cell its masked form may be. */
  readonly grows: number
  /**
   * Writes what is shown instead of the value in `source[from, to)` (the whole cell or its first `keeps` bytes) to
   * `target` at `at`, where `to - from + grows` bytes are free. Returns where it ended, or -1 for SQL NULL.
   */
  write(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number
}

/** The masked form of one value as bytes of its own, for where cells are few. Null is SQL NULL. */
export function maskedCell(masker: CellMasker, value: Uint8Array): Uint8Array | null {
  const target = Buffer.allocUnsafe(value.length + masker.grows)
  const end = masker.write(value, 0, value.length, target, 0)
  return end < 0 ? null : target.subarray(0, end)
}

/** What stands in place of text that is hidden whole. */
const MASKED = Buffer.from('[masked]')

/** RFC 5321 section 4.5.3.1.3: a path is at most 256 octets, its two angle brackets included. */
const EMAIL_BYTES_MAX = 254

const STARS = Buffer.from('***')

const NOTHING: CellMasker = { keeps: 0, grows: 0, write: () => -1 }
const FULL = always(MASKED)

/** The same bytes whatever the value. */
function always(shown: Uint8Array): CellMasker {
  return { keeps: 0, grows: shown.length, write: (_source, _from, _to, target, at) => put(shown, target, at) }
}

/**
 * The masker for one rule and one kind of value. A type that is not text has no masked form that every client could
 * still parse as that type, so its values become NULL whatever the rule.
 *
 * Partial rules never show more than half of the characters, and hide whole what is too short for that, longer than
 * `LIMITS.partialCellBytesMax`, or not UTF-8.
 */
export function cellMasker(rule: MaskingRule, valueKind: ValueKind): CellMasker {
  if (valueKind === 'other') return NOTHING
  switch (rule.kind) {
    case 'null':
      return NOTHING
    case 'constant':
      return always(Buffer.from(rule.text))
    case 'full':
      return FULL
    case 'partial':
      switch (rule.of) {
        case 'email':
          return { keeps: EMAIL_BYTES_MAX + 1, grows: MASKED.length, write: writeEmail }
        case 'first':
          return firstCharacters(rule.keep)
        case 'last':
          return lastCharacters(rule.keep)
        default:
          return assertNever(rule)
      }
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

function put(bytes: Uint8Array, target: Uint8Array, at: number): number {
  return copy(bytes, 0, bytes.length, target, at)
}

/** Byte by byte: what is shown of a cell is short, and a call of the engine's own copy costs more than that. */
function copy(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  if (to - from > COPIED_BY_HAND_BYTES) {
    target.set(source.subarray(from, to), at)
    return at + to - from
  }
  let end = at
  for (let i = from; i < to; i++) target[end++] = source[i] ?? 0
  return end
}

const COPIED_BY_HAND_BYTES = 256

/** The offset `count` characters after `from`, or -1 when there are fewer before `to`. The bytes are UTF-8. */
function advance(value: Uint8Array, from: number, to: number, count: number): number {
  if (from < 0) return -1
  let at = from
  for (let i = 0; i < count; i++) {
    if (at >= to) return -1
    at++
    while (at < to && isContinuation(value[at])) at++
  }
  return at
}

/** The offset `count` characters before `to`, or -1 when there are fewer behind `from`. */
function retreat(value: Uint8Array, from: number, to: number, count: number): number {
  if (to < 0) return -1
  let at = to
  for (let i = 0; i < count; i++) {
    if (at <= from) return -1
    at--
    while (at > from && isContinuation(value[at])) at--
  }
  return at
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
