import { join } from 'node:path'
import { brand, type RecordingKeys, type SessionId } from '../../core/index.ts'
import { BLOCK_BYTES_MAX, type BlockScanner } from './block-scanner.ts'
import { BLOCK_MAGIC_BYTES, type Container, containerOf } from './container.ts'
import { type FileHeader, readFileHeader } from '../files/file-header.ts'
import { type FileSystem, writeWhole } from '../files/file-system.ts'
import { BLOCK, BLOCK_HEADER_BYTES, MAC_BLOCK_BYTES, SEALED_HEADER_BYTES } from '../files/format.ts'
import { journalFileName, journalNumbers } from '../files/names.ts'
import { bindOf, fileHeadOf } from '../frames/own-frames.ts'
import type { Damage, Frame } from '../frames/scan.ts'
import { macBlock } from './sealing.ts'

/** Files are copied and searched in pieces of this size. */
const PIECE_BYTES = 256 * 1024

/** A session that had begun and not ended when the last file stopped. */
export type OpenSession = { readonly session: SessionId; readonly commands: number }

/** What was cut off the end of the last file, and where it is kept. */
export type Cut = {
  readonly file: string
  readonly offset: number
  readonly bytes: number
  /**
   * Whole frames among them: none after a crash; some when the disk lost or changed bytes in the middle. Blocks, where
   * the file's header is damaged and nothing can open them.
   */
  readonly frames: number
  readonly keptAs: string
}

/** What counts at the end of the last file although no MAC of the writer vouches for it: the last moment before a crash. */
export type Unauthenticated = { readonly file: string; readonly offset: number; readonly bytes: number }

export type Recovered = {
  /** The number the next file gets. */
  readonly nextFile: number
  readonly lastSequence: number
  /** When the last frame was made. */
  readonly lastTime: number | undefined
  readonly open: readonly OpenSession[]
  readonly cuts: readonly Cut[]
  readonly unauthenticated: Unauthenticated | undefined
}

/**
 * Brings the journal into order after a stop of any kind: finds the clean prefix of the newest file, moves what
 * follows it aside, gives what has none a MAC, and says which sessions have no end. Only the newest file can be torn: each earlier one was on
 * the disk, whole, before its successor was made. Throws GatewayError `invalid` when the key that opens it is not given.
 */
export function recover(files: FileSystem, directory: string, keys: RecordingKeys): Recovered {
  const numbers = journalNumbers(files.list(directory))
  const cuts: Cut[] = []
  const nextFile = (numbers.at(-1) ?? 0) + 1
  for (const number of numbers.toReversed()) {
    const scanned = scanFile(files, directory, number, keys)
    if (scanned.cut !== undefined) cuts.push(scanned.cut)
    // A crash while the file was being made leaves one without a header: then the one before it is the last.
    if (scanned.header === undefined) continue
    const { lastSequence, lastTime, open, unauthenticated } = scanned
    return { nextFile, lastSequence, lastTime, open, cuts, unauthenticated }
  }
  return { nextFile, lastSequence: 0, lastTime: undefined, open: [], cuts, unauthenticated: undefined }
}

type Scanned = {
  readonly header: FileHeader | undefined
  readonly lastSequence: number
  readonly lastTime: number | undefined
  readonly open: readonly OpenSession[]
  readonly cut: Cut | undefined
  readonly unauthenticated: Unauthenticated | undefined
}

function scanFile(files: FileSystem, directory: string, number: number, keys: RecordingKeys): Scanned {
  const name = journalFileName(number)
  const path = join(directory, name)
  const file = files.open(path, 'r+')
  try {
    const size = files.size(file)
    const headerBytes = Buffer.alloc(Math.min(size, SEALED_HEADER_BYTES))
    readWhole(files, file, headerBytes, 0)
    const header = readFileHeader(headerBytes)
    const container = typeof header === 'string' ? undefined : containerOf(keys, name, header)
    if (typeof header === 'string' || container === undefined || header.number !== number) {
      const keptAs = `${name}.cut-0`
      const frames = countFrames(files, file, container, 0, size)
      files.rename(path, join(directory, keptAs))
      files.syncDirectory(directory)
      const cut = { file: name, offset: 0, bytes: size, frames, keptAs }
      return {
        header: undefined,
        lastSequence: 0,
        lastTime: undefined,
        open: [],
        cut,
        unauthenticated: undefined,
      }
    }
    const book = new SessionBook()
    let lastSequence = header.firstSequence - 1
    let lastTime = header.time
    const scanner = container.scanner(size - container.begin)
    const end = scanFrames(files, file, scanner, size, (frame) => {
      if (frame.sequence !== lastSequence + 1) return false
      lastSequence = frame.sequence
      lastTime = frame.time
      book.take(frame)
      return true
    })
    const cut = end === size ? undefined : cutOff(files, directory, name, file, container, end, size)
    const unauthenticated = authenticate(files, name, file, container, scanner, end)
    return { header, lastSequence, lastTime, open: book.open(), cut, unauthenticated }
  } finally {
    files.close(file)
  }
}

/**
 * Gives a MAC to what is before `end`, where the file ends now, and has none: so that from now on it cannot be changed
 * either. The MAC says what it came late for; found again by the next repair, it is told of again.
 */
function authenticate(
  files: FileSystem,
  name: string,
  file: number,
  container: Container,
  { vouched, late }: BlockScanner,
  end: number,
): Unauthenticated | undefined {
  if (end === vouched) {
    if (late === 0) return undefined
    return { file: name, offset: vouched - MAC_BLOCK_BYTES - late, bytes: late }
  }
  const begin = vouched === container.begin ? 0 : vouched - MAC_BLOCK_BYTES
  const block = macBlock(container.keys.mac, pieces(files, file, begin, end), end - vouched)
  writeWhole(files, file, block, end)
  files.sync(file)
  return { file: name, offset: vouched, bytes: end - vouched }
}

/** The bytes of a file between two places; each piece is valid until the next. */
function* pieces(files: FileSystem, file: number, begin: number, end: number): Generator<Buffer> {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - begin))
  for (let at = begin; at < end; ) {
    const read = files.read(file, piece, 0, Math.min(piece.length, end - at), at)
    if (read === 0) throw new Error('the file became shorter while it was read')
    yield piece.subarray(0, read)
    at += read
  }
}

/** Copies everything from `offset` on into a file of its own, and only then takes it off this one. */
function cutOff(
  files: FileSystem,
  directory: string,
  name: string,
  file: number,
  container: Container,
  offset: number,
  size: number,
): Cut {
  const keptAs = `${name}.cut-${offset}`
  const aside = files.open(join(directory, keptAs), 'w+')
  try {
    let at = 0
    for (const piece of pieces(files, file, offset, size)) {
      writeWhole(files, aside, piece, at)
      at += piece.length
    }
    files.sync(aside)
  } finally {
    files.close(aside)
  }
  files.syncDirectory(directory)
  const frames = countFrames(files, file, container, offset, size)
  files.truncate(file, offset)
  files.sync(file)
  return { file: name, offset, bytes: size - offset, frames, keptAs }
}

/**
 * Whole frames from `offset` on, looking for the next one after each piece of damage; in blocks, all that can be read,
 * whatever a MAC says of it. Without a container, because of a damaged header: what looks like blocks.
 */
export function countFrames(
  files: FileSystem,
  file: number,
  container: Container | undefined,
  offset: number,
  size: number,
): number {
  if (container === undefined) return countBlocks(files, file, offset, size)
  let frames = 0
  for (let at: number | undefined = offset; at !== undefined && at < size; ) {
    const end = scanFrames(files, file, container.from(at, size - at), size, () => {
      frames++
      return true
    })
    at = findMagic(files, file, end === at ? at + 1 : end, size)
  }
  return frames
}

/** How many blocks there are by their first bytes and their length. */
function countBlocks(files: FileSystem, file: number, offset: number, size: number): number {
  let blocks = 0
  const header = Buffer.alloc(BLOCK_HEADER_BYTES)
  for (let at = findMagic(files, file, offset, size); at !== undefined; ) {
    if (at + header.length > size) break
    readWhole(files, file, header, at)
    const length = header.readUInt32LE(BLOCK.length)
    const whole = length > header.length && length <= BLOCK_BYTES_MAX && at + length <= size
    if (whole) blocks++
    at = findMagic(files, file, whole ? at + length : at + 1, size)
  }
  return blocks
}

/** Where the next block of frames seems to begin. */
function findMagic(files: FileSystem, file: number, from: number, size: number): number | undefined {
  const piece = Buffer.allocUnsafe(Math.max(0, Math.min(PIECE_BYTES, size - from)))
  for (let at = from; at < size; ) {
    const read = files.read(file, piece, 0, Math.min(piece.length, size - at), at)
    const found = piece.subarray(0, read).indexOf(BLOCK_MAGIC_BYTES)
    if (found >= 0) return at + found
    if (read < BLOCK_MAGIC_BYTES.length) return undefined
    at += read - BLOCK_MAGIC_BYTES.length + 1
  }
  return undefined
}

/** Feeds frames from where the scanner begins until one is damaged, incomplete or turned down; returns where that one begins. */
function scanFrames(
  files: FileSystem,
  file: number,
  scanner: BlockScanner,
  size: number,
  take: (frame: Frame) => boolean,
): number {
  let position = scanner.offset
  let isReleased = false
  for (;;) {
    const next: Frame | Damage | 'more' = scanner.next()
    if (next === 'more') {
      const room = scanner.room()
      const read =
        position < size ? files.read(file, room, 0, Math.min(room.length, size - position), position) : 0
      if (read === 0) {
        if (isReleased) return scanner.offset
        isReleased = true
        scanner.release()
        continue
      }
      scanner.filled(read)
      position += read
    } else if (next.what === 'damage' || !take(next)) {
      return next.offset
    }
  }
}

function readWhole(files: FileSystem, file: number, into: Buffer, position: number): void {
  for (let done = 0; done < into.length; ) {
    const read = files.read(file, into, done, into.length - done, position + done)
    if (read === 0) throw new Error('the file became shorter while it was read')
    done += read
  }
}

/** Keeps count of which sessions are open, from the frames of one file. */
class SessionBook {
  readonly #names = new Map<number, SessionId>()
  readonly #commands = new Map<SessionId, number>()

  take(frame: Frame): void {
    switch (frame.kind) {
      case 'file':
        for (const [session, commands] of fileHeadOf(frame.head).open) {
          this.#commands.set(brand<SessionId>(session), commands)
        }
        return
      case 'bind':
        this.#names.set(frame.session, brand<SessionId>(bindOf(frame.head)))
        return
      case 'open':
      case 'intent':
      case 'close': {
        const session = this.#names.get(frame.session)
        if (session === undefined) return
        if (frame.kind === 'close') this.#commands.delete(session)
        else if (frame.kind === 'open') this.#commands.set(session, 0)
        else {
          const commands = this.#commands.get(session)
          if (commands !== undefined) this.#commands.set(session, commands + 1)
        }
        return
      }
      default:
        return
    }
  }

  open(): readonly OpenSession[] {
    return [...this.#commands].map(([session, commands]) => ({ session, commands }))
  }
}
