import { basename, join } from 'node:path'
import type {
  AdminHead,
  Clock,
  Entry,
  Journal,
  LabelName,
  RandomBytes,
  RecordingKey,
  RecordingKeys,
  SessionId,
  Timer,
} from '../../core/index.ts'
import { GatewayError, LIMITS } from '../../core/index.ts'
import { type FileSystem, systemFiles } from '../files/file-system.ts'
import { FRAME_CODES } from '../files/format.ts'
import { FrameBuffer } from '../frames/frame-buffer.ts'
import { ownJson, type SplitEntryJson, splitJson } from '../frames/heads.ts'
import type { SessionSummary } from '../list/index-port.ts'
import { JournalFile } from './journal-file.ts'
import { fold, type LiveSession } from '../list/live-sessions.ts'
import { journalDirectory, journalFileName } from '../files/names.ts'
import type { FileHead, LogMark } from '../frames/own-frames.ts'
import { type Cut, recover, type Recovered, type Unauthenticated } from './repair.ts'
import { BlockSealer } from './sealing.ts'
import { fingerprintUnder, LabelKeys } from '../fields/label-keys.ts'
import { sealValues } from '../fields/sealed-values.ts'
import { type Gathering, gathering, SessionFacts } from '../list/session-facts.ts'

export type JournalOptions = {
  /** The data directory of the gateway; the journal is in `journal/` below it. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly clock: Clock
  /** Makes the key of each file. */
  readonly random: RandomBytes
  /** Told of faults that no caller can be told of: a sync in the background, a new file that could not be begun. */
  readonly onFault: (error: unknown) => void
  readonly files?: FileSystem
  readonly fileBytesMax?: number
  /** What the log was before: no frame gets a number that it covers, whatever has become of the journal. */
  readonly logged?: Logged
}

/** `through`: the last frame that the log covers; 0: none. */
export type Logged = LogMark & { readonly through: number }

/** Frames that the log covers and that the journal had lost when it was opened. `since`: what is left ends then. */
export type JournalGap = { readonly first: number; readonly last: number; readonly since: number | undefined }

/** Who follows the journal within the process. Called while it is written: must only take note. */
export interface JournalObserver {
  sessionClosed?(session: SessionId, summary: SessionSummary | undefined, facts: SessionFacts): void
  /** No frame will be added any more to the file that was written until now. */
  fileEnded?(): void
  /** All that is in the file has its MAC. */
  authenticated?(): void
}

/** How long to stay with a file that is full, or whose sync failed, before trying again to begin a new one. */
const NEW_FILE_RETRY_MS = 1000

/** How long what was written may be without a MAC, when nothing follows that brings one: a second with what follows it. */
const MAC_AFTER_MS = 900

/** How often to look whether somebody has removed the file that is being written. */
const LOOK_AFTER_MS = 1000

/**
 * The journal of one gateway process: every session's entries, in the order in which they happened, in files of
 * which exactly one grows. Leaves reading, sealing and listing to its neighbours.
 *
 * Promise: what `flush` returned for is in the kernel and survives the death of the process; what `sync` returned for
 * is on the disk. After a flush that threw, the files hold whole frames only; the entries stay in memory and go out
 * with the next flush that succeeds, together with an entry that says so. One gateway per data directory.
 */
export class FileJournal implements Journal {
  /** The sessions that had no end when the journal was opened; they have one now, unless it may be in the gap. */
  readonly sessionsRepaired: readonly SessionId[]
  /** The last sequence number that was there when the journal was opened. */
  readonly sequenceFound: number
  readonly gap: JournalGap | undefined
  readonly #logged: Logged | undefined
  readonly #files: FileSystem
  readonly #directory: string
  readonly #keys: RecordingKeys
  readonly #labelKeys: LabelKeys
  readonly #recordingKey: RecordingKey
  readonly #random: RandomBytes
  readonly #clock: Clock
  readonly #fileBytesMax: number
  readonly #onFault: (error: unknown) => void
  readonly #buffer = new FrameBuffer()
  readonly #sessions = new Map<SessionId, LiveSession>()
  readonly #observers: JournalObserver[] = []
  #file: JournalFile
  #fileNumber: number
  #lastNumber = 0
  #sequence: number
  #flushedSequence: number
  #failure: { readonly since: number; readonly from: number; count: number } | undefined
  /** The sync of the current file failed: what it says about the disk cannot be believed any more. */
  #doubtful = false
  #newFileAfter = 0
  #mac: Timer | undefined
  #lookedAt = 0
  /** When the file was begun. */
  #fileSince = 0
  #leftBehind = 0
  /** Where a file may lie that was begun and is not used. */
  #leftover: string | undefined
  #closed = false

  constructor(options: JournalOptions) {
    this.#files = options.files ?? systemFiles
    this.#directory = journalDirectory(options.directory)
    this.#keys = options.keys
    this.#labelKeys = new LabelKeys(options.keys[0])
    this.#recordingKey = options.keys[0]
    this.#random = options.random
    this.#clock = options.clock
    this.#fileBytesMax = options.fileBytesMax ?? LIMITS.journalFileBytesMax
    this.#onFault = options.onFault
    this.#files.makeDirectory(this.#directory)
    const found = recover(this.#files, this.#directory, this.#keys)
    this.#logged = options.logged
    this.gap = gapOf(found, options.logged?.through ?? 0)
    this.sequenceFound = this.gap?.last ?? found.lastSequence
    this.#sequence = this.sequenceFound
    this.#flushedSequence = this.sequenceFound
    this.#fileNumber = found.nextFile
    this.#file = this.#makeFile(found.nextFile, [], this.gap)
    if (this.gap !== undefined) this.append(undefined, { kind: 'admin', head: gapHead(this.gap) })
    if (found.unauthenticated !== undefined) {
      this.append(undefined, { kind: 'admin', head: unauthenticatedHead(found.unauthenticated) })
    }
    for (const cut of found.cuts) this.append(undefined, { kind: 'admin', head: repairedHead(cut) })
    // How they went on stands in what is lost: the log may have their end already.
    const open = this.gap === undefined ? found.open : []
    for (const { session, commands } of open) {
      this.append(session, { kind: 'close', head: { reason: 'gateway stopped', commands } })
    }
    this.sync()
    this.sessionsRepaired = open.map(({ session }) => session)
  }

  /** The number of the file that is being written. */
  get fileNumber(): number {
    return this.#fileNumber
  }

  /** The sequence number of the last frame that `flush` wrote. */
  get flushedSequence(): number {
    return this.#flushedSequence
  }

  append(session: SessionId | undefined, entry: Entry): void {
    if (this.#closed) throw unavailable('The recording is closed.')
    const written = splitJson(entry)
    // Bounded memory: a burst goes out in several writes; while nothing can be written, this is where it stops.
    const waiting = this.#buffer.length
    if (waiting > 0 && waiting + FrameBuffer.sizeOf(written) > LIMITS.journalWaitingBytesMax) this.flush()
    const time = this.#clock.now()
    const code = FRAME_CODES[entry.kind]
    if (session === undefined) {
      this.#push(code, 0, time, written)
      return
    }
    const live = this.#live(session, entry.kind)
    if (live.file !== this.#fileNumber) this.#bind(live, time)
    this.#push(code, live.number, time, written)
    this.#count(live, time, entry)
  }

  seal(labels: readonly LabelName[], values: readonly string[]): Uint8Array {
    return sealValues(this.#labelKeys, labels, values, this.#random)
  }

  fingerprint(text: string): string {
    return fingerprintUnder(this.#recordingKey, text)
  }

  flush(): void {
    const waiting = this.#buffer.length
    this.#clearLeftover()
    if (waiting === 0) return
    try {
      this.#lookAfterFile()
      this.#file.write(this.#buffer.waiting)
    } catch (error) {
      this.#failure ??= { since: this.#clock.now(), from: this.#flushedSequence + 1, count: 0 }
      this.#failure.count++
      throw unavailable('The recording cannot be written.', error)
    }
    const failure = this.#failure
    this.#failure = undefined
    this.#flushedSequence = this.#sequence
    this.#buffer.clear()
    this.#mac ??= this.#clock.after(MAC_AFTER_MS, () => this.#authenticate())
    if (failure !== undefined) this.#noteRecovery(failure)
    const full = this.#file.length >= this.#fileBytesMax
    // What lies in a file for long cannot be deleted when its time has come.
    const old = this.#lookedAt >= this.#fileSince + LIMITS.journalFileMsMax
    if (full || old || this.#doubtful) this.#nextFile()
  }

  sync(): void {
    this.flush()
    if (this.#doubtful) {
      this.#nextFile()
      throw unavailable('The recording could not be brought to the disk.')
    }
    try {
      this.#file.sync()
    } catch (error) {
      this.#doubtful = true
      this.#nextFile()
      throw unavailable('The recording could not be brought to the disk.', error)
    }
  }

  /** Flushes, and writes a MAC over all that has none yet: then it can be sealed. Throws as `flush` does. */
  authenticate(): void {
    this.flush()
    try {
      this.#file.authenticate()
    } catch (error) {
      throw unavailable('The recording cannot be written.', error)
    }
  }

  /** Begins another file, so that this one can be deleted once all of it is sealed. Throws as `flush` does. */
  nextFile(): void {
    this.flush()
    this.#nextFile()
  }

  /** The observer is told of sessions that end and of files that are full, from now on. */
  observe(observer: JournalObserver): void {
    this.#observers.push(observer)
  }

  /**
   * The open sessions whose figures changed since the last call, as `flush` wrote them; what else was found of them goes
   * `into` there. May throw as `flush` does.
   */
  takeChanged(into: Gathering = gathering()): readonly SessionSummary[] {
    this.flush()
    const summaries: SessionSummary[] = []
    for (const live of this.#sessions.values()) {
      if (!live.changed || live.summary === undefined) continue
      live.changed = false
      live.facts.take(into)
      summaries.push({ ...live.summary })
    }
    return summaries
  }

  /** The sessions that are open now. */
  openSessions(): readonly SessionSummary[] {
    const summaries: SessionSummary[] = []
    for (const { summary } of this.#sessions.values())
      if (summary !== undefined) summaries.push({ ...summary })
    return summaries
  }

  /** Brings everything to the disk and ends; nothing can be appended afterwards. */
  close(): void {
    if (this.#closed) return
    this.flush()
    try {
      this.#file.authenticate()
    } catch (error) {
      throw unavailable('The recording cannot be written.', error)
    }
    this.sync()
    this.#closed = true
    this.#mac?.cancel()
    this.#file.close()
  }

  /** Once in a while, so that little is without a MAC when the process dies. */
  #authenticate(): void {
    this.#mac = undefined
    if (this.#closed) return
    try {
      this.#file.authenticate()
      for (const observer of this.#observers) observer.authenticated?.()
    } catch (error) {
      this.#mac = this.#clock.after(MAC_AFTER_MS, () => this.#authenticate())
      this.#onFault(error)
    }
  }

  #live(session: SessionId, kind: Entry['kind']): LiveSession {
    const known = this.#sessions.get(session)
    if (known !== undefined) return known
    const live = {
      session,
      file: 0,
      number: 0,
      summary: undefined,
      changed: false,
      facts: new SessionFacts(session),
    }
    // An entry that comes after the session's close is kept as well, but does not open the session again.
    if (kind === 'open') this.#sessions.set(session, live)
    return live
  }

  /** Gives a session its number in the current file. */
  #bind(live: LiveSession, time: number): void {
    const number = ++this.#lastNumber
    this.#push(FRAME_CODES.bind, number, time, ownJson({ session: live.session }))
    live.file = this.#fileNumber
    live.number = number
  }

  #push(code: number, number: number, time: number, entry: SplitEntryJson): void {
    this.#buffer.push(code, number, this.#sequence + 1, time, entry)
    this.#sequence++
  }

  #count(live: LiveSession, time: number, entry: Entry): void {
    live.summary = fold(live.summary, live.session, time, entry)
    live.facts.note(time, entry)
    live.changed = true
    if (entry.kind !== 'close') return
    this.#sessions.delete(live.session)
    for (const observer of this.#observers) observer.sessionClosed?.(live.session, live.summary, live.facts)
  }

  /** Once in a while, whether the file is still in its place. */
  #lookAfterFile(): void {
    const now = this.#clock.now()
    if (now < this.#lookedAt + LOOK_AFTER_MS && now >= this.#lookedAt) return
    const restored = this.#file.restore()
    this.#lookedAt = now
    if (!restored) return
    const head: AdminHead = { action: 'journal.restored', by: 'gateway', target: basename(this.#file.path) }
    this.#push(FRAME_CODES.admin, 0, now, splitJson({ kind: 'admin', head }))
  }

  /** What was kept in memory while nothing could be written is in the file now; says so, and since when. */
  #noteRecovery(failure: { readonly since: number; readonly from: number; readonly count: number }): void {
    const details = {
      failedWrites: failure.count,
      since: failure.since,
      fromSequence: failure.from,
      toSequence: this.#flushedSequence,
    }
    this.append(undefined, { kind: 'admin', head: { action: 'journal.recovered', by: 'gateway', details } })
    this.flush()
  }

  /** Begins the next file; when that cannot be done the current one goes on, and this is tried again later. */
  #nextFile(): void {
    const now = this.#clock.now()
    if (now < this.#newFileAfter) return
    const last = this.#file
    const doubt = this.#doubtful
    try {
      last.authenticate()
      if (!doubt) last.sync()
      const open: [string, number][] = []
      for (const { session, summary } of this.#sessions.values()) open.push([session, summary?.commands ?? 0])
      this.#file = this.#makeFile(this.#fileNumber + 1, open)
    } catch (error) {
      this.#newFileAfter = now + NEW_FILE_RETRY_MS
      this.#onFault(error)
      return
    }
    this.#fileNumber++
    this.#lastNumber = 0
    this.#doubtful = false
    last.close()
    for (const observer of this.#observers) observer.fileEnded?.()
    if (doubt) {
      const details = { file: journalFileName(this.#fileNumber - 1), fromOffset: last.syncedLength }
      this.append(undefined, {
        kind: 'admin',
        head: { action: 'journal.sync_failed', by: 'gateway', details },
      })
    }
  }

  /** A file that was begun and could not be taken away: whoever reads would find an empty one behind the one in use. */
  #clearLeftover(): void {
    if (this.#leftover === undefined) return
    try {
      this.#files.remove(this.#leftover)
    } catch (error) {
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      // Tried again at the next flush, and used for the next file if it stays.
      if (!isGone) return
    }
    this.#leftover = undefined
  }

  #makeFile(number: number, open: FileHead['open'], gap?: JournalGap): JournalFile {
    const time = this.#clock.now()
    const path = join(this.#directory, journalFileName(number))
    const firstSequence = this.#sequence + 1
    const sealer = new BlockSealer(this.#keys, this.#random, { number, firstSequence, time })
    const file = new JournalFile(this.#files, path, this.#leftBehind === number, sealer, (error) => {
      this.#onFault(error)
      if (this.#file === file) this.#doubtful = true
    })
    this.#leftBehind = number
    this.#leftover = undefined
    try {
      const frames = new FrameBuffer()
      const log = this.#logged && { size: this.#logged.size, root: this.#logged.root }
      const missing = gap && ([gap.first, gap.last] as const)
      const head: FileHead = { open, ...(missing && { missing }), ...(log && { log }) }
      frames.push(FRAME_CODES.file, 0, firstSequence, time, ownJson(head))
      file.write(frames.waiting)
      file.authenticate()
      file.sync()
      this.#files.syncDirectory(this.#directory)
    } catch (error) {
      this.#leftover = path
      file.abandon(error)
    }
    this.#sequence++
    this.#flushedSequence = this.#sequence
    this.#fileSince = time
    return file
  }
}

/** Opens the journal of a data directory, repairing what a crash left. Throws when it cannot be written. */
export function openJournal(options: JournalOptions): FileJournal {
  try {
    return new FileJournal(options)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw unavailable('The recording cannot be opened.', error)
  }
}

function gapOf({ lastSequence, lastTime }: Recovered, logged: number): JournalGap | undefined {
  return logged > lastSequence ? { first: lastSequence + 1, last: logged, since: lastTime } : undefined
}

function gapHead({ first, last, since }: JournalGap): AdminHead {
  const details = since === undefined ? { first, last } : { first, last, since }
  return { action: 'recording.gap', by: 'gateway', details }
}

function repairedHead(cut: Cut): AdminHead {
  const { file, offset, bytes, frames, keptAs } = cut
  return {
    action: 'journal.repaired',
    by: 'gateway',
    target: file,
    details: { offset, bytes, frames, keptAs },
  }
}

function unauthenticatedHead({ file, offset, bytes }: Unauthenticated): AdminHead {
  return { action: 'journal.unauthenticated', by: 'gateway', target: file, details: { offset, bytes } }
}

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('recording_unavailable', message, {
    remedy: 'Ask the operator of the gateway to make room for, or repair, its recording.',
    retry: 'later',
    cause,
  })
}
