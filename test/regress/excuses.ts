/**
 * Locks that no text accounts for, each with its reason. They are looked up in the server's own catalogue, and only
 * for what a statement really touches: a reason that is not there excuses nothing.
 */
export const EXCUSES = {
  key: 'a foreign key leads there from a relation that is written',
  trigger:
    'a relation that is written has triggers of users, which run anything, or one names another relation',
  body: 'code of a user runs or is defined: in the statement, or in what it touches',
  policy: 'a row policy of a relation that it touches names it',
  ancestor:
    'a partition is held against the bounds of its ancestors, or changes them and those of a default partition',
  index: 'the statement is about an index or statistics, and their table is locked',
  describing: 'a function or view of the system prints its definition',
  cascade: 'a definition takes along what depends on it',
  all: 'it administers all of a database, role, tablespace or publication, and names no other',
  event: 'an event trigger runs whenever definitions change',
} as const

export type Excuse = keyof typeof EXCUSES

export type Touched = {
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly calls: readonly string[]
  readonly operators: readonly string[]
  readonly types: readonly string[]
}

/** A text constant. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function texts(list: readonly string[]): string {
  return `ARRAY[${list.map(quoted).join(', ')}]::text[]`
}

function oids(list: readonly string[]): string {
  return `ARRAY[${list.join(', ')}]::oid[]`
}

/** Rows of (excuse, oid); without an oid it holds for every relation. Reads and writes are oids here. */
export function excusesQuery({ reads, writes, calls, operators, types }: Touched): string {
  return `WITH RECURSIVE
  touched(oid) AS MATERIALIZED (SELECT unnest(${oids([...reads, ...writes])})),
  written(oid) AS MATERIALIZED (SELECT unnest(${oids(writes)})),
  keys(a, b) AS MATERIALIZED (
    SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'
    UNION SELECT confrelid, conrelid FROM pg_constraint WHERE contype = 'f'),
  steps(a, b) AS MATERIALIZED (
    SELECT * FROM keys UNION SELECT inhrelid, inhparent FROM pg_inherits UNION SELECT inhparent, inhrelid FROM pg_inherits),
  keyed(oid) AS (SELECT b FROM keys JOIN written ON a = written.oid UNION SELECT b FROM keyed JOIN steps ON a = keyed.oid),
  ancestors(oid) AS (
    SELECT inhparent FROM pg_inherits JOIN touched ON inhrelid = touched.oid
    UNION SELECT inhparent FROM ancestors JOIN pg_inherits ON inhrelid = ancestors.oid),
  users(class, oid) AS MATERIALIZED (
    SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oid >= 16384),
  parts(class, oid) AS MATERIALIZED (
    SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d JOIN touched ON adrelid = touched.oid
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k JOIN touched ON conrelid = touched.oid
    UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index JOIN touched ON indrelid = touched.oid
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN touched ON ev_class = touched.oid
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN touched ON polrelid = touched.oid
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
      JOIN pg_type t ON t.oid = k.contypid WHERE t.typname = ANY (${texts(types)})
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
      JOIN pg_attribute a ON a.atttypid = k.contypid JOIN touched ON attrelid = touched.oid)
  SELECT 'key', oid FROM keyed
  UNION ALL SELECT 'ancestor', c.oid FROM pg_inherits JOIN ancestors ON inhparent = ancestors.oid
    JOIN pg_class c ON c.oid = inhrelid AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
  UNION ALL SELECT 'ancestor', c.oid FROM pg_inherits JOIN touched ON inhparent = touched.oid
    JOIN pg_class c ON c.oid = inhrelid AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
  UNION ALL SELECT 'ancestor', oid FROM ancestors
  UNION ALL SELECT 'policy', d.refobjid FROM pg_policy p JOIN touched ON polrelid = touched.oid
    JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
  UNION ALL SELECT 'trigger', NULL WHERE EXISTS (
    SELECT FROM pg_trigger JOIN written ON tgrelid = written.oid WHERE NOT tgisinternal)
  UNION ALL SELECT 'trigger', tgconstrrelid FROM pg_trigger JOIN touched ON tgrelid = touched.oid
  UNION ALL SELECT 'body', NULL WHERE
    EXISTS (SELECT FROM pg_proc WHERE oid >= 16384 AND proname = ANY (${texts(calls)}))
    OR EXISTS (SELECT FROM pg_operator WHERE oid >= 16384 AND oprname = ANY (${texts(operators)}))
    OR EXISTS (SELECT FROM pg_depend d JOIN parts ON d.classid = parts.class AND d.objid = parts.oid
      JOIN users ON d.refclassid = users.class AND d.refobjid = users.oid)
  UNION ALL SELECT 'event', NULL WHERE EXISTS (SELECT FROM pg_event_trigger)`
}

/** These lock what they describe, and read none of its rows. */
const DESCRIBES =
  /^pg_(get_\w+|\w+_size|relation_\w+|index\w*|partition_\w+|identify_\w+|describe_\w+)$|^satisfies_hash_partition$/

/** Views of the system that print definitions, and lock what these name. */
const PRINTS = new Set(['pg_views', 'pg_matviews', 'pg_rules', 'pg_policies', 'information_schema.views'])

/** Whether it only asks for definitions to be printed. */
export function describes({ reads, calls }: Pick<Touched, 'reads' | 'calls'>): boolean {
  return reads.some((name) => PRINTS.has(name)) || calls.some((name) => DESCRIBES.test(name))
}
