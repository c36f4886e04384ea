/** What of a command is sealed in its recording: every value that meets a labelled column, wherever it stands. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SealedCommand } from '../../core/index.ts'
import { sampleCatalogue } from '../../testing/sample-catalogue.ts'
import type { SqlAnalyser } from '../index.ts'
import { createSqlAnalyser } from '../index.ts'

let analyser: SqlAnalyser

beforeAll(async () => {
  analyser = await createSqlAnalyser()
})

afterAll(() => analyser.close())

async function sealed(
  text: string,
  parameters?: readonly (string | null)[],
): Promise<SealedCommand | undefined> {
  const parsed = await analyser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  const facts = analyser.analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue() })
  const sealing = analyser.sealing(text, facts)
  const values = parameters?.map((each) => (each === null ? null : Buffer.from(each)))
  return sealing === undefined ? undefined : analyser.seal(text, values, sealing)
}

/** The text with each mark replaced by the labels of its value, for reading. */
async function shown(text: string, parameters?: readonly (string | null)[]): Promise<string | undefined> {
  const found = await sealed(text, parameters)
  if (found === undefined) return undefined
  const { marks, values } = read(found)
  // Nothing is lost: with its values back in place it is what the client sent.
  expect(found.text.replace(MARK, (mark) => values.get(mark) ?? mark)).toBe(text)
  const given = (found.parameters ?? []).map((each) =>
    each === null ? 'null' : (marks.get(each) ?? Buffer.from(each, 'base64').toString()),
  )
  return [found.text.replace(MARK, (mark) => marks.get(mark) ?? mark), ...given].join(' | ')
}

const MARK = /\[sealed \d+\]/g

function read({ sealed: groups }: SealedCommand) {
  const marks = new Map<string, string>()
  const values = new Map<string, string>()
  for (const { labels, numbers, values: all } of groups)
    numbers.forEach((number, i) => {
      marks.set(`[sealed ${number}]`, `<${labels.join(' ')}>`)
      values.set(`[sealed ${number}]`, all[i] ?? '')
    })
  return { marks, values }
}

const EMAIL = 'ada@example.com'

describe('a value that is compared with a labelled column is sealed', () => {
  it.each([
    [
      `SELECT id FROM customers WHERE email = '${EMAIL}'`,
      'SELECT id FROM customers WHERE email = <pii.email>',
    ],
    [
      `SELECT id FROM customers WHERE email = '${EMAIL}' AND country = 'NL' LIMIT 10`,
      "SELECT id FROM customers WHERE email = <pii.email> AND country = 'NL' LIMIT 10",
    ],
    [
      `SELECT id FROM customers WHERE email IN ('a@x.org', '${EMAIL}') OR id IN (1, 22)`,
      'SELECT id FROM customers WHERE email IN (<pii.email>, <pii.email>) OR id IN (1, 22)',
    ],
    [
      `SELECT id FROM customers WHERE email LIKE 'ada%' ORDER BY 1`,
      'SELECT id FROM customers WHERE email LIKE <pii.email> ORDER BY 1',
    ],
    [
      `SELECT id FROM people WHERE ssn BETWEEN '100' AND '199'`,
      'SELECT id FROM people WHERE ssn BETWEEN <secret> AND <secret>',
    ],
    [
      `SELECT id FROM customers WHERE lower(email) = lower('${EMAIL}'::text)`,
      'SELECT id FROM customers WHERE lower(email) = lower(<pii.email>::text)',
    ],
    [
      `SELECT id FROM customers WHERE (email, phone) = ('${EMAIL}', '+31 20 1234567')`,
      'SELECT id FROM customers WHERE (email, phone) = (<pii.email>, <pii.phone>)',
    ],
    [
      `SELECT id FROM customers WHERE email = any (ARRAY['${EMAIL}', 'b@x.org'])`,
      'SELECT id FROM customers WHERE email = any (ARRAY[<pii.email>, <pii.email>])',
    ],
    [
      `SELECT 1 FROM orders o JOIN customers c ON c.id = o.customer_id AND c.phone = '555-0100' WHERE o.note = 'late'`,
      "SELECT <pii.phone> FROM orders o JOIN customers c ON c.id = o.customer_id AND c.phone = <pii.phone> WHERE o.note = 'late'",
    ],
    [
      `SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE email = '${EMAIL}')`,
      'SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE email = <pii.email>)',
    ],
    [
      `SELECT id FROM customers WHERE NOT (email || 'x' <> '${EMAIL}x')`,
      'SELECT id FROM customers WHERE NOT (email || <pii.email> <> <pii.email>)',
    ],
    [
      `SELECT CASE WHEN email = '${EMAIL}' THEN 'yes' END FROM customers`,
      'SELECT CASE WHEN email = <pii.email> THEN <pii.email> END FROM customers',
    ],
    [
      `SELECT id FROM customers, (VALUES ('${EMAIL}')) v(e) WHERE e = email`,
      'SELECT id FROM customers, (VALUES (<pii.email>)) v(e) WHERE e = email',
    ],
    [`SELECT count(*) FROM people WHERE ssn > - 5`, 'SELECT count(*) FROM people WHERE ssn > - <secret>'],
  ])('%s', async (text, expected) => {
    expect(await shown(text)).toBe(expected)
  })
})

describe('a value that is written into a labelled column is sealed', () => {
  it.each([
    [
      `INSERT INTO customers (id, name, email, phone) VALUES (1, 'Ada', '${EMAIL}', NULL), (2, 'Bo', 'bo@x.org', '555')`,
      "INSERT INTO customers (id, name, email, phone) VALUES (1, 'Ada', <pii.email>, NULL), (2, 'Bo', <pii.email>, <pii.phone>)",
    ],
    [
      `INSERT INTO customers VALUES (1, 'Ada', '${EMAIL}')`,
      "INSERT INTO customers VALUES (1, 'Ada', <pii.email>)",
    ],
    [
      `INSERT INTO customers (id, email) SELECT 7, '${EMAIL}'`,
      'INSERT INTO customers (id, email) SELECT 7, <pii.email>',
    ],
    [
      `INSERT INTO customers (id, email) SELECT id, '${EMAIL}' FROM orders WHERE note = 'vip'`,
      "INSERT INTO customers (id, email) SELECT id, <pii.email> FROM orders WHERE note = 'vip'",
    ],
    [
      `UPDATE customers SET email = '${EMAIL}', plan = 'pro' WHERE id = 12`,
      "UPDATE customers SET email = <pii.email>, plan = 'pro' WHERE id = 12",
    ],
    [
      `UPDATE customers SET (email, plan) = ('${EMAIL}', 'pro') WHERE phone = '555-0100'`,
      "UPDATE customers SET (email, plan) = (<pii.email>, 'pro') WHERE phone = <pii.phone>",
    ],
    [
      `INSERT INTO customers (id, email) VALUES (1, 'a@x.org') ON CONFLICT (id) DO UPDATE SET email = '${EMAIL}', plan = 'old'`,
      "INSERT INTO customers (id, email) VALUES (1, <pii.email>) ON CONFLICT (id) DO UPDATE SET email = <pii.email>, plan = 'old'",
    ],
    [
      `MERGE INTO customers c USING orders o ON c.id = o.customer_id WHEN NOT MATCHED THEN INSERT (id, email) VALUES (3, '${EMAIL}')`,
      'MERGE INTO customers c USING orders o ON c.id = o.customer_id WHEN NOT MATCHED THEN INSERT (id, email) VALUES (3, <pii.email>)',
    ],
  ])('%s', async (text, expected) => {
    expect(await shown(text)).toBe(expected)
  })
})

describe('however it is written', () => {
  it.each([
    [`E'ada\\x40example.com'`, '<pii.email>'],
    [`U&'ada\\0040example.com'`, '<pii.email>'],
    [`U&'ada!0040example.com' UESCAPE '!'`, '<pii.email> UESCAPE <pii.email>'],
    [`N'ada@example.com'`, 'N<pii.email>'],
    [`$$ada@example.com$$`, '<pii.email>'],
    [`$é$ada@example.com$é$`, '<pii.email>'],
    [`'ada'\n  '@example.com'`, '<pii.email>'],
    [`'it''s ada'`, '<pii.email>'],
    [`'ädä@example.com'`, '<pii.email>'],
    [`text 'ada@example.com'`, 'text <pii.email>'],
    [`CAST('ada@example.com' AS varchar(20))`, 'CAST(<pii.email> AS varchar(<pii.email>))'],
    [`B'101'::text`, '<pii.email>::text'],
    [`0x1F::text`, '<pii.email>::text'],
    [`1_000.5e3::text`, '<pii.email>::text'],
  ])('%s', async (literal, expected) => {
    expect(await shown(`SELECT id FROM customers WHERE email = ${literal} AND country = 'NL'`)).toBe(
      `SELECT id FROM customers WHERE email = ${expected} AND country = 'NL'`,
    )
  })
})

describe('what repeats a sealed value is sealed too', () => {
  it.each([
    [
      `SELECT id FROM customers WHERE email = '${EMAIL}' -- for ${EMAIL}`,
      'SELECT id FROM customers WHERE email = <pii.email> <pii.email>',
    ],
    [
      `/* who /* is */ it */ SELECT id FROM customers WHERE email = '${EMAIL}'`,
      '<pii.email> SELECT id FROM customers WHERE email = <pii.email>',
    ],
    [
      `SELECT id AS "ADA@example.com" FROM customers WHERE email = '${EMAIL}'`,
      'SELECT id AS <pii.email> FROM customers WHERE email = <pii.email>',
    ],
    [
      `SELECT id FROM customers WHERE email = '${EMAIL}' AND name = 'called ${EMAIL}'`,
      'SELECT id FROM customers WHERE email = <pii.email> AND name = <pii.email>',
    ],
    [
      `SELECT id FROM customers lovelace WHERE phone = 'lovelace'`,
      'SELECT id FROM customers <pii.phone> WHERE phone = <pii.phone>',
    ],
  ])('%s', async (text, expected) => {
    expect(await shown(text)).toBe(expected)
  })

  it('in a parameter, and from a parameter in the text', async () => {
    expect(
      await shown('SELECT $2 AS "lovelace" FROM customers WHERE email = $1 AND name = $2', [
        'Lovelace',
        'lovelace',
      ]),
    ).toBe(
      'SELECT $2 AS <pii.email> FROM customers WHERE email = $1 AND name = $2 | <pii.email> | <pii.email>',
    )
  })
})

describe('parameters are sealed by number', () => {
  it.each([
    [
      'SELECT id FROM customers WHERE email = $1 AND country = $2 LIMIT $3',
      [EMAIL, 'NL', '10'],
      '<pii.email> | NL | 10',
    ],
    [
      'INSERT INTO customers (id, email, phone) VALUES ($3, $1, $2)',
      [EMAIL, null, '7'],
      '<pii.email> | null | 7',
    ],
    ['UPDATE customers SET email = $2 WHERE id = $1', ['7', EMAIL], '7 | <pii.email>'],
    ['SELECT id FROM customers WHERE email = $1 OR phone = $1', [EMAIL], '<pii.email pii.phone>'],
    ['SELECT id, $1 FROM customers WHERE phone = $2', ['who', '555'], '<pii.phone> | <pii.phone>'],
  ])('%s', async (text, parameters, expected) => {
    expect(await shown(text, parameters)).toBe(`${text} | ${expected}`)
  })
})

describe('each statement of a batch by itself', () => {
  it('has its own values', async () => {
    expect(
      await shown(
        `BEGIN; UPDATE orders SET note = 'paid' WHERE id = 5; UPDATE customers SET phone = '555-0100' WHERE id = 6; COMMIT`,
      ),
    ).toBe(
      `BEGIN; UPDATE orders SET note = 'paid' WHERE id = 5; UPDATE customers SET phone = <pii.phone> WHERE id = 6; COMMIT`,
    )
  })
})

describe('what cannot be told apart is sealed as a whole', () => {
  it('where a value may go anywhere', async () => {
    expect(await shown(`SELECT id FROM customers WHERE no_such_column = '${EMAIL}' AND id = 5`)).toBe(
      'SELECT id FROM customers WHERE no_such_column = <pii.email pii.phone secret> AND id = <pii.email pii.phone secret>',
    )
  })

  it('where a function nobody knows gets it', async () => {
    const found = await shown(`SELECT id FROM orders WHERE look_up('${EMAIL}', 5) = customer_id`)
    expect(found).not.toContain('example')
  })

  it('in a definition of what is protected', async () => {
    expect(await shown(`CREATE INDEX ON customers (id) WHERE email = '${EMAIL}'`)).not.toContain('example')
    expect(await shown(`ALTER TABLE customers ALTER email SET DEFAULT '${EMAIL}'`)).not.toContain('example')
    expect(await shown(`DO $$BEGIN PERFORM '${EMAIL}'; END$$`)).not.toContain('example')
  })

  it('in what PREPARE, DECLARE and EXPLAIN hold', async () => {
    for (const before of ['PREPARE p AS ', 'DECLARE c CURSOR FOR ', 'EXPLAIN '])
      expect(await shown(`${before}SELECT id FROM customers WHERE email = '${EMAIL}' AND id = 5`)).toBe(
        `${before}SELECT id FROM customers WHERE email = <pii.email> AND id = 5`,
      )
  })

  it('when it is long', async () => {
    const text = `SELECT id FROM customers WHERE email = '${EMAIL}' AND name = '${'x'.repeat(3_000)}'`
    expect(await shown(text, ['one'])).toBe('<pii.email> | <pii.email>')
  })

  it('when it looks as if something were sealed already', async () => {
    const text = `SELECT id FROM customers WHERE email = '${EMAIL}' AND name = '[sealed 1]'`
    expect((await sealed(text))?.text).toBe('[sealed 1]')
  })
})

describe('what comes back of a command with sealed values', () => {
  it.each([
    `SELECT id, name FROM customers WHERE email = '${EMAIL}'`,
    `SELECT c.id AS customer, o.note FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = '${EMAIL}'`,
    `SELECT x.id FROM (SELECT id FROM customers WHERE email = '${EMAIL}') x ORDER BY 1 LIMIT 5`,
    `INSERT INTO customers (id, email) VALUES (7, '${EMAIL}')`,
    `UPDATE customers SET email = '${EMAIL}' WHERE id = 7`,
    `DELETE FROM customers WHERE email = '${EMAIL}'`,
    `BEGIN; SELECT id FROM customers WHERE email = '${EMAIL}'; COMMIT`,
    `COPY (SELECT id FROM customers WHERE email = '${EMAIL}') TO STDOUT`,
    `DECLARE c CURSOR FOR SELECT '${EMAIL}' FROM customers WHERE email = '${EMAIL}'`,
  ])('is open where nothing in it can be one of them: %s', async (text) => {
    expect(await sealed(text)).toMatchObject({ labels: ['pii.email'], open: true })
  })

  it.each([
    `EXPLAIN SELECT id FROM customers WHERE email = 'o''Brien'`,
    `EXPLAIN (FORMAT XML) SELECT id FROM customers WHERE email = 'Al'`,
    `SELECT upper('${EMAIL}'), id FROM customers WHERE email = '${EMAIL}'`,
    `SELECT id, CASE WHEN id > 5 THEN 'a' END FROM customers WHERE email = '${EMAIL}'`,
    `SELECT 'x'; SELECT id FROM customers WHERE email = '${EMAIL}'`,
    `SELECT note FROM orders UNION ALL SELECT name FROM customers WHERE email = '${EMAIL}'`,
    `SELECT id, email FROM customers WHERE email = '${EMAIL}'`,
    `INSERT INTO customers (id, email) VALUES (7, '${EMAIL}') RETURNING id`,
    `WITH w AS (UPDATE customers SET email = '${EMAIL}' RETURNING name) SELECT name FROM w`,
    `SELECT id AS "x""ada" FROM customers WHERE email = 'x"ada'`,
    `SELECT id AS U&"\\0061da" FROM customers WHERE email = 'ada'`,
    `SELECT name FROM customers WHERE name = 'of ${EMAIL}' AND email = '${EMAIL}'`,
    `SELECT o.note FROM orders o JOIN customers c ON c.email = o.note WHERE c.email = '${EMAIL}'`,
    `SELECT current_database, oid FROM pg_class, customers WHERE email = '${EMAIL}'`,
    `SELECT id FROM customers WHERE email = '[sealed 1]'`,
    `SELECT id FROM customers WHERE email = '${EMAIL}' AND name = '${'x'.repeat(3_000)}'`,
    `DECLARE c CURSOR FOR SELECT '${EMAIL}' FROM customers WHERE email = '${EMAIL}'; FETCH c`,
    `PREPARE p AS SELECT '${EMAIL}' FROM customers WHERE email = '${EMAIL}'; EXECUTE p`,
    `PREPARE p AS SELECT 'a' FROM customers WHERE email = '${EMAIL}'; EXPLAIN EXECUTE p`,
  ])('is sealed as a whole anywhere else: %s', async (text) => {
    expect(await sealed(text)).toMatchObject({ open: false })
  })

  it('is sealed where a parameter stands in it', async () => {
    expect(await sealed('EXPLAIN SELECT id FROM customers WHERE email = $1', ['Al'])).toMatchObject({
      open: false,
    })
    expect(await sealed('SELECT id FROM customers WHERE email = $1', ['Al'])).toMatchObject({ open: true })
  })
})

describe('a value that meets a labelled column through another one is sealed', () => {
  it.each([
    `SELECT 1 FROM orders o JOIN customers c ON o.note = c.email WHERE o.note = '${EMAIL}'`,
    `SELECT 1 FROM orders o, customers c WHERE o.note = '${EMAIL}' AND o.note = lower(c.email)`,
    `SELECT 1 FROM (SELECT note AS email FROM orders WHERE note = '${EMAIL}') o JOIN customers USING (email)`,
    `SELECT 1 FROM (SELECT note AS email FROM orders WHERE note = '${EMAIL}') o NATURAL JOIN customers`,
    `WITH v AS (SELECT note AS e FROM orders WHERE note = '${EMAIL}') SELECT c.id FROM customers c JOIN v ON v.e = c.email`,
    `UPDATE customers SET email = o.note FROM orders o WHERE o.note = '${EMAIL}'`,
    `INSERT INTO customers (id, email) SELECT o.id, o.note FROM orders o WHERE o.note = '${EMAIL}'`,
    `INSERT INTO customers (id, email) SELECT * FROM (SELECT id, note FROM orders WHERE note = '${EMAIL}') o`,
    `MERGE INTO customers c USING orders o ON c.id = o.id AND o.note = '${EMAIL}' WHEN NOT MATCHED THEN INSERT (id, email) VALUES (o.id, o.note)`,
  ])('%s', async (text) => {
    expect(await shown(text)).not.toContain('example')
  })
})

describe('a value that goes into a column whose labels nobody knows yet is sealed', () => {
  it.each([
    `CREATE TABLE later (email text DEFAULT '${EMAIL}')`,
    `CREATE TABLE later AS SELECT '${EMAIL}'::text AS email`,
    `SELECT '${EMAIL}'::text AS email INTO later`,
    `CREATE VIEW later AS SELECT '${EMAIL}'::text AS email`,
    `ALTER TABLE orders ADD COLUMN email text DEFAULT '${EMAIL}'`,
    `COMMENT ON COLUMN customers.email IS 'such as ${EMAIL}'`,
    `CREATE TABLE later (email text); INSERT INTO later VALUES ('${EMAIL}')`,
    `CREATE TABLE later (email text); SELECT * FROM later WHERE email = '${EMAIL}'`,
  ])('%s', async (text) => {
    expect(await shown(text)).not.toContain('example')
  })

  it('but for temporary ones, which have none', async () => {
    expect(await shown("CREATE TEMP TABLE t AS SELECT id FROM orders WHERE note = 'late'")).toBeUndefined()
    expect(await shown("CREATE TEMP TABLE t (n text); INSERT INTO t VALUES ('late')")).toBeUndefined()
  })
})

describe('nothing is sealed', () => {
  it.each([
    "SELECT email, phone FROM customers WHERE id = 5 AND name = 'Ada' -- a remark",
    "INSERT INTO customers (id, name) VALUES (1, 'Ada')",
    "UPDATE orders SET note = 'paid'",
    "SET statement_timeout = '5s'",
  ])('%s', async (text) => {
    expect(await shown(text)).toBeUndefined()
  })
})

describe('a decision that is found again', () => {
  it('seals other values in the same places', async () => {
    const learned = "SELECT id FROM customers WHERE country = 'NL' AND email = 'a@x.org' AND id > -5"
    const parsed = await analyser.parse(learned)
    const facts = analyser.analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue() })
    const sealing = analyser.sealing(learned, facts)
    if (sealing === undefined) throw new Error('nothing is sealed')
    const text = `SELECT id FROM customers WHERE country = 'Germany' AND email = '${EMAIL}' AND id > -77`
    expect(analyser.seal(text, undefined, sealing)).toEqual({
      text: "SELECT id FROM customers WHERE country = 'Germany' AND email = [sealed 1] AND id > -77",
      parameters: undefined,
      sealed: [{ labels: ['pii.email'], numbers: [1], values: [`'${EMAIL}'`] }],
      labels: ['pii.email'],
      open: true,
    })
  })
})
