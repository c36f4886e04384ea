import type { CellMasker } from './masker.ts'
import { byValue, maskedCell, NOTHING } from './masker.ts'
import type { ValueFormat, ValueType } from './types.ts'

/**
 * Values that are made of values: arrays, ranges and composites, masked element by element in text and in binary form.
 * Shape and NULLs stay; what cannot be read as its type becomes NULL as a whole.
 */

/** The masker of the elements. */
type Of = (type: ValueType) => CellMasker

export function arrayMasker(type: ValueType & { kind: 'array' }, format: ValueFormat, of: Of): CellMasker {
  const element = of(type.element)
  // An array of nothing but NULLs would say no more than NULL does, but for how long it was.
  if (element === NOTHING) return NOTHING
  return byValue(
    format === 'binary'
      ? (value) => binaryArray(value, element)
      : (value) => textArray(value.toString('utf8'), type.delimiter, element),
  )
}

/** How deep arrays may be: MAXDIM of the server. */
const DIMENSIONS_MAX = 6

/** `{a,"b c",NULL,{d}}`, perhaps with bounds in front: `[2:3]={a,b}`. */
function textArray(text: string, delimiter: string, element: CellMasker): Buffer | undefined {
  const bounds = /^(\[-?\d+:-?\d+\]){1,6}=/.exec(text)?.[0] ?? ''
  const out: string[] = [bounds]
  let depth = 0
  let at = bounds.length
  // A value or a brace may stand here; else a delimiter or a closing brace.
  let wantsValue = true
  while (at < text.length) {
    const char = text[at] ?? ''
    if (char === '{') {
      if (!wantsValue || ++depth > DIMENSIONS_MAX) return undefined
      at++
    } else if (char === '}') {
      if (--depth < 0) return undefined
      wantsValue = false
      at++
    } else if (char === delimiter) {
      if (wantsValue || depth === 0) return undefined
      wantsValue = true
      at++
    } else {
      if (!wantsValue || depth === 0) return undefined
      const read = readElement(text, at, `{}${delimiter}`, '\\')
      if (read === undefined) return undefined
      const isNull = !read.quoted && read.value.toUpperCase() === 'NULL'
      const shown = isNull ? null : maskedText(element, read.value)
      out.push(shown === null ? 'NULL' : quoted(shown))
      wantsValue = false
      at = read.end
      continue
    }
    out.push(char)
    if (depth === 0 && at < text.length) return undefined
  }
  return depth === 0 && out.length > 1 ? Buffer.from(out.join('')) : undefined
}

function maskedText(masker: CellMasker, value: string): string | null {
  const shown = maskedCell(masker, Buffer.from(value))
  return shown === null ? null : Buffer.from(shown).toString('utf8')
}

/** Quotes of both kinds of escapes: arrays, composites and ranges all read `\"` and `\\`. */
function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** The element that begins at `at` and ends before one of `ends`. */
function readElement(
  text: string,
  at: number,
  ends: string,
  escape: string,
): { readonly value: string; readonly quoted: boolean; readonly end: number } | undefined {
  let value = ''
  let inQuotes = false
  let wasQuoted = false
  let i = at
  for (; i < text.length; i++) {
    const char = text[i] ?? ''
    if (char === escape) {
      if (i + 1 === text.length) return undefined
      value += text[++i] ?? ''
      wasQuoted = true
    } else if (char === '"') {
      // Composites and ranges write a quote inside quotes twice.
      if (inQuotes && text[i + 1] === '"') value += text[++i] ?? ''
      else inQuotes = !inQuotes
      wasQuoted = true
    } else if (!inQuotes && ends.includes(char)) {
      break
    } else {
      value += char
    }
  }
  return inQuotes ? undefined : { value, quoted: wasQuoted, end: i }
}

/** Dimensions, whether there are NULLs, the type of the elements; size and bound of each dimension; the elements. */
function binaryArray(value: Buffer, element: CellMasker): Buffer | undefined {
  if (value.length < 12) return undefined
  const dimensions = value.readInt32BE(0)
  if (dimensions < 0 || dimensions > DIMENSIONS_MAX || value.length < 12 + 8 * dimensions) return undefined
  let count = dimensions === 0 ? 0 : 1
  for (let i = 0; i < dimensions; i++) count *= value.readInt32BE(12 + 8 * i)
  if (count < 0 || count > value.length) return undefined
  const head = Buffer.from(value.subarray(0, 12 + 8 * dimensions))
  const elements = binaryElements(value, head.length, count, element)
  if (elements === undefined) return undefined
  if (elements.hasNull) head.writeInt32BE(1, 4)
  return Buffer.concat([head, ...elements.parts])
}

function binaryElements(
  value: Buffer,
  start: number,
  count: number,
  element: CellMasker,
): { readonly parts: Buffer[]; readonly hasNull: boolean } | undefined {
  const parts: Buffer[] = []
  let hasNull = false
  let at = start
  for (let i = 0; i < count; i++) {
    if (value.length < at + 4) return undefined
    const length = value.readInt32BE(at)
    if (length < -1 || value.length < at + 4 + length) return undefined
    const from = at + 4
    at = from + Math.max(length, 0)
    const shown = length < 0 ? null : maskedCell(element, value.subarray(from, at))
    hasNull ||= shown === null
    parts.push(withLength(shown))
  }
  return at === value.length ? { parts, hasNull } : undefined
}

function withLength(value: Uint8Array | null): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(value === null ? -1 : value.length)
  return value === null ? length : Buffer.concat([length, value])
}

/** Ranges of values that only become coarser: their order stays, so the range stays one, or becomes empty. */
export function rangeMasker(type: ValueType & { kind: 'range' }, format: ValueFormat, of: Of): CellMasker {
  const bound = of(type.of)
  if (bound === NOTHING) return NOTHING
  return byValue(
    format === 'binary'
      ? (value) => binaryRange(value, bound)
      : (value) => textRange(value.toString('utf8'), bound),
  )
}

function textRange(text: string, bound: CellMasker): Buffer | undefined {
  if (text === 'empty') return Buffer.from(text)
  const [open, close] = [text.at(0), text.at(-1)]
  if (text.length < 3 || (open !== '[' && open !== '(') || (close !== ']' && close !== ')')) return undefined
  const lower = readElement(text, 1, ',])', '\\')
  if (lower === undefined || text[lower.end] !== ',') return undefined
  const upper = readElement(text, lower.end + 1, ',])', '\\')
  if (upper === undefined || upper.end !== text.length - 1) return undefined
  const shown: string[] = []
  for (const { value, quoted: isQuoted } of [lower, upper]) {
    // Nothing at all is no bound.
    const masked = value === '' && !isQuoted ? '' : maskedText(bound, value)
    if (masked === null) return undefined
    shown.push(masked === '' ? '' : quoted(masked))
  }
  // Two bounds that became one would make most forms of a range empty.
  const [first, last] = shown
  const isPoint = first === last && first !== ''
  return Buffer.from(isPoint ? `[${first},${last}]` : `${open}${shown.join(',')}${close}`)
}

/** The ranges of a multirange, each for itself; the server joins those that came to overlap. */
export function multirangeMasker(
  type: ValueType & { kind: 'multirange' },
  format: ValueFormat,
  of: Of,
): CellMasker {
  const bound = of(type.of)
  if (bound === NOTHING) return NOTHING
  return byValue(
    format === 'binary'
      ? (value) => binaryMultirange(value, bound)
      : (value) => textMultirange(value.toString('utf8'), bound),
  )
}

function textMultirange(text: string, bound: CellMasker): Buffer | undefined {
  if (!text.startsWith('{') || !text.endsWith('}')) return undefined
  const shown: string[] = []
  let at = 1
  while (at < text.length - 1) {
    const lower = readElement(text, at + 1, ',', '\\')
    const upper = lower === undefined ? undefined : readElement(text, lower.end + 1, ')]', '\\')
    if (upper === undefined || upper.end >= text.length - 1) return undefined
    const range = textRange(text.slice(at, upper.end + 1), bound)
    if (range === undefined) return undefined
    shown.push(range.toString('utf8'))
    at = upper.end + 2
    if (at < text.length - 1 && text[at - 1] !== ',') return undefined
  }
  return Buffer.from(`{${shown.join(',')}}`)
}

/** How many; then each with its length. */
function binaryMultirange(value: Buffer, bound: CellMasker): Buffer | undefined {
  if (value.length < 4) return undefined
  const parts: Buffer[] = [value.subarray(0, 4)]
  let at = 4
  for (let left = value.readInt32BE(0); left > 0; left--) {
    if (value.length < at + 4) return undefined
    const end = at + 4 + value.readInt32BE(at)
    if (end < at + 4 || end > value.length) return undefined
    const range = binaryRange(value.subarray(at + 4, end), bound)
    if (range === undefined) return undefined
    parts.push(withLength(range))
    at = end
  }
  return at === value.length ? Buffer.concat(parts) : undefined
}

const EMPTY = 0x01
const LOWER_INCLUDED = 0x02
const UPPER_INCLUDED = 0x04
const NO_LOWER = 0x08
const NO_UPPER = 0x10

function binaryRange(value: Buffer, bound: CellMasker): Buffer | undefined {
  const flags = value[0]
  if (flags === undefined) return undefined
  if ((flags & EMPTY) !== 0) return value.length === 1 ? value : undefined
  const count = ((flags & NO_LOWER) === 0 ? 1 : 0) + ((flags & NO_UPPER) === 0 ? 1 : 0)
  const bounds = binaryElements(value, 1, count, bound)
  if (bounds === undefined || bounds.hasNull) return undefined
  const [lower, upper] = bounds.parts
  const isPoint = lower !== undefined && upper !== undefined && lower.equals(upper)
  const shown = isPoint ? flags | LOWER_INCLUDED | UPPER_INCLUDED : flags
  return Buffer.concat([Buffer.from([shown]), ...bounds.parts])
}

/** Each attribute by its own type; one that has no masked form becomes NULL. */
export function compositeMasker(
  type: ValueType & { kind: 'composite' },
  format: ValueFormat,
  of: Of,
): CellMasker {
  const attributes = type.attributes.map(of)
  if (attributes.every((each) => each === NOTHING)) return NOTHING
  return byValue(
    format === 'binary'
      ? (value) => binaryComposite(value, attributes)
      : (value) => textComposite(value.toString('utf8'), attributes),
  )
}

/** `(a,"b c",)`: nothing at all is NULL. */
function textComposite(text: string, attributes: readonly CellMasker[]): Buffer | undefined {
  if (!text.startsWith('(') || !text.endsWith(')')) return undefined
  const shown: string[] = []
  let at = 1
  for (const [i, attribute] of attributes.entries()) {
    const read = readElement(text, at, ',)', '\\')
    if (read === undefined || text[read.end] !== (i === attributes.length - 1 ? ')' : ',')) return undefined
    const isNull = read.value === '' && !read.quoted
    const masked = isNull ? null : maskedText(attribute, read.value)
    shown.push(masked === null ? '' : quoted(masked))
    at = read.end + 1
  }
  return at === text.length ? Buffer.from(`(${shown.join(',')})`) : undefined
}

/** How many; then of each its type, its length, and itself. */
function binaryComposite(value: Buffer, attributes: readonly CellMasker[]): Buffer | undefined {
  if (value.length < 4 || value.readInt32BE(0) !== attributes.length) return undefined
  const parts: Buffer[] = [value.subarray(0, 4)]
  let at = 4
  for (const attribute of attributes) {
    if (value.length < at + 8) return undefined
    const length = value.readInt32BE(at + 4)
    const from = at + 8
    if (length < -1 || value.length < from + length) return undefined
    const end = from + Math.max(length, 0)
    parts.push(value.subarray(at, at + 4))
    parts.push(withLength(length < 0 ? null : maskedCell(attribute, value.subarray(from, end))))
    at = end
  }
  return at === value.length ? Buffer.concat(parts) : undefined
}
