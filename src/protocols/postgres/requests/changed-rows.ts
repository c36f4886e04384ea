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
 * changed in those is counted nowhere. It also says how many locks this transaction has that no change of rows takes, and how
 * many rows of the server's own tables have changed: TRUNCATE, definitions and large objects are counted nowhere else.
 * https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
 * https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
 */
export const CHANGES_QUERY = `SELECT NULL::pg_catalog.oid, pg_catalog.current_setting('track_counts'), (EXISTS (SELECT FROM pg_catalog.pg_foreign_table))::pg_catalog.text, (
  SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks
  WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND locktype OPERATOR(pg_catalog.=) 'relation'
    AND mode OPERATOR(pg_catalog.<>) ALL ('{AccessShareLock,RowShareLock,RowExclusiveLock,SIReadLock}'::pg_catalog.text[])), (
  SELECT COALESCE(pg_catalog.sum(n_tup_ins OPERATOR(pg_catalog.+) n_tup_upd OPERATOR(pg_catalog.+) n_tup_del), 0)::pg_catalog.int8
  FROM pg_catalog.pg_stat_xact_sys_tables WHERE schemaname OPERATOR(pg_catalog.=) 'pg_catalog'), 0::pg_catalog.int8
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
  if (then === undefined || now === undefined || pastCount(before) !== pastCount(after)) return undefined
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

/** What is not counted by rows has happened where this is another one. */
function pastCount(rows: Rows): string {
  return JSON.stringify(rows.find(([relation]) => relation === null)?.slice(3, 5))
}

/** A row that an UPDATE moves to another partition is deleted in one and inserted in the other. */
export function mayHaveMoved(tables: readonly ChangedTable[]): boolean {
  return tables.some((from) => from.deleted > 0 && tables.some((to) => to !== from && to.inserted > 0))
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
