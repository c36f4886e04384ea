import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../core/index.ts'
import { sampleCatalogue } from '../testing/sample-catalogue.ts'
import { analyse } from './analyse.ts'
import type { Parser } from './parse/parser.ts'
import { createParser } from './parse/parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

async function factsOf(text: string): Promise<Facts> {
  return analyse(await parser.parse(text), { searchPath: ['public'] })
}

describe('with a catalogue, what comes in company', () => {
  const catalogue = sampleCatalogue()
  const known = async (text: string): Promise<Facts> =>
    analyse(await parser.parse(text), { catalogue, searchPath: ['public'] })

  it.each([
    ['SELECT * FROM customer_names', ['customer_list', 'customer_names', 'customers'], []],
    ['COPY (SELECT * FROM order_totals) TO STDOUT', ['order_totals', 'orders'], []],
    ['EXPLAIN SELECT * FROM customer_list', ['customer_list', 'customers'], []],
    ['SELECT * FROM events', ['events', 'events_2024'], []],
    ['SELECT * FROM ONLY events', ['events'], []],
    ['SELECT * FROM ONLY events, events e', ['events', 'events_2024'], []],
    // Its rows are its own until it is filled again.
    ['SELECT * FROM customer_mat', ['customer_mat'], []],
    ['REFRESH MATERIALIZED VIEW customer_mat', ['customers'], ['customer_mat']],
    ['UPDATE customer_list SET name = NULL', ['customers'], ['customer_list', 'customers']],
    ['DELETE FROM events', [], ['events', 'events_2024']],
    ['ALTER TABLE events ADD COLUMN x int', [], ['events', 'events_2024']],
    // A view that is made or dropped is not run.
    ['CREATE VIEW v AS SELECT * FROM customer_list', ['customer_list'], ['v']],
    ['DROP VIEW customer_list', [], ['customer_list']],
    [
      'CREATE TEMP VIEW v AS SELECT * FROM customer_list; SELECT * FROM v',
      ['customer_list', 'customers'],
      ['v'],
    ],
  ])('%s', async (text, reads, writes) => {
    const facts = await known(text)
    const bare = (names: readonly string[]) =>
      names.map((name) => name.replace('public.', '')).filter((name) => name !== 'v' || writes.length === 0)
    expect(bare(facts.reads)).toEqual(reads)
    expect(facts.writes.map((name) => name.replace('public.', ''))).toEqual(writes)
  })
})

describe('names that only the client says exist', () => {
  const typed = async (text: string, options: object = {}) =>
    analyse(await parser.parse(text), { catalogue: sampleCatalogue(), searchPath: ['public'], ...options })
      .typed

  it.each([
    ['SELECT * FROM "SSN-111-22-3333", customers', ['SSN-111-22-3333']],
    ['INSERT INTO nobody.knows SELECT * FROM customers', ['nobody.knows']],
    ['CREATE TABLE secrets AS SELECT id FROM customers', ['secrets']],
    ['CREATE TEMP TABLE mine (a int); SELECT * FROM mine', ['mine']],
    ['PREPARE p AS SELECT * FROM missing; EXECUTE p', ['missing']],
    ['SELECT * FROM customers, pg_catalog.pg_class', undefined],
  ])('%s', async (text, names) => {
    expect(await typed(text)).toEqual(names)
  })

  it('are all, and so none of them, where nothing is known', async () => {
    expect((await factsOf('SELECT * FROM anything')).typed).toBeUndefined()
  })
})

describe('a column with the name of a function', () => {
  const catalogue = sampleCatalogue({
    functions: [
      { schema: 'public', name: 'note', volatile: true, extension: null },
      { schema: 'public', name: 'total', volatile: true, takesOne: false, extension: null },
    ],
  })

  it.each([
    ['SELECT o.note FROM orders o', 'read'],
    ['SELECT public.orders.note FROM orders', 'read'],
    ['SELECT (SELECT o.note) FROM orders o', 'read'],
    // Not from a relation that has it, or not surely.
    ['SELECT c.note FROM customers c', 'opaque'],
    ['SELECT o.note FROM orders o, LATERAL (SELECT o.note FROM customers o) x', 'opaque'],
    ['SELECT (o.id).note FROM orders o', 'opaque'],
    // Cannot be called with one argument.
    ['SELECT c.total FROM customers c', 'read'],
  ])('%s', async (text, commandClass) => {
    const facts = analyse(await parser.parse(text), { catalogue, searchPath: ['public'] })
    expect(facts.class).toBe(commandClass)
    expect(facts.calls).toEqual(commandClass === 'opaque' ? ['note'] : [])
  })
})

describe('EXECUTE in another statement', () => {
  it.each([
    ['PREPARE p AS SELECT * FROM a; EXPLAIN ANALYZE EXECUTE p', 'read', ['a'], []],
    ['PREPARE p AS DELETE FROM a; EXPLAIN ANALYZE EXECUTE p', 'write', [], ['a']],
    ['PREPARE p AS SELECT f() FROM a; EXPLAIN ANALYZE EXECUTE p', 'opaque', ['a'], []],
    ['PREPARE p AS SELECT * FROM a; CREATE TABLE b AS EXECUTE p', 'define', ['a'], ['b']],
    ['PREPARE p AS SELECT * FROM a; EXPLAIN ANALYZE CREATE TABLE b AS EXECUTE p', 'define', ['a'], ['b']],
    ['EXPLAIN ANALYZE EXECUTE unheard_of', 'opaque', [], []],
    ['CREATE TABLE b AS EXECUTE unheard_of', 'opaque', [], ['b']],
  ])('%s', async (text, commandClass, reads, writes) => {
    const facts = await factsOf(text)
    expect(facts.class).toBe(commandClass)
    expect(facts.reads).toEqual(reads)
    expect(facts.writes).toEqual(writes)
  })
})

describe('without labels, what is read and written', () => {
  it.each([
    ['SELECT * FROM a, s.b JOIN c ON true', ['a', 'c', 's.b'], []],
    ['SELECT (SELECT x FROM a) FROM b WHERE EXISTS (SELECT 1 FROM c)', ['a', 'b', 'c'], []],
    ['INSERT INTO a SELECT * FROM b', ['b'], ['a']],
    ['UPDATE a SET x = (SELECT y FROM b) FROM c WHERE a.id = c.id', ['b', 'c'], ['a']],
    ['DELETE FROM a USING b WHERE a.id = b.id', ['b'], ['a']],
    [
      'MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN UPDATE SET x = (SELECT 1 FROM c)',
      ['b', 'c'],
      ['a'],
    ],
    ['INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET x = (SELECT 1 FROM b)', ['b'], ['a']],
    ['WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x', [], ['a', 'b']],
    ['WITH a AS (SELECT * FROM b) SELECT * FROM a', ['b'], []],
    ['WITH a AS (SELECT * FROM a) SELECT * FROM a', ['a'], []],
    ['WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b, s.a', ['s.a'], []],
    ['WITH b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM a, b', ['a'], []],
    ['WITH RECURSIVE b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM a, b', [], []],
    ['WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a', [], []],
    ['SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) s, a', ['a'], []],
    ['WITH a AS (SELECT 1) UPDATE a SET x = 1', [], ['a']],
    ['SELECT * FROM a FOR UPDATE OF a', ['a'], []],
    ['SELECT * FROM a AS b FOR UPDATE OF b', ['a'], []],
    ['SELECT * INTO a FROM b', ['b'], ['a']],
    ['CREATE TABLE a AS SELECT * FROM b', ['b'], ['a']],
    ['CREATE VIEW a AS SELECT * FROM b', ['b'], ['a']],
    ['CREATE TABLE a (LIKE b, x int REFERENCES c)', ['b', 'c'], ['a']],
    ['CREATE TABLE a () INHERITS (b)', ['b'], ['a']],
    ['CREATE RULE r AS ON INSERT TO a DO INSTEAD DELETE FROM b', [], ['a', 'b']],
    ['COPY a TO STDOUT', ['a'], []],
    ['COPY a FROM STDIN', [], ['a']],
    ['COPY (SELECT * FROM a) TO STDOUT', ['a'], []],
    ['TRUNCATE a, s.b', [], ['a', 's.b']],
    ['LOCK TABLE a', ['a'], []],
    ['EXPLAIN DELETE FROM a', [], ['a']],
    ['DECLARE c CURSOR FOR SELECT * FROM a', ['a'], []],
    ['PREPARE p AS INSERT INTO a VALUES ($1)', [], ['a']],
    ['SELECT * FROM a; DELETE FROM b', ['a'], ['b']],
    [
      'CREATE SCHEMA s CREATE VIEW v AS SELECT * FROM t, u CREATE TABLE t (a int)',
      ['s.t', 'u'],
      ['s.t', 's.v'],
    ],
    ['CREATE SCHEMA AUTHORIZATION r CREATE TABLE t (a int)', [], ['r.t']],
    // Definitions that name relations in lists of strings.
    ['DROP TABLE a, s.b', [], ['a', 's.b']],
    [
      'DROP VIEW a; DROP MATERIALIZED VIEW b; DROP SEQUENCE c; DROP FOREIGN TABLE d',
      [],
      ['a', 'b', 'c', 'd'],
    ],
    ['DROP TRIGGER t ON s.a', [], ['s.a']],
    ['DROP RULE r ON a; DROP POLICY p ON b', [], ['a', 'b']],
    ['DROP FUNCTION a; DROP INDEX b; DROP TYPE c', [], []],
    ["COMMENT ON TABLE s.a IS 'x'; COMMENT ON COLUMN b.x IS 'y'", [], ['b', 's.a']],
    ["COMMENT ON CONSTRAINT c ON a IS 'x'; COMMENT ON TRIGGER t ON b IS 'y'", [], ['a', 'b']],
    ["SECURITY LABEL ON COLUMN s.a.x IS 'x'", [], ['s.a']],
    ['ALTER EXTENSION e ADD TABLE a', [], ['a']],
    ['CREATE SEQUENCE q OWNED BY s.a.id', [], ['q', 's.a']],
    ['ALTER SEQUENCE q OWNED BY a.id; ALTER SEQUENCE r OWNED BY NONE', [], ['a', 'q', 'r']],
    ['SELECT U&"\\0061" FROM U&"s\\0065cret"', ['secret'], []],
    ['SELECT * FROM "A", A', ['A', 'a'], []],
    ['SELECT 1', [], []],
  ])('%s', async (text, reads, writes) => {
    expect(await factsOf(text)).toMatchObject({ reads, writes })
  })

  it('is shown with its schema when the catalogue tells it', async () => {
    const parsed = await parser.parse('SELECT * FROM orders, app.ledger, nowhere')
    const facts = analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue({}, []) })
    expect(facts.reads).toEqual(['app.ledger', 'nowhere', 'public.orders'])
    expect(facts.escape).toBeUndefined()
  })
})

describe('without labels, what is called', () => {
  it.each([
    ['SELECT lower(a), s.f(b), pg_catalog.upper(c)', ['lower', 's.f', 'upper']],
    ["SELECT trim(a), extract(year FROM b), a AT TIME ZONE 'UTC' FROM t", ['btrim', 'extract', 'timezone']],
    ['SELECT * FROM f(1), ROWS FROM (g(2)), LATERAL h(3)', ['f', 'g', 'h']],
    ['SELECT 1 FROM t ORDER BY f(a) LIMIT g()', ['f', 'g']],
    ['CALL p(f(1))', ['f', 'p']],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT g()'", []],
  ])('%s', async (text, calls) => {
    expect((await factsOf(text)).calls).toEqual(calls)
  })
})

describe('a read is unbounded', () => {
  it.each([
    'SELECT * FROM t',
    'TABLE t',
    'SELECT * FROM t LIMIT ALL',
    'SELECT * FROM t LIMIT NULL',
    'SELECT * FROM t LIMIT $1',
    'SELECT * FROM t LIMIT (SELECT 5)',
    'SELECT * FROM t OFFSET 5',
    'SELECT a, count(*) FROM t GROUP BY a',
    'SELECT row_number() OVER () FROM t',
    'SELECT count(*) OVER () FROM t',
    'SELECT 1 LIMIT 5; SELECT * FROM t',
    'SELECT 1 UNION SELECT a FROM t',
    'COPY t TO STDOUT',
    'DECLARE c CURSOR FOR SELECT * FROM t',
    'FETCH ALL FROM c',
    'EXECUTE p',
  ])('%s', async (text) => {
    expect((await factsOf(text)).unbounded).toBe(true)
  })

  it.each([
    'SELECT 1',
    'SELECT * FROM t LIMIT 5',
    'SELECT * FROM t FETCH FIRST 5 ROWS ONLY',
    'SELECT count(*), max(a) FROM t',
    'SELECT 1 UNION SELECT a FROM t LIMIT 5',
    'VALUES (1), (2)',
    'INSERT INTO t SELECT * FROM s',
    'COPY t FROM STDIN',
    'FETCH 5 FROM c',
    'MOVE ALL FROM c',
    'SELECT * INTO t FROM s',
  ])('not: %s', async (text) => {
    expect((await factsOf(text)).unbounded).toBe(false)
  })
})

describe('a write spares nothing', () => {
  it.each([
    'DELETE FROM t',
    'UPDATE t SET a = 1',
    'DELETE FROM t WHERE true',
    'DELETE FROM t WHERE 1 = 1',
    "DELETE FROM t WHERE 'a' = 'a'",
    'DELETE FROM t WHERE $1 = $1',
    'DELETE FROM t WHERE id = id',
    'DELETE FROM t WHERE t.id = id',
    'DELETE FROM t WHERE id IS NOT NULL',
    'DELETE FROM t WHERE NOT (id IS NULL)',
    'DELETE FROM t WHERE NOT (id <> id)',
    'DELETE FROM t WHERE id = 5 OR true',
    'DELETE FROM t WHERE id = 5 OR 1 = 1',
    'DELETE FROM t WHERE true AND 1 = 1',
    'DELETE FROM t WHERE NOT false',
    'DELETE FROM t WHERE (SELECT true)',
    'TRUNCATE t',
    'SELECT 1; DELETE FROM t',
    'WITH x AS (DELETE FROM t RETURNING *) SELECT count(*) FROM x',
    'EXPLAIN ANALYZE DELETE FROM t',
    '/* WHERE */ DELETE FROM t -- WHERE id = 1',
    'PREPARE p AS DELETE FROM t',
    'BEGIN; UPDATE t SET a = 1; COMMIT',
  ])('%s', async (text) => {
    expect((await factsOf(text)).writesEverything).toBe(true)
  })

  it.each([
    'DELETE FROM t WHERE id = 5',
    'DELETE FROM t WHERE id = $1',
    'DELETE FROM t WHERE id = 5 AND true',
    "DELETE FROM t WHERE id = 5 OR name = 'x'",
    'DELETE FROM t WHERE id IS NULL',
    'DELETE FROM t WHERE NOT done',
    'DELETE FROM t WHERE id IN (SELECT id FROM s)',
    'DELETE FROM t USING s WHERE t.id = s.id',
    'DELETE FROM t WHERE CURRENT OF c',
    'EXPLAIN DELETE FROM t',
    'SELECT * FROM t',
    'INSERT INTO t VALUES (1)',
  ])('not: %s', async (text) => {
    expect((await factsOf(text)).writesEverything).toBe(false)
  })
})

describe('definitions are stale after', () => {
  it.each([
    'CREATE TABLE t (a int)',
    'SELECT 1 INTO t',
    'DO $$ BEGIN END $$',
    'CALL p()',
    'GRANT SELECT ON t TO r',
    'SELECT 1; DROP TABLE t',
  ])('%s', async (text) => {
    expect((await factsOf(text)).redefines).toBe(true)
  })

  it.each(['SELECT 1', 'INSERT INTO t VALUES (1)', 'SET work_mem = 5', 'BEGIN', 'VACUUM t'])(
    'but not after %s',
    async (text) => {
      expect((await factsOf(text)).redefines).toBe(false)
    },
  )
})

describe('a batch', () => {
  it('has the class of each statement, and the strictest of all', async () => {
    const facts = await factsOf('SELECT 1; DELETE FROM t; SELECT 2; CREATE TABLE x (a int)')
    expect(facts.statements.map((each) => each.class)).toEqual(['read', 'write', 'read', 'define'])
    expect(facts.class).toBe('define')
    expect(facts.attributes).toEqual({ parsed: true, reach: false })
  })

  it('of nothing reads nothing', async () => {
    expect(await factsOf('-- nothing')).toMatchObject({ class: 'read', statements: [], unbounded: false })
  })
})

describe('what does not parse', () => {
  it('is opaque, and an escape where labels are in play', async () => {
    const parsed = await parser.parse('SELEC 1')
    expect(analyse(parsed, { searchPath: [] })).toMatchObject({
      class: 'opaque',
      attributes: { parsed: false },
    })
    expect(analyse(parsed, { searchPath: [] }).escape).toBeUndefined()
    const escape = analyse(parsed, { searchPath: [], catalogue: sampleCatalogue() }).escape
    expect(escape?.labels).toEqual(['pii.email', 'pii.phone', 'secret'])
  })

  it('is opaque too when it nests deeper than a walk can go', () => {
    let node: object = { A_Const: { ival: { ival: 1 } } }
    for (let i = 0; i < 100_000; i++) node = { BoolExpr: { boolop: 'NOT_EXPR', args: [node] } }
    const tree = { stmts: [{ stmt: { SelectStmt: { targetList: [{ ResTarget: { val: node } }] } } }] }
    const facts = analyse({ kind: 'parsed', tree: tree as any }, { searchPath: [] })
    expect(facts.class).toBe('opaque')
  })
})
