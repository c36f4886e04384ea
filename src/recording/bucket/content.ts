import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

const MIB = 1024 * 1024
/** What is larger goes up in parts. */
const WHOLE_BYTES_MAX = 64 * MIB
const PART_BYTES = 16 * MIB
/** Of one object. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const PARTS_MAX = 10_000

/** Something to be uploaded, and what it must be there. */
export type Content = {
  readonly bytes: number
  /** SHA-256 of all of it, in hexadecimal digits. */
  readonly sha256: string
  /** SHA-256 as S3 tells it: base 64 of it; of an object in parts that of the digests of its parts, `-` and their number. */
  readonly checksum: string
  /** Bytes of a part; undefined: it goes up whole. */
  readonly partBytes: number | undefined
  /** Throws where there are not as many bytes any more. */
  read(offset: number, length: number): Promise<Uint8Array>
}

export function sha256Base64(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

/** What is in memory already. */
export function bytesContent(bytes: Uint8Array): Content {
  const digest = createHash('sha256').update(bytes).digest()
  return {
    bytes: bytes.length,
    sha256: digest.toString('hex'),
    checksum: digest.toString('base64'),
    partBytes: undefined,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  }
}

/** A file that nobody changes any more; read through once, in pieces. The handle stays the caller's. `wholeBytesMax`: for tests. */
export async function fileContent(
  file: FileHandle,
  wholeBytesMax: number = WHOLE_BYTES_MAX,
): Promise<Content> {
  const { size } = await file.stat()
  const partBytes = size <= wholeBytesMax ? undefined : partBytesOf(size, wholeBytesMax)
  const whole = createHash('sha256')
  const digests = createHash('sha256')
  let parts = 0
  for (let at = 0; at < size; ) {
    const piece = await readAt(file, at, Math.min(partBytes ?? PART_BYTES, size - at))
    whole.update(piece)
    digests.update(createHash('sha256').update(piece).digest())
    parts++
    at += piece.length
  }
  const digest = whole.digest()
  return {
    bytes: size,
    sha256: digest.toString('hex'),
    checksum: partBytes === undefined ? digest.toString('base64') : `${digests.digest('base64')}-${parts}`,
    partBytes,
    read: (offset, length) => readAt(file, offset, length),
  }
}

function partBytesOf(size: number, wholeBytesMax: number): number {
  if (wholeBytesMax < WHOLE_BYTES_MAX) return wholeBytesMax
  return Math.max(PART_BYTES, Math.ceil(size / PARTS_MAX / MIB) * MIB)
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done)
    if (bytesRead === 0) throw new Error('the file became shorter while it was uploaded')
    done += bytesRead
  }
  return bytes
}
