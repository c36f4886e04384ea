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

/** UTF-8 without anything that is not, and with a byte order mark kept as what it is: a character. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw malformed(`${what} is not UTF-8`)
  }
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/**
 * Base 64 of RFC 4648 section 4 in its one right spelling, with padding and without anything else; undefined for what is
 * not that. Two texts for the same bytes would be two notes for one signature.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined
  const binary = atob(text)
  if (btoa(binary) !== text) return undefined
  return Uint8Array.from(binary, (each) => each.charCodeAt(0))
}

/** A whole number as ASCII digits, without a sign or leading zeroes, that stays exact; undefined for anything else. */
export function decodeCount(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : undefined
}
