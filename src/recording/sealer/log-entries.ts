import { LIMITS } from '../../core/index.ts'

/** What the log of a gateway says: one JSON object an entry, as `docs/formats/log.md` describes them. */
export type LogEntry =
  /** The public part of an open, a close or, without a session, an administrative frame. */
  | { readonly kind: 'frame'; readonly session?: string; readonly part: Uint8Array }
  /** The same of one that is too long for an entry: SHA-256 of its public part, and how many bytes that has. */
  | {
      readonly kind: 'frame'
      readonly session?: string
      readonly digest: Uint8Array
      readonly bytes: number
    }
  /** The tree over the next frames of a session: its root, the first and the last sequence number, and how many. */
  | ({ readonly kind: 'segment'; readonly root: Uint8Array } & FrameRange)
  /** The file of a session is whole, and has all frames of its segments so far. A later one takes its place. */
  | ({ readonly kind: 'file' } & FrameRange)
  /** All frames of the journal up to here are covered by the entries before. */
  | { readonly kind: 'through'; readonly sequence: number; readonly time: number }
  /** Checkpoints after this entry may be signed by this key. */
  | { readonly kind: 'key'; readonly vkey: string }

export type FrameRange = {
  readonly session: string
  readonly first: number
  readonly last: number
  readonly frames: number
}

export function encodeLogEntry(entry: LogEntry): Buffer {
  const bytes = Buffer.from(JSON.stringify(plain(entry)))
  if (bytes.length > LIMITS.logEntryBytesMax) throw new Error('an entry is too long for the log')
  return bytes
}

/** Whether a public part of that many bytes fits into an entry, for whichever session. */
export function fitsEntry(bytes: number): boolean {
  return Math.ceil(bytes / 3) * 4 + 128 <= LIMITS.logEntryBytesMax
}

/** Throws, with the reason, on what is no entry of a log; a kind that is unknown is undefined. */
export function decodeLogEntry(bytes: Uint8Array): LogEntry | undefined {
  const read: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
  if (!isRecord(read)) throw new Error('an entry of the log is no object')
  switch (read.kind) {
    case 'frame': {
      const whose = read.session === undefined ? {} : { session: text(read.session) }
      if (read.part !== undefined) return { kind: 'frame', ...whose, part: base64(read.part) }
      return { kind: 'frame', ...whose, digest: base64(read.digest), bytes: count(read.bytes) }
    }
    case 'segment':
      return { kind: 'segment', ...rangeOf(read), root: base64(read.root) }
    case 'file':
      return { kind: 'file', ...rangeOf(read) }
    case 'through':
      return { kind: 'through', sequence: count(read.sequence), time: count(read.time) }
    case 'key':
      return { kind: 'key', vkey: text(read.vkey) }
    default:
      return undefined
  }
}

function plain(entry: LogEntry): object {
  switch (entry.kind) {
    case 'frame':
      return 'part' in entry
        ? { ...entry, part: encoded(entry.part) }
        : { ...entry, digest: encoded(entry.digest) }
    case 'segment': {
      const { kind, session, first, last, frames, root } = entry
      return { kind, session, first, last, frames, root: encoded(root) }
    }
    case 'file': {
      const { kind, session, frames, first, last } = entry
      return { kind, session, frames, first, last }
    }
    default:
      return entry
  }
}

function rangeOf(read: Readonly<Record<string, unknown>>): FrameRange {
  return {
    session: text(read.session),
    first: count(read.first),
    last: count(read.last),
    frames: count(read.frames),
  }
}

function encoded(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error('an entry of the log lacks a text')
  return value
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new Error('an entry of the log lacks a number')
  return value
}

function base64(value: unknown): Uint8Array {
  const bytes = Buffer.from(text(value), 'base64')
  if (bytes.toString('base64') !== value)
    throw new Error('an entry of the log has a field that is not base 64')
  return bytes
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
