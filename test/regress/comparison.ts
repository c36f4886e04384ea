/** Runs statements on the server and holds the facts of each against the locks that it took. */
import type { Node } from 'libpg-query'
import { brand } from '../../src/core/brand.ts'
import type { Facts } from '../../src/core/index.ts'
import { buildCatalogue, catalogueQueries } from '../../src/protocols/postgres/catalogue/catalogue.ts'
import type {
  AnalysisContext,
  Catalogue,
  NamedFacts,
  ParseResult,
  QueryTree,
  SqlAnalyser,
} from '../../src/sql/index.ts'
import { survey } from '../../src/sql/statement/survey.ts'
import type { Excuse } from './excuses.ts'
import { describes, excusesQuery, quoted } from './excuses.ts'
import type { ScriptStatement } from './script.ts'
import type { Rows, ServerSession } from './session.ts'

export type Totals = {
  statements: number
  /** Refused by the server: nothing to compare. */
  failed: number
  compared: number
  /** Whose locks are all named, by the text or by what the catalogue says comes with it. */
  exact: number
  readonly excused: Map<Excuse, number>
  opaque: number
  /** Opaque for nothing but code of users: DO, CALL, or a function of a user that is called. */
  opaqueOfUsers: number
  plain: number
  readonly opaqueKinds: Map<string, number>
  readonly crashes: string[]
  readonly missed: string[]
}

type Lock = { readonly oid: string; readonly mode: string; readonly name: string }
type KnownCatalogue = {
  readonly catalogue: Catalogue
  readonly labelled: Catalogue
  readonly searchPath: readonly string[]
}
/** Oids. */
type Named = { readonly reads: Set<string>; readonly writes: Set<string> }
type Excused = { readonly reason: string; readonly oid: string | undefined }
type Compared = {
  readonly text: string
  readonly parsed: ParseResult
  readonly facts: Facts
  /** What its names mean: before it ran, and after. */
  readonly named: Named
  /** It can be taken back to `sluice_before`. */
  readonly removes: boolean
}
type Relation = { readonly name: string; readonly kind: string; readonly schema: string }

const LOCKS = `SELECT DISTINCT l.relation, l.mode, n.nspname, c.relname, c.relkind FROM pg_locks l
  LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384`
const RELATIONS = `SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384`
const PATH = `SELECT array_to_string(current_schemas(true), E'\\n')`
const TABLES = new Set(['r', 'p', 'v', 'm', 'f'])

/** What only ends or begins, or runs what was deferred. */
const OF_STATE =
  /^\s*(COMMIT|END|ROLLBACK|ABORT|BEGIN|START|SAVEPOINT|RELEASE|SET CONSTRAINTS|PREPARE TRANSACTION|MOVE|CLOSE|FETCH)\b/i
/** What may change where names are looked for, or take definitions back. */
const MOVES = /^\s*(ROLLBACK|SET|RESET|DISCARD)\b|set_config/i
const REMOVES = /^\s*(DROP|ALTER|REASSIGN)\b/i
/** A portal in its middle keeps the locks that it has, so these take none that DECLARE did not. */
const NOT_IN_TRANSACTION = '25001'

export class Comparison {
  readonly #server: ServerSession
  readonly #analyser: SqlAnalyser
  readonly #totals: Totals
  readonly #file: string
  readonly #usersNames: Set<string>
  readonly #prepared = new Map<string, QueryTree>()
  readonly #cursors = new Map<string, QueryTree>()
  #held = new Set<string>()
  #catalogue: KnownCatalogue | undefined

  /** `usersNames`: functions and types that are no part of the server, as far as they were met. */
  constructor(
    server: ServerSession,
    analyser: SqlAnalyser,
    totals: Totals,
    file: string,
    usersNames: Set<string>,
  ) {
    this.#server = server
    this.#analyser = analyser
    this.#totals = totals
    this.#file = file
    this.#usersNames = usersNames
  }

  get ended(): boolean {
    return this.#server.state === '!'
  }

  async run({ text, data }: ScriptStatement): Promise<void> {
    const server = this.#server
    const parsed = await this.#analyser.parse(text)
    const facts = this.#facts(text, parsed, { searchPath: [] })
    if (facts !== undefined) await this.#count(text, facts)
    const alone = server.state === 'I' && !OF_STATE.test(text)
    if (alone) this.#held = new Set()
    const compares = facts !== undefined && (alone || server.state === 'T')
    const removes = compares && REMOVES.test(text)
    const [names, relations] = await this.#ask([
      ...(alone ? ['BEGIN'] : []),
      ...(compares ? [namesQuery(facts)] : []),
      ...(removes ? [RELATIONS, 'SAVEPOINT sluice_before'] : []),
    ])
    const before = namedIn(names ?? [])
    const { failed } = await server.send(text, data)
    if (facts?.class !== 'read' && facts?.class !== 'write') this.#catalogue = undefined
    if (failed !== undefined) this.#totals.failed++
    if (MOVES.test(text)) this.#catalogue = undefined
    if (alone && failed !== undefined) {
      await server.send('ROLLBACK')
      if (failed === NOT_IN_TRANSACTION && (await server.send(text, data)).failed === undefined)
        this.#follow(parsed)
      return
    }
    if (failed === undefined) this.#follow(parsed)
    if (server.state === 'T' && facts !== undefined) {
      const [locks, after] = await server.all([LOCKS, namesQuery(facts)])
      const fresh = this.#fresh(locks ?? [], relationsIn(relations ?? []))
      const named = joined(before, namedIn(after ?? []))
      if (failed === undefined && compares && !OF_STATE.test(text))
        await this.#compare({ text, parsed, facts, named, removes }, fresh)
    }
    if (server.state === 'I') this.#held = new Set()
    if (alone && server.state !== 'I') await server.send('COMMIT')
    else if (removes && server.state === 'T') await server.send('RELEASE sluice_before')
  }

  /** The answers of those that return rows. */
  async #ask(texts: readonly string[]): Promise<Rows[]> {
    const answers = texts.length === 0 ? [] : await this.#server.all(texts)
    return answers.filter((_, at) => /^\s*(SELECT|WITH)/.test(texts[at] ?? ''))
  }

  #follow(parsed: ParseResult): void {
    for (const effect of this.#analyser.effects(parsed, { searchPath: [] }, undefined).flat()) {
      if (effect.kind === 'prepare') this.#prepared.set(effect.name, effect.query)
      else if (effect.kind === 'declare') this.#cursors.set(effect.name, effect.query)
      else if (effect.kind === 'deallocate' && effect.name === undefined) this.#prepared.clear()
      else if (effect.kind === 'deallocate') this.#prepared.delete(effect.name ?? '')
    }
  }

  #facts(text: string, parsed: ParseResult, context: AnalysisContext): Facts | undefined {
    if (parsed.kind !== 'parsed') return undefined
    const of = (query: QueryTree | undefined) =>
      query === undefined ? undefined : this.#analyser.analyseQuery(query, context)
    const named: NamedFacts = {
      prepared: (name) => of(this.#prepared.get(name)),
      cursor: (name) => of(this.#cursors.get(name)),
    }
    try {
      return this.#analyser.analyse(parsed, { ...context, named })
    } catch (error) {
      this.#totals.crashes.push(`${this.#file}: ${String(error)}: ${text.slice(0, 200)}`)
      return undefined
    }
  }

  async #count(text: string, facts: Facts): Promise<void> {
    const totals = this.#totals
    totals.statements++
    const isOpaque = facts.class === 'opaque'
    if (isOpaque) totals.opaque++
    const calls = facts.calls.map(bare)
    if (calls.length > 0 && isOpaque && this.#server.state !== 'E') {
      const list = calls.map(quoted).join(', ')
      const found = await this.#server.rows(
        `SELECT proname FROM pg_proc WHERE oid >= 16384 AND proname IN (${list})`,
      )
      for (const [name] of found) if (typeof name === 'string') this.#usersNames.add(name)
    }
    const ofUsers = /^\s*(DO|CALL)\b/i.test(text) || calls.some((name) => this.#usersNames.has(name))
    if (!ofUsers) totals.plain++
    if (!isOpaque) return
    if (ofUsers) totals.opaqueOfUsers++
    else {
      const kind = `${text.trim().split(/\s+/).slice(0, 2).join(' ').toUpperCase()} ${calls.join(',')}`
      totals.opaqueKinds.set(kind, (totals.opaqueKinds.get(kind) ?? 0) + 1)
    }
  }

  /** Locks on tables, views and their like that were not held before. */
  #fresh(locks: Rows, gone: ReadonlyMap<string, Relation>): Lock[] {
    const fresh: Lock[] = []
    const held = new Set<string>()
    for (const [oid, mode, schema, name, kind] of locks) {
      const key = `${oid} ${mode}`
      held.add(key)
      const known = name === null ? gone.get(oid ?? '') : { schema, name, kind }
      if (this.#held.has(key) || known === undefined || !TABLES.has(known.kind ?? '')) continue
      if (known.schema === 'information_schema' || known.schema === 'pg_toast') continue
      fresh.push({ oid: oid ?? '', mode: mode ?? '', name: `${known.schema}.${known.name}` })
    }
    this.#held = held
    return fresh
  }

  async #compare(statement: Compared, fresh: readonly Lock[]): Promise<void> {
    const { facts, named, parsed } = statement
    const kinds = parsed.kind === 'parsed' ? (parsed.tree.stmts ?? []).map(({ stmt }) => stmt ?? {}) : []
    // LOCK reads nothing, in whatever mode.
    if (kinds.some((stmt) => 'LockStmt' in stmt)) for (const oid of named.reads) named.writes.add(oid)
    // The server takes a new relation of this name for the one of the system where it is looked up.
    const made = kinds.some((stmt) => 'CreateStmt' in stmt) ? facts.writes : []
    this.#totals.compared++
    if (facts.class === 'opaque') {
      this.#excuse('body')
      return
    }
    let left = fresh.filter((lock) => !isNamed(lock, named) && !made.includes(bare(lock.name)))
    const excuses = left.length === 0 ? undefined : await this.#lookAround(statement)
    left = left.filter((lock) => !isNamed(lock, named))
    if (excuses === undefined || left.length === 0) {
      this.#totals.exact++
      return
    }
    const reasons = left.map((lock) => excuseFor(lock, statement, excuses))
    for (const reason of new Set(reasons)) if (reason !== undefined) this.#excuse(reason)
    const missed = left.filter((_, at) => reasons[at] === undefined)
    if (missed.length > 0) {
      const locks = missed.map(({ name, mode }) => `${name} (${mode})`).join(', ')
      this.#totals.missed.push(`${this.#file}: ${locks} in: ${statement.text.trim().slice(0, 300)}`)
    }
  }

  #excuse(reason: Excuse): void {
    this.#totals.excused.set(reason, (this.#totals.excused.get(reason) ?? 0) + 1)
  }

  /**
   * Adds to `named` what the facts say where the catalogue is known, and tells what excuses there are. What a statement
   * has removed or changed is looked at as it was before: it is taken back, and done again.
   */
  async #lookAround({ text, parsed, facts, named, removes }: Compared): Promise<readonly Excused[]> {
    const server = this.#server
    const look = async (): Promise<Excused[]> => {
      const full = await this.#withCatalogue(text, parsed)
      const { reads, writes } = namedIn(await server.rows(namesQuery(full ?? facts)))
      for (const oid of reads) named.reads.add(oid)
      for (const oid of writes) named.writes.add(oid)
      return this.#excuses(parsed, full ?? facts, named)
    }
    if (!removes) return look()
    this.#catalogue = undefined
    await server.send('ROLLBACK TO sluice_before')
    const found = await look()
    const again = await server.send(text)
    if (again.failed !== undefined) throw new Error(`a second time it failed with ${again.failed}: ${text}`)
    this.#catalogue = undefined
    found.push(...(await this.#excuses(parsed, facts, named)))
    this.#fresh(await server.rows(LOCKS), new Map())
    return found
  }

  async #excuses(parsed: ParseResult, facts: Facts, named: Named): Promise<Excused[]> {
    const statements = parsed.kind === 'parsed' ? (parsed.tree.stmts ?? []) : []
    const surveys = statements.flatMap(({ stmt }) => (stmt === undefined ? [] : [survey(stmt)]))
    const rows = await this.#server.rows(
      excusesQuery({
        reads: [...named.reads],
        writes: [...named.writes],
        calls: facts.calls.map(bare),
        operators: surveys.flatMap(({ operators }) => operators.map(({ name }) => name)),
        types: surveys.flatMap(({ types }) => types.map(({ name }) => name)),
      }),
    )
    return rows.map(([reason, oid]) => ({ reason: reason ?? '', oid: oid ?? undefined }))
  }

  /** The same facts where the catalogue is known: temporary relations are in it like all the others. */
  async #withCatalogue(text: string, parsed: ParseResult): Promise<Facts | undefined> {
    const { catalogue, labelled, searchPath } = (this.#catalogue ??= await this.#readCatalogue())
    // Where everything is labelled the whole of the lineage is walked: for what could make it fail.
    this.#facts(text, parsed, { catalogue: labelled, searchPath })
    return this.#facts(text, parsed, { catalogue, searchPath })
  }

  async #readCatalogue(): Promise<KnownCatalogue> {
    const texts = [
      PATH,
      // One of the questions sets a search path of its own for as long as the transaction lasts.
      'SAVEPOINT sluice_catalogue',
      ...catalogueQueries.map((each) => each.replaceAll("!~ '^pg_(toast|temp)'", "!~ '^pg_toast'")),
      'ROLLBACK TO sluice_catalogue',
      'RELEASE sluice_catalogue',
      LOCKS,
    ]
    const [path, ...answers] = await this.#ask(texts)
    const results = answers.slice(0, catalogueQueries.length)
    this.#fresh(answers.at(-1) ?? [], new Map())
    return {
      searchPath: (path?.[0]?.[0] ?? '').split('\n').filter(Boolean),
      catalogue: buildCatalogue(results, [], 1),
      labelled: buildCatalogue(results, [{ pattern: '*.*.*', label: brand('secret') }], 1),
    }
  }
}

/** Rows of role and oid: what the facts name, as the server resolves the names at this moment. */
function namesQuery({ reads, writes }: Pick<Facts, 'reads' | 'writes'>): string {
  const named = (role: string, names: readonly string[]) =>
    names.map((name) => `('${role}', to_regclass(${quoted(identifier(name))})::oid)`)
  const values = [`('r', NULL::oid)`, ...named('r', reads), ...named('w', writes)]
  return `SELECT * FROM (VALUES ${values.join(', ')}) v(role, oid) WHERE oid IS NOT NULL`
}

function namedIn(rows: Rows): Named {
  const of = (role: string) => new Set(rows.flatMap(([r, oid]) => (r === role && oid != null ? [oid] : [])))
  return { reads: of('r'), writes: of('w') }
}

function relationsIn(rows: Rows): Map<string, Relation> {
  return new Map(
    rows.map(([oid, schema, name, kind]) => [
      oid ?? '',
      { schema: schema ?? '', name: name ?? '', kind: kind ?? '' },
    ]),
  )
}

function isNamed({ oid, mode }: Lock, { reads, writes }: Named): boolean {
  // What changes rows takes just this lock.
  return writes.has(oid) || (mode !== 'RowExclusiveLock' && reads.has(oid))
}

function joined(a: Named, b: Named): Named {
  return { reads: new Set([...a.reads, ...b.reads]), writes: new Set([...a.writes, ...b.writes]) }
}

/** Why a lock that nothing names is none of the statement's own; undefined: it should have been told. */
function excuseFor(
  { oid, mode }: Lock,
  { text, parsed, facts }: Compared,
  excuses: readonly Excused[],
): Excuse | undefined {
  const is = (reason: Excuse, of?: string) =>
    excuses.some((each) => each.reason === reason && each.oid === of)
  const defines = facts.class === 'define' || facts.class === 'administer'
  const describing = describes({ reads: facts.reads, calls: facts.calls.map(bare) })
  if (mode === 'AccessShareLock' && describing) return 'describing'
  if ((defines || mode === 'AccessShareLock') && is('ancestor', oid)) return 'ancestor'
  if (is('key', oid)) return 'key'
  if (facts.class === 'write' && is('trigger')) return 'trigger'
  if (is('trigger', oid)) return 'trigger'
  if (is('policy', oid)) return 'policy'
  if (is('body')) return 'body'
  if (!defines) return undefined
  const statements = parsed.kind === 'parsed' ? (parsed.tree.stmts ?? []) : []
  // The server looks through a body when it is defined.
  if (statements.some(({ stmt }) => stmt && 'CreateFunctionStmt' in stmt)) return 'body'
  if (statements.some(({ stmt }) => isAboutAll(stmt))) return 'all'
  if (statements.some(({ stmt }) => stmt && 'AlterDomainStmt' in stmt)) return 'cascade'
  if (is('event')) return 'event'
  if (statements.some(({ stmt }) => isAboutIndex(stmt))) return 'index'
  return REMOVES.test(text) && /\bCASCADE\b/i.test(text) ? 'cascade' : undefined
}

function isAboutAll(node: Node | undefined): boolean {
  if (node === undefined) return false
  if ('VacuumStmt' in node) return node.VacuumStmt.rels === undefined
  const kinds = ['AlterTableMoveAllStmt', 'DropOwnedStmt', 'ReassignOwnedStmt', 'AlterPublicationStmt']
  return kinds.some((kind) => kind in node)
}

function isAboutIndex(node: Node | undefined): boolean {
  if (node === undefined) return false
  if ('DropStmt' in node) {
    const { removeType } = node.DropStmt
    return removeType === 'OBJECT_INDEX' || removeType === 'OBJECT_STATISTIC_EXT'
  }
  if ('RenameStmt' in node) return node.RenameStmt.renameType === 'OBJECT_INDEX'
  if ('AlterTableStmt' in node) return node.AlterTableStmt.objtype === 'OBJECT_INDEX'
  if ('CommentStmt' in node) return node.CommentStmt.objtype === 'OBJECT_INDEX'
  return 'ReindexStmt' in node && node.ReindexStmt.kind === 'REINDEX_OBJECT_INDEX'
}

function bare(name: string): string {
  return name.split('.').at(-1) ?? name
}

/** `schema.name` of the facts as an identifier. */
function identifier(name: string): string {
  const at = name.lastIndexOf('.')
  const parts = at < 0 ? [name] : [name.slice(0, at), name.slice(at + 1)]
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')
}
