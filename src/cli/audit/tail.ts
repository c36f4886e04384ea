import { isGatewayError, type RecordingKeys } from '../../core/index.ts'
import { readJournal } from '../../recording/index.ts'

/** What is in the journal behind what the log covers. `broken`: where it cannot be read further, and why. */
export type Tail = {
  readonly frames: number
  readonly sessions: number
  readonly last?: number
  readonly broken?: string
}

/**
 * Reads what the log does not cover yet: entries that were recorded, and that nothing proves. Needs the recording keys.
 * A journal that is damaged is told of and no failure of a proof: nothing was proved by it.
 */
export async function journalTail(directory: string, keys: RecordingKeys, through: number): Promise<Tail> {
  const sessions = new Set<string>()
  let frames = 0
  let last = 0
  const found = () => ({ frames, sessions: sessions.size, ...(frames === 0 ? {} : { last }) })
  try {
    for await (const { sequence, session } of readJournal(directory, keys, { fromSequence: through + 1 })) {
      frames += 1
      last = sequence
      if (session !== undefined) sessions.add(session)
    }
    return found()
  } catch (error) {
    if (!isGatewayError(error)) throw error
    return { ...found(), broken: error.message }
  }
}
