import { brand, type ConnectionName } from '../core/index.ts'
import type { RecordedEntry } from '../recording/index.ts'
import type { Rejudged, RejudgedSession } from '../session/index.ts'
import { commandsOf, type Recorded } from './commands.ts'
import type { Place } from './groups.ts'
import { Estimates, Judging, unlike, type Why } from './judging.ts'
import type { Deciding, SimulationParts, Unjudged } from './simulate.ts'

/** A recorded decision that is not what its policy gives. */
export type Differing = Place & {
  readonly connection: string
  readonly recorded: { readonly decision: string; readonly rules: readonly string[] }
  readonly judged: { readonly decision: string; readonly rules: readonly string[] }
}

export type PolicyCheck = {
  /** The version that was asked about. */
  readonly policy: string
  /** In the range, and those among them that were decided by this version. */
  readonly commands: number
  readonly byThis: number
  readonly same: number
  /** By what no rule decides: a budget, a value. */
  readonly byNoRule: number
  readonly differing: readonly Differing[]
  readonly differingCount: number
  readonly unjudged: readonly Unjudged[]
  /** The versions that decided the others, with how many; `unknown`: the recording does not say. */
  readonly others: Readonly<Record<string, number>>
}

export type PolicyCheckParts = Pick<SimulationParts, 'configuration' | 'rejudge'> & {
  /** The configuration that is held against the recording. */
  readonly given: Deciding
}

/** Places and differences that are named; versions that are told apart. */
const NAMED_MAX = 100

/**
 * Recorded decisions against the policy that made them: for each command that was decided by this very version, whether it
 * gives what was recorded, over the definitions of that time.
 */
export class PolicyChecker {
  readonly #parts: PolicyCheckParts
  readonly #judging = new Judging()
  readonly #differing: Differing[] = []
  readonly #unjudged = new Map<Why, { count: number; places: Place[] }>()
  readonly #others = new Map<string, number>()
  #differingCount = 0
  #commands = 0
  #byThis = 0
  #same = 0
  #byNoRule = 0

  constructor(parts: PolicyCheckParts) {
    this.#parts = parts
  }

  /** Takes one session from its first entry on. */
  async session(entries: AsyncIterable<RecordedEntry>): Promise<void> {
    const { given } = this.#parts
    const estimates = new Estimates()
    let judged: RejudgedSession | undefined
    for await (const recorded of commandsOf(entries, () => true)) {
      if (estimates.takes(recorded)) continue
      this.#commands++
      const { basis, open, intent, outcome } = recorded
      const version = basis?.policy ?? 'unknown'
      const isThis = version === given.policy.version
      if (!isThis) this.#other(version)
      else this.#byThis++
      if (basis === undefined) continue
      if (recorded.erased) {
        if (isThis) this.#cannot(recorded, 'payload')
        continue
      }
      judged ??= (await this.#parts.rejudge(open.protocol))?.session()
      // The others count for what they leave behind.
      const by = isThis ? given : await this.#parts.configuration(basis.configuration)
      const connection = by?.connections.get(brand<ConnectionName>(open.connection))
      const found =
        connection === undefined ? undefined : await judged?.next({ intent, basis, outcome }, connection)
      if (!isThis) continue
      if (found === undefined) this.#cannot(recorded, 'configuration')
      else if (found.kind === 'unknown') this.#cannot(recorded, found.why)
      else this.#hold(recorded, found, estimates)
    }
  }

  result(): PolicyCheck {
    return {
      policy: this.#parts.given.policy.version,
      commands: this.#commands,
      byThis: this.#byThis,
      same: this.#same,
      byNoRule: this.#byNoRule,
      differing: this.#differing,
      differingCount: this.#differingCount,
      unjudged: [...this.#unjudged].map(([why, { count, places }]) => ({ why, count, places })),
      others: Object.fromEntries(this.#others),
    }
  }

  #hold(recorded: Recorded, found: Rejudged, estimates: Estimates): void {
    const { intent, open } = recorded
    const { policy } = this.#parts.given
    const { outcome, decision, unasked } = this.#judging.decided(recorded, found, policy, estimates)
    const why = unlike(recorded, found, decision)
    if (why === undefined) this.#same++
    else if (why !== 'differs') this.#byNoRule++
    else if (unasked) this.#cannot(recorded, 'estimate')
    else {
      this.#differingCount++
      if (this.#differing.length >= NAMED_MAX) return
      this.#differing.push({
        ...placeOf(recorded),
        connection: open.connection,
        recorded: { decision: intent.decision, rules: intent.rules },
        judged: { decision: outcome.decision, rules: outcome.rules },
      })
    }
  }

  #cannot(recorded: Recorded, why: Why): void {
    const known = this.#unjudged.get(why) ?? { count: 0, places: [] }
    known.count++
    if (known.places.length < NAMED_MAX) known.places.push(placeOf(recorded))
    this.#unjudged.set(why, known)
  }

  #other(version: string): void {
    const name = this.#others.size < NAMED_MAX || this.#others.has(version) ? version : 'further versions'
    this.#others.set(name, (this.#others.get(name) ?? 0) + 1)
  }
}

function placeOf({ session, intent, time }: Recorded): Place {
  return { session, n: intent.n, time }
}
