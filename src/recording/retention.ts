import { lstat, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  type Clock,
  isGatewayError,
  type Journal,
  type RecordingKeys,
  type SessionId,
  type Timer,
} from '../core/index.ts'
import { nodeSha256 } from '../evidence/system/sha256.ts'
import { isUploaded, markFile, Marks, writeMark } from './files/upload-marks.ts'
import { isMissing, openIfThere, syncDirectory } from './files/files.ts'
import type { SessionIndex, SessionSummary } from './list/index-port.ts'
import { type Eraser, ruleName } from './erasure/eraser.ts'
import { dayOf, isSessionId, openedAt, sessionFile, thinnedFile } from './files/names.ts'
import { fold } from './list/live-sessions.ts'
import {
  bringBack,
  type FetchSession,
  oldestHeader,
  readSession,
  recordedSessions,
} from './reading/reader.ts'
import { unwrapDataKey } from './sealed/data-key.ts'
import { SealedReader } from './sealed/reader.ts'
import type { SnapshotStore } from './snapshots/snapshot-store.ts'

/** How long recordings are kept; without `afterMs` and `bytesMax` for good. */
export type RetentionSettings = {
  /** Since the session ended. */
  readonly afterMs: number | undefined
  /** All session files together: beyond it the oldest go. */
  readonly bytesMax: number | undefined
  /** Payloads that go before the rest does. */
  readonly payloads: readonly PayloadRule[]
  /** Never deleted, whatever the rest says. */
  readonly hold: {
    readonly sessions: readonly string[]
    /** Identity keys, anywhere in the chain. */
    readonly identities: readonly string[]
    readonly connections: readonly string[]
  }
}

/** Payloads that are removed when a session has ended so long ago; the frames, and the proof of them, stay. */
export type PayloadRule = {
  readonly afterMs: number
  /** Only what may hold values of columns with one of these labels; undefined: all payloads. */
  readonly labels: readonly string[] | undefined
}

export const KEEP_ALL: RetentionSettings = {
  afterMs: undefined,
  bytesMax: undefined,
  payloads: [],
  hold: { sessions: [], identities: [], connections: [] },
}

export type RetentionOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly journal: Journal
  readonly index: SessionIndex
  readonly clock: Clock
  /** Those that no recording needs go as well. */
  readonly snapshots?: SnapshotStore | undefined
  /** Where files were uploaded to: whether there is such a place, and what brings them back. */
  readonly store?: { readonly isConfigured: () => boolean; readonly fetch: FetchSession } | undefined
  /** What removes payloads. */
  readonly eraser: Pick<Eraser, 'run' | 'retire'>
  readonly onFault: (error: unknown) => void
}

const FIRST_RUN_MS = 60_000
const INTERVAL_MS = 60 * 60 * 1000
/** Deleted behind one sync of the journal. */
const BATCH = 100
/** From the object store. */
const FETCHED_AT_ONCE = 8
/** That stat(2) counts in. */
const BLOCK_BYTES = 512

type Due = { readonly session: SessionId; readonly because: 'age' | 'size'; readonly bytes: number }

/**
 * Deletes the files of sessions that are kept no longer, oldest first, and says so in the recording before each. The list
 * says which may be due; when each ended, and what holds it, its own file says, which nobody makes without the key. What
 * cannot be read stays; so does what is still in the journal as well, until that has gone.
 */
export class Retention {
  readonly #options: RetentionOptions
  readonly #marks: Marks
  #settings: RetentionSettings
  /** Sessions in which nothing is left that a rule is about, by the name of the rule: they are not looked into again. */
  readonly #settled = new Map<string, Set<SessionId>>()
  #timer: Timer | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: RetentionOptions, settings: RetentionSettings) {
    this.#options = options
    this.#marks = new Marks(options.directory, options.keys)
    this.#settings = settings
  }

  start(): void {
    this.#later(FIRST_RUN_MS)
  }

  adopt(settings: RetentionSettings): void {
    this.#settings = settings
  }

  /** Holds that no session in the list is under: a name that was written wrong, or recordings that have gone. */
  async emptyHolds(): Promise<readonly string[]> {
    const { index } = this.#options
    const { sessions, identities, connections } = this.#settings.hold
    const empty: string[] = []
    for (const each of sessions)
      if (!isSessionId(each) || (await index.get(each)) === undefined) empty.push(`session ${each}`)
    for (const identity of identities)
      if ((await index.list({ identity, limit: 1 })).length === 0) empty.push(`identity ${identity}`)
    for (const connection of connections)
      if ((await index.list({ connection, limit: 1 })).length === 0) empty.push(`connection ${connection}`)
    return empty
  }

  isHeld(summary: SessionSummary): boolean {
    return isHeld(summary, this.#settings.hold)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#running
  }

  /** Deletes what is due now; tells how many. Throws `recording_unavailable` where that cannot be recorded. */
  async run(): Promise<number> {
    const deleted = await this.#recordings(this.#settings)
    await this.#options.eraser.run()
    for (const rule of this.#settings.payloads) await this.#payloads(rule)
    await this.#sweep()
    return deleted
  }

  /** What a rule says of payloads, session by session. One that cannot be done is told of, and tried again the next time. */
  async #payloads({ afterMs, labels }: PayloadRule): Promise<void> {
    const { directory, index, clock, eraser, onFault } = this.#options
    const scope = labels === undefined ? {} : { labels }
    const settled = this.#settled.get(ruleName(scope)) ?? new Set()
    this.#settled.set(ruleName(scope), settled)
    const endedBefore = clock.now() - afterMs
    const retire = async (sessions: readonly SessionId[]): Promise<void> => {
      await this.#bringBack(sessions)
      for (const session of this.#stopped ? [] : sessions) {
        try {
          const { state } = await eraser.retire(session, scope, endedBefore)
          if (state === 'erased' || state === 'nothing') settled.add(session)
        } catch (error) {
          onFault(error)
        }
      }
    }
    const lastDay = new Date(Math.max(endedBefore, 0)).toISOString().slice(0, 10)
    let waiting: SessionId[] = []
    for await (const session of recordedSessions(directory)) {
      if (this.#stopped || dayOf(session) > lastDay) break
      if (settled.has(session)) continue
      const closedAt = (await index.get(session))?.closedAt
      if (closedAt === undefined || closedAt >= endedBefore) continue
      waiting.push(session)
      if (waiting.length < FETCHED_AT_ONCE) continue
      await retire(waiting)
      waiting = []
    }
    await retire(waiting)
  }

  /** Fetches at once what is in the object store only: one by one each would wait for the store. What fails is told by who reads it. */
  async #bringBack(sessions: readonly SessionId[]): Promise<void> {
    const { directory, store } = this.#options
    if (this.#stopped || store === undefined) return
    await Promise.allSettled(sessions.map((session) => bringBack(directory, session, store.fetch)))
  }

  async #recordings(settings: RetentionSettings): Promise<number> {
    if (settings.afterMs === undefined && settings.bytesMax === undefined) return 0
    let deleted = 0
    let batch: Due[] = []
    for await (const each of this.#due(settings)) {
      batch.push(each)
      if (batch.length < BATCH) continue
      deleted += await this.#delete(batch)
      batch = []
    }
    return deleted + (await this.#delete(batch))
  }

  /** Whatever names a snapshot was recorded after the oldest session that is there was opened, or is in the journal. */
  async #sweep(): Promise<void> {
    const { directory, snapshots, clock } = this.#options
    if (snapshots === undefined || this.#stopped) return
    let oldest = (await oldestHeader(directory))?.time ?? clock.now()
    for await (const session of recordedSessions(directory)) {
      oldest = Math.min(oldest, openedAt(session))
      break
    }
    await snapshots.sweep(oldest)
  }

  #later(ms: number): void {
    if (this.#stopped) return
    this.#timer = this.#options.clock.after(ms, () => {
      this.#running = this.run().then(
        () => this.#later(INTERVAL_MS),
        (error: unknown) => {
          this.#options.onFault(error)
          this.#later(INTERVAL_MS)
        },
      )
    })
  }

  async *#due({ afterMs, bytesMax, hold }: RetentionSettings): AsyncGenerator<Due> {
    const { directory, index, clock } = this.#options
    const begun = (await oldestHeader(directory))?.time
    let excess = bytesMax === undefined ? 0 : await this.#excessOver(bytesMax)
    const oldEnough = afterMs === undefined ? Number.NEGATIVE_INFINITY : clock.now() - afterMs
    const lastDay = new Date(Math.max(oldEnough, 0)).toISOString().slice(0, 10)
    for await (const session of recordedSessions(directory)) {
      if (this.#stopped) return
      // Opened later, and so ended later.
      if (excess <= 0 && dayOf(session) > lastDay) return
      const bytes = await this.#bytes(session)
      const listed = bytes === undefined ? undefined : await index.get(session)
      if (bytes === undefined || listed?.closedAt === undefined) continue
      if (listed.closedAt >= oldEnough && excess <= 0) continue
      const summary = await this.#recorded(session)
      const closedAt = summary?.closedAt
      if (summary === undefined || closedAt === undefined) continue
      if (begun === undefined || closedAt >= begun || isHeld(summary, hold)) continue
      if (closedAt < oldEnough) yield { session, because: 'age', bytes }
      else if (excess > 0) yield { session, because: 'size', bytes }
      else continue
      excess -= bytes
    }
  }

  async #delete(due: readonly Due[]): Promise<number> {
    if (due.length === 0) return 0
    const { directory, journal } = this.#options
    for (const { session, because, bytes } of due) {
      const details = { because, bytes }
      const head = { action: 'recording.deleted', by: 'retention', target: session, details }
      journal.append(undefined, { kind: 'admin', head })
    }
    journal.sync()
    const directories = new Set<string>()
    for (const { session } of due) {
      const path = sessionFile(directory, session)
      // First that it goes from the store as well: the uploader does that, now or when the store is back.
      if (this.#options.store?.isConfigured() === true || (await isUploaded(directory, session)))
        await writeMark(markFile(directory, session, 'del'), '')
      await rm(path, { force: true })
      await rm(thinnedFile(path), { force: true })
      directories.add(dirname(path))
    }
    for (const each of directories) await syncDirectory(each).catch(unlessMissing)
    return due.length
  }

  /** What its own recording says of a session; undefined, and told, where that cannot be read. */
  async #recorded(session: SessionId): Promise<SessionSummary | undefined> {
    const { directory, keys, store, onFault } = this.#options
    try {
      let summary: SessionSummary | undefined
      for await (const { time, entry } of readSession(directory, keys, session, { fetch: store?.fetch }))
        summary = fold(summary, session, time, entry)
      return summary
    } catch (error) {
      onFault(error)
      return undefined
    }
  }

  /** How many bytes more the session files have than they may: those that the gateway wrote, when there seem to be more. */
  async #excessOver(bytesMax: number): Promise<number> {
    const { directory } = this.#options
    let [all, own] = [0, 0]
    for await (const session of recordedSessions(directory)) all += (await this.#bytes(session)) ?? 0
    if (all <= bytesMax) return 0
    for await (const session of recordedSessions(directory))
      if (await this.#isOwn(session)) own += (await this.#bytes(session)) ?? 0
    return own - bytesMax
  }

  /** What a session takes here, or in the store once it is there only. */
  async #bytes(session: SessionId): Promise<number | undefined> {
    const { directory } = this.#options
    return (await bytesOf(sessionFile(directory, session))) ?? (await this.#marks.read(session, 'up'))?.bytes
  }

  /** Whether a session file was begun by who has the recording key. */
  async #isOwn(session: SessionId): Promise<boolean> {
    const { directory, keys } = this.#options
    const path = sessionFile(directory, session)
    const file = await openIfThere(path)
    // Who has no key makes no mark.
    if (file === undefined) return (await this.#marks.read(session, 'up')) !== undefined
    try {
      const header = await new SealedReader(path, file, nodeSha256).header()
      unwrapDataKey(keys, header)
      return header.session === session
    } catch (error) {
      if (!isGatewayError(error)) throw error
      return false
    } finally {
      await file.close()
    }
  }
}

/** Whether a legal hold is on a session. */
function isHeld(summary: SessionSummary, hold: RetentionSettings['hold']): boolean {
  return (
    hold.sessions.includes(summary.session) ||
    hold.connections.includes(summary.connection) ||
    summary.chain.some((identity) => hold.identities.includes(identity))
  )
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}

async function bytesOf(path: string): Promise<number | undefined> {
  try {
    const { size, blocks } = await lstat(path)
    // Of one with holes only what it takes on the disk.
    return process.platform === 'win32' ? size : Math.min(size, blocks * BLOCK_BYTES)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
