import type { MaskingKey } from '../core/index.ts'
import { FIRST_NAMES, LAST_NAMES } from './names.ts'

/**
 * Values made with a key: the same for the same value, and nothing of it in them. Each carries a check, made with a key
 * that all labels share, by which the gateway later knows it for its own: tokens, addresses and uuids by 30 bits or
 * more; digits by three to five of them, and names by the letter in the middle.
 */

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const CHECK_CHARS = 6
/** Of a token: 100 bits, so that two values never share one. */
export const TOKEN_BODY_CHARS = 20
/** Of an e-mail address: 50 bits, so that among a million addresses hardly two are alike. */
export const ADDRESS_BODY_CHARS = 10
export const TOKEN_CHARS = TOKEN_BODY_CHARS + CHECK_CHARS
export const ADDRESS_CHARS = ADDRESS_BODY_CHARS + CHECK_CHARS

const DOMAINS = ['example.com', 'example.net', 'example.org'] as const

export function token(key: MaskingKey, value: Uint8Array): string {
  return checked(key, base32(key.mac(value), TOKEN_BODY_CHARS))
}

export function addressFor(key: MaskingKey, value: Uint8Array): string {
  const mac = key.mac(value)
  const local = checked(key, base32(mac, ADDRESS_BODY_CHARS))
  return `${local}@${DOMAINS[(mac[31] ?? 0) % DOMAINS.length] ?? DOMAINS[0]}`
}

function checked(key: MaskingKey, body: string): string {
  return body + base32(key.check(body), CHECK_CHARS)
}

/** Whether the last characters are the check of those before them. */
export function isChecked(key: MaskingKey, text: string): boolean {
  return checked(key, text.slice(0, -CHECK_CHARS)) === text
}

/** `Ada K. Lovelace`: the letter is the check of the two names. */
export function nameFor(key: MaskingKey, value: Uint8Array): string {
  const mac = key.mac(value)
  const first = FIRST_NAMES[mac.readUInt32BE(0) % FIRST_NAMES.length] ?? ''
  const last = LAST_NAMES[mac.readUInt32BE(4) % LAST_NAMES.length] ?? ''
  return `${first} ${initialOf(key, first, last)}. ${last}`
}

function initialOf(key: MaskingKey, first: string, last: string): string {
  return String.fromCharCode(0x41 + ((key.check(`${first} ${last}`)[0] ?? 0) % 26))
}

const NAME = /^(\S+) ([A-Z])\. (\S+)$/
const FIRST: ReadonlySet<string> = new Set(FIRST_NAMES)
const LAST: ReadonlySet<string> = new Set(LAST_NAMES)

export function isName(key: MaskingKey, text: string): boolean {
  const [, first = '', initial, last = ''] = NAME.exec(text) ?? []
  return FIRST.has(first) && LAST.has(last) && initialOf(key, first, last) === initial
}

const DIGITS_MIN = 6
const DIGITS_MAX = 24

/**
 * Other digits in the place of these, punctuation untouched; a zero in front stays one, and nothing else becomes one.
 * Undefined where there are too few digits to hide in, or too many.
 */
export function digitsFor(key: MaskingKey, text: string): string | undefined {
  const digits = text.replace(/\D/g, '')
  if (digits.length < DIGITS_MIN || digits.length > DIGITS_MAX) return undefined
  const mac = key.mac(Buffer.from(digits))
  const body = Array.from(digits.slice(0, -checkDigits(digits.length)), (digit, i) => {
    const byte = mac[i] ?? 0
    if (i > 0) return byte % 10
    return digit === '0' ? 0 : 1 + (byte % 9)
  })
  const made = body.join('') + digitsCheck(key, body.join(''), checkDigits(digits.length))
  let at = 0
  return text.replace(/\d/g, () => made[at++] ?? '0')
}

export function isDigits(key: MaskingKey, text: string): boolean {
  const digits = text.replace(/\D/g, '')
  if (digits.length < DIGITS_MIN || digits.length > DIGITS_MAX) return false
  const check = checkDigits(digits.length)
  return digitsCheck(key, digits.slice(0, -check), check) === digits.slice(-check)
}

/** More would leave too few values, fewer too many that only look like ours. */
function checkDigits(length: number): number {
  return length >= 12 ? 5 : length >= 9 ? 4 : 3
}

function digitsCheck(key: MaskingKey, body: string, count: number): string {
  return String(key.check(body).readUInt32BE(0) % 10 ** count).padStart(count, '0')
}

const UUID_CHECK_AT = 12

/** A uuid of version 8 (RFC 9562: what it holds is our own matter). */
export function uuidFor(key: MaskingKey, value: Uint8Array): Buffer {
  const uuid = Buffer.from(key.mac(value).subarray(0, 16))
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  uuidCheck(key, uuid).copy(uuid, UUID_CHECK_AT)
  return uuid
}

export function isUuid(key: MaskingKey, uuid: Buffer): boolean {
  return uuid.length === 16 && uuidCheck(key, uuid).equals(uuid.subarray(UUID_CHECK_AT))
}

function uuidCheck(key: MaskingKey, uuid: Buffer): Buffer {
  return key.check(uuid.toString('hex', 0, UUID_CHECK_AT)).subarray(0, 16 - UUID_CHECK_AT)
}

export function uuidText(uuid: Buffer): string {
  return uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The bytes of a uuid as the server writes it; undefined for what is none. */
export function uuidBytes(text: string): Buffer | undefined {
  return UUID.test(text) ? Buffer.from(text.replaceAll('-', ''), 'hex') : undefined
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function base32(bytes: Buffer, length: number): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5 && text.length < length) {
      bits -= 5
      text += ALPHABET[(held >> bits) & 31] ?? ''
    }
  }
  return text
}
