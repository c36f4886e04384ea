import { builtinClass, functionsCompute, operatorsCompute } from '../../../sql/index.ts'

/**
 * Code of users that runs without being named (triggers, views, policies, defaults, checks, operators, casts), and
 * whether it could change settings of the session it runs in: a view that calls `set_config` is a read to whoever sees only
 * its name. Reads definitions only. The code is its owner's and is not taken to hide what it does; where it is not
 * plain that it changes nothing, it counts as if it did.
 */
const EXTENSION = (table: string, oid: string): string => `(
  SELECT e.extname FROM pg_catalog.pg_depend x JOIN pg_catalog.pg_extension e ON e.oid = x.refobjid
  WHERE x.classid = 'pg_catalog.${table}'::pg_catalog.regclass AND x.objid = ${oid} AND x.deptype = 'e'
    AND x.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1)`

/**
 * Four kinds of rows: every relation; which relations one leads to; which functions stand behind one (behind 0: operators,
 * casts, types, and whatever may be called without looking so); every function of users. `w` is for what runs
 * only when the relation is written.
 */
export const QUIET_QUERY = `
  WITH system AS (
    SELECT n.oid FROM pg_catalog.pg_namespace n
    WHERE n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname ~ '^pg_(toast|temp)'
  ), code (relation, mode, tree) AS (
    SELECT r.ev_class, '', pg_catalog.concat(r.ev_action::pg_catalog.text, r.ev_qual::pg_catalog.text)
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    WHERE c.relnamespace NOT IN (SELECT oid FROM system)
    UNION ALL SELECT p.polrelid, '', pg_catalog.concat(p.polqual::pg_catalog.text, p.polwithcheck::pg_catalog.text)
    FROM pg_catalog.pg_policy p
    UNION ALL SELECT d.adrelid, CASE WHEN a.attgenerated = '' THEN 'w' ELSE '' END, d.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef d
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    UNION ALL SELECT k.conrelid, CASE WHEN k.conrelid = 0 THEN '' ELSE 'w' END, k.conbin::pg_catalog.text FROM pg_catalog.pg_constraint k
    WHERE k.conbin IS NOT NULL AND (k.conrelid <> 0 OR k.contypid >= 16384)
    UNION ALL SELECT i.indrelid, '', pg_catalog.concat(i.indexprs::pg_catalog.text, i.indpred::pg_catalog.text)
    FROM pg_catalog.pg_index i WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
    UNION ALL SELECT t.partrelid, '', t.partexprs::pg_catalog.text FROM pg_catalog.pg_partitioned_table t
    UNION ALL SELECT t.tgrelid, 'w', pg_catalog.concat(':funcid ', t.tgfoid::pg_catalog.oid, t.tgqual::pg_catalog.text)
    FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal
  ), calls AS (
    SELECT DISTINCT code.mode || code.relation AS relation, m[1] = 'opfuncid' AS operator, m[2]::pg_catalog.oid AS called
    FROM code CROSS JOIN LATERAL pg_catalog.regexp_matches(
      code.tree, ':(funcid|aggfnoid|winfnoid|opfuncid) ([0-9]+)', 'g') m
  )
  SELECT 'relation', c.oid::pg_catalog.text, c.relname::pg_catalog.text,
    CASE WHEN c.relnamespace IN (SELECT oid FROM system) THEN 'system' ELSE c.relkind::pg_catalog.text END, NULL
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT 'leads', code.mode || code.relation, m[1], NULL, NULL
  FROM code CROSS JOIN LATERAL pg_catalog.regexp_matches(code.tree, ':relid ([0-9]+)', 'g') m
  UNION ALL SELECT 'leads', i.inhparent::pg_catalog.text, i.inhrelid::pg_catalog.text, NULL, NULL
  FROM pg_catalog.pg_inherits i
  UNION ALL SELECT 'leads', 'w' || k.confrelid, 'w' || k.conrelid, NULL, NULL
  FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'
  UNION ALL SELECT 'calls', calls.relation, p.oid::pg_catalog.text,
    CASE WHEN p.oid >= 16384 THEN NULL WHEN calls.operator THEN '' ELSE p.proname::pg_catalog.text END, NULL
  FROM calls JOIN pg_catalog.pg_proc p ON p.oid = calls.called
  UNION ALL SELECT 'calls', '0', o.oprcode::pg_catalog.oid::pg_catalog.text, NULL, ${EXTENSION('pg_operator', 'o.oid')}
  FROM pg_catalog.pg_operator o WHERE o.oprcode >= 16384
  UNION ALL SELECT 'calls', '0', k.castfunc::pg_catalog.text, NULL, ${EXTENSION('pg_proc', 'k.castfunc')}
  FROM pg_catalog.pg_cast k WHERE k.castfunc >= 16384 AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_proc f
    WHERE f.oid = k.castfunc AND f.prolang = 12 AND f.prosrc = 'multirange_constructor1')
  UNION ALL SELECT 'calls', '0', p.oid::pg_catalog.text, NULL, ${EXTENSION('pg_proc', 'p.oid')}
  FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.prolang <> 12
    AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype AND (
    EXISTS (SELECT FROM pg_catalog.pg_proc b WHERE b.oid < 16384 AND b.proname = p.proname)
    OR p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1 AND EXISTS (
      SELECT FROM pg_catalog.pg_type t WHERE t.oid = p.proargtypes[0] AND t.typtype IN ('c', 'p')))
  UNION ALL SELECT 'function', p.oid::pg_catalog.text, p.proname::pg_catalog.text,
    CASE WHEN l.lanname IN ('sql', 'plpgsql') AND p.prokind <> 'a'
      THEN COALESCE(pg_catalog.to_jsonb(p) ->> 'prosqlbody', '') || ' ' || p.prosrc END,
    ${EXTENSION('pg_proc', 'p.oid')}
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND (p.prolang <> 12 OR p.prosrc !~ '^(multi)?range_constructor[0-3]$')`

/** Beyond so many rows, or letters of code, nothing counts as quiet. */
const ROWS_MAX = 200_000
const LETTERS_MAX = 16 * 1024 * 1024

type Row = readonly (string | null)[]

/**
 * Whether code of users behind these relations, or behind what needs no name at all, could change settings. `more`: or does what is
 * found here in its words.
 */
export function quietOf(
  rows: readonly Row[],
  more?: RegExp,
): (reads: readonly string[], writes: readonly string[]) => boolean {
  const database = new Database(rows, more)
  if (database.isBeyond) return () => false
  database.spread()
  return (reads, writes) =>
    !database.isLoud('0') &&
    reads.every((name) => database.isQuiet(name, false)) &&
    writes.every((name) => database.isQuiet(name, true))
}

/** Functions and relations by their numbers: which of them could change settings, themselves or by what they lead to. */
class Database {
  readonly isBeyond: boolean
  readonly #named = new Map<string, string[]>()
  readonly #system = new Set<string>()
  readonly #loud = new Set<string>()
  /** Who leads to it. */
  readonly #from = new Map<string, string[]>()

  constructor(rows: readonly Row[], more: RegExp | undefined) {
    const letters = rows.reduce((sum, [, , , source]) => sum + (source?.length ?? 0), 0)
    this.isBeyond = rows.length > ROWS_MAX || letters > LETTERS_MAX
    if (this.isBeyond) return
    const functions: { readonly id: string; readonly source: string }[] = []
    const words = new Map<string, string[]>()
    for (const [kind, a, b, c, extension] of rows) {
      if (a === undefined || a === null || b === undefined || b === null) continue
      if (kind === 'relation') {
        addTo(this.#named, b, a)
        addTo(this.#from, a, `w${a}`)
        // A foreign table is read by code, too.
        if (c === 'f') this.#loud.add(a)
        if (c === 'system') this.#system.add(a)
        else for (const word of [b.toLowerCase(), `#r${a}`]) addTo(words, word, `w${a}`)
      } else if (kind === 'leads') {
        addTo(this.#from, b, a)
        // Written through, as well as read.
        if (!a.startsWith('w')) addTo(this.#from, `w${b}`, `w${a}`)
      } else if (kind === 'calls') {
        if (c === null || c === undefined) {
          if (!(a === '0' && operatorsCompute(extension ?? null))) addTo(this.#from, `f${b}`, a)
        } else if (c !== '' && !computes(c)) this.#loud.add(a)
      } else if (kind === 'function') {
        for (const word of [b.toLowerCase(), `#f${a}`]) addTo(words, word, `f${a}`)
        if (functionsCompute(extension ?? null)) continue
        if (c === null || c === undefined || saysLoud(c) || more?.test(c) === true) this.#loud.add(`f${a}`)
        else functions.push({ id: `f${a}`, source: c })
      }
    }
    for (const { id, source } of functions) {
      for (const word of wordsOf(source))
        for (const of of words.get(word) ?? []) if (of !== id) addTo(this.#from, of, id)
    }
  }

  /** What leads to something loud is loud. */
  spread(): void {
    const next = [...this.#loud]
    for (let each = next.pop(); each !== undefined; each = next.pop()) {
      for (const from of this.#from.get(each) ?? []) {
        if (this.#loud.has(from)) continue
        this.#loud.add(from)
        next.push(from)
      }
    }
  }

  isLoud(id: string): boolean {
    return this.#loud.has(id)
  }

  /** Of every relation that may be meant by this name, whatever its schema. A name that nobody has is not known to be quiet. */
  isQuiet(name: string, isWritten: boolean): boolean {
    const parts = name.split('.')
    const found = parts.flatMap((_, i) => this.#named.get(parts.slice(i).join('.')) ?? [])
    if (isWritten)
      return found.length > 0 && found.every((id) => !this.#loud.has(`w${id}`) && !this.#system.has(id))
    return found.length > 0 && found.every((id) => !this.#loud.has(id))
  }
}

function addTo(map: Map<string, string[]>, key: string, value: string): void {
  const all = map.get(key)
  if (all === undefined) map.set(key, [value])
  else all.push(value)
}

function computes(name: string): boolean {
  const of = builtinClass(name)
  return of === 'read' || of === 'write'
}

/**
 * Says it in words that change settings, run text as SQL, or go where it cannot be followed. What is a comment and what only
 * looks like one, inside a string or a quoted name, is not told apart: words count in both.
 */
function saysLoud(source: string): boolean {
  if (LOUD_WORDS.test(source) || HIDING.test(source) || LOUD_STATEMENT.test(source)) return true
  // A body of the standard's form is kept as a tree.
  for (const [, id] of source.matchAll(/:(?:funcid|aggfnoid|winfnoid) ([0-9]+)/g))
    if (id === SET_CONFIG) return true
  return [...source.matchAll(CALLED)].some(
    ([, name]) => builtinClass(name?.toLowerCase() ?? '') === 'administer',
  )
}

/** Its number is the same in every version. */
const SET_CONFIG = '2078'
const LOUD_WORDS =
  /set_config|pg_settings|\bexecute\b|\bcall\b|\w+_to_xml|\bts_stat\b|\bts_rewrite\b|dblink|\bxpath_table\b|\bcrosstab|\bconnectby\b/i
/** A name in Unicode escapes may be any, and a comment inside another one ends who knows where. */
const HIDING = /u&"|\/\*(?:(?!\*\/)[\s\S])*\/\*/i
/** White space, comments, and the ends of such that began inside a string. */
const GAP = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*[\s\S]*?\*/|\*/)*`
const LOUD_STATEMENT = new RegExp(
  String.raw`(?:^|;|\bbegin|\bthen|\belse|\bloop|>>)${GAP}(?:set|reset|discard|load|do)\b`,
  'i',
)
const CALLED = new RegExp(String.raw`([a-z_][\w$]*)"?${GAP}\(`, 'gi')

function wordsOf(source: string): ReadonlySet<string> {
  const words = new Set<string>()
  for (const [, what, id] of source.matchAll(/:(funcid|aggfnoid|winfnoid|opfuncid|relid) ([0-9]+)/g))
    words.add(`#${what === 'relid' ? 'r' : 'f'}${id}`)
  for (const [word] of source.matchAll(/[\p{L}_][\p{L}\p{N}_$]*/gu)) words.add(word.toLowerCase())
  for (const [, quoted] of source.matchAll(/"((?:[^"]|"")+)"/g))
    words.add((quoted ?? '').replaceAll('""', '"').toLowerCase())
  return words
}
