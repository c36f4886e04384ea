import type { SessionId } from '../core/index.ts'
import type { SessionFilter, SessionIndex, SessionSummary } from '../recording/index.ts'

/** The list of sessions in memory. */
export class MemorySessionIndex implements SessionIndex {
  readonly #sessions = new Map<SessionId, SessionSummary>()
  #position = 0

  position(): Promise<number> {
    return Promise.resolve(this.#position)
  }

  get(session: SessionId): Promise<SessionSummary | undefined> {
    return Promise.resolve(this.#sessions.get(session))
  }

  upsert(summaries: readonly SessionSummary[], position: number): Promise<void> {
    for (const summary of summaries) this.#sessions.set(summary.session, summary)
    this.#position = position
    return Promise.resolve()
  }

  list(filter: SessionFilter): Promise<readonly SessionSummary[]> {
    const matching = [...this.#sessions.values()].filter((each) => matches(each, filter))
    matching.sort((a, b) => (a.session < b.session ? 1 : -1))
    return Promise.resolve(matching.slice(0, filter.limit))
  }
}

function matches(summary: SessionSummary, filter: SessionFilter): boolean {
  const { connection, identity, open, openedFrom, openedBefore, before } = filter
  return (
    (connection === undefined || summary.connection === connection) &&
    (identity === undefined || summary.chain.includes(identity)) &&
    (open === undefined || (summary.closedAt === undefined) === open) &&
    (openedFrom === undefined || summary.openedAt >= openedFrom) &&
    (openedBefore === undefined || summary.openedAt < openedBefore) &&
    (before === undefined || summary.session < before)
  )
}
