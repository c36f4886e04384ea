import { crc32 } from 'node:zlib'
import {
  FILE,
  FILE_HEADER_BYTES,
  FILE_MAGIC,
  type FileKind,
  getUint64,
  putUint64,
  SEALED,
  SEALED_HEADER_BYTES,
  SEALED_MAGIC,
} from './format.ts'

export type FileHeader = {
  readonly number: number
  readonly firstSequence: number
  readonly time: number
  /** The header as it lies in the file: what follows it is frames in format 1, blocks in format 2. */
  readonly bytes: Buffer
  /** In format 2: which recording key opens the file. */
  readonly keyId: string | undefined
}

/** The header of a file of format 1. */
export function fileHeader(kind: FileKind, number: number, firstSequence: number, time: number): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES)
  writeHeader(bytes, FILE_MAGIC[kind], number, firstSequence, time)
  return bytes
}

/** Fills in the fields that both formats have, and the checksum over all that is behind it in `bytes`. */
export function writeHeader(
  bytes: Buffer,
  magic: string,
  number: number,
  firstSequence: number,
  time: number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  bytes.write(magic, FILE.magic, 'latin1')
  view.setUint32(FILE.number, number, true)
  putUint64(view, FILE.firstSequence, firstSequence)
  putUint64(view, FILE.time, time)
  checkHeader(bytes)
}

/** Sets the checksum of a header whose other bytes are all there. */
export function checkHeader(bytes: Buffer): void {
  bytes.writeUInt32LE(crc32(bytes.subarray(FILE.number)), FILE.crc)
}

/** Reads the header at the beginning of `bytes`; a text says what is wrong with it. */
export function readFileHeader(bytes: Buffer, kind: FileKind): FileHeader | string {
  if (bytes.length < FILE_HEADER_BYTES) return 'the file ends inside its header'
  const magic = bytes.toString('latin1', 0, 8)
  const sealed = kind === 'journal' && magic === SEALED_MAGIC
  if (!sealed && magic !== FILE_MAGIC[kind]) {
    const expected = kind === 'journal' ? `${FILE_MAGIC.journal} or ${SEALED_MAGIC}` : FILE_MAGIC[kind]
    return `the file does not begin with ${expected}`
  }
  const length = sealed ? SEALED_HEADER_BYTES : FILE_HEADER_BYTES
  if (bytes.length < length) return 'the file ends inside its header'
  const header = bytes.subarray(0, length)
  const view = new DataView(header.buffer, header.byteOffset, length)
  if (view.getUint32(FILE.crc, true) !== crc32(header.subarray(FILE.number))) {
    return 'the checksum of the file header is wrong'
  }
  return {
    number: view.getUint32(FILE.number, true),
    firstSequence: getUint64(view, FILE.firstSequence),
    time: getUint64(view, FILE.time),
    bytes: header,
    keyId: sealed ? header.toString('hex', SEALED.keyId, SEALED.nonce) : undefined,
  }
}
