import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import type { ScramVerifier } from './credential.ts'

/** PostgreSQL's own default. A minted secret has 256 random bits, so more rounds would protect nothing. */
export const SCRAM_ITERATIONS = 4096

/** PostgreSQL's own length of salt. */
export const SCRAM_SALT_BYTES = 16

function hmac(key: Uint8Array, data: string): Uint8Array {
  return createHmac('sha256', key).update(data).digest()
}

/**
 * What a server keeps of `password` for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677). The password is taken as it is:
 * minted secrets are ASCII, where SASLprep changes nothing.
 */
export function createScramVerifier(password: string, iterations: number, salt: Uint8Array): ScramVerifier {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest()
  return { iterations, salt, storedKey, serverKey: hmac(salted, 'Server Key') }
}

/**
 * A verifier that no password matches, always the same for one name and one `key`: a stranger who asks twice cannot
 * tell an unknown name from a known one (RFC 5802 section 9). `key` stays on the server.
 */
export function mockScramVerifier(name: string, key: Uint8Array): ScramVerifier {
  return {
    iterations: SCRAM_ITERATIONS,
    salt: hmac(key, `salt ${name}`).subarray(0, SCRAM_SALT_BYTES),
    storedKey: hmac(key, `stored key ${name}`),
    serverKey: hmac(key, `server key ${name}`),
  }
}
