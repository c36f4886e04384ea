/**
 * Values that occur nowhere else, one for each protected cell, and the search for them in what a client was sent:
 * plainly, or in any notation that a single function makes of a value. Leaves to others where the cells are.
 *
 * Texts are made of eight letters that hardly any word has in a row, so that one regular expression finds where to look
 * closer; numbers have at least nine digits. Six letters or seven digits of a value in a row count as the value.
 */
const LETTERS = 'qzxjkvwy'
const WORD_LENGTH = 12
const GRAM = 6
/** Looked for across what stands between: letters of several cells could come together by chance otherwise. */
const SQUEEZED_GRAM = 8
const DIGITS = 7
const BASE64_GRAM = 7

const RUN = new RegExp(`[${LETTERS}]{${GRAM},}`, 'g')
const DIGIT_RUN = /\d{7,}/g
const BASE64_RUN = /[A-Za-z0-9+/_-]{7,}/g
const HEX_RUN = /[0-9a-f]{8,}/g

export class Markers {
  readonly #random: () => number
  readonly #grams = new Set<string>()
  readonly #squeezed = new Set<string>()
  readonly #digits = new Set<string>()
  readonly #base64 = new Set<string>()
  readonly #hex = new Set<string>()
  readonly #raw: Buffer[] = []
  readonly #texts: string[] = []

  constructor(random: () => number) {
    this.#random = random
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  /** Twelve letters. */
  word(): string {
    const word = Array.from({ length: WORD_LENGTH }, () => LETTERS[this.#below(LETTERS.length)] ?? 'q').join(
      '',
    )
    const back = [...word].toReversed().join('')
    for (const each of [word, back]) {
      for (const gram of windows(each, GRAM)) this.#grams.add(gram)
      for (const gram of windows(each, SQUEEZED_GRAM)) this.#squeezed.add(gram)
      for (const form of [each, each.toUpperCase(), each[0]?.toUpperCase() + each.slice(1)]) {
        for (const gram of windows(form, GRAM)) this.#addBase64(gram)
        for (const gram of windows(form, GRAM)) this.#hex.add(Buffer.from(gram).toString('hex'))
      }
    }
    return word
  }

  /** A number of so many digits; its binary form is looked for as well, in 4 or 8 bytes. */
  integer(digits: 9 | 16): number {
    for (;;) {
      const value = 10 ** (digits - 1) * (3 + this.#below(7)) + this.#below(10 ** (digits - 1))
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(value))
      const tail = digits === 9 ? bytes.subarray(4) : bytes
      // Two bytes that no ASCII text has, so that text is never taken for it.
      if (value > 2_147_483_647 && digits === 9) continue
      if (tail.filter((byte) => byte >= 0x80).length < 2) continue
      this.#raw.push(Buffer.from(tail))
      this.#addDigits(String(value))
      this.#hex.add(value.toString(16).padStart(8, '0').slice(0, 8))
      return value
    }
  }

  /** Twelve digits before the point, two behind it. */
  numeric(): string {
    const groups = Array.from({ length: 3 }, () => 1000 + this.#below(9000))
    const bytes = Buffer.alloc(6)
    for (const [i, group] of groups.entries()) bytes.writeInt16BE(group, i * 2)
    this.#raw.push(bytes)
    this.#addDigits(groups.join(''))
    return `${groups.join('')}.25`
  }

  /** Digits for where a longer number does not fit; eight of them. */
  digits(): string {
    const text = String(10_000_000 + this.#below(89_999_999))
    this.#addDigits(text)
    return text
  }

  float(): string {
    const value = Number(`${100_000_000 + this.#below(899_999_999)}.5`)
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(value)
    this.#raw.push(bytes)
    this.#addDigits(String(Math.floor(value)))
    return String(value)
  }

  /** A date of the far future: its year alone is a marker. */
  date(): string {
    const year = String(1_000_000 + this.#below(4_000_000))
    this.#addDigits(year)
    return `${year}-0${1 + this.#below(9)}-1${this.#below(10)}`
  }

  timestamp(): string {
    const text = `${100_000 + this.#below(190_000)}-0${1 + this.#below(9)}-1${this.#below(10)}`
    this.#texts.push(text, text.replaceAll('-', ''))
    return `${text} 0${this.#below(10)}:3${this.#below(10)}:00`
  }

  uuid(): string {
    const bytes = Buffer.from(Array.from({ length: 16 }, () => this.#below(256)))
    this.#raw.push(bytes)
    const hex = bytes.toString('hex')
    for (const gram of windows(hex, 12)) this.#hex.add(gram)
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }

  inet(): string {
    const parts = Array.from({ length: 4 }, () => 130 + this.#below(120))
    this.#texts.push(parts.join('.'))
    this.#raw.push(Buffer.from(parts))
    return parts.join('.')
  }

  #addDigits(text: string): void {
    for (const each of [text, [...text].toReversed().join('')])
      for (const gram of windows(each, DIGITS)) this.#digits.add(gram)
  }

  #addBase64(text: string): void {
    for (const shift of [0, 1, 2]) {
      const encoded = Buffer.from('x'.repeat(shift) + text).toString('base64')
      const first = Math.ceil((shift * 8) / 6)
      this.#base64.add(encoded.slice(first, first + BASE64_GRAM))
    }
  }

  /** What is found of protected values in these bytes, and in which notation; nothing at all is what should be. */
  find(bytes: Buffer): string[] {
    const found = new Set<string>()
    const raw = bytes.toString('latin1')
    const lower = raw.toLowerCase()
    const note = (form: string, text: string, runs: RegExp, set: ReadonlySet<string>, size: number) => {
      for (const [run] of text.matchAll(runs)) {
        for (const gram of windows(run, size)) if (set.has(gram)) found.add(`${form} ${gram}`)
      }
    }
    note('plain', lower, RUN, this.#grams, GRAM)
    note('digits', lower, DIGIT_RUN, this.#digits, DIGITS)
    if (lower.includes('\0')) {
      const narrow = lower.replaceAll('\0', '')
      note('UTF-16', narrow, RUN, this.#grams, GRAM)
    }
    const decoded = unescaped(lower)
    if (decoded !== lower) note('escaped', decoded, RUN, this.#grams, GRAM)
    const squeezed = lower.replaceAll(/[^a-z0-9]/g, '')
    note('squeezed', squeezed, RUN, this.#squeezed, SQUEEZED_GRAM)
    for (const size of [8, 12]) {
      note('hex', lower, HEX_RUN, this.#hex, size)
      note('hex', squeezed, HEX_RUN, this.#hex, size)
    }
    note('base64', raw, BASE64_RUN, this.#base64, BASE64_GRAM)
    for (const text of this.#texts) if (lower.includes(text)) found.add(`text ${text}`)
    for (const each of this.#raw) if (bytes.includes(each)) found.add(`binary ${each.toString('hex')}`)
    return [...found]
  }
}

function* windows(text: string, size: number): Generator<string> {
  for (let at = 0; at + size <= text.length; at++) yield text.slice(at, at + size)
}

/** The letters behind what URL, JSON, XML, C and bytea write in another way. */
function unescaped(text: string): string {
  if (!/[%\\&]/.test(text)) return text
  return text
    .replaceAll(/%([0-9a-f]{2})|\\u00([0-9a-f]{2})|\\x([0-9a-f]{2})|&#x([0-9a-f]{2});/g, (_, a, b, c, d) =>
      String.fromCharCode(Number.parseInt(a ?? b ?? c ?? d, 16)),
    )
    .replaceAll(/&#(\d{2,3});/g, (_, decimal) => String.fromCharCode(Number(decimal)))
    .replaceAll(/\\([0-3][0-7]{2})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
    .toLowerCase()
}
