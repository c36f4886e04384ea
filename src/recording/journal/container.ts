import type { RecordingKeys } from '../../core/index.ts'
import type { FileHeader } from '../files/file-header.ts'
import { BlockScanner } from './block-scanner.ts'
import { type FileKeys, fileKeysOf } from './file-keys.ts'

/** How to read the blocks of one file. */
export type Container = {
  /** Where the first of them begins. */
  readonly begin: number
  readonly keys: FileKeys
  /** Reads all of the file. */
  scanner(bytesMax?: number): BlockScanner
  /** Reads from `offset` on, where one of them begins: what is before the first MAC from there on is not checked. */
  from(offset: number, bytesMax?: number): BlockScanner
}

export const BLOCK_MAGIC_BYTES = Buffer.from('SLB2', 'latin1')

/**
 * How to read on behind a header; undefined when the key in it is not what was written there. Throws GatewayError
 * `invalid` when the recording key that it needs is not among `keys`.
 */
export function containerOf(keys: RecordingKeys, file: string, header: FileHeader): Container | undefined {
  const { bytes, firstSequence } = header
  const fileKeys = fileKeysOf(keys, file, header)
  if (fileKeys === undefined) return undefined
  return {
    begin: bytes.length,
    keys: fileKeys,
    scanner: (bytesMax) => new BlockScanner(fileKeys, { header: bytes, firstSequence }, bytesMax),
    from: (offset, bytesMax) => new BlockScanner(fileKeys, { offset }, bytesMax),
  }
}

/** What is wrong with a file whose header is whole and has no container. */
export const KEY_DAMAGED = 'the key in the file header is not what was written there'
