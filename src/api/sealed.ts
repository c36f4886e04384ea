import type { Entry, IdentityChain, LabelName } from '../core/index.ts'
import { brand, type ConnectionName } from '../core/index.ts'
import type { Caller } from './caller.ts'
import type { ApiParts } from './parts.ts'

/** What a session uses in its commands that may have sealed values and have not ended, by number. */
type Reading = { readonly connection: ConnectionName; readonly used: Map<number, readonly string[]> }

/**
 * What one caller may read of recorded entries: a sealed value only where the policy in force would show this caller the
 * columns of its labels in clear. Entries of several sessions may come in any order, each `open` before its others.
 */
export class SealedReading {
  readonly #parts: Pick<ApiParts, 'recording' | 'policy' | 'clock'>
  readonly #chain: IdentityChain | undefined
  readonly #sessions = new Map<string, Reading>()

  /** The operator socket has no chain, and sees no value in clear. */
  constructor(parts: Pick<ApiParts, 'recording' | 'policy' | 'clock'>, caller: Caller) {
    this.#parts = parts
    this.#chain = caller.chain
  }

  shown(session: string, entry: Entry): Entry {
    if (entry.kind === 'open') this.on(session, brand<ConnectionName>(entry.head.connection))
    const reading = this.#sessions.get(session)
    if (entry.kind === 'intent') {
      const { n, sealed, reads = [], writes = [] } = entry.head
      // What comes back may be sealed where nothing of the text is. Who may see what in no relation at all, no rule says.
      if (sealed !== undefined || reads.length + writes.length > 0)
        reading?.used.set(n, [...reads, ...writes])
    }
    const seen = this.#parts.recording.shown(entry, (label, n) => this.#sees(reading, label, n))
    if (entry.kind === 'outcome') reading?.used.delete(entry.head.n)
    if (entry.kind === 'close') this.#sessions.delete(session)
    return seen
  }

  /** A session that was opened before the first entry that is shown. */
  on(session: string, connection: ConnectionName): void {
    this.#sessions.set(session, { connection, used: new Map() })
  }

  #sees(reading: Reading | undefined, label: string, n: number): boolean {
    const used = reading?.used.get(n)
    if (this.#chain === undefined || reading === undefined || used === undefined) return false
    const { connection } = reading
    const labels = [brand<LabelName>(label)]
    const facts = {
      class: 'read',
      statements: [{ class: 'read' }],
      reads: used,
      writes: [],
      calls: [],
      labels,
      touches: [],
      filters: [],
      stores: [],
      unbounded: false,
      writesEverything: false,
      redefines: false,
      attributes: { parsed: true, reach: true },
    } as const
    const now = this.#parts.clock.now()
    return this.#parts.policy().sees({ chain: this.#chain, connection, facts, now }, brand<LabelName>(label))
  }
}
