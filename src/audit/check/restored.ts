import { isGatewayError } from '../../core/index.ts'
import { viewOf } from './bytes.ts'
import { sessionPath } from './entry.ts'
import type { Failure } from './failures.ts'
import { FrameCursor } from './frames.ts'
import { commitmentsOf } from './part.ts'
import type { AuditSource, PayloadOpener, Primitives } from './ports.ts'
import { Ranges, type Removal } from './removals.ts'
import { Damage, type SealedChunk, SealedFile } from './sealed-file.ts'

/** A payload that is there, and that the log says was removed; or that nobody can tell. */
export type Restored = Pick<Failure, 'code' | 'why' | 'sequence' | 'offset'>

export type RestoredParts = {
  readonly source: AuditSource
  readonly primitives: Primitives
  readonly payloads: PayloadOpener | undefined
  /** What the log says was removed from that session. */
  readonly removals: readonly Removal[]
  /** Milliseconds since 1970 of the last `through`. */
  readonly through: number
  /** Names in the folder of the session, from after the log was read: no erasure that it tells of has begun later. */
  readonly beside: readonly string[]
}

/** In bytes: what a private part has of a payload that was removed, and of one that is there beside what is in it. */
const REMOVED_BYTES = 8
const SALTED_BYTES = 24

/**
 * What is between an entry that says what is removed and the file without it taking its place: milliseconds of what the log
 * says, and only while that file lies beside the old one.
 */
const IN_BETWEEN_MS = 60_000

/**
 * The first payload in the file of a session that the log says was removed. The file has been held against the log before. Who
 * has no key sees it by the length that each chunk says its private part has: how much is in it follows from what the log says.
 */
export async function restoredPayload(parts: RestoredParts, session: string): Promise<Restored | undefined> {
  const { source, primitives, payloads } = parts
  const gone = goneFrom(parts, session)
  const stream = await source.read(sessionPath(session))
  if (stream === undefined) return undefined
  const file = new SealedFile(stream, primitives)
  let offset = 0
  try {
    const header = await file.header()
    const opener = payloads?.(header)
    for (;;) {
      const chunk = await file.chunk()
      if (chunk === undefined) return undefined
      offset = chunk.offset
      const found = restoredIn(chunk, gone, opener)
      if (found !== undefined) return found
    }
  } catch (error) {
    if (isGatewayError(error)) throw error
    const why = error instanceof Error ? error.message : 'it cannot be read'
    return { code: 'damaged', why, offset: error instanceof Damage ? error.offset : offset }
  } finally {
    await file.close()
  }
}

function restoredIn(
  chunk: SealedChunk,
  gone: ReadonlyMap<string, Ranges>,
  opener: ReturnType<PayloadOpener>,
): Restored | undefined {
  const { offset } = chunk
  const places: { readonly sequence: number; readonly payload: string }[] = []
  let permitted = 0
  for (const frame = new FrameCursor(chunk); frame.next(); ) {
    const { sequence } = frame
    for (const { name, bytes } of commitmentsOf(frame.part())) {
      const isGone = gone.get(name)?.has(sequence) === true
      permitted += isGone ? REMOVED_BYTES : SALTED_BYTES + bytes
      if (isGone) places.push({ sequence, payload: name })
    }
  }
  const [first] = places
  if (first === undefined) return undefined
  if (opener === undefined) {
    const stored = viewOf(chunk.bytes).getUint32(20, true)
    return stored > permitted ? restored('a payload', first.sequence, offset) : undefined
  }
  const missing = new Set(opener(chunk).map((each) => `${each.sequence} ${each.payload}`))
  const found = places.find((each) => !missing.has(`${each.sequence} ${each.payload}`))
  return found === undefined ? undefined : restored(found.payload, found.sequence, offset)
}

function restored(payload: string, sequence: number, offset: number): Restored {
  return {
    code: 'payload',
    why: `${payload} is there, and the log says that it was removed`,
    sequence,
    offset,
  }
}

/** What must be gone from the file of a session: by the name of the payload, the frames. */
function goneFrom(
  { removals, through, beside }: RestoredParts,
  session: string,
): ReadonlyMap<string, Ranges> {
  const until = beside.includes(`${session}.slr.new`) ? through - IN_BETWEEN_MS : Number.POSITIVE_INFINITY
  const gone = new Map<string, Ranges>()
  for (const { payload, frames, time } of removals) {
    if (time >= until) continue
    const ranges = gone.get(payload) ?? new Ranges()
    for (const each of frames) ranges.add(each)
    gone.set(payload, ranges)
  }
  return gone
}
