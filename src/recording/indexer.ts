import type { Clock, RecordingKeys, SessionId, Timer } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type { Findings, SessionFilter, SessionIndex, SessionSummary } from './list/index-port.ts'
import type { FileJournal, JournalObserver } from './journal/journal.ts'
import { fold } from './list/live-sessions.ts'
import {
  type FetchSession,
  oldestHeader,
  readJournal,
  readSession,
  recordedSessions,
} from './reading/reader.ts'
import { type Gathering, gathering, SessionFacts } from './list/session-facts.ts'

/** How old the list may be when nobody asks for it. */
const TICK_MS = 1000
/** Sessions whose figures are held while the journal is counted in, and entries: fewer than any of them may keep. */
const BATCH_SESSIONS_MAX = 1000
const BATCH_ENTRIES_MAX = LIMITS.sightingsWaitingMax / 2

/**
 * Counts everything that the journal holds beyond the index's position into the index, up to `upTo` or to its end.
 * Works on a data directory that nobody writes to, too.
 */
export async function catchUpIndex(
  directory: string,
  keys: RecordingKeys,
  index: SessionIndex,
  upTo?: number,
  fetch?: FetchSession,
): Promise<void> {
  const begin = (await oldestHeader(directory))?.firstSequence
  const known = await index.position()
  // Thrown away, or older than what is left of the journal: then the files of the sessions tell.
  if (begin !== undefined && known + 1 < begin) await countFiles(directory, keys, index, begin, fetch)
  const from = Math.max(known + 1, begin ?? 0)
  if (upTo !== undefined && from > upTo) return
  const touched = new Map<SessionId, SessionSummary | undefined>()
  const facts = new Map<SessionId, SessionFacts>()
  let position = from - 1
  let counted = 0
  const store = async (): Promise<void> => {
    const found = gathering()
    for (const each of facts.values()) each.take(found)
    const summaries = [...touched.values()].filter((each) => each !== undefined)
    await index.upsert(summaries, position, ofSessions(found, touched))
    touched.clear()
    facts.clear()
    counted = 0
  }
  for await (const { sequence, time, session, entry } of readJournal(directory, keys, {
    fromSequence: from,
  })) {
    if (upTo !== undefined && sequence > upTo) break
    if (session !== undefined) {
      if ((!touched.has(session) && touched.size >= BATCH_SESSIONS_MAX) || counted >= BATCH_ENTRIES_MAX)
        await store()
      counted++
      const known = touched.has(session) ? touched.get(session) : await index.get(session)
      touched.set(session, fold(known && { ...known }, session, time, entry))
      let learned = facts.get(session)
      if (learned === undefined) {
        learned = new SessionFacts(session)
        facts.set(session, learned)
      }
      learned.note(time, entry)
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
  fetch: FetchSession | undefined,
): Promise<void> {
  const position = await index.position()
  let batch: SessionSummary[] = []
  let found = gathering()
  for await (const session of recordedSessions(directory)) {
    let summary: SessionSummary | undefined
    const facts = new SessionFacts(session)
    for await (const { sequence, time, entry } of readSession(directory, keys, session, { fetch })) {
      if (sequence >= begin) break
      summary = fold(summary && { ...summary }, session, time, entry)
      facts.note(time, entry)
    }
    if (summary === undefined) continue
    batch.push(summary)
    facts.take(found)
    if (batch.length < BATCH_SESSIONS_MAX && found.sightings.length < BATCH_ENTRIES_MAX) continue
    await index.upsert(batch, position, found)
    batch = []
    found = gathering()
  }
  await index.upsert(batch, begin - 1, found)
}

/** A session whose opening is not there has no line in the list, and so nothing to be found of. */
function ofSessions(
  found: Findings,
  summaries: ReadonlyMap<SessionId, SessionSummary | undefined>,
): Findings {
  const isListed = ({ session }: { readonly session: SessionId }): boolean =>
    summaries.get(session) !== undefined
  return {
    facts: found.facts.filter(isListed),
    sightings: found.sightings.filter(isListed),
    ends: found.ends.filter(isListed),
  }
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
  /** Brings session files back that were uploaded. */
  readonly fetch?: FetchSession | undefined
}

/**
 * Keeps the list of sessions up to date while the gateway runs, from the figures that the journal keeps anyway: no
 * entry is read back. What a crash left out is counted in from the journal at the start.
 */
export class Indexer implements JournalObserver {
  readonly #options: IndexerOptions
  /** Figures not stored yet, the latest of each session. */
  readonly #waiting = new Map<SessionId, SessionSummary>()
  /** What was found and is not stored yet; overflowed: it is to be read from the journal. */
  #found: Gathering = gathering()
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
    const { directory, keys, journal, index, fetch } = this.#options
    journal.flush()
    // Taken together with the attachment: what comes later is counted as it happens, what was before is read.
    const upTo = journal.flushedSequence
    const before = journal.openSessions()
    journal.observe(this)
    // A machine that lost power may have kept the index and lost the end of the journal.
    const position = await index.position()
    if (position > journal.sequenceFound) await index.upsert([], journal.sequenceFound)
    await catchUpIndex(directory, keys, index, upTo, fetch)
    this.#options.onStored?.(upTo)
    await this.#endLost(new Set(before.map(({ session }) => session)), upTo)
  }

  sessionClosed(session: SessionId, summary: SessionSummary | undefined, facts: SessionFacts): void {
    if (summary === undefined) return
    this.#waiting.set(session, { ...summary })
    facts.take(this.#found)
    this.#found = bounded(this.#found)
  }

  fileEnded(): void {
    this.#fileEnded = true
  }

  /** The sessions that match, as they are at this moment; as they were last, when the journal cannot be written. */
  async list(filter: SessionFilter): Promise<readonly SessionSummary[]> {
    await this.catchUp()
    return await this.#options.index.list(limited(filter))
  }

  /** Stores what changed, as far as that can be done. */
  async catchUp(): Promise<void> {
    try {
      await this.update()
    } catch (error) {
      this.#options.onFault(error)
    }
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
    const { journal, index, directory, keys, fetch } = this.#options
    for (const summary of journal.takeChanged(this.#found)) this.#waiting.set(summary.session, summary)
    const taken = [...this.#waiting]
    // A file without news of any session can be deleted only when the position has passed it.
    if (taken.length === 0 && !this.#fileEnded) return
    this.#fileEnded = false
    const upTo = journal.flushedSequence
    const found = this.#found
    this.#found = gathering()
    try {
      if (found.overflowed) await catchUpIndex(directory, keys, index, upTo, fetch)
      else
        await index.upsert(
          taken.map(([, summary]) => summary),
          upTo,
          found,
        )
    } catch (error) {
      this.#found = joined(found, this.#found)
      throw error
    }
    this.#options.onStored?.(upTo)
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
      const page = await index.list({
        here: true,
        open: true,
        limit,
        ...(before === undefined ? {} : { before }),
      })
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

/** Both, in order. */
function joined(first: Gathering, second: Gathering): Gathering {
  return bounded({
    facts: [...first.facts, ...second.facts],
    sightings: [...first.sightings, ...second.sightings],
    ends: [...first.ends, ...second.ends],
    overflowed: first.overflowed || second.overflowed,
  })
}

/** Of more than may wait in memory nothing is kept: the journal has it all. */
function bounded(found: Gathering): Gathering {
  const size = found.facts.length + found.sightings.length + found.ends.length
  return found.overflowed || size > LIMITS.sightingsWaitingInAllMax
    ? { ...gathering(), overflowed: true }
    : found
}
