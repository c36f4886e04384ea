import type { Entry, IdentityChain, IntentHead, LabelName } from '../core/index.ts'
import { brand, type ConnectionName } from '../core/index.ts'
import type { Caller } from './caller.ts'
import type { ApiParts } from './parts.ts'

/**
 * What one caller may read of recorded entries: a sealed value only where the policy in force would show this caller the
 * columns of its labels in clear. Entries of several sessions may come in any order, each `open` before its others.
 */
export class SealedReading {
  readonly #parts: Pick<ApiParts, 'recording' | 'policy' | 'clock'>
  readonly #chain: IdentityChain | undefined
  readonly #connections = new Map<string, ConnectionName>()

  /** The operator socket has no chain, and sees no value in clear. */
  constructor(parts: Pick<ApiParts, 'recording' | 'policy' | 'clock'>, caller: Caller) {
    this.#parts = parts
    this.#chain = caller.chain
  }

  shown(session: string, entry: Entry): Entry {
    if (entry.kind === 'open') this.on(session, brand<ConnectionName>(entry.head.connection))
    const seen = this.#parts.recording.shown(entry, (label, head) => this.#sees(session, label, head))
    if (entry.kind === 'close') this.#connections.delete(session)
    return seen
  }

  /** A session that was opened before the first entry that is shown. */
  on(session: string, connection: ConnectionName): void {
    this.#connections.set(session, connection)
  }

  #sees(session: string, label: string, { reads = [], writes = [] }: IntentHead): boolean {
    const connection = this.#connections.get(session)
    if (this.#chain === undefined || connection === undefined) return false
    const labels = [brand<LabelName>(label)]
    const facts = {
      class: 'read',
      statements: [{ class: 'read' }],
      reads: [...reads, ...writes],
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
