import type { LogEntry } from '../check/entry.ts'
import { objectOf } from '../check/objects.ts'
import { headOf, KIND } from '../check/part.ts'
import { Ranges, type Removal, removalOf } from '../check/removals.ts'

/** What an entry of the log says of payloads that were removed from a session; undefined for any other, and one that cannot be read. */
export function removalIn(session: string, entry: LogEntry): Removal | undefined {
  if (entry.kind !== 'frame' || entry.session !== undefined || !('part' in entry.frame)) return undefined
  const { part, head } = entry.frame
  if (head.kind !== KIND.admin) return undefined
  try {
    const { action, by, target, details } = objectOf(headOf(part))
    if (action !== 'recording.removed' || target !== session) return undefined
    return removalOf(session, by, head.time, objectOf(details))
  } catch {
    return undefined
  }
}

/** Which payloads of a session entries of the log say were removed. */
export class RemovedPayloads {
  readonly #ranges = new Map<string, Ranges>()

  constructor(session: string, entries: Iterable<LogEntry>) {
    for (const entry of entries) {
      const { payload, frames } = removalIn(session, entry) ?? { payload: '', frames: [] }
      const ranges = this.#ranges.get(payload) ?? new Ranges()
      for (const each of frames) ranges.add(each)
      this.#ranges.set(payload, ranges)
    }
  }

  has(payload: string, sequence: number): boolean {
    return this.#ranges.get(payload)?.has(sequence) === true
  }
}
