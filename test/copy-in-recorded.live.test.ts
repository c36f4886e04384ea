/** Rows that clients send with COPY FROM STDIN are in the recording: as they were sent, on the disk before the server has them. */
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Entry, InputEnd } from '../src/core/index.ts'
import { wholeRecording } from '../src/testing/whole-recording.ts'
import { journalOf } from './abuse/evidence.ts'
import { base64Forms, targetOf } from './abuse/world.ts'
import type { Target } from './differential/raw-client.ts'
import {
  bind,
  copyData,
  copyDone,
  copyFail,
  execute,
  parse,
  query,
  RawClient,
  sync,
} from './differential/raw-client.ts'
import { UPSTREAM_PASSWORD } from './support/config.ts'
import type { TestGateway } from './support/gateway.ts'
import { startGateway } from './support/gateway.ts'
import type { TestServer } from './support/postgres.ts'
import { MAJORS, startTestServer } from './support/postgres.ts'
import { run } from './support/process.ts'
import { randomFrom, seed, tally, times } from './support/proof.ts'
import { psql } from './support/psql.ts'
import { teardown } from './support/teardown.ts'
import { eventually } from './support/wait.ts'

const MARKER = 'qzvcopied'
const KEPT = 65_536

const SQL = `
CREATE TABLE plain (id int, note text);
CREATE TABLE people (id int, email text, note text);
`

/** What was sent to one command. */
type Sent = { readonly text: string; readonly bytes: Buffer; readonly end: InputEnd; readonly digest: string }

function sentIn(
  entries: readonly { readonly session?: string | undefined; readonly entry: Entry }[],
): Sent[] {
  const sent: Sent[] = []
  const texts = new Map<string, string>()
  const bodies = new Map<string, Buffer[]>()
  for (const { session, entry } of entries) {
    if (entry.kind === 'intent') texts.set(`${session} ${entry.head.n}`, entry.head.text)
    if (entry.kind !== 'input') continue
    const key = `${session} ${entry.head.n}`
    const pieces = bodies.get(key) ?? []
    if (entry.body !== undefined) pieces.push(Buffer.from(entry.body))
    bodies.set(key, pieces)
    const { end } = entry.head
    if (end === undefined) continue
    const digest = Buffer.from(entry.digest ?? '').toString()
    sent.push({ text: texts.get(key) ?? '', bytes: Buffer.concat(pieces), end, digest })
    bodies.delete(key)
  }
  return sent
}

function binaryRow(id: number, note: string): Buffer {
  const text = Buffer.from(note)
  const row = Buffer.alloc(2 + 4 + 4 + 4)
  row.writeInt16BE(2, 0)
  row.writeInt32BE(4, 2)
  row.writeInt32BE(id, 6)
  row.writeInt32BE(text.length, 10)
  return Buffer.concat([row, text])
}

const BINARY = Buffer.concat([
  Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'),
  Buffer.alloc(8),
  binaryRow(1, 'one'),
  binaryRow(2, 'zwei ä'),
  Buffer.from([0xff, 0xff]),
])

function copyBytes(bytes: Buffer): Buffer {
  const head = Buffer.from('d\0\0\0\0')
  head.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([head, bytes])
}

describe.each(MAJORS)('COPY FROM STDIN in the recording, PostgreSQL %i (P-04, P-06)', (major) => {
  const later = teardown()
  let server: TestServer
  let gateway: TestGateway
  let target: Target
  let dsn: string

  beforeAll(async () => {
    server = await startTestServer(major)
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
  pii.email: { mask: full }
connections:
  people:
    protocol: postgres
    upstream: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "\${env:${UPSTREAM_PASSWORD}}", sslmode: disable }
    databases: [postgres]
    labels: { public.people.email: pii.email }
rules:
  - name: writers write
    who: { groups: [writers] }
    on: [people]
    permit: { run: [read, write, define], unreviewed: [read, write, define], store: all }
`,
      env: { [UPSTREAM_PASSWORD]: server.password },
    })
    later(() => gateway.stop())
    dsn = await gateway.dsn('people', 'writer')
    target = targetOf(dsn)
  }, 180_000)

  /** A dialogue of its own, whose first command is recorded when it is over. */
  async function talk(
    sql: string,
    data: readonly Buffer[],
    options: { readonly cut?: number; readonly extended?: boolean } = {},
  ): Promise<string> {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    try {
      if (options.extended === true) client.write(parse('', sql), bind('', '', [], 0), execute(''), sync())
      else client.write(query(sql))
      await client.readUntilType('GE')
      if (options.cut === undefined) client.write(...data)
      else await client.writeInPieces(Buffer.concat(data), options.cut)
      if (options.extended === true) client.write(sync())
      return (await client.readUntilReady())
        .map(({ type, body }) => `${type}${body.toString('latin1').replaceAll('\0', ' ')}`)
        .join('\n')
    } finally {
      await client.close()
    }
  }

  /** The newest of them. */
  async function lastSent(): Promise<Sent> {
    return sentIn(await journalOf(gateway)).at(-1) ?? expect.fail('nothing was sent')
  }

  const text = Buffer.from('1\tone\\ttab\n2\t\\N\n3\tzwei ä\n')

  test.each([
    ['text', 'COPY plain FROM STDIN', text],
    ['csv', 'COPY plain FROM STDIN (FORMAT csv, HEADER)', Buffer.from('id,note\n1,"a ""b""\nc"\n2,\n')],
    ['binary', 'COPY plain FROM STDIN (FORMAT binary)', BINARY],
  ])('rows are recorded as they were sent: %s', async (_format, sql, rows) => {
    for (const cut of [undefined, 1, 7]) {
      for (const extended of [false, true]) {
        // In messages that have nothing to do with rows, one of them empty.
        const data = [copyBytes(rows.subarray(0, 5)), copyBytes(rows.subarray(5)), copyBytes(Buffer.alloc(0))]
        const told = await talk(sql, [...data, copyDone()], {
          extended,
          ...(cut === undefined ? {} : { cut }),
        })
        expect(told).toMatch(/^CCOPY [23]/m)
        const sent = await lastSent()
        expect(sent).toEqual({
          text: sql,
          bytes: rows,
          end: { how: 'done', bytes: rows.length, unkept: 0 },
          digest: '',
        })
      }
    }
  })

  test('from psql, psycopg and postgres.js', async () => {
    const file = join(gateway.dataDirectory, '..', 'rows.txt')
    const rows = Array.from({ length: 500 }, (_, i) => `${i}\tnote ${i}\n`).join('')
    await writeFile(file, rows)
    expect((await psql(dsn, `\\copy plain from '${file}'\n`)).stdout).toContain('COPY 500')
    expect((await lastSent()).bytes.toString()).toBe(rows)
    await writeFile(file, 'a;"b\nc"\n'.replaceAll('a', '7'))
    await psql(dsn, `\\copy plain from '${file}' with (format csv, delimiter ';')\n`)
    expect((await lastSent()).bytes.toString()).toBe('7;"b\nc"\n')
    const script = `
import os, psycopg
with psycopg.connect(os.environ["DSN"], autocommit=True) as c:
    with c.cursor().copy("COPY plain FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        copy.write_row((1, "one"))
        copy.write_row((2, "zwei ä"))
`
    const done = await run('/usr/bin/python3', ['-c', script], { env: { DSN: dsn } })
    expect(done.stderr).toBe('')
    expect((await lastSent()).bytes).toEqual(BINARY)
    const sql = postgres(dsn, { max: 1, onnotice: () => {} })
    const stream = await sql`COPY plain FROM STDIN`.writable()
    await new Promise<void>((resolve, reject) => {
      stream.on('error', reject)
      stream.end('9\tplain\n', () => resolve())
    })
    await sql.end()
    expect((await lastSent()).bytes.toString()).toBe('9\tplain\n')
  })

  test('how it ended is told: given up, an error in the middle, no row at all', async () => {
    expect(await talk('COPY plain FROM STDIN', [copyData('1\ta\n'), copyFail('no more')])).toContain('57014')
    expect(await lastSent()).toMatchObject({ bytes: Buffer.from('1\ta\n'), end: { how: 'failed', bytes: 4 } })
    // The server says so at once, and the client sends what it likes until it hears that.
    expect(await talk('COPY plain FROM STDIN', [copyData('x\ta\n')])).toContain('22P02')
    expect(await lastSent()).toMatchObject({ bytes: Buffer.from('x\ta\n'), end: { how: 'cut', bytes: 4 } })
    expect(await talk('COPY plain FROM STDIN', [copyDone()])).toContain('COPY 0')
    expect(await lastSent()).toMatchObject({ end: { how: 'done', bytes: 0, unkept: 0 }, digest: '' })
  })

  test('of two COPYs in one query, and of rows that come before they are asked for', async () => {
    const { client } = await RawClient.open(target)
    const both = 'COPY plain FROM STDIN; COPY plain (note, id) FROM STDIN'
    client.write(query(both), copyData('1\ta\n'), copyDone(), copyData('b\t2\n'), copyDone())
    expect((await client.readUntilReady()).map(({ type }) => type)).toEqual(['G', 'C', 'G', 'C', 'Z'])
    await client.close()
    const sent = sentIn(await journalOf(gateway)).slice(-2)
    expect(sent.map(({ bytes }) => bytes.toString())).toEqual(['1\ta\n', 'b\t2\n'])
  })

  test('beyond the size that is kept bytes are counted, and the digest says which they were', async () => {
    const line = `1\t${'x'.repeat(97)}\n`
    const rows = Buffer.from(line.repeat(3_000))
    expect(await talk('COPY plain FROM STDIN', [copyBytes(rows), copyDone()], { cut: 20_000 })).toContain(
      'COPY 3000',
    )
    const sent = await lastSent()
    expect(sent.bytes.equals(rows.subarray(0, KEPT))).toBe(true)
    expect(sent.end).toEqual({ how: 'done', bytes: rows.length, unkept: rows.length - KEPT })
    expect(sent.digest).toBe(createHash('sha256').update(rows).digest('hex'))
  })

  function marked(bytes: string): boolean {
    return bytes.toLowerCase().includes(MARKER) || base64Forms(MARKER).some((form) => bytes.includes(form))
  }

  test('rows for labelled columns are sealed, whatever the format, and can be erased', async () => {
    const { client } = await RawClient.open(target, { client_encoding: 'UTF8' })
    const copies: readonly (readonly [string, Buffer])[] = [
      ['COPY people FROM STDIN', Buffer.from(`1\t${MARKER}1@x.org\tnote\n`)],
      ['COPY people (email) FROM STDIN (FORMAT csv, HEADER)', Buffer.from(`email\n"${MARKER}2\n"\n`)],
      [
        'COPY people (id, email) FROM STDIN (FORMAT binary)',
        Buffer.concat([
          BINARY.subarray(0, 19),
          binaryRow(1, `${MARKER}3`),
          binaryRow(2, MARKER),
          BINARY.subarray(-2),
        ]),
      ],
      // Nobody can tell whose value is where.
      ['COPY people (id, email) FROM STDIN', Buffer.from(`x\t${MARKER}4\t${MARKER}5\n`)],
      ['COPY people (email) FROM STDIN', Buffer.from(`${MARKER}6 ${'y'.repeat(100)}\n`.repeat(1_000))],
    ]
    for (const [sql, rows] of copies) {
      client.write(query(sql))
      await client.readUntilType('GE')
      client.write(copyBytes(rows), copyDone())
      await client.readUntilReady()
    }
    // Which labels its columns will have, nobody knows yet.
    client.write(query('BEGIN; CREATE TABLE later (email text)'))
    await client.readUntilReady()
    client.write(query('COPY later FROM STDIN'))
    await client.readUntilType('GE')
    client.write(copyData(`${MARKER}7\n`), copyDone())
    await client.readUntilReady()
    await client.close()

    const opened = sentIn(await journalOf(gateway)).slice(-6)
    expect(opened.slice(0, 4).map(({ bytes }) => bytes)).toEqual(copies.slice(0, 4).map(([, rows]) => rows))
    const long = copies[4]?.[1] ?? Buffer.alloc(0)
    expect(opened[4]).toMatchObject({ end: { bytes: long.length, unkept: long.length - KEPT } })
    expect(opened[4]?.bytes.equals(long.subarray(0, KEPT))).toBe(true)
    expect(opened[4]?.digest).toBe(createHash('sha256').update(long).digest('hex'))
    expect(opened[5]?.bytes.toString()).toBe(`${MARKER}7\n`)

    const entries = await wholeRecording(gateway.dataDirectory, gateway.recordingKeys)
    const plain = entries.map(({ entry }) => {
      const body = 'body' in entry && entry.body !== undefined ? Buffer.from(entry.body) : ''
      const digest = 'digest' in entry && entry.digest !== undefined ? Buffer.from(entry.digest) : ''
      return `${JSON.stringify(entry.head)}${body.toString('latin1')}${digest.toString('latin1')}`
    })
    expect(plain.filter(marked)).toEqual([])
    expect(plain.filter((each) => each.includes(opened[4]?.digest ?? ''))).toEqual([])
    const session = entries.at(-1)?.session ?? ''
    for (const args of [
      ['show', session],
      ['show', session, '--json', '--results'],
      ['replay', session, '--speed', '1000000'],
      ['export', session, '--format', 'jsonl'],
      ['export', session, '--format', 'asciicast'],
      ['export', session, '--format', 'ocsf'],
    ]) {
      const { stdout, stderr, code } = await gateway.cli(['sessions', ...args])
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0)
      expect(marked(stdout), args.join(' ')).toBe(false)
    }
    const shown = await gateway.cli(['sessions', 'show', session])
    expect(shown.stdout).toContain('#1 sent, to its end  24 bytes in all [sealed pii.email]')
    const files = await readdir(gateway.dataDirectory, { recursive: true, withFileTypes: true })
    for (const { parentPath, name } of files.filter((each) => each.isFile())) {
      const bytes = await readFile(join(parentPath, name), 'latin1').catch(() => '')
      expect(marked(bytes), name).toBe(false)
    }

    const asked = ['--payloads', 'input', '--label', 'pii.email', '--reason', 'request 1']
    const erased = await gateway.cli(['audit', 'erase', session, ...asked])
    expect(`${erased.code} ${erased.stderr}`).toMatch(/^[03] /)
    await eventually(
      'the erasure',
      async () => {
        const { stdout } = await gateway.cli(['sessions', 'show', session])
        return stdout.includes('24 bytes in all [sealed pii.email] [erased]')
      },
      60_000,
    )
    const left = sentIn(await journalOf(gateway)).filter(({ bytes }) => marked(bytes.toString()))
    expect(left).toEqual([])
    const key = join(gateway.dataDirectory, 'log', 'key')
    const verifier = join(import.meta.dirname, '..', 'examples', 'verify', 'verify.py')
    await eventually(
      'the log to cover it',
      async () => {
        const ours = await gateway.cli(['audit', 'verify', gateway.dataDirectory, '--key-file', key])
        const theirs = await run('/usr/bin/python3', [verifier, gateway.dataDirectory, '--key-file', key])
        if (ours.code !== 0 || theirs.code !== 0) throw new Error(`${ours.stdout}\n${theirs.stdout}`)
        return ours.stdout.includes('input') && theirs.stdout.includes('input')
      },
      60_000,
    )
  }, 240_000)

  test('what has no labels is shown and replayed as it was sent', async () => {
    await talk('COPY plain FROM STDIN', [copyData('1\tshown as it is\n'), copyDone()])
    const entries = await journalOf(gateway)
    const session = entries.findLast(({ entry }) => entry.kind === 'input')?.session ?? ''
    const replayed = await gateway.cli(['sessions', 'replay', session, '--speed', '1000000'])
    expect(replayed.stdout).toMatch(/#1 sent, to its end {2}17 bytes in all\n +\| 1 +shown as it is/)
    const exported = await gateway.cli(['sessions', 'export', session, '--format', 'jsonl'])
    expect(exported.stdout).toContain(Buffer.from('1\tshown as it is\n').toString('base64'))
    const shown = await gateway.cli(['sessions', 'show', session])
    expect(shown.stdout).toContain('sent, to its end  17 bytes in all')
    const ocsf = await gateway.cli(['sessions', 'export', session, '--format', 'ocsf'])
    expect(ocsf.stdout).not.toContain('shown as it is')
  })

  // The older server takes rows in the same way.
  if (major === 18)
    test('killed in the middle: what the server has of it is in the recording', async () => {
      const random = randomFrom(seed)
      const kills = times({ small: 3, full: 40 })
      const acknowledged = new Set<string>()
      for (let kill = 0; kill < kills; kill++) {
        const to = targetOf(await gateway.dsn('people', 'writer'))
        const clients = [0, 1, 2].map((which) => load(to, `k${kill}-${which}`, acknowledged))
        await sleep(300 + random() * 1_000)
        gateway = await gateway.crashAndRestart()
        await Promise.all(clients)
      }
      const recorded = Buffer.concat(
        (await journalOf(gateway)).flatMap(({ entry }) =>
          entry.kind === 'input' && entry.body !== undefined ? [Buffer.from(entry.body)] : [],
        ),
      ).toString()
      const lines = new Set(recorded.split('\n').map((line) => line.split('\t')[1] ?? ''))
      expect([...acknowledged].filter((note) => !lines.has(note))).toEqual([])
      expect(acknowledged.size).toBeGreaterThan(kills)
      const stored = await server.sql<{ note: string }>("SELECT note FROM plain WHERE note LIKE 'k%-%-%'")
      expect(stored.map(({ note }) => note).filter((note) => !lines.has(note))).toEqual([])
      expect(stored.length).toBeGreaterThanOrEqual(acknowledged.size)
      tally('kills', kills)
      tally('rows', stored.length)
      const sent = sentIn(await journalOf(gateway))
      expect(sent.length).toBeGreaterThan(0)
    }, 600_000)
})

/** One COPY after the other, each row with a mark that occurs once, until the gateway dies. */
async function load(target: Target, prefix: string, acknowledged: Set<string>): Promise<void> {
  const { client } = await RawClient.open(target)
  try {
    for (let n = 0; ; n++) {
      const notes = Array.from(
        { length: 20 },
        (_, i) => `${prefix}-${n}-${i}-${randomBytes(20).toString('hex')}`,
      )
      client.write(query('COPY plain FROM STDIN'))
      if ((await client.readUntilType('GE!')).at(-1)?.type !== 'G') return
      for (const note of notes) client.write(copyData(`1\t${note}\n`))
      client.write(copyDone())
      const told = await client.readUntilReady()
      if (!told.some(({ type }) => type === 'C')) return
      for (const note of notes) acknowledged.add(note)
    }
  } catch {
    return
  } finally {
    await client.close().catch(() => undefined)
  }
}
