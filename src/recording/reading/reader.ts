import { type FileHandle, open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import {
  brand,
  type Entry,
  GatewayError,
  isGatewayError,
  type RecordingKeys,
  type SessionId,
} from '../../core/index.ts'
import type { BlockScanner } from '../journal/block-scanner.ts'
import { type Container, containerOf, KEY_DAMAGED } from '../journal/container.ts'
import { damaged } from '../files/damaged.ts'
import { decodeEntry } from '../frames/frame-parts.ts'
import { type FileHeader, readFileHeader } from '../files/file-header.ts'
import { systemFiles } from '../files/file-system.ts'
import { isMissing, listIfThere, openIfThere } from '../files/files.ts'
import { SEALED_HEADER_BYTES } from '../files/format.ts'
import {
  draftFile,
  isSessionId,
  journalDirectory,
  journalFileName,
  journalNumbers,
  openedAt,
  sessionFile,
  sessionsDirectory,
  uploadsDirectory,
} from '../files/names.ts'
import { isAway } from '../files/upload-marks.ts'
import { bindOf, fileHeadOf } from '../frames/own-frames.ts'
import { countFrames } from '../journal/repair.ts'
import type { Damage, Frame } from '../frames/scan.ts'
import { readSealed } from '../sealed/session-reader.ts'
import type { PayloadName } from '../sealed/payloads.ts'
import { entryIn, type ReadFrame } from '../sealed/reader.ts'

/** One entry with where it stands: `sequence` counts the frames of the whole journal, without a gap. */
export type RecordedEntry = {
  readonly sequence: number
  readonly time: number
  /** Absent for administrative entries. */
  readonly session: SessionId | undefined
  readonly entry: Entry
  /** Payloads of it that were erased, and are empty here; absent: none. */
  readonly erased?: readonly PayloadName[]
}

/** The newest file ends inside a frame, or a block: it is being written, or was when the process died. */
export type TornTail = { readonly file: string; readonly offset: number }

export type ReadOptions = {
  /** Entries before this sequence number are left out, and files that hold nothing else are not opened. */
  readonly fromSequence?: number
  readonly onTornTail?: (tail: TornTail) => void
}

/** Brings the file of a session back to the data directory from where it was uploaded to. */
export type FetchSession = (session: SessionId) => Promise<void>

export type ReadSessionOptions = Pick<ReadOptions, 'fromSequence'> & {
  /** Without it a session whose file is not here any more throws `recording_unavailable`. */
  readonly fetch?: FetchSession | undefined
}

/** Files of the journal that are deleted while a session is read, one each time: more is not by chance. */
const ATTEMPTS_MAX = 100

/** How far the machine's clock may have been set back while a session was open, for skipping files by their time. */
const CLOCK_DOUBT_MS = 24 * 60 * 60 * 1000

/**
 * Every entry of the journal of a data directory, oldest first, up to where it ends at that moment. Memory is one
 * frame, or block. A torn tail is the end; anything else that is not as it was written throws GatewayError `invalid`,
 * with file and offset; so does a file whose key is not among `keys`, with its id.
 */
export async function* readJournal(
  directory: string,
  keys: RecordingKeys,
  options: ReadOptions = {},
): AsyncGenerator<RecordedEntry> {
  const from = options.fromSequence ?? 0
  for await (const { file, frames } of journalFrames(directory, keys, options)) {
    for (const { frame, session } of frames) {
      if (frame.sequence < from) continue
      const entry = entryOf(file, frame)
      if (entry !== undefined) yield { sequence: frame.sequence, time: frame.time, session, entry }
    }
  }
}

/**
 * The entries of one session: from its own file if that is whole, else from its draft and, behind that, the journal.
 * Payloads that were removed are empty. Throws `not_found`; not for one that has nothing from `fromSequence` on.
 */
export async function* readSession(
  directory: string,
  keys: RecordingKeys,
  session: SessionId,
  options: ReadSessionOptions = {},
): AsyncGenerator<RecordedEntry> {
  if (!isSessionId(session)) throw new GatewayError('not_found', 'There is no such session.')
  const from = options.fromSequence ?? 0
  let last = 0
  for await (const each of sessionEntries(directory, keys, session, options.fetch)) {
    last = each.sequence
    if (each.sequence >= from) yield { ...each, session }
  }
  if (last === 0) throw new GatewayError('not_found', `There is no recording of session ${session}.`)
}

/**
 * The entries of one session that lie in its own file or draft: all that the journal no longer holds, and more. None when
 * it has neither.
 */
export async function* readOwnFile(
  directory: string,
  keys: RecordingKeys,
  session: SessionId,
  options: Pick<ReadSessionOptions, 'fetch'> = {},
): AsyncGenerator<RecordedEntry> {
  const whole = sessionFile(directory, session)
  await bringBack(directory, session, options.fetch)
  // A draft becomes the file by being renamed: then it is there the second time.
  for (const path of [whole, draftFile(whole), whole]) {
    const file = await openIfThere(path)
    if (file === undefined) continue
    for await (const frame of readSealed(path, keys, file, path !== whole))
      yield {
        sequence: frame.part.sequence,
        time: frame.part.time,
        session,
        entry: entryIn(frame),
        ...erasedOf(frame),
      }
    return
  }
}

/** Has the file of a session brought back, if it was uploaded and is not here. */
export async function bringBack(
  directory: string,
  session: SessionId,
  fetch: FetchSession | undefined,
): Promise<void> {
  if (!(await isAway(directory, session))) return
  if (fetch !== undefined) return await fetch(session)
  throw new GatewayError(
    'recording_unavailable',
    `The recording of session ${session} is in an object store only.`,
    {
      remedy: 'Copy the sessions back from the bucket into the data directory, or ask the running gateway.',
    },
  )
}

function erasedOf({ payloads }: ReadFrame): { readonly erased?: readonly PayloadName[] } {
  const erased = payloads.flatMap(({ name, stored }) => (stored === 'removed' ? [name] : []))
  return erased.length === 0 ? {} : { erased }
}

type PlacedEntry = Omit<RecordedEntry, 'session'>

async function* sessionEntries(
  directory: string,
  keys: RecordingKeys,
  session: SessionId,
  fetch: FetchSession | undefined,
): AsyncGenerator<PlacedEntry> {
  const path = sessionFile(directory, session)
  await bringBack(directory, session, fetch)
  let last = 0
  for (let attempt = 1; ; attempt++) {
    // In this order: what the journal lost before it was listed is in the draft by then, or in the whole file.
    const numbers = journalNumbers(await listIfThere(journalDirectory(directory)))
    const whole = await openIfThere(path)
    const own = whole === undefined ? draftFile(path) : path
    const file = whole ?? (await openIfThere(own))
    if (file !== undefined) {
      for await (const frame of readSealed(own, keys, file, whole === undefined)) {
        const { sequence, time } = frame.part
        if (sequence <= last) continue
        last = sequence
        yield { sequence, time, entry: entryIn(frame), ...erasedOf(frame) }
      }
    }
    if (whole !== undefined) return
    try {
      for await (const each of placed(journalFrames(directory, keys, { session, numbers }), session, last)) {
        last = each.sequence
        yield each
      }
      return
    } catch (error) {
      // Deleted since it was listed: what was in it is in the draft, or in the whole file, now.
      if (!isMissing(error) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

/** The entries of one session among these frames, those behind `last`. */
async function* placed(
  source: AsyncIterable<Batch>,
  session: SessionId,
  last: number,
): AsyncGenerator<PlacedEntry> {
  for await (const { file, frames } of source) {
    for (const { frame, session: whose } of frames) {
      if (whose !== session || frame.sequence <= last) continue
      const entry = entryOf(file, frame)
      if (entry !== undefined) yield { sequence: frame.sequence, time: frame.time, entry }
    }
  }
}

/** The header of the oldest file of the journal: what it still holds begins there. Takes no key. */
export async function oldestHeader(directory: string): Promise<FileHeader | undefined> {
  const folder = journalDirectory(directory)
  for (const number of journalNumbers(await listIfThere(folder))) {
    const path = join(folder, journalFileName(number))
    const file = await openIfThere(path)
    if (file === undefined) continue
    const reading = new FileReading(path, undefined, file)
    try {
      return await reading.plainHeader()
    } finally {
      await reading.close()
    }
  }
  return undefined
}

/** Every session that has a file or a draft of its own, here or where it was uploaded to, day by day. */
export async function* recordedSessions(directory: string): AsyncGenerator<SessionId> {
  const folder = sessionsDirectory(directory)
  const days = new Set([...(await listIfThere(folder)), ...(await listIfThere(uploadsDirectory(directory)))])
  for (const day of [...days].sort()) {
    if (!/^\d{4}-\d\d-\d\d$/.test(day)) continue
    const found = new Set<SessionId>()
    const deleted = new Set<SessionId>()
    for (const name of [
      ...(await listIfThere(join(folder, day))),
      ...(await listIfThere(join(uploadsDirectory(directory), day))),
    ]) {
      const [session = '', suffix = '', ...rest] = name.split('.')
      if (!isSessionId(session) || rest.length > 0) continue
      if (['slr', 'part', 'up'].includes(suffix)) found.add(session)
      if (suffix === 'del') deleted.add(session)
    }
    for (const session of [...found].sort()) if (!deleted.has(session)) yield session
  }
}

/** A frame as it lies in a file, and whose it is. The views in it are valid until the next batch is asked for. */
export type OwnedFrame = { readonly frame: Frame; readonly session: SessionId | undefined }

type Batch = { readonly file: string; readonly frames: readonly OwnedFrame[] }

type FrameOptions = ReadOptions & {
  readonly session?: SessionId
  /** The files to begin with, when they were listed already. */
  readonly numbers?: readonly number[]
}

/** All frames of the journal in order, checked to be complete: no file and no frame between them is missing. */
async function* journalFrames(
  directory: string,
  keys: RecordingKeys,
  options: FrameOptions,
): AsyncGenerator<Batch> {
  const folder = journalDirectory(directory)
  let numbers = options.numbers ?? journalNumbers(await listIfThere(folder))
  let index = await firstNeeded(folder, keys, numbers, options)
  let expected: number | undefined
  // Of the file before: it matters once there is another one, not while that is only begun.
  let unvouched: GatewayError | undefined
  for (; index < numbers.length; index++) {
    const number = numbers[index] ?? 0
    const path = join(folder, journalFileName(number))
    const reading = new FileReading(path, keys, await open(path, 'r'))
    let suspect: number | undefined
    try {
      for (;;) {
        const header = await reading.header()
        if (header !== undefined) {
          if (unvouched !== undefined) throw unvouched
          if (header.number !== number) throw damaged(path, 0, `it is the file of number ${header.number}`)
          if (expected !== undefined && reading.fresh && header.firstSequence !== expected) {
            if (!(await tellsOfGap(path, keys, expected)))
              throw damaged(
                path,
                0,
                `frames are missing before it: ${expected} to ${header.firstSequence - 1}`,
              )
            expected = header.firstSequence
          }
          expected ??= header.firstSequence
          for await (const frames of reading.batches()) {
            const first: number = expected
            const begins = header.firstSequence
            const wrong = frames.findIndex(
              ({ frame: { sequence, kind } }, at) =>
                sequence !== first + at || (kind === 'file') !== (sequence === begins),
            )
            yield { file: path, frames: wrong < 0 ? frames : frames.slice(0, wrong) }
            const found = frames[wrong]
            if (found !== undefined) {
              const missing = found.frame.sequence !== first + wrong
              const reason = missing ? `frame ${first + wrong} is missing before it` : 'it has no place here'
              throw damaged(path, found.frame.offset, reason)
            }
            expected = first + frames.length
          }
        }
        // The writer may have gone on meanwhile, in this file and then in another one.
        const newest = index === numbers.length - 1
        if (newest) numbers = journalNumbers(await listIfThere(folder))
        if (newest && index < numbers.length - 1) continue
        if (reading.rest === 0 && header !== undefined) {
          unvouched = reading.unvouched
          break
        }
        if (!newest) throw damaged(path, reading.offset, reading.problem)
        if (reading.wholeFramesAfter() > 0) {
          // Unless what was unfinished a moment ago has been finished, and followed by more, since.
          if (suspect === reading.offset) throw damaged(path, reading.offset, reading.problem)
          suspect = reading.offset
          continue
        }
        options.onTornTail?.({ file: basename(path), offset: reading.offset })
        break
      }
    } finally {
      await reading.close()
    }
  }
}

/** Whether a file that does not go on with frame `next` says itself, under its MAC, that those before it were lost. */
export async function tellsOfGap(path: string, keys: RecordingKeys, next: number): Promise<boolean> {
  const reading = new FileReading(path, keys, await open(path, 'r'))
  try {
    const header = await reading.header()
    if (header === undefined) return false
    for await (const [first] of reading.batches(true)) {
      if (first?.frame.kind !== 'file') return false
      const { missing } = fileHeadOf(first.frame.head)
      return missing?.[0] === next && missing[1] === header.firstSequence - 1 && missing[1] >= next
    }
    return false
  } finally {
    await reading.close()
  }
}

/** The first file that can hold what is asked for. */
async function firstNeeded(
  folder: string,
  keys: RecordingKeys,
  numbers: readonly number[],
  options: FrameOptions,
): Promise<number> {
  const { fromSequence = 0, session } = options
  const since = session === undefined ? Number.NEGATIVE_INFINITY : openedAt(session) - CLOCK_DOUBT_MS
  if (fromSequence === 0 && session === undefined) return 0
  for (let index = numbers.length - 1; index > 0; index--) {
    const path = join(folder, journalFileName(numbers[index] ?? 0))
    const reading = new FileReading(path, keys, await open(path, 'r'))
    try {
      const header = await reading.plainHeader()
      if (header !== undefined && header.firstSequence <= fromSequence && fromSequence > 0) return index
      if (header !== undefined && header.time < since) return index
    } finally {
      await reading.close()
    }
  }
  return 0
}

/** One file being read, from its header to as far as its frames are whole. Can go on when the file has grown. */
export class FileReading {
  readonly path: string
  readonly #keys: RecordingKeys | undefined
  readonly #file: FileHandle
  readonly #offset: number
  readonly #isWhole: boolean
  readonly #names = new Map<number, SessionId>()
  #header: FileHeader | undefined
  #container: Container | undefined
  #scanner: BlockScanner | undefined
  #problem = ''
  #fresh = true

  /**
   * `offset`: where the block begins that the first frame to read is in; 0: the first of the file.
   * Beyond that, sessions named before it stay unknown. Without `keys` only `plainHeader` can be had.
   */
  constructor(path: string, keys: RecordingKeys | undefined, file: FileHandle, offset: number = 0) {
    this.path = path
    this.#keys = keys
    this.#file = file
    this.#offset = offset
    this.#isWhole = offset === 0
  }

  /** Whether no frame has been read yet. */
  get fresh(): boolean {
    return this.#fresh
  }

  /** Where the first frame not read begins, how many bytes were seen from there on, and why they are no frame. */
  get offset(): number {
    return this.#scanner?.offset ?? 0
  }

  get rest(): number {
    return this.#scanner?.rest ?? 0
  }

  /** Frames that begin before it are vouched for by a MAC; 0 when the reading began in the middle of a file. */
  get vouched(): number {
    return this.#scanner?.vouched ?? 0
  }

  /** 32 bytes for the salts of payloads that are sealed from this file, the same each time. Read the header first. */
  get saltSecret(): Uint8Array {
    if (this.#container === undefined) throw new Error('the header has to be read first')
    return this.#container.keys.salts()
  }

  /** What is wrong with the file if it has a successor, was read to its end, and does not end with a MAC. */
  get unvouched(): GatewayError | undefined {
    if (!this.#isWhole || this.vouched === this.offset) return undefined
    return damaged(this.path, this.vouched, 'the file ends without a MAC for what is behind here')
  }

  get problem(): string {
    return this.#problem
  }

  /**
   * The header; undefined, with `problem` set, while there is no whole and right one. Throws GatewayError `invalid`
   * when the key that the file needs is not given.
   */
  async header(): Promise<FileHeader | undefined> {
    const header = await this.plainHeader()
    if (header === undefined || this.#scanner !== undefined) return header
    if (this.#keys === undefined) throw new Error('frames cannot be read without keys')
    const container = containerOf(this.#keys, basename(this.path), header)
    if (container === undefined) {
      this.#problem = KEY_DAMAGED
      return undefined
    }
    this.#container = container
    this.#scanner = this.#isWhole ? container.scanner() : container.from(this.#offset)
    return header
  }

  /** The same of a file whose frames are not wanted: takes no key. */
  async plainHeader(): Promise<FileHeader | undefined> {
    if (this.#header !== undefined) return this.#header
    const bytes = Buffer.alloc(SEALED_HEADER_BYTES)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await this.#file.read(bytes, length, bytes.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    const header = readFileHeader(bytes.subarray(0, length))
    if (typeof header === 'string') this.#problem = header
    else this.#header = header
    return this.#header
  }

  /**
   * Frames from where the last call stopped, until the end or until something is not a whole frame; all at once that
   * one piece of the file holds. `isVouchedOnly`: those that have no MAC yet wait for it.
   */
  async *batches(isVouchedOnly = false): AsyncGenerator<readonly OwnedFrame[]> {
    // What was an unfinished frame may have been finished, or cut off and written anew.
    const scanner = this.#scanner
    if (scanner === undefined) throw new Error('the header has to be read first')
    scanner.again()
    let position = scanner.offset
    let isEnd = false
    for (;;) {
      const { batch, end } = this.#batch(scanner)
      if (batch.length > 0) {
        yield batch
        // There may be more by now.
        isEnd = false
      }
      if (end !== 'more') {
        if (isGatewayError(end)) throw end
        this.#problem = end.reason
        return
      }
      if (isEnd) {
        this.#problem = 'the file ends inside a block'
        return
      }
      const room = scanner.room()
      const { bytesRead } = await this.#file.read(room, 0, room.length, position)
      isEnd = bytesRead === 0
      // What has no MAC is given as well: it is at the end of a file that is being written, or was.
      if (isEnd && !isVouchedOnly) scanner.release()
      scanner.filled(bytesRead)
      position += bytesRead
    }
  }

  /** What can be had without reading on, and why there is no more of it. */
  #batch(scanner: BlockScanner): {
    readonly batch: OwnedFrame[]
    readonly end: 'more' | Damage | GatewayError
  } {
    const batch: OwnedFrame[] = []
    for (;;) {
      const next = scanner.next()
      if (next === 'more' || next.what === 'damage') return { batch, end: next }
      this.#fresh = false
      const session = this.#owner(next)
      if (isGatewayError(session)) return { batch, end: session }
      batch.push({ frame: next, session })
    }
  }

  /** How many whole frames there are from the first place on where none begins: what is torn by a crash has none. */
  wholeFramesAfter(): number {
    const file = this.#file.fd
    return countFrames(systemFiles, file, this.#container, this.offset, systemFiles.size(file))
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #owner(frame: Frame): SessionId | undefined | GatewayError {
    if (frame.kind === 'bind') {
      try {
        this.#names.set(frame.session, brand<SessionId>(bindOf(frame.head)))
      } catch (error) {
        return damaged(this.path, frame.offset, reasonOf(error))
      }
    }
    if (frame.session === 0) return undefined
    const session = this.#names.get(frame.session)
    if (session === undefined && this.#isWhole) {
      return damaged(this.path, frame.offset, 'the frame belongs to a session without a name')
    }
    return session
  }
}

function entryOf(file: string, frame: Frame): Entry | undefined {
  try {
    return decodeEntry(frame)
  } catch (error) {
    throw damaged(file, frame.offset, reasonOf(error))
  }
}

function reasonOf(error: unknown): string {
  return error instanceof SyntaxError || !(error instanceof Error) ? 'its head is not JSON' : error.message
}
