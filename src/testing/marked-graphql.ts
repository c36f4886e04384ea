/** Random operations with aliases, fragments and unions, and what a real executor answers them, with markers in labelled fields. */
import { buildSchema, graphqlSync } from 'graphql'

export const SDL = `
  interface Node { id: ID! }
  type Person implements Node { id: ID! email: String name: String boss: Person team: [Actor!] }
  type Bot implements Node { id: ID! email: String token: String owner: Person }
  type Org implements Node { id: ID! name: String members: [Person] }
  union Actor = Person | Bot | Org
  type Query { me: Person actor(kind: Int): Actor actors: [Actor!] node(kind: Int): Node }
`
const schema = buildSchema(SDL)

/** Fields of `SDL` that are protected. */
export const LABELLED = ['Person.email', 'Bot.token', 'Org.name'] as const

const FIELDS = {
  Person: ['id', 'email', 'name', 'boss', 'team'],
  Bot: ['id', 'email', 'token', 'owner'],
  Org: ['id', 'name', 'members'],
} as const
const INNER: Readonly<Record<string, string>> = {
  boss: 'Person',
  team: 'Actor',
  owner: 'Person',
  members: 'Person',
}

/** `below(n)`: a random whole number below n. */
type Below = (n: number) => number

class Writer {
  readonly fragments: string[] = []
  readonly #below: Below
  #aliases = 0

  constructor(below: Below) {
    this.#below = below
  }

  set(type: string, depth: number): string {
    const parts = ['__typename']
    for (let n = this.#below(3) + 1; n > 0; n--) parts.push(this.#part(type, depth))
    return `{ ${parts.join(' ')} }`
  }

  #part(type: string, depth: number): string {
    if (type === 'Actor' || type === 'Node' || this.#below(4) === 0) {
      const concrete = type in FIELDS ? type : (Object.keys(FIELDS)[this.#below(3)] ?? 'Person')
      const inner = this.set(concrete, depth - 1)
      if (this.#below(2) === 0) return `... on ${concrete} ${inner}`
      this.fragments.push(`fragment F${this.fragments.length} on ${concrete} ${inner}`)
      return `...F${this.fragments.length - 1}`
    }
    const names = FIELDS[type as keyof typeof FIELDS].filter((name) => depth > 0 || INNER[name] === undefined)
    const name = names[this.#below(names.length)] ?? 'id'
    const inner = INNER[name]
    // A field of one type may have the name that another type has something protected under.
    const alias = ['', `x${this.#aliases++}: `][this.#below(2)] ?? ''
    const unique = inner === undefined ? alias : `y${this.#aliases++}: `
    return `${unique}${name}${inner === undefined ? '' : ` ${this.set(inner, depth - 1)}`}`
  }
}

function thing(kind: number, depth: number, marker: () => string): unknown {
  const type = ['Person', 'Bot', 'Org'][kind % 3] ?? 'Person'
  const value = (field: string): string =>
    LABELLED.some((each) => each === `${type}.${field}`) ? marker() : `plain ${field} of ${type}`
  const deeper = (next: number): unknown => (depth > 0 ? thing(next, depth - 1, marker) : null)
  return {
    __typename: type,
    id: `id-${type}`,
    email: value('email'),
    name: value('name'),
    token: value('token'),
    boss: () => deeper(0),
    owner: () => deeper(0),
    team: () => (depth > 0 ? [0, 1, 2].map(deeper) : []),
    members: () => (depth > 0 ? [deeper(0)] : []),
  }
}

/** An operation. Some ask for two fields under one name, which is none: `answerOf` says so. */
export function markedOperation(below: Below): string {
  const writer = new Writer(below)
  const root = ['me', 'actor(kind: 1)', 'actors', 'node(kind: 2)'][below(4)] ?? 'me'
  const type = root === 'me' ? 'Person' : root.startsWith('node') ? 'Node' : 'Actor'
  return `query { r: ${root} ${writer.set(type, 3)} } ${writer.fragments.join(' ')}`
}

/** `data` of the answer; undefined: it is no operation. `marker`: the value of the next labelled field. */
export function answerOf(query: string, marker: () => string): unknown {
  const source = {
    me: thing(0, 3, marker),
    actor: thing(1, 3, marker),
    actors: [0, 1, 2].map((kind) => thing(kind, 3, marker)),
    node: thing(2, 3, marker),
  }
  const { data, errors } = graphqlSync({ schema, source: query, rootValue: source })
  return errors === undefined ? (data ?? undefined) : undefined
}
