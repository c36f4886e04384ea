/** Nothing that is read here is deeper, and no number that means something is longer. */
const DEPTH_MAX = 64
const NUMBER_CHARACTERS_MAX = 32
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const COLON = 0x3a

/**
 * JSON that every reader takes for the same: as RFC 8259 has it, and no name twice in an object, no text that is no Unicode,
 * at most 64 levels, numbers of at most 32 characters. Throws for anything else, with nothing of the text in the reason.
 */
export function strictJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
  hold(text)
  return value
}

/** Goes over what is JSON. */
function hold(text: string): void {
  /** The names so far of each object that is open; undefined for a list. */
  const open: (Set<string> | undefined)[] = []
  let name: string | undefined
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfText(text, at)
      name = textAt(text, at, end)
      at = end - 1
    } else if (code === COLON) {
      const names = open.at(-1)
      if (name === undefined || names === undefined || names.has(name))
        throw new Error('it has a name twice in one object')
      names.add(name)
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (open.push(code === OPEN_OBJECT ? new Set() : undefined) > DEPTH_MAX)
        throw new Error('it is too deep')
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) open.pop()
    else if (isDigit(code)) {
      const begin = at
      while (at + 1 < text.length && isOfNumber(text.charCodeAt(at + 1))) at++
      if (at - begin >= NUMBER_CHARACTERS_MAX) throw new Error('it has a number that is too long')
    }
  }
}

/** Behind the quote that ends it. */
function endOfText(text: string, begin: number): number {
  let end = begin
  do {
    end = text.indexOf('"', end + 1)
  } while (isEscaped(text, end))
  return end + 1
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++
  return slashes % 2 === 1
}

function textAt(text: string, begin: number, end: number): string {
  const raw = text.slice(begin + 1, end - 1)
  if (!raw.includes('\\')) return raw
  const read: unknown = JSON.parse(text.slice(begin, end))
  if (typeof read !== 'string' || !read.isWellFormed()) throw new Error('it has a text that is no Unicode')
  return read
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** A digit, or one of `.`, `e`, `E`, `+`, `-`. */
function isOfNumber(code: number): boolean {
  return isDigit(code) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === 0x2d
}
