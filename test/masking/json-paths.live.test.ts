/** Labels of paths inside json and jsonb: what lies there is masked, the rest is shown, and any other use is that of the label. */
import { beforeAll, describe, expect, test } from 'vitest'
import { targetOf } from '../abuse/world.ts'
import { UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { teardown } from '../support/teardown.ts'
import { psqlRows } from '../support/psql.ts'
import type { Cell, Format } from './line.ts'
import { Line } from './line.ts'

const MARK = 'zqxjkvw'

/** By id: a document, and what is shown of it. */
const DOCUMENTS: readonly (readonly [document: string, shown: string])[] = [
  [
    `{"contact": {"email": "${MARK}@example.com", "city": "Bonn"}, "n": 1.50}`,
    '{"contact": {"email": "z***@example.com", "city": "Bonn"}, "n": 1.50}',
  ],
  // Escapes in names and values, the same name twice, and beside one that only looks like it.
  [
    String.raw`{"cont\u0061ct":{"em\u0061il":"\u007aqxjkvw@example.com","email":"${MARK}2@example.com"},"contact.email":"shown"}`,
    String.raw`{"cont\u0061ct":{"em\u0061il":"z***@example.com","email":"z***@example.com"},"contact.email":"shown"}`,
  ],
  ['{"contact":{"email":null}}', '{"contact":{"email":null}}'],
  ['{"contact":{"email":987654321}}', '{"contact":{"email":null}}'],
  [`{"contact":{"email":{"at":["${MARK}"]}}}`, '{"contact":{"email":null}}'],
  [
    `[{"contact":[{"email":["${MARK}@example.com"]}]},{"contact":{"email":"${MARK}"}}]`,
    '[{"contact":[{"email":null}]},{"contact":{"email":"[masked]"}}]',
  ],
  [
    `{"cards":[[{"no":"4111111111111111"}],{"no":"55 ${MARK}"}],"email":"shown"}`,
    '{"cards":[[{"no":"***1111"}],{"no":"***jkvw"}],"email":"shown"}',
  ],
  ['"contact"', '"contact"'],
  ['{}', '{}'],
]

const SQL = `
CREATE TABLE profiles (id int PRIMARY KEY, plain json, doc jsonb, docs jsonb[], other jsonb, word text);
CREATE TABLE copies (id int, doc jsonb);
CREATE DOMAIN d_doc AS jsonb;
CREATE TABLE odd (id int, doc d_doc, word text, made jsonb GENERATED ALWAYS AS (doc -> 'contact') STORED);
CREATE VIEW profile_list AS SELECT id, doc AS document FROM profiles;
INSERT INTO odd VALUES (1, '{"contact":{"email":"${MARK}@example.com"}}', '{"contact":{"email":"${MARK}@example.com"}}');
`

describe('labels of paths inside JSON columns', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let blind: Line
  let half: Line
  let seeing: Line
  let filtering: Line

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
    const client = await server.client()
    await client.query(SQL)
    for (const [i, [document]] of DOCUMENTS.entries()) {
      await client.query(
        'INSERT INTO profiles VALUES ($1, $2::text::json, $2::text::jsonb, ARRAY[$2::text::jsonb, NULL], $2::text::jsonb, $2::text)',
        [i, document],
      )
    }
    await client.query('INSERT INTO profiles (id) VALUES (100)')
    await client.end()
    gateway = await startGateway({
      config: `listen:
  postgres: { port: 0 }
identities:
  local:
    - { name: blind, kind: service, groups: [some] }
    - { name: half, kind: service, groups: [some] }
    - { name: seeing, kind: service, groups: [some] }
    - { name: filtering, kind: service, groups: [some] }
labels:
  pii.email: { mask: { kind: partial, of: email } }
  pay.card: { mask: { kind: partial, of: last, keep: 4 } }
connections:
  profiles:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [postgres]
    labels:
      "public.profiles.plain: contact.email": pii.email
      "public.profiles.doc: contact.email": pii.email
      "public.profiles.docs: contact.email": pii.email
      "public.profiles.plain: cards[].no": pay.card
      "*.profiles.doc: cards[].no": pay.card
      "public.profiles.docs: cards[].no": pay.card
      "public.odd.doc: contact.email": pii.email
      "public.odd.word: contact.email": pii.email
      "public.copies.doc: contact.phone": pii.email
    limit: { rows: 1000, bytes: 20MiB }
rules:
  - name: some read and write
    who: { groups: [some] }
    on: all
    permit: { run: [read, write], unreviewed: [read, write], store: all }
  - name: half
    who: { identities: ["service:half"] }
    on: all
    permit: { see: [pay.card] }
  - name: seeing
    who: { identities: ["service:seeing"] }
    on: all
    permit: { see: all }
  - name: filtering
    who: { identities: ["service:filtering"] }
    on: all
    permit: { filter: all }
`,
      env: { [UPSTREAM_PASSWORD]: server.password },
    })
    later(() => gateway.stop())
    blind = await Line.open(targetOf(await gateway.dsn('profiles', 'blind')))
    half = await Line.open(targetOf(await gateway.dsn('profiles', 'half')))
    seeing = await Line.open(targetOf(await gateway.dsn('profiles', 'seeing')))
    filtering = await Line.open(targetOf(await gateway.dsn('profiles', 'filtering')))
    later(async () => {
      for (const line of [blind, half, seeing, filtering]) await line.close()
    })
  }, 120_000)

  const textOf = (cell: Cell | undefined) => cell?.toString() ?? null
  /** As jsonb writes it. */
  const canonical = async (text: string) => {
    const [row] = await server.sql('SELECT $1::jsonb::text AS t', [text])
    return String(row?.['t'])
  }

  test('in json all but what lies there is as it was written, in text and binary (P-02)', async () => {
    for (const format of ['text', 'binary'] as const) {
      const rows = await blind.extended('SELECT plain FROM profiles WHERE id < 100 ORDER BY id', format)
      expect(rows.map(([cell]) => textOf(cell))).toEqual(DOCUMENTS.map(([, shown]) => shown))
    }
    const rows = await blind.simple('SELECT plain FROM profiles WHERE id = 100')
    expect(rows).toEqual([[null]])
  })

  test('in jsonb, also of an array, a view, a subquery, UNION ALL, a cursor and COPY (P-02)', async () => {
    const shown: string[] = []
    for (const [, each] of DOCUMENTS) {
      // The second of two members of one name is the one that is stored.
      shown.push(await canonical(each))
    }
    const forms = [
      'SELECT doc FROM profiles WHERE id < 100 ORDER BY id',
      'SELECT document FROM profile_list WHERE id < 100 ORDER BY id',
      'SELECT d FROM (SELECT id, doc AS d FROM profiles) AS x WHERE id < 100 ORDER BY id',
      'WITH x AS (TABLE profiles) SELECT doc FROM x WHERE id < 100 ORDER BY id',
      '(SELECT doc FROM profiles WHERE id < 100 ORDER BY id) UNION ALL SELECT doc FROM copies',
    ]
    for (const sql of forms) {
      for (const format of ['text', 'binary'] as const) {
        const rows = await blind.extended(sql, format)
        const version = format === 'binary' ? '\u0001' : ''
        expect(
          rows.map(([cell]) => textOf(cell)),
          sql,
        ).toEqual(shown.map((each) => version + each))
      }
    }
    const copied = await blind.copyOut('COPY (SELECT doc FROM profiles WHERE id < 100 ORDER BY id) TO STDOUT')
    expect(copied.toString()).toBe(shown.map((each) => `${each.replaceAll('\\', '\\\\')}\n`).join(''))
    const binary = await blind.copyOut(
      'COPY (SELECT doc FROM profiles ORDER BY id) TO STDOUT (FORMAT binary)',
    )
    expect(binary.toString('latin1')).not.toContain(MARK)
    expect(binary.toString('latin1')).toContain('z***@example.com')
    for (const format of ['text', 'binary'] as const) {
      const rows = await blind.extended('SELECT docs FROM profiles WHERE id = 0', format)
      expect(textOf(rows[0]?.[0])).toContain('z***@example.com')
      expect(textOf(rows[0]?.[0])).toContain('Bonn')
      expect(textOf(rows[0]?.[0])).not.toContain(MARK)
    }
  })

  test('every value that is shown is taken back by the server, in both formats', async () => {
    const direct = await Line.open({
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
      database: 'postgres',
    })
    for (const format of ['text', 'binary'] as const satisfies readonly Format[]) {
      for (const row of await blind.extended('SELECT plain, doc, docs FROM profiles', format)) {
        const sql = 'SELECT $1::json, $2::jsonb, $3::jsonb[]'
        expect(await direct.extended(sql, format, { values: row, as: format })).toHaveLength(1)
      }
    }
    await direct.close()
  })

  test('who sees one label gets its path in clear, and who sees all gets all', async () => {
    const sql = 'SELECT doc FROM profiles WHERE id IN (0, 6) ORDER BY id'
    const [first, second] = await half.simple(sql)
    expect(textOf(first?.[0])).toContain('z***@example.com')
    expect(textOf(second?.[0])).toContain('4111111111111111')
    const all = (await seeing.simple(sql)).map(([cell]) => textOf(cell)).join()
    expect(all).toContain(`${MARK}@example.com`)
    expect(all).toContain('4111111111111111')
    expect(
      (await seeing.simple("SELECT doc->'contact'->>'email' FROM profiles WHERE id = 0")).map(([c]) =>
        textOf(c),
      ),
    ).toEqual([`${MARK}@example.com`])
  })

  test.each([
    "SELECT doc->'contact' FROM profiles",
    "SELECT doc->>'n' FROM profiles",
    "SELECT doc['contact'] FROM profiles",
    "SELECT doc #>> '{contact,email}' FROM profiles",
    'SELECT doc::text FROM profiles',
    'SELECT doc::json FROM profiles',
    'SELECT plain::jsonb FROM profiles',
    'SELECT docs[1] FROM profiles',
    'SELECT jsonb_pretty(doc) FROM profiles',
    'SELECT to_jsonb(p) FROM profiles p',
    'SELECT p FROM profiles p',
    'SELECT jsonb_agg(doc) FROM profiles',
    'SELECT e.value FROM profiles, jsonb_each_text(doc) e',
    "SELECT jsonb_path_query(doc, '$.contact.email') FROM profiles",
    'SELECT coalesce(doc, other) FROM profiles',
    `SELECT id FROM profiles WHERE doc->'contact'->>'email' = '${MARK}@example.com'`,
    `SELECT id FROM profiles WHERE doc @> '{"contact":{"email":"x"}}'`,
    `SELECT id FROM profiles WHERE doc ? 'contact'`,
    'SELECT id FROM profiles ORDER BY doc',
    'SELECT DISTINCT doc FROM profiles',
    'SELECT doc FROM profiles UNION SELECT doc FROM copies',
    'INSERT INTO copies SELECT id, doc FROM profiles',
    'UPDATE profiles SET word = doc::text',
    "UPDATE profiles SET doc = jsonb_build_object('moved', doc)",
    'UPDATE profiles SET other = doc',
    'MERGE INTO copies c USING profiles p ON c.id = p.id WHEN NOT MATCHED THEN INSERT VALUES (p.id, p.doc)',
    'CREATE TEMP TABLE t AS SELECT doc FROM profiles',
  ])('any other use is refused, or hidden whole: %s (P-02)', async (sql) => {
    await expect(blind.simple(sql)).rejects.toThrow(/SL001/)
    const shown = await filtering.simple(sql).catch((error: unknown) => String(error))
    const said = typeof shown === 'string' ? shown : shown.flat().map(textOf).join()
    if (typeof shown === 'string') expect(said).toMatch(/SL001|More is not shown/)
    expect(said).not.toContain(MARK)
    expect(said).not.toContain('4111111111111111')
  })

  test('the touch rule holds for the whole value, and the client writes what it likes', async () => {
    expect(await blind.simple("SELECT id FROM profiles WHERE doc = '{}'")).toHaveLength(1)
    expect(await blind.simple('SELECT id FROM profiles WHERE doc IS NULL')).toHaveLength(1)
    expect(await blind.simple('SELECT count(doc) FROM profiles')).toHaveLength(1)
    await blind.simple(
      `INSERT INTO profiles (id, doc) VALUES (200, '{"contact":{"email":"new@example.com"}}')`,
    )
    const rows = await blind.simple(
      `UPDATE profiles SET doc = '{"contact":{"email":"other@example.com"}}' WHERE id = 200 RETURNING doc`,
    )
    expect(textOf(rows[0]?.[0])).toBe('{"contact": {"email": "o***@example.com"}}')
    await expect(
      blind.simple(`UPDATE profiles SET doc = '{"contact":{"email":"o***@example.com"}}' WHERE id = 200`),
    ).rejects.toThrow(/Do not write masked values back/)
    await blind.simple('DELETE FROM profiles WHERE id = 200')
  })

  test('what is no JSON is hidden whole; a domain is what it is over; what is computed from one is hidden whole', async () => {
    for (const format of ['text', 'binary'] as const) {
      const [row = []] = await blind.extended('SELECT id, doc, word, made FROM odd', format)
      const [, doc, word, made] = row.map((cell) => textOf(cell)?.replace('\u0001', ''))
      expect(doc).toBe('{"contact": {"email": "z***@example.com"}}')
      expect(word).toBe('[masked]')
      // As every value of its type that is hidden whole.
      expect(made).toBeUndefined()
    }
  })

  test('documents of 2 MB are masked, those beyond the limit hidden whole (P-02)', async () => {
    const filler = 'lorem ipsum dolor sit amet '.repeat(37)
    for (const [megabytes, isMasked] of [
      [2, true],
      [5, false],
    ] as const) {
      await server.sql(
        `INSERT INTO profiles (id, plain, doc) SELECT 300, d, d::jsonb FROM (SELECT json_build_object('contact', json_build_array(
          json_build_object('email', '${MARK}@example.com')), 'rest', array_agg($1 || i), 'contact', json_build_object('email',
          '${MARK}2@example.com')) AS d FROM generate_series(1, $2) i) AS x`,
        [filler, megabytes * 1024],
      )
      for (const sql of [
        'SELECT plain FROM profiles WHERE id = 300',
        'SELECT id, doc FROM profiles WHERE id = 300',
      ]) {
        for (const format of ['text', 'binary'] as const) {
          const [row = []] = await blind.extended(sql, format)
          const cell = textOf(row.at(-1)) ?? ''
          expect(cell).not.toContain(MARK)
          if (isMasked) expect(cell.length).toBeGreaterThan(2_000_000)
          else expect(cell.replace('\u0001', '')).toBe('"[masked]"')
          if (isMasked) expect(cell).toContain('z***@example.com')
        }
        const copied = await blind.copyOut(`COPY (${sql}) TO STDOUT`)
        expect(copied.includes(MARK)).toBe(false)
        expect(copied.includes(isMasked ? 'z***@example.com' : '[masked]')).toBe(true)
      }
      await server.sql('DELETE FROM profiles WHERE id = 300')
    }
  })

  test('sluice.masked_columns names the paths, and policy explain the labels', async () => {
    const dsn = await gateway.dsn('profiles', 'blind')
    const rows = await psqlRows(dsn, `SELECT "table", "column", label FROM sluice.masked_columns`)
    expect(rows).toContain('profiles\tdoc: contact.email\tpii.email')
    expect(rows).toContain('profiles\tdoc: cards[].no\tpay.card')
    const told = await gateway.cli([
      'policy',
      'explain',
      '--as',
      'blind',
      '--on',
      'profiles',
      'SELECT doc FROM profiles',
    ])
    expect(told.stdout).toContain('pii.email')
  })
})
