import { isGatewayError, type RecordingKeys } from '../../core/index.ts'
import { readJournal } from '../../recording/index.ts'
import type { JournalFrames } from '../check/kept.ts'

/** More often the journal is not deleted file by file while it is read. */
const ATTEMPTS_MAX = 100

/** Which frames of which sessions the journal of a data directory holds, as far as it can be read. */
export function journalFrames(directory: string, keys: RecordingKeys): () => Promise<JournalFrames> {
  return async () => {
    for (let attempt = 1; ; attempt++) {
      const found = new Map<string, number[]>()
      try {
        for await (const { sequence, session } of readJournal(directory, keys)) {
          if (session === undefined) continue
          const frames = found.get(session)
          if (frames === undefined) found.set(session, [sequence])
          else frames.push(sequence)
        }
        return found
      } catch (error) {
        if (isGatewayError(error)) return found
        // Sealed, and deleted, since it was listed: what is left is read anew.
        const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
        if (!isGone || attempt === ATTEMPTS_MAX) throw error
      }
    }
  }
}
