import { join } from 'node:path'
import type { SessionId } from '../../core/index.ts'
import { listIfThere, openIfThere } from '../files/files.ts'
import { readFileHeader } from '../files/file-header.ts'
import { SEALED_HEADER_BYTES } from '../files/format.ts'
import {
  journalDirectory,
  journalFileName,
  journalNumbers,
  sessionFile,
  snapshotsDirectory,
} from '../files/names.ts'
import { markFile, parseMark, readMarkText } from '../files/upload-marks.ts'
import { SNAPSHOT_KEY_BYTES, snapshotKeyOf } from '../snapshots/snapshot-file.ts'
import { recordedSessions } from './reader.ts'
import { decodeSealedHeader, SEALED_HEADER_BYTES_MAX, sealedHeaderBytes } from '../sealed/file-header.ts'

/**
 * How many files of the journal, of sessions and of snapshots need each recording key, by the key's id. Reads headers only and takes
 * no key; files without a right header are left out, and drafts, which are of the running gateway.
 */
export async function keyUse(directory: string): Promise<ReadonlyMap<string, number>> {
  const folder = journalDirectory(directory)
  const use = new Map<string, number>()
  const count = (keyId: string): void => void use.set(keyId, (use.get(keyId) ?? 0) + 1)
  for (const number of journalNumbers(await listIfThere(folder))) {
    const bytes = await beginning(join(folder, journalFileName(number)), SEALED_HEADER_BYTES)
    const header = bytes === undefined ? '' : readFileHeader(bytes)
    if (typeof header !== 'string') count(header.keyId)
  }
  for await (const session of recordedSessions(directory)) {
    const bytes = await beginning(sessionFile(directory, session), SEALED_HEADER_BYTES_MAX)
    const id = bytes === undefined ? await uploadedKey(directory, session) : sealedKeyOf(bytes)
    if (id !== undefined) count(id)
  }
  for (const name of await listIfThere(snapshotsDirectory(directory))) {
    const bytes = await beginning(join(snapshotsDirectory(directory), name), SNAPSHOT_KEY_BYTES)
    const id = bytes === undefined ? undefined : snapshotKeyOf(bytes)
    if (id !== undefined) count(id)
  }
  return use
}

/** What its mark says of a session that is in the object store only. */
async function uploadedKey(directory: string, session: SessionId): Promise<string | undefined> {
  const text = await readMarkText(markFile(directory, session, 'up'))
  return text === undefined ? undefined : parseMark(text)?.keyId
}

function sealedKeyOf(bytes: Buffer): string | undefined {
  try {
    return decodeSealedHeader(bytes.subarray(0, sealedHeaderBytes(bytes))).key.id
  } catch {
    // No session file, or a damaged one: whoever reads it says so.
    return undefined
  }
}

async function beginning(path: string, length: number): Promise<Buffer | undefined> {
  const file = await openIfThere(path)
  if (file === undefined) return undefined
  try {
    const bytes = Buffer.alloc(length)
    const { bytesRead } = await file.read(bytes, 0, length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
