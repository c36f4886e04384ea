import type { Clock, Entry, SessionId } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import type { SessionFilter, SessionSummary } from '../list/index-port.ts'
import type { RecordedEntry } from './reader.ts'

/** What a search has found so far, and where it goes on. */
export type SearchPage = {
  readonly sessions: readonly (SessionSummary & {
    /** Numbers of the commands whose statement holds the text; the first few. */
    readonly matches: readonly number[]
  })[]
  /** Sessions whose recordings were read. */
  readonly searched: number
  /** Pass it as `before` to go on; absent at the end. */
  readonly next?: SessionId
}

export type SearchParts = {
  readonly clock: Clock
  list(filter: SessionFilter): Promise<readonly SessionSummary[]>
  read(session: SessionId): AsyncIterable<RecordedEntry>
  /** What of an entry the one who searches may read: nothing else is found. Given every entry, in order. */
  shown(entry: Entry): Entry
}

/** Commands named of one session: enough to know where to look. */
const MATCHES_MAX = 20

/**
 * The sessions of a filter in one of whose statements a text stands, whatever its case and however it is spaced; newest
 * first. Reads recordings one after the other, so many and so long at most as LIMITS says, and tells how far it came.
 */
export async function searchSessions(
  { clock, list, read, shown }: SearchParts,
  filter: SessionFilter,
  text: string,
): Promise<SearchPage> {
  const wanted = plain(text)
  const until = clock.now() + LIMITS.searchMs
  const sessions: SearchPage['sessions'][number][] = []
  let searched = 0
  let before = filter.before
  for (;;) {
    const limit = Math.min(LIMITS.sessionsListedMax, 100)
    const page = await list({ ...filter, limit, ...(before === undefined ? {} : { before }) })
    for (const summary of page) {
      if (summary.commands > 0) {
        const matches = await matching(read(summary.session), shown, wanted)
        if (matches.length > 0) sessions.push({ ...summary, matches })
        searched++
      }
      before = summary.session
      if (sessions.length >= filter.limit || searched >= LIMITS.sessionsSearchedMax || clock.now() >= until)
        return { sessions, searched, next: before }
    }
    if (page.length < limit) return { sessions, searched }
  }
}

async function matching(
  entries: AsyncIterable<RecordedEntry>,
  shown: SearchParts['shown'],
  wanted: string,
): Promise<number[]> {
  const matches: number[] = []
  for await (const recorded of entries) {
    const entry = shown(recorded.entry)
    if (entry.kind !== 'intent' || !plain(entry.head.text).includes(wanted)) continue
    matches.push(entry.head.n)
    if (matches.length >= MATCHES_MAX) break
  }
  return matches
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/\s+/g, ' ').trim()
}
