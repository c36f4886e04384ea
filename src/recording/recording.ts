import type { KeyObject } from 'node:crypto'
import type {
  Clock,
  Entry,
  RandomBytes,
  RecordingKeys,
  Secret,
  SecretRef,
  SessionId,
  Timer,
} from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import { type ErasureInput, type ErasureReport, Eraser } from './erasure/eraser.ts'
import { FieldOpener, type Sees } from './fields/show-fields.ts'
import { type FileSystem, systemFiles } from './files/file-system.ts'
import { Indexer } from './indexer.ts'
import type { SessionFilter, SessionIndex, SessionSummary } from './list/index-port.ts'
import { type FileJournal, type JournalGap, type Logged, openJournal } from './journal/journal.ts'
import { type RecordedEntry, readSession } from './reading/reader.ts'
import { KEEP_ALL, Retention, type RetentionSettings } from './retention.ts'
import { directorySource } from '../evidence/system/directory-storage.ts'
import { logDirectory } from './files/names.ts'
import { loggedEnd } from './sealer/log-of-gateway.ts'
import type { SnapshotStore } from './snapshots/snapshot-store.ts'
import { type SealerStatus, SealerThread } from './sealer/sealer-thread.ts'
import { type LogSettings, NO_LOG_SETTINGS } from './sealer/settings.ts'
import type { OutletState } from './stream/outlet.ts'
import type { StreamOutlet } from './stream/settings.ts'
import { BucketThread, type StoreReport } from './bucket/bucket-thread.ts'
import type { RecordingStore } from './bucket/settings.ts'
import { StreamThread } from './stream/stream-thread.ts'
import { type SearchPage, searchSessions } from './reading/search.ts'

/** What the configuration says of the recording. */
export type RecordingSettings = LogSettings & {
  readonly retention: RetentionSettings
  /** Where events go. */
  readonly stream: readonly StreamOutlet[]
  /** Where recordings are kept beside this machine. */
  readonly store: RecordingStore | undefined
}

export type RecordingOptions = {
  /** The data directory. */
  readonly directory: string
  /** What its files are encrypted under: the first for new ones, each for reading. */
  readonly keys: RecordingKeys
  /** Seeds of the keys of the log: the first signs, the others did before. */
  readonly seeds: readonly [KeyObject, ...KeyObject[]]
  readonly settings?: RecordingSettings
  readonly clock: Clock
  readonly random: RandomBytes
  /** What this gateway is called among others on one store: its log has a name of its own. */
  readonly node?: string | undefined
  readonly index: SessionIndex
  readonly snapshots?: SnapshotStore | undefined
  /** Told of approval requests whose commands were erased: copies of them are to go as well. */
  readonly onErased?: (tickets: readonly string[]) => Promise<void>
  /** Told of faults in the background; the recording goes on where it can and refuses where it cannot. */
  readonly onFault: (error: unknown) => void
  /** The version of this program, for events; and what their outlets' secrets are looked up with. */
  readonly program?: string
  readonly resolveSecret?: (ref: SecretRef) => Promise<Secret>
  /** What the journal writes with; the machine's files when absent. */
  readonly files?: FileSystem
}

export type SealerReport = SealerStatus & {
  /** Frames that were written and no checkpoint covers, and for how long there have been any. */
  readonly lagFrames: number
  readonly lagMs: number
  /** Frames that the log covers and the journal had lost when the gateway started. */
  readonly gap: JournalGap | undefined
}

/** An outlet, and how many frames that were written it is not done with. */
export type OutletReport = OutletState & { readonly lagFrames: number }

/** Everything a running gateway does with its recording. */
export type Recording = {
  readonly journal: FileJournal
  /** The keys at hand, by their ids: the first is for new files. */
  readonly keyIds: readonly string[]
  /** Sessions as they are at this moment, newest first. */
  list(filter: SessionFilter): Promise<readonly SessionSummary[]>
  /** The same, of those in one of whose statements a text stands: reads their recordings. */
  search(filter: SessionFilter, text: string, shown: (entry: Entry) => Entry): Promise<SearchPage>
  /** An entry as a reader gets it who may see the labels that `sees` says: other sealed values are called by their labels. */
  shown(entry: Entry, sees: Sees): Entry
  /** The index, with all that has happened until now. For questions that `list` does not answer. */
  upToDate(): Promise<SessionIndex>
  /** The entries of a session, open or ended, from that sequence number on. Throws `not_found`. */
  read(session: SessionId, fromSequence?: number): AsyncIterable<RecordedEntry>
  /** Takes payloads out of the recording of a session that has ended, for good. Throws as `Eraser.request` does. */
  erase(input: ErasureInput): Promise<ErasureReport>
  /** Legal holds that no recording is under, and how many erasures wait. */
  retention(): Promise<{ readonly emptyHolds: string[]; readonly erasuresWaiting: number }>
  /** How far the sealer is. */
  sealer(): SealerReport
  /** How far each outlet is. */
  outlets(): readonly OutletReport[]
  /** How far the object store is behind; undefined without one. */
  store(): StoreReport | undefined
  /** Other witnesses, other places for checkpoints, another retention, other outlets, from now on. */
  adopt(settings: RecordingSettings): void
  /** Does now what is done in the background: seals all there is, brings the list up to date. */
  settle(): Promise<void>
  /** Ends the work in the background and closes the journal; sessions must have ended. */
  stop(): Promise<void>
}

const NOTHING_SET: RecordingSettings = {
  ...NO_LOG_SETTINGS,
  retention: KEEP_ALL,
  stream: [],
  store: undefined,
}

const noSecrets = (): Promise<never> => Promise.reject(new Error('nothing looks secrets up here'))

/** Opens the journal, repairs what a crash left, and keeps log, session files and the list up to date behind it. */
export async function openRecording(options: RecordingOptions): Promise<Recording> {
  const { directory, keys, seeds, clock, random, index, onFault, files = systemFiles } = options
  const logged = await covered(options)
  const journal = openJournal({ directory, keys, clock, random, onFault, files, ...logged })
  const { retention: keep, stream: outlets, store: place, ...log } = options.settings ?? NOTHING_SET
  const { program = 'unknown', resolveSecret = noSecrets } = options
  const store = new BucketThread({ directory, keys, clock, resolveSecret, onFault })
  await store.adopt(place)
  const fetch = (session: SessionId): Promise<void> => store.fetch(session)
  const stream = new StreamThread({
    directory,
    keys,
    program,
    clock,
    resolveSecret,
    record(head) {
      journal.append(undefined, { kind: 'admin', head })
      journal.sync()
    },
    fetch,
    onFault,
  })
  stream.adopt(outlets)
  const thread = new SealerThread({
    directory,
    keys,
    seeds,
    settings: log,
    node: options.node,
    clock,
    onFault,
  })
  const indexer = new Indexer({
    directory,
    keys,
    journal,
    index,
    clock,
    onFault,
    fetch,
    onStored: (sequence) => thread.indexed(sequence),
  })
  await indexer.start()
  thread.backlog(stream.backlog)
  thread.start()
  journal.observe({ authenticated: () => thread.wake() })
  const eraser = new Eraser({
    directory,
    keys,
    journal,
    rewriter: thread,
    clock,
    isHeld: (summary) => retention.isHeld(summary),
    onErased: options.onErased ?? (() => Promise.resolve()),
    fetch,
    onFault,
  })
  const retention: Retention = new Retention(
    {
      directory,
      keys,
      journal,
      index,
      clock,
      snapshots: options.snapshots,
      eraser,
      store: { isConfigured: () => store.isConfigured, fetch },
      onFault,
    },
    keep,
  )
  retention.start()
  const lag = new Lag(journal, thread, clock, () => thread.backlog(stream.backlog))
  const opener = new FieldOpener(keys)
  const list = (filter: SessionFilter): Promise<readonly SessionSummary[]> => indexer.list(filter)
  const read = (session: SessionId, fromSequence = 0): AsyncIterable<RecordedEntry> => {
    // The reader sees the files; what waits in memory belongs to the session as well. When it cannot be written,
    // what is there can still be read.
    try {
      journal.flush()
    } catch (error) {
      onFault(error)
    }
    return readSession(directory, keys, session, { fromSequence, fetch })
  }
  return {
    journal,
    keyIds: keys.map(({ id }) => id),
    list,
    read,
    search: (filter, text, shown) =>
      // What another node recorded cannot be read here.
      searchSessions({ clock, list, read, shown }, { ...filter, here: true }, text),
    shown: (entry, sees) => opener.shown(entry, sees),
    async upToDate() {
      await indexer.catchUp()
      return index
    },
    erase: (input) => eraser.request(input),
    retention: async () => ({
      emptyHolds: [...(await retention.emptyHolds())],
      erasuresWaiting: await eraser.waiting(),
    }),
    sealer: () => ({ ...thread.status, ...lag.now(), gap: journal.gap }),
    outlets: () =>
      stream.states.map((state) => ({
        ...state,
        lagFrames: Math.max(0, journal.flushedSequence - (state.cursor?.sequence ?? 0)),
      })),
    store: () => store.report,
    adopt({ retention: kept, stream: others, store: elsewhere, ...rest }) {
      stream.adopt(others)
      store.adopt(elsewhere).catch(onFault)
      thread.adopt(rest)
      retention.adopt(kept)
    },
    async settle() {
      journal.authenticate()
      await indexer.update()
      await thread.settle()
      await store.settle()
    },
    async stop() {
      lag.stop()
      const streamed = stream.stop()
      await eraser.stop()
      await store.stop()
      await retention.stop()
      await indexer.stop()
      await streamed
      journal.close()
      // What is not sealed by then will be when the gateway starts again: nobody waits for a disk that does not answer.
      await thread.stop(LIMITS.sealAtStopMs)
    },
  }
}

/** What the log says of the journal before that is opened. A log that cannot be read is what the sealer tells of. */
async function covered({ directory, seeds, onFault }: RecordingOptions): Promise<{ logged?: Logged }> {
  try {
    const logged = await loggedEnd(directorySource(logDirectory(directory)), seeds)
    return logged === undefined ? {} : { logged }
  } catch (error) {
    onFault(error)
    return {}
  }
}

/** How far the sealer is behind, looked at once a second: since when there has been anything it had not covered. */
class Lag {
  readonly #journal: FileJournal
  readonly #thread: SealerThread
  readonly #clock: Clock
  /** What had been written when it was looked at, oldest first, until it is covered. */
  #seen: { readonly sequence: number; readonly at: number }[] = []
  readonly #onLook: () => void
  #timer: Timer

  constructor(journal: FileJournal, thread: SealerThread, clock: Clock, onLook: () => void) {
    this.#onLook = onLook
    this.#journal = journal
    this.#thread = thread
    this.#clock = clock
    this.#timer = this.#later()
  }

  now(): { readonly lagFrames: number; readonly lagMs: number } {
    const { through } = this.#thread.status
    const oldest = this.#seen.find(({ sequence }) => sequence > through)
    return {
      lagFrames: Math.max(0, this.#journal.flushedSequence - through),
      lagMs: oldest === undefined ? 0 : Math.max(0, this.#clock.now() - oldest.at),
    }
  }

  stop(): void {
    this.#timer.cancel()
  }

  #later(): Timer {
    return this.#clock.after(1_000, () => {
      this.#onLook()
      const { through } = this.#thread.status
      const sequence = this.#journal.flushedSequence
      this.#seen = this.#seen.filter((each) => each.sequence > through)
      // Of a long time without sealing the beginning and the end are enough.
      if (this.#seen.length > 100) this.#seen.splice(1, this.#seen.length - 2)
      if (sequence > (this.#seen.at(-1)?.sequence ?? through))
        this.#seen.push({ sequence, at: this.#clock.now() })
      this.#timer = this.#later()
    })
  }
}
