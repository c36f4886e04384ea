import { buildSchema, graphqlSync } from 'graphql'
import { describe, expect, it } from 'vitest'
import type { Connection, LabelName, MaskingRule } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { BodyPlan, maskBody } from '../../session/index.ts'
import { parseTarget } from '../../wire/http/index.ts'
import { judgedRequest } from './commands.ts'
import { DescribedApi } from './described-api.ts'
import { RouteTable } from './route-table.ts'
import type { HttpSettings } from './settings.ts'
import { httpSettings } from './settings.ts'

/** Random operations with aliases, fragments and unions, answered by a real executor whose labelled fields hold markers. */

const SDL = `
  interface Node { id: ID! }
  type Person implements Node { id: ID! email: String name: String boss: Person team: [Actor!] }
  type Bot implements Node { id: ID! email: String token: String owner: Person }
  type Org implements Node { id: ID! name: String members: [Person] }
  union Actor = Person | Bot | Org
  type Query { me: Person actor(kind: Int): Actor actors: [Actor!] node(kind: Int): Node }
`
const schema = buildSchema(SDL)
const MARKER = 'MARKER'
const LABELLED = ['Person.email', 'Bot.token', 'Org.name'] as const

const settings: HttpSettings = {
  ...httpSettings.parse({ upstream: { url: 'http://127.0.0.1:1' }, graphql: { schema: 'a.graphql' } }),
  described: new DescribedApi([], schema),
}
const routes = new RouteTable({
  settings,
  labels: LABELLED.map((pattern) => ({ pattern, label: brand<LabelName>('secret') })),
} as unknown as Connection<HttpSettings>)

function random(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

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

class Writer {
  readonly fragments: string[] = []
  readonly #below: (below: number) => number
  #aliases = 0

  constructor(below: (below: number) => number) {
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

const value = (type: string, field: string): string =>
  LABELLED.some((each) => each === `${type}.${field}`) ? `${MARKER} of ${type}` : `plain ${field} of ${type}`

function thing(kind: number, depth: number): unknown {
  const type = ['Person', 'Bot', 'Org'][kind % 3] ?? 'Person'
  const deeper = (next: number): unknown => (depth > 0 ? thing(next, depth - 1) : null)
  return {
    __typename: type,
    id: `id-${type}`,
    email: value(type, 'email'),
    name: value(type, 'name'),
    token: value(type, 'token'),
    boss: () => deeper(0),
    owner: () => deeper(0),
    team: () => (depth > 0 ? [0, 1, 2].map(deeper) : []),
    members: () => (depth > 0 ? [deeper(0)] : []),
  }
}

function masked(query: string, answer: string, piece: number): string {
  const body = Buffer.from(JSON.stringify([{ query }]))
  const target = parseTarget('/graphql')
  const judged = judgedRequest(routes.find('POST', target), {
    method: 'POST',
    target,
    contentType: 'application/json',
    body,
  })
  const masks = new Map<LabelName, MaskingRule>([[brand<LabelName>('secret'), { kind: 'full' }]])
  const machine = maskBody({ kind: 'json' }, new BodyPlan(judged.rules(masks)))
  if (machine === undefined) throw new Error('no machine for JSON')
  const bytes = Buffer.from(answer)
  const out: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += piece)
    out.push(Buffer.from(machine.write(bytes.subarray(at, at + piece))))
  out.push(machine.end())
  return Buffer.concat(out).toString()
}

/** Every letter of names and values as an escape. */
function escaped(text: string): string {
  return text.replaceAll(/"[^"]*"/g, (written) =>
    written.replaceAll(/[A-Za-z]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
  )
}

describe('answers of random GraphQL operations (acceptance 3, P-05)', () => {
  it('show no marker of a labelled field, and all the rest as it was', () => {
    let markers = 0
    let plain = 0
    for (let seed = 1; seed <= 120; seed++) {
      const below = random(seed)
      const writer = new Writer(below)
      const root = ['me', 'actor(kind: 1)', 'actors', 'node(kind: 2)'][below(4)] ?? 'me'
      const type = root === 'me' ? 'Person' : root.startsWith('node') ? 'Node' : 'Actor'
      const query = `query { r: ${root} ${writer.set(type, 3)} } ${writer.fragments.join(' ')}`
      const source = {
        me: thing(0, 3),
        actor: thing(1, 3),
        actors: [0, 1, 2].map((kind) => thing(kind, 3)),
        node: thing(2, 3),
      }
      const { data, errors } = graphqlSync({ schema, source: query, rootValue: source })
      // Some ask for two fields under one name, which is no operation.
      if (errors !== undefined || data == null) continue
      const answer = JSON.stringify([{ data }])
      for (const [written, piece] of [
        [answer, 1],
        [answer, 1_000],
        [escaped(answer), 7],
      ] as const) {
        const shown = masked(query, written, piece)
        expect(JSON.stringify(JSON.parse(shown)), query).not.toContain(MARKER)
        if (!answer.includes(MARKER) && !/email|name|token/.test(query)) expect(shown).toBe(written)
      }
      markers += answer.split(MARKER).length - 1
      plain += masked(query, answer, 100).split('plain').length - 1
    }
    expect(markers).toBeGreaterThan(50)
    expect(plain).toBeGreaterThan(50)
  }, 120_000)
})
