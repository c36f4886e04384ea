import type { Kysely, Transaction } from 'kysely'
import { sql } from 'kysely'
import { z } from 'zod'
import type { SessionId } from '../core/index.ts'
import { brand, LIMITS } from '../core/index.ts'
import type {
  FactKind,
  Findings,
  SeenFilter,
  SessionFilter,
  SessionIndex,
  SessionSummary,
  SightingFilter,
} from '../recording/list/index-port.ts'
import { ANY } from '../recording/list/index-port.ts'
import type { SessionRow, Tables } from './schema.ts'
import { addFindings, labelsOf, seenColumns, seenTables, sightings, viewers } from './sightings.ts'

const keysSchema = z.array(z.string())

/** Rows per statement: SQLite takes 32,766 parameters in one, and a session has nineteen. */
const CHUNK = 500
const POSITION = 'session index position'

export class SessionIndexRepository implements SessionIndex {
  readonly #db: Kysely<Tables>
  readonly #node: string | null
  /** Each node counts its own journal in. */
  readonly #position: string

  /** `node`: whose sessions are put; absent where there is only one gateway. */
  constructor(db: Kysely<Tables>, node?: string) {
    this.#db = db
    this.#node = node ?? null
    this.#position = node === undefined ? POSITION : `${POSITION} of ${node}`
  }

  async position(): Promise<number> {
    const row = await this.#db
      .selectFrom('properties')
      .select('value')
      .where('name', '=', this.#position)
      .executeTakeFirst()
    return Number(row?.value ?? 0)
  }

  async get(session: SessionId): Promise<SessionSummary | undefined> {
    const row = await this.#db
      .selectFrom('sessions')
      .selectAll()
      .where('session', '=', session)
      .executeTakeFirst()
    return row === undefined ? undefined : fromRow(row)
  }

  async upsert(summaries: readonly SessionSummary[], position: number, found?: Findings): Promise<void> {
    // The last word on a session counts: one statement must not name a row twice.
    const latest = [...new Map(summaries.map((each) => [each.session, each])).values()]
    await this.#db.transaction().execute(async (transaction) => {
      for (let at = 0; at < latest.length; at += CHUNK) {
        await upsertChunk(transaction, latest.slice(at, at + CHUNK), this.#node)
      }
      if (found !== undefined) await addFindings(transaction, found)
      const value = String(position)
      await transaction
        .insertInto('properties')
        .values({ name: this.#position, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute()
    })
  }

  async list(filter: SessionFilter): Promise<readonly SessionSummary[]> {
    let query = this.#db.selectFrom('sessions').selectAll('sessions')
    const { connection, identity, open, openedFrom, openedBefore, before, here } = filter
    if (here === true) query = query.where('sessions.node', this.#node === null ? 'is' : '=', this.#node)
    if (connection !== undefined) query = query.where('connection', '=', connection)
    if (identity !== undefined) {
      query = query
        .innerJoin('session_identities', 'session_identities.session', 'sessions.session')
        .where('session_identities.identity', '=', identity)
    }
    if (open !== undefined) query = query.where('closed_at', open ? 'is' : 'is not', null)
    if (openedFrom !== undefined) query = query.where('opened_at', '>=', openedFrom)
    if (openedBefore !== undefined) query = query.where('opened_at', '<', openedBefore)
    if (before !== undefined) query = query.where('sessions.session', '<', before)
    const asked = [...factsAsked(filter)]
    // Somebody's sessions are few beside all that have a fact.
    if (identity !== undefined)
      for (const fact of asked)
        query = query.where(({ exists }) =>
          exists(
            factsLike(this.#db, fact)
              .select('session_facts.session')
              .where('session_facts.session', '=', sql.ref<string>('sessions.session')),
          ),
        )
    const [rarest, ...others] = identity === undefined ? await this.#rarestFirst(asked) : []
    if (rarest !== undefined) {
      // From the index of facts, and no session looked at that has not all of them.
      let having = factsLike(this.#db, rarest).select('session_facts.session')
      for (const { kinds, value } of others) {
        having = having.where(({ exists, selectFrom }) =>
          exists(
            selectFrom('session_facts as other')
              .select('other.session')
              .where('other.kind', 'in', kinds)
              .where('other.value', 'in', [value, ANY])
              .whereRef('other.session', '=', 'session_facts.session'),
          ),
        )
      }
      query = query.where('sessions.session', 'in', having)
    }
    const rows = await query.orderBy('sessions.session', 'desc').limit(filter.limit).execute()
    return rows.map(fromRow)
  }

  /** Where a search begins decides how long it takes; nothing counts beyond what is many. */
  async #rarestFirst(asked: readonly FactAsked[]): Promise<readonly FactAsked[]> {
    if (asked.length < 2) return asked
    const counted: { readonly fact: FactAsked; readonly count: number }[] = []
    for (const fact of asked) {
      const some = factsLike(this.#db, fact).select('session_facts.session').limit(MANY).as('some')
      const row = await this.#db
        .selectFrom(some)
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirst()
      counted.push({ fact, count: row?.count ?? 0 })
    }
    return counted.toSorted((a, b) => a.count - b.count).map(({ fact }) => fact)
  }

  sightings(filter: SightingFilter) {
    return sightings(this.#db, filter)
  }

  viewers(filter: SightingFilter) {
    return viewers(this.#db, filter)
  }

  labelsOf(column: string) {
    return labelsOf(this.#db, column)
  }

  seenColumns(filter: SeenFilter) {
    return seenColumns(this.#db, filter)
  }

  seenTables(filter: SeenFilter) {
    return seenTables(this.#db, filter)
  }
}

/** What a session must have been found to have; one of the kinds is enough. */
type FactAsked = { readonly kinds: FactKind[]; readonly value: string }

/** Sessions with a fact that need not be told from more of them. */
const MANY = 20_000

function factsLike(db: Kysely<Tables>, { kinds, value }: FactAsked) {
  return db
    .selectFrom('session_facts')
    .where('session_facts.kind', 'in', kinds)
    .where('session_facts.value', 'in', [value, ANY])
}

function* factsAsked(filter: SessionFilter): Generator<FactAsked> {
  for (const kind of ['group', 'class', 'decision', 'read', 'written', 'masked', 'clear'] as const) {
    const value = filter[kind]
    if (value !== undefined) yield { kinds: [kind], value: value.slice(0, LIMITS.factCharactersMax) }
  }
  if (filter.table !== undefined)
    yield { kinds: ['read', 'written', 'tried'], value: filter.table.slice(0, LIMITS.factCharactersMax) }
}

async function upsertChunk(
  transaction: Transaction<Tables>,
  summaries: readonly SessionSummary[],
  node: string | null,
): Promise<void> {
  await transaction
    .insertInto('sessions')
    .values(summaries.map((each) => toRow(each, node)))
    .onConflict((conflict) =>
      conflict.column('session').doUpdateSet((eb) => ({
        opened_at: eb.ref('excluded.opened_at'),
        closed_at: eb.ref('excluded.closed_at'),
        close_reason: eb.ref('excluded.close_reason'),
        connection: eb.ref('excluded.connection'),
        protocol: eb.ref('excluded.protocol'),
        chain: eb.ref('excluded.chain'),
        credential: eb.ref('excluded.credential'),
        minted_by: eb.ref('excluded.minted_by'),
        client_address: eb.ref('excluded.client_address'),
        program: eb.ref('excluded.program'),
        database: eb.ref('excluded.database'),
        config: eb.ref('excluded.config'),
        commands: eb.ref('excluded.commands'),
        denied: eb.ref('excluded.denied'),
        held: eb.ref('excluded.held'),
        rows: eb.ref('excluded.rows'),
        bytes: eb.ref('excluded.bytes'),
      })),
    )
    .execute()
  const identities = summaries.flatMap(({ session, chain }) =>
    chain.map((identity) => ({ session, identity })),
  )
  if (identities.length === 0) return
  await transaction
    .insertInto('session_identities')
    .values(identities)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

function toRow(summary: SessionSummary, node: string | null): SessionRow {
  return {
    session: summary.session,
    node,
    opened_at: summary.openedAt,
    closed_at: summary.closedAt ?? null,
    close_reason: summary.closeReason ?? null,
    connection: summary.connection,
    protocol: summary.protocol,
    chain: JSON.stringify(summary.chain),
    credential: summary.credential,
    minted_by: summary.mintedBy,
    client_address: summary.clientAddress,
    program: summary.program,
    database: summary.database,
    config: summary.config,
    commands: summary.commands,
    denied: summary.denied,
    held: summary.held,
    rows: summary.rows,
    bytes: summary.bytes,
  }
}

function fromRow(row: SessionRow): SessionSummary {
  return {
    session: brand<SessionId>(row.session),
    ...(row.node === null ? {} : { node: row.node }),
    openedAt: row.opened_at,
    ...(row.closed_at === null ? {} : { closedAt: row.closed_at }),
    ...(row.close_reason === null ? {} : { closeReason: row.close_reason }),
    connection: row.connection,
    protocol: row.protocol,
    chain: keysSchema.parse(JSON.parse(row.chain)),
    credential: row.credential,
    mintedBy: row.minted_by,
    clientAddress: row.client_address,
    program: row.program,
    database: row.database,
    config: row.config,
    commands: row.commands,
    denied: row.denied,
    held: row.held,
    rows: row.rows,
    bytes: row.bytes,
  }
}
