import { crc32 } from 'node:zlib'
import { FILE, getUint64, putUint64, SEALED, SEALED_HEADER_BYTES, SEALED_MAGIC } from './format.ts'

export type FileHeader = {
  readonly number: number
  readonly firstSequence: number
  readonly time: number
  /** The header as it lies in the file: what follows it is blocks. */
  readonly bytes: Buffer
  /** Which recording key opens the file. */
  readonly keyId: string
}

/** Fills in the fields before the key of the file, and the checksum over all that is behind it in `bytes`. */
export function writeHeader(bytes: Buffer, number: number, firstSequence: number, time: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  bytes.write(SEALED_MAGIC, FILE.magic, 'latin1')
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
export function readFileHeader(bytes: Buffer): FileHeader | string {
  const magic = bytes.toString('latin1', 0, SEALED_MAGIC.length)
  if (magic.length === SEALED_MAGIC.length && magic !== SEALED_MAGIC)
    return `the file does not begin with ${SEALED_MAGIC}`
  if (bytes.length < SEALED_HEADER_BYTES) return 'the file ends inside its header'
  const header = bytes.subarray(0, SEALED_HEADER_BYTES)
  const view = new DataView(header.buffer, header.byteOffset, header.length)
  if (view.getUint32(FILE.crc, true) !== crc32(header.subarray(FILE.number))) {
    return 'the checksum of the file header is wrong'
  }
  return {
    number: view.getUint32(FILE.number, true),
    firstSequence: getUint64(view, FILE.firstSequence),
    time: getUint64(view, FILE.time),
    bytes: header,
    keyId: header.toString('hex', SEALED.keyId, SEALED.nonce),
  }
}
