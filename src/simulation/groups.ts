import type { Change, Outcome } from './outcome.ts'

/** One command of a recording. */
export type Place = { readonly session: string; readonly n: number; readonly time: number }

/** A decision that would be another one. */
export type Changed = {
  readonly place: Place
  readonly connection: string
  /** The command without its values, for people. */
  readonly shape: string
  readonly before: Outcome
  readonly after: Outcome
  readonly change: Change
}

/** Changes that are the same in all but when and to whom. */
export type Group = {
  readonly connection: string
  readonly change: Change
  readonly shape: string
  readonly before: Pick<Outcome, 'decision' | 'rules' | 'reason'>
  readonly after: Pick<Outcome, 'decision' | 'rules' | 'reason'>
  count: number
  /** The first of them. */
  readonly places: Place[]
}

/** Beyond it groups are made no more: the rest is counted. */
const GROUPS_MAX = 10_000
const PLACES_MAX = 1_000
const SHAPE_CHARACTERS_MAX = 200

/** Gathers changes into groups. Memory is bounded, whatever the recording. */
export class Groups {
  readonly #groups = new Map<string, Group>()
  #count = 0
  #ungrouped = 0

  /** How many changes there are, and how many of them are in no group. */
  get count(): number {
    return this.#count
  }

  get ungrouped(): number {
    return this.#ungrouped
  }

  add({ place, connection, shape, before, after, change }: Changed): void {
    this.#count++
    const key = JSON.stringify([connection, shape, change, told(before), told(after)])
    let group = this.#groups.get(key)
    if (group === undefined) {
      if (this.#groups.size >= GROUPS_MAX) {
        this.#ungrouped++
        return
      }
      group = { connection, change, shape, before: told(before), after: told(after), count: 0, places: [] }
      this.#groups.set(key, group)
    }
    group.count++
    if (group.places.length < PLACES_MAX) group.places.push(place)
  }

  /** By connection, then by what changes, the largest first. */
  all(): readonly Group[] {
    return [...this.#groups.values()].sort(
      (a, b) =>
        order(a.connection, b.connection) ||
        order(a.change.what, b.change.what) ||
        b.count - a.count ||
        order(a.shape, b.shape),
    )
  }
}

function told({ decision, rules, reason }: Outcome): Group['before'] {
  return { decision, rules, ...(reason === undefined ? {} : { reason }) }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A text without strings, numbers and needless blanks. For grouping what people see: no decision rests on it. */
export function shapeOf(text: string): string {
  return text
    .slice(0, 20 * SHAPE_CHARACTERS_MAX)
    .replaceAll(/'(?:[^']|'')*'?/g, '?')
    .replaceAll(/(?<![\w$])\d+(?:\.\d+)?/g, '?')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, SHAPE_CHARACTERS_MAX)
}
