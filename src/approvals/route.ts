import type { Identity, Review } from '../core/index.ts'
import { identityKey } from '../core/index.ts'

/** Members of any of the groups, and the identities themselves (`identityKey`). */
type Holders = { readonly groups: readonly string[]; readonly identities: readonly string[] }

/** UTC. Days from 1, Monday, to 7; minutes since midnight: from the first up to the last, which is not among them. */
export type Hours = { readonly days: readonly number[]; readonly from: number; readonly to: number }

/** A route as the configuration has it. */
export type NamedRoute = {
  readonly name: string
  readonly steps: readonly (Holders & { readonly anyone: boolean; readonly people: number })[]
  readonly escalation: (Holders & { readonly afterMs: number }) | undefined
  readonly hours: Hours | undefined
  readonly reason: boolean
  readonly ownPerson: boolean
  /** Names of channels that are told of its requests, and of those through which a person may answer them. */
  readonly channels?: readonly string[]
  readonly answers?: readonly string[]
}

/** The routes in force, and the one where no rule names any. */
export type Routes = {
  readonly routes: ReadonlyMap<string, NamedRoute>
  readonly default: string | undefined
}

/** So many distinct people of these; `anyone`: of all who may answer at all. */
export type Step = Holders & {
  /** The route it comes from. */
  readonly route: string
  readonly anyone: boolean
  readonly people: number
  /** Who else may answer when so much time has passed since it was asked. */
  readonly escalation?: Holders & { readonly afterMs: number }
}

/** Who may answer, beyond holding the approver role: fixed when the request is made. */
export type Route = {
  /** One after the other; whoever has answered in one counts in no other. */
  readonly steps: readonly [Step, ...Step[]]
  /** A yes counts only while it is within all of them. */
  readonly hours: readonly Hours[]
  /** Whoever approves has to say why. */
  readonly reason: boolean
  /**
   * A person may answer for an agent that acts for them. Never for `administer` or `opaque` commands or access, and never
   * for what the person asked for without an agent in between.
   */
  readonly ownPerson: boolean
  /** Channels that are told: those of each of its routes. */
  readonly channels?: readonly string[]
  /** Channels through which a person may answer: those that each of its routes lets. Absent or empty: none. */
  readonly answers?: readonly string[]
}

const USUAL: NamedRoute = {
  name: '',
  steps: [{ groups: [], identities: [], anyone: true, people: 1 }],
  escalation: undefined,
  hours: undefined,
  reason: false,
  ownPerson: false,
}

/**
 * The route of a request about which rules say this: all of those they name, each once, in the order in which they are named.
 * Together they are never looser than one of them. A name that there is no route for throws: nobody may answer then.
 */
export function routeFor(reviews: readonly Review[], { routes, default: usual }: Routes): Route {
  const names = new Set(reviews.flatMap(({ route }) => route ?? usual ?? ''))
  if (names.size === 0) names.add(usual ?? '')
  const named = [...names].map((name) => {
    const found = name === '' ? USUAL : routes.get(name)
    if (found === undefined) throw new Error(`there is no route ${name}`)
    return found
  })
  const [first, ...steps] = named.flatMap(stepsOf)
  if (first === undefined) throw new Error('a route has no steps')
  const channels = new Set(named.flatMap((each) => each.channels ?? []))
  const answers = [...channels].filter((channel) => named.every((each) => each.answers?.includes(channel)))
  return {
    steps: [first, ...steps],
    hours: named.flatMap(({ hours }) => hours ?? []),
    reason: named.some(({ reason }) => reason),
    ownPerson: named.every(({ ownPerson }) => ownPerson),
    ...(channels.size === 0 ? {} : { channels: [...channels] }),
    ...(answers.length === 0 ? {} : { answers }),
  }
}

/** Routes that were worked out: thousands of requests that rules say the same of share one. */
export class KnownRoutes {
  readonly #known = new WeakMap<readonly Review[], { readonly of: Routes['routes']; readonly route: Route }>()

  routeFor(reviews: readonly Review[], routes: Routes): Route {
    const known = this.#known.get(reviews)
    if (known?.of === routes.routes) return known.route
    const route = routeFor(reviews, routes)
    this.#known.set(reviews, { of: routes.routes, route })
    return route
  }
}

function stepsOf({ name, steps, escalation }: NamedRoute): Step[] {
  return steps.map((step) => ({ route: name, ...step, ...(escalation === undefined ? {} : { escalation }) }))
}

/** How many people have to approve in all. */
export function peopleNeeded({ steps }: Route): number {
  return steps.reduce((sum, { people }) => sum + people, 0)
}

/** The index of the step that waits, when so many have approved in each: undefined when none does. */
export function stepWaiting(
  { steps }: Route,
  approvals: readonly { readonly step: number }[],
): number | undefined {
  const index = steps.findIndex(
    ({ people }, each) => approvals.filter(({ step }) => step === each).length < people,
  )
  return index === -1 ? undefined : index
}

/** Whether a person may answer in a step, `waitedMs` after it was asked. */
export function isInStep(person: Identity, step: Step, waitedMs: number): boolean {
  const { escalation } = step
  return (
    step.anyone ||
    isAmong(person, step) ||
    (escalation !== undefined && waitedMs >= escalation.afterMs && isAmong(person, escalation))
  )
}

/** How long after it was asked others may answer as well; undefined: they never may. */
export function escalatesAfter({ steps }: Route): number | undefined {
  const all = steps.flatMap(({ escalation }) => escalation?.afterMs ?? [])
  return all.length === 0 ? undefined : Math.min(...all)
}

function isAmong(person: Identity, { groups, identities }: Holders): boolean {
  return identities.includes(identityKey(person)) || person.groups.some((group) => groups.includes(group))
}

/** Whether a yes counts now. */
export function isWithin(hours: readonly Hours[], now: number): boolean {
  const time = new Date(now)
  const day = time.getUTCDay() === 0 ? 7 : time.getUTCDay()
  const minute = time.getUTCHours() * 60 + time.getUTCMinutes()
  return hours.every(({ days, from, to }) => days.includes(day) && minute >= from && minute < to)
}
