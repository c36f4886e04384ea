import type { LogEntry, LoggedFrame } from './entry.ts'
import type { Failure, Failures } from './failures.ts'
import { objectOf } from './objects.ts'
import { headOf, KIND } from './part.ts'
import { Ranges, type Removal, removalOf } from './removals.ts'
import type { Gap } from './kept.ts'
import type { ExpectedFile, Segment } from './session-file.ts'

/** Up to where all frames of the journal are in the log. `time`: milliseconds since 1970. */
export type Through = { readonly sequence: number; readonly time: number }

/** What the log says of one session so far. */
type Account = {
  segments: Segment[]
  frames: number
  first: number | undefined
  last: number | undefined
  open: LoggedFrame | undefined
  close: LoggedFrame | undefined
  /** The entry that says that its file is whole, and with how many frames. */
  file: { readonly entry: number; readonly frames: number; readonly segments: number } | undefined
}

/** What is known of a session in the end. */
export type SessionAccount = {
  readonly session: string
  readonly frames: number
  readonly first: number | undefined
  readonly last: number | undefined
  readonly file: { readonly entry: number; readonly frames: number } | undefined
}

export type LedgerOptions = {
  readonly failures: Failures
  /** Only these; all when left out. */
  readonly sessions: ReadonlySet<string> | undefined
}

/** Reads the entries of the log in their order, and says where one may not stand. Memory: some 350 bytes a session. */
export class Ledger {
  readonly #failures: Failures
  readonly #wanted: ReadonlySet<string> | undefined
  readonly #accounts = new Map<string, Account>()
  /** Sessions that may be gone. */
  readonly deleted = new Set<string>()
  /** What the log says of payloads that are gone, in its order. */
  readonly removals: Removal[] = []
  /** The same by session and name of the payload. */
  readonly #removed = new Map<string, Ranges>()
  readonly keys: { readonly entry: number; readonly vkey: string; readonly path: string }[] = []
  /** Numbers of the entries that announce a key, also behind what is proved. */
  readonly announcements = new Set<number>()
  readonly gaps: Gap[] = []
  through: Through | undefined
  admin = 0
  #lastAdmin = -1

  constructor({ failures, sessions }: LedgerOptions) {
    this.#failures = failures
    this.#wanted = sessions
  }

  /** Gives the session whose file is to be looked at now. */
  add(index: number, path: string, entry: LogEntry): string | undefined {
    const fail = (why: string, place: Partial<Failure> = {}): undefined => {
      this.#failures.add({ code: 'order', path, entry: index, why, ...place })
    }
    switch (entry.kind) {
      case 'frame':
        return entry.session === undefined
          ? this.#adminFrame(index, path, entry.frame, fail)
          : this.#sessionFrame(entry.session, entry.frame, fail)
      case 'segment':
        return this.#segment(index, entry, fail)
      case 'file':
        return this.#file(index, entry, fail)
      case 'through': {
        const { sequence, time } = entry
        if (sequence <= (this.through?.sequence ?? -1)) return fail('it goes no further than one before it')
        this.through = { sequence, time }
        return undefined
      }
      case 'key':
        this.keys.push({ entry: index, vkey: entry.vkey, path })
        return undefined
    }
  }

  /** What permits something to be missing counts wherever it stands, also behind what is proved. */
  excuse(index: number, entry: LogEntry): void {
    if (entry.kind === 'key') this.announcements.add(index)
    if (entry.kind !== 'frame' || entry.session !== undefined || !('part' in entry.frame)) return
    const { action, by, target, details } = objectOf(headOf(entry.frame.part))
    if (typeof target !== 'string') return
    if (action === 'recording.deleted') this.deleted.add(target)
    if (action !== 'recording.removed') return
    const removal = removalOf(target, by, entry.frame.head.time, objectOf(details))
    if (removal === undefined) return
    const place = `${target} ${removal.payload}`
    const ranges = this.#removed.get(place) ?? new Ranges()
    for (const each of removal.frames) ranges.add(each)
    this.#removed.set(place, ranges)
    this.removals.push(removal)
  }

  /** Whether the log says that a payload was removed. */
  isRemoved(session: string, sequence: number, payload: string): boolean {
    return this.#removed.get(`${session} ${payload}`)?.has(sequence) === true
  }

  /** What the log has said so far: further entries change nothing in it. */
  expected(session: string): ExpectedFile {
    const account = this.#accounts.get(session)
    const segments = [...(account?.segments ?? [])]
    const named = account?.file?.segments ?? segments.length
    return { session, segments, named, open: account?.open, close: account?.close }
  }

  /** Lets go of what only the file is held against. */
  settle(session: string): void {
    const account = this.#accounts.get(session)
    if (account === undefined) return
    // A new one: an array that was emptied keeps its memory.
    account.segments = []
    account.open = undefined
    account.close = undefined
  }

  *accounts(): Generator<SessionAccount> {
    for (const [session, { frames, first, last, file }] of this.#accounts)
      yield { session, frames, first, last, file }
  }

  has(session: string): boolean {
    return this.#accounts.has(session)
  }

  /** Whether the log says that the file of the session is whole. */
  isSealed(session: string): boolean {
    return this.#accounts.get(session)?.file !== undefined
  }

  #adminFrame(index: number, path: string, frame: LoggedFrame, fail: Fail): undefined {
    this.admin += 1
    if (!('part' in frame)) return undefined
    const { kind, sequence } = frame.head
    if (kind !== KIND.admin)
      return fail('a frame without a session is not an administrative one', { sequence })
    if (sequence <= Math.max(this.#lastAdmin, this.through?.sequence ?? -1))
      return fail('a frame is older than what stands before it', { sequence })
    this.#lastAdmin = sequence
    const { action, details } = objectOf(headOf(frame.part))
    if (action !== 'recording.gap') return undefined
    const { first, last } = objectOf(details)
    if (typeof first === 'number' && typeof last === 'number')
      this.gaps.push({ first, last, entry: index, path })
    return undefined
  }

  #sessionFrame(session: string, frame: LoggedFrame, fail: Fail): undefined {
    const account = this.#account(session)
    if (account === undefined) return undefined
    const place = 'part' in frame ? { session, sequence: frame.head.sequence } : { session }
    const isOpen = 'part' in frame ? frame.head.kind === KIND.open : account.open === undefined
    if ('part' in frame && frame.head.kind !== KIND.open && frame.head.kind !== KIND.close)
      return fail('a frame of a session is neither an open nor a close', place)
    if ('part' in frame && frame.head.sequence <= (this.through?.sequence ?? -1))
      return fail('a frame is older than what stands before it', place)
    if (isOpen) {
      if (account.open !== undefined || account.frames > 0) return fail('a session is opened twice', place)
      account.open = frame
    } else {
      if (account.close !== undefined) return fail('a session is closed twice', place)
      account.close = frame
    }
    return undefined
  }

  #segment(index: number, entry: LogEntry & { kind: 'segment' }, fail: Fail): undefined {
    const { session, first, last, frames, root } = entry
    const account = this.#account(session)
    if (account === undefined) return undefined
    const place = { session, sequence: first }
    if (account.open === undefined && account.frames === 0)
      return fail('a session begins without an open', place)
    if (first <= Math.max(account.last ?? -1, this.through?.sequence ?? -1))
      return fail('a segment overlaps what stands before it', place)
    account.first ??= first
    account.last = last
    account.frames += frames
    account.segments.push({ entry: index, first, last, frames, root })
    return undefined
  }

  #file(index: number, entry: LogEntry & { kind: 'file' }, fail: Fail): string | undefined {
    const { session, first, last, frames } = entry
    const account = this.#account(session)
    if (account === undefined) return undefined
    if (account.frames !== frames || account.first !== first || account.last !== last)
      return fail('a file is said to have other frames than the segments before it', {
        session,
        sequence: last,
      })
    if (account.file !== undefined && account.file.frames >= frames)
      return fail('a file is named twice', { session, sequence: last })
    account.file = { entry: index, frames, segments: account.segments.length }
    return session
  }

  #account(session: string): Account | undefined {
    if (this.#wanted?.has(session) === false) return undefined
    let account = this.#accounts.get(session)
    if (account === undefined) {
      account = {
        segments: [],
        frames: 0,
        first: undefined,
        last: undefined,
        open: undefined,
        close: undefined,
        file: undefined,
      }
      this.#accounts.set(session, account)
    }
    return account
  }
}

type Fail = (why: string, place?: Partial<Failure>) => undefined
