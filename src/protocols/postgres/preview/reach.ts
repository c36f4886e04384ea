import { GatewayError } from '../../../core/index.ts'
import type { NamedInStatement, ParseResult } from '../../../sql/index.ts'
import { builtinClass, namedIn } from '../../../sql/index.ts'
import type { UpstreamClient } from '../startup/upstream.ts'
import { FIRST_USER_OID, QUERIES } from './reach-queries.ts'

/** Relations that stand behind one statement: more is nothing that anybody oversees. */
const RELATIONS_MAX = 1_000

type Parse = (text: string) => ParseResult | Promise<ParseResult>
type Role = 'read' | 'write'

/**
 * Whether all that a statement would set going is known to be undone by a rollback: looked for at the server, from the
 * relations and functions that it names on, through views, partitions, cascades, defaults, checks, policies, rules and triggers.
 * Throws GatewayError `unsupported` with the first thing that is not known; a list of what is harmless, never of what is not.
 * Inside a transaction, which is of no use afterwards.
 */
export async function checkReach(
  client: UpstreamClient,
  parse: Parse,
  parsed: ParseResult,
  trusted: readonly string[],
): Promise<void> {
  const named = namedIn(parsed)
  if (named === undefined) throw refused('it is not one statement that can be looked through')
  const functions = new Functions(client, trusted)
  const relations = new Relations(client, parse, functions)
  await relations.start(named)
  // From here on every name is one of the server's own.
  await client.query('SET LOCAL search_path TO pg_catalog')
  await functions.checkNames(named)
  await functions.checkEverywhere()
  await relations.follow()
}

/** Functions of users: what is volatile may do anything, and what is not named in the configuration is not known. */
class Functions {
  readonly #client: UpstreamClient
  readonly #trusted: ReadonlySet<string>

  constructor(client: UpstreamClient, trusted: readonly string[]) {
    this.#client = client
    this.#trusted = new Set(trusted)
  }

  isTrusted(name: string): boolean {
    return this.#trusted.has(name)
  }

  /** Names that a statement or an expression calls. */
  async checkNames({ calls, operators, attributes }: Omit<NamedInStatement, 'relations'>): Promise<void> {
    const names = [...new Set([...calls.map(({ name }) => name), ...attributes])]
    const users = names.length === 0 ? [] : await this.#client.query(QUERIES.functionsNamed(names))
    const known = new Set(users.map(([, name]) => name))
    this.#refuse(users)
    for (const { schema, name } of calls) {
      const isOwn = schema !== undefined && schema !== 'pg_catalog'
      if (known.has(name) || (!isOwn && isHarmless(name))) continue
      throw refused(`it calls ${name}, of which it is not known what it does`)
    }
    const written = [...new Set(operators.map(({ name }) => name))]
    if (written.length > 0) this.#refuse(await this.#client.query(QUERIES.operatorsNamed(written)))
  }

  /** What is called without being named anywhere: casts. */
  async checkEverywhere(): Promise<void> {
    this.#refuse(await this.#client.query(QUERIES.casts))
  }

  /** What objects of relations call, as the server notes it. */
  async checkBehind(relations: readonly string[]): Promise<void> {
    this.#refuse(await this.#client.query(QUERIES.functionsBehind(relations)))
  }

  /** Rows: schema, name, whether it is volatile or can be called in no ordinary way. */
  #refuse(rows: readonly (readonly (string | null)[])[]): void {
    for (const [schema, name, unknown] of rows) {
      const whole = `${schema}.${name}`
      if (unknown === 't' && !this.#trusted.has(whole))
        throw refused(`it calls ${whole}, which is volatile: nobody knows what it leaves behind`)
    }
  }
}

class Relations {
  readonly #client: UpstreamClient
  readonly #parse: Parse
  readonly #functions: Functions
  readonly #seen = { read: new Set<string>(), write: new Set<string>() }
  #next = { read: new Set<string>(), write: new Set<string>() }

  constructor(client: UpstreamClient, parse: Parse, functions: Functions) {
    this.#client = client
    this.#parse = parse
    this.#functions = functions
  }

  async start({ relations }: NamedInStatement): Promise<void> {
    for (const { schema, name, role, database } of relations) {
      const written = [schema, name].flatMap((each) =>
        each === undefined ? [] : `"${each.replaceAll('"', '""')}"`,
      )
      const [row] = await this.#client.query(QUERIES.relationNamed(written.join('.')))
      const oid = row?.[0]
      if (oid === null || oid === undefined || database !== undefined)
        throw refused(
          `${name} is not known outside of its session: it may be temporary, or not committed yet`,
        )
      this.#next[role].add(oid)
    }
  }

  async follow(): Promise<void> {
    while (this.#next.read.size + this.#next.write.size > 0) {
      const { read, write } = this.#next
      this.#next = { read: new Set(), write: new Set() }
      for (const oid of read) this.#seen.read.add(oid)
      for (const oid of write) this.#seen.write.add(oid)
      if (this.#seen.read.size + this.#seen.write.size > RELATIONS_MAX)
        throw refused('more relations stand behind it than can be looked through')
      if (read.size > 0) await this.#look([...read], 'read')
      if (write.size > 0) await this.#look([...write], 'write')
    }
  }

  async #look(relations: readonly string[], role: Role): Promise<void> {
    const client = this.#client
    for (const [oid, kind, schema, name] of await client.query(QUERIES.kinds(relations))) {
      const whole = `${schema}.${name}`
      if (kind === 'f')
        throw refused(`${whole} is a foreign table: what is done there nobody rolls back for sure`)
      const isTable = kind === 'r' || kind === 'p'
      if (role === 'write' && !isTable)
        throw refused(`${whole} is no table: what a write through it does is not known`)
      if (!isTable && kind !== 'v' && kind !== 'm' && kind !== 'S')
        throw refused(`${whole} is of a kind that is not known`)
      if (Number(oid) < FIRST_USER_OID && role === 'write') throw refused(`${whole} is the server's own`)
    }
    const users = relations.filter((oid) => Number(oid) >= FIRST_USER_OID)
    if (users.length === 0) return
    for (const [child] of await client.query(QUERIES.children(users))) this.#add(child, role)
    for (const [behind] of await client.query(QUERIES.behindViews(users))) this.#add(behind, 'read')
    if (role === 'write') await this.#lookWritten(users)
    await this.#functions.checkBehind(users)
    for (const [expression] of await client.query(QUERIES.expressions(users))) {
      const named = namedIn(await this.#parse(expression ?? ''))
      if (named === undefined) throw refused('an expression behind it cannot be read')
      await this.#functions.checkNames(named)
      // Subqueries of policies and views are followed by what the server notes of them.
    }
  }

  async #lookWritten(relations: readonly string[]): Promise<void> {
    for (const [child] of await this.#client.query(QUERIES.cascades(relations))) this.#add(child, 'write')
    for (const [relation, rule] of await this.#client.query(QUERIES.rules(relations)))
      throw refused(`the rule ${rule} of ${relation} makes something else of it`)
    for (const [relation, trigger, schema, name, oid] of await this.#client.query(
      QUERIES.triggers(relations),
    )) {
      const isOwn = Number(oid) < FIRST_USER_OID
      if (isOwn ? HARMLESS_TRIGGERS.has(name ?? '') : this.#functions.isTrusted(`${schema}.${name}`)) continue
      throw refused(
        `the trigger ${trigger} of ${relation} runs ${schema}.${name}, and nobody knows what that leaves behind`,
      )
    }
  }

  #add(oid: string | null | undefined, role: Role): void {
    if (oid === null || oid === undefined) return
    if (!this.#seen[role].has(oid)) this.#next[role].add(oid)
  }
}

/** Sequences go on whatever is rolled back: that is the one trace it leaves. */
function isHarmless(name: string): boolean {
  return builtinClass(name) === 'read' || name === 'nextval'
}

/** Built-in trigger functions that change nothing but the row. */
const HARMLESS_TRIGGERS: ReadonlySet<string> = new Set([
  'suppress_redundant_updates_trigger',
  'tsvector_update_trigger',
  'tsvector_update_trigger_column',
])

export function refused(why: string): GatewayError {
  return new GatewayError('unsupported', `Nothing is tried out: ${why}.`, {
    remedy:
      'Look at the statement itself, or refuse it. An administrator may name functions that are harmless: preview.functions.',
    retry: 'only-if-changed',
  })
}
