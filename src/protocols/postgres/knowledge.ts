import type { Connection, Facts } from '../../core/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { Catalogue } from '../../sql/index.ts'
import { isPlainTable } from '../../sql/index.ts'
import type { CatalogueKeeper, Known } from './catalogue-keeper.ts'
import type { Knowledge, KnowledgeSource } from './commands.ts'
import type { TypeLookup } from './result-types.ts'
import { builtinType } from './result-types.ts'
import type { PostgresSettings } from './settings.ts'

/** The first oid that the server gives to objects of users. */
const FIRST_USER_OID = 16384

export type KnowledgeParts = {
  /** The connection as configured now; undefined when it has been removed. */
  connection(): Connection<PostgresSettings> | undefined
  keeper(connection: Connection<PostgresSettings>): CatalogueKeeper
  /**
   * The effective search path, as the server told it when the session began; it cannot change in labelled reach.
   * Undefined: the session began without labels, and has what the role and the database have by default.
   */
  readonly searchPath: readonly string[] | undefined
  /** The client began with settings of its own that give names another meaning. */
  readonly moved: boolean
}

const WITHOUT_LABELS: Knowledge = { scope: 'no labels', context: { searchPath: [] } }

/** What the statements of one session are judged by: follows the configuration and the catalogue's epochs. */
export class SessionKnowledge implements KnowledgeSource {
  readonly #parts: KnowledgeParts
  #connection: Connection<PostgresSettings> | undefined
  #keeper: CatalogueKeeper | undefined
  #known: Known | undefined
  #knowledge: Knowledge | undefined
  #moved: boolean

  constructor(parts: KnowledgeParts) {
    this.#parts = parts
    this.#moved = parts.moved
  }

  get labelled(): boolean {
    return (this.#parts.connection()?.labels.length ?? 0) > 0
  }

  /** From now on until `close` the session relies on what the keeper knows. */
  follow(): void {
    this.#follow()
  }

  current(): Knowledge | undefined {
    const keeper = this.#follow()
    if (keeper === undefined) return WITHOUT_LABELS
    const known = keeper.current()
    return known === undefined ? undefined : this.#from(known)
  }

  /** In labelled reach such a statement is refused; labels that come later find a session they cannot be held to. */
  moves(): void {
    if (!this.labelled) this.#moved = true
  }

  async ready(): Promise<Knowledge> {
    const keeper = this.#follow()
    if (keeper === undefined) return WITHOUT_LABELS
    return this.#from(await keeper.ready())
  }

  /** Relations from which labelled values could come; undefined on a connection without labels. */
  inReach(): ((relation: number) => boolean) | undefined {
    if (this.#latest() === undefined) return undefined
    return (relation) => this.#latest()?.reach.has(relation) ?? true
  }

  /**
   * Whether a column of this relation would be a surprise in the result of a statement that was said to read nothing
   * protected. Undefined: nothing would, on a connection without labels, or to who may see what escapes it.
   */
  suspicion(facts: Facts, statement: number): ((relation: number, attribute: number) => boolean) | undefined {
    const known = this.#latest()
    if (known === undefined) return undefined
    const escaped = facts.escape?.labels
    if (escaped !== undefined && known.catalogue.labels.every((label) => escaped.includes(label)))
      return undefined
    const own = facts.statements[statement]?.own === true
    return (oid, attribute) => {
      // Of the server's own, or computed.
      if (oid < FIRST_USER_OID) return false
      const relation = known.catalogue.relations.get(oid)
      if (relation === undefined) return !own
      if (!known.reach.has(oid)) return false
      if (escaped === undefined) return true
      const label = relation.columns.find((column) => column.attribute === attribute)?.label
      return label === undefined ? !isPlainTable(relation) : !escaped.includes(label)
    }
  }

  #latest(): Known | undefined {
    return this.#keeper?.current() ?? this.#known
  }

  /** What values of each type are, as the catalogue has it. */
  typeOf(): TypeLookup {
    return (this.#keeper?.current() ?? this.#known)?.types ?? builtinType
  }

  /** Whether the relation of this name is in reach; one that is not known counts. */
  isInReach(schema: string | undefined, table: string | undefined): boolean {
    const known = this.#latest()
    if (table === undefined || known === undefined) return false
    const relation = known.catalogue.schemas.get(schema ?? '')?.get(table)
    return relation === undefined || known.reach.has(relation.oid)
  }

  /** The catalogue as it was known last; for names in what the server says, not for judging. */
  get catalogue(): Catalogue | undefined {
    return (this.#keeper?.current() ?? this.#known)?.catalogue
  }

  redefining(): void {
    this.#keeper?.invalidate()
  }

  close(): void {
    this.#keeper?.leave()
    this.#keeper = undefined
  }

  /** The keeper of the connection as it is configured now. */
  #follow(): CatalogueKeeper | undefined {
    const connection = this.#parts.connection()
    if (connection === this.#connection) return this.#keeper
    this.#keeper?.leave()
    this.#connection = connection
    this.#keeper = undefined
    this.#known = undefined
    if (connection === undefined)
      throw new GatewayError('connection_unknown', 'This connection is configured no more.')
    if (connection.labels.length === 0) return undefined
    this.#keeper = this.#parts.keeper(connection)
    this.#keeper.join()
    return this.#keeper
  }

  #from(known: Known): Knowledge {
    if (this.#moved) throw beganBefore()
    if (known === this.#known && this.#knowledge !== undefined) return this.#knowledge
    this.#known = known
    const searchPath = this.#parts.searchPath ?? known.searchPath
    this.#knowledge = {
      scope: `epoch ${known.catalogue.epoch} of ${known.fingerprint}, path ${searchPath.join(',')}`,
      context: { catalogue: known.catalogue, searchPath },
    }
    return this.#knowledge
  }
}

function beganBefore(): GatewayError {
  return new GatewayError('denied', 'Connect again: this session began before its connection had labels.', {
    remedy: 'It may have changed what names mean, so that protected columns could not be told from others.',
    retry: 'only-if-changed',
  })
}
