import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { GatewayError, LIMITS, type RandomBytes, type RecordingKeys } from '../../core/index.ts'
import { damaged } from '../files/damaged.ts'

/*
 * The file of one snapshot (docs/formats/snapshots.md): a data key, wrapped under a recording key, and under it the text,
 * compressed. AES-256-GCM (NIST SP 800-38D) both times, bound to the address.
 */
const MAGIC = Buffer.from('SLUICES1', 'latin1')
const AT = { keyId: 8, nonce: 16, wrapped: 28, tag: 60, content: 76 } as const
const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const TAG_BYTES = 16
const OPTIONS = { authTagLength: TAG_BYTES } as const
/** Each key encrypts one content. */
const ONCE = Buffer.alloc(12)

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** A file of at most so many bytes is read. */
export const SNAPSHOT_FILE_BYTES_MAX: number = AT.content + LIMITS.snapshotBytesMax + 1024 * 1024 + TAG_BYTES

/** 64 hexadecimal digits: SHA-256 (FIPS 180-4) of the text in UTF-8. */
export function addressOf(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

export function isAddress(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name)
}

/** So many bytes of a file name the recording key that it needs. */
export const SNAPSHOT_KEY_BYTES: number = AT.nonce

/** Which key that is; undefined where no snapshot begins. */
export function snapshotKeyOf(bytes: Buffer): string | undefined {
  if (bytes.length < AT.nonce || !bytes.subarray(0, AT.keyId).equals(MAGIC)) return undefined
  return bytes.toString('hex', AT.keyId, AT.nonce)
}

export async function encodeSnapshot(
  [{ id, key }]: RecordingKeys,
  random: RandomBytes,
  address: string,
  text: string,
): Promise<Buffer> {
  const packed = await compress(Buffer.from(text))
  const bytes = Buffer.alloc(AT.content + packed.length + TAG_BYTES)
  const dataKey = random(KEY_BYTES)
  bytes.set(MAGIC)
  bytes.write(id, AT.keyId, 'hex')
  bytes.set(random(AT.wrapped - AT.nonce), AT.nonce)
  const wrapping = createCipheriv(CIPHER, key, bytes.subarray(AT.nonce, AT.wrapped), OPTIONS)
  wrapping.setAAD(about(bytes.subarray(0, AT.nonce), address))
  bytes.set(wrapping.update(dataKey), AT.wrapped)
  wrapping.final()
  bytes.set(wrapping.getAuthTag(), AT.tag)
  const cipher = createCipheriv(CIPHER, dataKey, ONCE, OPTIONS)
  cipher.setAAD(about(bytes.subarray(0, AT.content), address))
  bytes.set(cipher.update(packed), AT.content)
  cipher.final()
  bytes.set(cipher.getAuthTag(), AT.content + packed.length)
  return bytes
}

/** Throws GatewayError `invalid`: where it is damaged, or with the id of the key that it needs. */
export async function decodeSnapshot(
  keys: RecordingKeys,
  path: string,
  address: string,
  bytes: Buffer,
): Promise<string> {
  const end = bytes.length - TAG_BYTES
  if (end < AT.content || !bytes.subarray(0, AT.keyId).equals(MAGIC))
    throw damaged(path, 0, 'it does not begin as a snapshot does')
  const keyId = bytes.toString('hex', AT.keyId, AT.nonce)
  const recordingKey = keys.find(({ id }) => id === keyId)
  if (recordingKey === undefined) {
    throw new GatewayError('invalid', `${path} cannot be read without the key ${keyId}.`, {
      remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
      facts: { file: path, keyId },
    })
  }
  try {
    const unwrapping = createDecipheriv(
      CIPHER,
      recordingKey.key,
      bytes.subarray(AT.nonce, AT.wrapped),
      OPTIONS,
    )
    unwrapping.setAAD(about(bytes.subarray(0, AT.nonce), address))
    unwrapping.setAuthTag(bytes.subarray(AT.tag, AT.content))
    const dataKey = unwrapping.update(bytes.subarray(AT.wrapped, AT.tag))
    unwrapping.final()
    const decipher = createDecipheriv(CIPHER, dataKey, ONCE, OPTIONS)
    decipher.setAAD(about(bytes.subarray(0, AT.content), address))
    decipher.setAuthTag(bytes.subarray(end))
    const packed = decipher.update(bytes.subarray(AT.content, end))
    decipher.final()
    const text = await decompress(packed, { maxOutputLength: LIMITS.snapshotBytesMax })
    if (addressOf(text) === address) return text.toString('utf8')
  } catch {
    // Node says no more than that a tag does not fit.
  }
  throw damaged(path, 0, 'what is in it is not what its name says')
}

function about(header: Uint8Array, address: string): Buffer {
  return Buffer.concat([header, Buffer.from(address, 'hex')])
}
