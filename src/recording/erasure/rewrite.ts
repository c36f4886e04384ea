import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { GatewayError, type RandomBytes, type RecordingKeys, type SessionId } from '../../core/index.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { listIfThere, openIfThere, syncDirectory } from '../files/files.ts'
import { draftFile, sessionFile, thinnedFile } from '../files/names.ts'
import { outdateMark } from '../files/upload-marks.ts'
import { newDataKey } from '../sealed/data-key.ts'
import { SealedReader } from '../sealed/reader.ts'
import { withoutPayloads } from '../sealed/remove.ts'
import { readSealed } from '../sealed/session-reader.ts'
import { SealedWriter } from '../sealed/writer.ts'
import { appliedRules, withAppliedRules } from './applied-rules.ts'
import { type ErasureScope, type PayloadPlace, rangesOf, type RemovedRanges, selectorOf } from './scope.ts'

export type RewriteParts = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly random: RandomBytes
}

/** What is to be taken out of a session file. */
export type Removal = {
  readonly scope: ErasureScope
  /** What the header of the file is to say of it, for rules that are not to be applied again: `ruleName`. */
  readonly rule?: string
}

/** A session file written anew beside the one that is there, without some payloads. */
export type Thinned = {
  readonly removed: readonly RemovedRanges[]
  /** The inode of the file that it is to take the place of. */
  readonly of: number
}

/**
 * Writes the file of a sealed session anew, under another data key, without the payloads in the scope, beside the one that
 * is there, and syncs it; nothing changes before `putInPlace`. Undefined, and nothing written, where there is no such
 * payload (any more): of a rule the file is written all the same then, if it does not say yet that it was applied. Throws `not_found` without a sealed file, `invalid` where it cannot be read.
 */
export async function thinned(
  { directory, keys, random }: RewriteParts,
  session: SessionId,
  removal: Removal,
): Promise<Thinned | undefined> {
  const path = sessionFile(directory, session)
  const { scope, rule } = removal
  const before = await look(path, keys, session, removal)
  if (!before.hasAny) return undefined
  const file = await opened(path, session)
  const { ino } = await file.stat()
  const { key, header } = newDataKey(keys, random, session)
  const rules = [...before.without, ...(rule === undefined ? [] : [rule])]
  const writer = new SealedWriter({
    key,
    header: withAppliedRules(keys, header, rules),
    sha256: nodeSha256,
    salt: () => {
      throw new Error('a frame was added without its salts')
    },
  })
  const inScope = selectorOf(scope)
  const [removed, all]: [PayloadPlace[], PayloadPlace[]] = [[], []]
  const fresh = await open(thinnedFile(path), 'w', 0o600)
  try {
    const pieces = withoutPayloads(readSealed(path, keys, file, false), writer, ({ part, name, isThere }) => {
      const place = { sequence: part.sequence, payload: name }
      const isOut = inScope(part, name)
      // What was removed before is told already, and does not end a range.
      if (isThere) all.push(place)
      if (isThere && isOut) removed.push(place)
      return isOut
    })
    for await (const piece of pieces) await fresh.appendFile(piece)
    await fresh.datasync()
  } finally {
    await fresh.close()
  }
  if (removed.length > 0 || rule !== undefined) return { removed: rangesOf(removed, all), of: ino }
  await rm(thinnedFile(path), { force: true })
  // All of it had been taken out already, perhaps by a process that was killed before it could say so of what was uploaded.
  await outdateMark(directory, session)
  return undefined
}

/** Gives what `thinned` wrote the name of the session's file. Throws `conflict` where that is another one by now. */
export async function putInPlace(directory: string, session: SessionId, { of }: Thinned): Promise<void> {
  const path = sessionFile(directory, session)
  const { ino } = await stat(path)
  // A draft beside it is the file with an entry more, on its way to take its place.
  const names = await listIfThere(dirname(path))
  if (ino !== of || names.includes(basename(draftFile(path)))) {
    throw new GatewayError('conflict', `The recording of ${session} has changed meanwhile.`, {
      retry: 'later',
      facts: { session },
    })
  }
  // What was uploaded is another file from now on; the uploader may have been at work with the one before meanwhile.
  await outdateMark(directory, session)
  await rename(thinnedFile(path), path)
  await outdateMark(directory, session)
  await syncDirectory(dirname(path))
}

/** Whether there is anything to take out, as far as the public parts say: what was removed before stands there as well. */
export async function concerns(
  { directory, keys }: Omit<RewriteParts, 'random'>,
  session: SessionId,
  removal: Removal,
): Promise<boolean> {
  return (await look(sessionFile(directory, session), keys, session, removal)).hasAny
}

/** By the public parts alone: most sessions have nothing that a rule is about. */
async function look(
  path: string,
  keys: RecordingKeys,
  session: SessionId,
  { scope, rule }: Removal,
): Promise<{ readonly hasAny: boolean; readonly without: readonly string[] }> {
  const file = await opened(path, session)
  try {
    const reader = new SealedReader(path, file, nodeSha256)
    const header = await reader.header()
    const without = appliedRules(keys, header)
    if (rule !== undefined && without.includes(rule)) return { hasAny: false, without }
    const inScope = selectorOf(scope)
    for await (const { part } of reader.frames(header)) {
      // Each is looked at: a command says what its result may hold.
      const found = part.payloads.filter(({ name }) => inScope(part, name))
      if (found.length > 0) return { hasAny: true, without }
    }
    return { hasAny: false, without }
  } finally {
    await file.close()
  }
}

async function opened(path: string, session: SessionId): Promise<FileHandle> {
  const file = await openIfThere(path)
  if (file !== undefined) return file
  throw new GatewayError('not_found', `The recording of ${session} is not sealed, or was deleted.`, {
    facts: { session },
  })
}
