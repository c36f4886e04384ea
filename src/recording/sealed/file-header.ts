import { crc32 } from 'node:zlib'

/** What a sealed session file says of itself: whose it is, and under which key its data key is wrapped. */
export type SealedHeader = {
  readonly session: string
  readonly key: { readonly id: string; readonly wrapped: string }
  /** Rules of retention that were applied to the file: their labels, `*` for all payloads. A hint: the log has what was removed. */
  readonly without?: readonly string[]
  /** Base 64: with which a gateway vouches for `without`. */
  readonly mac?: string
}

const SEALED_FILE_MAGIC = 'SLUICER2'
/** Magic, checksum, length of what follows. */
export const SEALED_PREFIX_BYTES = 16
const HEADER_BYTES_MAX = 4_096
/** A whole header has at most so many. */
export const SEALED_HEADER_BYTES_MAX = SEALED_PREFIX_BYTES + HEADER_BYTES_MAX

export function encodeSealedHeader({ session, key, without = [], mac }: SealedHeader): Buffer {
  const hint = without.length === 0 ? {} : { without, mac }
  const text = Buffer.from(JSON.stringify({ session, key: { id: key.id, wrapped: key.wrapped }, ...hint }))
  if (text.length > HEADER_BYTES_MAX) throw new Error('the header of a session file is too long')
  const bytes = Buffer.alloc(SEALED_PREFIX_BYTES + text.length)
  bytes.write(SEALED_FILE_MAGIC, 'latin1')
  bytes.writeUInt32LE(text.length, 12)
  text.copy(bytes, SEALED_PREFIX_BYTES)
  bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8)
  return bytes
}

/** How many bytes the whole header has, by its first sixteen. Throws with the reason. */
export function sealedHeaderBytes(prefix: Buffer): number {
  if (prefix.length < SEALED_PREFIX_BYTES) throw new Error('the file ends inside its header')
  if (prefix.toString('latin1', 0, 8) !== SEALED_FILE_MAGIC)
    throw new Error(`the file does not begin with ${SEALED_FILE_MAGIC}`)
  const length = prefix.readUInt32LE(12)
  if (length > HEADER_BYTES_MAX) throw new Error('the header has an impossible length')
  return SEALED_PREFIX_BYTES + length
}

/** Throws with the reason. */
export function decodeSealedHeader(bytes: Buffer): SealedHeader {
  if (bytes.length !== sealedHeaderBytes(bytes)) throw new Error('the file ends inside its header')
  if (crc32(bytes.subarray(12)) !== bytes.readUInt32LE(8))
    throw new Error('the checksum of the file header is wrong')
  const header: unknown = JSON.parse(bytes.toString('utf8', SEALED_PREFIX_BYTES))
  if (!isRecord(header) || !isRecord(header.key)) throw new Error('the header is not one of a session file')
  const { session, key, without, mac } = header
  if (typeof session !== 'string' || typeof key.id !== 'string' || typeof key.wrapped !== 'string')
    throw new Error('the header is not one of a session file')
  const rules: readonly unknown[] = Array.isArray(without) ? without : []
  const hint = rules.filter((each) => typeof each === 'string')
  return {
    session,
    key: { id: key.id, wrapped: key.wrapped },
    ...(hint.length === 0 ? {} : { without: hint }),
    ...(typeof mac === 'string' ? { mac } : {}),
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
