import { createCipheriv, createDecipheriv } from 'node:crypto'
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { LIMITS } from '../../core/index.ts'
import { getUint64, putUint64 } from '../files/format.ts'

export const CHUNK_HEADER_BYTES = 40
const TAG_BYTES = 16
/** What a recording repeats is found at the first level already. */
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } } as const
const NONCE_BYTES = 12
/** `SLC2`. */
const MAGIC = 0x32434c53
export const CHUNK_MAGIC = Buffer.from('SLC2', 'latin1')
const AT = {
  magic: 0,
  crc: 4,
  publicStored: 8,
  publicSize: 12,
  privateStored: 16,
  privateSize: 20,
  frames: 24,
  counter: 28,
  first: 32,
} as const

/** The two parts of a run of frames, as they are before they are compressed and encrypted. */
export type Chunk = {
  /** The number of the chunk in its file, from 0. */
  readonly counter: number
  readonly frames: number
  /** The sequence number of its first frame. */
  readonly firstSequence: number
  readonly publicBytes: Buffer
  readonly privateBytes: Buffer
}

export type ChunkHeader = Omit<Chunk, 'publicBytes' | 'privateBytes'> & {
  readonly publicStored: number
  readonly publicSize: number
  readonly privateStored: number
  readonly privateSize: number
  readonly crc: number
}

/**
 * Compresses both parts (zstd) and encrypts the private one: AES-256-GCM under the key of the file (32 bytes), the chunk's number as
 * nonce, which makes a second chunk of that number under that key a fault. `about` names the file it belongs to, so
 * that a chunk moved to another one is not taken for one of it.
 */
export function encodeChunk(chunk: Chunk, key: Uint8Array, about: string): Buffer {
  const { counter, frames, firstSequence, publicBytes, privateBytes } = chunk
  const open = zstdCompressSync(publicBytes, FAST)
  const packed = zstdCompressSync(privateBytes, FAST)
  const bytes = Buffer.alloc(CHUNK_HEADER_BYTES + open.length + packed.length + TAG_BYTES)
  const view = viewOf(bytes)
  view.setUint32(AT.magic, MAGIC, true)
  view.setUint32(AT.publicStored, open.length, true)
  view.setUint32(AT.publicSize, publicBytes.length, true)
  view.setUint32(AT.privateStored, packed.length + TAG_BYTES, true)
  view.setUint32(AT.privateSize, privateBytes.length, true)
  view.setUint32(AT.frames, frames, true)
  view.setUint32(AT.counter, counter, true)
  putUint64(view, AT.first, firstSequence)
  open.copy(bytes, CHUNK_HEADER_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(counter))
  const at = CHUNK_HEADER_BYTES + open.length
  cipher.setAAD(authenticated(bytes, at, about))
  cipher.update(packed).copy(bytes, at)
  cipher.final()
  cipher.getAuthTag().copy(bytes, at + packed.length)
  view.setUint32(AT.crc, crc32(bytes.subarray(AT.publicStored)), true)
  return bytes
}

/** Reads a chunk's header, every length held against its limit. Throws with the reason. */
export function readChunkHeader(bytes: Buffer): ChunkHeader {
  if (bytes.length < CHUNK_HEADER_BYTES) throw new Error('the file ends inside the header of a chunk')
  const view = viewOf(bytes)
  if (view.getUint32(AT.magic, true) !== MAGIC) throw new Error('no chunk begins here')
  const header = {
    crc: view.getUint32(AT.crc, true),
    publicStored: view.getUint32(AT.publicStored, true),
    publicSize: view.getUint32(AT.publicSize, true),
    privateStored: view.getUint32(AT.privateStored, true),
    privateSize: view.getUint32(AT.privateSize, true),
    frames: view.getUint32(AT.frames, true),
    counter: view.getUint32(AT.counter, true),
    firstSequence: getUint64(view, AT.first),
  }
  const sizes = [header.publicStored, header.publicSize, header.privateStored, header.privateSize]
  if (
    sizes.some((each) => each > LIMITS.chunkBytesMax) ||
    header.privateStored < TAG_BYTES ||
    header.frames === 0
  )
    throw new Error('a chunk has an impossible length')
  if (Number.isNaN(header.firstSequence)) throw new Error('a chunk has an impossible sequence number')
  return header
}

/** The bytes of a whole chunk behind its header. */
export function storedBytes({ publicStored, privateStored }: ChunkHeader): number {
  return publicStored + privateStored
}

/** The public part of a chunk, whose checksum is looked at first. `bytes` is the whole chunk. Throws with the reason. */
export function openPublic(bytes: Buffer, header: ChunkHeader): Buffer {
  if (bytes.length !== CHUNK_HEADER_BYTES + storedBytes(header))
    throw new Error('the file ends inside a chunk')
  if (crc32(bytes.subarray(AT.publicStored)) !== header.crc)
    throw new Error('the checksum of a chunk is wrong')
  return unpacked(
    bytes.subarray(CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + header.publicStored),
    header.publicSize,
  )
}

/** The private part. Throws when the key is not that of the file, or a byte of the chunk is not what it was. */
export function openPrivate(bytes: Buffer, header: ChunkHeader, key: Uint8Array, about: string): Buffer {
  const at = CHUNK_HEADER_BYTES + header.publicStored
  const end = at + header.privateStored - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(header.counter), { authTagLength: TAG_BYTES })
  decipher.setAAD(authenticated(bytes, at, about))
  decipher.setAuthTag(bytes.subarray(end, end + TAG_BYTES))
  const packed = decipher.update(bytes.subarray(at, end))
  try {
    decipher.final()
  } catch (error) {
    throw new Error('a chunk cannot be decrypted: it was changed, or this is not its key', { cause: error })
  }
  return unpacked(packed, header.privateSize)
}

function unpacked(bytes: Buffer, size: number): Buffer {
  let found: Buffer
  try {
    found = zstdDecompressSync(bytes, { maxOutputLength: Math.max(size, 1) })
  } catch (error) {
    throw new Error('a part of a chunk cannot be decompressed', { cause: error })
  }
  if (found.length !== size) throw new Error('a part of a chunk has another length than its header says')
  return found
}

/** Everything in front of the private part but the checksum, and the file. */
function authenticated(bytes: Buffer, end: number, about: string): Buffer {
  return Buffer.concat([bytes.subarray(AT.publicStored, end), Buffer.from(about)])
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt32LE(counter, NONCE_BYTES - 4)
  return nonce
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
