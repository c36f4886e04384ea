import type { RecordingKeys, SessionId } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import { type EntryPlace, EventAssembler, type RecordedEvent } from '../events/assembler.ts'
import { damaged } from '../files/damaged.ts'
import { decodeEntry } from '../frames/frame-parts.ts'
import type { Frame } from '../frames/scan.ts'
import { type FetchSession, type OwnedFrame, readOwnFile, readSession } from '../reading/reader.ts'
import { JournalTail } from '../sealer/journal-tail.ts'
import { type Cursor, UNKNOWN_TIME } from './cursor.ts'

export type FollowerOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  /** The version of this program. */
  readonly program: string
  readonly statements: boolean
  /** What was told already. */
  readonly cursor: Cursor
  /** Brings session files back that were uploaded. */
  readonly fetch?: FetchSession | undefined
}

/** Frames that are not there to be told. */
export type Gap = { readonly first: number; readonly last: number }

export type Read = {
  readonly events: readonly RecordedEvent[]
  /** The frame that these events end with. */
  readonly through: Cursor
  /** Frames before these events, which the journal had no more when it was asked. */
  readonly gap: Gap | undefined
  /** Whether there was more than was read. */
  readonly more: boolean
}

/** The journal has other frames than it had: what was told already is not in it. */
export class JournalReplaced extends Error {}

const TOLD: ReadonlySet<Frame['kind']> = new Set(['open', 'intent', 'answer', 'outcome', 'close', 'admin'])

/**
 * What is new in the journal, as events, in order. Begins with the oldest frame that the journal has, so that it knows
 * what it needs of sessions that go on; tells what is behind the cursor.
 */
export class EventFollower {
  readonly #options: FollowerOptions
  readonly #tail: JournalTail
  readonly #assembler: EventAssembler
  #through: Cursor
  #seen = 0
  #isChecked = false
  #gap: Gap | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(options: FollowerOptions) {
    const { directory, keys, program, statements, cursor, fetch } = options
    this.#options = options
    this.#through = cursor
    this.#tail = new JournalTail(directory, keys)
    const recall = async function* (session: SessionId, before: number): AsyncGenerator<EntryPlace> {
      let isThere = false
      for await (const each of readOwnFile(directory, keys, session, { fetch })) {
        isThere = true
        yield each
      }
      // It began in what the journal still has.
      if (!isThere) yield* whatThereIs(readSession(directory, keys, session, { fetch }), before)
    }
    this.#assembler = new EventAssembler({ program, statements, recall })
  }

  /**
   * What has come and has its MAC. After it threw, another follower begins at the cursor. Throws what reading the
   * journal throws, and `JournalReplaced`.
   */
  async read(): Promise<Read> {
    if (this.#failure !== undefined) throw this.#failure.error
    const events: RecordedEvent[] = []
    let size = 0
    let more = false
    try {
      for await (const { frames, file } of this.#tail.read()) {
        for (const owned of frames) {
          for (const event of await this.#take(owned, file)) {
            events.push(event)
            size += event.json.length
          }
        }
        more = size >= LIMITS.streamReadAheadMax
        if (more) break
      }
      if (!more && !this.#isChecked) this.#checkEnd()
    } catch (error) {
      // What was read before it is good.
      this.#failure = { error }
      if (events.length === 0) throw error
      more = true
    }
    const gap = this.#gap
    this.#gap = undefined
    return { events, through: this.#through, gap, more }
  }

  /** What was read is on the disk when it resolves: nobody is told of what a machine without power would forget. */
  sync(): Promise<void> {
    return this.#tail.sync()
  }

  close(): Promise<void> {
    return this.#tail.close()
  }

  async #take({ frame, session }: OwnedFrame, file: number): Promise<readonly RecordedEvent[]> {
    const { sequence, time } = frame
    const { cursor } = this.#options
    if (this.#seen === 0 && cursor.sequence > 0 && sequence > cursor.sequence + 1)
      this.#gap = { first: cursor.sequence + 1, last: sequence - 1 }
    if (sequence === cursor.sequence && cursor.time !== UNKNOWN_TIME && time !== cursor.time)
      throw new JournalReplaced()
    this.#seen = sequence
    const isTold = sequence <= cursor.sequence
    if (!isTold) this.#through = { sequence, time }
    if (!TOLD.has(frame.kind)) return []
    let entry: ReturnType<typeof decodeEntry>
    try {
      entry = decodeEntry(frame)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : 'it cannot be read'
      throw damaged(`journal file ${file}`, frame.offset, reason)
    }
    return entry === undefined ? [] : await this.#assembler.take({ sequence, time, session, entry }, isTold)
  }

  /** Only what is on the disk is told: a journal that ends before the cursor is another one, or an older state of it. */
  #checkEnd(): void {
    this.#isChecked = true
    if (this.#seen > 0 && this.#seen < this.#options.cursor.sequence) throw new JournalReplaced()
  }
}

async function* whatThereIs(entries: AsyncIterable<EntryPlace>, before: number): AsyncGenerator<EntryPlace> {
  try {
    for await (const each of entries) {
      if (each.sequence >= before) return
      yield each
    }
  } catch {
    // Of a session that cannot be read nothing is known; that it is there is told all the same.
  }
}
