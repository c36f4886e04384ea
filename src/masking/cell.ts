import { LIMITS, assertNever } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { isUtf8 } from 'node:buffer'

/** Whether the value is text in UTF-8, or of a type whose bytes mean something else (a number, a date, binary). */
export type ValueKind = 'text' | 'other'

/** Masks the cells of one column. Holds no state: one serves any number of rows and results. */
export type CellMasker = {
  /**
   * How many leading bytes of a cell `mask` wants to see: 0 for rules that show nothing of it, so that the cell can be
   * skipped as it streams by. A longer cell may be cut to this length before it is handed over.
   */
  readonly keeps: number
  /**
   * What is shown instead of the value; null is SQL NULL. `value` is the whole cell or its first `keeps` bytes. The
   * bytes returned may be shared: they are not to be changed.
   */
  mask(value: Uint8Array): Uint8Array | null
}

/** What stands in place of text that is hidden whole. */
const MASKED = Buffer.from('[masked]')

/** RFC 5321 section 4.5.3.1.3: a path is at most 256 octets, its two angle brackets included. */
const EMAIL_BYTES_MAX = 254

const NOTHING: CellMasker = { keeps: 0, mask: () => null }
const FULL: CellMasker = { keeps: 0, mask: () => MASKED }

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
    case 'constant': {
      const text = Buffer.from(rule.text)
      return { keeps: 0, mask: () => text }
    }
    case 'full':
      return FULL
    case 'partial':
      switch (rule.of) {
        case 'email':
          return { keeps: EMAIL_BYTES_MAX + 1, mask: maskEmail }
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
    mask(value) {
      // The last character of a value that was cut may be cut too; without it there are still enough.
      const whole = value.length >= keeps ? value.subarray(0, retreat(value, keeps, 1)) : value
      if (!isUtf8(whole)) return MASKED
      const shown = advance(whole, 0, keep)
      if (advance(whole, shown, keep) < 0) return MASKED
      return around(whole, shown, whole.length)
    },
  }
}

/** `4111111111111111` with four to keep becomes `***1111`. */
function lastCharacters(keep: number): CellMasker {
  if (!(keep >= 1)) return FULL
  return {
    keeps: LIMITS.partialCellBytesMax + 1,
    mask(value) {
      if (value.length > LIMITS.partialCellBytesMax || !isUtf8(value)) return MASKED
      const shown = retreat(value, value.length, keep)
      if (retreat(value, shown, keep) < 0) return MASKED
      return around(value, 0, shown)
    },
  }
}

/** `ada@example.com` becomes `a***@example.com`. Runs once per row of a result: one pass, one allocation. */
function maskEmail(value: Uint8Array): Uint8Array {
  if (value.length > EMAIL_BYTES_MAX) return MASKED
  let at = 0
  let high = 0
  for (; at < value.length; at++) {
    const byte = value[at] ?? 0
    if (byte === AT) break
    if ((CLASSES[byte] ?? 0) & LOCAL_PART) high |= byte
    else return MASKED
  }
  if (at === 0 || at === value.length) return MASKED
  let labels = 0
  let length = 0
  for (let i = at + 1; i < value.length; i++) {
    const byte = value[i] ?? 0
    if (byte === DOT) {
      if (length === 0) return MASKED
      labels++
      length = 0
    } else if ((CLASSES[byte] ?? 0) & DOMAIN) {
      length++
      high |= byte
    } else {
      return MASKED
    }
  }
  if (length === 0 || labels === 0) return MASKED
  if (high >= 0x80 && !isUtf8(value)) return MASKED
  return around(value, advance(value, 0, 1), at)
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

/** The value with `***` in place of what lies between two offsets. */
function around(value: Uint8Array, from: number, to: number): Uint8Array {
  const shown = Buffer.allocUnsafe(from + 3 + value.length - to)
  let at = 0
  for (; at < from; at++) shown[at] = value[at] ?? 0
  for (let stars = 0; stars < 3; stars++) shown[at++] = STAR
  for (let i = to; i < value.length; i++) shown[at++] = value[i] ?? 0
  return shown
}

const STAR = 0x2a

/** The offset `count` characters after `from`, or -1 when there are fewer. The bytes are known to be UTF-8. */
function advance(value: Uint8Array, from: number, count: number): number {
  if (from < 0) return -1
  let at = from
  for (let i = 0; i < count; i++) {
    if (at >= value.length) return -1
    at++
    while (at < value.length && isContinuation(value[at])) at++
  }
  return at
}

/** The offset `count` characters before `from`, or -1 when there are fewer. */
function retreat(value: Uint8Array, from: number, count: number): number {
  if (from < 0) return -1
  let at = from
  for (let i = 0; i < count; i++) {
    if (at <= 0) return -1
    at--
    while (at > 0 && isContinuation(value[at])) at--
  }
  return at
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
