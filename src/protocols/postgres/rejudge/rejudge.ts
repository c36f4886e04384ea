import type { Connection, Facts } from '../../../core/index.ts'
import { isGatewayError, LIMITS } from '../../../core/index.ts'
import type { RecordedCommand, Rejudge, Rejudged, RejudgedSession } from '../../../session/index.ts'
import type {
  AnalysisContext,
  Catalogue,
  Effect,
  ParseResult,
  QueryTree,
  SqlAnalyser,
} from '../../../sql/index.ts'
import { createSqlAnalyser, virtualQuery } from '../../../sql/index.ts'
import { buildCatalogue } from '../catalogue/catalogue.ts'
import { answersIn } from '../catalogue/snapshot.ts'
import { opaqueFacts } from '../requests/known-facts.ts'
import type { PostgresSettings } from '../settings.ts'
import { RecordedState } from './recorded-state.ts'

/** Databases of one connection, each in some of its states, that are kept assembled. */
const CATALOGUES_MAX = 8

/** What the analysis said of a text in a session that has made nothing. */
type Analysed = { readonly facts: Facts; readonly effects: readonly (readonly Effect[])[] }

type Known = {
  readonly catalogues: Map<string, Promise<Catalogue | undefined>>
  readonly analysed: Map<string, Analysed>
}

/**
 * Recorded statements judged anew: the analyser that reads those of clients, over the definitions of that time, under the
 * labels of a connection as it is handed in.
 */
export async function openRejudge(
  snapshot: (address: string) => Promise<string | undefined>,
): Promise<Rejudge> {
  const analyser = await createSqlAnalyser()
  const known = new WeakMap<Connection, Known>()
  return {
    session: () =>
      new RejudgedStatements(analyser, snapshot, (connection) => {
        let of = known.get(connection)
        if (of === undefined) known.set(connection, (of = { catalogues: new Map(), analysed: new Map() }))
        return of
      }),
    close: () => analyser.close(),
  }
}

class RejudgedStatements implements RejudgedSession {
  readonly #analyser: SqlAnalyser
  readonly #snapshot: (address: string) => Promise<string | undefined>
  readonly #knownOf: (connection: Connection) => Known
  readonly #state = new RecordedState()
  #connection: Connection | undefined

  constructor(
    analyser: SqlAnalyser,
    snapshot: (address: string) => Promise<string | undefined>,
    knownOf: (connection: Connection) => Known,
  ) {
    this.#analyser = analyser
    this.#snapshot = snapshot
    this.#knownOf = knownOf
  }

  async next(command: RecordedCommand, connection: Connection): Promise<Rejudged> {
    if (!isOurs(connection)) throw new TypeError('a connection of another protocol')
    if (this.#connection !== undefined && this.#connection !== connection) this.#state.relabelled()
    this.#connection = connection
    const { intent, outcome } = command
    if (NAMELESS.test(intent.text)) return { kind: 'facts', facts: opaqueFacts() }
    const labelled = connection.labels.length > 0
    const parsed = await this.#parsed(intent.text)
    if (typeof parsed === 'string') return { kind: 'refused', message: parsed }
    if (parsed.kind === 'unparsed' && labelled)
      return { kind: 'refused', message: 'This statement cannot be parsed.' }
    const virtual = virtualQuery(parsed, connection.settings.virtualSchema)
    if (virtual.kind === 'query') return { kind: 'own' }
    if (virtual.kind === 'refused') return { kind: 'refused', message: virtual.message }
    const context = labelled ? await this.#context(command, connection) : { searchPath: [] }
    if (typeof context === 'string') return { kind: 'unknown', why: context }
    const { facts, effects } = this.#analysed(command, parsed, context, this.#knownOf(connection))
    this.#state.follow(effects, outcome)
    return { kind: 'facts', facts }
  }

  /** A text where it would be refused before it is judged. */
  async #parsed(text: string): Promise<ParseResult | string> {
    try {
      return await this.#analyser.parse(text)
    } catch (error) {
      if (!isGatewayError(error)) throw error
      return error.message
    }
  }

  async #context(
    { basis: { names, catalogue: address } }: RecordedCommand,
    connection: Connection,
  ): Promise<AnalysisContext | 'catalogue' | 'session'> {
    const catalogue = address === undefined ? undefined : await this.#catalogue(address, connection)
    if (catalogue === undefined || names === undefined) return 'catalogue'
    if (!this.#state.agrees(names)) return 'session'
    return {
      catalogue,
      overlay: this.#state.overlay,
      searchPath: names.path,
      ...(names.role === undefined ? {} : { role: names.role }),
      ...(names.login === undefined ? {} : { login: names.login }),
    }
  }

  #catalogue(address: string, connection: Connection): Promise<Catalogue | undefined> {
    const { catalogues } = this.#knownOf(connection)
    let found = catalogues.get(address)
    if (found === undefined) {
      found = this.#assembled(address, connection)
      catalogues.set(address, found)
      const [oldest] = catalogues.keys()
      if (catalogues.size > CATALOGUES_MAX && oldest !== undefined) catalogues.delete(oldest)
    }
    return found
  }

  async #assembled(address: string, { labels }: Connection): Promise<Catalogue | undefined> {
    const text = await this.#snapshot(address)
    const answers = text === undefined ? undefined : answersIn(text)
    return answers === undefined ? undefined : buildCatalogue(answers, labels, 1)
  }

  #analysed(
    { intent, basis, outcome }: RecordedCommand,
    parsed: ParseResult,
    context: AnalysisContext,
    { analysed: cache }: Known,
  ): Analysed {
    const key =
      this.#state.isPlain && intent.text.length <= LIMITS.statementInlineBytesMax
        ? `${basis.catalogue ?? ''} ${JSON.stringify(basis.names ?? [])} ${intent.form}\n${intent.text}`
        : undefined
    const before = key === undefined ? undefined : cache.get(key)
    if (before !== undefined) return before
    const named = this.#state.named((query) => this.#analyser.analyseQuery(query, context))
    const whole = { ...context, named }
    const facts = this.#analyser.analyse(parsed, whole)
    const effects = this.#analyser.effects(parsed, whole, facts.escape?.labels)
    const made = intent.form === 'execute' ? queryMade(effects) : undefined
    if (made !== undefined && !/^(PREPARE|DECLARE)/.test(outcome?.tag ?? 'PREPARE')) {
      // The text is of what SQL has made a name for; it is that name's query which was bound and run.
      return { facts: this.#analyser.analyseQuery(made, whole), effects: [] }
    }
    const analysed = { facts, effects }
    if (key !== undefined && !effects.some((each) => each.some(({ kind }) => NAMING.has(kind)))) {
      if (cache.size >= LIMITS.rejudgementsKeptMax) cache.clear()
      cache.set(key, analysed)
    }
    return analysed
  }
}

/** Of these the meaning is not in the text. */
const NAMING: ReadonlySet<Effect['kind']> = new Set(['prepare', 'declare', 'run', 'fetch'])

/** As the gateway writes down what it has no text of. */
const NAMELESS = /^\((bind|execute) of a name made by SQL\)$/

function queryMade(effects: readonly (readonly Effect[])[]): QueryTree | undefined {
  const [effect] = effects.length === 1 ? (effects[0] ?? []) : []
  return effect?.kind === 'prepare' || effect?.kind === 'declare' ? effect.query : undefined
}

/** The configuration has read the settings of every connection of ours by our schema. */
function isOurs(connection: Connection): connection is Connection<PostgresSettings> {
  return connection.protocol === 'postgres'
}
