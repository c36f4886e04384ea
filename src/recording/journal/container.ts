import type { RecordingKeys } from '../../core/index.ts'
import { BlockScanner } from './block-scanner.ts'
import type { FileHeader } from '../files/file-header.ts'
import { type FileKeys, fileKeysOf } from './file-keys.ts'
import { FILE_HEADER_BYTES } from '../files/format.ts'
import { FrameScanner, type Scanner } from '../frames/scan.ts'

/** How frames lie in a file: one after the other (format 1), or in blocks (format 2). */
export type Container = {
  readonly unit: 'frame' | 'block'
  /** Where the first of them begins. */
  readonly begin: number
  /** What each of them begins with. */
  readonly magic: Buffer
  /** Of format 2. */
  readonly keys: FileKeys | undefined
  /** Reads all of the file. */
  scanner(bytesMax?: number): Scanner
  /** Reads from `offset` on, where one of them begins: what is before the first MAC from there on is not checked. */
  from(offset: number, bytesMax?: number): Scanner
}

export const plainContainer: Container = {
  unit: 'frame',
  begin: FILE_HEADER_BYTES,
  // Of a frame of either format.
  magic: Buffer.from('SLF', 'latin1'),
  keys: undefined,
  scanner: (bytesMax) => new FrameScanner(FILE_HEADER_BYTES, bytesMax),
  from: (offset, bytesMax) => new FrameScanner(offset, bytesMax),
}

export const BLOCK_MAGIC_BYTES = Buffer.from('SLB2', 'latin1')

/**
 * How to read on behind a header; undefined when the key in it is not what was written there. Throws GatewayError
 * `invalid` when the recording key that it needs is not among `keys`.
 */
export function containerOf(keys: RecordingKeys, file: string, header: FileHeader): Container | undefined {
  const { keyId, bytes, firstSequence } = header
  if (keyId === undefined) return plainContainer
  const fileKeys = fileKeysOf(keys, file, { ...header, keyId })
  if (fileKeys === undefined) return undefined
  return {
    unit: 'block',
    begin: bytes.length,
    magic: BLOCK_MAGIC_BYTES,
    keys: fileKeys,
    scanner: (bytesMax) => new BlockScanner(fileKeys, { header: bytes, firstSequence }, bytesMax),
    from: (offset, bytesMax) => new BlockScanner(fileKeys, { offset }, bytesMax),
  }
}

/** What is wrong with a file whose header is whole and has no container. */
export const KEY_DAMAGED = 'the key in the file header is not what was written there'
