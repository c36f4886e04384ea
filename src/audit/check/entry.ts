import { LIMITS } from '../../core/index.ts'
import { decodeBase64 } from '../../evidence/note/text.ts'
import { HASH_BYTES, type Hash } from '../../evidence/tree/hasher.ts'
import { viewOf } from './bytes.ts'
import { jsonOf, objectOf } from './objects.ts'
import { type PartHead, readPart } from './part.ts'

/** One entry of the gateway's log. `docs/formats/log.md` says what each is. */
export type LogEntry =
  | { readonly kind: 'frame'; readonly session: string | undefined; readonly frame: LoggedFrame }
  | {
      readonly kind: 'segment'
      readonly session: string
      readonly first: number
      readonly last: number
      readonly frames: number
      readonly root: Hash
    }
  | {
      readonly kind: 'file'
      readonly session: string
      readonly first: number
      readonly last: number
      readonly frames: number
    }
  /** `time` in milliseconds since 1970. */
  | { readonly kind: 'through'; readonly sequence: number; readonly time: number }
  | { readonly kind: 'key'; readonly vkey: string }

/** The public part of a frame, or the SHA-256 of one that is too long for an entry. */
export type LoggedFrame =
  | { readonly part: Uint8Array; readonly head: PartHead }
  | { readonly digest: Uint8Array; readonly bytes: number }

/** Reads an entry. Throws with the reason for what is none of those that this verifier knows. */
export function readEntry(bytes: Uint8Array): LogEntry {
  const entry = objectOf(jsonOf(bytes, 'An entry'))
  switch (entry.kind) {
    case 'frame':
      return {
        kind: 'frame',
        session: entry.session === undefined ? undefined : sessionOf(entry.session),
        frame: frameOf(entry),
      }
    case 'segment': {
      const root = bytesOf(entry.root, 'root')
      if (root.length !== HASH_BYTES) throw new Error('a root has not 32 bytes')
      return { kind: 'segment', session: sessionOf(entry.session), ...rangeOf(entry), root }
    }
    case 'file':
      return { kind: 'file', session: sessionOf(entry.session), ...rangeOf(entry) }
    case 'through':
      return {
        kind: 'through',
        sequence: countOf(entry.sequence, 'sequence'),
        time: countOf(entry.time, 'time'),
      }
    case 'key':
      if (typeof entry.vkey !== 'string') throw new Error('a key is not a text')
      return { kind: 'key', vkey: entry.vkey }
    default:
      throw new Error('an entry is of a kind that this verifier does not know')
  }
}

/** Whether a text can be a session id: 26 characters of Crockford's base 32. Only such a one may become part of a path. */
export function isSessionId(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text)
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** When a session was opened, in milliseconds since 1970: its id says so. */
export function openedAt(session: string): number {
  let ms = 0
  for (const character of session.slice(0, 10)) ms = ms * 32 + CROCKFORD.indexOf(character)
  return ms
}

/** Where the sealed file of a session lies, below the data directory. */
export function sessionPath(session: string): string {
  if (!isSessionId(session)) throw new Error('this is no session id')
  return `sessions/${dayOf(openedAt(session))}/${session}.slr`
}

/** The day written last: sessions come in the order in which they were opened, more or less. */
let lastDay = { number: Number.NaN, text: '' }

/** The UTC day of a time, `2026-01-31`. */
function dayOf(ms: number): string {
  const number = Math.floor(ms / 86_400_000)
  if (lastDay.number !== number) lastDay = { number, text: new Date(ms).toISOString().slice(0, 10) }
  return lastDay.text
}

function frameOf(entry: Readonly<Record<string, unknown>>): LoggedFrame {
  if (entry.part !== undefined) {
    const part = bytesOf(entry.part, 'part')
    return { part, head: readPart(viewOf(part), 0, part.length) }
  }
  const digest = bytesOf(entry.digest, 'digest')
  const bytes = countOf(entry.bytes, 'bytes')
  if (digest.length !== HASH_BYTES) throw new Error('a digest has not 32 bytes')
  if (bytes > LIMITS.frameBytesMax) throw new Error('a frame has an impossible length')
  return { digest, bytes }
}

function rangeOf(entry: Readonly<Record<string, unknown>>) {
  const first = countOf(entry.first, 'first')
  const last = countOf(entry.last, 'last')
  const frames = countOf(entry.frames, 'frames')
  if (frames === 0 || last - first + 1 < frames || (frames === 1 && first !== last))
    throw new Error('a range does not have as many frames as it says')
  return { first, last, frames }
}

function sessionOf(value: unknown): string {
  if (typeof value !== 'string' || !isSessionId(value)) throw new Error('an entry names no session')
  return value
}

function countOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new Error(`${name} is not a whole number`)
  return value
}

function bytesOf(value: unknown, name: string): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined
  if (bytes === undefined) throw new Error(`${name} is not base 64`)
  return bytes
}
