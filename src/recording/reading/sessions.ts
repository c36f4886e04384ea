import { stat } from 'node:fs/promises'
import type { RecordingKeys, SessionId } from '../../core/index.ts'
import { isMissing } from '../files/files.ts'
import { openedAt, sessionFile } from '../files/names.ts'
import { readJournal, recordedSessions } from './reader.ts'

/** How far the clock of whoever wrote or copied a file may have been wrong. */
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

/** A session file gets its last entry when it is sealed, and is written again when a payload is removed. */
async function endedBefore(directory: string, session: SessionId, since: number): Promise<boolean> {
  try {
    return (await stat(sessionFile(directory, session))).mtimeMs < since - CLOCK_DOUBT_MS
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}
