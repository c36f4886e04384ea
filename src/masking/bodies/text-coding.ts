/** How a format writes text between its own signs: what the characters of it stand for, and how others are written. */
export interface TextCoding {
  /** The text that `raw` stands for. An unfinished escape at the end is left out: `used` says how much was read. */
  decode(raw: string): DecodedText
  /** A text written so that it may stand in the middle of another. */
  encode(text: string): string
  /** A text that is a whole value, where that may be written in another way. */
  readonly encodeWhole?: (text: string) => string
}

export type DecodedText = {
  readonly text: string
  /** For each UTF-16 unit of `text`, and its end, where it begins in the raw text. Undefined: at the same place. */
  readonly origin: Uint32Array | undefined
  readonly used: number
}

const same = (raw: string): DecodedText => ({ text: raw, origin: undefined, used: raw.length })

/** Text that stands for itself. */
export const PLAIN_TEXT: TextCoding = { decode: same, encode: (text) => text }

const SHORT: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/** Inside of a JSON string, RFC 8259 section 7. What is decoded has been found to be well-formed before. */
export const JSON_TEXT: TextCoding = {
  decode(raw) {
    if (!raw.includes('\\')) return same(raw)
    return unescaped(raw, '\\', (at) => {
      const letter = raw[at + 1]
      if (letter === undefined) return undefined
      if (letter !== 'u') return { length: 2, text: SHORT[letter] ?? letter }
      if (at + 6 > raw.length) return undefined
      return { length: 6, text: String.fromCharCode(Number.parseInt(raw.slice(at + 2, at + 6), 16)) }
    })
  },
  encode: (text) => JSON.stringify(text).slice(1, -1),
}

/** Inside of a quoted field of CSV, RFC 4180 section 2.7: a quote is written twice. */
export const QUOTED_TEXT: TextCoding = {
  decode(raw) {
    if (!raw.includes('"')) return same(raw)
    return unescaped(raw, '"', (at) => (at + 1 < raw.length ? { length: 2, text: '"' } : undefined))
  },
  encode: (text) => text.replaceAll('"', '""'),
}

/** A field of CSV without quotes. A whole one that needs them gets them; in the middle of one there is no way to say it. */
export const UNQUOTED_TEXT: TextCoding = {
  decode: same,
  encode: (text) => text.replaceAll(UNQUOTABLE, '_'),
  encodeWhole: (text) => (text.search(UNQUOTABLE) < 0 ? text : `"${QUOTED_TEXT.encode(text)}"`),
}
const UNQUOTABLE = /[",;|\t\r\n]/g

/** Text and attributes of XML: the five entities that need no declaration, and numbers. XML 1.0 sections 4.1 and 4.6. */
export const XML_TEXT: TextCoding = {
  decode(raw) {
    if (!raw.includes('&')) return same(raw)
    return unescaped(raw, '&', (at) => {
      const end = raw.indexOf(';', at)
      if (end < 0) return undefined
      return { length: end + 1 - at, text: entityText(raw.slice(at + 1, end)) ?? '\ufffd' }
    })
  },
  encode: (text) => text.replaceAll(/[&<>"'\r]/g, (sign) => `&#${sign.charCodeAt(0)};`),
}

/** Inside of CDATA, which ends at the first `]]>`. */
export const CDATA_TEXT: TextCoding = { decode: same, encode: (text) => text.replaceAll(']]>', ']] >') }

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** What `&name;` stands for; undefined: nothing that would not have to be declared. */
export function entityText(name: string): string | undefined {
  const [, hexadecimal, decimal] = /^#(?:x([0-9a-f]{1,6})|([0-9]{1,7}))$/i.exec(name) ?? []
  if (hexadecimal === undefined && decimal === undefined) return ENTITIES[name]
  const code = hexadecimal === undefined ? Number(decimal) : Number.parseInt(hexadecimal, 16)
  const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
  return isCharacter ? String.fromCodePoint(code) : undefined
}

/** A name or value of a form, by the URL standard section 5.1: percent signs that begin no escape stand for themselves. */
export const FORM_TEXT: TextCoding = {
  decode(raw) {
    if (!/[%+]/.test(raw)) return same(raw)
    const spaced = raw.replaceAll('+', ' ')
    return unescaped(spaced, '%', (at) => {
      const first = byteAt(spaced, at)
      if (first === undefined) return at + 3 > spaced.length ? undefined : { length: 1, text: '%' }
      const bytes = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
      const character = Buffer.alloc(bytes, first)
      for (let n = 1; n < bytes; n++) {
        const next = byteAt(spaced, at + 3 * n)
        // Cut off, or not the rest of a character: a browser shows something else there, and reads on.
        if (next === undefined && at + 3 * (n + 1) > spaced.length) return undefined
        if (next === undefined || next < 0x80 || next > 0xbf) return { length: 3, text: '\ufffd' }
        character[n] = next
      }
      return { length: 3 * bytes, text: character.toString() }
    })
  },
  encode: (text) => encodeURIComponent(text).replaceAll('%20', '+'),
}

/** The byte of the escape that begins here; undefined: none does, or not as a whole. */
function byteAt(text: string, at: number): number | undefined {
  const [, digits] = /^%([0-9a-f]{2})/i.exec(text.slice(at, at + 3)) ?? []
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}

/** Reads `raw` with each escape that begins with `sign` replaced; `read` gives undefined where it is unfinished. */
function unescaped(
  raw: string,
  sign: string,
  read: (at: number) => { readonly length: number; readonly text: string } | undefined,
): DecodedText {
  // No escape stands for more characters than it has.
  const origin = new Uint32Array(raw.length + 1)
  let text = ''
  let at = 0
  for (;;) {
    const next = raw.indexOf(sign, at)
    const end = next < 0 ? raw.length : next
    for (let i = at; i < end; i++) origin[text.length + i - at] = i
    text += raw.slice(at, end)
    at = end
    if (next < 0) break
    const escape = read(at)
    if (escape === undefined) break
    for (let i = 0; i < escape.text.length; i++) origin[text.length + i] = at
    text += escape.text
    at += escape.length
  }
  origin[text.length] = at
  return { text, origin, used: at }
}
