import type { Entry, Journal, SessionId } from '../core/index.ts'
import type { Metrics } from './metrics.ts'

/** The same journal, counted: whatever is worth a number is an entry anyway, so the pipeline needs no second hook. */
export function meteredJournal(journal: Journal, metrics: Metrics): Journal {
  const timed = (write: () => void): void => {
    const began = performance.now()
    try {
      write()
    } catch (error) {
      metrics.failed()
      throw error
    }
    metrics.flushed((performance.now() - began) / 1000)
  }
  return {
    append(session: SessionId | undefined, entry: Entry) {
      journal.append(session, entry)
      metrics.count(entry)
    },
    flush: () => timed(() => journal.flush()),
    sync: () => timed(() => journal.sync()),
    seal: (labels, values) => journal.seal(labels, values),
    fingerprint: (text) => journal.fingerprint(text),
  }
}
