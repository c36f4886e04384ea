import type { SessionId } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import type {
  Findings,
  SeenColumn,
  SeenFilter,
  SeenTable,
  SessionFact,
  SessionFilter,
  SessionIndex,
  SessionSummary,
  Sighting,
  SightingFilter,
  SightingPlace,
  Viewer,
} from '../recording/index.ts'
import { ANY } from '../recording/index.ts'

const FACT_KINDS = ['group', 'class', 'decision', 'read', 'written', 'masked', 'clear'] as const

/** The list of sessions in memory. */
export class MemorySessionIndex implements SessionIndex {
  readonly #sessions = new Map<SessionId, SessionSummary>()
  readonly #facts = new Map<string, SessionFact>()
  readonly #sightings = new Map<string, Sighting>()
  /** Keys of the sightings of each command. */
  readonly #commands = new Map<string, Set<string>>()
  #position = 0

  position(): Promise<number> {
    return Promise.resolve(this.#position)
  }

  get(session: SessionId): Promise<SessionSummary | undefined> {
    return Promise.resolve(this.#sessions.get(session))
  }

  upsert(summaries: readonly SessionSummary[], position: number, found?: Findings): Promise<void> {
    for (const summary of summaries) this.#sessions.set(summary.session, summary)
    for (const fact of found?.facts ?? []) {
      const key = `${fact.session} ${fact.kind} ${fact.value}`
      const known = this.#facts.get(key)
      this.#facts.set(
        key,
        known === undefined
          ? fact
          : { ...known, commands: known.commands + fact.commands, lastAt: fact.lastAt },
      )
    }
    for (const each of found?.sightings ?? []) {
      const command = `${each.session} ${each.n}`
      const key = `${command} ${each.label} ${each.column}`
      this.#sightings.set(key, each)
      this.#commands.set(command, (this.#commands.get(command) ?? new Set()).add(key))
    }
    for (const end of found?.ends ?? [])
      for (const key of this.#commands.get(`${end.session} ${end.n}`) ?? []) {
        const known = this.#sightings.get(key)
        if (known !== undefined) this.#sightings.set(key, { ...known, ...end })
      }
    this.#position = position
    return Promise.resolve()
  }

  list(filter: SessionFilter): Promise<readonly SessionSummary[]> {
    const matching = [...this.#sessions.values()].filter((each) => this.#matches(each, filter))
    matching.sort((a, b) => (a.session < b.session ? 1 : -1))
    return Promise.resolve(matching.slice(0, filter.limit))
  }

  sightings(filter: SightingFilter) {
    const { after } = filter
    const order = ({ at, session, n, column, label }: SightingPlace): string =>
      `${String(at).padStart(16, '0')} ${session} ${String(n).padStart(16, '0')} ${column} ${label}`
    const found = this.#seen(filter).filter((each) => after === undefined || order(each) < order(after))
    found.sort((a, b) => (order(a) < order(b) ? 1 : -1))
    return Promise.resolve(
      found.slice(0, filter.limit).map((each) => {
        const { chain = [], connection = '' } = this.#sessions.get(each.session) ?? {}
        return { ...each, chain, connection }
      }),
    )
  }

  viewers(filter: SightingFilter): Promise<readonly Viewer[]> {
    const commands = new Map(
      this.#seen(filter).map((each) => [`${each.session} ${each.n} ${each.shown}`, each]),
    )
    const groups = Map.groupBy(commands.values(), ({ session, shown }) =>
      JSON.stringify([this.#sessions.get(session)?.chain, shown]),
    )
    const all = [...groups.values()].flatMap((group) => {
      const [first] = group
      const chain = first === undefined ? undefined : this.#sessions.get(first.session)?.chain
      return first === undefined || chain === undefined
        ? []
        : [{ chain, shown: first.shown, ...total(group) }]
    })
    return Promise.resolve(all.toSorted((a, b) => b.lastAt - a.lastAt).slice(0, filter.limit))
  }

  labelsOf(column: string): Promise<readonly string[]> {
    const labels = [...this.#sightings.values()].filter((each) => each.column === column)
    return Promise.resolve([...new Set(labels.map(({ label }) => label))].sort())
  }

  seenColumns(filter: SeenFilter): Promise<readonly SeenColumn[]> {
    const seen = [...this.#sightings.values()].filter(
      (each) => !each.empty && this.#isBy(each, filter) && isWithin(each.at, each.at, filter),
    )
    const groups = Map.groupBy(seen, ({ label, column, shown }) => `${label} ${column} ${shown}`)
    const all = [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, group]) => {
        const [first] = group
        if (first === undefined) return []
        const { column, label, shown } = first
        return [{ column, label, shown, ...total(group) }]
      })
    return Promise.resolve(all.slice(0, filter.limit))
  }

  seenTables(filter: SeenFilter): Promise<readonly SeenTable[]> {
    const facts = [...this.#facts.values()].filter(
      (each) =>
        (each.kind === 'read' || each.kind === 'written') &&
        this.#isBy(each, filter) &&
        isWithin(each.firstAt, each.lastAt, filter),
    )
    const groups = Map.groupBy(facts, ({ value, kind }) => `${value} ${kind}`)
    const all = [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, group]) => ({
        kind: group[0]?.kind === 'read' ? ('read' as const) : ('written' as const),
        table: group[0]?.value ?? '',
        commands: group.reduce((sum, each) => sum + each.commands, 0),
        firstAt: Math.min(...group.map((each) => each.firstAt)),
        lastAt: Math.max(...group.map((each) => each.lastAt)),
      }))
    return Promise.resolve(all.slice(0, filter.limit))
  }

  #isBy({ session }: { readonly session: SessionId }, { by }: SeenFilter): boolean {
    return this.#sessions.get(session)?.chain.includes(by) === true
  }

  #seen(filter: SightingFilter): Sighting[] {
    const { saw, labels } = filter
    return [...this.#sightings.values()].filter(
      ({ column, label, empty, at }) =>
        !empty &&
        isWithin(at, at, filter) &&
        (column === saw || label === saw || (column === ANY && labels.includes(label))),
    )
  }

  #matches(summary: SessionSummary, filter: SessionFilter): boolean {
    const { connection, identity, open, openedFrom, openedBefore, before, table } = filter
    const has = (kind: SessionFact['kind'], wanted: string): boolean =>
      [wanted.slice(0, LIMITS.factCharactersMax), ANY].some((value) =>
        this.#facts.has(`${summary.session} ${kind} ${value}`),
      )
    return (
      (connection === undefined || summary.connection === connection) &&
      (identity === undefined || summary.chain.includes(identity)) &&
      (open === undefined || (summary.closedAt === undefined) === open) &&
      (openedFrom === undefined || summary.openedAt >= openedFrom) &&
      (openedBefore === undefined || summary.openedAt < openedBefore) &&
      (before === undefined || summary.session < before) &&
      (table === undefined || has('read', table) || has('written', table) || has('tried', table)) &&
      FACT_KINDS.every((kind) => {
        const wanted = filter[kind]
        return wanted === undefined || has(kind, wanted)
      })
    )
  }
}

function isWithin(
  first: number,
  last: number,
  { from, before }: { readonly from?: number; readonly before?: number },
): boolean {
  return (from === undefined || last >= from) && (before === undefined || first < before)
}

function total(group: readonly Sighting[]) {
  return {
    commands: group.length,
    rows: group.reduce((sum, each) => sum + each.rows, 0),
    firstAt: Math.min(...group.map((each) => each.at)),
    lastAt: Math.max(...group.map((each) => each.at)),
  }
}
