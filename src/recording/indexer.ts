import type { Clock, RecordingKeys, SessionId, Timer } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { SessionFilter, SessionIndex, SessionSummary } from './index-port.ts'
import type { FileJournal, JournalObserver } from './journal.ts'
import { fold } from './live-sessions.ts'
import { oldestHeader, readJournal, readSession, recordedSessions } from './reader.ts'

/** How old the list may be when nobody asks for it. */
const TICK_MS = 1000
/** Sessions whose figures are held while the journal is counted in. */
const BATCH_SESSIONS_MAX = 1000

/**
 * Counts everything that the journal holds beyond the index's position into the index, up to `upTo` or to its end.
 * Works on a data directory that nobody writes to, too.
 */
export async function catchUpIndex(
  directory: string,
  keys: RecordingKeys,
  index: SessionIndex,
  upTo?: number,
): Promise<void> {
  const begin = (await oldestHeader(directory))?.firstSequence
  const known = await index.position()
  // Thrown away, or older than what is left of the journal: then the files of the sessions tell.
  if (begin !== undefined && known + 1 < begin) await countFiles(directory, keys, index, begin)
  const from = Math.max(known + 1, begin ?? 0)
  if (upTo !== undefined && from > upTo) return
  const touched = new Map<SessionId, SessionSummary | undefined>()
  let position = from - 1
  const store = async (): Promise<void> => {
    const summaries = [...touched.values()].filter((each) => each !== undefined)
    await index.upsert(summaries, position)
    touched.clear()
  }
  for await (const { sequence, time, session, entry } of readJournal(directory, keys, {
    fromSequence: from,
  })) {
    if (upTo !== undefined && sequence > upTo) break
    if (session !== undefined) {
      if (!touched.has(session) && touched.size >= BATCH_SESSIONS_MAX) await store()
      const known = touched.has(session) ? touched.get(session) : await index.get(session)
      touched.set(session, fold(known && { ...known }, session, time, entry))
    }
    position = sequence
  }
  if (position >= from) await store()
}

/** Counts in every session that has a file, with what it did before the journal begins; the same if done again. */
async function countFiles(
  directory: string,
  keys: RecordingKeys,
  index: SessionIndex,
  begin: number,
): Promise<void> {
  const position = await index.position()
  let batch: SessionSummary[] = []
  for await (const session of recordedSessions(directory)) {
    let summary: SessionSummary | undefined
    for await (const { sequence, time, entry } of readSession(directory, keys, session)) {
      if (sequence >= begin) break
      summary = fold(summary && { ...summary }, session, time, entry)
    }
    if (summary !== undefined) batch.push(summary)
    if (batch.length < BATCH_SESSIONS_MAX) continue
    await index.upsert(batch, position)
    batch = []
  }
  await index.upsert(batch, begin - 1)
}

/** The sessions of a data directory that match: brings the index up to date first. */
export async function listSessions(
  directory: string,
  keys: RecordingKeys,
  index: SessionIndex,
  filter: SessionFilter,
): Promise<readonly SessionSummary[]> {
  await catchUpIndex(directory, keys, index)
  return await index.list(limited(filter))
}

function limited(filter: SessionFilter): SessionFilter {
  return { ...filter, limit: Math.max(1, Math.min(filter.limit, LIMITS.sessionsListedMax)) }
}

export type IndexerOptions = {
  readonly directory: string
  readonly keys: RecordingKeys
  readonly journal: FileJournal
  readonly index: SessionIndex
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
  /** Told up to which entry the list is stored: it needs the journal only from there on. */
  readonly onStored?: (sequence: number) => void
}

/**
 * Keeps the list of sessions up to date while the gateway runs, from the figures that the journal keeps anyway: no
 * entry is read back. What a crash left out is counted in from the journal at the start.
 */
export class Indexer implements JournalObserver {
  readonly #options: IndexerOptions
  /** Figures not stored yet, the latest of each session. */
  readonly #waiting = new Map<SessionId, SessionSummary>()
  #storing: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #stopped = false
  #fileEnded = false

  constructor(options: IndexerOptions) {
    this.#options = options
  }

  /** Brings the index up to date. A list that cannot be is a fault, but none that keeps the gateway from serving. */
  async start(): Promise<void> {
    try {
      await this.#catchUp()
    } catch (error) {
      this.#options.onFault(error)
    }
    this.#tick()
  }

  async #catchUp(): Promise<void> {
    const { directory, keys, journal, index } = this.#options
    journal.flush()
    // Taken together with the attachment: what comes later is counted as it happens, what was before is read.
    const upTo = journal.flushedSequence
    const before = journal.openSessions()
    journal.observe(this)
    // A machine that lost power may have kept the index and lost the end of the journal.
    const position = await index.position()
    if (position > journal.sequenceFound) await index.upsert([], journal.sequenceFound)
    await catchUpIndex(directory, keys, index, upTo)
    this.#options.onStored?.(upTo)
    await this.#endLost(new Set(before.map(({ session }) => session)), upTo)
  }

  sessionClosed(session: SessionId, summary: SessionSummary | undefined): void {
    if (summary !== undefined) this.#waiting.set(session, { ...summary })
  }

  fileEnded(): void {
    this.#fileEnded = true
  }

  /** The sessions that match, as they are at this moment; as they were last, when the journal cannot be written. */
  async list(filter: SessionFilter): Promise<readonly SessionSummary[]> {
    try {
      await this.update()
    } catch (error) {
      this.#options.onFault(error)
    }
    return await this.#options.index.list(limited(filter))
  }

  /** Stores what changed. Throws when the journal cannot be written or the index cannot be reached. */
  update(): Promise<void> {
    this.#storing = this.#storing.then(
      () => this.#store(),
      () => this.#store(),
    )
    return this.#storing
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.update()
  }

  async #store(): Promise<void> {
    const { journal, index } = this.#options
    for (const summary of journal.takeChanged()) this.#waiting.set(summary.session, summary)
    const taken = [...this.#waiting]
    // A file without news of any session can be deleted only when the position has passed it.
    if (taken.length === 0 && !this.#fileEnded) return
    this.#fileEnded = false
    const position = journal.flushedSequence
    await index.upsert(
      taken.map(([, summary]) => summary),
      position,
    )
    this.#options.onStored?.(position)
    for (const [session, summary] of taken) {
      if (this.#waiting.get(session) === summary) this.#waiting.delete(session)
    }
  }

  /** Sessions that the index holds to be open and nobody else: their end was lost with the end of the journal. */
  async #endLost(open: ReadonlySet<SessionId>, position: number): Promise<void> {
    const { index, clock } = this.#options
    let before: SessionId | undefined
    for (;;) {
      const limit = LIMITS.sessionsListedMax
      const page = await index.list({ open: true, limit, ...(before === undefined ? {} : { before }) })
      const lost = page.filter(({ session }) => !open.has(session))
      const ended = lost.map((each) => ({ ...each, closedAt: clock.now(), closeReason: 'gateway stopped' }))
      if (ended.length > 0) await index.upsert(ended, position)
      before = page.at(-1)?.session
      if (page.length < limit || before === undefined) return
    }
  }

  #tick(): void {
    if (this.#stopped) return
    this.#timer = this.#options.clock.after(TICK_MS, () => {
      this.update()
        .catch(this.#options.onFault)
        .finally(() => this.#tick())
    })
  }
}
