import { createCipheriv, createDecipheriv } from 'node:crypto'
import { GatewayError, type RandomBytes, type RecordingKeys } from '../../core/index.ts'
import type { SealedHeader } from './file-header.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const OPTIONS = { authTagLength: TAG_BYTES } as const

/** A new data key for one version of a session file, and the header in which it stands, wrapped (AES-256-GCM). */
export function newDataKey(
  [{ id, key }]: RecordingKeys,
  random: RandomBytes,
  session: string,
): { readonly key: Uint8Array; readonly header: SealedHeader } {
  const dataKey = random(KEY_BYTES)
  const nonce = random(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, OPTIONS)
  cipher.setAAD(Buffer.from(session))
  const wrapped = Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()])
  return { key: dataKey, header: { session, key: { id, wrapped: wrapped.toString('base64') } } }
}

/**
 * The data key of the file with this header. Throws GatewayError `invalid`: with the id when the recording key that it
 * needs is not among `keys`, and when what stands there is not what was written.
 */
export function unwrapDataKey(keys: RecordingKeys, { session, key }: SealedHeader): Uint8Array {
  const recordingKey = keys.find(({ id }) => id === key.id)
  if (recordingKey === undefined) {
    throw new GatewayError(
      'invalid',
      `The recording of ${session} cannot be read without the key ${key.id}.`,
      {
        remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
        facts: { session, keyId: key.id },
      },
    )
  }
  const bytes = Buffer.from(key.wrapped, 'base64')
  if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) throw unwrappable(session)
  const decipher = createDecipheriv(CIPHER, recordingKey.key, bytes.subarray(0, NONCE_BYTES), OPTIONS)
  decipher.setAAD(Buffer.from(session))
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES + KEY_BYTES))
  const dataKey = decipher.update(bytes.subarray(NONCE_BYTES, NONCE_BYTES + KEY_BYTES))
  try {
    decipher.final()
  } catch (cause) {
    throw unwrappable(session, cause)
  }
  return dataKey
}

function unwrappable(session: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'invalid',
    `The recording is damaged: the key in the file of ${session} is not what was written there.`,
    { facts: { session }, cause },
  )
}
