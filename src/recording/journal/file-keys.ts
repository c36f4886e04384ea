import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { GatewayError, type RandomBytes, type RecordingKeys } from '../../core/index.ts'
import { checkHeader, type FileHeader, writeHeader } from '../files/file-header.ts'
import { FILE, SEALED, SEALED_HEADER_BYTES, TAG_BYTES } from '../files/format.ts'

/*
 * The key of a journal file: random, in the file's header, wrapped under a recording key with AES-256-GCM
 * (NIST SP 800-38D). What the file is encrypted and authenticated with comes from it by HKDF-SHA-256 (RFC 5869).
 */
const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const OPTIONS = { authTagLength: TAG_BYTES } as const

export type FileKeys = {
  /** Of the keystream. */
  readonly cipher: KeyObject
  /** Of the MACs. */
  readonly mac: KeyObject
  /** What the salts of payloads come from that are sealed from this file (32 bytes). It is gone when the file is. */
  salts(): Uint8Array
}

/** The header of a new file, with a key of its own in it. */
export function newFileKeys(
  [{ id, key }]: RecordingKeys,
  random: RandomBytes,
  of: Omit<FileHeader, 'bytes' | 'keyId'>,
): { readonly header: Buffer; readonly keys: FileKeys } {
  const dataKey = Buffer.from(random(KEY_BYTES))
  const header = Buffer.alloc(SEALED_HEADER_BYTES)
  writeHeader(header, of.number, of.firstSequence, of.time)
  header.write(id, SEALED.keyId, 'hex')
  header.set(random(NONCE_BYTES), SEALED.nonce)
  const cipher = createCipheriv(CIPHER, key, header.subarray(SEALED.nonce, SEALED.wrapped), OPTIONS)
  cipher.setAAD(boundToKey(header))
  header.set(cipher.update(dataKey), SEALED.wrapped)
  cipher.final()
  header.set(cipher.getAuthTag(), SEALED.tag)
  checkHeader(header)
  return { header, keys: keysFrom(dataKey) }
}

/**
 * The keys of the file with this header; undefined when the key in it is not what was written there. Throws
 * GatewayError `invalid`, with the id, when the recording key it needs is not among `keys`.
 */
export function fileKeysOf(keys: RecordingKeys, file: string, header: FileHeader): FileKeys | undefined {
  const { bytes, keyId } = header
  const recordingKey = keys.find(({ id }) => id === keyId)
  if (recordingKey === undefined) {
    const message = `The recording cannot be read: ${file} needs the key ${keyId}, which is not given.`
    throw new GatewayError('invalid', message, {
      remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
      facts: { file, keyId },
    })
  }
  const nonce = bytes.subarray(SEALED.nonce, SEALED.wrapped)
  const decipher = createDecipheriv(CIPHER, recordingKey.key, nonce, OPTIONS)
  decipher.setAAD(boundToKey(bytes))
  decipher.setAuthTag(bytes.subarray(SEALED.tag))
  const dataKey = decipher.update(bytes.subarray(SEALED.wrapped, SEALED.tag))
  try {
    decipher.final()
  } catch {
    // Node says no more than that the tag does not fit.
    return undefined
  }
  return keysFrom(dataKey)
}

/** Takes the data key over, and clears it. */
function keysFrom(bytes: Buffer): FileKeys {
  const dataKey = createSecretKey(bytes)
  bytes.fill(0)
  const derived = (info: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', dataKey, '', info, KEY_BYTES))
  return {
    cipher: createSecretKey(derived('sluice journal cipher')),
    mac: createSecretKey(derived('sluice journal mac')),
    salts: () => derived('sluice salts'),
  }
}

/** What the wrapped key is authenticated with: the header before its nonce, but for the checksum. */
function boundToKey(header: Buffer): Buffer {
  return Buffer.concat([header.subarray(0, FILE.crc), header.subarray(FILE.number, SEALED.nonce)])
}
