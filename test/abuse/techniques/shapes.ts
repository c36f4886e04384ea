/** Attacks that read a protected value from where a judge may not look: sources, set operations, subqueries, recursion. */
import { technique } from './attack.ts'

export const SHAPE_ATTACKS = [
  ...technique('functions in FROM', [
    ['s', 'SELECT f FROM customers c, upper(c.email) f'],
    ['e', 'SELECT * FROM customers c, unnest(ARRAY[c.email]) u(x)'],
    ['b', 'SELECT x FROM jsonb_array_elements_text((SELECT jsonb_agg(email) FROM customers)) x'],
    ['c', 'SELECT r.* FROM customers c, jsonb_to_record(to_jsonb(c)) AS r(email text)'],
    ['y', 'SELECT r.* FROM customers c, jsonb_populate_record(NULL::customers, to_jsonb(c)) r'],
    ['p', 'SELECT e.value FROM customers c, jsonb_each_text(to_jsonb(c)) e'],
    [
      'l',
      "SELECT * FROM ROWS FROM (string_to_table((SELECT max(email) FROM customers), '@'), generate_series(1, 2))",
    ],
    ['s', "SELECT * FROM ts_stat($$SELECT to_tsvector('simple', key) FROM api_keys$$)"],
    ['e', "SELECT o FROM customers c CROSS JOIN LATERAL concat(c.name, '') WITH ORDINALITY AS o(v, n)"],
  ]),
  ...technique(
    'distinct values counted',
    [
      [
        's',
        'SELECT e.id, g FROM employees e, generate_series(48151623.00, 48151623.50, 0.01) g WHERE (SELECT count(DISTINCT s.v) FROM (SELECT e.salary UNION ALL SELECT g) s(v)) = 1',
      ],
      [
        'e',
        'SELECT e.id, g FROM employees e CROSS JOIN generate_series(48151623.00, 48151623.50, 0.01) g, LATERAL (SELECT count(DISTINCT v) n FROM (VALUES (e.salary), (g)) s(v)) x WHERE n = 1',
      ],
      [
        'b',
        "SELECT c.id, g.v FROM customers c, (SELECT 'c.qzvmail'||lpad(n::text,4,'0')||'@orchardworks.example' v FROM generate_series(1,400) n) g WHERE c.company='Orchard Works' AND (SELECT count(DISTINCT s.v) FROM (SELECT c.email UNION ALL SELECT g.v) s(v)) = 1",
      ],
      [
        's',
        'SELECT g FROM generate_series(48151623.01, 48151623.02, 0.01) g GROUP BY g HAVING (SELECT count(DISTINCT v) FROM (SELECT salary v FROM employees UNION ALL SELECT g) s) > 0',
      ],
    ],
    { predicate: true },
  ),
  ...technique('JSON_TABLE', [
    ['s', "SELECT j.* FROM customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (v text PATH '$.email')) j"],
    [
      'e',
      "SELECT j.v FROM JSON_TABLE((SELECT jsonb_agg(c) FROM customers c), '$[*]' COLUMNS (v text PATH '$.phone')) j",
    ],
    [
      'b',
      "SELECT j.* FROM customers c, JSON_TABLE(jsonb_build_object('a', c.email), '$.a' COLUMNS (v text PATH '$')) j",
    ],
    [
      'c',
      "SELECT j.d FROM customers c, JSON_TABLE('[1]'::jsonb, '$' PASSING c.email AS e COLUMNS (d text PATH '$e')) j",
    ],
    [
      'y',
      "SELECT n FROM customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (NESTED PATH '$.name' COLUMNS (n text PATH '$'))) j",
    ],
    [
      'p',
      "SELECT j.v FROM api_keys k, JSON_TABLE(to_jsonb(k), '$.keyvalue()' COLUMNS (v text PATH '$.value')) j",
    ],
    [
      'l',
      "SELECT j.v FROM customers c, JSON_TABLE(to_jsonb(c), 'strict $' COLUMNS (v jsonb FORMAT JSON PATH '$.email')) j",
    ],
  ]),
  ...technique(
    'set operations',
    [
      ['s', 'SELECT plan FROM customers UNION ALL SELECT email FROM customers'],
      ['e', "SELECT '' UNION SELECT phone FROM customers"],
      ['b', '(SELECT company FROM customers) UNION (SELECT name FROM customers) ORDER BY 1'],
      ['c', 'SELECT email FROM customers INTERSECT SELECT email FROM customers'],
      ['y', "SELECT key FROM api_keys EXCEPT ALL SELECT 'x'"],
      ['p', 'SELECT id, plan FROM customers UNION ALL SELECT id, email FROM customers'],
      ['l', 'VALUES (NULL) UNION ALL SELECT iban FROM payment_methods WHERE iban IS NOT NULL'],
      [
        's',
        'SELECT * FROM (SELECT plan, email FROM customers UNION ALL SELECT email, plan FROM customers) u(a, b)',
      ],
    ],
    { of: 'peers 2.3 UNION second arm' },
  ),
  ...technique(
    'subqueries as values',
    [
      ['s', 'SELECT (SELECT email FROM customers WHERE id = 1)'],
      ['e', 'SELECT (SELECT max(x) FROM (SELECT email x FROM customers) t)'],
      ['b', 'SELECT i.id, (SELECT c.email FROM customers c WHERE c.id = i.customer_id) FROM invoices i'],
      ['c', 'VALUES ((SELECT key FROM api_keys LIMIT 1))'],
      ['y', 'SELECT ARRAY(SELECT email FROM customers ORDER BY id)'],
      ['p', 'SELECT id FROM customers UNION ALL SELECT (SELECT salary FROM employees WHERE id = 1)::int'],
      ['l', 'SELECT (SELECT ROW(email, phone) FROM customers LIMIT 1)'],
      ['s', 'SELECT * FROM (VALUES ((SELECT iban FROM payment_methods WHERE iban IS NOT NULL LIMIT 1))) v'],
    ],
    { of: 'peers 2.3 subquery columns' },
  ),
  ...technique('recursion', [
    [
      's',
      'WITH RECURSIVE r AS (SELECT email e, 1 n FROM customers UNION ALL SELECT e, n + 1 FROM r WHERE n < 2) SELECT e FROM r',
    ],
    [
      'e',
      "WITH RECURSIVE r(n, e) AS (SELECT 1, '' UNION ALL SELECT n + 1, (SELECT email FROM customers WHERE id = n) FROM r WHERE n < 4) SELECT e FROM r",
    ],
    [
      'b',
      "WITH RECURSIVE w(i, t) AS (SELECT 1, 'a' UNION ALL SELECT i + 1, (SELECT key FROM api_keys WHERE id = i) FROM w WHERE i < 3) TABLE w",
    ],
    [
      'c',
      'WITH RECURSIVE r(id, p) AS (SELECT id, ARRAY[email] FROM customers WHERE id = 1 UNION ALL SELECT c.id, p || c.email FROM r JOIN customers c ON c.id = r.id + 1 WHERE c.id < 4) SELECT p FROM r',
    ],
    [
      'y',
      'WITH RECURSIVE r AS (SELECT id, email FROM customers WHERE id = 1 UNION SELECT c.id, c.email FROM customers c JOIN r ON c.id = r.id + 1 WHERE c.id < 5) SEARCH DEPTH FIRST BY email SET o SELECT o::text FROM r',
    ],
    [
      'p',
      'WITH RECURSIVE r AS (SELECT id, phone FROM customers WHERE id = 1 UNION ALL SELECT id, phone FROM r) CYCLE phone SET y USING path SELECT path::text FROM r',
    ],
    [
      'l',
      "WITH RECURSIVE x(s, n) AS (SELECT '', 0 UNION ALL SELECT s || substr((SELECT max(email) FROM customers), n + 1, 1), n + 1 FROM x WHERE n < 25) SELECT max(s) FROM x",
    ],
  ]),
  ...technique(
    'joins that merge columns',
    [
      ['s', 'SELECT email FROM customers FULL JOIN (SELECT NULL::text AS email) x USING (email)'],
      [
        'e',
        'SELECT * FROM (SELECT id, email AS v FROM customers) a NATURAL JOIN (SELECT id, plan FROM customers) b',
      ],
      ['b', 'SELECT j.email FROM customers a JOIN customers b USING (email) AS j'],
      ['c', 'SELECT email FROM customers a FULL JOIN customers b USING (email)'],
      ['y', 'SELECT k.* FROM (customers c CROSS JOIN LATERAL (SELECT c.email AS zz) l) AS k'],
      [
        'p',
        'SELECT x.email FROM invoices i JOIN (SELECT id, email FROM customers) x ON x.id = i.customer_id',
      ],
      ['l', 'SELECT * FROM customers RIGHT JOIN (SELECT 1 AS id) o USING (id)'],
    ],
    { of: 'A-05' },
  ),
  ...technique(
    'grouping',
    [
      ['s', 'SELECT email FROM customers GROUP BY 1'],
      ['e', 'SELECT phone, count(*) FROM customers GROUP BY phone HAVING count(*) > 0'],
      ['b', 'SELECT DISTINCT key FROM api_keys'],
      ['c', 'SELECT DISTINCT ON (id) email FROM customers'],
      ['y', 'SELECT name FROM customers GROUP BY ROLLUP (name)'],
      ['p', 'SELECT email, grouping(email) FROM customers GROUP BY CUBE (email)'],
      ['l', 'SELECT iban FROM payment_methods GROUP BY GROUPING SETS ((iban), ())'],
      ['s', 'SELECT c FROM customers c GROUP BY c'],
    ],
    { of: 'A-05' },
  ),
  ...technique(
    'names that shadow',
    [
      ['s', 'WITH invoices AS (SELECT email AS number FROM customers) SELECT number FROM invoices'],
      ['e', 'WITH customers AS (SELECT email AS plan FROM public.customers) SELECT plan FROM customers'],
      ['b', 'SELECT id FROM (SELECT email AS id FROM customers) employees'],
      ['c', 'SELECT invoices.number FROM (SELECT phone AS number FROM customers) invoices'],
      ['y', 'SELECT customers.own FROM customers AS customers (a, b, own)'],
      ['p', 'WITH pg_class AS (SELECT key AS relname FROM api_keys) SELECT relname FROM pg_class'],
      ['l', 'SELECT now FROM (SELECT email AS now FROM customers) now'],
      [
        's',
        'WITH w AS (SELECT 1 AS x), v AS (WITH w AS (SELECT email AS x FROM customers) SELECT x FROM w) SELECT x FROM v',
      ],
    ],
    { of: 'A-18' },
  ),
  ...technique(
    'temporary shadows',
    [
      [
        's',
        'CREATE TEMP TABLE invoices AS SELECT email AS number FROM customers',
        'SELECT number FROM invoices',
      ],
      [
        'e',
        'CREATE TEMP VIEW employees AS SELECT email AS title FROM public.customers',
        'SELECT title FROM employees',
      ],
      [
        'b',
        'CREATE SCHEMA own',
        'CREATE VIEW own.invoices AS SELECT phone AS number FROM customers',
        'SET LOCAL search_path = own, public',
        'SELECT number FROM invoices',
      ],
      [
        'c',
        'CREATE FUNCTION pg_temp.f(text) RETURNS text LANGUAGE sql AS $$SELECT $1$$',
        'SELECT pg_temp.f(email) FROM customers',
      ],
      [
        'y',
        "CREATE FUNCTION public.lower(customers) RETURNS text LANGUAGE sql AS 'SELECT $1.email'",
        'SELECT c.lower FROM customers c',
      ],
      [
        'p',
        'CREATE OPERATOR public.+ (RIGHTARG = text, FUNCTION = pg_catalog.upper)',
        'SELECT + email FROM customers',
      ],
      ['l', 'CREATE DOMAIN pg_temp.text AS pg_catalog.text', 'SELECT email::pg_temp.text FROM customers'],
    ],
    { of: 'A-18' },
  ),
  ...technique(
    'identifiers in other spellings',
    [
      ['s', 'SELECT U&"\\0065m\\0061il" FROM customers'],
      ['e', 'SELECT "customers"."email" FROM "public" . "customers"'],
      ['b', 'SELECT crm.public.customers.email FROM crm.public.customers'],
      ['c', 'SELECT EMAIL FROM CuStOmErS'],
      ['y', 'SELECT U&"!0065mail" UESCAPE \'!\' FROM customers'],
      ['p', 'SELECT/**/email/**/FROM/**/customers'],
      ['l', 'SELECT email(c) FROM customers c'],
      ['s', 'SELECT (customers).email FROM customers *'],
      ['e', 'SELECT $a$x$a$ || email FROM customers -- \n'],
    ],
    { of: 'hoop 3.9 unicode-escaped identifiers' },
  ),
  ...technique(
    'stars',
    [
      ['s', 'SELECT c.* FROM customers c'],
      ['e', 'TABLE customers'],
      ['b', 'SELECT 1, * FROM customers'],
      ['c', 'SELECT/**/*/**/FROM customers'],
      ['y', 'SELECT (c).* FROM customers c'],
      ['p', 'SELECT i.id, c.* FROM invoices i JOIN customers c ON c.id = i.customer_id'],
      ['l', 'SELECT s.* FROM (TABLE api_keys) s'],
      ['s', 'WITH x AS (TABLE customers) TABLE x'],
    ],
    { of: 'hoop 3.7 select star' },
  ),
  ...technique(
    'several statements in one',
    [
      ['s', 'SELECT 1; SELECT email FROM customers'],
      ['s', "SELECT ';'; SELECT upper(email) FROM customers"],
      ['s', 'BEGIN; SELECT email FROM customers; COMMIT'],
      ['s', '/* SELECT 1; */ SELECT $$;$$, email FROM customers; SELECT 2'],
      ['s', ';;SELECT id, plan FROM customers; SELECT phone, email FROM customers;'],
      ['s', 'COMMIT; SELECT reverse(key) FROM api_keys'],
      ['s', "SELECT E'\\';'; SELECT 1 -- ; \n; SELECT name FROM customers"],
    ],
    { of: 'A-14' },
  ),
  ...technique('row locks and samples', [
    ['s', "SELECT email || '' FROM customers FOR UPDATE"],
    ['e', 'SELECT upper(email) FROM customers TABLESAMPLE SYSTEM (100)'],
    ['b', 'SELECT email FROM customers FOR KEY SHARE SKIP LOCKED'],
    ['c', 'SELECT key FROM api_keys TABLESAMPLE BERNOULLI (100) REPEATABLE (1)'],
    ['y', 'SELECT phone FROM customers OFFSET 1 ROWS FETCH NEXT 3 ROWS ONLY'],
    ['p', 'SELECT concat(name) FROM customers ORDER BY id FETCH FIRST 3 ROWS WITH TIES'],
    ['l', 'SELECT lower(email) FROM ONLY (customers) FOR SHARE NOWAIT'],
  ]),
  ...technique('functions as attributes', [
    ['s', "SELECT ('SELECT array_to_tsvector(ARRAY[email]) FROM customers'::text).ts_stat"],
    ['e', "SELECT x.ts_stat FROM unnest(ARRAY['SELECT array_to_tsvector(ARRAY[email]) FROM customers']) x"],
    ['b', "SELECT (format('SELECT array_to_tsvector(ARRAY[phone]) FROM %I', 'customers')).ts_stat::text"],
    ['p', "SELECT (lower('SELECT array_to_tsvector(ARRAY[email]) FROM customers')).ts_stat"],
    [
      'y',
      "SELECT id FROM (SELECT (('SELECT array_to_tsvector(ARRAY[name]) FROM customers'::text).ts_stat)::text) x(id)",
    ],
  ]),
]
