/** How many rows of one table have been changed. */
export type ChangedTable = {
  readonly name: string
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

/**
 * What the server has counted of this transaction, and of those before it that it has not handed on yet: of every table, also of
 * those that triggers, cascades, rules and parts of WITH have changed. Everything in it is named so that no search path can
 * give it another meaning. The first row says whether the server counts at all, and whether there are foreign tables: what is
 * changed in those is counted nowhere.
 * https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
 */
export const CHANGES_QUERY = `SELECT NULL::pg_catalog.oid, pg_catalog.current_setting('track_counts'), (EXISTS (SELECT FROM pg_catalog.pg_foreign_table))::pg_catalog.text, 0::pg_catalog.int8, 0::pg_catalog.int8, 0::pg_catalog.int8
UNION ALL SELECT relid, schemaname::pg_catalog.text, relname::pg_catalog.text, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_xact_user_tables
WHERE GREATEST(n_tup_ins, n_tup_upd, n_tup_del) OPERATOR(pg_catalog.>) 0`

/**
 * Constraints and triggers that wait for the end of the transaction run now: what they change has to be counted as well.
 * https://www.postgresql.org/docs/current/sql-set-constraints.html
 */
export const NOTHING_DEFERRED = 'SET CONSTRAINTS ALL IMMEDIATE'

type Rows = readonly (readonly (string | null)[])[]

/**
 * What has changed between two answers to `CHANGES_QUERY`. Undefined: the server does not count, or not all of it. `local`: it is
 * known otherwise that no foreign table is touched.
 */
export function changedTables(before: Rows, after: Rows, local = false): readonly ChangedTable[] | undefined {
  const then = countsOf(before, local)
  const now = countsOf(after, local)
  if (then === undefined || now === undefined) return undefined
  const changed: ChangedTable[] = []
  for (const [relation, each] of now) {
    const earlier = then.get(relation)
    const table = {
      name: each.name,
      inserted: each.inserted - (earlier?.inserted ?? 0),
      updated: each.updated - (earlier?.updated ?? 0),
      deleted: each.deleted - (earlier?.deleted ?? 0),
    }
    const numbers = [table.inserted, table.updated, table.deleted]
    // Counting went backwards: what is missing nobody knows.
    if (numbers.some((number) => number < 0)) return undefined
    if (numbers.some((number) => number > 0)) changed.push(table)
  }
  if ([...then.keys()].some((relation) => !now.has(relation))) return undefined
  return changed.sort((a, b) => rowsOf(b) - rowsOf(a) || (a.name < b.name ? -1 : 1))
}

export function rowsOf({ inserted, updated, deleted }: ChangedTable): number {
  return inserted + updated + deleted
}

/** All together. */
export function rowsIn(tables: readonly ChangedTable[]): number {
  return tables.reduce((sum, each) => sum + rowsOf(each), 0)
}

/** `public.orders 3 updated, 1 deleted; public.items 4 deleted`. */
export function changesText(tables: readonly ChangedTable[]): string {
  return tables
    .map((table) => {
      const parts = (['inserted', 'updated', 'deleted'] as const).flatMap((how) =>
        table[how] === 0 ? [] : [`${table[how]} ${how}`],
      )
      return `${table.name} ${parts.join(', ')}`
    })
    .join('; ')
}

function countsOf(rows: Rows, local: boolean): Map<string, ChangedTable> | undefined {
  const counts = new Map<string, ChangedTable>()
  let counted = false
  for (const [relation, schema, name, ...numbers] of rows) {
    if (relation === null || relation === undefined) {
      counted = schema === 'on' && (local || name === 'false')
      continue
    }
    const [inserted = Number.NaN, updated = Number.NaN, deleted = Number.NaN] = numbers.map(Number)
    if (![inserted, updated, deleted].every((each) => Number.isSafeInteger(each) && each >= 0))
      return undefined
    counts.set(relation, { name: `${schema}.${name}`, inserted, updated, deleted })
  }
  return counted ? counts : undefined
}
