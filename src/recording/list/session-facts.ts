import type { Entry, IntentHead, OutcomeHead, SessionId } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import type { FactKind, Findings, SessionFact, Sighting, SightingEnd } from './index-port.ts'
import { ANY } from './index-port.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A fact with what has been added to it since it was taken last. */
type Fact = Mutable<SessionFact> & { changed: boolean }

/** What is compared of two commands. */
type Judged = {
  readonly [K in 'reads' | 'writes' | 'columns' | 'class' | 'decision' | 'masked']?: IntentHead[K] | undefined
}

type Flight = { readonly sightings: Sighting[]; taken: boolean }

/** Findings that are being gathered. */
export type Gathering = { readonly [K in keyof Findings]: Findings[K][number][] } & {
  /** More has happened than was kept: the journal has to be read for it. */
  overflowed: boolean
}

export function gathering(): Gathering {
  return { facts: [], sightings: [], ends: [], overflowed: false }
}

/**
 * What the index learns of one session as its entries go by. Called for every entry while it is written: a command that
 * is like the one before costs a comparison and a count.
 */
export class SessionFacts {
  readonly #session: SessionId
  readonly #known = new Map<string, Fact>()
  /** Commands under way that may show something; whole: there are no others. */
  #flights: Map<number, Flight> | undefined
  #changed: Fact[] = []
  #sightings: Sighting[] = []
  #ends: (SightingEnd & { readonly session: SessionId; readonly n: number })[] = []
  #last: { readonly head: Judged; readonly facts: readonly Fact[] } | undefined
  #whole = false
  #overflowed = false

  constructor(session: SessionId) {
    this.#session = session
  }

  note(time: number, entry: Entry): void {
    switch (entry.kind) {
      case 'open':
        this.#whole = true
        for (const { groups } of entry.head.chain)
          for (const group of groups) this.#count([this.#fact('group', group)], time)
        break
      case 'intent':
        this.#intent(time, entry.head)
        break
      case 'outcome':
        this.#outcome(entry.head)
        break
      default:
        break
    }
  }

  /** Hands over what was added since the last time. */
  take(into: Gathering): void {
    for (const { changed: _changed, ...fact } of this.#changed) into.facts.push(fact)
    for (const fact of this.#changed) {
      fact.commands = 0
      fact.changed = false
    }
    this.#changed = []
    into.sightings.push(...this.#sightings)
    for (const flight of this.#flights?.values() ?? []) {
      if (flight.taken) continue
      flight.taken = true
      into.sightings.push(...flight.sightings)
    }
    this.#sightings = []
    into.ends.push(...this.#ends)
    this.#ends = []
    into.overflowed ||= this.#overflowed
    this.#overflowed = false
  }

  #intent(time: number, head: IntentHead): void {
    const last = this.#last
    const facts = last !== undefined && isLike(last.head, head) ? last.facts : this.#factsOf(head)
    // Not the whole head: its text is as long as it likes, and the session may be idle from now on.
    const { reads, writes, columns, class: commandClass, decision, masked } = head
    this.#last = { head: { reads, writes, columns, class: commandClass, decision, masked }, facts }
    this.#count(facts, time)
    const sightings = sightingsOf(this.#session, time, head)
    if (sightings.length === 0) return
    if (this.#sightings.length + (this.#flights?.size ?? 0) < LIMITS.sightingsWaitingMax) {
      this.#flights ??= new Map()
      this.#flights.set(head.n, { sightings, taken: false })
    } else {
      this.#overflowed = true
      this.#whole = false
    }
  }

  #outcome(head: OutcomeHead): void {
    const end = endOf(head)
    const flight = this.#flights?.get(head.n)
    this.#flights?.delete(head.n)
    if (flight === undefined) {
      // It began before this was looked at; whether there is anything to end, the index knows.
      if (!this.#whole) this.#ends.push({ ...end, session: this.#session, n: head.n })
      return
    }
    for (const each of flight.sightings) this.#sightings.push({ ...each, ...end })
  }

  #factsOf(head: IntentHead): readonly Fact[] {
    const denied = head.decision === 'deny'
    const masked = head.masked ?? []
    // What only the client says exists may be anything that it wrote: it stays in the recording.
    const isKnown = (name: string): boolean => head.typed?.includes(name) !== true
    const clear = (head.columns ?? []).filter(({ label }) => !masked.includes(label))
    return [
      this.#fact('class', head.class),
      this.#fact('decision', head.decision),
      ...(head.reads ?? []).filter(isKnown).map((each) => this.#fact(denied ? 'tried' : 'read', each)),
      ...(head.writes ?? []).filter(isKnown).map((each) => this.#fact(denied ? 'tried' : 'written', each)),
      ...masked.map((each) => this.#fact('masked', each)),
      ...[...new Set(clear.map(({ label }) => label))].map((each) => this.#fact('clear', each)),
    ]
  }

  #fact(kind: FactKind, whole: string): Fact {
    const value = whole.slice(0, LIMITS.factCharactersMax)
    const known = this.#known.get(`${kind} ${value}`)
    if (known !== undefined) return known
    if (this.#known.size >= LIMITS.factsPerSessionMax && value !== ANY) return this.#fact(kind, ANY)
    const fact: Fact = {
      session: this.#session,
      kind,
      value,
      commands: 0,
      firstAt: 0,
      lastAt: 0,
      changed: false,
    }
    this.#known.set(`${kind} ${value}`, fact)
    return fact
  }

  #count(facts: readonly Fact[], time: number): void {
    for (const fact of facts) {
      if (!fact.changed) {
        fact.changed = true
        fact.firstAt = time
        this.#changed.push(fact)
      }
      fact.commands++
      fact.lastAt = time
    }
  }
}

/** The lists of one judgement are the same objects each time. */
function isLike(a: Judged, b: Judged): boolean {
  return (
    a.reads === b.reads &&
    a.writes === b.writes &&
    a.columns === b.columns &&
    a.class === b.class &&
    a.decision === b.decision &&
    a.masked?.length === b.masked?.length &&
    (a.masked ?? []).every((label, i) => b.masked?.[i] === label)
  )
}

const UNKNOWN_END: SightingEnd = { rows: 0, bytes: 0, empty: false }

function sightingsOf(session: SessionId, at: number, head: IntentHead): Sighting[] {
  const { n, masked = [], columns } = head
  if (columns === undefined && masked.length === 0) return []
  // Recordings of before columns were named say only which labels were masked.
  const named = columns ?? masked.map((label) => ({ column: ANY, label }))
  return named.map(({ column, label }) => ({
    session,
    n,
    at,
    column: column.slice(0, LIMITS.factCharactersMax),
    label,
    shown: masked.includes(label) ? 'masked' : 'clear',
    ...UNKNOWN_END,
  }))
}

/** `SELECT 0`: a result that counts its rows, and has none. */
const NO_ROWS = / 0$/

function endOf({ outcome, rows, bytes, tag }: OutcomeHead): SightingEnd {
  const nothing =
    outcome === 'refused' || outcome === 'skipped' || (rows === 0 && (bytes === 0 || NO_ROWS.test(tag)))
  return { outcome, rows, bytes, empty: nothing }
}
