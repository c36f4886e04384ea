import type { Connection } from '../core/index.ts'
import { brand, type ConnectionName } from '../core/index.ts'
import type { Policy } from '../policy/index.ts'
import type { RecordedEntry } from '../recording/index.ts'
import type { Rejudge, Rejudged, RejudgedSession } from '../session/index.ts'
import { commandsOf, type Recorded } from './commands.ts'
import { type Group, Groups, type Place, shapeOf } from './groups.ts'
import { Estimates, Judging, unlike, type Why } from './judging.ts'
import { changeBetween, type Outcome } from './outcome.ts'

/** A configuration as far as it decides. */
export type Deciding = {
  readonly policy: Policy
  readonly connections: ReadonlyMap<ConnectionName, Connection>
}

export type Unjudged = { readonly why: Why; readonly count: number; readonly places: readonly Place[] }

export type Simulation = {
  readonly sessions: number
  /** In the range; each is unchanged, changed, or cannot be judged. */
  readonly commands: number
  readonly unchanged: number
  readonly changed: number
  readonly groups: readonly Group[]
  /** Changes that are in no group, because there are too many of these. */
  readonly ungrouped: number
  readonly unjudged: readonly Unjudged[]
}

export type SimulationParts = {
  readonly draft: Deciding
  /** The configuration at this address; undefined: it is not kept. The same object each time. */
  configuration(address: string): Promise<Deciding | undefined>
  /** By name of the protocol. */
  rejudge(protocol: string): Promise<Rejudge | undefined>
  /** Commands of this time, in milliseconds, are reported; those before count for what they leave behind. */
  readonly since: number
  readonly until: number
  readonly connection: string | undefined
}

/** Places that are named of each reason. */
const PLACES_MAX = 100

/**
 * Draft against recording: each recorded command is judged by its own configuration, which has to come to what was recorded,
 * and by the draft, over the same definitions and in the same state of its session.
 */
export class Simulator {
  readonly #parts: SimulationParts
  readonly #groups = new Groups()
  readonly #unjudged = new Map<Why, { count: number; places: Place[] }>()
  readonly #judging = new Judging()
  #sessions = 0
  #commands = 0
  #unchanged = 0

  constructor(parts: SimulationParts) {
    this.#parts = parts
  }

  /** Takes one session from its first entry on. */
  async session(entries: AsyncIterable<RecordedEntry>): Promise<void> {
    const { connection, since, until } = this.#parts
    const commands = commandsOf(entries, (open) => connection === undefined || open.connection === connection)
    let pair: Pair | undefined
    let counted = false
    for await (const recorded of commands) {
      if (recorded.time > until) return
      const rejudge = await this.#parts.rejudge(recorded.open.protocol)
      if (rejudge === undefined) continue
      pair ??= new Pair(rejudge)
      // The gateway's own question on behalf of the one behind it.
      if (pair.estimates.takes(recorded)) continue
      const compared = await this.#compare(recorded, pair)
      if (recorded.time < since) continue
      if (!counted) this.#sessions++
      counted = true
      this.#count(recorded, compared)
    }
  }

  result(): Simulation {
    return {
      sessions: this.#sessions,
      commands: this.#commands,
      unchanged: this.#unchanged,
      changed: this.#groups.count,
      groups: this.#groups.all(),
      ungrouped: this.#groups.ungrouped,
      unjudged: [...this.#unjudged].map(([why, { count, places }]) => ({ why, count, places })),
    }
  }

  #count(recorded: Recorded, compared: Compared | Why): void {
    const { session, time, intent, open } = recorded
    const place = { session, n: intent.n, time }
    this.#commands++
    if (typeof compared === 'string') {
      const known = this.#unjudged.get(compared) ?? { count: 0, places: [] }
      known.count++
      if (known.places.length < PLACES_MAX) known.places.push(place)
      this.#unjudged.set(compared, known)
      return
    }
    const { before, after, shape } = compared
    const change = changeBetween(before, after)
    if (change === undefined) this.#unchanged++
    else this.#groups.add({ place, connection: open.connection, shape, before, after, change })
  }

  /** Both sides see every command, so that each knows what those behind it find. */
  async #compare(recorded: Recorded, pair: Pair): Promise<Compared | Why> {
    const { basis, intent, open } = recorded
    if (basis === undefined) return 'basis'
    if (recorded.erased) return 'payload'
    const name = brand<ConnectionName>(open.connection)
    const command = { intent, basis, outcome: recorded.outcome }
    const then = await this.#parts.configuration(basis.configuration)
    const was = then?.connections.get(name)
    const is = this.#parts.draft.connections.get(name)
    const before = was === undefined ? undefined : await pair.before.next(command, was)
    const after =
      is === undefined || is.protocol !== open.protocol
        ? ({ kind: 'refused', message: `The draft has no such connection: ${open.connection}.` } as const)
        : await pair.after.next(command, is)
    if (then === undefined || before === undefined) return 'configuration'
    if (before.kind === 'unknown') return before.why
    const judged = this.#judging.decided(recorded, before, then.policy, pair.estimates)
    const mismatch = unlike(recorded, before, judged.decision)
    if (mismatch !== undefined) return mismatch
    if (after.kind === 'unknown') return after.why
    const drafted = this.#judging.decided(recorded, after, this.#parts.draft.policy, pair.estimates)
    if (drafted.unasked && !judged.unasked) return 'estimate'
    return { before: judged.outcome, after: drafted.outcome, shape: shapeFor(recorded, before) }
  }
}

type Compared = { readonly before: Outcome; readonly after: Outcome; readonly shape: string }

/** One session, as it was and as it would be. */
class Pair {
  readonly before: RejudgedSession
  readonly after: RejudgedSession
  readonly estimates = new Estimates()

  constructor(rejudge: Rejudge) {
    this.before = rejudge.session()
    this.after = rejudge.session()
  }
}

function shapeFor({ intent }: Recorded, judged: Rejudged): string {
  const { method, route } = judged.kind === 'facts' ? judged.facts.attributes : {}
  return route === undefined ? shapeOf(intent.text) : `${String(method)} ${String(route)}`
}
