/**
 * Whether a text says `CURRENT OF`, with whatever stands between two words in SQL. In doubt it does: it is not looked
 * whether the words stand in a string. Comments nest.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS
 */
export function saysCurrentOf(text: string): boolean {
  let looked = 0
  for (const { index } of text.matchAll(/\bcurrent\b/gi)) {
    if (looked++ === PLACES_MAX) return true
    const at = nextWord(text, index + 'current'.length)
    if (/^of\b/i.test(text.slice(at, at + 3))) return true
  }
  return false
}

/** Each may be followed by a comment as long as the text. */
const PLACES_MAX = 16

function nextWord(text: string, from: number): number {
  let at = from
  for (let depth = 0; at < text.length; ) {
    const two = text.slice(at, at + 2)
    if (two === '/*' || (two === '*/' && depth > 0)) {
      depth += two === '/*' ? 1 : -1
      at += 2
    } else if (depth === 0 && two === '--') {
      while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++
    } else if (depth > 0 || /\s/.test(text.charAt(at))) at++
    else return at
  }
  return at
}
