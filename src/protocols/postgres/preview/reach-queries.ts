/** The first oid that the server gives to objects of users. */
export const FIRST_USER_OID = 16_384

/** Volatile, or an aggregate, a window function or a procedure: what those call is not noted with them. */
const UNKNOWN = "(p.provolatile = 'v' OR p.prokind <> 'f')::text::\"char\""

/** All but the first are asked with nothing but `pg_catalog` in the search path. */
export const QUERIES = {
  relationNamed: (written: string) => `SELECT pg_catalog.to_regclass(${text(written)})::pg_catalog.oid`,

  functionsNamed: (names: readonly string[]) => `SELECT n.nspname, p.proname, ${UNKNOWN}
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= ${FIRST_USER_OID} AND p.proname IN (${texts(names)})`,

  operatorsNamed: (names: readonly string[]) => `SELECT n.nspname, p.proname, ${UNKNOWN}
    FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= ${FIRST_USER_OID} AND o.oprname IN (${texts(names)})`,

  casts: `SELECT n.nspname, p.proname, ${UNKNOWN}
    FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= ${FIRST_USER_OID}`,

  kinds: (relations: readonly string[]) => `SELECT c.oid, c.relkind, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (${oids(relations)})`,

  children: (relations: readonly string[]) =>
    `SELECT inhrelid FROM pg_inherits WHERE inhparent IN (${oids(relations)})`,

  /** What the queries of views, and the conditions of policies, read. */
  behindViews: (relations: readonly string[]) => `SELECT DISTINCT d.refobjid FROM pg_depend d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid NOT IN (${oids(relations)}) AND (
      (d.classid = 'pg_rewrite'::regclass AND d.objid IN (SELECT oid FROM pg_rewrite WHERE ev_class IN (${oids(relations)})))
      OR (d.classid = 'pg_policy'::regclass AND d.objid IN (SELECT oid FROM pg_policy WHERE polrelid IN (${oids(relations)}))))`,

  /** Tables whose rows go or change with those that they refer to. */
  cascades: (relations: readonly string[]) => `SELECT DISTINCT conrelid FROM pg_constraint
    WHERE contype = 'f' AND confrelid IN (${oids(relations)})
      AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))`,

  rules: (relations: readonly string[]) => `SELECT ev_class::regclass, rulename FROM pg_rewrite
    WHERE ev_class IN (${oids(relations)}) AND rulename <> '_RETURN' AND ev_enabled <> 'D'`,

  triggers: (
    relations: readonly string[],
  ) => `SELECT t.tgrelid::regclass, t.tgname, n.nspname, p.proname, p.oid
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE t.tgrelid IN (${oids(relations)}) AND NOT t.tgisinternal AND t.tgenabled <> 'D'`,

  /** Functions of users in defaults, checks, indexes, policies and views, and in the checks of domains of their columns. */
  functionsBehind: (relations: readonly string[]) => `WITH of AS (
      SELECT 'pg_attrdef'::regclass AS class, oid FROM pg_attrdef WHERE adrelid IN (${oids(relations)})
      UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid IN (${oids(relations)})
      UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c JOIN pg_attribute a ON a.atttypid = c.contypid
        WHERE a.attrelid IN (${oids(relations)}) AND a.attnum > 0
      UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid IN (${oids(relations)})
      UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid IN (${oids(relations)})
      UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class IN (${oids(relations)})
      UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid IN (${oids(relations)}) AND tgqual IS NOT NULL)
    SELECT DISTINCT n.nspname, p.proname, ${UNKNOWN} FROM of
      JOIN pg_depend d ON d.classid = of.class AND d.objid = of.oid
      LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
      JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
      JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= ${FIRST_USER_OID} AND of.class <> 'pg_trigger'::regclass`,

  /** As statements that can be read. Of what is built in the server notes nothing: it is found by its name. */
  expressions: (relations: readonly string[]) => `
    SELECT 'SELECT ' || pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid IN (${oids(relations)})
    UNION ALL SELECT 'SELECT ' || pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE contype = 'c' AND conrelid IN (${oids(relations)})
    UNION ALL SELECT 'SELECT ' || pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polqual IS NOT NULL AND polrelid IN (${oids(relations)})
    UNION ALL SELECT 'SELECT ' || pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polwithcheck IS NOT NULL AND polrelid IN (${oids(relations)})
    UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND oid IN (${oids(relations)})`,
} as const

function oids(values: readonly string[]): string {
  // They come from the server; whatever they are, a number stands here.
  return values.map((each) => String(Number(each))).join(', ')
}

function texts(values: readonly string[]): string {
  return values.map(text).join(', ')
}

function text(value: string): string {
  return `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
