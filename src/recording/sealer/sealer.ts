import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  brand,
  type Clock,
  GatewayError,
  type RandomBytes,
  type RecordingKeys,
  type SessionId,
} from '../../core/index.ts'
import { LogReader } from '../../evidence/log/reader.ts'
import type { LogStorage } from '../../evidence/log/storage.ts'
import type { LogHead, LogWriter } from '../../evidence/log/writer.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { treeHasher } from '../../evidence/tree/hasher.ts'
import { damaged } from '../files/damaged.ts'
import { isMissing, syncDirectory } from '../files/files.ts'
import { journalDirectory, journalFileName } from '../files/names.ts'
import type { Frame } from '../frames/scan.ts'
import { fileHeadOf, type LogMark } from '../frames/own-frames.ts'
import type { OwnedFrame } from '../reading/reader.ts'
import { saltsUnder } from '../sealed/salts.ts'
import { JournalTail } from './journal-tail.ts'
import { encodeLogEntry, fitsEntry, type FrameRange, type LogEntry } from './log-entries.ts'
import { digestOf, type LogSeeds, openLog, readLogEnd } from './log-of-gateway.ts'
import { type SaltedFrame, saltedFrame } from './salted-frame.ts'
import { Segments } from './segments.ts'
import { SessionFile } from './session-file.ts'

export type SealerOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly random: RandomBytes
  readonly clock: Clock
  readonly storage: LogStorage
  readonly seeds: LogSeeds
  /** What the log is to be called; it has a name of its own when absent. */
  readonly name: string | undefined
  /** Which of several gateways of one configuration this is. */
  readonly node?: string | undefined
  /** Frames held in memory over all drafts before they are written; 16 MiB when absent. */
  readonly heldBytesMax?: number
  /** Up to which frame the list of sessions is complete without the journal: what comes later is not deleted yet. */
  readonly indexed: () => number
  /** What outlets still need of the journal, and how much of it is kept for them; undefined: nothing. */
  readonly backlog?: () => Backlog | undefined
}

/** Files behind `through` are kept, as long as they are not more bytes and not older than that. */
export type Backlog = { readonly through: number; readonly bytesMax: number; readonly msMax: number }

/** How far the work has come. */
export type Sealed = {
  /** The last frame that a checkpoint covers. */
  readonly through: number
  /** Entries of the log. */
  readonly size: number
}

/** What is gathered at most before a checkpoint covers it, so that one who is behind signs now and then, too. */
const PASS_FRAMES_MAX = 40_000
const PASS_ENTRIES_MAX = 8_000
const PASS_ENTRY_BYTES_MAX = 8 * 1024 * 1024
/** Frames held in memory over all drafts before they are written. */
const HELD_BYTES_MAX = 16 * 1024 * 1024
/** Files that are brought to the disk at once. */
const TOGETHER = 16

type State = {
  readonly file: SessionFile
  closed: boolean
  /** The newest journal file that has a frame of it. */
  seenIn: number
  /** The oldest journal file that has a frame of it which is not in its own file yet; undefined: none. */
  neededFrom: number | undefined
}

/**
 * Seals the journal: each frame once into the log, as part of a segment, and once into the file of its session. Works
 * in passes; after one that threw, what is in memory is worth nothing: open another. What it did is found on the disk.
 *
 * Promise: killed at any moment, the next one goes on with no frame lost and none twice; a journal file is deleted only
 * when the log covers it and each of its frames lies, synced, in the file of its session.
 */
export class Sealer {
  readonly #options: SealerOptions
  readonly #log: LogWriter
  readonly #tail: JournalTail
  readonly #segments = new Segments(treeHasher(nodeSha256))
  readonly #hasher = treeHasher(nodeSha256)
  readonly #states = new Map<SessionId, State>()
  /** Sessions that have ended and whose files are not whole, or not logged. */
  readonly #ended = new Set<SessionId>()
  readonly #files: ReadonlyMap<string, FrameRange>
  /** What the log has of frames that the journal still has, too. */
  readonly #parts: ReadonlySet<string>
  /** Files that are whole and have to be logged. */
  #whole: FrameRange[] = []
  #through: number | undefined
  #held = 0
  readonly #heldMax: number
  /** Whether all has been gone through that was there when this one was opened. */
  #checked = false
  #salts: { readonly file: number; readonly salt: ReturnType<typeof saltsUnder> } | undefined

  /** The text of the public key that signs. */
  readonly vkey: string

  private constructor(
    options: SealerOptions,
    opened: {
      readonly log: LogWriter
      readonly vkey: string
      readonly tail: JournalTail
      readonly through: number | undefined
      readonly files: ReadonlyMap<string, FrameRange>
      readonly parts: ReadonlySet<string>
    },
  ) {
    this.#options = options
    this.#heldMax = options.heldBytesMax ?? HELD_BYTES_MAX
    this.#log = opened.log
    this.vkey = opened.vkey
    this.#tail = opened.tail
    this.#through = opened.through
    this.#files = opened.files
    this.#parts = opened.parts
  }

  /** Throws what opening the log throws, and `invalid` where frames are missing between log and journal. */
  static async open(options: SealerOptions): Promise<Sealer> {
    const { log, vkey } = await openLog(options.storage, options.seeds, options.name, options.node)
    const tail = new JournalTail(options.directory, options.keys)
    try {
      const first = await tail.firstSequence()
      const { through, files, parts } = await readLogEnd(log.reader(), first ?? Number.POSITIVE_INFINITY)
      const next = (through ?? 0) + 1
      if (first !== undefined && first > next) {
        const path = journalDirectory(options.directory)
        throw damaged(path, 0, `frames ${next} to ${first - 1} are missing, which the log has not got`)
      }
      tail.covered = through ?? 0
      return new Sealer(options, { log, vkey, tail, through, files, parts })
    } catch (error) {
      await tail.close()
      throw error
    }
  }

  get sealed(): Sealed {
    return { through: this.#through ?? 0, size: this.#log.head?.size ?? 0 }
  }

  get head(): LogHead | undefined {
    return this.#log.head
  }

  /** The log as it is now, for proofs. */
  reader(): LogReader {
    return this.#log.reader()
  }

  keepCosigned(signed: Uint8Array): Promise<void> {
    return this.#log.keepCosigned(signed)
  }

  async close(): Promise<void> {
    await this.#tail.close()
  }

  /**
   * Covers what the journal has, with one checkpoint, then works on files until `until` (by the clock), or until all are
   * done. Tells whether there is more to do at once.
   */
  async pass(until: number = Number.POSITIVE_INFINITY): Promise<boolean> {
    const behind = await this.#cover()
    const unfinished = await this.#workOnFiles(until)
    await this.#deleteJournal()
    return behind || unfinished || this.#whole.length > 0
  }

  /** All that can be done now. */
  async finish(): Promise<void> {
    while (await this.pass()) {
      // As long as there is more.
    }
  }

  async #cover(): Promise<boolean> {
    const entries: Buffer[] = []
    let bytes = 0
    let frames = 0
    let behind = false
    const push = (entry: LogEntry): void => {
      const encoded = encodeLogEntry(entry)
      entries.push(encoded)
      bytes += encoded.length
    }
    for await (const batch of this.#tail.read()) {
      for (const owned of batch.frames) {
        // No promise for a frame of a session that is known.
        const found = this.#stateOf(owned, batch.file)
        const state = found instanceof Promise ? await found : found
        const taken = this.#take(owned, batch.file, batch.saltSecret, state, push)
        if (taken !== undefined) await taken
      }
      frames += batch.frames.length
      behind =
        frames > PASS_FRAMES_MAX ||
        entries.length + this.#segments.size > PASS_ENTRIES_MAX ||
        bytes > PASS_ENTRY_BYTES_MAX ||
        this.#held > this.#heldMax
      if (behind) break
    }
    if (!behind) this.#checkEnd()
    await this.#append(entries, push)
    return behind
  }

  /**
   * What the log covers must be what the journal has under these numbers. Else the journal began anew, or was put back,
   * and its frames would be passed over.
   */
  #checkSame(frame: Frame): void {
    if (this.#parts.has(digestOf(frame.publicPart))) return
    throw mixedUp(`The journal has another entry ${frame.sequence} than the log: nothing is sealed.`)
  }

  /** The log must be the one that the journal knows, and go on behind it: else it was taken away, or put back. */
  async #checkLog(mark: LogMark | undefined): Promise<void> {
    if (mark === undefined || this.#checked) return
    const { size } = this.sealed
    if (mark.size > size)
      throw mixedUp(
        `The log has ${size} entries, and the journal knows ${mark.size} of it: nothing is sealed.`,
      )
    const root = await new LogReader(this.#options.storage, this.#hasher, mark.size).root()
    if (Buffer.from(root).toString('base64') !== mark.root)
      throw mixedUp(`The log is another one than the journal knows: nothing is sealed.`)
  }

  /** The log must not know more than the journal: frames of these numbers would be passed over. */
  #checkEnd(): void {
    const { sequence } = this.#tail
    if (this.#checked || sequence === undefined) return
    if (this.#through !== undefined && sequence < this.#through) {
      throw mixedUp(
        `The journal ends at entry ${sequence}, and the log has entries up to ${this.#through}: nothing is sealed.`,
      )
    }
    this.#checked = true
  }

  async #append(entries: Buffer[], push: (entry: LogEntry) => void): Promise<void> {
    for (const entry of this.#segments.take()) push(entry)
    const { sequence } = this.#tail
    const whole = this.#whole.slice(0, PASS_ENTRIES_MAX)
    if (entries.length === 0 && whole.length === 0 && (sequence ?? 0) <= (this.#through ?? 0)) return
    if (sequence === undefined) return
    // Nothing is signed that a machine without power would forget.
    await this.#tail.sync()
    for (const range of whole) push({ kind: 'file', ...range })
    if (sequence > (this.#through ?? 0)) push({ kind: 'through', sequence, time: this.#options.clock.now() })
    await this.#log.append(entries)
    this.#through = sequence
    this.#whole = this.#whole.slice(whole.length)
    for (const range of whole) {
      const state = this.#states.get(brand<SessionId>(range.session))
      // Unless an entry has come since, which waits for its own turn.
      if (state !== undefined && state.file.last <= range.last) state.neededFrom = undefined
    }
  }

  #stateOf({ session }: OwnedFrame, file: number): State | undefined | Promise<State> {
    if (session === undefined) return undefined
    const state = this.#states.get(session)
    if (state === undefined) return this.#find(session, file)
    state.seenIn = file
    return state
  }

  async #find(session: SessionId, seenIn: number): Promise<State> {
    const range = this.#files.get(session)
    const file =
      range === undefined
        ? await SessionFile.find(this.#options, session)
        : SessionFile.whole(this.#options, session, range)
    // What this process sealed itself is logged by the time it is forgotten.
    const unlogged = file.base === 'sealed' && range === undefined && !this.#checked
    const state: State = {
      file,
      closed: file.base === 'sealed',
      seenIn,
      // Of a draft nobody knows whether it is on the disk; a whole file may have to be logged.
      neededFrom: file.base === 'draft' || unlogged ? seenIn : undefined,
    }
    this.#states.set(session, state)
    if (unlogged) this.#whole.push(rangeOf(file))
    return state
  }

  #take(
    owned: OwnedFrame,
    file: number,
    saltSecret: Uint8Array,
    state: State | undefined,
    push: (entry: LogEntry) => void,
  ): Promise<void> | undefined {
    const { frame, session } = owned
    const { kind, sequence } = frame
    if (kind === 'file') return this.#checkLog(fileHeadOf(frame.head).log)
    if (kind === 'bind') return undefined
    const toLog = sequence > (this.#through ?? 0)
    if (!toLog && (kind === 'open' || kind === 'close' || kind === 'admin')) this.#checkSame(frame)
    const toFile = state !== undefined && sequence > state.file.last
    if (kind === 'close' && state !== undefined) state.closed = true
    // Its file was a draft with its end in it when the last process ended.
    if (kind === 'close' && state?.file.base === 'draft' && !toFile) this.#end(state, file)
    if (!toLog && !toFile) return undefined
    if (this.#salts?.file !== file) this.#salts = { file, salt: saltsUnder(saltSecret) }
    const made = this.#salted(owned, file, this.#salts.salt)
    if (made === undefined) return undefined
    if (toLog) {
      if (kind === 'open' || kind === 'close' || session === undefined) push(frameEntry(session, made.part))
      if (session !== undefined) this.#segments.add(session, sequence, this.#hasher.leaf(made.part))
    }
    if (!toFile) return undefined
    const add = (): void => {
      state.file.add(sequence, made)
      this.#held += made.part.length
      for (const { bytes } of made.payloads) this.#held += bytes.length
      if (state.closed) this.#end(state, file)
      else state.neededFrom ??= file
    }
    if (!state.file.begun) return state.file.begin().then(add)
    add()
    return undefined
  }

  #salted({ frame }: OwnedFrame, file: number, salt: ReturnType<typeof saltsUnder>): SaltedFrame | undefined {
    try {
      return saltedFrame(frame, nodeSha256, salt)
    } catch (error) {
      throw damaged(
        journalFileName(file),
        frame.offset,
        error instanceof Error ? error.message : String(error),
      )
    }
  }

  #end(state: State, file: number): void {
    state.neededFrom ??= file
    this.#ended.add(state.file.session)
  }

  /** Seals what has ended, writes what memory holds too much of, and what a journal file that is full has not handed out. */
  async #workOnFiles(until: number): Promise<boolean> {
    const { clock } = this.#options
    for (const group of groupsOf([...this.#ended])) {
      if (clock.now() >= until) return true
      await this.#seal(group)
    }
    if (this.#held > this.#heldMax) await this.#writeHeld()
    const full = [...this.#tail.ended.keys()].at(-1)
    if (full === undefined) return false
    const kept = [...this.#states.values()].filter(
      ({ closed, neededFrom }) => !closed && neededFrom !== undefined && neededFrom <= full,
    )
    for (const group of groupsOf(kept)) {
      if (clock.now() >= until) return true
      await together(group, async ({ file }) => {
        if (!file.begun) await file.begin()
        await file.write(true)
      })
      await syncDirectories(group.map(({ file }) => file.directory))
      for (const state of group) state.neededFrom = undefined
    }
    return false
  }

  async #seal(sessions: readonly SessionId[]): Promise<void> {
    const states = sessions.flatMap((session) => this.#states.get(session) ?? [])
    await together(states, async ({ file }) => {
      if (!file.begun) await file.begin()
      await file.write(true)
      await file.seal()
    })
    await syncDirectories(states.map(({ file }) => file.directory))
    for (const { file } of states) {
      this.#ended.delete(file.session)
      this.#whole.push(rangeOf(file))
    }
  }

  async #writeHeld(): Promise<void> {
    const waiting = [...this.#states.values()].filter(({ file }) => file.waiting > 0)
    this.#held = waiting.reduce((sum, { file }) => sum + file.waiting, 0)
    if (this.#held <= this.#heldMax) return
    for (const { file } of waiting) await file.write(false)
    this.#held = 0
  }

  async #deleteJournal(): Promise<void> {
    const folder = journalDirectory(this.#options.directory)
    const indexed = this.#tail.ended.size === 0 ? 0 : this.#options.indexed()
    let deleted: number | undefined
    const awaited = await this.#awaited(folder)
    for (const [file, last] of this.#tail.ended) {
      if (last > (this.#through ?? 0) || last > indexed || awaited.has(file)) break
      let needed = false
      for (const { neededFrom } of this.#states.values())
        if (neededFrom !== undefined && neededFrom <= file) needed = true
      if (needed) break
      await rm(join(folder, journalFileName(file)), { force: true })
      this.#tail.removed(file)
      deleted = file
    }
    if (deleted === undefined) return
    await syncDirectory(folder)
    this.#forget(deleted)
  }

  /** Files that an outlet has not got through, and that are kept for it: the newest, up to so many bytes. */
  async #awaited(folder: string): Promise<ReadonlySet<number>> {
    const kept = new Set<number>()
    const backlog = this.#options.backlog?.()
    if (backlog === undefined) return kept
    const since = this.#options.clock.now() - backlog.msMax
    let bytes = 0
    for (const [file, last] of [...this.#tail.ended].reverse()) {
      if (last <= backlog.through) break
      const found = await stat(join(folder, journalFileName(file))).catch(missing)
      if (found === undefined) continue
      const { size, mtimeMs } = found
      bytes += size
      if (bytes > backlog.bytesMax || mtimeMs < since) break
      kept.add(file)
    }
    return kept
  }

  #forget(deleted: number): void {
    for (const [session, { closed, neededFrom, seenIn }] of this.#states)
      if (closed && neededFrom === undefined && seenIn <= deleted) this.#states.delete(session)
  }
}

function missing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

function mixedUp(message: string): GatewayError {
  return new GatewayError('conflict', message, {
    remedy:
      'Was the journal or the log brought back from a copy, or did the disk lose its end? Restore the newest state of both, or move the directories log and journal away together and begin a new log under another recording.log.name.',
  })
}

function frameEntry(session: SessionId | undefined, part: Buffer): LogEntry {
  const whose = session === undefined ? {} : { session }
  return fitsEntry(part.length)
    ? { kind: 'frame', ...whose, part }
    : { kind: 'frame', ...whose, digest: nodeSha256(part), bytes: part.length }
}

function rangeOf({ session, range }: SessionFile): FrameRange {
  if (range === undefined) throw new Error('a file without frames is not whole')
  return { session, ...range }
}

function* groupsOf<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += TOGETHER) yield all.slice(at, at + TOGETHER)
}

/** All at once; throws what the first one threw after all have ended. */
async function together<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(all.map(work))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

async function syncDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of new Set(directories)) await syncDirectory(directory)
}
