import type { Way } from './line.ts'

/** A way in which a value could come out, as statements over one column. */
export type Probe = {
  readonly id: string
  readonly way: Way
  readonly sql: (of: Place) => readonly string[]
  /** Afterwards, whatever came of it. */
  readonly tidy?: readonly string[]
}

/** A column and its relation, as SQL writes them. */
export type Place = { readonly column: string; readonly relation: string }

const simple = (id: string, sql: (of: Place) => string): Probe => ({
  id,
  way: 'simple',
  sql: (of) => [sql(of)],
})
const undone = (id: string, sql: (of: Place) => readonly string[]): Probe => ({
  id,
  way: 'simple',
  sql: (of) => ['BEGIN', ...sql(of)],
  tidy: ['ROLLBACK'],
})

const READS: readonly Probe[] = [
  simple('bare', ({ column: c, relation: r }) => `SELECT ${c} FROM ${r}`),
  simple('alias', ({ column: c, relation: r }) => `SELECT x.${c} AS plain FROM ${r} AS x`),
  simple('star', ({ relation: r }) => `SELECT * FROM ${r}`),
  simple('table', ({ relation: r }) => `TABLE ${r}`),
  simple('subquery', ({ column: c, relation: r }) => `SELECT s.v FROM (SELECT ${c} AS v FROM ${r}) s`),
  simple('subquery as value', ({ column: c, relation: r }) => `SELECT (SELECT ${c} FROM ${r} LIMIT 1)`),
  simple('CTE', ({ column: c, relation: r }) => `WITH q AS (SELECT ${c} AS v FROM ${r}) SELECT v FROM q`),
  simple(
    'materialized CTE',
    ({ column: c, relation: r }) => `WITH q (v) AS MATERIALIZED (SELECT ${c} FROM ${r}) SELECT * FROM q`,
  ),
  simple('join', ({ column: c, relation: r }) => `SELECT b.${c} FROM ${r} a CROSS JOIN ${r} b`),
  simple('LATERAL', ({ column: c, relation: r }) => `SELECT l.v FROM ${r} a, LATERAL (SELECT a.${c} AS v) l`),
  simple(
    'UNION ALL',
    ({ column: c, relation: r }) => `SELECT ${c} FROM ${r} UNION ALL SELECT ${c} FROM ${r}`,
  ),
  simple('UNION', ({ column: c, relation: r }) => `SELECT ${c}::text FROM ${r} UNION SELECT 'x'`),
  simple('VALUES', ({ column: c, relation: r }) => `SELECT v.a FROM ${r} x, LATERAL (VALUES (x.${c})) v (a)`),
  simple('max', ({ column: c, relation: r }) => `SELECT max(${c}::text) FROM ${r}`),
  simple('string_agg', ({ column: c, relation: r }) => `SELECT string_agg(${c}::text, ',') FROM ${r}`),
  simple('array_agg', ({ column: c, relation: r }) => `SELECT array_agg(${c}) FROM ${r}`),
  simple('window', ({ column: c, relation: r }) => `SELECT first_value(${c}) OVER () FROM ${r}`),
  simple('DISTINCT', ({ column: c, relation: r }) => `SELECT DISTINCT ${c}::text FROM ${r}`),
  simple('GROUP BY', ({ column: c, relation: r }) => `SELECT ${c}::text, count(*) FROM ${r} GROUP BY 1`),
  simple('cast', ({ column: c, relation: r }) => `SELECT ${c}::text FROM ${r}`),
  simple('concatenation', ({ column: c, relation: r }) => `SELECT ${c}::text || '' FROM ${r}`),
  simple('CASE', ({ column: c, relation: r }) => `SELECT CASE WHEN true THEN ${c} END FROM ${r}`),
  simple('coalesce', ({ column: c, relation: r }) => `SELECT coalesce(${c}, ${c}) FROM ${r}`),
  simple('upper', ({ column: c, relation: r }) => `SELECT upper(${c}::text) FROM ${r}`),
  simple('reverse', ({ column: c, relation: r }) => `SELECT reverse(${c}::text) FROM ${r}`),
  simple(
    'hex',
    ({ column: c, relation: r }) => `SELECT encode(convert_to(${c}::text, 'UTF8'), 'hex') FROM ${r}`,
  ),
  simple(
    'base64',
    ({ column: c, relation: r }) => `SELECT encode(convert_to(${c}::text, 'UTF8'), 'base64') FROM ${r}`,
  ),
  simple('to_jsonb', ({ column: c, relation: r }) => `SELECT to_jsonb(${c}) FROM ${r}`),
  simple('row_to_json', ({ relation: r }) => `SELECT row_to_json(x) FROM ${r} x`),
  simple('json_agg', ({ relation: r }) => `SELECT json_agg(x) FROM ${r} x`),
  simple('array', ({ column: c, relation: r }) => `SELECT ARRAY[${c}] FROM ${r}`),
  simple('array of a subquery', ({ column: c, relation: r }) => `SELECT ARRAY(SELECT ${c} FROM ${r})`),
  simple('row', ({ relation: r }) => `SELECT x FROM ${r} x`),
  simple('ROW', ({ column: c, relation: r }) => `SELECT ROW(1, ${c}) FROM ${r}`),
  simple('function in FROM', ({ column: c, relation: r }) => `SELECT u FROM ${r} x, unnest(ARRAY[x.${c}]) u`),
  simple('xmlelement', ({ column: c, relation: r }) => `SELECT xmlelement(name a, ${c}::text) FROM ${r}`),
  simple(
    'query_to_xml',
    ({ column: c, relation: r }) =>
      `SELECT query_to_xml('SELECT ${`${c} FROM ${r}`.replaceAll("'", "''")}', true, true, '')`,
  ),
  simple('error text', ({ column: c, relation: r }) => `SELECT ('x ' || ${c}::text)::int FROM ${r}`),
  simple(
    'EXPLAIN ANALYZE',
    ({ column: c, relation: r }) => `EXPLAIN ANALYZE SELECT ('x ' || ${c}::text)::int FROM ${r}`,
  ),
  simple(
    'RAISE',
    ({ column: c, relation: r }) =>
      `DO $probe$ BEGIN RAISE NOTICE '%', (SELECT ${c}::text FROM ${r} LIMIT 1); END $probe$`,
  ),
  simple('COPY a query', ({ column: c, relation: r }) => `COPY (SELECT ${c} FROM ${r}) TO STDOUT`),
  simple('COPY csv', ({ column: c, relation: r }) => `COPY (SELECT ${c} FROM ${r}) TO STDOUT (FORMAT csv)`),
  simple(
    'COPY binary',
    ({ column: c, relation: r }) => `COPY (SELECT ${c} FROM ${r}) TO STDOUT (FORMAT binary)`,
  ),
  { id: 'extended', way: 'extended', sql: ({ column: c, relation: r }) => [`SELECT ${c} FROM ${r}`] },
  { id: 'binary', way: 'binary', sql: ({ column: c, relation: r }) => [`SELECT ${c} FROM ${r}`] },
  {
    id: 'computed, binary',
    way: 'binary',
    sql: ({ column: c, relation: r }) => [`SELECT ARRAY[${c}] FROM ${r}`],
  },
  undone('cursor', ({ column: c, relation: r }) => [
    `DECLARE probing CURSOR FOR SELECT ${c} FROM ${r}`,
    'FETCH ALL FROM probing',
  ]),
  {
    ...undone('prepared', ({ column: c, relation: r }) => [
      `PREPARE probing AS SELECT ${c} FROM ${r}`,
      'EXECUTE probing',
    ]),
    tidy: ['ROLLBACK', 'DEALLOCATE ALL'],
  },
  undone('temporary table', ({ column: c, relation: r }) => [
    `CREATE TEMP TABLE probing AS SELECT ${c} AS v FROM ${r}`,
    'SELECT v FROM probing',
  ]),
  undone('temporary view', ({ column: c, relation: r }) => [
    `CREATE TEMP VIEW probing AS SELECT ${c} AS v FROM ${r}`,
    'SELECT v FROM probing',
  ]),
  undone('setting', ({ column: c, relation: r }) => [
    `SELECT set_config('probe.value', (SELECT ${c}::text FROM ${r} LIMIT 1), true)`,
    'SHOW probe.value',
  ]),
]

const TABLES: readonly Probe[] = [
  simple('COPY', ({ column: c, relation: r }) => `COPY ${r} (${c}) TO STDOUT`),
  undone('UPDATE RETURNING', ({ column: c, relation: r }) => [`UPDATE ${r} SET ${c} = ${c} RETURNING ${c}`]),
  undone('DELETE RETURNING', ({ relation: r }) => [`DELETE FROM ${r} RETURNING *`]),
  undone('writing CTE', ({ column: c, relation: r }) => [
    `WITH d AS (DELETE FROM ${r} RETURNING ${c} AS v) SELECT v FROM d`,
  ]),
]

/** All that is tried with a column of a table, or of a view. */
export function probesFor(kind: 'table' | 'view'): readonly Probe[] {
  return kind === 'table' ? [...READS, ...TABLES] : READS
}
