import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type Clock,
  GatewayError,
  isGatewayError,
  type RecordingKeys,
  type SessionId,
} from '../../core/index.ts'
import { listIfThere, syncDirectory } from '../files/files.ts'
import { sessionFile, sessionName, uploadsDirectory } from '../files/names.ts'
import type { Bucket } from './bucket.ts'
import { bytesContent } from './content.ts'
import { fetchSession } from './fetch.ts'
import { LogCopy } from './log-copy.ts'
import { Marks, readMarkText, writeMark } from '../files/upload-marks.ts'
import { Spool, type SpoolState, type Waiting } from './spool.ts'
import { StoreLog } from './store-log.ts'
import { uploadSession } from './upload.ts'

export type UploaderOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly clock: Clock
  readonly bucket: Bucket
  /** Which bucket it is: marks are of this one. */
  readonly place: string
  readonly spoolBytesMax: number
  readonly onState?: (state: UploaderState) => void
  readonly onFault: (error: unknown) => void
  /** For tests: what is larger goes up in parts of so many bytes. */
  readonly wholeBytesMax?: number
}

/** How far the store is behind, as it is told outside. */
export type UploaderState = {
  /** Session files that are not in the store, and their bytes. */
  readonly waitingFiles: number
  readonly waitingBytes: number
  /** Bytes of session files on this machine. */
  readonly spoolBytes: number
  /** Entries of the log that are in the store. */
  readonly logEntries: number
  /** Files uploaded and fetched since the start. */
  readonly uploaded: number
  readonly fetched: number
  /** Sessions of which the store has something else, or that are damaged here: they stay. */
  readonly refused: number
  /** Sessions that retention deleted and the store did not. */
  readonly undeleted: number
}

export const NOTHING_DONE: UploaderState = {
  waitingFiles: 0,
  waitingBytes: 0,
  spoolBytes: 0,
  logEntries: 0,
  uploaded: 0,
  fetched: 0,
  refused: 0,
  undeleted: 0,
}

/** The log goes up at most this often: each time costs some four requests. */
const LOG_MS = 10_000
/** What was begun in parts and not ended since then is of a process that was killed. */
const LEFT_OVER_MS = 60 * 60 * 1000
/** What was refused is tried again only now and then: somebody has to do something about it. */
const REFUSED_MS = 10 * 60 * 1000
/** With what it is tried whether the store keeps to conditions, and an etag that it does not have. */
const PROBE = '.probe'
const NO_ETAG = '"00000000000000000000000000000000"'
const REFUSALS: ReadonlySet<string> = new Set(['conflict', 'invalid', 'not_found'])
/** What could not be deleted is tried again when retention runs again. */
const DELETE_MS = 60 * 60 * 1000
/** Files that go up at once, and their bytes together, which stand in memory. */
const TOGETHER = 16
const TOGETHER_BYTES = 64 * 1024 * 1024

/**
 * Brings what is sealed into a bucket. Keeps no books: what has to go up is what has no mark. Killed anywhere, the next one does the
 * last thing again, and finds that it was done.
 *
 * Promise: nothing in the bucket is overwritten but what this gateway put there; a checkpoint goes up behind all that it
 * covers; nothing here is removed that the store did not say it has.
 */
export class Uploader {
  readonly #options: UploaderOptions
  readonly #marks: Marks
  readonly #spool: Spool
  readonly #log: LogCopy
  readonly #refused = new Map<SessionId, number>()
  readonly #fetching = new Map<SessionId, Promise<void>>()
  #ready: Promise<void> | undefined
  #isProbed = false
  #deleteAt = Number.NEGATIVE_INFINITY
  #leftOversAt = Number.NEGATIVE_INFINITY
  #logAt = Number.NEGATIVE_INFINITY
  #state = NOTHING_DONE

  constructor(options: UploaderOptions) {
    const { directory, keys, bucket, onFault } = options
    this.#options = options
    this.#marks = new Marks(directory, keys)
    this.#spool = new Spool(directory, this.#marks)
    this.#log = new LogCopy(directory, new StoreLog(bucket, 'log/'), onFault)
  }

  get state(): UploaderState {
    return this.#state
  }

  /** Brings the file of a session back, for who reads it. Throws what `fetchSession` throws. */
  fetch(session: SessionId): Promise<void> {
    const fetching =
      this.#fetching.get(session) ?? this.#fetch(session).finally(() => this.#fetching.delete(session))
    this.#fetching.set(session, fetching)
    return fetching
  }

  async #fetch(session: SessionId): Promise<void> {
    this.#spool.fetched(session)
    await this.#check()
    await fetchSession({ ...this.#options, marks: this.#marks }, session)
    this.#spool.fetched(session)
    this.#tell({ fetched: this.#state.fetched + 1 })
  }

  /**
   * All that can be done now. Throws what keeps the store from taking anything; a single file that it has otherwise is told
   * and passed over. Local files that are in the store make room whatever happens.
   */
  async pass(isLast = false): Promise<void> {
    await this.#check()
    // First how far the log is, then which files there are: those that it calls whole are among them.
    const head = await this.#log.head()
    const found = await this.#spool.look()
    this.#tell(figuresOf(found))
    try {
      await this.#probe()
      await this.#leftOvers()
      await this.#deletions(found.deleted)
      const { clock } = this.#options
      const isDue = (session: SessionId): boolean => (this.#refused.get(session) ?? 0) <= clock.now()
      for (const session of found.wanted.filter(isDue))
        await this.#orRefused(session, () => this.fetch(session))
      const waiting = found.waiting.filter(({ session }) => isDue(session))
      for (const group of groupsOf(waiting)) {
        await together(group, ({ session }) => this.#orRefused(session, () => this.#upload(session)))
        const bytes = group.reduce((sum, each) => sum + each.bytes, 0)
        const { waitingFiles, waitingBytes } = this.#state
        this.#tell({
          waitingFiles: Math.max(0, waitingFiles - group.length),
          waitingBytes: Math.max(0, waitingBytes - bytes),
        })
      }
      if (head !== undefined && (isLast || clock.now() >= this.#logAt + LOG_MS)) {
        await this.#log.copy(head)
        this.#logAt = clock.now()
      }
    } finally {
      const left = await this.#spool.keepWithin(this.#options.spoolBytesMax)
      this.#tell({ ...figuresOf(left), logEntries: this.#log.size })
    }
  }

  /** Once, however many want it at a time. */
  async #check(): Promise<void> {
    this.#ready ??= this.#begin()
    try {
      await this.#ready
    } catch (error) {
      this.#ready = undefined
      throw error
    }
  }

  /** Marks are of one bucket: in another one nothing is that they say. */
  async #begin(): Promise<void> {
    const { directory, place } = this.#options
    await this.#sweep()
    const path = join(uploadsDirectory(directory), 'place')
    const said = await readMarkText(path)
    if (said === undefined) await writeMark(path, `${place}\n`)
    else if (said !== `${place}\n`) {
      throw new GatewayError(
        'conflict',
        `What was uploaded from here is in ${said.trim()}, and not in ${place}.`,
        {
          remedy: `Copy all of it to the new place, remove ${path}; or set recording.store back.`,
        },
      )
    }
  }

  /** What a process left that was killed: of a file that it fetched a copy with its key, which nobody would erase. */
  async #sweep(): Promise<void> {
    const { directory } = this.#options
    for (const day of await listIfThere(uploadsDirectory(directory))) {
      const folder = join(uploadsDirectory(directory), day)
      if (!/^\d{4}-\d\d-\d\d$/.test(day)) continue
      for (const name of await listIfThere(folder))
        if (/\.(got|new)$/.test(name)) await rm(join(folder, name), { force: true })
    }
  }

  /** Whether the store keeps to conditions: what it would overwrite in spite of them would be lost. */
  async #probe(): Promise<void> {
    if (this.#isProbed) return
    const { bucket, place } = this.#options
    const content = bytesContent(Buffer.from('An object that is never overwritten.\n'))
    const isNew = (await bucket.put(PROBE, content, { ifAbsent: true })) !== undefined
    const again = isNew ? await bucket.put(PROBE, content, { ifAbsent: true }) : undefined
    const other = await bucket.put(PROBE, content, { ifEtag: NO_ETAG })
    if (again !== undefined || other !== undefined) {
      throw new GatewayError(
        'unsupported',
        `${place} does not keep to conditions of uploads: nothing is uploaded.`,
        {
          remedy: 'Use a store that knows conditional writes (If-None-Match and If-Match of PutObject).',
          retry: 'only-if-changed',
        },
      )
    }
    this.#isProbed = true
  }

  async #leftOvers(): Promise<void> {
    const { bucket, clock } = this.#options
    if (clock.now() < this.#leftOversAt + LEFT_OVER_MS) return
    await bucket.abandon(clock.now() - LEFT_OVER_MS).catch((error: unknown) => this.#aside(error))
    this.#leftOversAt = clock.now()
  }

  /** What the store does not let the gateway do is told, and holds up nothing that it does. */
  #aside(error: unknown): void {
    if (!isGatewayError(error) || error.code !== 'denied') throw error
    this.#options.onFault(error)
  }

  async #deletions(sessions: readonly SessionId[]): Promise<void> {
    const { clock } = this.#options
    if (sessions.length > 0 && clock.now() < this.#deleteAt) return
    let left = sessions.length
    try {
      for (const session of sessions) {
        await this.#delete(session)
        left--
      }
    } catch (error) {
      this.#aside(error)
      this.#deleteAt = clock.now() + DELETE_MS
    } finally {
      this.#tell({ undeleted: left })
    }
  }

  async #upload(session: SessionId): Promise<void> {
    await uploadSession({ ...this.#options, marks: this.#marks }, session)
    this.#tell({ uploaded: this.#state.uploaded + 1 })
  }

  /** What is wrong with one session is told, and holds up no other. */
  async #orRefused(session: SessionId, work: () => Promise<void>): Promise<void> {
    const { clock, onFault } = this.#options
    try {
      await work()
      this.#refused.delete(session)
    } catch (error) {
      if (!isGatewayError(error) || !REFUSALS.has(error.code)) throw error
      if (!this.#refused.has(session)) onFault(error)
      this.#refused.set(session, clock.now() + REFUSED_MS)
    }
    this.#tell({ refused: this.#refused.size })
  }

  /** Retention has said that it goes, and recorded it. */
  async #delete(session: SessionId): Promise<void> {
    const { bucket, directory } = this.#options
    await bucket.remove(sessionName(session))
    const path = sessionFile(directory, session)
    await rm(path, { force: true })
    await syncDirectory(dirname(path)).catch(() => undefined)
    await this.#marks.remove(session, ['up', 'was', 'want', 'del'])
    this.#refused.delete(session)
  }

  #tell(state: Partial<UploaderState>): void {
    this.#state = { ...this.#state, ...state }
    this.#options.onState?.(this.#state)
  }
}

function figuresOf({
  bytes,
  waiting,
}: SpoolState): Pick<UploaderState, 'spoolBytes' | 'waitingFiles' | 'waitingBytes'> {
  return {
    spoolBytes: bytes,
    waitingFiles: waiting.length,
    waitingBytes: waiting.reduce((sum, each) => sum + each.bytes, 0),
  }
}

/** So many at once that they do not take too much memory; a large one by itself. */
function* groupsOf(all: readonly Waiting[]): Generator<readonly Waiting[]> {
  let group: Waiting[] = []
  let bytes = 0
  for (const each of all) {
    if (group.length > 0 && (group.length >= TOGETHER || bytes + each.bytes > TOGETHER_BYTES)) {
      yield group
      group = []
      bytes = 0
    }
    group.push(each)
    bytes += each.bytes
  }
  if (group.length > 0) yield group
}

/** All at once; throws what the first one threw after all have ended. */
async function together<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(all.map(work))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}
