import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { isGatewayError, type RecordingKeys } from '../../core/index.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { damaged } from '../files/damaged.ts'
import { unwrapDataKey } from './data-key.ts'
import { type ReadFrame, SealedReader } from './reader.ts'

/**
 * The frames of a session file, with their payloads. A draft ends where it is torn; what a whole file does
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
      // Whoever can write into the directory can put one in another's place.
      if (!basename(path).startsWith(`${header.session}.`))
        throw damaged(path, 0, 'it is the file of another session')
      yield* reader.frames(header, unwrapDataKey(keys, header))
    } catch (error) {
      if (!isDraft || !isGatewayError(error) || !(await reader.isTorn())) throw error
    }
  } finally {
    await file.close()
  }
}
