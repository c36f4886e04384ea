import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestServer } from '../../../test/support/postgres.ts'
import { MAJORS, startTestServer } from '../../../test/support/postgres.ts'
import { HARMLESS, QUIET, SETS } from './functions.ts'
import { OPERATOR_FUNCTIONS } from './operator-functions.ts'

type Row = { name: string; volatility: string; behind: boolean; sets: boolean; arguments: string }

/**
 * Those that no statement can call (`internal`, `cstring`), support functions for aggregates, and the few below are
 * left out.
 */
const FUNCTIONS = `
  SELECT p.proname AS name, string_agg(DISTINCT p.provolatile::text, '') AS volatility,
    bool_or(EXISTS (SELECT 1 FROM pg_operator o WHERE o.oprcode = p.oid)) AS behind, bool_or(p.proretset) AS sets,
    string_agg(DISTINCT oidvectortypes(p.proargtypes), ' | ') AS arguments
  FROM pg_proc p
  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid < 16384 AND p.prokind <> 'p'
    AND oidvectortypes(p.proargtypes) !~ 'internal|cstring'
    AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
    AND p.prorettype::regtype::text !~ '_handler$'
    AND NOT EXISTS (
      SELECT 1 FROM pg_aggregate a
      WHERE p.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
        AND p.proname !~ '(larger|smaller|_statefunc|_inc)$')
  GROUP BY 1 ORDER BY 1`

/** They check definitions, fail always, are of use to indexes only, or print statistics. */
const LEFT_OUT = new Set([
  'aclinsert', 'aclremove', 'any_value_transfn', 'btequalimage', 'btvarstrequalimage', 'gin_cmp_tslexeme',
  'gin_compare_jsonb', 'gist_translate_cmptype_common', 'int8_sum', 'pg_ddl_command_send', 'pg_indexam_progress_phasename',
  'postgresql_fdw_validator', 'satisfies_hash_partition', 'spg_poly_quad_compress', 'xmlvalidate',
]) // biome-ignore format: a list

/** Read rows, run text as SQL, open files or cursors, whatever they call themselves: never on a list. */
const REACHING =
  /^(query|cursor|table|schema|database)_to_xml|^ts_(stat|rewrite)$|^pg_(read_|ls_|stat_file)|^lo_|^loread$|^currtid|^pg_mcv_list|^set_config$|^dblink|_validator$|^binary_upgrade|^pg_(get_backend_memory_contexts|stat_get_activity|stat_get_backend_activity|stat_get_wal_receiver)$/

describe.each(MAJORS)('the built-in functions of PostgreSQL %i', (major) => {
  let server: TestServer
  let functions: readonly Row[]

  beforeAll(async () => {
    server = await startTestServer(major)
    functions = await server.sql<Row>(FUNCTIONS)
  })

  afterAll(() => server.stop('immediate'))

  it('that are immutable compute from their arguments, and are known', () => {
    const missing = functions.filter(
      ({ name, volatility }) => volatility === 'i' && !HARMLESS.has(name) && !LEFT_OUT.has(name),
    )
    expect(missing.map(({ name }) => name)).toEqual([])
  })

  it('behind operators are known as their operators are', () => {
    const missing = functions.filter(
      ({ name, behind }) => behind && !HARMLESS.has(name) && !LEFT_OUT.has(name),
    )
    expect(missing.map(({ name }) => name)).toEqual([])
  })

  it('that are listed as those of operators are never volatile, and take no name of a relation or cursor', () => {
    const listed = new Set(OPERATOR_FUNCTIONS)
    const wrong = functions.filter(
      (each) =>
        listed.has(each.name) &&
        (each.volatility.includes('v') ||
          (/refcursor|regclass/.test(each.arguments) && !each.name.endsWith('send'))),
    )
    expect(wrong).toEqual([])
  })

  it('that return sets are known to, where they may be used beside protected columns', () => {
    const sets = functions.filter(({ name, sets: returns }) => returns && HARMLESS.has(name))
    expect(sets.length).toBeGreaterThan(20)
    expect(sets.filter(({ name }) => !SETS.has(name))).toEqual([])
  })

  it('that reach rows, files, cursors or text to be run are on no list', () => {
    const reaching = functions.filter(({ name }) => REACHING.test(name))
    expect(reaching.length).toBeGreaterThan(20)
    expect(reaching.filter(({ name }) => HARMLESS.has(name) || QUIET.has(name))).toEqual([])
  })
})
