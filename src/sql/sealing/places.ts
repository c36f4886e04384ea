import type { Node } from 'libpg-query'
import type { Facts } from '../../core/command.ts'
import type { LabelName } from '../../core/ids.ts'
import { constantText } from '../parse/tree.ts'
import type { Given } from './given.ts'
import { givenIn } from './given.ts'

type Labels = readonly LabelName[]
type PlaceOf = (given: Given) => ReadonlySet<LabelName> | undefined

/**
 * What comes back of a statement, rows apart that are counted: `nothing`; `columns` without labels as they are, whose names stand in
 * the text; or `values`, which may be, or may depend on, what the client has given.
 */
export type Gives = 'nothing' | 'columns' | 'values'

const MORE = { nothing: 0, columns: 1, values: 2 } as const satisfies Record<Gives, number>

/** Which labelled columns the values meet that a client gives in a command: constants by where they stand, parameters by number. */
export class Places {
  readonly #labels = new Set<LabelName>()
  readonly #constants = new Map<number, { readonly labels: Labels; readonly text: string | undefined }>()
  readonly #parameters = new Map<number, Set<LabelName>>()

  /** Values that meet labelled columns stand in it, or in what it runs by name. */
  #holds = false
  #gives: Gives = 'nothing'

  /** One statement, which uses columns with these labels. What `placeOf` does not know may meet each of them. */
  add(node: Node, labels: Labels, gives: Gives, placeOf: PlaceOf): void {
    for (const label of labels) this.#labels.add(label)
    if (MORE[gives] > MORE[this.#gives]) this.#gives = gives
    for (const copies of byLocation(givenIn(node))) {
      const known = labels.length === 0 ? [] : copies.flatMap((each) => placeOf(each) ?? [])
      const meets = known.length === 0 ? labels : union(known)
      if (meets.length > 0) this.#holds = true
      for (const given of copies) {
        if ('number' in given) addTo(this.#parameters, given.number ?? 0, meets)
        // Where a constant has no place of its own, the text is not taken apart.
        else if (given.location !== undefined && given.location >= 0)
          this.#constants.set(given.location, { labels: meets, text: constantText({ A_Const: given }) })
      }
    }
  }

  /** A statement with these labels runs another by its name; undefined: the places of that one are not known. */
  runs(places: Places | undefined, labels: Labels): void {
    if (places?.holds ?? labels.length > 0) this.#holds = true
  }

  get holds(): boolean {
    return this.#holds
  }

  /** What may give back a value that meets a labelled column, of all statements. */
  get gives(): Gives {
    return this.#holds ? this.#gives : 'nothing'
  }

  /** Of the whole command. */
  get labels(): Labels {
    return [...this.#labels].sort()
  }

  /** The constant at one of these places, counted in bytes, with its value as text; undefined: there is none. */
  constantAt(
    places: readonly number[],
  ): { readonly labels: Labels; readonly text: string | undefined } | undefined {
    for (const place of places) {
      const constant = this.#constants.get(place)
      if (constant !== undefined) return constant
    }
    return undefined
  }

  /** By number, from 1. */
  parameters(): ReadonlyMap<number, Labels> {
    return new Map([...this.#parameters].map(([number, labels]) => [number, [...labels].sort()]))
  }
}

/** `SET (a, b) = (1, 2)` has its row in the tree once for each column: what stands in one place is one value. */
function byLocation(all: readonly Given[]): Iterable<readonly Given[]> {
  const found = new Map<number, Given[]>()
  let nowhere = 0
  for (const each of all) {
    const { location = -1 } = each
    const place = location < 0 ? --nowhere : location
    const before = found.get(place)
    if (before === undefined) found.set(place, [each])
    else before.push(each)
  }
  return found.values()
}

function addTo(places: Map<number, Set<LabelName>>, place: number, labels: Iterable<LabelName>): void {
  const before = places.get(place)
  if (before === undefined) places.set(place, new Set(labels))
  else for (const label of labels) before.add(label)
}

function union(sets: readonly ReadonlySet<LabelName>[]): Labels {
  return [...new Set(sets.flatMap((each) => [...each]))].sort()
}

/** Beside the facts and not in them: they say where, and two commands of the same facts stand in different places. */
const PLACES = new WeakMap<Facts, Places>()

export function placesFor(facts: Facts, places: Places): void {
  PLACES.set(facts, places)
}

/** Undefined: nothing is known of places, and any value may be of any label that the facts name. */
export function placesOf(facts: Facts): Places | undefined {
  return PLACES.get(facts)
}
