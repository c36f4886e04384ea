import type { MaskingKey, MaskingRule } from '../core/index.ts'
import { ADDRESS_CHARS, isChecked, isDigits, isName, isUuid, TOKEN_CHARS, uuidBytes } from './tokens.ts'

/** Candidates looked at in one value: each costs a MAC, and a value may be nothing but candidates. */
const CANDIDATES_MAX = 1_000
/** A longer value is no masked one; something masked in it is looked for in its first bytes. */
const LOOKED_AT_BYTES = 256 * 1024

const TOKENS = new RegExp(`[a-z2-7]{${TOKEN_CHARS},200}`, 'g')
const ADDRESSES = new RegExp(`(?<![a-z2-7])[a-z2-7]{${ADDRESS_CHARS}}(?=@example\\.(?:com|net|org))`, 'g')
const UUIDS = /(?<![0-9a-f])[0-9a-f]{8}-?[0-9a-f]{4}-?8[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}(?![0-9a-f])/g

/**
 * Whether a value that somebody wants to write is one that the gateway put in place of a protected one: written back,
 * it would destroy what it stands for. `rule` is that of the column written to, `key` any of the gateway's.
 *
 * Hashes, addresses and uuids made for any label are found anywhere in the value, as text or as the sixteen bytes of a
 * uuid. What is easily met by chance counts only as a whole, and only where the column's own rule makes such values:
 * names and digits of pseudonyms, the stars of partial values, a constant. Years and buckets look like any other.
 */
export function recognises(value: Uint8Array, rule: MaskingRule | undefined, key: MaskingKey): boolean {
  const bytes = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, LOOKED_AT_BYTES))
  if (bytes.length === 16 && isUuid(key, bytes)) return true
  // A jsonb in binary form has its version in front.
  const text = bytes
    .toString('utf8')
    .replace(/^\u0001/, '')
    .trim()
  const unquoted = text.replace(/^"(.*)"$/s, '$1')
  // Also somewhere in a document.
  if (unquoted === '[masked]' || text.includes('"[masked]"') || text === '\\x5b6d61736b65645d') return true
  if (rule?.kind === 'constant' && rule.text !== '' && unquoted === rule.text) return true
  if (rule?.kind === 'partial' && text.includes('***')) return true
  if (rule?.kind === 'pseudonym' && isOfPseudonym(text, rule.of, key)) return true
  return holdsToken(text, key)
}

/** The same of a text of any kind, whatever is around the value in it; of at most `LOOKED_AT_BYTES`. */
export function holdsMasked(text: string, key: MaskingKey | undefined): boolean {
  return (
    text.includes('[masked]') || PARTIAL_ADDRESS.test(text) || (key !== undefined && holdsToken(text, key))
  )
}

/** The same of one value that is there as a whole: what is easily met by chance counts, in the shapes that this rule makes. */
export function isMaskedWhole(text: string, rule: MaskingRule, key: MaskingKey | undefined): boolean {
  if (rule.kind === 'constant') return rule.text !== '' && text === rule.text
  if (rule.kind === 'partial') return PARTIALS[rule.of].test(text)
  return rule.kind === 'pseudonym' && key !== undefined && isOfPseudonym(text, rule.of, key)
}

/** `a***@example.com`, as a partial rule writes it and hardly anybody else. */
const PARTIAL_ADDRESS = /[^\s*]\*{3}@[\p{L}\p{N}-]{1,63}\.\p{L}/u

/** What rules of each kind show, with the stars. */
const PARTIALS = {
  email: /^[^\s*]\*{3}@\S{1,254}$/u,
  phone: /^\*{3}\d{2}$/,
  card: /^\*{3}\d{4}$/,
  name: /^\S\*{3}(?: \S\*{3}){0,15}$/u,
  first: /^[^*]{1,64}\*{3}$/su,
  last: /^\*{3}[^*]{1,64}$/su,
} as const satisfies Record<(MaskingRule & { kind: 'partial' })['of'], RegExp>

function isOfPseudonym(
  text: string,
  of: (MaskingRule & { kind: 'pseudonym' })['of'],
  key: MaskingKey,
): boolean {
  if (of === 'name') return isName(key, text)
  return (of === 'phone' || of === 'digits') && /^[\d ()+./-]{1,64}$/.test(text) && isDigits(key, text)
}

function holdsToken(value: string, key: MaskingKey): boolean {
  const text = value.toLowerCase()
  let left = CANDIDATES_MAX
  for (const [found] of text.matchAll(TOKENS)) {
    if (isChecked(key, found.slice(-TOKEN_CHARS))) return true
    if (--left === 0) return false
  }
  for (const [found] of text.includes('@example.') ? text.matchAll(ADDRESSES) : []) {
    if (isChecked(key, found)) return true
    if (--left === 0) return false
  }
  for (const [found] of text.matchAll(UUIDS)) {
    const plain = found.replaceAll('-', '').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    const uuid = uuidBytes(plain)
    if (uuid !== undefined && isUuid(key, uuid)) return true
    if (--left === 0) return false
  }
  return hexOf(text, key)
}

/** A hash of a bytea, in hexadecimal: the token's letters. */
function hexOf(text: string, key: MaskingKey): boolean {
  const found = new RegExp(`^\\\\x([0-9a-f]{${2 * TOKEN_CHARS}})$`).exec(text)
  return found !== null && isChecked(key, Buffer.from(found[1] ?? '', 'hex').toString('latin1'))
}
