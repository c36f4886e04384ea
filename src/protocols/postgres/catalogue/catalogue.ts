import type { LabelAssignment } from '../../../core/index.ts'
import type { Catalogue, CatalogueParts, RelationKind } from '../../../sql/index.ts'
import { assembleCatalogue } from '../../../sql/index.ts'

export { labelledReach } from '../../../sql/index.ts'

/**
 * Reads a database's definitions: which questions to ask of pg_catalog (PostgreSQL 13 to 18), and how their answers, in
 * text format, become a Catalogue. Reads no table of the user, and runs nothing itself.
 *
 * Objects of users are those outside the system's schemas or, wherever they are, with an oid from 16384 on
 * (FirstNormalObjectId). What a view or rule reads and calls is taken from its stored tree, because pg_depend leaves
 * out everything that came with the server.
 */
const USER_SCHEMA = (alias: string): string =>
  `${alias}.nspname NOT IN ('pg_catalog', 'information_schema') AND ${alias}.nspname !~ '^pg_(toast|temp)'`

const EXTENSION = (table: string, oid: string): string => `(
  SELECT e.extname FROM pg_catalog.pg_depend x JOIN pg_catalog.pg_extension e ON e.oid = x.refobjid
  WHERE x.classid = 'pg_catalog.${table}'::pg_catalog.regclass AND x.objid = ${oid} AND x.deptype = 'e'
    AND x.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1)`

const DATABASE = `SELECT pg_catalog.current_database(), pg_catalog.current_setting('search_path')`

const RELATIONS = `
  SELECT c.oid, n.nspname, c.relname, c.relkind,
    EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
    EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND ${USER_SCHEMA('n')}`

/**
 * A collation that takes for equal no more than upper and lower case or accents is as good as lower(): a value of it has
 * one meaning. Where its locale is written depends on the version.
 */
const COLUMNS = `
  SELECT a.attrelid, a.attnum, a.attname, a.atttypid, EXISTS (
    SELECT FROM pg_catalog.pg_collation l CROSS JOIN LATERAL pg_catalog.to_jsonb(l) j (l)
    WHERE l.oid = a.attcollation AND NOT l.collisdeterministic AND NOT (l.collprovider = 'i'
      AND j.l ->> 'collicurules' IS NULL
      AND COALESCE(j.l ->> 'colllocale', j.l ->> 'colliculocale', j.l ->> 'collcollate')
        ~ '^[A-Za-z]+(-u-ks-level[12]|@colStrength=(primary|secondary))$'))
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND ${USER_SCHEMA('n')}
  ORDER BY a.attrelid, a.attnum`

const INHERITS = `SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i`

const GENERATED = `
  SELECT DISTINCT d.adrelid, d.adnum, m[1]
  FROM pg_catalog.pg_attrdef d
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> ''
    CROSS JOIN LATERAL pg_catalog.regexp_matches(d.adbin::pg_catalog.text, ':varattno (-?[0-9]+)', 'g') m`

const USER_RULES = `
  FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${USER_SCHEMA('n')}`

const RULE_READS = `
  SELECT DISTINCT r.ev_class, m[1] ${USER_RULES}
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
      r.ev_action::pg_catalog.text || r.ev_qual::pg_catalog.text, ':relid ([0-9]+)', 'g') m`

const RULE_CALLS = `
  SELECT found.relation, fn.nspname, p.proname, p.oid < 16384, found.operator, ${EXTENSION('pg_proc', 'p.oid')}
  FROM (
    SELECT DISTINCT r.ev_class AS relation, m[1] = 'opfuncid' AS operator, m[2]::pg_catalog.oid AS called
    ${USER_RULES}
      CROSS JOIN LATERAL pg_catalog.regexp_matches(
        r.ev_action::pg_catalog.text || r.ev_qual::pg_catalog.text,
        ':(funcid|aggfnoid|winfnoid|opfuncid) ([0-9]+)', 'g') m
  ) found JOIN pg_catalog.pg_proc p ON p.oid = found.called
    JOIN pg_catalog.pg_namespace fn ON fn.oid = p.pronamespace`

const SYSTEM = `
  SELECT c.oid, n.nspname, c.relname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`

/** A call of a procedure names its results as well; the last parameter may stand for any number of arguments. */
const FUNCTIONS = `
  SELECT n.nspname, p.proname, p.provolatile = 'v', ${EXTENSION('pg_proc', 'p.oid')},
    p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1,
    CASE WHEN p.prokind = 'p' OR p.provariadic <> 0 THEN 0 ELSE p.pronargs - p.pronargdefaults END,
    CASE WHEN p.prokind <> 'p' AND p.provariadic = 0 THEN p.pronargs END
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE p.oid >= 16384 OR n.nspname NOT IN ('pg_catalog', 'information_schema')`

const OPERATORS = `
  SELECT o.oprname, ${EXTENSION('pg_operator', 'o.oid')}, n.nspname
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid >= 16384`

/**
 * Array types have the extension of their elements, which their element decides; 750 is array_in, which no type of a
 * user with a category and an element of its choice has.
 */
const TYPES = `
  SELECT t.oid, n.nspname, t.typname, t.typtype,
    CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN t.typinput::pg_catalog.oid = 750 THEN t.typelem
      WHEN t.typtype = 'r' THEN COALESCE((
        SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid AND g.rngsubopc < 16384
          AND g.rngcanonical::pg_catalog.oid < 16384 AND g.rngsubdiff::pg_catalog.oid < 16384), 0)
      ELSE 0 END,
    EXISTS (
      SELECT 1 FROM pg_catalog.pg_constraint k
        CROSS JOIN LATERAL pg_catalog.regexp_matches(
          k.conbin::pg_catalog.text, ':(?:funcid|opfuncid) ([0-9]+)', 'g') m
      WHERE k.contypid = t.oid AND m[1]::pg_catalog.oid >= 16384::pg_catalog.oid),
    ${EXTENSION('pg_type', 't.oid')}, t.typrelid, EXISTS (
      SELECT FROM pg_catalog.pg_collation l WHERE l.oid = t.typcollation AND NOT l.collisdeterministic)
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  WHERE t.oid >= 16384 AND ${USER_SCHEMA('n')}`

/** Without those that the server makes along with each range type: they call what is built in (language 12). */
const CASTS = `
  SELECT k.castsource, k.casttarget, ${EXTENSION('pg_proc', 'k.castfunc')}
  FROM pg_catalog.pg_cast k WHERE k.castfunc >= 16384 AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_proc f
    WHERE f.oid = k.castfunc AND f.prolang = 12 AND f.prosrc = 'multirange_constructor1')`

/**
 * pg_depend leaves out what came with the server, which is of no interest here. Triggers are known of every relation. A
 * policy also counts for the relations it reads.
 */
const HUNG = `
  WITH hung AS (
    SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass AS kind, p.oid, p.polrelid AS relation
    FROM pg_catalog.pg_policy p
    UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, d.oid, d.adrelid FROM pg_catalog.pg_attrdef d
    UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, k.conrelid
    FROM pg_catalog.pg_constraint k WHERE k.conrelid <> 0
    UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, i.indrelid FROM pg_catalog.pg_index i
    UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, s.stxrelid
    FROM pg_catalog.pg_statistic_ext s
    UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.partrelid, c.partrelid
    FROM pg_catalog.pg_partitioned_table c)
  SELECT DISTINCT h.relation,
    h.kind = 'pg_catalog.pg_policy'::pg_catalog.regclass
      OR x.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass,
    r.relname, x.refobjid, (
      SELECT e.extname FROM pg_catalog.pg_depend y JOIN pg_catalog.pg_extension e ON e.oid = y.refobjid
      WHERE y.classid = x.refclassid AND y.objid = x.refobjid AND y.deptype = 'e'
        AND y.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1)
  FROM hung h JOIN pg_catalog.pg_depend x ON x.classid = h.kind AND x.objid = h.oid
    JOIN pg_catalog.pg_class r ON r.oid = x.refclassid
  WHERE x.refobjid <> h.relation AND (r.relname IN ('pg_proc', 'pg_operator', 'pg_opclass', 'pg_type')
    OR r.relname = 'pg_class' AND h.kind = 'pg_catalog.pg_policy'::pg_catalog.regclass)`

const COMPARED = `
  SELECT o.opcintype, ${EXTENSION('pg_opclass', 'o.oid')} FROM pg_catalog.pg_opclass o
  WHERE o.oid >= 16384 AND o.opcdefault`

const CASCADES = `
  SELECT DISTINCT k.conrelid, k.confrelid FROM pg_catalog.pg_constraint k
  WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))`

const EVENT_TRIGGERS = `
  SELECT ${EXTENSION('pg_proc', 't.evtfoid')} FROM pg_catalog.pg_event_trigger t WHERE t.evtenabled <> 'D'`

/**
 * Bodies that change `search_path` or the role of the session they run in, in their own words or in a text that they run. The clause
 * `SET` of a function is none of its body, and ends with it. A name that `set_config` is not given as a constant may be any.
 */
const BEGINS = String.raw`(^|;|''|\\mbegin|\\mthen|\\melse|\\mloop|>>|\\*/|--[^\\n]*\\n)\\s*`
const MOVES = [
  'search_path',
  'session_authorization',
  // As a tree, a body of the standard's form.
  ':funcid 2078 ',
  String.raw`set_config"?\\s*\\((?!\\s*''(?!role'')[\\w.]+''\\s*,)`,
  String.raw`${BEGINS}set\\s+((local|session)\\s+)?((role|session)\\M|%)`,
  String.raw`${BEGINS}reset\\s+((all|role|session)\\M|%)`,
].join('|')

const MOVING = `
  SELECT DISTINCT ${EXTENSION('pg_proc', 'p.oid')} FROM pg_catalog.pg_proc p
  WHERE p.oid >= 16384
    AND pg_catalog.concat(p.prosrc, ' ', pg_catalog.to_jsonb(p) ->> 'prosqlbody') ~* E'${MOVES}'`

const CONSTRAINTS = `
  SELECT k.conrelid, k.conname FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${USER_SCHEMA('n')}
  UNION SELECT i.indrelid, x.relname FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace AND ${USER_SCHEMA('n')}
  WHERE i.indisunique`

/** What a column gets that a row does not name. */
const HAS_NO_DEFAULT = `
  EXISTS (
    SELECT FROM pg_catalog.pg_attribute d JOIN pg_catalog.pg_type t ON t.oid = d.atttypid
    WHERE d.attrelid = i.indrelid AND d.attnum = k.attribute AND NOT d.atthasdef AND d.attidentity = ''
      AND t.typdefault IS NULL)`

/**
 * Column 0 of an expression is the whole row; in the list of columns it stands for an expression. Whether NULLs are
 * distinct is told by PostgreSQL 15 and newer, and the operators of a constraint in the order of the columns.
 */
const UNIQUE = `
  SELECT DISTINCT i.indrelid, k.attribute, i.indexrelid,
    k.key AND pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct' IS DISTINCT FROM 'true' AND ${HAS_NO_DEFAULT},
    EXISTS (
      SELECT FROM pg_catalog.pg_constraint x
        CROSS JOIN LATERAL pg_catalog.unnest(x.conexclop) WITH ORDINALITY u (operator, place)
        JOIN pg_catalog.pg_operator o ON o.oid = u.operator
      WHERE x.conindid = i.indexrelid AND o.oprname <> '=' AND (u.place = k.place
        OR NOT k.key AND COALESCE((i.indkey::pg_catalog.int2[])[u.place - 1], 0) = 0))
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${USER_SCHEMA('n')}
    CROSS JOIN LATERAL (
      SELECT u.attribute::pg_catalog.int4, u.place, true
      FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY u (attribute, place)
      WHERE u.place <= i.indnkeyatts AND u.attribute > 0
      UNION ALL SELECT m[1]::pg_catalog.int4, 0, false
      FROM pg_catalog.regexp_matches(
        pg_catalog.concat(i.indexprs::pg_catalog.text, i.indpred::pg_catalog.text), ':varattno (-?[0-9]+)', 'g') m
    ) k (attribute, place, key)
  WHERE i.indisunique OR i.indisexclusion`

/** Column 0 of an expression is the whole row. */
const PARTITIONED = `
  SELECT DISTINCT p.partrelid, k.attribute
  FROM pg_catalog.pg_partitioned_table p
    CROSS JOIN LATERAL (
      SELECT u.attribute::pg_catalog.int4 FROM pg_catalog.unnest(p.partattrs) u (attribute) WHERE u.attribute > 0
      UNION ALL SELECT m[1]::pg_catalog.int4
      FROM pg_catalog.regexp_matches(p.partexprs::pg_catalog.text, ':varattno (-?[0-9]+)', 'g') m
    ) k (attribute)`

/**
 * With an empty search path the server writes every name in full. To write down a view it locks what the view reads, and
 * a session with an uncommitted ALTER TABLE may be waiting for this very catalogue: so it gives up soon, and what views
 * derive is not known until the next time. The settings hold for this one statement, and come first because the oid is
 * not known without them.
 */
export const viewsQuery = `
  WITH path AS MATERIALIZED (
    SELECT pg_catalog.set_config('search_path', '', true) AS emptied,
      pg_catalog.set_config('lock_timeout', '50', true) AS patience)
  SELECT c.oid, pg_catalog.pg_get_viewdef(CASE WHEN path.emptied = '' AND path.patience <> '' THEN c.oid END)
  FROM path CROSS JOIN pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('v', 'm') AND ${USER_SCHEMA('n')}`

const SCHEMAS = `SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE ${USER_SCHEMA('n')}`

/** Whom a session may act as, itself first: the others are as many as are asked about at reasonable cost. */
const MY_ROLES = `
  SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r
  WHERE pg_catalog.pg_has_role(r.oid, 'MEMBER') AND r.rolname !~ '^pg_'
  ORDER BY r.rolname <> CURRENT_USER, r.oid LIMIT 100`

const ROLES = `
  SELECT r.rolname, n.nspname
  FROM (${MY_ROLES}) r LEFT JOIN pg_catalog.pg_namespace n
    ON ${USER_SCHEMA('n')} AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')`

/** What each question is called in snapshots (docs/formats/snapshots.md), in the order in which they are asked. */
const QUESTIONS = {
  database: DATABASE,
  relations: RELATIONS,
  columns: COLUMNS,
  inherits: INHERITS,
  generated: GENERATED,
  ruleReads: RULE_READS,
  ruleCalls: RULE_CALLS,
  system: SYSTEM,
  functions: FUNCTIONS,
  operators: OPERATORS,
  types: TYPES,
  casts: CASTS,
  hung: HUNG,
  compared: COMPARED,
  cascades: CASCADES,
  eventTriggers: EVENT_TRIGGERS,
  moving: MOVING,
  constraints: CONSTRAINTS,
  unique: UNIQUE,
  partitioned: PARTITIONED,
  views: viewsQuery,
  schemas: SCHEMAS,
  roles: ROLES,
} as const

/** To be run in this order; `buildCatalogue` wants their rows in the same order. */
export const catalogueQueries: readonly string[] = Object.values(QUESTIONS)
export const catalogueNames: readonly string[] = Object.keys(QUESTIONS)

/**
 * One row of text that changes whenever a definition does. Sums of row versions (xmin): adding, changing and removing a
 * row each change count or sum. ANALYZE and VACUUM change rows of pg_class in place and leave xmin alone.
 */
export const fingerprintQuery: string = `
  SELECT ${[
    ['pg_class', `t.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')`, 't.relnamespace'],
    ['pg_proc', 't.oid >= 16384', 't.pronamespace'],
    ['pg_type', 't.oid >= 16384', 't.typnamespace'],
  ]
    .map(
      ([table, condition, namespace]) => `(
    SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(t.xmin::pg_catalog.text::pg_catalog.int8), 0)
    FROM pg_catalog.${table} t JOIN pg_catalog.pg_namespace n ON n.oid = ${namespace}
    WHERE ${condition} AND n.nspname !~ '^pg_(toast|temp)')`,
    )
    .join(', ')}, (
    SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(a.xmin::pg_catalog.text::pg_catalog.int8), 0)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_(toast|temp)'
    WHERE a.attrelid >= 16384 AND a.attnum > 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')), ${[
      ['pg_namespace', `t.nspname !~ '^pg_(toast|temp)'`],
      ['pg_rewrite', 't.oid >= 16384'],
      ['pg_inherits', 't.inhrelid >= 16384'],
      ['pg_attrdef', 't.oid >= 16384'],
      ['pg_operator', 't.oid >= 16384'],
      ['pg_cast', 't.oid >= 16384'],
      ['pg_trigger', 'NOT t.tgisinternal'],
      ['pg_extension', 'true'],
      ['pg_constraint', "t.oid >= 16384 AND (t.conbin IS NOT NULL OR t.contype = 'f')"],
      ['pg_opclass', 't.oid >= 16384'],
      ['pg_statistic_ext', 'true'],
      ['pg_event_trigger', 'true'],
      [
        'pg_index',
        `t.indexrelid >= 16384 AND (t.indexprs IS NOT NULL OR t.indpred IS NOT NULL
          OR EXISTS (SELECT FROM pg_catalog.unnest(t.indclass) u WHERE u >= 16384::pg_catalog.oid)
          OR (t.indisunique OR t.indisexclusion) AND EXISTS (
            SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = t.indexrelid AND n.nspname !~ '^pg_(toast|temp)'))`,
      ],
      ['pg_enum', 'true'],
      ['pg_range', 't.rngtypid >= 16384'],
      ['pg_collation', 't.oid >= 16384'],
      ['pg_aggregate', 't.aggfnoid::pg_catalog.oid >= 16384'],
      ['pg_amop', 't.oid >= 16384'],
      ['pg_amproc', 't.oid >= 16384'],
      ['pg_ts_config', 't.oid >= 16384'],
      ['pg_ts_config_map', 'true'],
      ['pg_ts_dict', 't.oid >= 16384'],
      ['pg_foreign_data_wrapper', 'true'],
      ['pg_foreign_server', 'true'],
      ['pg_foreign_table', 'true'],
      ['pg_policy', 'true'],
      ['pg_db_role_setting', 'true'],
      ['pg_auth_members', 'true'],
    ]
      .map(
        ([table, condition]) => `(
    SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(t.xmin::pg_catalog.text::pg_catalog.int8), 0)
    FROM pg_catalog.${table} t WHERE ${condition})`,
      )
      .join(', ')}, (
    SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(
      pg_catalog.concat_ws(' ', r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolbypassrls), 0)), 0)
    FROM pg_catalog.pg_roles r)`

type Row = readonly (string | null)[]

/** Pure. Throws GatewayError `invalid` for a malformed label pattern, an Error for answers of another shape. */
export function buildCatalogue(
  results: readonly (readonly Row[])[],
  assignments: readonly LabelAssignment[],
  epoch: number,
): Catalogue {
  if (results.length !== catalogueQueries.length)
    throw new Error('a catalogue needs an answer to every query')
  const rows = (query: string): readonly Row[] => results[catalogueQueries.indexOf(query)] ?? []
  const [database] = rows(DATABASE)
  if (database === undefined) throw new Error('the catalogue does not tell its database')
  const parts: CatalogueParts = {
    epoch,
    database: text(database, 0),
    searchPath: text(database, 1),
    relations: rows(RELATIONS).map((row) => ({
      oid: number(row, 0),
      schema: text(row, 1),
      name: text(row, 2),
      kind: kindOf(text(row, 3)),
      hasTriggers: truth(row, 4),
      hasRules: truth(row, 5),
    })),
    columns: rows(COLUMNS).map((row) => ({
      relation: number(row, 0),
      attribute: number(row, 1),
      name: text(row, 2),
      type: number(row, 3),
      loose: row[4] === 't',
    })),
    inherits: rows(INHERITS).map((row) => ({ child: number(row, 0), parent: number(row, 1) })),
    generated: rows(GENERATED).map((row) => ({
      relation: number(row, 0),
      attribute: number(row, 1),
      from: number(row, 2),
    })),
    ruleReads: rows(RULE_READS).map((row) => ({ relation: number(row, 0), of: number(row, 1) })),
    ruleCalls: rows(RULE_CALLS).map((row) => ({
      relation: number(row, 0),
      schema: text(row, 1),
      name: text(row, 2),
      builtin: truth(row, 3),
      operator: truth(row, 4),
      extension: row[5] ?? null,
    })),
    system: rows(SYSTEM).map((row) => ({ oid: number(row, 0), schema: text(row, 1), name: text(row, 2) })),
    functions: rows(FUNCTIONS).map((row) => ({
      schema: text(row, 0),
      name: text(row, 1),
      volatile: truth(row, 2),
      extension: row[3] ?? null,
      takesOne: row[4] !== 'f',
      least: number(row, 5),
      ...(row[6] === null ? {} : { most: number(row, 6) }),
    })),
    operators: rows(OPERATORS).map((row) => ({
      name: text(row, 0),
      extension: row[1] ?? null,
      schema: text(row, 2),
    })),
    types: rows(TYPES).map((row) => ({
      oid: number(row, 0),
      schema: text(row, 1),
      name: text(row, 2),
      form: text(row, 3),
      base: number(row, 4),
      userChecks: truth(row, 5),
      extension: row[6] ?? null,
      ...(number(row, 7) === 0 ? {} : { relation: number(row, 7) }),
      loose: row[8] !== 'f',
    })),
    constraints: rows(CONSTRAINTS).map((row) => ({ relation: number(row, 0), name: text(row, 1) })),
    unique: rows(UNIQUE).map((row) => ({
      relation: number(row, 0),
      attribute: number(row, 1),
      index: number(row, 2),
      spares: truth(row, 3),
      overlaps: truth(row, 4),
    })),
    partitioned: rows(PARTITIONED).map((row) => ({ relation: number(row, 0), attribute: number(row, 1) })),
    schemas: rows(SCHEMAS).map((row) => text(row, 0)),
    roles: rows(ROLES).map((row) => ({ name: text(row, 0), unusable: row[1] ?? null })),
    casts: rows(CASTS).map((row) => ({
      source: number(row, 0),
      target: number(row, 1),
      extension: row[2] ?? null,
    })),
    hung: rows(HUNG).map((row) => ({
      relation: number(row, 0),
      reading: truth(row, 1),
      of: text(row, 2),
      oid: number(row, 3),
      extension: row[4] ?? null,
    })),
    compared: rows(COMPARED).map((row) => ({ type: number(row, 0), extension: row[1] ?? null })),
    cascades: rows(CASCADES).map((row) => ({ from: number(row, 0), to: number(row, 1) })),
    moving: rows(MOVING).map((row) => ({ extension: row[0] ?? null })),
    eventTriggers: rows(EVENT_TRIGGERS).map((row) => ({ extension: row[0] ?? null })),
    // One that was dropped meanwhile has none.
    views: rows(viewsQuery).flatMap((row) => {
      const definition = row[1]
      return typeof definition === 'string' ? [{ relation: number(row, 0), definition }] : []
    }),
  }
  return assembleCatalogue(parts, assignments)
}

function text(row: Row, at: number): string {
  const value = row[at]
  if (value === undefined || value === null) throw new Error('a catalogue query answered with a NULL')
  return value
}

function number(row: Row, at: number): number {
  const value = Number(text(row, at))
  if (!Number.isSafeInteger(value))
    throw new Error('a catalogue query answered with something that is no number')
  return value
}

/** Text format of a boolean. */
function truth(row: Row, at: number): boolean {
  return text(row, at) === 't'
}

const KINDS = new Map<string, RelationKind>(
  (['r', 'p', 'v', 'm', 'f', 'S', 'c'] as const).map((kind) => [kind, kind]),
)

function kindOf(relkind: string): RelationKind {
  const kind = KINDS.get(relkind)
  if (kind === undefined) throw new Error('a catalogue query answered with a relation of another kind')
  return kind
}
