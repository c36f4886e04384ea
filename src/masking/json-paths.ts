import { LIMITS } from '../core/index.ts'
import type { MaskingRule } from '../core/index.ts'
import { cellMasker } from './cell.ts'
import { TEXT } from './types.ts'
import type { CellMasker } from './masker.ts'
import { parseJsonPath } from './json-path.ts'
import type { Step } from './json-path.ts'

export type JsonAssignment = { readonly path: string; readonly rule: MaskingRule }

/** A place in a document, as far as the paths tell places apart. */
export type Place = {
  /** How a value at this place is masked; undefined: it is not, though something inside it may be. */
  readonly masker: CellMasker | undefined
  /** The assignments, by number, that ask for it. */
  readonly assignments: readonly number[]
  /** No path leads through here: nothing inside needs to be looked at. */
  readonly dead: boolean
  /** Member names that lead elsewhere than others do. */
  readonly names: readonly { readonly name: string; readonly utf8: Uint8Array }[]
}

type Node = Place & {
  readonly states: readonly number[]
  readonly members: Map<string, Node>
  /** As `members`, of XML; the empty name is any other. */
  readonly children: Map<string, Node>
  other: Node | undefined
  element: Node | undefined
}

/** Where no path leads. */
export const DEAD: Place = { masker: undefined, assignments: [], dead: true, names: [] }

/**
 * All paths of a set of assignments at once: which place a member or element leads to. A state is one position in one
 * path, a place is a set of states, made when a document first gets there and then kept.
 *
 * Arrays are looked through: `customer.email` also means the `email` of each customer where `customer` is a list. An
 * API that answers with one object today and a list of them tomorrow stays masked.
 */
export class JsonPaths {
  readonly assignments: readonly JsonAssignment[]
  /** Bytes (UTF-8) of the longest member name in any path. */
  readonly nameBytesMax: number
  readonly #paths: readonly (readonly Step[])[]
  readonly #names: readonly string[]
  /** The number of a path's first state; states of one path follow each other. */
  readonly #firstState: readonly number[]
  /** The path that a state is of, by state: a request for GraphQL may have hundreds. */
  readonly #pathOf: readonly number[]
  readonly #places = new Map<string, Node>()
  #root: Node

  /** Throws GatewayError `invalid` for a path that cannot be read. */
  constructor(assignments: readonly JsonAssignment[]) {
    this.assignments = assignments
    this.#paths = assignments.map((each) => parseJsonPath(each.path))
    let states = 0
    this.#firstState = this.#paths.map((path) => {
      const first = states
      states += path.length + 1
      return first
    })
    this.#pathOf = this.#paths.flatMap((path, n) => Array.from({ length: path.length + 1 }, () => n))
    this.#names = this.#paths.flat().flatMap((step) => (step.kind === 'key' ? [step.name] : []))
    this.nameBytesMax = Math.max(0, ...this.#names.map((name) => Buffer.byteLength(name)))
    this.#root = this.#place(this.#paths.map((_, path) => this.#state(path, 0)))
  }

  /** Whether a text that is no JSON could hold one of the names in the paths all the same. */
  mayName(text: string): boolean {
    if (this.#names.length === 0 || /\\[ux]/.test(text)) return true
    return this.#names.some((name) => (name === '' ? /""|''/.test(text) : text.includes(name)))
  }

  get root(): Place {
    return this.#root
  }

  /** `name`: one of `from.names`; undefined for any other. */
  member(from: Place, name: string | undefined): Place {
    const node = this.#node(from)
    if (node === undefined) return DEAD
    if (name === undefined) return (node.other ??= this.#follow(node, undefined))
    const known = node.members.get(name)
    if (known !== undefined) return known
    const next = this.#follow(node, name)
    node.members.set(name, next)
    return next
  }

  /** The place of a member by its name, whatever that is. */
  named(from: Place, name: string): Place {
    return this.member(from, from.names.some((each) => each.name === name) ? name : undefined)
  }

  /**
   * One document of many, such as a line or a row: an element of the list that a path goes through first, whatever is
   * around that list elsewhere. `email`, `[].email` and `items[].email` all mean its `email`.
   */
  get row(): Place {
    const listed = this.#paths.flatMap((path, n) => {
      const first = path.findIndex((step) => step.kind === 'element')
      return first < 0 ? [] : [this.#state(n, first + 1)]
    })
    return this.either([this.#root, this.element(this.#root), this.#place(listed)])
  }

  /** Whether a name stands in any of the paths. */
  knows(name: string): boolean {
    return this.#names.includes(name)
  }

  /**
   * What is inside of an XML element at `from`, be it an element or an attribute: a member by its name, and where a path
   * goes on with `[]`, an element of the list as well, with or without an element of its own around it.
   */
  child(from: Place, name: string): Place {
    const node = this.#node(from)
    if (node === undefined) return DEAD
    const known = this.knows(name) ? name : ''
    const found = node.children.get(known)
    if (found !== undefined) return found
    const listed = this.#listed(node)
    const next = this.either([this.named(node, name), this.named(listed, name), listed])
    node.children.set(known, next)
    return next
  }

  /** The place of the outermost element: paths begin in front of it or inside of it. */
  outermost(name: string): Place {
    return this.either([this.#root, this.#listed(this.#root), this.child(this.#root, name)])
  }

  /** Where `[]` leads, and nothing else. */
  #listed(node: Node): Node {
    const next = node.states.flatMap((state) => {
      const [path, at] = this.#position(state)
      return this.#paths[path]?.[at]?.kind === 'element' ? [state + 1] : []
    })
    return this.#place(next)
  }

  /** A place that is all of these. */
  either(places: readonly Place[]): Node {
    return this.#place(places.flatMap((place) => this.#node(place)?.states ?? []))
  }

  element(from: Place): Place {
    const node = this.#node(from)
    if (node === undefined) return DEAD
    if (node.element !== undefined) return node.element
    const next = new Set<number>()
    for (const state of node.states) {
      const [path, at] = this.#position(state)
      const step = this.#paths[path]?.[at]
      if (step === undefined) continue
      if (step.kind === 'element' || step.kind === 'any') next.add(state + 1)
      if (step.kind !== 'element') next.add(state)
    }
    node.element = this.#place([...next])
    return node.element
  }

  /** The place of a member called `name`, or of one whose name is in no path. */
  #follow(node: Node, name: string | undefined): Node {
    const next = new Set<number>()
    for (const state of node.states) {
      const [path, at] = this.#position(state)
      const step = this.#paths[path]?.[at]
      if (step?.kind === 'deep') next.add(state)
      else if (step?.kind === 'any' || (step?.kind === 'key' && step.name === name)) next.add(state + 1)
    }
    return this.#place([...next])
  }

  #place(reached: readonly number[]): Node {
    // `**` may also stand for nothing: whoever is in front of it is behind it too.
    const all = new Set<number>()
    for (let state of reached) {
      all.add(state)
      for (;;) {
        const [path, at] = this.#position(state)
        if (this.#paths[path]?.[at]?.kind !== 'deep') break
        all.add(++state)
      }
    }
    const states = [...all].sort((a, b) => a - b)
    const key = states.join()
    const known = this.#places.get(key)
    if (known !== undefined) return known
    // Many `**` can tell very many places apart; what is forgotten is made anew.
    if (this.#places.size >= LIMITS.jsonPlacesMax) this.#forget()
    const node = this.#make(states)
    this.#places.set(key, node)
    return node
  }

  #make(states: readonly number[]): Node {
    const assignments: number[] = []
    const names = new Set<string>()
    for (const state of states) {
      const [path, at] = this.#position(state)
      const step = this.#paths[path]?.[at]
      if (step === undefined) assignments.push(path)
      else if (step.kind === 'key') names.add(step.name)
    }
    return {
      masker: this.#maskerOf(assignments),
      assignments,
      dead: states.length === 0,
      names: [...names].map((name) => ({ name, utf8: Buffer.from(name) })),
      states,
      members: new Map(),
      children: new Map(),
      other: undefined,
      element: undefined,
    }
  }

  /** Two different rules for one value: nothing of it is shown. */
  #maskerOf(assignments: readonly number[]): CellMasker | undefined {
    const rules = assignments.flatMap((n) => this.assignments[n]?.rule ?? [])
    const [first, ...others] = rules
    if (first === undefined) return undefined
    const agreed = others.every((rule) => JSON.stringify(rule) === JSON.stringify(first))
    return cellMasker(agreed ? first : { kind: 'null' }, TEXT, 'text')
  }

  #forget(): void {
    this.#places.clear()
    this.#root = this.#make(this.#root.states)
  }

  #state(path: number, at: number): number {
    return (this.#firstState[path] ?? 0) + at
  }

  #position(state: number): readonly [path: number, at: number] {
    const path = this.#pathOf[state] ?? 0
    return [path, state - (this.#firstState[path] ?? 0)]
  }

  #node(place: Place): Node | undefined {
    return isNode(place) ? place : undefined
  }
}

function isNode(place: Place): place is Node {
  return !place.dead && 'states' in place
}
