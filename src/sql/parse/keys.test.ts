import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { LIMITS } from '../../core/index.ts'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import type { SqlAnalyser } from '../index.ts'
import { createSqlAnalyser } from '../index.ts'
import type { ParseResult } from './parser.ts'
import type { Shape } from './shape.ts'
import { fewer } from '../../../test/support/fewer.ts'

let analyser: SqlAnalyser
const catalogue = sampleCatalogue()

beforeAll(async () => {
  analyser = await createSqlAnalyser()
})

afterAll(() => analyser.close())

function parse(text: string): ParseResult {
  const parsed = analyser.parse(text)
  if (parsed instanceof Promise) throw new Error('short texts are parsed inline')
  return parsed
}

function shapeOf(text: string): Shape | undefined {
  const bytes = Buffer.from(text)
  return analyser.shape(bytes, 0, bytes.length)
}

function keyOf(text: string): string {
  const shape = shapeOf(text)
  if (shape === undefined) throw new Error(`no shape: ${text}`)
  return analyser.learn(shape, parse(text))
}

describe('two texts have one key', () => {
  it.each([
    [
      'SELECT abalance FROM pgbench_accounts WHERE aid = 5;',
      'SELECT abalance FROM pgbench_accounts WHERE aid = 777;',
    ],
    ["SELECT 1 FROM t WHERE a = 'x' AND b <> 'y'", "SELECT 1 FROM t WHERE a = 'p' AND b <> 'q'"],
    ['SELECT 1 FROM t WHERE 5 < t.a', 'SELECT 1 FROM t WHERE 6 < t.a'],
    ['SELECT 1 FROM t WHERE a IN (1, 2)', 'SELECT 1 FROM t WHERE a IN (3, 4)'],
    ['SELECT 1 FROM t WHERE a BETWEEN 1 AND 2', 'SELECT 1 FROM t WHERE a BETWEEN 3 AND 4'],
    ["INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')", "INSERT INTO t (a, b) VALUES (3, 'p'), (4, 'q')"],
    ['INSERT INTO t VALUES (1, -2)', 'INSERT INTO t VALUES (3, -4)'],
    ['UPDATE t SET a = 5, b = b + 1 WHERE c = 2', 'UPDATE t SET a = 6, b = b + 7 WHERE c = 3'],
    ['UPDATE t SET a = a + -5 WHERE b = -1', 'UPDATE t SET a = a + -6 WHERE b = -2'],
    ['SELECT 1 FROM t WHERE a = - 5', 'SELECT 1 FROM t WHERE a = - 6'],
    [
      'DELETE FROM t WHERE id = 1; SELECT 1 FROM t WHERE id = 2',
      'DELETE FROM t WHERE id = 3; SELECT 1 FROM t WHERE id = 4',
    ],
  ])('%s', (a, b) => {
    expect(keyOf(a)).toBe(keyOf(b))
  })
})

describe('two texts have two keys', () => {
  it.each([
    ['SELECT * FROM t LIMIT 10', 'SELECT * FROM t LIMIT 100000000'],
    ['SELECT * FROM t OFFSET 10', 'SELECT * FROM t OFFSET 20'],
    ['SELECT * FROM t FETCH FIRST 5 ROWS ONLY', 'SELECT * FROM t FETCH FIRST 6 ROWS ONLY'],
    ['SELECT * FROM t WHERE 1 = 1', 'SELECT * FROM t WHERE 1 = 2'],
    ["SELECT 'customers'::regclass", "SELECT 'orders'::regclass"],
    ["SELECT * FROM t WHERE a = 'customers'::regclass", "SELECT * FROM t WHERE a = 'orders'::regclass"],
    ["SELECT * FROM t WHERE a = CAST('x' AS text)", "SELECT * FROM t WHERE a = CAST('y' AS text)"],
    ["SELECT set_config('search_path', 'a', false)", "SELECT set_config('search_path', 'b', false)"],
    ["SELECT set_config('work_mem', 'a', false)", "SELECT set_config('role', 'a', false)"],
    ["SELECT f('a') FROM t", "SELECT f('b') FROM t"],
    ["SELECT * FROM t WHERE f('a') = a", "SELECT * FROM t WHERE f('b') = a"],
    ["SELECT * FROM t WHERE lower(a) = 'x'", "SELECT * FROM t WHERE lower(a) = 'y'"],
    ['SELECT * FROM t ORDER BY 1', 'SELECT * FROM t ORDER BY 2'],
    ['SELECT a, count(*) FROM t GROUP BY 1', 'SELECT a, count(*) FROM t GROUP BY 2'],
    ['SELECT 1', 'SELECT 2'],
    ["SELECT 'a' AS x", "SELECT 'b' AS x"],
    ["SET search_path = 'a'", "SET search_path = 'b'"],
    ["SET work_mem = '1MB'", "SET work_mem = '2MB'"],
    ["INSERT INTO t VALUES (f('a'))", "INSERT INTO t VALUES (f('b'))"],
    ["UPDATE t SET a = f('a')", "UPDATE t SET a = f('b')"],
    ['UPDATE t SET a = 5 * 6', 'UPDATE t SET a = 5 * 7'],
    ["SELECT interval '1 day'", "SELECT interval '2 days'"],
    ['SELECT a::numeric(5, 2) FROM t', 'SELECT a::numeric(6, 2) FROM t'],
    ['FETCH 5 FROM c', 'FETCH 6 FROM c'],
    ["NOTIFY a, 'x'", "NOTIFY a, 'y'"],
    ["SELECT * FROM t WHERE a LIKE 'x%'", "SELECT * FROM t WHERE a LIKE 'y%'"],
    ['SELECT * FROM t WHERE t.* = 5', 'SELECT * FROM t WHERE t.* = 6'],
    ["SELECT * FROM t WHERE a OPERATOR(s.=) 'x'", "SELECT * FROM t WHERE a OPERATOR(s.=) 'y'"],
    ["SELECT 'a', 'b'", "SELECT 'a'', ''b'"],
  ])('%s', (a, b) => {
    expect(keyOf(a)).not.toBe(keyOf(b))
  })

  it('when what stands between their literals could be read as one', () => {
    expect(keyOf("SELECT f('a', 'b')")).not.toBe(keyOf("SELECT f('a'', ''b', '')"))
  })
})

describe('what is learned', () => {
  it('is not known before, and serves every text of the shape after', async () => {
    const own = await createSqlAnalyser()
    const shape = (text: string): Shape => {
      const found = own.shape(Buffer.from(text), 0, text.length)
      if (found === undefined) throw new Error('no shape')
      return found
    }
    const first = 'SELECT a FROM t WHERE id = 1 LIMIT 5'
    expect(own.keyOf(shape(first))).toBeUndefined()
    const key = own.learn(shape(first), parse(first))
    expect(own.keyOf(shape(first))).toBe(key)
    expect(own.keyOf(shape('SELECT a FROM t WHERE id = 2 LIMIT 5'))).toBe(key)
    expect(own.keyOf(shape('SELECT a FROM t WHERE id = 1 LIMIT 6'))).not.toBe(key)
    await own.close()
  })

  it('of a text that does not parse keeps every literal', () => {
    expect(keyOf("SELEC 'a' 5")).not.toBe(keyOf("SELEC 'b' 5"))
  })

  it('is bounded', () => {
    for (let i = 0; i <= LIMITS.shapesLearnedMax; i++) {
      const text = `SELECT a${i}`
      const shape = shapeOf(text)
      if (shape !== undefined) analyser.learn(shape, { kind: 'parsed', tree: { stmts: [] } })
    }
    const first = shapeOf('SELECT a0')
    expect(first === undefined ? undefined : analyser.keyOf(first)).toBeUndefined()
  })

  it('does not cover long texts', () => {
    const text = `SELECT ${'a, '.repeat(LIMITS.statementInlineBytesMax)}b`
    expect(analyser.shape(Buffer.from(text), 0, text.length)).toBeUndefined()
  })
})

/** Statements with holes for literals, in places that matter and in places that do not. */
const HOLE = '?'
const column = fc.constantFrom('id', 'email', 'c.name', 'plan', 'phone')
const literalHole = fc.constant(HOLE)
const condition = fc.oneof(
  fc
    .tuple(column, fc.constantFrom('=', '<>', '<', '>=', 'LIKE', '||'), literalHole)
    .map((parts) => parts.join(' ')),
  fc
    .tuple(literalHole, fc.constantFrom('=', '<'), fc.oneof(column, literalHole))
    .map((parts) => parts.join(' ')),
  column.map((name) => `${name} IN (${HOLE}, ${HOLE})`),
  column.map((name) => `${name} BETWEEN ${HOLE} AND ${HOLE}`),
  column.map((name) => `lower(${name}) = ${HOLE}`),
  column.map((name) => `${name} = ${HOLE}::text`),
  fc.constant(`set_config(${HOLE}, ${HOLE}, false) = ${HOLE}`),
  fc.constant(`EXISTS (SELECT 1 FROM orders WHERE note = ${HOLE} LIMIT ${HOLE})`),
)
const skeleton = fc.oneof(
  fc
    .tuple(
      fc.array(
        fc.oneof(column, literalHole, fc.constant(`lower(${HOLE})`), fc.constant(`${HOLE}::regclass`)),
        { minLength: 1, maxLength: 3 },
      ),
      fc.array(condition, { maxLength: 3 }),
      fc.constantFrom(
        '',
        ` ORDER BY ${HOLE}`,
        ` LIMIT ${HOLE}`,
        ` GROUP BY ${HOLE}`,
        ` ORDER BY email LIMIT ${HOLE}`,
      ),
    )
    .map(
      ([outputs, conditions, tail]) =>
        `SELECT ${outputs.join(', ')} FROM customers c${where(conditions)}${tail}`,
    ),
  fc
    .tuple(fc.constantFrom('customers', 'leads', 'audited', 'orders'), fc.array(condition, { maxLength: 2 }))
    .map(
      ([table, conditions]) =>
        `UPDATE ${table} c SET note = ${HOLE}, plan = plan + ${HOLE}${where(conditions)}`,
    ),
  fc.array(condition, { maxLength: 2 }).map((conditions) => `DELETE FROM customers c${where(conditions)}`),
  fc.constant(`INSERT INTO customers (id, email) VALUES (${HOLE}, lower(${HOLE})) RETURNING ${HOLE}`),
  fc.constant(`SET search_path = ${HOLE}`),
  fc.constant(`SELECT set_config(${HOLE}, ${HOLE}, true)`),
)

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

const numbers = fc.constantFrom('1', '2', '3', '0', '100', '1.5')
const strings = fc.constantFrom(
  "'x'",
  "'role'",
  "'search_path'",
  "'work_mem'",
  "'public'",
  "'on'",
  "'customers'",
)

function fill(text: string, values: readonly string[]): string {
  let i = 0
  return text.replaceAll(HOLE, () => values[i++ % values.length] ?? '1')
}

describe('equal keys mean equal facts', () => {
  it('with and without labels', () => {
    let shared = 0
    const facts = (text: string): [Facts, Facts] => {
      const parsed = parse(text)
      return [
        analyser.analyse(parsed, { searchPath: ['public'] }),
        analyser.analyse(parsed, { searchPath: ['public'], catalogue }),
      ]
    }
    const values = fc.array(fc.oneof(numbers, strings), { minLength: 6, maxLength: 6 })
    fc.assert(
      fc.property(skeleton, values, values, (text, first, second) => {
        // The second text keeps the kind of each literal, so that the shapes are the same.
        const alike = first.map((value, i) => {
          const other = second[i] ?? value
          return other.startsWith("'") === value.startsWith("'") ? other : value
        })
        const [a, b] = [fill(text, first), fill(text, alike)]
        const [left, right] = [shapeOf(a), shapeOf(b)]
        if (left === undefined || right === undefined) throw new Error('outside the subset')
        // Learned from one text only: the key of the other follows from its shape.
        const key = analyser.learn(left, parse(a))
        if (key !== analyser.keyOf(right)) return
        if (a !== b) shared++
        expect(facts(b)).toEqual(facts(a))
      }),
      { numRuns: fewer(3_000), seed: 11 },
    )
    expect(shared).toBeGreaterThan(fewer(200))
  })
})
