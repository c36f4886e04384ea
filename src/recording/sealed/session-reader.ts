import type { FileHandle } from 'node:fs/promises'
import { isGatewayError, type RecordingKeys } from '../../core/index.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { openIfThere } from '../files/files.ts'
import { FILE_MAGIC } from '../files/format.ts'
import { unwrapDataKey } from './data-key.ts'
import { SEALED_FILE_MAGIC } from './file-header.ts'
import { type ReadFrame, SealedReader } from './reader.ts'

/**
 * The frames of a session file of format 2, with their payloads. A draft ends where it is torn; what a whole file does
 * not hold is GatewayError `invalid`. Closes the file.
 */
export async function* readSealed(
  path: string,
  keys: RecordingKeys,
  file: FileHandle,
  isDraft: boolean,
): AsyncGenerator<ReadFrame> {
  try {
    const reader = new SealedReader(path, file, nodeSha256)
    try {
      const header = await reader.header()
      yield* reader.frames(header, unwrapDataKey(keys, header))
    } catch (error) {
      if (!isDraft || !isGatewayError(error) || !(await reader.isTorn())) throw error
    }
  } finally {
    await file.close()
  }
}

/** Which format a session file has, by its first bytes; undefined: none, or no file. */
export async function formatOf(path: string): Promise<1 | 2 | undefined> {
  const file = await openIfThere(path)
  if (file === undefined) return undefined
  try {
    const bytes = Buffer.alloc(8)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const magic = bytes.toString('latin1', 0, bytesRead)
    return magic === FILE_MAGIC.session ? 1 : magic === SEALED_FILE_MAGIC ? 2 : undefined
  } finally {
    await file.close()
  }
}
