/** COPY FROM into labelled columns: masked values do not come back, whatever they are wrapped in; everything else does. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { beforeAll, describe, expect, test } from 'vitest'
import type { CopyForm, LabelName } from '../../src/core/index.ts'
import { brand } from '../../src/core/index.ts'
import { copySearch } from '../../src/protocols/postgres/requests/copy-search.ts'
import { targetOf } from '../abuse/world.ts'
import type { Target } from '../differential/raw-client.ts'
import {
  bind,
  copyData,
  copyDone,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from '../differential/raw-client.ts'
import { UPSTREAM_PASSWORD } from '../support/config.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { startTestServer } from '../support/postgres.ts'
import { run } from '../support/process.ts'
import { psql, psqlRows } from '../support/psql.ts'
import { teardown } from '../support/teardown.ts'

const SQL = `
CREATE TABLE people (id int PRIMARY KEY, email text, token text,
  phone text, ref uuid, doc jsonb, note text);
INSERT INTO people SELECT i, 'person' || i || '@example.com', 'token ' || i, '+49 30 12345' || i,
  gen_random_uuid(), '{"a": 1}', 'note' FROM generate_series(1, 3) i;
CREATE TABLE shouted (shout text GENERATED ALWAYS AS (upper(note)) STORED, token text, note text);
`

const COLUMNS = ['id', 'email', 'token', 'phone', 'ref', 'doc', 'note'] as const
const REFUSED = /SL001|Do not write masked values back/

describe('the write-back guard in COPY FROM STDIN', () => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let dsn: string
  let target: Target
  /** A row as its reader sees it. */
  let masked: Readonly<Record<(typeof COLUMNS)[number], string>>

  beforeAll(async () => {
    server = await startTestServer(18)
    later(() => server.stop('immediate'))
    const client = await server.client()
    await client.query(SQL)
    await client.end()
    gateway = await startGateway({
      config: `listen:
  postgres: { port: 0 }
identities:
  local:
    - { name: writer, kind: service, groups: [writers] }
labels:
  pii.email: { mask: { kind: partial, of: email } }
  pii.token: { mask: hash }
  pii.phone: { mask: { kind: pseudonym, of: phone } }
  pii.ref: { mask: { kind: pseudonym, of: uuid } }
  pii.doc: { mask: full }
connections:
  people:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [postgres]
    labels: { public.people.email: pii.email, public.people.token: pii.token, public.people.phone: pii.phone, public.people.ref: pii.ref, public.people.doc: pii.doc, public.shouted.token: pii.token }
    limit: { rows: 1000, bytes: 1MiB }
rules:
  - name: writers write
    who: { groups: [writers] }
    on: [people]
    permit: { run: [read, write], unreviewed: [read, write], store: all }
`,
      env: { [UPSTREAM_PASSWORD]: server.password },
    })
    later(() => gateway.stop())
    dsn = await gateway.dsn('people', 'writer')
    target = targetOf(dsn)
    const [row = ''] = await psqlRows(dsn, `SELECT ${COLUMNS.join(', ')} FROM people WHERE id = 1`)
    const cells = row.split('\t')
    masked = {
      id: '9',
      email: cells[1] ?? '',
      token: cells[2] ?? '',
      phone: cells[3] ?? '',
      ref: cells[4] ?? '',
      doc: cells[5] ?? '',
      note: 'c***@example.com',
    }
    expect(masked.email).toBe('p***@example.com')
  }, 120_000)

  const clear = {
    id: '9',
    email: 'new@example.com',
    token: 'a token',
    phone: '+49 30 999999',
    ref: '0190163d-8694-739b-aea5-966c26f8ad91',
    doc: '{"b": 2}',
    // Nobody protects this column, so what is in it may look like anything.
    note: 'c***@example.com',
  }

  async function stored(): Promise<number> {
    const [row] = await server.sql('SELECT count(*)::int AS n FROM people WHERE id > 3')
    return Number(row?.['n'])
  }

  /** All that the gateway says to these rows, cut into messages of `cut` bytes; then whether the session goes on. */
  async function copied(sql: string, data: Buffer, cut = 1000, extended = false): Promise<string> {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    try {
      if (extended) client.write(parse('', sql), bind('', '', [], 0), execute(''), sync())
      else client.write(query(sql))
      await client.readUntilType('GE')
      for (let at = 0; at < data.length; at += cut) client.write(raw(data.subarray(at, at + cut)))
      client.write(copyDone())
      if (extended) client.write(sync())
      const messages = await client.readUntilReady()
      client.write(query('SELECT 1'))
      const after = await client.readUntilReady()
      expect(after.map(({ type }) => type)).toEqual(['T', 'D', 'C', 'Z'])
      return messages
        .map(({ type, body }) => `${type}${body.toString('latin1').replaceAll('\0', ' ')}`)
        .join('\n')
    } finally {
      await client.close()
    }
  }

  function line(row: Readonly<Record<string, string>>): Buffer {
    return Buffer.from(`${COLUMNS.map((name) => row[name]).join('\t')}\n`)
  }

  test.each([false, true])('what is nobody’s mask is stored, extended %s', async (extended) => {
    for (const cut of [1, 7, 1000]) {
      expect(await copied('COPY people FROM STDIN', line(clear), cut, extended)).toContain('CCOPY 1')
      expect(await stored()).toBe(1)
      await server.sql('DELETE FROM people WHERE id > 3')
    }
  })

  test.each(['email', 'token', 'phone', 'ref', 'doc'] as const)(
    'a masked %s is refused in text',
    async (name) => {
      const rows = Buffer.concat([line(clear), line({ ...clear, id: '10', [name]: masked[name] })])
      for (const cut of [1, 11, 1000]) {
        for (const extended of [false, true]) {
          const told = await copied('COPY people FROM STDIN', rows, cut, extended)
          expect(told).toMatch(REFUSED)
          expect(told).toMatch(/Request 0/)
          expect(told).toContain(`labelled pii.${name}`)
          expect(told).not.toContain(masked[name])
          expect(await stored()).toBe(0)
        }
      }
    },
  )

  test('escaped as the text format may be', async () => {
    const octal = [...masked.token].map((c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`).join('')
    const hex = [...masked.token].map((c) => `\\x${c.charCodeAt(0).toString(16)}`).join('')
    for (const token of [octal, hex, `x\\\n${masked.token}`])
      expect(await copied('COPY people FROM STDIN', line({ ...clear, token })), token).toMatch(REFUSED)
    expect(await stored()).toBe(0)
  })

  test('in the last line, which has no end', async () => {
    const rows = line({ ...clear, doc: masked.doc, note: 'n' })
    const sql = 'COPY people (id, note, email, token, phone, ref, doc) FROM STDIN'
    const last = Buffer.from(
      ['9', 'n', clear.email, clear.token, clear.phone, clear.ref, masked.doc].join('\t'),
    )
    expect(await copied(sql, last, 5)).toMatch(REFUSED)
    expect(await copied('COPY people FROM STDIN', rows, 5)).toMatch(REFUSED)
    expect(await stored()).toBe(0)
  })

  test('in csv, in quotes that begin in the middle, with a header', async () => {
    const sql =
      "COPY people (id, token) FROM STDIN (FORMAT csv, HEADER match, DELIMITER ';', ESCAPE '\\', FORCE_NULL (token))"
    const { token } = masked
    for (const value of [token, `"${token}"`, `${token.slice(0, 9)}"${token.slice(9)}"`, `"x\n${token}"`])
      expect(await copied(sql, Buffer.from(`id;token\n9;${value}\n`), 3), value).toMatch(REFUSED)
    expect(await copied(sql, Buffer.from('id;token\n9;t\n'), 3)).toContain('CCOPY 1')
    await server.sql('DELETE FROM people WHERE id > 3')
    expect(
      await copied("COPY people (id, token) FROM STDIN (ENCODING 'LATIN1')", Buffer.from(`9\t${token}\n`)),
    ).toMatch(REFUSED)
    expect(await stored()).toBe(0)
  })

  test('in a form in which it could not be found, COPY is for who sees everything', async () => {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    client.write(query("COPY people FROM STDIN (ENCODING 'SJIS')"))
    const [first] = await client.readUntilReady()
    expect(first?.body.toString()).toMatch(/SL001.*another form/s)
    await client.close()
  })

  test('in binary', async () => {
    const rows = (token: string, ref: string) =>
      binary([
        [int(4, 9), Buffer.from(token), Buffer.from(ref.replaceAll('-', ''), 'hex')],
        [int(4, 10), null, null],
      ])
    const sql = 'COPY people (id, token, ref) FROM STDIN (FORMAT binary)'
    for (const cut of [1, 13, 1000]) {
      expect(await copied(sql, rows(masked.token, clear.ref), cut)).toMatch(REFUSED)
      expect(await copied(sql, rows(clear.token, masked.ref), cut)).toMatch(REFUSED)
      expect(await stored()).toBe(0)
      expect(await copied(sql, rows(clear.token, clear.ref), cut)).toContain('CCOPY 2')
      await server.sql('DELETE FROM people WHERE id > 3')
    }
    expect(await copied(sql, Buffer.from('9\tx\ty\n'.repeat(9)))).toMatch(/42601.*binary form/s)
  })

  test('in a table of which the server leaves out a column, in whatever column', async () => {
    expect(await copied('COPY shouted FROM STDIN', Buffer.from(`${masked.token}\tnote\n`))).toMatch(REFUSED)
    expect(await copied('COPY shouted FROM STDIN', Buffer.from(`t\t${masked.token}\n`))).toMatch(REFUSED)
    expect(await copied('COPY shouted FROM STDIN', Buffer.from('t\tnote\n'))).toContain('CCOPY 1')
  })

  test('in a transaction, which fails on both sides', async () => {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    client.write(query('BEGIN; INSERT INTO people (id) VALUES (20)'))
    await client.readUntilReady()
    client.write(query('COPY people (id, token) FROM STDIN'))
    await client.readUntilType('G')
    client.write(copyData(`9\t${masked.token}\n`), copyData('10\tmore\n'), copyDone())
    expect((await client.readUntilReady()).map(({ type }) => type)).toEqual(['E', 'Z'])
    client.write(query('COMMIT'))
    expect((await client.readUntilReady())[0]?.body.toString()).toContain('ROLLBACK')
    await client.close()
    expect(await stored()).toBe(0)
  })

  test('in data that comes before the server has asked for it, of two COPYs in one query', async () => {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    const sql = 'COPY people (id, note) FROM STDIN; COPY people (id, token) FROM STDIN'
    const data = (token: string) => [
      copyData(`9\t${token}\n`),
      copyDone(),
      copyData(`10\t${token}\n`),
      copyDone(),
    ]
    client.write(query(sql), ...data('plain'))
    expect((await client.readUntilReady()).map(({ type }) => type)).toEqual(['G', 'C', 'G', 'C', 'Z'])
    expect(await stored()).toBe(2)
    await server.sql('DELETE FROM people WHERE id > 3')
    client.write(query(sql), ...data(masked.token))
    const told = await client.readUntilReady()
    expect(told.map(({ type }) => type)).toEqual(['G', 'C', 'G', 'E', 'Z'])
    client.write(
      parse('', 'COPY people (id, token) FROM STDIN'),
      bind('', '', [], 0),
      execute(''),
      ...data(masked.token).slice(2),
      sync(),
    )
    expect((await client.readUntilReady()).map(({ type }) => type)).toEqual(['1', '2', 'G', 'E', 'Z'])
    client.write(query('SELECT 1'))
    expect((await client.readUntilReady()).map(({ type }) => type)).toEqual(['T', 'D', 'C', 'Z'])
    await client.close()
    expect(await stored()).toBe(0)
  })

  test('one that hides behind a megabyte in the same value', async () => {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    client.write(query('COPY people (id, token) FROM STDIN'))
    await client.readUntilType('G')
    client.write(copyData('9\t'))
    for (let i = 0; i < 100; i++) client.write(copyData('lorem ipsum '.repeat(1000)))
    client.write(copyData(masked.token), copyData(' dolor\n'), copyDone())
    expect((await client.readUntilReady()).map(({ type }) => type)).toEqual(['E', 'Z'])
    await client.close()
    expect(await stored()).toBe(0)
  })

  test('from psql', async () => {
    const file = join(gateway.dataDirectory, 'rows.txt')
    await writeFile(file, Buffer.concat([line(clear), line({ ...clear, id: '10', token: masked.token })]))
    const done = await psql(dsn, `\\copy people from '${file}'\nSELECT 'still here';\n`)
    expect(done.stderr).toMatch(/Do not write masked values back/)
    expect(done.stderr).toMatch(/Request 0/)
    expect(done.stdout).toContain('still here')
    expect(await stored()).toBe(0)
    await writeFile(file, line(clear))
    expect((await psql(dsn, `\\copy people from '${file}'\n`)).stdout).toContain('COPY 1')
    await server.sql('DELETE FROM people WHERE id > 3')
  })

  test('from postgres.js', async () => {
    const sql = postgres(dsn, { max: 1, onnotice: () => {} })
    expect(await copyRefused(sql)).toMatchObject({ code: 'SL001' })
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }])
    const stream = await sql`COPY people (id, token) FROM STDIN`.writable()
    await new Promise<void>((resolve, reject) => {
      stream.on('error', reject)
      stream.end('9\tplain\n', () => resolve())
    })
    await sql.end()
    expect(await stored()).toBe(1)
    await server.sql('DELETE FROM people WHERE id > 3')
  })

  /** The driver tells of an error only a stream that has not been ended. */
  async function copyRefused(sql: postgres.Sql): Promise<unknown> {
    const stream = await sql`COPY people (id, token) FROM STDIN`.writable()
    return new Promise((resolve) => {
      stream.on('error', resolve)
      stream.write(`9\t${masked.token.slice(0, 5)}`)
      stream.write(`${masked.token.slice(5)}\n`)
    })
  }

  test('from psycopg', async () => {
    const script = `
import os, psycopg
with psycopg.connect(os.environ["DSN"], autocommit=True) as c:
    try:
        with c.cursor().copy("COPY people (id, token) FROM STDIN") as copy:
            copy.write_row((9, "plain"))
            copy.write_row((10, os.environ["TOKEN"]))
        print("stored")
    except psycopg.Error as error:
        print(error.sqlstate, error.diag.message_detail)
    print(c.execute("SELECT 1").fetchone())
`
    const env = { DSN: dsn, TOKEN: masked.token }
    const done = await run('/usr/bin/python3', ['-c', script], { env })
    expect(done.stdout).toMatch(/^SL001 Request \S+\n\(1,\)\n$/)
    expect(await stored()).toBe(0)
  })

  test('the refusal is recorded with the command, and told in sluice.recent_denials', async () => {
    const sql = postgres(dsn, { max: 1, onnotice: () => {} })
    await copyRefused(sql)
    const denials = await sql`SELECT message FROM sluice.recent_denials`.simple()
    expect(denials).toEqual([{ message: expect.stringContaining('Do not write masked values back') }])
    await sql.end()
  })

  test('the server reads the same values from whatever is looked through', async () => {
    const { client } = await RawClient.open(
      {
        host: server.host,
        port: server.port,
        user: server.user,
        password: server.password,
        database: 'postgres',
      },
      { client_encoding: 'UTF8' },
    )
    await server.sql('CREATE TABLE read_back (n serial, a text, b text)')
    for (const [options, form, data] of STRANGE) {
      await server.sql('TRUNCATE read_back RESTART IDENTITY')
      client.write(query(`COPY read_back (a, b) FROM STDIN (${options})`))
      await client.readUntilType('GE')
      client.write(raw(Buffer.from(data)), copyDone())
      const told = await client.readUntilReady()
      expect(told[0]?.body.toString(), data).toMatch(/^COPY/)
      const rows = await server.sql('SELECT a, b FROM read_back ORDER BY n')
      const seen: string[] = []
      const labels = [brand<LabelName>('any')]
      const search = copySearch(
        { form, columns: [labels, labels] },
        { format: 0, columnFormats: [0, 0] },
        () => (value) => {
          seen.push(Buffer.from(value).toString())
        },
      )
      search.push(Buffer.from(data), 0, Buffer.byteLength(data))
      search.end()
      const stored = rows.flatMap(({ a, b }) => [a, b]).filter((each) => each !== null && each !== '')
      expect(
        seen.filter((each) => each !== '' && each !== 'N'),
        data,
      ).toEqual(stored)
    }
    await client.close()
  })
})

const TEXT: CopyForm & { kind: 'text' } = { kind: 'text', delimiter: '\t', null: '\\N', header: false }
const CSV: CopyForm & { kind: 'csv' } = {
  kind: 'csv',
  delimiter: ',',
  null: '',
  header: false,
  quote: '"',
  escape: '"',
}
const STRANGE: readonly (readonly [options: string, form: CopyForm, data: string])[] = [
  ['FORMAT text', TEXT, 'a\\\tb\tc\\\nd\n\\N\t\\x41\\102\\7\\x4\n'],
  ['FORMAT text', TEXT, '\\x41g\\1018\t\\b\\f\\n\\r\\t\\v\\q\\\\\n'],
  ['FORMAT text', TEXT, 'a\tb\r\nc\td\r\n'],
  ['FORMAT text', TEXT, 'a\tb\rc\td\r'],
  ['FORMAT text', TEXT, 'a\tb\nc\td'],
  [
    "FORMAT text, DELIMITER '|', NULL 'x y', HEADER",
    { ...TEXT, delimiter: '|', null: 'x y', header: true },
    'h|i\nx y|x\\ y\n',
  ],
  ['FORMAT csv', CSV, 'a,"b ""c"", \n\r\nd"\n"e"f"g,h"",i",z\n'],
  ['FORMAT csv', CSV, '"a\\",\\x41\n,""\n'],
  ['FORMAT csv', CSV, 'a,b\r\n"c\n",d\r\n'],
  ['FORMAT csv', CSV, 'a,b\rc,d\r'],
  ["FORMAT csv, ESCAPE '\\'", { ...CSV, escape: '\\' }, '"a\\"\\\\\\b",c\\d\n"x""y",\\"z"\n'],
  [
    "FORMAT csv, QUOTE '''', DELIMITER ';', NULL 'no'",
    { ...CSV, quote: "'", escape: "'", delimiter: ';', null: 'no' },
    "no;'no'\n'a''b';\"c\"\n",
  ],
  ['FORMAT csv, HEADER', { ...CSV, header: true }, '"h\nh",i\na,b\n'],
]

function raw(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from('d'), int(4, data.length + 4), data])
}

function int(bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeIntBE(value, 0, bytes)
  return buffer
}

function binary(rows: readonly (readonly (Buffer | null)[])[]): Buffer {
  const cell = (value: Buffer | null) =>
    value === null ? int(4, -1) : Buffer.concat([int(4, value.length), value])
  const body = rows.map((row) => Buffer.concat([int(2, row.length), ...row.map(cell)]))
  return Buffer.concat([
    Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'),
    int(4, 0),
    int(4, 0),
    ...body,
    int(2, -1),
  ])
}
