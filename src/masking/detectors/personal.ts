import type { Detector, Hit } from './detector.ts'

/** An address as RFC 5322 dot-atom at a domain with a dot, with letters of any script (RFC 6531). */
export const EMAIL: Detector = {
  name: 'email',
  find(text) {
    // From the @ outwards: a pattern that begins with the local part would try each character of a long word.
    const hits: Hit[] = []
    for (let at = text.indexOf('@'), free = 0; at >= 0; at = text.indexOf('@', at + 1)) {
      let from = at
      while (from > free && at - from < LOCAL_CHARS_MAX && isLocal(text.charCodeAt(from - 1))) from--
      DOMAIN.lastIndex = at + 1
      const domain = DOMAIN.exec(text)?.[0]
      // Not the second half of a character of two units.
      if ((text.charCodeAt(from) & 0xfc00) === 0xdc00) from++
      if (from === at || domain === undefined) continue
      free = at + 1 + domain.length
      hits.push({ from, to: free })
    }
    return hits
  },
  rest: /[\p{L}\p{N}.-]*/uy,
}

/** RFC 5321 section 4.5.3.1.1. */
const LOCAL_CHARS_MAX = 64
const DOMAIN = /[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,62})(?:\.[\p{L}\p{N}][\p{L}\p{N}-]{0,62}){1,8}/uy

function isLocal(code: number): boolean {
  return code >= 0x80 || /[\w!#$%&'*+/=?^`{|}~.-]/.test(String.fromCharCode(code))
}

/** A card number (ISO/IEC 7812): 13 to 19 digits, in groups or not, the last of which is their check by Luhn. */
export const CARD: Detector = {
  name: 'card',
  find(text) {
    const hits: Hit[] = []
    // Several numbers may stand behind each other: each beginning of a group may be that of a card.
    for (const run of text.matchAll(/\d(?:[ -]?\d){12,}/g)) {
      const groups = [...run[0].matchAll(/\d+/g)].map(({ index, 0: digits }) => ({ index, digits }))
      for (let first = 0; first < groups.length; first++) {
        const last = lastOfCard(groups.slice(first, first + 19).map(({ digits }) => digits))
        const [from, to] = [groups[first], groups[first + last]]
        if (last < 0 || from === undefined || to === undefined) continue
        hits.push({ from: run.index + from.index, to: run.index + to.index + to.digits.length })
        first += last
      }
    }
    return hits
  },
  rest: /[\d -]*/y,
}

/** With which group a card number ends that begins with the first one; -1: with none. */
function lastOfCard(groups: readonly string[]): number {
  let digits = ''
  for (const [n, group] of groups.entries()) {
    digits += group
    if (digits.length > 19) return -1
    if (isCard(digits)) return n
  }
  return -1
}

function isCard(digits: string): boolean {
  if (digits.length < 13 || !/^[2-6]/.test(digits)) return false
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 0x30
    const weighed = i % 2 === 0 ? digit : 2 * digit
    sum += weighed > 9 ? weighed - 9 : weighed
  }
  return sum % 10 === 0
}

/** An account number (ISO 13616): country, two check digits, and as many characters as the country has; in groups or not. */
export const IBAN: Detector = {
  name: 'iban',
  find(text) {
    const hits: Hit[] = []
    const begin = /(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}/g
    for (let found = begin.exec(text); found !== null; found = begin.exec(text)) {
      const length = IBAN_LENGTHS.get((found[1] ?? '').toUpperCase())
      if (length === undefined) continue
      const rest = new RegExp(`(?:[ -]?[A-Za-z0-9]){${length - 4}}(?![A-Za-z0-9])`, 'y')
      rest.lastIndex = begin.lastIndex
      const matched = rest.exec(text)?.[0]
      if (matched === undefined || !isIban(found[0] + matched)) continue
      begin.lastIndex += matched.length
      hits.push({ from: found.index, to: begin.lastIndex })
    }
    return hits
  },
  rest: /[A-Z0-9 -]*/iy,
}

function isIban(written: string): boolean {
  const compact = written.replaceAll(/[ -]/g, '').toUpperCase()
  let remainder = 0
  for (const letter of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(letter, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder === 1
}

/** Characters of an account number by country: the registry of ISO 13616. */
const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    15: 'NO',
    16: 'BE',
    18: 'DK FK FO FI GL NL SD',
    19: 'MK SI',
    20: 'AT BA EE KZ LT LU MN XK',
    21: 'CH HR LI LV',
    22: 'BG BH CR DE GB GE IE ME RS VA',
    23: 'AE GI IL IQ OM SO TL',
    24: 'AD CZ ES MD PK RO SA SE SK TN VG',
    25: 'LY PT ST',
    26: 'IS TR',
    27: 'BI DJ FR GR IT MC MR SM',
    28: 'AL AZ BY CY DO GT HU LB NI PL SV',
    29: 'BR EG PS QA UA',
    30: 'JO KW MU YE',
    31: 'MT SC',
    32: 'LC',
    33: 'RU',
  }).flatMap(([length, countries]) => countries.split(' ').map((each) => [each, Number(length)] as const)),
)
