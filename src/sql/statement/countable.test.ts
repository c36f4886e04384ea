import { beforeAll, describe, expect, test } from 'vitest'
import type { SqlAnalyser } from '../index.ts'
import { countableOf, createSqlAnalyser, isSameButReturning, returningOf } from '../index.ts'
import { lendParserInstance } from '../../testing/lent-parsers.ts'

let analyser: SqlAnalyser
beforeAll(async () => {
  analyser = await createSqlAnalyser(lendParserInstance)
})

const countable = async (sql: string) => {
  const parsed = await analyser.parse(sql)
  return countableOf(parsed, analyser.analyse(parsed, { searchPath: [] }))
}

describe('P-05 whether what a statement changes can be counted before it takes effect', () => {
  test.each([
    "UPDATE t SET a = 1 WHERE b = 'x'",
    'DELETE FROM t USING u WHERE t.id = u.id RETURNING *',
    'INSERT INTO t SELECT * FROM u ON CONFLICT (id) DO UPDATE SET a = 1',
    'MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE',
    'WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d',
    'WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d',
  ])('%s', async (sql) => {
    expect(await countable(sql)).toEqual({ can: true })
  })

  test.each([
    'SELECT 1',
    'SELECT * INTO u FROM t',
    'UPDATE t SET a = 1; UPDATE t SET a = 2',
    'BEGIN; UPDATE t SET a = 1; COMMIT',
    'COMMIT',
    'VACUUM t',
    'CREATE DATABASE d',
    'CREATE INDEX CONCURRENTLY i ON t (a)',
    'DROP INDEX CONCURRENTLY i',
    'REINDEX TABLE CONCURRENTLY t',
    'ALTER TYPE e ADD VALUE $$x$$',
    'CALL p()',
    'DO $$ BEGIN COMMIT; END $$',
    'TRUNCATE t',
    'COPY t FROM STDIN',
    'EXECUTE s',
    'EXPLAIN ANALYZE UPDATE t SET a = 1',
    'PREPARE s AS UPDATE t SET a = 1',
    'CREATE TABLE u AS SELECT 1',
    'UPDATE t SET a = unknown_function(a)',
    'LOCK TABLE t',
    "UPDATE t SET a = setval('s', 5)",
    "WITH d AS (DELETE FROM t RETURNING pg_catalog.setval('s', 5)) SELECT count(*) FROM d",
    'NOTIFY a',
    '',
    'UPDATE t SET',
  ])('not: %s', async (sql) => {
    const found = await countable(sql)
    expect(found).toMatchObject({ can: false, why: expect.stringMatching(/./) })
  })
})

describe('a RETURNING clause behind a statement', () => {
  test.each([
    ['UPDATE t SET a = 1', 'none'],
    ['DELETE FROM t RETURNING id', 'own'],
    ['WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d', 'impossible'],
    ['SELECT 1', 'impossible'],
  ])('%s has %s', async (sql, has) => {
    expect(returningOf(await analyser.parse(sql))).toBe(has)
  })

  test.each([
    ['UPDATE t SET a = 1', 'UPDATE t SET a = 1\nRETURNING *', true],
    ['UPDATE t SET a = 1 -- but', 'UPDATE t SET a = 1 -- but\nRETURNING *', true],
    ['UPDATE t SET a = 1; -- done', 'UPDATE t SET a = 1; -- done\nRETURNING *', false],
    ['UPDATE t SET a = 1', 'UPDATE t SET a = 2\nRETURNING *', false],
    ['UPDATE t SET a = 1', 'DELETE FROM t\nRETURNING *', false],
    ["UPDATE t SET a = '/*'", "UPDATE t SET a = '/*'\nRETURNING *", true],
  ])('%s', async (plain, returning, same) => {
    expect(isSameButReturning(await analyser.parse(plain), await analyser.parse(returning))).toBe(same)
  })
})
