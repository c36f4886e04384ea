import type { Kysely, Transaction } from 'kysely'
import { sql } from 'kysely'
import { z } from 'zod'
import type { SessionId } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type {
  Findings,
  SeenColumn,
  SeenFilter,
  SeenTable,
  SessionFact,
  Sighting,
  SightingFilter,
  Viewer,
} from '../recording/list/index-port.ts'
import { ANY } from '../recording/list/index-port.ts'
import type { SightingRow, Tables } from './schema.ts'

const keysSchema = z.array(z.string())
const outcomeSchema = z.enum(['ok', 'error', 'cut', 'refused', 'skipped', 'lost'])
const shownSchema = z.enum(['masked', 'clear'])

/** Rows per statement: a sighting has ten parameters, and SQLite takes 32,766. */
const CHUNK = 1_000

const PLACE = [
  'sightings.at',
  'sightings.session',
  'sightings.n',
  'sightings.column_name',
  'sightings.label',
] as const

/** Adds what was found of sessions to what is known of them. */
export async function addFindings(transaction: Transaction<Tables>, found: Findings): Promise<void> {
  for (const rows of chunks(addedUp(found.facts))) {
    await transaction
      .insertInto('session_facts')
      .values(
        rows.map(({ session, kind, value, commands, firstAt, lastAt }) => ({
          kind,
          value,
          session,
          commands,
          first_at: firstAt,
          last_at: lastAt,
        })),
      )
      .onConflict((conflict) =>
        conflict.columns(['kind', 'value', 'session']).doUpdateSet((eb) => ({
          commands: sql<number>`session_facts.commands + excluded.commands`,
          last_at: eb.ref('excluded.last_at'),
        })),
      )
      .execute()
  }
  // Those under way and then their ends: one statement must not name a row twice.
  for (const rows of chunks([...new Map(found.sightings.map((each) => [keyOf(each), each])).values()])) {
    await transaction
      .insertInto('sightings')
      .values(rows.map(toRow))
      .onConflict((conflict) =>
        conflict.columns(['session', 'n', 'label', 'column_name']).doUpdateSet((eb) => ({
          outcome: eb.ref('excluded.outcome'),
          rows: eb.ref('excluded.rows'),
          bytes: eb.ref('excluded.bytes'),
          empty: eb.ref('excluded.empty'),
        })),
      )
      .execute()
  }
  for (const { session, n, outcome, rows, bytes, empty } of found.ends) {
    await transaction
      .updateTable('sightings')
      .set({ outcome: outcome ?? null, rows, bytes, empty: empty ? 1 : 0 })
      .where('session', '=', session)
      .where('n', '=', n)
      .execute()
  }
}

export async function sightings(
  db: Kysely<Tables>,
  filter: SightingFilter,
): Promise<readonly (Sighting & { readonly chain: readonly string[]; readonly connection: string })[]> {
  let page = matching(db, filter).selectAll('sightings')
  const { after } = filter
  if (after !== undefined) {
    const { at, session, n, column, label } = after
    page = page.where(({ eb, refTuple, tuple }) =>
      eb(refTuple(...PLACE), '<', tuple(at, session, n, column, label)),
    )
  }
  for (const place of PLACE) page = page.orderBy(place, 'desc')
  // Whose they are is looked up for those that are shown only.
  let query = db
    .selectFrom(page.limit(filter.limit).as('sightings'))
    .innerJoin('sessions', 'sessions.session', 'sightings.session')
    .selectAll('sightings')
    .select(['sessions.chain', 'sessions.connection'])
  for (const place of PLACE) query = query.orderBy(place, 'desc')
  const rows = await query.execute()
  return rows.map((row) => ({
    ...fromRow(row),
    chain: keysSchema.parse(JSON.parse(row.chain)),
    connection: row.connection,
  }))
}

export async function viewers(db: Kysely<Tables>, filter: SightingFilter): Promise<readonly Viewer[]> {
  // A command that showed two columns with the label is one command.
  const commands = matching(db, filter)
    .select(['sightings.session', 'sightings.n', 'sightings.at', 'sightings.rows', 'sightings.shown'])
    .distinct()
    .as('commands')
  const rows = await db
    .selectFrom(commands)
    .innerJoin('sessions', 'sessions.session', 'commands.session')
    .select(['sessions.chain', 'commands.shown', ...totals('commands')])
    .groupBy(['sessions.chain', 'commands.shown'])
    .orderBy('last_at', 'desc')
    .limit(filter.limit)
    .execute()
  return rows.map(({ chain, shown, ...rest }) => ({
    chain: keysSchema.parse(JSON.parse(chain)),
    shown: shownSchema.parse(shown),
    ...totalOf(rest),
  }))
}

export async function labelsOf(db: Kysely<Tables>, column: string): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('sightings')
    .select('label')
    .distinct()
    .where('column_name', '=', column)
    .orderBy('label')
    .limit(LABELS_MAX)
    .execute()
  return rows.map(({ label }) => label)
}

/** A column has one label, and perhaps had others before. */
const LABELS_MAX = 100

export async function seenColumns(db: Kysely<Tables>, filter: SeenFilter): Promise<readonly SeenColumn[]> {
  let query = db
    .selectFrom('session_identities')
    .innerJoin('sightings', 'sightings.session', 'session_identities.session')
    .where('session_identities.identity', '=', filter.by)
    .where('sightings.empty', '=', 0)
    .select(['column_name', 'label', 'shown', ...totals('sightings')])
    .groupBy(['column_name', 'label', 'shown'])
  if (filter.from !== undefined) query = query.where('sightings.at', '>=', filter.from)
  if (filter.before !== undefined) query = query.where('sightings.at', '<', filter.before)
  const rows = await query.orderBy('label').orderBy('column_name').limit(filter.limit).execute()
  return rows.map(({ column_name: column, label, shown, ...rest }) => ({
    column,
    label,
    shown: shownSchema.parse(shown),
    ...totalOf(rest),
  }))
}

export async function seenTables(db: Kysely<Tables>, filter: SeenFilter): Promise<readonly SeenTable[]> {
  let query = db
    .selectFrom('session_identities')
    .innerJoin('session_facts', 'session_facts.session', 'session_identities.session')
    .where('session_identities.identity', '=', filter.by)
    // As an expression, so that it begins with the sessions and not with all facts of these kinds.
    .where(sql<string>`session_facts.kind || ''`, 'in', ['read', 'written'])
    .select(({ fn }) => [
      'kind',
      'value',
      sql<number>`cast(sum(session_facts.commands) as bigint)`.as('commands'),
      fn.min('session_facts.first_at').as('first_at'),
      fn.max('session_facts.last_at').as('last_at'),
    ])
    .groupBy(['kind', 'value'])
  if (filter.from !== undefined) query = query.where('session_facts.last_at', '>=', filter.from)
  if (filter.before !== undefined) query = query.where('session_facts.first_at', '<', filter.before)
  const rows = await query.orderBy('value').orderBy('kind').limit(filter.limit).execute()
  return rows.map(({ kind, value, commands, first_at: first, last_at: last }) => ({
    kind: kind === 'read' ? 'read' : 'written',
    table: value,
    commands: commands,
    firstAt: first,
    lastAt: last,
  }))
}

function matching(db: Kysely<Tables>, { saw, labels, from, before }: SightingFilter) {
  let query = db
    .selectFrom('sightings')
    .where(({ or, and, eb }) =>
      or([
        eb('sightings.column_name', '=', saw),
        eb('sightings.label', '=', saw),
        ...(labels.length === 0
          ? []
          : [and([eb('sightings.column_name', '=', ANY), eb('sightings.label', 'in', [...labels])])]),
      ]),
    )
    .where('sightings.empty', '=', 0)
  if (from !== undefined) query = query.where('sightings.at', '>=', from)
  if (before !== undefined) query = query.where('sightings.at', '<', before)
  return query
}

function totals(table: 'commands' | 'sightings') {
  return [
    sql<number>`count(*)`.as('commands'),
    sql<number>`cast(sum(${sql.ref(`${table}.rows`)}) as bigint)`.as('rows'),
    sql<number>`min(${sql.ref(`${table}.at`)})`.as('first_at'),
    sql<number>`max(${sql.ref(`${table}.at`)})`.as('last_at'),
  ] as const
}

function totalOf(row: {
  readonly commands: number
  readonly rows: number
  readonly first_at: number
  readonly last_at: number
}) {
  return {
    commands: row.commands,
    rows: row.rows,
    firstAt: row.first_at,
    lastAt: row.last_at,
  }
}

function* chunks<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < rows.length; at += CHUNK) yield rows.slice(at, at + CHUNK)
}

/** One statement must not name a row twice. */
function addedUp(facts: readonly SessionFact[]): readonly SessionFact[] {
  const sums = new Map<string, SessionFact>()
  for (const fact of facts) {
    const key = `${fact.session} ${fact.kind} ${fact.value}`
    const known = sums.get(key)
    sums.set(
      key,
      known === undefined
        ? fact
        : { ...known, commands: known.commands + fact.commands, lastAt: fact.lastAt },
    )
  }
  return [...sums.values()]
}

function keyOf({ session, n, label, column }: Sighting): string {
  return `${session} ${n} ${label} ${column}`
}

function toRow({ column, outcome, empty, ...rest }: Sighting): SightingRow {
  return { ...rest, column_name: column, outcome: outcome ?? null, empty: empty ? 1 : 0 }
}

function fromRow(row: SightingRow): Sighting {
  return {
    session: brand<SessionId>(row.session),
    n: row.n,
    at: row.at,
    column: row.column_name,
    label: row.label,
    shown: shownSchema.parse(row.shown),
    ...(row.outcome === null ? {} : { outcome: outcomeSchema.parse(row.outcome) }),
    rows: row.rows,
    bytes: row.bytes,
    empty: row.empty === 1,
  }
}
