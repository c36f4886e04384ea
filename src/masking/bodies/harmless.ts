/**
 * Where a string of JSON ends, by its closing quote, that nobody needs to look into: it lies here as a whole, in plain
 * characters; it is no JSON itself; and it is too plain for any detector: no `@`, few digits, no long word. -1: it
 * may be worth a look. A look costs ten times as much as this, and most strings are not.
 */
export function harmlessEnd(bytes: Uint8Array, from: number, hasDetectors: boolean): number {
  const first = bytes[from] ?? 0
  // JSON in a string begins with a bracket, or with blanks in front; a quote would be escaped.
  if (first === 0x20 || first === 0x5b || first === 0x7b) return -1
  let digits = 0
  let word = 0
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === 0x22) return at
    if (byte < 0x20 || byte >= 0x7f || byte === 0x5c) return -1
    if (!hasDetectors) continue
    if (byte === 0x20) word = 0
    else word++
    if (byte >= 0x30 && byte <= 0x39) digits++
    if (byte === 0x40 || digits > DIGITS_MAX || word > WORD_MAX) return -1
  }
  return -1
}

/** An account number has more digits, of any country. */
const DIGITS_MAX = 5
/** A token of any vendor, and a line of a key, is longer. */
const WORD_MAX = 13

/** The same of a whole text of any format: nothing in it is escaped, and no detector would find anything. */
export function isHarmless(raw: string): boolean {
  let digits = 0
  let word = 0
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at)
    if (code >= 0x7f || code === 0x40 || code === 0x5c || code === 0x25 || code === 0x26 || code === 0x22)
      return false
    // A plus may be a blank, and then a word ends there; taken for a letter, it makes the word longer.
    word = code <= 0x20 ? 0 : word + 1
    if (code >= 0x30 && code <= 0x39) digits++
    if (digits > DIGITS_MAX || word > WORD_MAX) return false
  }
  return true
}
