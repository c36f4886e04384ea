import type { RecordingKeys, SessionId } from '../core/index.ts'
import { type RecordedEntry, readJournal, readSession } from '../recording/index.ts'
import { recordedSessions } from '../recording/reading/reader.ts'

/**
 * Every entry of every session of a data directory, wherever it lies, and the administrative ones that the journal still
 * holds, in order. All of it in memory.
 */
export async function wholeRecording(directory: string, keys: RecordingKeys): Promise<RecordedEntry[]> {
  const entries: RecordedEntry[] = []
  const journalled = new Map<SessionId, RecordedEntry[]>()
  for await (const each of readJournal(directory, keys)) {
    if (each.session === undefined) entries.push(each)
    else {
      const known = journalled.get(each.session)
      if (known === undefined) journalled.set(each.session, [each])
      else known.push(each)
    }
  }
  for await (const session of recordedSessions(directory)) {
    journalled.delete(session)
    for await (const each of readSession(directory, keys, session)) entries.push(each)
  }
  // What has no file of its own yet.
  for (const each of journalled.values()) entries.push(...each)
  return entries.sort((a, b) => a.sequence - b.sequence)
}
