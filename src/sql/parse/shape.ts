/**
 * The byte-level lexer in front of the parser: one loop that says where the literals of a short, plain statement are,
 * so that a decision made once can be found again without parsing.
 *
 * It knows a conservative part of the grammar and gives up (`undefined`) on the rest: ASCII only; unquoted and quoted
 * identifiers, `$1`, plain numbers, '...' without a backslash, operators, punctuation. No comments, no dollar quotes,
 * no string with a prefix, nothing that different servers read in different ways. Two texts of one shape are the same
 * tokens in the same order but for the inside of their literals: everything else stands in the shape byte for byte.
 */
export type Shape = {
  /** The text with each literal replaced by a byte that no text can hold. */
  readonly text: string
  /** Start and end (exclusive) of each literal, one pair after the other, counted from the start of the text. */
  readonly literals: readonly number[]
  /** The text itself; only valid while the caller's buffer is. */
  readonly source: Buffer
}

const NUMBER = '\x01'
const STRING = '\x02'

const REFUSED = 0
const SPACE = 1
const WORD = 2
const DIGIT = 3
const QUOTE = 4
const DOUBLE_QUOTE = 5
const DOLLAR = 6
const MINUS = 7
const SLASH = 8
const PLAIN = 9

const KINDS = kinds()

function kinds(): Uint8Array {
  const table = new Uint8Array(256)
  const set = (characters: string, kind: number): void => {
    for (const each of characters) table[each.charCodeAt(0)] = kind
  }
  set(' \t\n\r', SPACE)
  set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', WORD)
  set('0123456789', DIGIT)
  set("'", QUOTE)
  set('"', DOUBLE_QUOTE)
  set('$', DOLLAR)
  set('-', MINUS)
  set('/', SLASH)
  set('+*<>=~!@#%^&|`?,()[].;:', PLAIN)
  return table
}

const APOSTROPHE = 0x27
const DOT = 0x2e
const ASTERISK = 0x2a
const AMPERSAND = 0x26

/** The shape of `bytes[start, end)`, or `undefined` when the text is not plain enough to have one. */
export function shapeOf(bytes: Uint8Array, start: number, end: number): Shape | undefined {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  const length = source.length
  const literals: number[] = []
  let text = ''
  let copied = 0
  let afterString = false
  let i = 0
  while (i < length) {
    const kind = KINDS[source[i] ?? 0] ?? REFUSED
    if (kind === SPACE) {
      i++
      continue
    }
    const from = i
    switch (kind) {
      case WORD:
        i = endOfWord(source, i)
        break
      case PLAIN:
        i++
        break
      case DIGIT:
        i = endOfNumber(source, i)
        break
      case QUOTE:
        // 'a' <newline> 'b' is one string to the server.
        i = afterString ? -1 : endOfQuoted(source, i, APOSTROPHE)
        break
      case DOUBLE_QUOTE:
        // An empty name is an error.
        i = endOfQuoted(source, i, 0x22)
        if (i === from + 2) return undefined
        break
      case DOLLAR:
        i = endOfParameter(source, i)
        break
      case MINUS:
        i = source[i + 1] === 0x2d ? -1 : i + 1
        break
      case SLASH:
        i = source[i + 1] === ASTERISK ? -1 : i + 1
        break
      default:
        return undefined
    }
    if (i < 0) return undefined
    afterString = kind === QUOTE
    if (kind === DIGIT || kind === QUOTE) {
      text += source.toString('latin1', copied, from) + (kind === DIGIT ? NUMBER : STRING)
      copied = i
      literals.push(from, i)
    }
  }
  text =
    copied === 0 ? source.toString('latin1', 0, length) : text + source.toString('latin1', copied, length)
  return { text, literals, source }
}

/** The bytes of one literal as text. */
export function literalText(shape: Shape, index: number): string {
  return shape.source.toString('latin1', shape.literals[2 * index], shape.literals[2 * index + 1])
}

/** A word must not run into a quote (E'', B'', U&'', N'') nor hold a dollar sign. */
function endOfWord(source: Buffer, from: number): number {
  let i = from + 1
  let kind = KINDS[source[i] ?? 0]
  while (kind === WORD || kind === DIGIT) kind = KINDS[source[++i] ?? 0]
  if (kind === QUOTE || kind === DOUBLE_QUOTE || kind === DOLLAR) return -1
  // U&"..." and U&'...' begin with the word U.
  return source[i] === AMPERSAND && i - from === 1 ? -1 : i
}

/** `1`, `1.5`; not `.5`, `1.`, `1e3`, `0x1`, `1_000`, nor a number that touches a word. */
function endOfNumber(source: Buffer, from: number): number {
  if (source[from - 1] === DOT) return -1
  let i = from + 1
  while (KINDS[source[i] ?? 0] === DIGIT) i++
  if (source[i] === DOT) {
    if (KINDS[source[++i] ?? 0] !== DIGIT) return -1
    while (KINDS[source[i] ?? 0] === DIGIT) i++
  }
  return touches(source, i) || source[i] === DOT ? -1 : i
}

/** `$1`, not touching a word. */
function endOfParameter(source: Buffer, from: number): number {
  let i = from + 1
  while (KINDS[source[i] ?? 0] === DIGIT) i++
  return i === from + 1 || touches(source, i) ? -1 : i
}

function touches(source: Buffer, at: number): boolean {
  const kind = KINDS[source[at] ?? 0]
  return kind === WORD || kind === DOLLAR || kind === QUOTE || kind === DOUBLE_QUOTE
}

/** To the closing quote; a doubled one stays inside. Refuses a backslash and all that is not ASCII text. */
function endOfQuoted(source: Buffer, from: number, quote: number): number {
  const length = source.length
  for (let i = from + 1; i < length; i++) {
    const c = source[i] ?? 0
    if (c === quote) {
      if (source[i + 1] !== quote) return i + 1
      i++
    } else if (c === 0x5c || c >= 0x7f || (c < 0x20 && c !== 0x09 && c !== 0x0a && c !== 0x0d)) return -1
  }
  return -1
}
