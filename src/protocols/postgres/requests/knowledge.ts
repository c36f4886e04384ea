import { createHash } from 'node:crypto'
import type { Connection, Facts, LabelName, NamesBasis } from '../../../core/index.ts'
import { GatewayError } from '../../../core/index.ts'
import type { Ground } from '../../../session/index.ts'
import type { Beginning, Catalogue, Overlay } from '../../../sql/index.ts'
import { isPlainTable, overlayAfter, settingsNow, labelsOfColumn } from '../../../sql/index.ts'
import type { CatalogueKeeper, Known } from '../catalogue/catalogue-keeper.ts'
import { untold } from '../catalogue/catalogue-keeper.ts'
import type { InReach } from '../results/results.ts'
import type { Knowledge, KnowledgeSource } from './commands.ts'
import type { TypeLookup } from '../results/result-types.ts'
import { builtinType } from '../results/result-types.ts'
import type { PostgresSettings } from '../settings.ts'
import { UpstreamRefused } from '../startup/upstream.ts'

/** The first oid that the server gives to objects of users. */
const FIRST_USER_OID = 16384

export type KnowledgeParts = {
  /** The connection as configured now; undefined when it has been removed. */
  connection(): Connection<PostgresSettings> | undefined
  keeper(connection: Connection<PostgresSettings>): CatalogueKeeper
  /**
   * What the server told when the session began.
   * Undefined: the session began without labels, and has what the role and the database have by default.
   */
  readonly beginning: Beginning | undefined
  /** What the session has changed since. */
  readonly state: { overlay: Overlay }
  /** The client began with settings of its own that give names another meaning. */
  readonly moved: boolean
  /** Told what commands of this scope are judged by, before the first of them. */
  rests?(scope: string, basis: Ground): void
}

const WITHOUT_LABELS: Knowledge = { scope: 'no labels', context: { searchPath: [] } }

/** What the statements of one session are judged by: follows the configuration and the catalogue's epochs. */
export class SessionKnowledge implements KnowledgeSource {
  readonly #parts: KnowledgeParts
  #connection: Connection<PostgresSettings> | undefined
  #keeper: CatalogueKeeper | undefined
  #known: Known | undefined
  #reach: { readonly known: Known; readonly has: InReach } | undefined
  #knowledge: Knowledge | undefined
  #frame: Overlay['now'] | undefined
  #moved: boolean
  /** What a session would have begun with when this one was first looked at. */
  #defaults: string | undefined

  constructor(parts: KnowledgeParts) {
    this.#parts = parts
    this.#moved = parts.moved
  }

  get labelled(): boolean {
    return (this.#parts.connection()?.labels.length ?? 0) > 0
  }

  get labels(): readonly LabelName[] {
    const assigned = this.#parts.connection()?.labels ?? []
    return [...new Set(assigned.map(({ label }) => label))].sort()
  }

  /** From now on until `close` the session relies on what the keeper knows. */
  follow(): void {
    this.#follow()
  }

  current(): Knowledge | undefined {
    const keeper = this.#follow()
    if (keeper === undefined) return WITHOUT_LABELS
    const known = keeper.current(this)
    return known === undefined ? undefined : this.#from(known)
  }

  meaning(): string | undefined {
    const { overlay } = this.#parts.state
    const beginning = this.#parts.beginning ?? this.#latest()?.beginning
    if (beginning === undefined) return ''
    if (overlay.now.lost) return undefined
    const definitions = this.#latest()?.fingerprint
    return `${describe(beginning, overlay)}${definitions === undefined ? '' : `, definitions ${definitions}`}`
  }

  /**
   * How names are found in this session, for a connection of the gateway's own that is to find the same. Undefined: the session
   * acts as somebody else than it began as, or nobody knows how it finds them.
   */
  names(): { readonly searchPath?: readonly string[]; readonly beginning?: Beginning } | undefined {
    const { overlay } = this.#parts.state
    if (this.#moved || overlay.now.lost) return undefined
    const beginning = this.#parts.beginning ?? this.#latest()?.beginning
    if (beginning === undefined) return isAsBegun(overlay) ? {} : undefined
    const { path, role } = settingsNow(beginning, overlay)
    return role === beginning.role ? { searchPath: path, beginning } : undefined
  }

  /** In labelled reach such a statement is refused; labels that come later find a session they cannot be held to. */
  moves(): void {
    if (!this.labelled) this.#moved = true
  }

  async ready(): Promise<Knowledge> {
    const keeper = this.#follow()
    if (keeper === undefined) return WITHOUT_LABELS
    return this.#from(await keeper.ready(this).catch(notTold))
  }

  /**
   * Relations from which labelled values could come, and columns: only those of tables are sure to hold what is theirs.
   * Undefined on a connection without labels. The same one as long as nothing else is known.
   */
  inReach(): InReach | undefined {
    const latest = this.#latest()
    if (latest === undefined) return undefined
    if (this.#reach?.known !== latest) this.#reach = { known: latest, has: this.#hasInReach() }
    return this.#reach.has
  }

  #hasInReach(): InReach {
    return (oid, attribute) => {
      const known = this.#latest()
      if (known === undefined) return true
      if (!known.reach.has(oid) || attribute === undefined) return known.reach.has(oid)
      const relation = known.catalogue.relations.get(oid)
      if (relation === undefined || !isPlainTable(relation)) return true
      // Where a row is, not what is in it.
      if (attribute < 0) return false
      const column = relation.columns.find((each) => each.attribute === attribute)
      return column === undefined || labelsOfColumn(column).length > 0
    }
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
      const column = relation.columns.find((each) => each.attribute === attribute)
      const labels = column === undefined ? [] : labelsOfColumn(column)
      return labels.length === 0 ? !isPlainTable(relation) : !labels.every((each) => escaped.includes(each))
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

  /** Whether code of users stands behind the type of this number, of which it is not known that it shows no value. */
  userCode(type: number): 'casts' | 'speaks' | undefined {
    const catalogue = this.#latest()?.catalogue
    if (catalogue === undefined) return undefined
    if (catalogue.recast?.has(type) === true) return 'casts'
    if (catalogue.userCode?.types.has(type) === true) return 'speaks'
    if (type < FIRST_USER_OID) return undefined
    for (const types of catalogue.types.values())
      for (const { oid } of types.values()) if (oid === type) return undefined
    // Not known, or not yet.
    return 'casts'
  }

  /** Whether a value of the type of this number is one value, and equal to itself alone. */
  isExact(type: number): boolean {
    const catalogue = this.#latest()?.catalogue
    if (catalogue === undefined || type < FIRST_USER_OID) return true
    for (const types of catalogue.types.values())
      for (const { oid, exact } of types.values()) if (oid === type) return exact
    return false
  }

  /** The catalogue as it was known last; for names in what the server says, not for judging. */
  get catalogue(): Catalogue | undefined {
    return (this.#keeper?.current() ?? this.#known)?.catalogue
  }

  get moment(): object | undefined {
    return this.#keeper === undefined ? WITHOUT_LABELS : this.#keeper.momentFor(this)
  }

  isCalm(moment: object | undefined): boolean {
    return this.#keeper?.isCalm(moment, this) ?? true
  }

  async checked(): Promise<Knowledge> {
    const keeper = this.#follow()
    return keeper === undefined ? WITHOUT_LABELS : this.#from(await keeper.checked().catch(notTold))
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
    // What was made under other labels may hold what has one now.
    const { state } = this.#parts
    if (this.#connection !== undefined) state.overlay = overlayAfter(state.overlay, { kind: 'taint' })
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
    const defaults = JSON.stringify(known.beginning)
    this.#defaults ??= defaults
    // Sessions that are there may have the new ones or keep the old ones: it depends on where they were changed.
    if (defaults !== this.#defaults) throw begunOtherwise()
    const { overlay } = this.#parts.state
    if (known === this.#known && overlay.now === this.#frame && this.#knowledge !== undefined)
      return this.#knowledge
    this.#known = known
    this.#frame = overlay.now
    const beginning = this.#parts.beginning ?? known.beginning
    const { catalogue, fingerprint } = known
    this.#knowledge = {
      scope: `epoch ${catalogue.epoch} of ${fingerprint}, ${describe(beginning, overlay)}`,
      context: { catalogue, overlay, ...beginning },
      moment: known.moment,
      ...(this.#connection === undefined ? {} : { labelling: this.#connection }),
      asBegun: isAsBegun(overlay),
    }
    if (known.snapshot !== undefined) {
      const names = namesBasis(beginning, overlay)
      this.#parts.rests?.(this.#knowledge.scope, { catalogue: known.snapshot, names })
    }
    return this.#knowledge
  }
}

function isAsBegun({ now }: Overlay): boolean {
  const set = [now.path, now.pathLocal, now.role, now.roleLocal]
  return set.every((each) => each === undefined) && now.made.size === 0 && !now.lost
}

function namesBasis(beginning: Beginning, overlay: Overlay): NamesBasis {
  const { path, role } = settingsNow(beginning, overlay)
  const { made, lost } = overlay.now
  const { searchPath, role: began, login } = beginning
  return {
    path: searchPath,
    ...(began === undefined ? {} : { role: began }),
    ...(login === undefined ? {} : { login }),
    ...(JSON.stringify(path) === JSON.stringify(searchPath) ? {} : { pathNow: path }),
    ...(role === undefined || role === began ? {} : { roleNow: role }),
    ...(made.size === 0 ? {} : { made: made.size }),
    ...(lost ? { lost } : {}),
  }
}

/** Everything about a session that facts depend on, in words: sessions of the same description share decisions. */
function describe(beginning: Beginning, overlay: Overlay): string {
  const { path, role } = settingsNow(beginning, overlay)
  const { made, lost } = overlay.now
  const words = `path ${JSON.stringify(path)} as ${JSON.stringify(role ?? null)}`
  if (made.size === 0 && !lost) return words
  const all = createHash('sha256')
    .update(JSON.stringify([...made]))
    .digest('hex')
  return `${words}, made ${all}${lost ? ', lost' : ''}`
}

function begunOtherwise(): GatewayError {
  return new GatewayError('denied', 'Connect again: the search path that sessions begin with has changed.', {
    remedy:
      'What names mean in this session is not known any more, so protected columns could not be told from others.',
    retry: 'only-if-changed',
  })
}

function beganBefore(): GatewayError {
  return new GatewayError('denied', 'Connect again: this session began before its connection had labels.', {
    remedy: 'It may have changed what names mean, so that protected columns could not be told from others.',
    retry: 'only-if-changed',
  })
}

/** What a session that has not begun is told in the server's own words. */
function notTold(error: unknown): never {
  throw error instanceof UpstreamRefused ? untold(error) : error
}
