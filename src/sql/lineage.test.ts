import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Facts } from '../core/index.ts'
import { sampleCatalogue } from '../testing/sample-catalogue.ts'
import type { AnalysisContext } from './analyse.ts'
import { analyse } from './analyse.ts'
import type { Parser } from './parser.ts'
import { createParser } from './parser.ts'
import { statementOf, Views } from './views.ts'

let parser: Parser
let views: Views

beforeAll(async () => {
  parser = await createParser()
  views = new Views((definition) => statementOf(parser.parseNow(definition)))
})

afterAll(() => parser.close())

async function factsOf(text: string, more: Partial<AnalysisContext> = {}): Promise<Facts> {
  const parsed = await parser.parse(text)
  expect(parsed).toMatchObject({ kind: 'parsed' })
  return analyse(parsed, { searchPath: ['public'], catalogue: sampleCatalogue(), views, ...more })
}

/** `id email=pii.email lower=pii.email!` for each output; `!` is a computed one, `-` that none are told. */
function shown(facts: Facts, statement = 0): string {
  const outputs = facts.statements[statement]?.outputs?.map(({ name, labels, computed }) =>
    labels === undefined ? name : `${name}=${labels.join('+')}${computed === true ? '!' : ''}`,
  )
  return outputs?.join(' ') ?? '-'
}

/** The labels among outputs as they are shown. */
function labelsIn(outputs: string): string[] {
  const labels = [...outputs.matchAll(/=(\S+)/g)].flatMap((match) => (match[1] ?? '').split(/[+!]/))
  return [...new Set(labels.filter((label) => label !== ''))].sort()
}

describe('labelled columns may be handed out untouched', () => {
  it.each([
    ['SELECT email FROM customers', 'email=pii.email'],
    ['SELECT c.email AS x, c.id FROM public.customers c', 'x=pii.email id'],
    ['SELECT public.customers.email FROM public.customers', 'email=pii.email'],
    ['SELECT * FROM customers', 'id name email=pii.email phone=pii.phone plan country created_at'],
    ['SELECT email::text FROM customers', 'email=pii.email'],
    ['TABLE customers', 'id name email=pii.email phone=pii.phone plan country created_at'],
    [
      'SELECT o.id, c.* FROM orders o JOIN customers c ON c.id = o.customer_id',
      'id id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['SELECT l.*, c.email FROM leads l, customers c WHERE l.id = c.id', 'id email source email=pii.email'],
    [
      'SELECT * FROM customers JOIN leads USING (id)',
      'id name email=pii.email phone=pii.phone plan country created_at email source',
    ],
    ['SELECT (email) FROM customers', 'email=pii.email'],
    ['SELECT email FROM ONLY customers', 'email=pii.email'],
    ['SELECT contact_email FROM events', 'contact_email=pii.email'],
    ['SELECT * FROM events_2024', 'id contact_email=pii.email at kind'],
    ['SELECT * FROM staff', 'id name ssn=secret salary'],
    ['SELECT x FROM customers AS c (a, b, x)', 'x=pii.email'],
    ['SELECT j.e FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j (a, b, e)', 'e=pii.email'],
    ['SELECT id, email FROM audited', 'id email=pii.email'],
    ['SELECT id, upper(plan) AS p, count(*) FROM customers GROUP BY id, plan', 'id p count'],
    ['SELECT email FROM customers FOR UPDATE', 'email=pii.email'],
    ['SELECT name FROM customers ORDER BY 1 LIMIT 5', 'name'],
    ['SELECT id, email FROM customers ORDER BY 1', 'id email=pii.email'],
    ["UPDATE customers SET plan = 'pro' WHERE id = 7 RETURNING id, email", 'id email=pii.email'],
    [
      'DELETE FROM customers WHERE id = 7 RETURNING *',
      'id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['SELECT EXISTS (SELECT * FROM customers WHERE id = 5)', 'exists'],
    ['SELECT id FROM customers c WHERE EXISTS (SELECT email FROM customers WHERE id = c.id)', 'id'],
    ['WITH x AS (SELECT id, plan FROM customers) SELECT * FROM x', 'id plan'],
    ['SELECT s.id FROM (SELECT id, name FROM customers) s', 'id'],
    [
      'SELECT c.id, o.total FROM customers c, LATERAL (SELECT total FROM orders WHERE customer_id = c.id) o',
      'id total',
    ],
    [
      "SELECT id, 'happy'::mood, $1::citext, similarity(name, 'x') FROM customers WHERE name % 'x'",
      'id mood citext similarity',
    ],
    ['INSERT INTO leads (id) SELECT id FROM customers', ''],
    ['DELETE FROM customers', ''],
    [
      'WITH RECURSIVE t AS (SELECT id FROM customers WHERE id = 1 UNION ALL SELECT t.id + 1 FROM t WHERE t.id < 9) SELECT * FROM t',
      'id',
    ],
    [
      "SELECT CASE WHEN plan = 'pro' THEN 1 ELSE 0 END AS p, coalesce(name, 'x') FROM customers",
      'p coalesce',
    ],
    ["SELECT jsonb_build_object('id', id) FROM customers", 'jsonb_build_object'],
    ['SELECT id, ctid, tableoid, xmin FROM customers', 'id ctid tableoid xmin'],
    ['SELECT c.plan FROM customers c UNION SELECT source FROM leads', 'plan'],
    [
      "SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders) AND (plan, country) = ('a', 'b')",
      'id',
    ],
    ['SELECT g FROM customers c, generate_series(1, c.id) AS g', 'g'],
    ['SELECT sum(id) OVER (PARTITION BY plan ORDER BY created_at) FROM customers', 'sum'],
    [
      "SELECT plan, string_agg(name, ',' ORDER BY name) FILTER (WHERE id > 3) FROM customers GROUP BY ROLLUP (plan)",
      'plan string_agg',
    ],
    ['SELECT (c).email FROM customers c', 'email=pii.email'],
    ['SELECT (c.*).email FROM customers c', 'email=pii.email'],
    ['SELECT * FROM (SELECT email FROM customers) s', 'email=pii.email'],
    ['SELECT 1 FROM (SELECT * FROM customers) s', '?column?'],
    ['WITH x AS (SELECT email FROM customers) SELECT 1 FROM x', '?column?'],
    ['SELECT (SELECT email FROM customers LIMIT 1)', 'email=pii.email'],
    [
      'SELECT * FROM leads l, LATERAL (SELECT phone FROM customers c WHERE c.id = l.id) s',
      'id email source phone=pii.phone',
    ],
    ["SELECT email FROM customers UNION ALL SELECT 'x'", 'email=pii.email'],
    ['WITH d AS (DELETE FROM customers RETURNING email) SELECT 1 FROM d', '?column?'],
    ['SELECT * FROM customer_list', 'id name email=pii.email'],
    ['SELECT 1 FROM customer_names', '?column?'],
    ['SELECT * FROM customer_mat', 'country count'],
    ['SELECT * FROM ruled', 'id x'],
    [
      'SELECT * FROM customers TABLESAMPLE SYSTEM (10)',
      'id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['SELECT xmlelement(name x, id) FROM customers', ''],
    ['SELECT JSON_OBJECT(id: name) FROM customers', 'json_object'],
    [
      "SELECT * FROM customers, XMLTABLE('/a' PASSING '<a/>' COLUMNS b text)",
      'id name email=pii.email phone=pii.phone plan country created_at b',
    ],
    ['MERGE INTO customers USING leads ON leads.id = customers.id WHEN MATCHED THEN DELETE', ''],
    ['MERGE INTO leads USING customers ON leads.id = customers.id WHEN MATCHED THEN DELETE', ''],
    ["UPDATE customers SET plan = 'x' RETURNING old.email", 'email=pii.email'],
    ["UPDATE customers SET plan = 'x' RETURNING WITH (OLD AS o) o.email", 'email=pii.email'],
    ['COPY customers (id) TO STDOUT', '-'],
    ['EXPLAIN SELECT * FROM customer_list', '-'],
    ['SELECT id INTO x FROM customers', '-'],
    ['SELECT (SELECT email FROM customers WHERE id = 5)', 'email=pii.email'],
    ['SELECT x.email FROM customer_list x', 'email=pii.email'],
    ['SELECT v.* FROM customer_list v JOIN orders o ON o.customer_id = v.id', 'id name email=pii.email'],
    ['WITH a AS MATERIALIZED (SELECT * FROM customers) SELECT email, id FROM a', 'email=pii.email id'],
    [
      'WITH RECURSIVE t AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM customers c JOIN t ON c.id = t.id + 1) SELECT * FROM t',
      'id email=pii.email',
    ],
    [
      'WITH RECURSIVE t (a, b, c) AS (SELECT id, name, plan FROM customers UNION ALL SELECT c.id, t.c, c.email FROM customers c JOIN t ON c.id = t.a + 1) SELECT a, b, c FROM t',
      'a b=pii.email c=pii.email',
    ],
    [
      'WITH RECURSIVE t AS (SELECT id, name FROM customers UNION ALL SELECT c.id, t.name FROM customers c, t) SEARCH DEPTH FIRST BY name SET path SELECT * FROM t',
      'id name path',
    ],
    ['WITH d AS (DELETE FROM customers RETURNING id, email) SELECT * FROM d', 'id email=pii.email'],
    [
      "WITH u AS (UPDATE customers SET plan = 'x' WHERE id = 1 RETURNING *) SELECT u.email FROM u",
      'email=pii.email',
    ],
    ['SELECT email FROM customers UNION ALL SELECT phone FROM customers', 'email=pii.email+pii.phone'],
    ['SELECT s.e FROM (SELECT email AS e FROM customers UNION ALL SELECT email FROM leads) s', 'e=pii.email'],
    ['SELECT v.b FROM customers c, LATERAL (VALUES (c.id, c.email)) AS v (a, b)', 'b=pii.email'],
    ['SELECT l.e FROM customers c CROSS JOIN LATERAL (SELECT c.email AS e) l', 'e=pii.email'],
    ['SELECT (c).phone, (c).id FROM customers c', 'phone=pii.phone id'],
    ['SELECT (c).* FROM customers c', 'id name email=pii.email phone=pii.phone plan country created_at'],
    ['SELECT (s).email FROM (SELECT id, email FROM customers) s', 'email=pii.email'],
    ['SELECT s FROM (SELECT id, plan FROM customers) s', 's'],
    [
      "MERGE INTO customers c USING leads l ON c.id = l.id WHEN MATCHED THEN UPDATE SET plan = 'x' RETURNING merge_action(), l.email, c.email, old.phone",
      'merge_action email email=pii.email phone=pii.phone',
    ],
    [
      "MERGE INTO leads l USING customers c ON l.id = c.id WHEN MATCHED THEN UPDATE SET source = 'x' RETURNING *",
      'id name email=pii.email phone=pii.phone plan country created_at id email source',
    ],
    [
      'INSERT INTO customers (id) VALUES (1) RETURNING new.email, old.*',
      'email=pii.email id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['DELETE FROM customers WHERE CURRENT OF c RETURNING email', 'email=pii.email'],
    ["SELECT JSON_OBJECT('a': id, 'b': plan), JSON_ARRAY(id, name) FROM customers", 'json_object json_array'],
    ["SELECT j.a FROM orders o, JSON_TABLE('[]', '$' COLUMNS (a int PATH '$')) j, customers", 'a'],
    ["SELECT id, b FROM customers, XMLTABLE('/a' PASSING '<a/>' COLUMNS b text)", 'id b'],
    [
      'SELECT * FROM customers TABLESAMPLE SYSTEM (10) REPEATABLE (5)',
      'id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['SELECT u FROM customers c, unnest(ARRAY[c.id]) AS u', 'u'],
    [
      'SELECT * FROM customers c, generate_series(1, 2) g',
      'id name email=pii.email phone=pii.phone plan country created_at g',
    ],
    [
      'SELECT * FROM customers c, LATERAL (SELECT total FROM orders) o',
      'id name email=pii.email phone=pii.phone plan country created_at total',
    ],
    ["SELECT s.x FROM (SELECT CASE WHEN plan = 'x' THEN 1 END AS x, email FROM customers) s", 'x'],
    ['SELECT s.text FROM (SELECT 5::text, email FROM customers) s', 'text'],
    ['WITH email AS (SELECT email FROM customers) SELECT email FROM email', 'email=pii.email'],
    [
      'SELECT a.email FROM customers a UNION ALL (SELECT b.x FROM (SELECT lower(source) AS x FROM leads) b)',
      'email=pii.email',
    ],
    [
      'SELECT * FROM (SELECT * FROM customers UNION ALL SELECT * FROM customers) s',
      'id name email=pii.email phone=pii.phone plan country created_at',
    ],
  ])('%s', async (text, expected) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    expect(facts.touches).toEqual([])
    expect(shown(facts)).toBe(expected)
    expect(facts.labels).toEqual(labelsIn(expected))
    expect(facts.attributes['reach']).toBe(true)
  })

  it('with their source by the numbers of the catalogue', async () => {
    const facts = await factsOf('SELECT email, id + 1, e.contact_email FROM customers, events_2024 e')
    expect(facts.statements[0]?.outputs).toEqual([
      {
        name: 'email',
        labels: ['pii.email'],
        source: { relation: 20001, attribute: 4, type: 25 },
        type: 25,
      },
      { name: '?column?' },
      {
        name: 'contact_email',
        labels: ['pii.email'],
        source: { relation: 20005, attribute: 2, type: 25 },
        type: 25,
      },
    ])
  })

  it('by each statement of a batch', async () => {
    const facts = await factsOf('BEGIN; SELECT email FROM customers; SELECT phone FROM customers; COMMIT')
    expect(facts.statements.map((_, i) => shown(facts, i))).toEqual([
      '-',
      'email=pii.email',
      'phone=pii.phone',
      '-',
    ])
    expect(facts.labels).toEqual(['pii.email', 'pii.phone'])
  })
})

describe('the touch rule allows', () => {
  it.each([
    ["SELECT id FROM customers WHERE email = 'x'", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE 'x' = email", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email = ANY ('{a,b}')", 'pii.email', 'id'],
    ['SELECT id FROM customers WHERE email IS NULL', 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE lower(email) = lower('X')", 'pii.email', 'id'],
    [
      "SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.email = 'x')",
      'pii.email',
      '?column?',
    ],
    ["UPDATE customers SET plan = 'x' WHERE email = 'y'", 'pii.email', ''],
    ["DELETE FROM customers WHERE email = 'y'", 'pii.email', ''],
    ["SELECT id FROM customers LIMIT (SELECT count(*) FROM customers WHERE email = 'x')", 'pii.email', 'id'],
    ["SELECT id FROM leads WHERE id IN (SELECT id FROM customers WHERE phone = '1')", 'pii.phone', 'id'],
    ["SELECT id FROM staff WHERE ssn = '1'", 'secret', 'id'],
    ['SELECT email IS NULL FROM customers', 'pii.email', '?column?'],
    ["SELECT count(*) FILTER (WHERE email = 'x') FROM customers", 'pii.email', 'count'],
    ["SELECT id FROM customers WHERE (email, id) = ('x', 1)", 'pii.email', 'id'],
    ['SELECT count(c) FROM customers c', 'pii.email,pii.phone', 'count'],
    ['SELECT id FROM customers c WHERE c IS NOT NULL', 'pii.email,pii.phone', 'id'],
    ['SELECT email FROM customer_list WHERE email = $1', 'pii.email', 'email=pii.email'],
    ['SELECT id FROM customer_list WHERE lower(email) = lower($1)', 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email IN ($1, 'b')", 'pii.email', 'id'],
    ['SELECT id FROM customers WHERE email = ANY ($1)', 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email = ANY (ARRAY['a', $1])", 'pii.email', 'id'],
    [
      "SELECT id FROM customers WHERE upper(email) = $1::text AND plan = 'x' OR phone = '5'",
      'pii.email,pii.phone',
      'id',
    ],
    [
      'SELECT email, email IS NULL AS empty FROM customers WHERE email IS NOT NULL',
      'pii.email',
      'email=pii.email empty',
    ],
    [
      'SELECT plan, count(email), count(DISTINCT phone) FROM customers GROUP BY plan HAVING count(email) > 3',
      'pii.email,pii.phone',
      'plan count count',
    ],
    ['SELECT count(*) FILTER (WHERE email IS NULL) FROM customers', 'pii.email', 'count'],
    ['UPDATE leads SET email = (SELECT count(email)::text FROM customers)', 'pii.email', ''],
    [
      'SELECT id FROM leads WHERE EXISTS (SELECT 1 FROM customers WHERE customers.id = leads.id AND customers.email = $1)',
      'pii.email',
      'id',
    ],
    ["COPY (SELECT id FROM customers WHERE email = 'x') TO STDOUT", 'pii.email', '-'],
    ['DECLARE c CURSOR FOR SELECT id FROM customers WHERE email = $1', 'pii.email', '-'],
  ])('%s', async (text, touches, expected) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    expect(facts.touches.join(',')).toBe(touches)
    expect(shown(facts)).toBe(expected)
  })
})

describe('labelled columns are written with values of the client or of unlabelled columns', () => {
  it.each([
    ["INSERT INTO customers (name, email) VALUES ('a', 'b') RETURNING email", 'pii.email', ''],
    [
      "INSERT INTO customers (id, email) VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
      'pii.email',
      '',
    ],
    ['UPDATE customers SET email = $1, phone = lower($2) WHERE id = $3', 'pii.email,pii.phone', ''],
    ["INSERT INTO customers (email) VALUES ('a') ON CONFLICT (email) DO NOTHING", 'pii.email', 'pii.email'],
    ['COPY customers FROM STDIN', 'pii.email,pii.phone', ''],
    ['UPDATE customers SET email = $1 WHERE email = $2', 'pii.email', 'pii.email'],
    [
      'INSERT INTO customers (id, email) VALUES (1, $1) ON CONFLICT (email) DO UPDATE SET email = excluded.email',
      'pii.email',
      'pii.email',
    ],
    ['INSERT INTO customers (id, email) SELECT id, email FROM leads', 'pii.email', ''],
    ['UPDATE customers SET (email, phone) = ($1, $2)', 'pii.email,pii.phone', ''],
    [
      'MERGE INTO customers c USING leads l ON c.id = l.id WHEN MATCHED THEN UPDATE SET email = l.email WHEN NOT MATCHED THEN INSERT (id, email) VALUES (l.id, l.email)',
      'pii.email',
      '',
    ],
    ['COPY customers (id, email) FROM STDIN', 'pii.email', ''],
  ])('%s', async (text, stores, touches) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters).toEqual([])
    expect(facts.stores.join(',')).toBe(stores)
    expect(facts.touches.join(',')).toBe(touches)
  })
})

describe('any other use of a labelled column is a filter, and what is made of it is computed', () => {
  it.each([
    ["SELECT id FROM customers WHERE email LIKE 'a%'", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email ILIKE 'a%' OR id = 5", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email ~ '^a'", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email > 'm'", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE NOT email IN ('a', 'b')", 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b'", 'pii.email', 'id'],
    ['SELECT id FROM customers WHERE email IS DISTINCT FROM phone', 'pii.email,pii.phone', 'id'],
    ['SELECT id FROM customers c JOIN leads l ON l.email = c.email', 'pii.email', 'id'],
    ['SELECT id FROM customers ORDER BY email', 'pii.email', 'id'],
    ['SELECT email FROM customers ORDER BY 1', 'pii.email', 'email=pii.email'],
    ['SELECT id, email FROM customers ORDER BY 2 DESC', 'pii.email', 'id email=pii.email'],
    ['SELECT email AS e FROM customers ORDER BY e', 'pii.email', 'e=pii.email'],
    [
      'SELECT * FROM customers ORDER BY 1',
      'pii.email,pii.phone',
      'id name email=pii.email phone=pii.phone plan country created_at',
    ],
    ['SELECT count(*) FROM customers GROUP BY email', 'pii.email', 'count'],
    ['SELECT email, count(*) FROM customers GROUP BY 1', 'pii.email', 'email=pii.email count'],
    ['SELECT email AS e, count(*) FROM customers GROUP BY e', 'pii.email', 'e=pii.email count'],
    ['SELECT count(*) FROM customers GROUP BY CUBE (plan, email)', 'pii.email', 'count'],
    ['SELECT DISTINCT email FROM customers', 'pii.email', 'email=pii.email'],
    ['SELECT DISTINCT ON (email) id FROM customers', 'pii.email', 'id'],
    ["SELECT plan FROM customers GROUP BY plan, phone HAVING phone > '5'", 'pii.phone', 'plan'],
    ['DELETE FROM customers USING leads l WHERE l.email = customers.email', 'pii.email', ''],
    ["EXPLAIN SELECT id FROM customers WHERE email > 'm'", 'pii.email', '-'],
    ['SELECT lower(email) FROM customers', 'pii.email', 'lower=pii.email!'],
    ['SELECT email || phone FROM customers', 'pii.email,pii.phone', '?column?=pii.email+pii.phone!'],
    ['SELECT email::varchar FROM customers', 'pii.email', 'email=pii.email!'],
    ['SELECT CAST(phone AS int) FROM customers', 'pii.phone', 'phone=pii.phone!'],
    ['SELECT email COLLATE "C" FROM customers', 'pii.email', 'email=pii.email!'],
    ["SELECT email = 'x' FROM customers", 'pii.email', '?column?=pii.email!'],
    ["SELECT coalesce(email, 'x') FROM customers", 'pii.email', 'coalesce=pii.email!'],
    ["SELECT nullif(email, 'x') FROM customers", 'pii.email', 'nullif=pii.email!'],
    ['SELECT greatest(email, phone) FROM customers', 'pii.email,pii.phone', '=pii.email+pii.phone!'],
    ["SELECT CASE WHEN email = 'x' THEN 1 END FROM customers", 'pii.email', 'case=pii.email!'],
    ["SELECT CASE email WHEN 'x' THEN 1 END FROM customers", 'pii.email', 'case=pii.email!'],
    ['SELECT ARRAY[email] FROM customers', 'pii.email', 'array=pii.email!'],
    ['SELECT ROW(email) FROM customers', 'pii.email', 'row=pii.email!'],
    [
      'SELECT count(email), count(DISTINCT email), max(email), min(phone) FROM customers',
      'pii.email,pii.phone',
      'count count max=pii.email! min=pii.phone!',
    ],
    ["SELECT string_agg(email, ',') FROM customers", 'pii.email', 'string_agg=pii.email!'],
    ['SELECT array_agg(name ORDER BY email) FROM customers', 'pii.email', 'array_agg=pii.email!'],
    ['SELECT row_number() OVER (ORDER BY email) FROM customers', 'pii.email', 'row_number=pii.email!'],
    ['SELECT sum(id) OVER w FROM customers WINDOW w AS (PARTITION BY email)', 'pii.email', 'sum=pii.email!'],
    [
      'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY email) FROM customers',
      'pii.email',
      'percentile_disc=pii.email!',
    ],
    ['SELECT id FROM customers ORDER BY lower(email)', 'pii.email', 'id'],
    ['SELECT count(*) FROM customers GROUP BY lower(email)', 'pii.email', 'count'],
    ["SELECT id FROM customers WHERE substr(email, 1, 1) = 'a'", 'pii.email', 'id'],
    ['SELECT id FROM customers WHERE email::int = 5', 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE email || 'x' = 'y'", 'pii.email', 'id'],
    ['SELECT id FROM customers WHERE email IN (SELECT source FROM leads)', 'pii.email', 'id'],
    ["SELECT id FROM customers WHERE CASE WHEN email = 'x' THEN true END", 'pii.email', 'id'],
    ['SELECT customers FROM customers', 'pii.email,pii.phone', 'customers=pii.email+pii.phone!'],
    ['SELECT c FROM customers c', 'pii.email,pii.phone', 'c=pii.email+pii.phone!'],
    ['SELECT c.*::text FROM customers c', 'pii.email,pii.phone', '=pii.email+pii.phone!'],
    ['SELECT ROW(c.*) FROM customers c', 'pii.email,pii.phone', 'row=pii.email+pii.phone!'],
    [
      'SELECT to_jsonb(c), row_to_json(c) FROM customers c',
      'pii.email,pii.phone',
      'to_jsonb=pii.email+pii.phone! row_to_json=pii.email+pii.phone!',
    ],
    ['SELECT json_agg(c) FROM customers c', 'pii.email,pii.phone', 'json_agg=pii.email+pii.phone!'],
    ["SELECT id FROM customers c WHERE c = ROW(1, 'a')", 'pii.email,pii.phone', 'id'],
    ['SELECT id FROM customers c ORDER BY c', 'pii.email,pii.phone', 'id'],
    ['SELECT id FROM customers c GROUP BY id, c', 'pii.email,pii.phone', 'id'],
    ['SELECT c.text FROM customers c', 'pii.email,pii.phone', 'text=pii.email+pii.phone!'],
    ['SELECT ARRAY(SELECT email FROM customers)', 'pii.email', 'array=pii.email!'],
    ["SELECT 'x' UNION SELECT email FROM customers", 'pii.email', '?column?=pii.email'],
    ['SELECT email FROM customers EXCEPT SELECT source FROM leads', 'pii.email', 'email=pii.email'],
    [
      'SELECT * FROM customers JOIN leads USING (email)',
      'pii.email',
      'email=pii.email id name phone=pii.phone plan country created_at id source',
    ],
    [
      'SELECT * FROM customers NATURAL JOIN leads',
      'pii.email',
      'id email=pii.email name phone=pii.phone plan country created_at source',
    ],
    ['SELECT g FROM customers c, generate_series(1, length(c.email)) g', 'pii.email', 'g=pii.email!'],
    ['UPDATE customers SET email = upper(email)', 'pii.email', ''],
    ["UPDATE customers SET plan = 'x' RETURNING lower(email)", 'pii.email', 'lower=pii.email!'],
    ['SELECT id FROM customers LIMIT (SELECT length(email) FROM customers LIMIT 1)', 'pii.email', 'id'],
    [
      'WITH RECURSIVE t AS (SELECT id, email FROM customers UNION ALL SELECT c.id, t.email FROM customers c, t) SEARCH DEPTH FIRST BY email SET path SELECT id, path FROM t',
      'pii.email',
      'id path=pii.email!',
    ],
    [
      'WITH RECURSIVE t AS (SELECT id, email FROM customers UNION ALL SELECT c.id, t.email FROM customers c, t) CYCLE email SET is_cycle USING path SELECT id, is_cycle, path FROM t',
      'pii.email',
      'id is_cycle=pii.email! path=pii.email!',
    ],
    ['INSERT INTO customers SELECT * FROM customers', 'pii.email,pii.phone', ''],
    [
      "MERGE INTO leads l USING customers c ON l.email = c.email WHEN MATCHED AND c.phone LIKE '5%' THEN DELETE",
      'pii.email,pii.phone',
      '',
    ],
    [
      "UPDATE customers SET plan = 'x' RETURNING new, old.plan",
      'pii.email,pii.phone',
      'new=pii.email+pii.phone! plan',
    ],
    ["SELECT JSON_OBJECT('a': email) FROM customers", 'pii.email', 'json_object=pii.email!'],
    ['SELECT JSON_ARRAY(name, phone) FROM customers', 'pii.phone', 'json_array=pii.phone!'],
    ['SELECT JSON_OBJECTAGG(plan: email) FROM customers', 'pii.email', 'json_objectagg=pii.email!'],
    ['SELECT JSON_ARRAYAGG(name ORDER BY email) FROM customers', 'pii.email', 'json_arrayagg=pii.email!'],
    [
      "SELECT JSON_VALUE(to_jsonb(c), '$.email') FROM customers c",
      'pii.email,pii.phone',
      '=pii.email+pii.phone!',
    ],
    ["SELECT JSON_QUERY('{}', '$' PASSING email AS x) FROM customers", 'pii.email', '=pii.email!'],
    ["SELECT JSON_EXISTS(jsonb_build_object('a', phone), '$.a') FROM customers", 'pii.phone', '=pii.phone!'],
    ["SELECT JSON_VALUE('{}', '$.a' DEFAULT email ON EMPTY) FROM customers", 'pii.email', '=pii.email!'],
    [
      'SELECT JSON(email), JSON_SCALAR(phone), JSON_SERIALIZE(email) FROM customers',
      'pii.email,pii.phone',
      'json=pii.email! json_scalar=pii.phone! json_serialize=pii.email!',
    ],
    ['SELECT email IS JSON FROM customers', 'pii.email', '?column?=pii.email!'],
    [
      "SELECT j.a, j.b FROM customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (a int PATH '$.id', NESTED PATH '$.x' COLUMNS (b text PATH '$'))) j",
      'pii.email,pii.phone',
      'a=pii.email+pii.phone! b=pii.email+pii.phone!',
    ],
    ['SELECT xmlelement(name a, xmlattributes(email AS x)) FROM customers', 'pii.email', '=pii.email!'],
    [
      'SELECT xmlconcat(xmlelement(name a, phone)), xmlpi(name x, email), xmlparse(content email), xmlserialize(content xmlparse(content phone) AS text) FROM customers',
      'pii.email,pii.phone',
      '=pii.phone! =pii.email! =pii.email! xmlserialize=pii.phone!',
    ],
    [
      "SELECT x.a FROM customers c, XMLTABLE('/r' PASSING xmlelement(name r, c.email) COLUMNS a text PATH '.') x",
      'pii.email',
      'a=pii.email!',
    ],
    ['SELECT 1 FROM customers c, orders TABLESAMPLE SYSTEM (length(c.email))', 'pii.email', '?column?'],
    ['SELECT lag(email) OVER (ORDER BY id) FROM customers', 'pii.email', 'lag=pii.email!'],
    [
      'SELECT first_value(id) OVER (PARTITION BY plan ORDER BY email) FROM customers',
      'pii.email',
      'first_value=pii.email!',
    ],
    ["SELECT u FROM customers c, unnest(ARRAY[c.email, 'x']) AS u", 'pii.email', 'u=pii.email!'],
    [
      'SELECT r.a FROM customers c, jsonb_to_record(to_jsonb(c)) AS r (a text)',
      'pii.email,pii.phone',
      'a=pii.email+pii.phone!',
    ],
    ['SELECT email[1:2] FROM customers', 'pii.email', 'email=pii.email!'],
    [
      'SELECT "case" FROM (SELECT CASE WHEN plan = \'x\' THEN email END FROM customers) s',
      'pii.email',
      'case=pii.email!',
    ],
    ['SELECT s."?column?" FROM (SELECT email || \'x\' FROM customers) s', 'pii.email', '?column?=pii.email!'],
    ['EXPLAIN SELECT email FROM customers ORDER BY email', 'pii.email', '-'],
    ['SELECT s.e FROM (SELECT DISTINCT email AS e FROM customers) s', 'pii.email', 'e=pii.email'],
  ])('%s', async (text, filters, expected) => {
    const facts = await factsOf(text)
    expect(facts.escape).toBeUndefined()
    expect(facts.filters.join(',')).toBe(filters)
    expect(shown(facts)).toBe(expected)
    expect(facts.labels).toEqual(labelsIn(expected))
  })
})

describe('where masks cannot follow, labelled values escape', () => {
  it.each([
    ['INSERT INTO leads (id, email) SELECT id, email FROM customers', 'pii.email'],
    ['INSERT INTO leads (email) VALUES ((SELECT email FROM customers LIMIT 1))', 'pii.email'],
    ['UPDATE customers SET name = email', 'pii.email'],
    ['UPDATE leads SET email = c.email FROM customers c WHERE c.id = leads.id', 'pii.email'],
    [
      'INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = customers.email',
      'pii.email',
    ],
    ['COPY (SELECT email FROM customers) TO STDOUT', 'pii.email'],
    ['DECLARE c CURSOR FOR SELECT email FROM customers', 'pii.email'],
    ['INSERT INTO customers (id, phone) SELECT id, email FROM customers', 'pii.email'],
    ['INSERT INTO leads SELECT c.* FROM customers c', 'pii.email,pii.phone'],
    [
      'UPDATE customers SET (email, phone) = (SELECT phone, email FROM customers LIMIT 1)',
      'pii.email,pii.phone',
    ],
    [
      'MERGE INTO leads l USING customers c ON l.id = c.id WHEN NOT MATCHED THEN INSERT (id, email) VALUES (c.id, c.email)',
      'pii.email',
    ],
    ['INSERT INTO audited (id) VALUES (1)', 'pii.email'],
  ])('%s', async (text, labels) => {
    const facts = await factsOf(text)
    expect(facts.escape?.labels.join(',')).toBe(labels)
    expect(facts.escape?.reason).toMatch(/^[\x20-\x7e]{10,199}$/)
  })

  it('and who may see those still gets the others masked', async () => {
    const facts = await factsOf('UPDATE customers SET name = email RETURNING phone')
    expect(facts.escape?.labels).toEqual(['pii.email'])
    expect(shown(facts)).toBe('phone=pii.phone')
    expect(facts.labels).toEqual(['pii.phone'])
  })
})
