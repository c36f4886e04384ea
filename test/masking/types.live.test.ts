/**
 * Every type under every rule, in text and binary, on real servers: what is shown is taken by the server, and by a
 * driver, as a value of its type; and nothing of the original is in any byte of it.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CopyForm, MaskingRule } from '../../src/core/index.ts'
import { MaskingKey } from '../../src/core/index.ts'
import { copyRows } from '../../src/protocols/postgres/results/copy-rows.ts'
import type { TypeLookup } from '../../src/protocols/postgres/results/result-types.ts'
import { typeLookup, typesQuery } from '../../src/protocols/postgres/results/result-types.ts'
import { cellMasker, maskedCell } from '../../src/session/index.ts'
import { targetOf } from '../abuse/world.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startGateway } from '../support/gateway.ts'
import type { TestServer } from '../support/postgres.ts'
import { MAJORS, startTestServer } from '../support/postgres.ts'
import type { Column } from './columns.ts'
import { COLUMNS, TYPES_SQL } from './columns.ts'
import type { Cell, Format } from './line.ts'
import { Line } from './line.ts'

const KEY = new MaskingKey('test', Buffer.alloc(32, 1), Buffer.alloc(32, 2))

/** By the name of label and table: what is written in the configuration, and what it means. */
const RULES: Readonly<Record<string, readonly [written: string, rule: MaskingRule]>> = {
  nothing: ['"null"', { kind: 'null' }],
  full: ['full', { kind: 'full' }],
  constant: ['{ kind: constant, text: "42" }', { kind: 'constant', text: '42' }],
  constant_text: [
    '{ kind: constant, text: "it\'s \\"a\\\\b\\"" }',
    { kind: 'constant', text: 'it\'s "a\\b"' },
  ],
  constant_date: ['{ kind: constant, text: "2000-01-02" }', { kind: 'constant', text: '2000-01-02' }],
  email: ['{ kind: partial, of: email }', { kind: 'partial', of: 'email' }],
  phone: ['{ kind: partial, of: phone }', { kind: 'partial', of: 'phone' }],
  card: ['{ kind: partial, of: card }', { kind: 'partial', of: 'card' }],
  person: ['{ kind: partial, of: name }', { kind: 'partial', of: 'name' }],
  first: ['{ kind: partial, of: first, keep: 2 }', { kind: 'partial', of: 'first', keep: 2 }],
  last: ['{ kind: partial, of: last, keep: 2 }', { kind: 'partial', of: 'last', keep: 2 }],
  hash: ['hash', { kind: 'hash', prefix: 'h_', key: KEY }],
  like_email: ['{ kind: pseudonym, of: email }', { kind: 'pseudonym', of: 'email', key: KEY }],
  like_phone: ['{ kind: pseudonym, of: phone }', { kind: 'pseudonym', of: 'phone', key: KEY }],
  like_name: ['{ kind: pseudonym, of: name }', { kind: 'pseudonym', of: 'name', key: KEY }],
  like_digits: ['{ kind: pseudonym, of: digits }', { kind: 'pseudonym', of: 'digits', key: KEY }],
  like_uuid: ['{ kind: pseudonym, of: uuid }', { kind: 'pseudonym', of: 'uuid', key: KEY }],
  year: ['year', { kind: 'year' }],
  bucket: ['{ kind: bucket, size: 1000, unit: quarter }', { kind: 'bucket', size: 1000, unit: 'quarter' }],
}

/** Types of which one value is shown, whatever the rule. */
const NEUTRAL = `
  oid money time timetz interval macaddr macaddr8 lseg path box polygon line circle tsquery lsn
  snapshot xid xid8 cid tid regclass regtype regproc regprocedure regoperator regrole regnamespace
  regconfig regdictionary regcollation int2vector oidvector bit varbit jsonpath tsvector point boxes
  int4range numrange daterange tstzrange range_empty ranges multirange nummultirange own_multirange
  multiranges times moneys own_range hstore
`
  .trim()
  .split(/\s+/)

const TEXTS = ['text', 'varchar', 'bpchar', 'name', 'citext', 'domain', 'domain_of_domain', 'refcursor']
const HOLDERS = [
  'texts',
  'texts_deep',
  'texts_empty',
  'domains',
  'pair',
  'pair_of_nothing',
  'pairs',
  'nested',
]
const SAYING = ['json', 'jsonb', 'jsonbs', 'bytea']
const WHOLE = [...TEXTS, ...HOLDERS, ...SAYING, 'char', 'xml']
const DATES = ['date', 'timestamp', 'timestamptz', 'dates', 'daterange', 'tstzrange', 'ranges']
const NUMBERS = [
  'int2',
  'int4',
  'int8',
  'float4',
  'float8',
  'numeric',
  'numeric_large',
  'ints',
  'int4range',
  'numrange',
  'range_empty',
  'own_range',
]
const KEYED = [...TEXTS, ...HOLDERS, 'json', 'jsonb', 'jsonbs', 'uuid', 'uuids']

/** Columns in which something is shown at all; in all others NULL. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  nothing: [],
  full: WHOLE,
  constant: [
    ...TEXTS,
    ...HOLDERS,
    ...SAYING,
    'char',
    'xml',
    'int2',
    'int4',
    'int8',
    'float4',
    'float8',
    'numeric',
    'numeric_large',
    'ints',
    'enum',
    'moods',
  ],
  constant_text: [...TEXTS, ...HOLDERS, ...SAYING, 'char', 'xml'],
  constant_date: [...TEXTS, ...HOLDERS, ...SAYING, 'char', 'xml', 'date', 'date_without_end', 'dates'],
  ...Object.fromEntries(['email', 'phone', 'card', 'person', 'first', 'last'].map((name) => [name, WHOLE])),
  hash: [...KEYED, 'bytea'],
  ...Object.fromEntries(['email', 'phone', 'name', 'digits', 'uuid'].map((of) => [`like_${of}`, KEYED])),
  year: [...WHOLE, ...DATES],
  bucket: [...WHOLE, ...DATES, ...NUMBERS, 'inet', 'inet_net', 'inet6', 'cidr'],
}

describe.each(MAJORS)('PostgreSQL %i', (major) => {
  let server: TestServer
  let gateway: TestGateway
  let direct: Line
  let through: Line
  let columns: readonly Column[]
  let oids: readonly number[]
  let typeOf: TypeLookup

  beforeAll(async () => {
    server = await startTestServer(major)
    const client = await server.client()
    const missing = new Set<string>()
    try {
      for (const name of ['citext', 'hstore']) {
        await client.query(`CREATE EXTENSION ${name}`).catch(() => missing.add(name))
      }
      await client.query(`SELECT '<a/>'::xml`).catch(() => missing.add('xml'))
      // Debian's server has everything; what npm's was built without is proven there.
      if (major === 15) expect(missing).toEqual(new Set())
      columns = COLUMNS.filter(({ needs }) => needs === undefined || !missing.has(needs))
      await client.query(TYPES_SQL)
      const list = columns.map(({ name, type }) => `"c_${name}" ${type}`)
      await client.query(`CREATE TABLE base (${list.join(', ')})`)
      const places = columns.map((_, i) => `$${i + 1}`)
      await client.query(
        `INSERT INTO base VALUES (${places.join(', ')})`,
        columns.map(({ value }) => value),
      )
      await client.query('INSERT INTO base DEFAULT VALUES')
      for (const name of Object.keys(RULES)) await client.query(`CREATE TABLE t_${name} AS TABLE base`)
      const { rows } = await client.query({
        text: typesQuery,
        rowMode: 'array',
        types: { getTypeParser: () => String },
      })
      typeOf = typeLookup(rows)
      const { fields } = await client.query('SELECT * FROM base')
      oids = fields.map(({ dataTypeID }) => dataTypeID)
    } finally {
      await client.end()
    }
    gateway = await startGateway({
      config: configuration(server),
      env: { UPSTREAM_PASSWORD: server.password },
    })
    const { host, port, user } = server
    direct = await Line.open({ host, port, user, password: server.password, database: 'postgres' })
    through = await Line.open(targetOf(await gateway.dsn('types', 'blind')))
  })

  afterAll(async () => {
    await through?.close()
    await direct?.close()
    await gateway?.stop()
    await server?.stop('immediate')
  })

  /** The server reads it as a value of its type: in text as the client would see it. */
  async function taken(cells: readonly Cell[], format: Format): Promise<(string | null)[]> {
    const casts = columns.map(({ type }, i) => `($${i + 1}::${type})::text`)
    const rows = await direct.extended(`SELECT ${casts.join(', ')}`, 'text', { values: cells, as: format })
    return (rows[0] ?? []).map((cell) => cell?.toString() ?? null)
  }

  it('every type that the server has built in is known, with its array', async () => {
    const rows = await direct.simple(`
      SELECT t.oid, t.typname, t.typarray, t.typdelim, t.typtype FROM pg_type t
      WHERE t.oid < 16384 AND t.typtype IN ('b', 'r', 'm') AND t.typcategory <> 'A' AND t.typname !~ '^pg_(node|ndis|dep|mcv|brin|ddl)'`)
    const unknown: string[] = []
    for (const row of rows) {
      const [oid = '', name = '', array = '', delimiter = ''] = row.map((cell) => cell?.toString() ?? '')
      const type = typeOf(Number(oid))
      if (type.kind === 'other') unknown.push(name)
      else if (array !== '0')
        expect(typeOf(Number(array)), name).toEqual({ kind: 'array', element: type, delimiter })
    }
    expect(unknown.sort()).toEqual(['aclitem', 'gtsvector'])
  })

  async function check(name: string, rows: readonly (readonly Cell[])[], format: Format): Promise<void> {
    expect(rows).toHaveLength(2)
    const [shown = [], nulls = []] = rows
    expect(nulls.every((cell) => cell === null)).toBe(true)
    const [original = []] = await direct.extended('TABLE base LIMIT 1', format)
    const seen = columns.flatMap((column, i) => (shown[i] === null ? [] : [column.name]))
    const wanted = new Set([...(SHOWN[name] ?? []), ...(name === 'nothing' ? [] : NEUTRAL)])
    expect(seen).toEqual(columns.map((column) => column.name).filter((each) => wanted.has(each)))
    const values = await taken(shown, format)
    for (const [i, { name: at, marker, type }] of columns.entries()) {
      const cell = shown[i]
      if (cell === null || cell === undefined) continue
      const place = `${at} by ${name} in ${format}`
      expect(values[i], place).not.toBeNull()
      if (marker !== 't' && type !== '"char"') {
        expect(values[i], place).not.toMatch(new RegExp(marker.replaceAll('.', '\\.')))
        expect(cell.toString('latin1'), place).not.toContain(marker)
        const secret = original[i]
        const isSame = secret !== null && secret !== undefined && secret.length > 4 && secret.equals(cell)
        if (isSame) expect(EMPTY, place).toContain(at)
      }
      const parser = pg.types.getTypeParser(oids[i] ?? 0, format)
      expect(
        () => parser(format === 'text' ? cell.toString() : (cell as unknown as string)),
        place,
      ).not.toThrow()
    }
  }

  describe.each(Object.keys(RULES))('by %s', (name) => {
    const select = `SELECT * FROM t_${name}`
    it('in a simple query (P-02)', async () => check(name, await through.simple(select), 'text'))
    it.each<[Format, 'statement' | 'portal' | undefined]>([
      ['text', undefined],
      ['text', 'statement'],
      ['binary', undefined],
      ['binary', 'statement'],
      ['binary', 'portal'],
    ])('in %s, with the description of %s (P-02)', async (format, described) => {
      const rows = await through.extended(
        select,
        format,
        described === undefined ? {} : { describe: described },
      )
      await check(name, rows, format)
    })
    it.each(FORMS)('in rows of COPY through the gateway as %s (P-02)', async (options) => {
      const bytes = await through.copyOut(`COPY t_${name} TO STDOUT (${options})`)
      const some = await through.copyOut(`COPY (SELECT c_text, 1 FROM t_${name}) TO STDOUT (${options})`)
      for (const each of [bytes, some])
        expect(each.toString('latin1')).not.toMatch(/zqxjkvwyz|987654321[^0]|05-12|739b/)
      await direct.simple('DROP TABLE IF EXISTS back; CREATE TABLE back (LIKE base)')
      await direct.copyIn(`COPY back FROM STDIN (${options.replace(/, FORCE_QUOTE \*/, '')})`, bytes)
      await check(name, await direct.extended('TABLE back', 'text'), 'text')
    })
    it.each(FORMS)('in rows of COPY as %s (P-02)', async (options, form) => {
      const bytes = await direct.copyOut(`COPY t_${name} TO STDOUT (${options})`)
      const format = form.kind === 'binary' ? 'binary' : 'text'
      const [, rule] = RULES[name] ?? []
      if (rule === undefined) throw new Error(`no rule ${name}`)
      const types = await typesOf(direct)
      const maskers = types.map((oid) => cellMasker(rule, typeOf(oid), format))
      const shown: Buffer[] = []
      const rows = copyRows(form, maskers)
      const target = (buffer: Buffer, from: number, to: number) => {
        for (let at = from; at < to; at += 1 + buffer.readInt32BE(at + 1)) {
          shown.push(Buffer.from(buffer.subarray(at + 5, at + 1 + buffer.readInt32BE(at + 1))))
        }
      }
      for (let at = 0; at < bytes.length; at += 7)
        rows.push(bytes, at, Math.min(at + 7, bytes.length), target)
      rows.end(target)
      await direct.simple('DROP TABLE IF EXISTS back; CREATE TABLE back (LIKE base)')
      await direct.copyIn(
        `COPY back FROM STDIN (${options.replace(/, FORCE_QUOTE \*/, '')})`,
        Buffer.concat(shown),
      )
      const back = await direct.extended('TABLE back', 'text')
      const [original = [], nulls = []] = await direct.extended('TABLE base', format)
      const expected = [original, nulls].map((row) =>
        row.map((cell, i) => {
          const masker = maskers[i]
          const masked = cell === null || masker === undefined ? null : maskedCell(masker, cell)
          return masked === null ? null : Buffer.from(masked)
        }),
      )
      const texts = back.map((row) => row.map((cell) => cell?.toString() ?? null))
      const wanted = [await stored(expected[0] ?? [], format), await stored(expected[1] ?? [], format)]
      expect(texts).toEqual(wanted)
    })
  })

  /** As the table gives it back, which is how the server writes a value of its own. */
  async function stored(cells: readonly Cell[], format: Format): Promise<(string | null)[]> {
    const casts = columns.map(({ type }, i) => `$${i + 1}::${type}`)
    const [row = []] = await direct.extended(`SELECT ${casts.join(', ')}`, 'text', {
      values: cells,
      as: format,
    })
    return row.map((cell) => cell?.toString() ?? null)
  }
})

/** Values that have nothing to hide are what they were. */
const EMPTY = ['texts_empty', 'pair_of_nothing', 'range_empty']

const TEXT: CopyForm & { kind: 'text' } = { kind: 'text', delimiter: '\t', null: '\\N', header: false }
const CSV: CopyForm & { kind: 'csv' } = {
  kind: 'csv',
  delimiter: ',',
  null: '',
  header: false,
  quote: '"',
  escape: '"',
}
const FORMS: readonly (readonly [options: string, form: CopyForm])[] = [
  ['FORMAT text', TEXT],
  [`FORMAT text, DELIMITER '|', NULL 'nil'`, { ...TEXT, delimiter: '|', null: 'nil' }],
  ['FORMAT csv, HEADER', { ...CSV, header: true }],
  [
    `FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'NULL', FORCE_QUOTE *`,
    { ...CSV, delimiter: ';', quote: "'", escape: '\\', null: 'NULL' },
  ],
  ['FORMAT binary', { kind: 'binary' }],
]

/** Types as the catalogue has them, domains as such. */
async function typesOf(direct: Line): Promise<number[]> {
  const rows = await direct.simple(
    `SELECT atttypid FROM pg_attribute WHERE attrelid = 'base'::regclass AND attnum > 0 ORDER BY attnum`,
  )
  return rows.map(([cell]) => Number(cell))
}

function configuration(server: TestServer): string {
  return `listen:
  postgres: { port: 0 }
identities:
  local:
    - { name: blind, kind: service }
labels:
${Object.entries(RULES)
  .map(([name, [written]]) => `  ${name}: { mask: ${written} }`)
  .join('\n')}
connections:
  types:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "\${env:UPSTREAM_PASSWORD}", sslmode: disable }
    databases: [postgres]
    labels:
${Object.keys(RULES)
  .map((name) => `      "public.t_${name}.*": ${name}`)
  .join('\n')}
rules:
  - name: read
    who: everyone
    on: all
    permit: { run: [read], unreviewed: all }
`
}
