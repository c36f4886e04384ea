import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../../core/index.ts'
import { brand } from '../../core/index.ts'
import { SAMPLE_LABELS, sampleCatalogue, sampleParts } from '../../testing/sample-catalogue.ts'
import { analyse } from '../analyse.ts'
import type { CatalogueParts } from '../catalogue/parts.ts'
import type { Parser } from '../parse/parser.ts'
import { createParser } from '../parse/parser.ts'
import { statementOf, Views } from './views.ts'

let parser: Parser
let views: Views

beforeAll(async () => {
  parser = await createParser()
  views = new Views((definition) => statementOf(parser.parseNow(definition)))
})

afterAll(() => parser.close())

const type = (oid: number, name: string, base: number, loose: boolean): CatalogueParts['types'][number] => ({
  oid,
  schema: 'public',
  name,
  form: name.startsWith('_') ? 'b' : 'd',
  base,
  userChecks: false,
  loose,
  extension: null,
})

const BASE = sampleParts()
const catalogue = sampleCatalogue(
  {
    // The address of customers, and that of a partition of events.
    unique: [
      { relation: 20001, attribute: 4 },
      { relation: 20005, attribute: 2 },
    ],
    types: [
      ...BASE.types.map((each) => ({ ...each, loose: false })),
      type(20201, 'iv', 22, false),
      type(20202, '_iv', 20201, false),
      type(20203, 'ivs', 20201, false),
      type(20204, 'wild', 25, true),
      type(20205, '_wild', 20204, true),
      type(20206, 'address', 25, false),
      type(20207, 'text', 20204, true),
    ],
  },
  [...SAMPLE_LABELS, { pattern: 'public.people.id', label: brand('secret') }],
)

async function factsOf(text: string, searchPath = ['public']): Promise<Facts> {
  return analyse(await parser.parse(text), { searchPath, catalogue, views })
}

/** How often it asks about each label; `filter` where that takes a permission. */
async function asked(text: string, searchPath?: readonly string[]): Promise<number | 'filter' | 'escape'> {
  const {
    escape,
    filters,
    asked: counts,
  } = await factsOf(text, searchPath === undefined ? undefined : [...searchPath])
  if (escape !== undefined) return 'escape'
  return filters.length > 0 ? 'filter' : Object.values(counts ?? {}).reduce((sum, each) => sum + each, 0)
}

describe('count(DISTINCT x) of a protected column', () => {
  it.each([
    'SELECT count(DISTINCT email) FROM customers',
    'SELECT plan, count(DISTINCT c.email) FROM customers c GROUP BY plan HAVING count(*) > 1',
    "SELECT date_trunc('month', created_at), count(DISTINCT email) FILTER (WHERE id > 5) FROM customers GROUP BY 1",
    'SELECT count(DISTINCT email) FROM customer_list',
    'SELECT count(DISTINCT e) FROM (SELECT email AS e FROM customers WHERE id < 9) x',
    'WITH x AS (SELECT email, plan FROM customers) SELECT plan, count(DISTINCT email) FROM x GROUP BY plan',
    'SELECT o.id, x.n FROM orders o JOIN (SELECT plan, count(DISTINCT email) n FROM customers GROUP BY 1) x ON x.plan = o.note',
    'SELECT (SELECT count(DISTINCT email) FROM customers)',
    'UPDATE orders SET total = x.n FROM (SELECT plan, count(DISTINCT email) n FROM customers GROUP BY 1) x WHERE x.plan = note',
  ])('is one question of one table: %s', async (text) => {
    expect(await asked(text)).toBe(1)
  })

  it.each([
    // As it was found: each row is paired with a guess.
    'SELECT c.id, g FROM customers c, generate_series(1, 9) g WHERE (SELECT count(DISTINCT s.v) FROM (SELECT c.email UNION ALL SELECT g::text) s(v)) = 1',
    'SELECT n FROM customers c, orders o, LATERAL (SELECT count(DISTINCT v) n FROM (VALUES (c.email), (o.note)) s(v)) x',
    "SELECT count(DISTINCT e) FROM (SELECT email e FROM customers UNION ALL SELECT 'a') x",
    'SELECT count(DISTINCT e) FROM (SELECT email e FROM customers UNION ALL SELECT contact_email FROM events) x',
    "WITH x AS (SELECT email e FROM customers UNION ALL SELECT 'a') SELECT count(DISTINCT e) FROM x",
    'SELECT c.id, o.id FROM customers c, customers o WHERE (SELECT count(DISTINCT email) FROM customers x WHERE x.id IN (c.id, o.id)) = 1',
    'SELECT o.id, n FROM orders o, LATERAL (SELECT count(DISTINCT email) n FROM customers c WHERE c.id IN (1, o.id)) x',
    'SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM (SELECT count(DISTINCT email) n FROM customers c WHERE c.id IN (1, o.id)) x WHERE n = 1)',
    // A row in several groups.
    'SELECT o.id, count(DISTINCT c.email) FROM customers c JOIN orders o ON c.id IN (o.id, o.customer_id) GROUP BY o.id',
    'SELECT o.id, count(DISTINCT c.email) FROM customers c, orders o GROUP BY o.id',
    'SELECT g, count(DISTINCT email) FROM customers, generate_series(1, 9) g GROUP BY g',
    'SELECT unnest(ARRAY[id, 1 - id]), count(DISTINCT email) FROM customers GROUP BY 1',
    'SELECT (ARRAY[id, 1 - id]).unnest, count(DISTINCT email) FROM customers GROUP BY 1',
    'SELECT g, count(DISTINCT email) FROM (SELECT email, generate_series(1, id) g FROM customers) x GROUP BY g',
    'SELECT count(DISTINCT email) FROM customers GROUP BY GROUPING SETS ((id % 2), (id % 3))',
    'SELECT count(DISTINCT email) FROM customers GROUP BY CUBE (id % 2, id % 3)',
    'SELECT count(DISTINCT email) FROM (customers JOIN orders ON true) AS x',
    'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE (SELECT count(DISTINCT email) FROM customers WHERE id IN (n, 1)) = 1) SELECT n FROM r',
  ])('is a comparison elsewhere: %s', async (text) => {
    expect(await asked(text)).toBe('filter')
  })

  it('is counted all the same without DISTINCT', async () => {
    expect(await asked('SELECT o.id, count(c.email) FROM customers c, orders o GROUP BY o.id')).toBe(1)
  })
})

describe('a column that shall have each value once', () => {
  const rows = (count: number, value: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => `(${i}, ${value(i)})`).join(', ')
  /** Enough for a statement to be long. */
  const MANY = rows(120, (i) => `'value ${i}'`)
  const MANY_LOWER = rows(120, (i) => `lower('value ${i}'::text)`)
  const INSERT = 'INSERT INTO customers (id, email)'

  it.each([
    [`${INSERT} VALUES (1, 'a')`, 1],
    [`${INSERT} VALUES ($1, $2)`, 1],
    [`${INSERT} SELECT 1, $1 WHERE NOT EXISTS (SELECT FROM orders)`, 1],
    [`${INSERT} VALUES (1, 'a'), (2, 'b'), (3, 'c')`, 3],
    [`${INSERT} VALUES MANY`, 120],
    [`${INSERT} VALUES MANY_LOWER`, 120],
    [`${INSERT} VALUES MANY ON CONFLICT DO NOTHING`, 120],
    [`${INSERT} VALUES MANY ON CONFLICT ON CONSTRAINT c DO NOTHING`, 120],
    [
      `WITH h AS (${INSERT} VALUES MANY ON CONFLICT (email) DO UPDATE SET plan = excluded.plan RETURNING id) TABLE h`,
      120,
    ],
    [`${INSERT} VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET email = excluded.email`, 1],
    ["UPDATE customers SET email = 'a' WHERE id = 1", 1],
    ["UPDATE customers SET (plan, email) = ('x', $1) WHERE id = 1", 1],
    ["UPDATE customers SET phone = 'a' WHERE id = 1", 0],
    ['INSERT INTO customers (id, phone) VALUES (1, $1)', 0],
    ['INSERT INTO customers DEFAULT VALUES', 0],
    ["INSERT INTO events (contact_email) VALUES ('a'), ('b')", 2],
    [
      "MERGE INTO customers c USING orders o ON c.id = o.id WHEN NOT MATCHED THEN INSERT (email) VALUES ('a')",
      1,
    ],
  ] as const)('is asked about by what is written: %s', async (text, count) => {
    expect(await asked(text.replace('MANY_LOWER', MANY_LOWER).replace('MANY', MANY))).toBe(count)
  })

  it.each([
    `${INSERT} SELECT id, note FROM orders`,
    `${INSERT} SELECT 1, 'a' || g FROM generate_series(1, 9) g`,
    `${INSERT} SELECT 1, v FROM (VALUES ('a'), ('b')) x(v) ON CONFLICT DO NOTHING`,
    `WITH v(a) AS (VALUES ('a'), ('b')) ${INSERT} SELECT 1, a FROM v ON CONFLICT (email) DO NOTHING`,
    `${INSERT} SELECT 1, 'a' UNION ALL SELECT 2, 'b'`,
    `${INSERT} SELECT 1, unnest('{a,b}'::text[]) ON CONFLICT DO NOTHING`,
    `${INSERT} VALUES (1, 'a' || 'b')`,
    "UPDATE customers SET email = 'a' || id",
    'UPDATE customers c SET email = o.note FROM orders o WHERE o.id = c.id',
    "UPDATE customers SET (plan, email) = (SELECT 'a', 'b')",
    `${INSERT} VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET email = excluded.plan`,
    'MERGE INTO customers c USING orders o ON c.id = o.id WHEN MATCHED THEN UPDATE SET email = o.note',
    'COPY customers (id, email) FROM STDIN',
    'UPDATE events SET contact_email = kind',
  ])('takes a permission where nobody knows how many values there are: %s', async (text) => {
    expect(await asked(text)).toBe('filter')
  })
})

describe('a column that something unique looks at together with a protected one', () => {
  const index = (index: number, relation: number, attribute: number, more = {}) => ({
    index,
    relation,
    attribute,
    ...more,
  })
  const SPARES = { spares: true }
  const joined = sampleCatalogue({
    unique: [
      index(1, 20001, 1),
      // UNIQUE (plan, email)
      index(2, 20001, 6, SPARES),
      index(2, 20001, 4, SPARES),
      // UNIQUE (lower(coalesce(contact_email, kind))), of a partition
      index(3, 20005, 2),
      index(3, 20005, 5),
      // EXCLUDE (ssn WITH &&, name WITH =)
      index(4, 20006, 4, { overlaps: true }),
      index(4, 20006, 2, SPARES),
    ],
  })
  const askedOf = async (text: string) => {
    const facts = analyse(await parser.parse(text), { searchPath: ['public'], catalogue: joined, views })
    if (facts.escape !== undefined) return 'escape'
    return facts.filters.length > 0
      ? 'filter'
      : Object.values(facts.asked ?? {}).reduce((sum, each) => sum + each, 0)
  }

  it.each([
    // Alone it tells nothing; of rows without the other it is not asked.
    ["UPDATE customers SET id = 7, name = 'x' WHERE id = 8", 0],
    ['UPDATE customers SET id = id + 1', 0],
    ['INSERT INTO customers (id, plan) SELECT id, note FROM orders', 0],
    ["INSERT INTO customers (id, plan) VALUES (1, 'x') ON CONFLICT DO NOTHING", 0],
    ["INSERT INTO customers (id, plan, email) VALUES (1, 'x', NULL), (2, 'x', 'a')", 2],
    ["INSERT INTO customers (id, plan, email) VALUES (1, 'x', 'a'), (2, 'y', 'b')", 2],
    ["INSERT INTO customers (id, plan, email) VALUES (1, (SELECT max(note) FROM orders), 'a')", 1],
    ['COPY customers (id, plan) FROM STDIN', 0],
    ['UPDATE customers SET plan = NULL', 0],
    // What is there has values of its own.
    ["UPDATE customers SET plan = 'x' WHERE id = 7", 1],
    ['UPDATE customers SET plan = $1, name = $2 WHERE id = 7', 1],
    ["UPDATE customers SET plan = to_char(now(), 'x') WHERE id = 7", 'filter'],
    ['UPDATE customers SET plan = now()::text WHERE id = 7', 1],
    ['UPDATE customers SET plan = name', 'filter'],
    ["UPDATE customers SET (name, plan) = (SELECT 'a', 'b')", 'filter'],
    [
      "INSERT INTO customers (id, plan) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET plan = excluded.plan",
      1,
    ],
    [
      'INSERT INTO customers (id, plan) SELECT id, note FROM orders ON CONFLICT (id) DO UPDATE SET plan = excluded.plan',
      'filter',
    ],
    ['INSERT INTO customers (id, name) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET plan = $2', 1],
    // An expression makes one value of both.
    ["INSERT INTO events (id, kind) VALUES (1, 'a'), (2, 'b')", 2],
    ["INSERT INTO events_2024 (id, kind) VALUES (1, 'a')", 1],
    ["INSERT INTO events (id, kind, contact_email) VALUES (1, 'a', 'b')", 1],
    [
      `INSERT INTO events (kind) VALUES ${Array.from({ length: 120 }, (_, i) => `('value ${i}')`).join(', ')}`,
      120,
    ],
    [`INSERT INTO events (contact_email, kind) VALUES (NULL, 'v')${", ('b', 'value')".repeat(120)}`, 121],
    [
      "INSERT INTO events (kind) SELECT 'a' || g FROM generate_series(1, 100) g ON CONFLICT DO NOTHING RETURNING id",
      'filter',
    ],
    ["UPDATE events SET kind = 'a' || id", 'filter'],
    [
      'MERGE INTO events e USING orders o ON e.id = o.id WHEN MATCHED THEN UPDATE SET kind = o.note',
      'filter',
    ],
    ["MERGE INTO events e USING orders o ON e.id = o.id WHEN NOT MATCHED THEN INSERT (kind) VALUES ('x')", 1],
    ['COPY events (id, kind) FROM STDIN', 'filter'],
    ['UPDATE events SET at = now()', 0],
    // Compared by more than equality.
    ["INSERT INTO people (id, ssn) VALUES (1, '[1,500000)')", 'filter'],
    ["UPDATE people SET ssn = '[1,500000)' WHERE id = 1", 'filter'],
    ["INSERT INTO people (id, name) VALUES (1, 'x')", 1],
  ] as const)('%s', async (text, count) => {
    expect(await askedOf(text)).toBe(count)
  })
})

describe('a column whose collation takes many values for equal', () => {
  const loose = sampleCatalogue({
    columns: BASE.columns.map((each) =>
      each.relation === 20001 && each.name === 'email' ? { ...each, loose: true } : each,
    ),
    unique: [{ relation: 20001, attribute: 4 }],
  })

  it.each([
    "SELECT id FROM customers WHERE email = 'a'",
    "SELECT id FROM customers WHERE lower(email) = 'a'",
    "SELECT id FROM (SELECT email AS e, id FROM customers) x WHERE e IN ('a', 'b')",
    "INSERT INTO customers (id, email) VALUES (1, 'a')",
    "UPDATE customers SET email = 'a'",
  ])('takes a permission: %s', async (text) => {
    const facts = analyse(await parser.parse(text), { searchPath: ['public'], catalogue: loose, views })
    expect(facts.filters).toEqual(['pii.email'])
  })
})

describe('a table whose partitions a protected column decides', () => {
  it.each([
    'SELECT id FROM app.sorted_1',
    'SELECT count(*) FROM ONLY app.sorted_1',
    "UPDATE app.sorted_1 SET note = 'x'",
    'DELETE FROM app.sorted_1',
    'COPY app.sorted_1 (id) TO STDOUT',
    'SELECT id FROM app.sorted ORDER BY tableoid',
    'SELECT id FROM app.sorted s, generate_series(1, 2) g WHERE tableoid = 5',
    'SELECT id FROM app.sorted s JOIN pg_class c ON c.oid = s.tableoid',
    'SELECT (s).tableoid::text FROM app.sorted s',
  ])('tells its values: %s', async (text) => {
    expect(await asked(text)).toBe('filter')
  })

  it.each([
    'SELECT id FROM app.sorted',
    'SELECT tableoid FROM app.sorted',
    'SELECT s.ctid FROM app.sorted s',
    'SELECT id, tableoid::regclass FROM events WHERE tableoid = 5',
    'SELECT id FROM events_2024',
    "INSERT INTO app.sorted_1 (id, note) VALUES (1, 'x')",
    'COPY app.sorted_1 (id, note) FROM STDIN',
  ])('does not tell them: %s', async (text) => {
    expect(await asked(text)).toBe(0)
  })

  it('has them in tableoid', async () => {
    const facts = await factsOf('SELECT tableoid, s.tableoid FROM app.sorted s')
    expect(facts.statements[0]?.outputs).toEqual([
      { name: 'tableoid', labels: ['pii.email'], computed: true },
      { name: 'tableoid', labels: ['pii.email'], computed: true },
    ])
  })
})

describe('a value that a column is compared with', () => {
  it.each([
    ["SELECT id FROM customers WHERE email = 'a'::text", 1],
    ["SELECT id FROM customers WHERE email = 'a'::address", 1],
    ["SELECT id FROM customers WHERE email = ANY ('{a,b}'::public.address[])", 1],
    ['SELECT id FROM customers WHERE email = $1::mood', 1],
    ['SELECT id FROM customers WHERE lower(email::text) = lower($1)', 1],
    ["SELECT e FROM (SELECT email AS e FROM customers) x WHERE e = 'a'", 1],
  ] as const)('is one where its type says so: %s', async (text, count) => {
    expect(await asked(text)).toBe(count)
  })

  it.each([
    "SELECT id FROM people WHERE ssn = ANY ('1 2 3'::int2vector)",
    "SELECT id FROM people WHERE ssn = ANY ('1 2 3'::pg_catalog.oidvector)",
    "SELECT id FROM people WHERE ssn = ANY ('1 2 3'::iv)",
    "SELECT id FROM people WHERE ssn = ANY ('1 2 3'::ivs)",
    'SELECT id FROM people WHERE ssn = ANY ($1::iv)',
    "SELECT id FROM people WHERE ssn = ANY ('1 2 3'::iv::text[])",
    `SELECT id FROM people WHERE ssn = ANY ('{"1 2"}'::_iv)`,
    'PREPARE p (iv) AS SELECT id FROM people WHERE ssn = ANY ($1)',
    'PREPARE p (text, public.ivs) AS SELECT id FROM people WHERE ssn = ANY ($2)',
    "SELECT id FROM customers WHERE email = 'a'::wild",
    'SELECT id FROM customers WHERE email = CAST($1 AS public.wild)',
    "SELECT id FROM customers WHERE email = ANY ('{a}'::wild[])",
    "SELECT id FROM customers WHERE email IN ('b', 'a'::wild)",
    "SELECT id FROM customers WHERE (id, email) = (1, 'a'::wild)",
    "SELECT id FROM customers WHERE lower(email) = lower('a'::wild)",
    'PREPARE p (wild) AS SELECT id FROM customers WHERE email = $1',
    "SELECT id FROM customers WHERE email::public.text = 'a'",
    // A number has as many texts as a setting likes.
    "SELECT id FROM people WHERE id::text = '4.8e+07'",
    "SELECT id FROM people WHERE lower(id::varchar) = '4.8e+07'",
    'SELECT id FROM people WHERE upper(id) = $1',
    // Its collation is that of the other arm.
    "SELECT e FROM (SELECT email AS e FROM customers UNION ALL SELECT NULL::wild) x WHERE e = 'a'",
    "SELECT e FROM (VALUES ((SELECT email FROM customers LIMIT 1)), (NULL::wild)) x(e) WHERE e = 'a'",
  ])('may be several, or equal to others: %s', async (text) => {
    expect(await asked(text)).toBe('filter')
  })

  it('is of the type that its name means on the search path', async () => {
    const text = "SELECT id FROM public.customers WHERE email::text = 'a'::text"
    expect(await asked(text)).toBe(1)
    expect(await asked(text, ['public', 'pg_catalog'])).toBe('filter')
  })

  it('is not known to be one where the session has just made its type', async () => {
    expect(
      await asked("CREATE DOMAIN mine AS int2vector; SELECT id FROM people WHERE ssn = ANY ('1 2 3'::mine)"),
    ).toBe('filter')
  })

  it('is counted once for each argument of EXECUTE, if it is one', async () => {
    const PREPARED = 'PREPARE p AS SELECT id FROM customers WHERE email = $1;'
    expect(await asked(`${PREPARED} EXECUTE p ('a'::text)`)).toBe(2)
    expect(await asked(`${PREPARED} EXECUTE p ('a'::wild)`)).toBe('filter')
  })
})

describe('an output that may be protected or not', () => {
  const outputs = async (text: string) => (await factsOf(text)).statements[0]?.outputs

  it.each([
    "SELECT email FROM customers UNION ALL SELECT 'a'",
    'SELECT e FROM (SELECT NULL AS g, email e FROM customers UNION ALL SELECT note, note FROM orders) x',
    'SELECT v FROM (VALUES ((SELECT email FROM customers LIMIT 1)), ($1)) x(v)',
    "SELECT (SELECT v FROM (SELECT email v FROM customers UNION ALL SELECT 'a') x LIMIT 1)",
    "WITH RECURSIVE r(n, a, e) AS (SELECT 1, email, email FROM customers UNION ALL SELECT n + 1, 'a', a FROM r WHERE n < 3) SELECT e FROM r",
    'SELECT (SELECT note FROM orders LIMIT 1) AS x FROM (SELECT email AS note FROM customers) c',
  ])('is told apart from one that is protected: %s', async (text) => {
    expect(await outputs(text)).toMatchObject([{ labels: ['pii.email'], mixed: true }])
  })

  it.each([
    'SELECT email FROM customers',
    'SELECT email FROM customers UNION ALL SELECT contact_email FROM events',
    'SELECT NULL AS e FROM orders UNION ALL SELECT email FROM customers',
    'SELECT email FROM customers UNION ALL SELECT NULL::text',
    'SELECT e FROM (SELECT email e FROM customers) x',
  ])('is protected: %s', async (text) => {
    const [output] = (await outputs(text)) ?? []
    expect(output?.labels).toEqual(['pii.email'])
    expect(output?.mixed).toBeUndefined()
    expect(output?.computed).toBeUndefined()
  })
})
