import type { Clock, RandomBytes, RecordingKeys, SessionId } from '../core/index.ts'
import { Cutter } from './cutter.ts'
import { type FileSystem, systemFiles } from './file-system.ts'
import { Indexer } from './indexer.ts'
import type { SessionFilter, SessionIndex, SessionSummary } from './index-port.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { type RecordedEntry, readSession } from './reader.ts'

export type RecordingOptions = {
  /** The data directory. */
  readonly directory: string
  /** What its files are encrypted under: the first for new ones, each for reading. */
  readonly keys: RecordingKeys
  readonly clock: Clock
  readonly random: RandomBytes
  readonly index: SessionIndex
  /** Told of faults in the background; the recording goes on where it can and refuses where it cannot. */
  readonly onFault: (error: unknown) => void
  /** What the journal writes with; the machine's files when absent. */
  readonly files?: FileSystem
}

/** Everything a running gateway does with its recording. */
export type Recording = {
  readonly journal: FileJournal
  /** The keys at hand, by their ids: the first is for new files. */
  readonly keyIds: readonly string[]
  /** Sessions as they are at this moment, newest first. */
  list(filter: SessionFilter): Promise<readonly SessionSummary[]>
  /** The entries of a session, open or ended, from that sequence number on. Throws `not_found`. */
  read(session: SessionId, fromSequence?: number): AsyncIterable<RecordedEntry>
  /** Does now what is done in the background: cuts the sessions that have ended, brings the list up to date. */
  settle(): Promise<void>
  /** Ends the work in the background and closes the journal; sessions must have ended. */
  stop(): Promise<void>
}

/** Opens the journal, repairs what a crash left, and keeps session files and the list up to date behind it. */
export async function openRecording(options: RecordingOptions): Promise<Recording> {
  const { directory, keys, clock, random, index, onFault, files = systemFiles } = options
  const journal = openJournal({ directory, keys, clock, random, onFault, files })
  const cutter = new Cutter({ directory, keys, journal, clock, onFault })
  const indexer = new Indexer({ directory, keys, journal, index, clock, onFault })
  await indexer.start()
  await cutter.start()
  return {
    journal,
    keyIds: keys.map(({ id }) => id),
    list: (filter) => indexer.list(filter),
    read(session, fromSequence = 0) {
      // The reader sees the files; what waits in memory belongs to the session as well. When it cannot be written,
      // what is there can still be read.
      try {
        journal.flush()
      } catch (error) {
        onFault(error)
      }
      return readSession(directory, keys, session, { fromSequence })
    },
    async settle() {
      await cutter.catchUp()
      await indexer.update()
    },
    async stop() {
      await cutter.stop()
      await indexer.stop()
      journal.close()
    },
  }
}
