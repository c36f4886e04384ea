import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { SAMPLE_LABELS, sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import type { AnalysisContext } from '../analyse.ts'
import { analyse } from '../analyse.ts'
import { assembleCatalogue } from '../catalogue/assemble.ts'
import { mayMoveNames, sessionEffects } from '../session/effects.ts'
import type { Parser } from '../parse/parser.ts'
import type { Overlay } from '../session/overlay.ts'
import { NO_OVERLAY, overlayAfter } from '../session/overlay.ts'
import { createParser } from '../parse/parser.ts'

let parser: Parser

beforeAll(async () => {
  parser = await createParser()
})

afterAll(() => parser.close())

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue(), ...more })
}

async function overlayOf(text: string): Promise<Overlay> {
  const parsed = await parser.parse(text)
  const context = { searchPath: ['public'], catalogue: sampleCatalogue() }
  const { escape } = analyse(parsed, context)
  return sessionEffects(parsed, context, escape?.labels).flat().reduce(overlayAfter, NO_OVERLAY)
}

function never(): never {
  throw new Error('there is a label')
}

describe('errors may quote protected values', () => {
  it.each([
    ['SELECT id FROM customers', true],
    ['SELECT 1; SELECT 2 FROM customers', true],
    ['SELECT * FROM order_totals', false],
    ['SELECT * FROM orders', false],
    ['UPDATE orders SET note = 1', false],
  ])('of %s: %s', async (text, expected) => {
    expect((await factsOf(text)).attributes['reach']).toBe(expected)
  })

  it('where triggers of a table run that is not protected itself', async () => {
    const parts = sampleParts()
    const relations = parts.relations.map((each) =>
      each.name === 'orders' ? { ...each, hasTriggers: true } : each,
    )
    const catalogue = sampleCatalogue({ relations })
    const write = await factsOf("UPDATE orders SET note = 'x'", { catalogue })
    expect(write.escape).toBeUndefined()
    expect(write.attributes['reach']).toBe(true)
    expect((await factsOf('SELECT * FROM orders', { catalogue })).attributes['reach']).toBe(false)
  })
})

describe('names that come and go', () => {
  it('made in the same batch are known', async () => {
    const text =
      'CREATE TABLE fresh (id int); CREATE INDEX ON fresh (id); INSERT INTO fresh VALUES (1); SELECT * FROM fresh'
    expect((await factsOf(text)).escape).toBeUndefined()
  })

  it('made by the session before are known from what it ran', async () => {
    const ran = "CREATE TEMP TABLE a (x int); CREATE TYPE color AS ENUM ('red'); SELECT 1 AS y INTO b"
    const text = "SELECT * FROM a, b WHERE x = 'red'::color"
    expect((await factsOf(text)).escape).toBeDefined()
    const facts = await factsOf(text, { overlay: await overlayOf(ran) })
    expect(facts.escape).toBeUndefined()
    expect(facts.statements[0]?.own).toBe(true)
  })

  it.each([
    ['BEGIN; CREATE TABLE a (x int); ROLLBACK', false],
    ['BEGIN; CREATE TABLE a (x int); SAVEPOINT s; ROLLBACK TO s', true],
    ['BEGIN; SAVEPOINT s; CREATE TEMP TABLE a (x int); ROLLBACK TO s', false],
    ['BEGIN; SAVEPOINT s; CREATE TEMP TABLE a (x int); RELEASE s; COMMIT', true],
    ['BEGIN; CREATE TEMP TABLE a (x int) ON COMMIT DROP; COMMIT', false],
    ['CREATE TEMP TABLE a (x int); DROP TABLE a', false],
    ['CREATE TEMP TABLE b (x int); ALTER TABLE b RENAME TO a', true],
    ['CREATE TEMP TABLE a (x int); DISCARD TEMP', false],
    ['CREATE TEMP TABLE a (x int); DISCARD ALL', false],
    // Committed: from then on it is in the catalogue, or it is not there.
    ['BEGIN; CREATE TABLE a (x int); COMMIT', false],
    ['CREATE TEMP VIEW a AS SELECT id FROM orders', true],
    // Whoever may do this may see it; whoever comes to it later may not.
    ['CREATE TEMP TABLE a AS SELECT lower(email) AS x FROM customers', false],
    ['CREATE TEMP TABLE a (x text); DO $$ BEGIN END $$', false],
  ])('after %s: a is known: %s', async (ran, expected) => {
    const facts = await factsOf('SELECT * FROM a', { overlay: await overlayOf(ran) })
    expect(facts.escape === undefined).toBe(expected)
  })

  // A batch stands for what a session sends one by one.
  it.each([
    ['SET search_path = app; COMMIT; DISCARD ALL; ROLLBACK', undefined],
    ['SET search_path = app; COMMIT; DISCARD ALL; SET search_path = app; ROLLBACK', undefined],
    ['SET search_path = app; COMMIT; DISCARD TEMP; ROLLBACK', ['app']],
    ['BEGIN; SET search_path = app; ANALYZE orders; ROLLBACK', undefined],
    ['BEGIN; SET search_path = app; REINDEX TABLE orders; ROLLBACK', undefined],
    ['BEGIN; SET search_path = app; REINDEX INDEX i; ROLLBACK', undefined],
    ['BEGIN; SET search_path = app; CLUSTER orders; ROLLBACK', undefined],
    ['BEGIN; SET search_path = app; CREATE INDEX ON orders (id); ROLLBACK', undefined],
    ['SET LOCAL search_path = app; DISCARD ALL', undefined],
    ['SET LOCAL search_path = app; VACUUM orders', undefined],
  ])('after %s: the search path is %s', async (ran, path) => {
    const { now } = await overlayOf(ran)
    expect(now.pathLocal ?? now.path).toEqual(path)
  })

  it.each(['customers', 'orders', 'pg_class', 'ledger'])(
    'a temporary relation may not take the name %s from the one that has it',
    async (name) => {
      for (const text of [
        `CREATE TEMP TABLE ${name} (x int)`,
        `CREATE TABLE pg_temp.${name} (x int)`,
        `CREATE TEMP TABLE ${name} AS SELECT 1 AS x`,
        `SELECT 1 AS x INTO TEMP ${name}`,
        `CREATE TEMP VIEW ${name} AS SELECT 1 AS x`,
      ])
        expect((await factsOf(text)).escape, text).toBeDefined()
    },
  )

  it('of the catalogue go before those the session says it made', async () => {
    const overlay = await overlayOf('CREATE TABLE app.customers (email text)')
    const facts = await factsOf('SELECT lower(email) FROM customers', { overlay })
    expect(facts.filters).toEqual(['pii.email'])
  })

  it('a view shows what is behind it now', async () => {
    const overlay = await overlayOf('CREATE TEMP VIEW v AS SELECT * FROM orders')
    expect((await factsOf('SELECT * FROM v', { overlay })).escape).toBeUndefined()
    const labelled = assembleCatalogue(sampleParts(), [
      ...SAMPLE_LABELS,
      { pattern: 'public.orders.note', label: SAMPLE_LABELS[0]?.label ?? never() },
    ])
    expect((await factsOf('SELECT * FROM v', { overlay, catalogue: labelled })).escape).toBeDefined()
  })

  it('follow the search path', async () => {
    const parts = {
      relations: [
        { oid: 20001, schema: 'public', name: 'customers', kind: 'r', hasTriggers: false, hasRules: false },
        { oid: 20002, schema: 'app', name: 'customers', kind: 'r', hasTriggers: false, hasRules: false },
      ],
      columns: [
        { relation: 20001, attribute: 1, name: 'email', type: 25 },
        { relation: 20002, attribute: 1, name: 'email', type: 25 },
      ],
    } as const
    const catalogue = sampleCatalogue(parts)
    const text = 'SELECT lower(email) FROM customers'
    const filtersAlong = async (searchPath: string[]): Promise<readonly string[]> =>
      (await factsOf(text, { catalogue, searchPath })).filters
    expect(await filtersAlong(['app', 'public'])).toEqual([])
    expect(await filtersAlong(['public', 'app'])).toEqual(['pii.email'])
    expect(await filtersAlong(['nowhere', 'public'])).toEqual(['pii.email'])
    // Uncovering the protected table by taking the other one away, in a transaction nobody else sees.
    for (const uncover of [
      'DROP TABLE app.customers',
      'ALTER TABLE app.customers RENAME TO x',
      'ALTER TABLE app.customers SET SCHEMA other',
      'DROP SCHEMA app CASCADE',
      'DROP TABLE app.something CASCADE',
    ]) {
      expect(
        (await factsOf(uncover, { catalogue, searchPath: ['app', 'public'] })).escape,
        uncover,
      ).toBeDefined()
    }
  })

  it('a nearer column does not hide a labelled one', async () => {
    // orders.email would be meant, but may have been dropped a moment ago.
    const facts = await factsOf(
      "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM leads WHERE email = 'x')",
    )
    expect(facts.touches).toEqual(['pii.email'])
  })

  it('but one that the statement itself names does', async () => {
    const facts = await factsOf(
      "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM (SELECT source AS email FROM leads) l WHERE email > 'x')",
    )
    expect(facts.filters).toEqual([])
  })

  it('an alias of a labelled table is a row, even if a column has its name', async () => {
    const facts = await factsOf('SELECT note FROM customers note, orders')
    expect(facts.filters).toEqual(['pii.email', 'pii.phone'])
    expect(facts.statements[0]?.outputs?.[0]).toMatchObject({
      labels: ['pii.email', 'pii.phone'],
      computed: true,
    })
  })
})

describe('prepared statements and cursors', () => {
  it.each([
    ['PREPARE p AS SELECT id, email FROM customers; EXECUTE p', 'read', ['pii.email']],
    ['PREPARE p (int) AS SELECT id FROM orders WHERE id = $1; EXECUTE p (1)', 'read', []],
    ['PREPARE p AS DELETE FROM orders; EXECUTE p', 'write', []],
    ['BEGIN; DECLARE c CURSOR FOR SELECT email FROM customers; FETCH 10 FROM c', 'read', ['pii.email']],
    ['BEGIN; DECLARE c CURSOR FOR SELECT id FROM orders; MOVE 10 FROM c; FETCH c; CLOSE c', 'read', []],
  ])('%s is %s', async (text, commandClass, labels) => {
    const facts = await factsOf(text)
    expect(facts).toMatchObject({ class: commandClass, labels })
    expect(facts.escape).toBeUndefined()
  })

  it('hand out what their query does', async () => {
    const facts = await factsOf('PREPARE p AS SELECT id, email FROM customers; EXECUTE p')
    expect(facts.statements.map(({ outputs }) => outputs?.map(({ name, labels }) => [name, labels]))).toEqual(
      [
        undefined,
        [
          ['id', undefined],
          ['email', ['pii.email']],
        ],
      ],
    )
    expect(facts.reads).toEqual(['public.customers'])
  })

  it.each([
    ["PREPARE p AS SELECT id FROM customers WHERE email = ANY ($1); EXECUTE p ('{a,b}')", 'touches'],
    [
      "PREPARE p AS SELECT id FROM customers WHERE email = ANY ($1); EXECUTE p (ARRAY['a', 'b']::text[])",
      'touches',
    ],
    [
      "PREPARE p AS SELECT id FROM customers WHERE email = ANY ($1); EXECUTE p (string_to_array('a b', ' '))",
      'filters',
    ],
    ["PREPARE p AS SELECT id FROM customers WHERE email = ANY ($1); EXECUTE p ('{a' || ',b}')", 'filters'],
    [
      "PREPARE p AS SELECT id FROM customers WHERE email = ANY ($1); EXECUTE p ('1 2'::int2vector)",
      'filters',
    ],
    [
      "PREPARE p (int2vector) AS SELECT id FROM customers WHERE email = ANY ($1); EXECUTE p ('1 2')",
      'filters',
    ],
    ["SELECT id FROM customers WHERE email = ANY ('1 2'::oidvector)", 'filters'],
  ])('%s: how many values it asks for can be counted, or nobody may ask', async (text, way) => {
    const { touches, filters } = await factsOf(text)
    expect({ touches, filters }).toMatchObject({ [way]: ['pii.email'] })
    if (way === 'touches') expect(filters).toEqual([])
  })

  it.each([
    ["INSERT INTO customers (id, email) VALUES (1, 'a'), (2, 'b') ON CONFLICT (email) DO NOTHING", 2],
    ['INSERT INTO customers (id, email) VALUES (1, $1) ON CONFLICT DO NOTHING', 1],
    ['INSERT INTO customers (id, email) VALUES (1, DEFAULT) ON CONFLICT (email) DO UPDATE SET id = 2', 1],
    ['INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO NOTHING', undefined],
  ])('%s asks whether values are there: %s', async (text, asked) => {
    const facts = await factsOf(text)
    expect(facts.filters).toEqual([])
    expect(facts.asked?.['pii.email' as never]).toBe(asked)
  })

  it.each([
    "INSERT INTO customers (id, email) SELECT g, 'a' || g FROM generate_series(1, 9) g ON CONFLICT (email) DO NOTHING",
    "INSERT INTO customers (id, email) SELECT g, 'a' || g FROM generate_series(1, 9) g ON CONFLICT DO NOTHING",
    "INSERT INTO customers (id, email) VALUES (1, lower('A') || 'b') ON CONFLICT ON CONSTRAINT k DO NOTHING",
    "INSERT INTO customers (id, email) (VALUES (1, 'a') UNION ALL VALUES (2, 'b')) ON CONFLICT (email) DO NOTHING",
  ])('%s asks for values that the server makes', async (text) => {
    expect((await factsOf(text)).filters).toEqual(['pii.email'])
  })

  it.each([
    'EXECUTE p',
    'FETCH ALL FROM c',
    'MOVE ALL FROM c',
    'PREPARE p AS SELECT get_email(id) FROM customers; EXECUTE p',
    'PREPARE p AS SELECT id FROM orders; DEALLOCATE p; EXECUTE p',
    'PREPARE p AS SELECT id FROM orders; DEALLOCATE ALL; EXECUTE p',
    'PREPARE p AS SELECT id FROM orders; DISCARD ALL; EXECUTE p',
    'DECLARE c CURSOR FOR SELECT id FROM orders; CLOSE c; FETCH c',
    'PREPARE p AS SELECT email FROM customers; CREATE TEMP TABLE x AS EXECUTE p',
    'PREPARE p AS SELECT email FROM customers; EXPLAIN ANALYZE EXECUTE p',
    "PREPARE p AS SELECT set_config('search_path', 'app', false); EXECUTE p",
    'PREPARE p (int) AS SELECT id FROM orders WHERE id = $1; EXECUTE p (get_email(1))',
  ])('%s is an escape', async (text) => {
    expect((await factsOf(text)).escape).toBeDefined()
  })
})

describe('the search path and the role', () => {
  const both = {
    relations: [
      { oid: 20001, schema: 'public', name: 'customers', kind: 'r', hasTriggers: false, hasRules: false },
      { oid: 20002, schema: 'app', name: 'customers', kind: 'r', hasTriggers: false, hasRules: false },
    ],
    columns: [
      { relation: 20001, attribute: 1, name: 'email', type: 25 },
      { relation: 20002, attribute: 1, name: 'email', type: 25 },
    ],
    schemas: ['public', 'app', 'empty'],
    roles: [
      { name: 'me', unusable: null },
      { name: 'app', unusable: null },
      { name: 'blind', unusable: 'app' },
    ],
  } as const
  const catalogue = sampleCatalogue(both)
  const beginning = { catalogue, searchPath: ['$user', 'public'], role: 'me', login: 'me' }
  const read = 'SELECT lower(email) FROM customers'

  it.each([
    [read, 'public'],
    [`SET search_path = app, public; ${read}`, 'app'],
    [`SET search_path TO 'app'; ${read}`, 'app'],
    [`SET SCHEMA 'app'; ${read}`, 'app'],
    [`SET search_path = empty, public; ${read}`, 'public'],
    [`SELECT set_config('search_path', 'app, public', false); ${read}`, 'app'],
    [`SELECT pg_catalog.set_config('search_path', '"app"', false); ${read}`, 'app'],
    [`SELECT set_config('search_path', E' \t\r\f\napp \t, "public" ', false); ${read}`, 'app'],
    [`SELECT set_config('search_path', 'APP,public', false); ${read}`, 'app'],
    [`SET search_path = app; RESET search_path; ${read}`, 'public'],
    [`SET search_path = app; SET search_path TO DEFAULT; ${read}`, 'public'],
    [`SET search_path = app; RESET ALL; ${read}`, 'public'],
    [`SET search_path = app; DISCARD ALL; ${read}`, 'public'],
    [`BEGIN; SET search_path = app; ROLLBACK; ${read}`, 'public'],
    [`BEGIN; SET LOCAL search_path = app; ${read}`, 'app'],
    [`BEGIN; SET LOCAL search_path = app; COMMIT; ${read}`, 'public'],
    [`BEGIN; SET LOCAL search_path = public; SET search_path = app; COMMIT; ${read}`, 'app'],
    [`BEGIN; SAVEPOINT s; SET search_path = app; ROLLBACK TO s; ${read}`, 'public'],
    [`BEGIN; SAVEPOINT s; SET search_path = app; RELEASE s; ROLLBACK; ${read}`, 'public'],
    [`SET ROLE app; ${read}`, 'app'],
    [`SET ROLE app; SET ROLE NONE; ${read}`, 'public'],
    [`SET ROLE app; RESET ROLE; ${read}`, 'public'],
    [`SELECT set_config('role', 'app', false); ${read}`, 'app'],
    // The server passes over a schema that the role may not use.
    [`SET search_path = app, public; SET ROLE blind; ${read}`, 'public'],
  ])('%s reads that of %s', async (text, schema) => {
    const facts = await factsOf(text, beginning)
    expect(facts.reads).toEqual([`${schema}.customers`])
    expect(facts.filters.length === 0).toBe(schema === 'app')
  })

  it.each([
    'SET search_path = nowhere',
    'SET search_path FROM CURRENT',
    "SELECT set_config('search_path', $1, false)",
    // The server keeps these in the name, and looks into the next schema.
    ...[0xa0, 0x2003, 0x2028, 0xfeff, 0x0b].flatMap((code) => [
      `SELECT set_config('search_path', 'app${String.fromCodePoint(code)}, public', false)`,
      `SELECT set_config('search_path', '${String.fromCodePoint(code)}app, public', false)`,
      `SELECT set_config('search_path', 'app, public${String.fromCodePoint(code)}', false)`,
    ]),
    "SELECT set_config('search_path', 'app, public,', false)",
    "SELECT set_config('search_path', 'app public', false)",
    "SELECT set_config('search_path', 'app, public', false), set_config('search_path', ',', false)",
    "SELECT set_config('search_path', 'app', false) WHERE id = 1",
    "SELECT set_config('search_path', 'app', false), id FROM orders",
    "SELECT CASE WHEN true THEN set_config('search_path', 'app', false) END",
    "SELECT set_config($1, 'app', false)",
    'SET ROLE nobody',
    'SET SESSION AUTHORIZATION app',
    'ALTER ROLE me SET search_path = app',
    'ALTER DATABASE crm SET search_path = app',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = app AS 'SELECT 1'",
    "SET plpgsql.extra_errors = 'all'",
    'SET auto_explain.log_analyze = on',
  ])('%s is not followed', async (text) => {
    expect((await factsOf(text, beginning)).escape).toBeDefined()
  })

  it.each(["SET app.tenant = '7'", "SELECT set_config('app.user', $1, true)", "SET LOCAL request.jwt = 'x'"])(
    "%s is the application's own",
    async (text) => {
      expect(await factsOf(text)).toMatchObject({ class: 'read' })
      expect((await factsOf(text)).escape).toBeUndefined()
    },
  )
})

describe('whether names may mean something else behind it', () => {
  it.each([
    ['SELECT 1', false],
    ["SET application_name = 'search_path'", false],
    ["SELECT 'set role' AS role -- discard", false],
    ['RESET ALL', false],
    ["SET SCHEMA 's3'", true],
    ['SET U&"search!005Fpath" UESCAPE \'!\' = s3', true],
    ["SET LOCAL Search_Path = 's3'", true],
    ['RESET role', true],
    ['SET SESSION AUTHORIZATION app', true],
    ['DISCARD PLANS', true],
    ["SELECT set_config('search' || '_path', 's3', false)", true],
    ["PREPARE p AS SELECT set_config('role', 'app', false)", true],
    ["UPDATE pg_settings SET setting = 's3' WHERE name = 'search' || '_path'", true],
    ["WITH u AS (UPDATE pg_catalog.pg_settings SET setting = 's3') SELECT 1", true],
    ['SELECT 1; SET SCHEMA s3', true],
  ])('%s: %s', async (text, moves) => {
    expect(mayMoveNames(await parser.parse(text))).toBe(moves)
  })
})
