import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { ScramVerifier } from '../../core/credential.ts'
import { decodeUtf8, violation } from '../bytes/index.ts'

/** What both sides of SCRAM share: names, attributes, base64 and the keyed hash. RFC 5802, RFC 7677. */

export const SCRAM = 'SCRAM-SHA-256'
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'
/** The channel binding of RFC 5929 that PostgreSQL uses. */
export const BINDING_FLAG = 'p=tls-server-end-point'
export const KEY_BYTES = 32

function hmac(key: Uint8Array, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}

function xor(left: Uint8Array, right: Uint8Array): Buffer {
  const result = Buffer.alloc(left.length)
  for (let i = 0; i < left.length; i++) result[i] = (left[i] ?? 0) ^ (right[i] ?? 0)
  return result
}

/** What a client sends to prove the password, and what it expects of a server that knows its verifier. */
export function prove(
  saltedPassword: Uint8Array,
  authMessage: string,
): { readonly proof: Buffer; readonly serverSignature: Buffer } {
  const clientKey = hmac(saltedPassword, 'Client Key')
  return {
    proof: xor(clientKey, hmac(sha256(clientKey), authMessage)),
    serverSignature: hmac(hmac(saltedPassword, 'Server Key'), authMessage),
  }
}

/** The server's signature if the proof is right, in constant time. */
export function checkProof(
  verifier: ScramVerifier,
  authMessage: string,
  proof: Uint8Array,
): Buffer | undefined {
  const clientKey = xor(proof, hmac(verifier.storedKey, authMessage))
  return timingSafeEqual(sha256(clientKey), verifier.storedKey)
    ? hmac(verifier.serverKey, authMessage)
    : undefined
}

/** Base64 in its one canonical spelling; anything else is a violation. */
export function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (text === '' || bytes.toString('base64') !== text) throw malformed()
  return bytes
}

export function malformed(): Error {
  return violation('A SCRAM message is malformed.')
}

/** Reads `a=value` attributes, separated by commas, from the front of a message. */
export class Attributes {
  readonly text: string
  #at = 0

  constructor(message: Uint8Array) {
    this.text = decodeUtf8(Buffer.from(message.buffer, message.byteOffset, message.byteLength))
    if (this.text.includes('\0')) throw malformed()
  }

  /** Where the next attribute begins in the text. */
  get at(): number {
    return this.#at
  }

  /** Everything up to the next comma, or to the end; moves behind the comma. */
  field(): string {
    if (this.atEnd) throw malformed()
    const comma = this.text.indexOf(',', this.#at)
    const end = comma < 0 ? this.text.length : comma
    const field = this.text.slice(this.#at, end)
    // A comma at the very end announces a field that is not there: one more than the length is "behind the end".
    this.#at = comma < 0 ? this.text.length + 1 : end + 1
    return field
  }

  /** The value of the attribute `name`, which must be next. */
  value(name: string): string {
    const field = this.field()
    if (!field.startsWith(`${name}=`)) throw malformed()
    return field.slice(2)
  }

  get atEnd(): boolean {
    return this.#at > this.text.length
  }

  done(): void {
    if (!this.atEnd) throw malformed()
  }
}

/** A nonce of RFC 5802: printable ASCII without a comma. */
export function isNonce(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text)
}
