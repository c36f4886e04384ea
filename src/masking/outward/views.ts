import { isUtf8 } from 'node:buffer'

/** Of these a run may be base64 of something worth a look: an address of eight characters has twelve. */
const BASE64_CHARS_MIN = 12
const BASE64 = new RegExp(`[A-Za-z0-9+/_-]{${BASE64_CHARS_MIN},}(?:\\r?\\n[A-Za-z0-9+/_-]+)*`, 'g')
const HEXADECIMAL = /(?:[0-9a-f]{2}[ :]?){8,}/gi

/**
 * What a text says to those who undo what was done to it: escapes of JSON, of URLs and forms, of HTML and XML; base64 of both alphabets
 * wherever it begins (RFC 4648), hexadecimal. None of them is much longer than the text. Gives those that differ from it; each may have views
 * of its own.
 */
export function viewsOf(text: string): readonly string[] {
  const views = [
    text.includes('\\') ? withoutBackslashes(text) : text,
    text.includes('%') || text.includes('+') ? withoutPercents(text) : text,
    text.includes('&') ? withoutEntities(text) : text,
    fromBase64(text),
    fromHexadecimal(text),
  ]
  return [...new Set(views)].filter((each) => each !== text && each !== '')
}

const PLAIN = /^[\x00-\x7f]*$/
const UNSEEN = /[\p{Cf}\u115f\u1160\u3164\uffa0]|\u034f|[\ufe00-\ufe0f]/gu

/** Letters that look like others are those (Unicode Standard Annex 15, form KC), and what does not show is not there. */
export function plainText(text: string): string {
  return PLAIN.test(text) ? text : text.normalize('NFKC').replaceAll(UNSEEN, '').replaceAll('\ufffd', ' ')
}

/** RFC 8259 section 7, and `\x41` as programs write it. */
function withoutBackslashes(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|([\s\S]))/gi, (_, four, two, other: string) => {
    const digits: unknown = four ?? two
    if (typeof digits === 'string') return String.fromCharCode(Number.parseInt(digits, 16))
    return ESCAPED[other] ?? other
  })
}

const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

/** RFC 3986 section 2.1; a plus is a blank, as in forms. */
function withoutPercents(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replaceAll(/%u([0-9a-f]{4})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    .replaceAll(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const CODE_POINT_MAX = 0x10_ff_ff

function withoutEntities(text: string): string {
  return text.replaceAll(
    /&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos|commat));?/gi,
    (whole, hex, decimal, name) => {
      if (typeof name === 'string')
        return name.toLowerCase() === 'commat' ? '@' : (NAMED[name.toLowerCase()] ?? whole)
      const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal)
      return code <= CODE_POINT_MAX ? String.fromCodePoint(code) : whole
    },
  )
}

/** All that base64 in it says in words, a line for each. What is in front of it may be of its letters, too. */
function fromBase64(text: string): string {
  const found: string[] = []
  for (const [run] of text.matchAll(BASE64)) {
    const letters = run.replaceAll(/\s/g, '')
    for (let skipped = 0; skipped < 4; skipped++) {
      const words = wordsOf(Buffer.from(skipped === 0 ? letters : letters.slice(skipped), 'base64'))
      if (words !== '') found.push(words)
    }
  }
  return found.join('\n')
}

function fromHexadecimal(text: string): string {
  const found: string[] = []
  for (const [run] of text.matchAll(HEXADECIMAL)) {
    const bytes = Buffer.from(run.replaceAll(/[ :]/g, ''), 'hex')
    const words = wordsOf(bytes)
    if (words !== '') found.push(words)
  }
  return found.join('\n')
}

/** Fewer of them are no value. */
const WORDS_CHARS_MIN = 6

/** The printable stretches of what was decoded; empty: it is noise, as a long number or word is. */
function wordsOf(bytes: Buffer): string {
  let printable = 0
  for (const byte of bytes) if (byte >= 0x20 && byte < 0x7f) printable++
  if (printable * 2 < bytes.length && !isUtf8(bytes) && !isWide(bytes)) return ''
  const stretches = textOf(bytes).match(/[^\p{Cc}\ufffd]+/gu) ?? []
  return stretches.filter((each) => each.length >= WORDS_CHARS_MIN).join('\n')
}

/** Bytes as text: UTF-16 where every other byte is none, else UTF-8. */
export function textOf(bytes: Buffer): string {
  const end = isWide(bytes)
  if (end === undefined) return bytes.toString('utf8')
  if (end === 'little') return bytes.toString('utf16le')
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le')
}

function isWide(bytes: Buffer): 'little' | 'big' | undefined {
  if (bytes.length < 4 || !bytes.subarray(0, 256).includes(0)) return undefined
  const some = bytes.subarray(0, 256)
  let [even, odd] = [0, 0]
  for (let at = 0; at + 1 < some.length; at += 2) {
    if (some[at] === 0) even++
    if (some[at + 1] === 0) odd++
  }
  const pairs = some.length >> 1
  if (odd > pairs / 2) return 'little'
  return even > pairs / 2 ? 'big' : undefined
}
