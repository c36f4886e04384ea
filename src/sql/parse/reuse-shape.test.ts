import { afterAll, beforeAll, expect, it } from 'vitest'
import { lendParserInstance } from '../../testing/lent-parsers.ts'
import type { SqlAnalyser } from '../index.ts'
import { createSqlAnalyser } from '../index.ts'

let analyser: SqlAnalyser
beforeAll(async () => {
  analyser = await createSqlAnalyser(lendParserInstance)
})
afterAll(() => analyser.close())

it.each([
  ['UPDATE t SET a = 5 WHERE id = 7', 'UPDATE t SET a = 6 WHERE id = 8;'],
  ["UPDATE t SET a = 'x' WHERE t.id = 7 AND 'y' = b", "UPDATE t SET a = 'y' WHERE t.id = 8 AND 'z' = b"],
  ['DELETE FROM t WHERE id = -1', 'DELETE FROM t WHERE id = -2'],
  ['DELETE FROM t WHERE id IN (1, 2)', 'DELETE FROM t WHERE id IN (3, 4)'],
  ["INSERT INTO t (a, b) VALUES (1, 'x')", "INSERT INTO t (a, b) VALUES (2, 'y')"],
  ['SELECT a FROM t WHERE id = 1 LIMIT 5', 'SELECT a FROM t WHERE id = 2 LIMIT 5'],
  ['UPDATE t SET a = 1 WHERE id = 2 AND b < 3', 'UPDATE t SET a = 4 WHERE id = 5 AND b < 3'],
])('one approval may be for both: %s | %s', (one, other) => {
  expect(analyser.reuse(one)?.key).toBeDefined()
  expect(analyser.reuse(one)?.key).toBe(analyser.reuse(other)?.key)
})

it.each([
  ['DELETE FROM t WHERE a = 1 AND id < 5', 'DELETE FROM t WHERE a = 1 AND id < 999'],
  ['DELETE FROM t WHERE a = 1 AND id > 5', 'DELETE FROM t WHERE a = 1 AND id > -1'],
  ['DELETE FROM t WHERE a = 1 AND id <> 5', 'DELETE FROM t WHERE a = 1 AND id <> 6'],
  ['DELETE FROM t WHERE a = 1 AND id BETWEEN 1 AND 1', 'DELETE FROM t WHERE a = 1 AND id BETWEEN 1 AND 400'],
  ["DELETE FROM t WHERE a = 1 AND b LIKE 'abc%'", "DELETE FROM t WHERE a = 1 AND b LIKE '%'"],
  ['DELETE FROM t WHERE a = 1 AND id NOT IN (1)', 'DELETE FROM t WHERE a = 1 AND id NOT IN (2)'],
  ['DELETE FROM t WHERE a = 1 AND id IN (1)', 'DELETE FROM t WHERE a = 1 AND id IN (1, 2)'],
  ['DELETE FROM t WHERE a = 1 AND (id = 5 OR id = 6)', 'DELETE FROM t WHERE a = 1 AND (id = 5 OR id = 7)'],
  ['DELETE FROM t WHERE a = 1 AND NOT id = 5', 'DELETE FROM t WHERE a = 1 AND NOT id = 6'],
  ['DELETE FROM t WHERE a = 1 AND 1 = 2', 'DELETE FROM t WHERE a = 1 AND 1 = 1'],
  ["DELETE FROM t WHERE a = 1 AND b = 'x'::regclass", "DELETE FROM t WHERE a = 1 AND b = 'y'::regclass"],
  ['DELETE FROM t WHERE a = 1 AND b = lower(2)', 'DELETE FROM t WHERE a = 1 AND b = lower(3)'],
  ['DELETE FROM t WHERE a = 1 AND b OPERATOR(s.=) 2', 'DELETE FROM t WHERE a = 1 AND b OPERATOR(s.=) 3'],
  [
    'DELETE FROM t WHERE a = 1 AND id IN (SELECT id FROM t WHERE c = 1 LIMIT 1)',
    'DELETE FROM t WHERE a = 1 AND id IN (SELECT id FROM t WHERE c = 1 LIMIT 1000)',
  ],
  ['UPDATE t SET a = 1, n = n + 5', 'UPDATE t SET a = 1, n = n + 99999'],
  ["UPDATE t SET a = 1, b = lower('x')", "UPDATE t SET a = 1, b = lower('y')"],
  ['UPDATE t SET a = 1, b[1] = 2', 'UPDATE t SET a = 1, b[3] = 2'],
  ['UPDATE t SET a = 1', "UPDATE t SET a = '1'"],
  ['UPDATE t SET a = 1', 'UPDATE t SET a = NULL'],
  ['SELECT a FROM t WHERE id = 1 LIMIT 5', 'SELECT a FROM t WHERE id = 1 LIMIT 500'],
  ['SELECT a FROM t WHERE id = 1 OFFSET 5', 'SELECT a FROM t WHERE id = 1 OFFSET 0'],
  ["INSERT INTO t VALUES (1, nextval('a'))", "INSERT INTO t VALUES (1, nextval('b'))"],
  ['INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (1), (2)'],
  [
    'INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1',
    'INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2',
  ],
  [
    'WITH x AS (DELETE FROM t WHERE id = 1) UPDATE t SET a = 1',
    'WITH x AS (DELETE FROM t WHERE id = 2) UPDATE t SET a = 1',
  ],
])('each is asked about by itself: %s | %s', (one, other) => {
  expect(analyser.reuse(one)?.key).toBeDefined()
  expect(analyser.reuse(one)?.key).not.toBe(analyser.reuse(other)?.key)
})

it.each([
  'DELETE FROM t WHERE id < 5',
  'UPDATE t SET a = 1; UPDATE t SET a = 2',
  'UPDATE t SET a = 1 -- a comment',
  'EXPLAIN ANALYZE UPDATE t SET a = 1',
  'SELECT 1',
])('is only like itself: %s', (text) => {
  expect(analyser.reuse(text)).toBeUndefined()
})

it.each<[string, number[]]>([
  ['UPDATE t SET a = $1 WHERE id = $2', [0, 1]],
  ['UPDATE t SET a = 1 WHERE id = $1 OR $2', []],
  ['UPDATE t SET a = 1 WHERE id = $1 AND $2', [0]],
  ['UPDATE t SET a = 1 WHERE id = $1 AND b < $2', [0]],
  ['UPDATE t SET a = $1 WHERE b < $1', []],
  ['UPDATE t SET a = $1::regclass, b = current_setting($2), c = $3', [2]],
  ['DELETE FROM t WHERE a = 1 AND id = ANY($1)', []],
  ['DELETE FROM t WHERE a = 1 AND id IN (SELECT id FROM t LIMIT $1)', []],
  ['DELETE FROM t WHERE id IN ($2, $1)', [0, 1]],
  ['INSERT INTO t VALUES ($1, $2 + 1)', [0]],
])('parameters that may vary: %s', (text, parameters) => {
  expect(analyser.reuse(text)?.parameters).toEqual(parameters)
})

it('says which values may vary, and none of them', () => {
  const text = "UPDATE t SET a = 'secret', n = n + 1 WHERE t.id = 7 AND b IN ('secret', 'x') AND c < 4"
  expect(analyser.reuse(text)?.varies).toEqual(['SET a = ...', 'WHERE t.id = ...', 'WHERE b IN (2 values)'])
  expect(analyser.reuse('INSERT INTO t (a) VALUES (1), (2)')?.varies).toEqual(['VALUES (...) for a'])
  expect(analyser.reuse('INSERT INTO t VALUES (1, 2)')?.varies).toEqual([
    'VALUES (...) for column 1',
    'VALUES (...) for column 2',
  ])
})
