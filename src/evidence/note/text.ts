import { GatewayError } from '../../core/index.ts'

/** Refuses what is not of its form, naming the thing and no part of what was in it. */
export function malformed(what: string): GatewayError {
  return new GatewayError('invalid', `${what}.`, {
    remedy:
      'Fetch it again from where it came from; if it stays like this, it is damaged or not what it says.',
  })
}

export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** One for all: making one costs more than most texts that it reads. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 without anything that is not, and with a byte order mark kept as what it is: a character. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return UTF8.decode(bytes)
  } catch {
    throw malformed(`${what} is not UTF-8`)
  }
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
/** By the code of a character; -1 for what is none of base 64. */
const SEXTETS = Int8Array.from({ length: 128 }, (_, code) => BASE64.indexOf(String.fromCharCode(code)))

/**
 * Base 64 of RFC 4648 section 4 in its one right spelling, with padding and without anything else; undefined for what is
 * not that. Two texts for the same bytes would be two notes for one signature.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const padding = text.endsWith('==') ? 2 : Number(text.endsWith('='))
  const length = (text.length / 4) * 3 - padding
  if (text.length % 4 !== 0) return undefined
  const bytes = new Uint8Array(length)
  let bits = 0
  let kept = 0
  let at = 0
  for (let i = 0; i < text.length - padding; i++) {
    const sextet = SEXTETS[text.charCodeAt(i)] ?? -1
    if (sextet < 0) return undefined
    bits = (bits << 6) | sextet
    kept += 6
    if (kept < 8) continue
    kept -= 8
    bytes[at++] = bits >>> kept
    bits &= (1 << kept) - 1
  }
  // What is left over of the last character must be zero.
  return bits === 0 ? bytes : undefined
}

/** A whole number as ASCII digits, without a sign or leading zeroes, that stays exact; undefined for anything else. */
export function decodeCount(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : undefined
}
