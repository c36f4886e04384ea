import type { SessionId } from '../../core/index.ts'
import { CompactRange } from '../../evidence/tree/compact-range.ts'
import type { Hash, TreeHasher } from '../../evidence/tree/hasher.ts'
import type { LogEntry } from './log-entries.ts'

type Segment = { readonly tree: CompactRange; readonly first: number; last: number }

/** The frames of each session since the last time, as the trees that the log gets the roots of. */
export class Segments {
  readonly #hasher: TreeHasher
  readonly #open = new Map<SessionId, Segment>()

  constructor(hasher: TreeHasher) {
    this.#hasher = hasher
  }

  get size(): number {
    return this.#open.size
  }

  add(session: SessionId, sequence: number, leaf: Hash): void {
    let segment = this.#open.get(session)
    if (segment === undefined) {
      segment = { tree: new CompactRange(this.#hasher), first: sequence, last: sequence }
      this.#open.set(session, segment)
    }
    segment.tree.append(leaf)
    segment.last = sequence
  }

  /** In the order in which their sessions came up. */
  take(): LogEntry[] {
    const entries = [...this.#open].map(([session, { tree, first, last }]): LogEntry => {
      return { kind: 'segment', session, first, last, frames: tree.size, root: tree.root() }
    })
    this.#open.clear()
    return entries
  }
}
