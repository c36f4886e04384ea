import type { RecordingKeys, SessionId } from '../../core/index.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { isMissing, openIfThere } from '../files/files.ts'
import { openedAt, sessionFile } from '../files/names.ts'
import { SealedReader } from '../sealed/reader.ts'
import { readJournal, recordedSessions } from './reader.ts'

/** How far the clock of a gateway may have been set back between the entries of a session. */
const CLOCK_DOUBT_MS = 24 * 60 * 60 * 1000
/** Files of the journal may be deleted while it is read. */
const ATTEMPTS_MAX = 10

/**
 * The sessions that may have entries between two times (milliseconds since 1970), oldest first: those with a file or a draft,
 * and those that are in the journal only. A few more than have any.
 */
export async function sessionsBetween(
  directory: string,
  keys: RecordingKeys,
  since: number,
  until: number,
): Promise<readonly SessionId[]> {
  const found = new Set<SessionId>()
  // The journal first: what goes from it meanwhile has a file by then.
  for (let attempt = 1; ; attempt++) {
    try {
      for await (const { session } of readJournal(directory, keys))
        if (session !== undefined && openedAt(session) <= until) found.add(session)
      break
    } catch (error) {
      if (!isMissing(error) || attempt === ATTEMPTS_MAX) throw error
    }
  }
  for await (const session of recordedSessions(directory))
    if (openedAt(session) <= until && !(await endedBefore(directory, session, since))) found.add(session)
  return [...found].sort()
}

/** What a file says of itself: when it was written last is another thing in every copy of it. */
async function endedBefore(directory: string, session: SessionId, since: number): Promise<boolean> {
  const path = sessionFile(directory, session)
  const file = await openIfThere(path)
  if (file === undefined) return false
  try {
    const reader = new SealedReader(path, file, nodeSha256)
    await reader.header()
    const last = await reader.lastTime()
    return last !== undefined && last < since - CLOCK_DOUBT_MS
  } finally {
    await file.close()
  }
}
