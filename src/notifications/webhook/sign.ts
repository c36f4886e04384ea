import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../core/index.ts'
import { GatewayError, LIMITS } from '../../core/index.ts'

/**
 * Standard Webhooks 1.0.0, with symmetric secrets:
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */

/** "At least 24 bytes (192 bits, 512 maximum)". */
const KEY_BYTES_MIN = 24
const KEY_BYTES_MAX = 64
const ID = /^[A-Za-z0-9_-]{1,128}$/

export type SignedHeaders = Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>>

/** The headers of a message: one signature for each secret. Throws `invalid` for a secret that is none. */
export function signed(secrets: readonly Secret[], id: string, now: number, body: string): SignedHeaders {
  const seconds = String(Math.floor(now / 1000))
  const signatures = secrets.map(
    (secret) => `v1,${signature(keyOf(secret), id, seconds, body).toString('base64')}`,
  )
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signatures.join(' ') }
}

/**
 * The id of a message that was signed with one of these secrets within `LIMITS.channelAnswerMs` of now. Whether it has been
 * here before is for the caller to know. Throws `unauthenticated`, in the same words whatever is wrong.
 */
export function verified(
  secrets: readonly Secret[],
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: Uint8Array,
  now: number,
): string {
  const [id, seconds, given] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => {
    const value = headers[name]
    return typeof value === 'string' && value.length <= HEADER_MAX ? value : ''
  })
  if (id === undefined || seconds === undefined || given === undefined) throw unsigned()
  if (!ID.test(id) || !/^\d{1,12}$/.test(seconds)) throw unsigned()
  const expected = secrets.map((secret) => signature(keyOf(secret), id, seconds, body))
  const isSigned = given
    .split(' ')
    .filter((each) => each.startsWith('v1,'))
    .some((each) => {
      const bytes = Buffer.from(each.slice(3), 'base64')
      return expected.some((wanted) => wanted.length === bytes.length && timingSafeEqual(wanted, bytes))
    })
  if (!isSigned || Math.abs(now - Number(seconds) * 1000) > LIMITS.channelAnswerMs) throw unsigned()
  return id
}

/** Room for several signatures of both kinds. */
const HEADER_MAX = 2_048

function signature(key: Uint8Array, id: string, seconds: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest()
}

function keyOf(secret: Secret): Buffer {
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.reveal()) ?? []
  const key = Buffer.from(base64, 'base64')
  if (key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX) return key
  throw new GatewayError('invalid', 'The secret of this channel is none of Standard Webhooks.', {
    remedy: 'It is whsec_ and 24 to 64 bytes in base64: echo "whsec_$(openssl rand -base64 32)"',
    retry: 'only-if-changed',
  })
}

function unsigned(): GatewayError {
  return new GatewayError('unauthenticated', 'This message is not signed as this channel signs.', {
    remedy: 'Sign it as Standard Webhooks has it, with the secret under answers, by a clock that is right.',
  })
}
