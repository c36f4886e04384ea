import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import type { CopiedColumn } from './fill.ts'

/** One thing of the schema and the statement that makes it again. */
export type Definition = { readonly name: string; readonly sql: string; readonly when: 'before' | 'after' }

/** What could not be made again, and the SQLSTATE of why. */
export type Unmade = Definition & { readonly code: string }

/** A relation as it is named in SQL, every name quoted where it has to be. */
export type CopiedRelation = {
  readonly name: string
  readonly kind: 'table' | 'partitioned' | 'view'
  readonly columns: readonly CopiedColumn[]
}

export type Definitions = {
  readonly all: readonly Definition[]
  readonly relations: readonly CopiedRelation[]
  readonly digest: string
}

/** Relations and types of users that belong to no extension. */
const OWN = (catalogue: string, oid: string) =>
  `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
     WHERE d.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass AND d.objid = ${oid} AND d.deptype = 'e')`

/**
 * Each answers with name, statement and when: `before` the tables are filled or `after`. Names are told in full, because
 * the search path is empty. Left out is what no value comes through: defaults, checks, foreign keys, triggers, policies,
 * rights. That makes the copy more open than the real thing, never less.
 */
const QUESTIONS: readonly string[] = [
  `SELECT 'schema ' || nspname, format('CREATE SCHEMA IF NOT EXISTS %I', nspname), 'before' FROM pg_catalog.pg_namespace
   WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`,
  `SELECT 'extension ' || extname, format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', extname, n.nspname), 'before'
   FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE extname <> 'plpgsql' ORDER BY 1`,
  `SELECT format('type %I.%I', n.nspname, t.typname), format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
     (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_catalog.pg_enum WHERE enumtypid = t.oid)), 'before'
   FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE t.typtype = 'e' AND ${OWN('pg_type', 't.oid')} ORDER BY 1`,
  `SELECT format('type %I.%I', n.nspname, t.typname),
     format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod)), 'before'
   FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE t.typtype = 'd' AND ${OWN('pg_type', 't.oid')} ORDER BY 1`,
  `SELECT format('type %I.%I', n.nspname, t.typname), format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s)', n.nspname, t.typname,
     format_type(r.rngsubtype, NULL)), 'before'
   FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid = r.rngtypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE ${OWN('pg_type', 't.oid')} ORDER BY 1`,
  `SELECT format('type %I.%I', n.nspname, c.relname), format('CREATE TYPE %I.%I AS (%s)', n.nspname, c.relname,
     (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
      FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)), 'before'
   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'c' AND ${OWN('pg_class', 'c.oid')} ORDER BY 1`,
  `SELECT format('function %I.%I', n.nspname, p.proname), pg_get_functiondef(p.oid), 'before'
   FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
   JOIN pg_catalog.pg_language l ON l.oid = p.prolang
   WHERE p.prokind IN ('f', 'w') AND l.lanname IN ('sql', 'plpgsql') AND ${OWN('pg_proc', 'p.oid')} ORDER BY 1, 2`,
  `SELECT format('table %I.%I', n.nspname, c.relname), format('CREATE TABLE %I.%I %s%s', n.nspname, c.relname,
     CASE WHEN c.relispartition THEN (SELECT format('PARTITION OF %I.%I %s', pn.nspname, pc.relname, pg_get_expr(c.relpartbound, c.oid))
       FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class pc ON pc.oid = i.inhparent
       JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace WHERE i.inhrelid = c.oid)
     ELSE format('(%s)%s', (SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod),
         CASE WHEN attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%s) STORED', (SELECT pg_get_expr(adbin, adrelid)
           FROM pg_catalog.pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)) ELSE '' END), ', ' ORDER BY attnum)
       FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
       coalesce((SELECT ' INHERITS (' || string_agg(format('%I.%I', pn.nspname, pc.relname), ', ' ORDER BY inhseqno) || ')'
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class pc ON pc.oid = i.inhparent
         JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace WHERE i.inhrelid = c.oid), '')) END,
     CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END), 'before'
   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'f') AND ${OWN('pg_class', 'c.oid')} ORDER BY c.relispartition, 1`,
  `SELECT format('primary key of %I.%I', n.nspname, c.relname),
     format('ALTER TABLE %I.%I ADD %s', n.nspname, c.relname, pg_get_constraintdef(k.oid)), 'after'
   FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE k.contype = 'p' AND NOT c.relispartition AND ${OWN('pg_class', 'c.oid')} ORDER BY 1`,
  `SELECT format('view %I.%I', n.nspname, c.relname), format('CREATE %s %I.%I AS %s',
     CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, n.nspname, c.relname, pg_get_viewdef(c.oid)), 'after'
   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('v', 'm') AND ${OWN('pg_class', 'c.oid')} ORDER BY 1`,
]

const RELATIONS = `SELECT format('%I.%I', n.nspname, c.relname), c.relkind, format('%I', a.attname), a.attname,
    format_type(coalesce(nullif(t.typbasetype, 0), t.oid), nullif(coalesce(nullif(t.typtypmod, -1), a.atttypmod), -1)), a.attgenerated
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND ${OWN('pg_class', 'c.oid')} ORDER BY c.oid, a.attnum`

/** Reads definitions, and nothing but definitions, in a transaction that cannot write. */
export async function readDefinitions(client: Client): Promise<Definitions> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  await client.query("SET LOCAL search_path = ''")
  const all: Definition[] = []
  for (const text of QUESTIONS) {
    const { rows } = await client.query<[string, string, string]>({ text, rowMode: 'array' })
    for (const [name, sql, when] of rows) all.push({ name, sql, when: when === 'after' ? 'after' : 'before' })
  }
  const { rows } = await client.query<[string, string, string, string, string, string]>({
    text: RELATIONS,
    rowMode: 'array',
  })
  await client.query('ROLLBACK')
  const relations = new Map<string, { kind: CopiedRelation['kind']; columns: CopiedColumn[] }>()
  for (const [relation, kind, quoted, name, type, generated] of rows) {
    const known = relations.get(relation) ?? { kind: kindOf(kind), columns: [] }
    known.columns.push({ quoted, name, type, generated: generated !== '' })
    relations.set(relation, known)
  }
  const digest = createHash('sha256')
    .update(JSON.stringify(all.map(({ sql }) => sql)))
    .digest('hex')
  return { all, relations: [...relations].map(([name, each]) => ({ name, ...each })), digest }
}

function kindOf(relkind: string): CopiedRelation['kind'] {
  if (relkind === 'v' || relkind === 'm') return 'view'
  return relkind === 'p' ? 'partitioned' : 'table'
}

/**
 * Makes what can be made, in as many rounds as something new succeeds, because things stand on one another. Gives back
 * what could not be made.
 */
export async function make(client: Client, definitions: readonly Definition[]): Promise<Unmade[]> {
  let left = definitions
  for (;;) {
    const failed: Unmade[] = []
    for (const each of left) {
      try {
        await client.query(each.sql)
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
        failed.push({ ...each, code })
      }
    }
    if (failed.length === 0 || failed.length === left.length) return failed
    left = failed
  }
}
