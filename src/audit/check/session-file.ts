import { isGatewayError } from '../../core/index.ts'
import { type Hash, sameBytes } from '../../evidence/tree/hasher.ts'
import { type LoggedFrame, sessionPath } from './entry.ts'
import type { Failure, FailureCode, Failures } from './failures.ts'
import { FrameCursor } from './frames.ts'
import { KIND } from './part.ts'
import type { AuditSource, PayloadFinding, PayloadOpener, Primitives } from './ports.ts'
import { Damage, SealedFile } from './sealed-file.ts'
import { SegmentTree } from './segment-tree.ts'

/** A run of frames of one session whose root is in the log. `entry`: the number of the entry that says so. */
export type Segment = {
  readonly entry: number
  readonly first: number
  readonly last: number
  readonly frames: number
  readonly root: Hash
}

/** What the log says of the file of a session. */
export type ExpectedFile = {
  readonly session: string
  readonly segments: readonly Segment[]
  /** So many of the segments the file must have: those that it was named with. What came later may be in it. */
  readonly named: number
  readonly open: LoggedFrame | undefined
  readonly close: LoggedFrame | undefined
}

/** `more`: everything is as it should be, and then there are frames, from `sequence` on, that no segment has yet. */
export type FileOutcome =
  | { readonly state: 'missing' | 'failed' }
  | { readonly state: 'proved'; readonly locked: boolean; readonly removed: readonly PayloadFinding[] }
  | { readonly state: 'more'; readonly sequence: number }

/** `last`: the last frame of it that is there; 0: none. */
export type DraftOutcome = { readonly state: 'missing' | 'failed' | 'draft'; readonly last: number }

export type SessionFileParts = {
  readonly source: AuditSource
  readonly primitives: Primitives
  readonly failures: Failures
  readonly payloads: PayloadOpener | undefined
  readonly onBytes: (count: number) => void
  /** Memory for trees that nobody uses at the moment. */
  readonly trees: SegmentTree[]
}

/** Holds a sealed session file against its segments, and with keys its payloads against their commitments. */
export async function checkSessionFile(
  parts: SessionFileParts,
  expected: ExpectedFile,
): Promise<FileOutcome> {
  const path = sessionPath(expected.session)
  const stream = await opened(parts, expected, path)
  if (stream === undefined) return { state: 'missing' }
  if (stream === 'failed') return { state: 'failed' }
  const check = new FileCheck(parts, expected, path)
  const file = new SealedFile(counted(stream, parts.onBytes), parts.primitives)
  try {
    return await check.run(file)
  } catch (error) {
    if (!(error instanceof Damage)) throw error
    check.fail('damaged', error.message, { offset: error.offset })
    return { state: 'failed' }
  } finally {
    check.end()
    await file.close()
  }
}

/**
 * Holds what there is of a session that is not sealed yet against its segments, as far as it goes: it may end anywhere, also
 * inside a chunk.
 */
export async function checkDraft(
  parts: SessionFileParts,
  expected: ExpectedFile,
  path: string,
): Promise<DraftOutcome> {
  const stream = await opened(parts, expected, path)
  if (stream === undefined) return { state: 'missing', last: 0 }
  if (stream === 'failed') return { state: 'failed', last: 0 }
  const check = new FileCheck({ ...parts, payloads: undefined }, { ...expected, named: 0 }, path)
  const file = new SealedFile(counted(stream, parts.onBytes), parts.primitives)
  try {
    await check.run(file, true)
  } catch (error) {
    if (!(error instanceof Damage)) throw error
  } finally {
    check.end()
    await file.close()
  }
  return { state: check.failed ? 'failed' : 'draft', last: check.last }
}

/** What can be read of it; what is no file is a failure, and what cannot be reached is nobody's. */
async function opened(
  { source, failures }: SessionFileParts,
  { session }: ExpectedFile,
  path: string,
): Promise<AsyncIterable<Uint8Array> | 'failed' | undefined> {
  try {
    return await source.read(path)
  } catch (error) {
    if (!isGatewayError(error) || error.code === 'upstream_unreachable') throw error
    failures.add({ code: 'damaged', path, session, offset: 0, why: error.message })
    return 'failed'
  }
}

class FileCheck {
  readonly #parts: SessionFileParts
  readonly #expected: ExpectedFile
  readonly #path: string
  readonly #removed: PayloadFinding[] = []
  #failed = false
  /** Of the segment that is being read. */
  #at = 0
  #count = 0
  readonly #tree: SegmentTree
  #last = -1

  constructor(parts: SessionFileParts, expected: ExpectedFile, path: string) {
    this.#parts = parts
    this.#expected = expected
    this.#path = path
    this.#tree = parts.trees.pop() ?? new SegmentTree(parts.primitives)
    this.#tree.clear()
  }

  fail(code: FailureCode, why: string, place: Pick<Failure, 'entry' | 'sequence' | 'offset'>): void {
    this.#failed = true
    this.#parts.failures.add({ code, path: this.#path, session: this.#expected.session, why, ...place })
  }

  get failed(): boolean {
    return this.#failed
  }

  /** The last frame that was there. */
  get last(): number {
    return Math.max(0, this.#last)
  }

  end(): void {
    this.#parts.trees.push(this.#tree)
  }

  async run(file: SealedFile, isDraft = false): Promise<FileOutcome> {
    const { segments } = this.#expected
    const header = await file.header()
    if (header.session !== this.#expected.session) {
      this.fail('foreign', 'the file is that of another session', { offset: 0 })
      return { state: 'failed' }
    }
    const opener = this.#opener(header)
    for (;;) {
      const chunk = await file.chunk()
      if (chunk === undefined) break
      const frame = new FrameCursor(chunk)
      while (frame.next()) {
        const segment = segments[this.#at]
        if (segment === undefined) {
          if (this.#failed) return { state: 'failed' }
          return { state: 'more', sequence: frame.sequence }
        }
        if (!this.#take(frame, segment)) return { state: 'failed' }
      }
      if (opener !== undefined) this.#look(() => opener(chunk), chunk.offset)
    }
    const unfinished = segments[this.#at]
    if (!isDraft && unfinished !== undefined && (this.#at < this.#expected.named || this.#count > 0)) {
      const { entry, first, last } = unfinished
      this.fail('frames', `the file ends before the frames ${first} to ${last} are whole`, {
        entry,
        sequence: first,
      })
    }
    if (this.#failed) return { state: 'failed' }
    return { state: 'proved', locked: opener === undefined, removed: this.#removed }
  }

  /** False where what follows cannot be told apart any more. */
  #take(frame: FrameCursor, segment: Segment): boolean {
    const { entry, first, last, frames, root } = segment
    const { sequence } = frame
    if (sequence <= this.#last || sequence > last || (this.#count === 0 && sequence !== first)) {
      this.fail('frames', `the frames ${first} to ${last} are not those that the log has`, {
        entry,
        sequence,
      })
      return false
    }
    this.#boundary(frame, this.#last === -1)
    this.#last = sequence
    this.#tree.append(frame.leafInput())
    this.#count += 1
    if (this.#count < frames) return true
    if (sequence !== last || !sameBytes(this.#tree.root(), root)) {
      this.fail('frames', `a frame from ${first} to ${last} is not the one that the log has`, {
        entry,
        sequence: first,
      })
      if (sequence !== last) return false
    }
    this.#at += 1
    this.#count = 0
    this.#tree.clear()
    return true
  }

  /** Open and close are in the log themselves, to be seen without the file. */
  #boundary(frame: FrameCursor, isFirst: boolean): void {
    const { sequence, kind } = frame
    if (isFirst && kind !== KIND.open)
      this.fail('frames', 'the file does not begin with an open', { sequence })
    if (kind !== KIND.open && kind !== KIND.close) return
    const logged = kind === KIND.open ? this.#expected.open : this.#expected.close
    const { sha256 } = this.#parts.primitives
    const isSame =
      logged !== undefined &&
      ('part' in logged
        ? sameBytes(logged.part, frame.part())
        : sameBytes(logged.digest, sha256(frame.part())))
    if (!isSame) this.fail('frames', 'an open or a close is not the one that the log has', { sequence })
  }

  #opener(header: Parameters<PayloadOpener>[0]): ReturnType<PayloadOpener> {
    try {
      return this.#parts.payloads?.(header)
    } catch (error) {
      this.fail('payload', messageOf(error), { offset: 0 })
      return undefined
    }
  }

  #look(work: () => readonly PayloadFinding[], offset: number): void {
    try {
      for (const finding of work()) {
        if (finding.state === 'removed') this.#removed.push(finding)
        else
          this.fail('payload', `${finding.payload} is not what was committed to`, {
            sequence: finding.sequence,
          })
      }
    } catch (error) {
      this.fail('payload', messageOf(error), { offset })
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'payloads cannot be read'
}

async function* counted(
  stream: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of stream) {
    onBytes(bytes.length)
    yield bytes
  }
}
