import type { Clock, Journal, RecordingKeys, SessionId } from '../../core/index.ts'
import { GatewayError, isGatewayError } from '../../core/index.ts'
import type { SessionSummary } from '../list/index-port.ts'
import { fold } from '../list/live-sessions.ts'
import { isAway } from '../files/upload-marks.ts'
import { bringBack, type FetchSession, oldestHeader, readOwnFile, readSession } from '../reading/reader.ts'
import { PendingErasures } from './pending.ts'
import type { Removal, Thinned } from './rewrite.ts'
import type { ErasureScope, RemovedRanges } from './scope.ts'

/** What writes session files anew: the sealer, since no other may touch them. */
export interface Rewriter {
  /** As `concerns` does. */
  concerns(session: SessionId, removal: Removal): Promise<boolean>
  /** As `thinned` does. */
  thin(session: SessionId, removal: Removal): Promise<Thinned | undefined>
  /** As `putInPlace` does, while nothing else is done with the file. */
  putInPlace(session: SessionId, thinned: Thinned): Promise<void>
}

export type EraserOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly journal: Journal & { nextFile(): void }
  readonly rewriter: Rewriter
  readonly clock: Clock
  /** Whether a session is under legal hold now. */
  readonly isHeld: (summary: SessionSummary) => boolean
  /** Told of the approval requests of a session whose statements are gone: whoever keeps copies lets go of those. */
  readonly onErased: (tickets: readonly string[]) => Promise<void>
  /** Brings back what is in the object store only: what is erased here goes up anew, in its place. */
  readonly fetch?: FetchSession | undefined
  readonly onFault: (error: unknown) => void
}

/** What came of an erasure. `waiting`: the journal still has what is to be erased; `held`: a legal hold came since. */
export type ErasureReport = {
  readonly state: 'erased' | 'nothing' | 'waiting' | 'held'
  readonly removed: readonly RemovedRanges[]
}

export type ErasureInput = {
  readonly session: SessionId
  readonly scope: ErasureScope
  readonly by: string
  readonly reason: string
}

/** What is recorded of a session that something is to be taken out of. */
type Recorded = {
  readonly summary: SessionSummary
  /** The sequence number of its last entry. */
  readonly last: number
  readonly hasSequence: boolean
  /** Of its approval requests. */
  readonly tickets: readonly string[]
}

const NOTHING: ErasureReport = { state: 'nothing', removed: [] }

/** Why payloads are removed, as the recording says it. */
type Cause =
  | { readonly because: 'request'; readonly by: string; readonly reason: string }
  | { readonly because: 'age'; readonly rule: string }

/** How long one who asks is kept waiting for the journal to let go, and how often that is looked at. */
const WAIT_MS = 20_000
const LOOK_MS = 200

/**
 * Takes payloads out of the recordings of sessions that have ended. In this order: what is asked for is written down; the
 * file is written anew beside the old one; the recording says what goes, on the disk; the new file takes its place. Killed
 * anywhere, it is done again and comes to the same.
 */
export class Eraser {
  readonly #options: EraserOptions
  readonly #pending: PendingErasures
  #stopped = false
  /** One at a time: two would write the same file. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: EraserOptions) {
    this.#options = options
    this.#pending = new PendingErasures(options.directory, options.keys)
  }

  /**
   * Erases, or sees to it that it is done as soon as it can be. Throws `not_found` for what is not recorded, `conflict` for a
   * session that goes on, `denied` under legal hold.
   */
  async request({ session, scope, by, reason }: ErasureInput): Promise<ErasureReport> {
    const { journal, clock } = this.#options
    const { summary, last, hasSequence } = await this.#recorded(session, scope.sequence)
    if (summary.closedAt === undefined) {
      throw new GatewayError('conflict', 'This session goes on: what it will have done is not known yet.', {
        remedy: `End it first: sluice sessions end ${session}`,
      })
    }
    if (this.#options.isHeld(summary)) throw heldError(session)
    if (!hasSequence) {
      throw new GatewayError('not_found', `The session has no entry ${scope.sequence}.`, {
        remedy: `sluice sessions show ${session} --json prints the sequence number of each.`,
      })
    }
    await this.#pending.add({ session, scope, by, reason, at: clock.now() })
    // What the journal holds goes with its file, and a file goes only when another has taken its place.
    if (await this.#isInJournal(last)) journal.nextFile()
    const until = clock.now() + WAIT_MS
    for (;;) {
      const report = (await this.run(session)) ?? NOTHING
      if (report.state !== 'waiting' || clock.now() >= until || this.#stopped) return report
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve))
    }
  }

  /** What was asked for and can be done now; of one session, what came of it. Faults are told, and tried again later. */
  async run(session?: SessionId): Promise<ErasureReport | undefined> {
    return await this.#inTurn(async () => {
      let told: ErasureReport | undefined
      for await (const { name, request } of this.#pending.all(this.#options.onFault)) {
        if (this.#stopped) break
        if (session !== undefined && request.session !== session) continue
        const { scope, by, reason } = request
        try {
          const report = await this.#erase(request.session, { scope }, { because: 'request', by, reason })
          if (report.state === 'erased' || report.state === 'nothing') await this.#pending.done(name)
          if (told === undefined || report.state !== 'nothing') told = report
        } catch (error) {
          // Deleted since: then nothing is left of it. What has left the disk meanwhile is brought back another time.
          const isGone =
            isGatewayError(error) &&
            error.code === 'not_found' &&
            !(await isAway(this.#options.directory, request.session))
          if (isGone) await this.#pending.done(name)
          else if (session !== undefined) throw error
          else this.#options.onFault(error)
        }
      }
      return told
    })
  }

  /** Removes from one session what a rule says is kept no longer, if it ended before then: its own file says when. */
  async retire(session: SessionId, scope: ErasureScope, endedBefore: number): Promise<ErasureReport> {
    const rule = ruleName(scope)
    return await this.#inTurn(async () => {
      const { directory, fetch } = this.#options
      await bringBack(directory, session, fetch)
      // Most have nothing that a rule is about: seen without opening anything.
      if (!(await this.#options.rewriter.concerns(session, { scope, rule }))) return NOTHING
      return await this.#erase(session, { scope, rule }, { because: 'age', rule }, endedBefore)
    })
  }

  /** How many that were asked for are not done. */
  waiting(): Promise<number> {
    return this.#pending.count()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#turn
  }

  async #erase(
    session: SessionId,
    removal: Removal,
    cause: Cause,
    endedBefore = Number.POSITIVE_INFINITY,
  ): Promise<ErasureReport> {
    const { journal, rewriter, isHeld, onErased } = this.#options
    const own = await this.#found(session)
    // Not sealed yet: what the journal has is taken out behind that. Throws where it is nowhere.
    const { summary, last, tickets } = own ?? (await this.#recorded(session))
    if (isHeld(summary)) return { state: 'held', removed: [] }
    if (own === undefined) return { state: 'waiting', removed: [] }
    const hasEnded = summary.closedAt !== undefined && summary.closedAt < endedBefore
    if (!hasEnded || (await this.#isInJournal(last))) return { state: 'waiting', removed: [] }
    const thinned = await rewriter.thin(session, removal)
    if (thinned === undefined) return NOTHING
    const { removed } = thinned
    const { by = 'retention', ...why } = { by: undefined, ...cause }
    for (const { payload, frames: places } of removed) {
      const details = { payload, frames: places, ...why }
      const head = { action: 'recording.removed', by, target: session, details }
      journal.append(undefined, { kind: 'admin', head })
    }
    journal.sync()
    await rewriter.putInPlace(session, thinned)
    if (tickets.length > 0 && removed.some(({ payload }) => payload !== 'body')) await onErased(tickets)
    // Of a rule: all was gone, and now the file says that the rule was applied.
    return removed.length === 0 ? NOTHING : { state: 'erased', removed }
  }

  /** What its own file says of a session, or the journal while it has none. Throws `not_found`. */
  async #recorded(session: SessionId, sequence?: number): Promise<Recorded> {
    const found = await this.#found(session, sequence, readSession)
    if (found !== undefined) return found
    throw new GatewayError('not_found', `There is no recording of session ${session}.`)
  }

  /** What its own file says of a session, and whether there is an entry of that number; undefined: it has no file. */
  async #found(
    session: SessionId,
    sequence?: number,
    read: typeof readSession | typeof readOwnFile = readOwnFile,
  ): Promise<Recorded | undefined> {
    const { directory, keys, fetch } = this.#options
    let [summary, last, hasSequence]: [SessionSummary | undefined, number, boolean] = [
      undefined,
      0,
      sequence === undefined,
    ]
    const tickets: string[] = []
    for await (const entry of read(directory, keys, session, { fetch })) {
      summary = fold(summary, session, entry.time, entry.entry)
      last = entry.sequence
      hasSequence ||= last === sequence
      if (entry.entry.kind === 'hold') tickets.push(entry.entry.head.ticket)
    }
    return summary && { summary, last, hasSequence, tickets }
  }

  /** Whether the journal may have the frames up to this one, too. */
  async #isInJournal(last: number): Promise<boolean> {
    const begin = (await oldestHeader(this.#options.directory))?.firstSequence
    return begin === undefined || last >= begin
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}

/** How the header of a session file, and the recording, call a rule of retention. */
export function ruleName({ labels }: ErasureScope): string {
  return labels === undefined ? '*' : [...labels].sort().join(' ')
}

function heldError(session: SessionId): GatewayError {
  return new GatewayError(
    'denied',
    `The recording of ${session} is under legal hold: nothing of it is erased.`,
    {
      remedy: 'Whoever set the hold has to end it first: recording.retention.hold in the configuration.',
      retry: 'only-if-changed',
    },
  )
}
