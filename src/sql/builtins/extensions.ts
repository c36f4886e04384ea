/**
 * Extensions whose objects are known by name. Everything else that is not built in counts as code of a user.
 * Kept to what was looked through: their functions only compute from their arguments (tablefunc, dblink, xml2, lo,
 * postgis run SQL given as text, or read tables by name: not here).
 */
const COMPUTING: ReadonlySet<string> = new Set([
  'btree_gin',
  'btree_gist',
  'citext',
  'cube',
  'earthdistance',
  'fuzzystrmatch',
  'hstore',
  'intarray',
  'isn',
  'ltree',
  'pg_trgm',
  'pgcrypto',
  'seg',
  'unaccent',
  'uuid-ossp',
  'vector',
])

/** Extensions whose operators and types only compute, though some of their functions do more. */
const COMPUTING_OPERATORS: ReadonlySet<string> = new Set([
  ...COMPUTING,
  'postgis',
  'postgis_raster',
  'pgrouting',
  'timescaledb',
])

export function functionsCompute(extension: string | null): boolean {
  return extension !== null && COMPUTING.has(extension)
}

export function operatorsCompute(extension: string | null): boolean {
  return extension !== null && COMPUTING_OPERATORS.has(extension)
}
