/**
 * Marker values in statements and parameters of one who may filter by protected columns and write them: nobody finds them
 * in the recording who has its key and not those of the labels, nor who reads it through the gateway and may see none.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { beforeAll, expect, test } from 'vitest'
import type { RecordedEntry } from '../../src/recording/index.ts'
import { wholeRecording } from '../../src/testing/whole-recording.ts'
import { teardown } from '../support/teardown.ts'
import { eventually } from '../support/wait.ts'
import { journalOf } from './evidence.ts'
import type { World } from './world.ts'
import { base64Forms, startWorld } from './world.ts'

const MARKER = 'qzvsealed'

/** With a marker in each, in as many ways as values are written. */
const STATEMENTS = [
  `SELECT id FROM customers WHERE email = '${MARKER}1@x.org'`,
  `SELECT id FROM customers WHERE email = '${MARKER}2@x.org' -- looks for ${MARKER}2`,
  `/* ${MARKER}3 */ SELECT id AS "${MARKER}3" FROM customers WHERE email IN ('a@x.org', '${MARKER}3')`,
  `SELECT id FROM customers WHERE email LIKE '${MARKER}%' OR phone BETWEEN '${MARKER}a' AND '${MARKER}b' LIMIT 3`,
  `SELECT id FROM customers WHERE lower(email) = lower('${MARKER.toUpperCase()}4') AND company = '${MARKER}4'`,
  `SELECT id FROM customers WHERE email = $$${MARKER}5$$ OR email = E'${MARKER}\\x35' OR email = U&'${MARKER}\\0035'`,
  `SELECT count(*) FROM customers WHERE email = ANY ('{${MARKER}6,b@x.org}'::text[])`,
  `BEGIN; UPDATE customers SET email = '${MARKER}7' WHERE id = -1; ROLLBACK`,
  `INSERT INTO customers (id, email, no_such_column) VALUES (-5, '${MARKER}8', 1)`,
  `PREPARE by_email (text) AS SELECT id FROM customers WHERE email = $1 OR email = '${MARKER}9'`,
  `EXECUTE by_email('${MARKER}10')`,
  `DECLARE c CURSOR FOR SELECT id FROM customers WHERE email > '${MARKER}11'`,
  `EXPLAIN SELECT id FROM customers WHERE email < '${MARKER}12'`,
  `SELECT id FORM customers WHERE email = '${MARKER}13'`,
  `DO $do$ BEGIN PERFORM 1 FROM customers WHERE email = '${MARKER}14'; END $do$`,
  `SELECT id FROM customers WHERE email = '${MARKER}15' AND name = '${'x'.repeat(3_000)}'`,
  `CREATE INDEX ON customers (id) WHERE email = '${MARKER}16'`,
  `SELECT id FROM customers, (VALUES ('${MARKER}17')) v(e) WHERE e = email`,
]

/** Waits for approval, in the gateway's database as well. */
const HELD = `UPDATE support_tickets SET status = 'closed' WHERE customer_id IN (SELECT id FROM customers WHERE email = '${MARKER}30')`

const later = teardown()
let world: World

beforeAll(async () => {
  world = await startWorld({ edit: (text) => text.replace('filter: all }', 'filter: all, store: all }') })
  later(() => world.stop())
  const client = new Client({ connectionString: await world.gateway.dsn('crm-super', 'analyst') })
  await client.connect()
  for (const text of STATEMENTS) await client.query(text).catch(() => undefined)
  const found = 'SELECT id FROM customers WHERE email = $1 AND id > $2'
  await client.query(found, [`${MARKER}20@x.org`, 0])
  await client.query(found, [Buffer.from(`${MARKER}21@x.org`), 0]).catch(() => undefined)
  await client.query({ name: 'again', text: found, values: [`${MARKER}22@x.org`, 0] })
  await client.query({ name: 'again', text: found, values: [`${MARKER}23@x.org`, 0] })
  await client.query('UPDATE customers SET phone = $2 WHERE id = $1', [-1, `${MARKER}24`])
  await client.end()
  const held = new Client({ connectionString: await world.gateway.dsn('crm', 'support-agent') })
  await held.connect()
  await held.query(HELD).catch(() => undefined)
  await held.end()
}, 180_000)

/** Base64 is how parameters are written. */
function marked(text: string): boolean {
  const plain = text.toLowerCase()
  return plain.includes(MARKER) || base64Forms(MARKER).some((form) => text.includes(form))
}

function plain({ entry }: RecordedEntry): string {
  const body = 'body' in entry && entry.body !== undefined ? Buffer.from(entry.body).toString('latin1') : ''
  return JSON.stringify(entry.head) + body
}

test('all that was sent is recorded, for who may see it', async () => {
  const entries = await journalOf(world.gateway)
  const texts = entries.flatMap(({ entry }) => (entry.kind === 'intent' ? [entry.head.text] : []))
  expect(texts.filter((text) => STATEMENTS.includes(text))).toEqual(STATEMENTS)
  expect(entries.filter((each) => marked(plain(each))).length).toBeGreaterThanOrEqual(STATEMENTS.length + 5)
})

test('with the key of the recording, and those of no label, no marker is found', async () => {
  const entries = await wholeRecording(world.gateway.dataDirectory, world.gateway.recordingKeys)
  expect(entries.length).toBeGreaterThan(STATEMENTS.length * 2)
  expect(entries.map(plain).filter(marked)).toEqual([])
})

test('nor through the gateway, by one who may see no label', async () => {
  const { gateway } = world
  const listed = await gateway.cli(['sessions', 'ls', '--json'])
  const { sessions }: { sessions: { session: string; commands: number }[] } = JSON.parse(listed.stdout)
  const session = sessions.find(({ commands }) => commands >= STATEMENTS.length)?.session ?? ''
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
    expect(stdout).toContain('[sealed ')
  }
  const found = await gateway.cli(['sessions', 'ls', '--text', MARKER, '--json'])
  expect(JSON.parse(found.stdout)).toMatchObject({ sessions: [] })
  expect(marked(gateway.stderr())).toBe(false)
})

test('nor in any file of the data directory, though one waits for approval', async () => {
  const directory = world.gateway.dataDirectory
  const waiting = await world.gateway.cli(['approvals', 'ls', '--json'])
  // The operator socket is nobody, and may see no label.
  expect(marked(waiting.stdout)).toBe(false)
  expect(waiting.stdout).toContain('[sealed ')
  const found = await eventually('every file to be read', async () => {
    const files = await readdir(directory, { recursive: true, withFileTypes: true })
    const read = files.filter((each) => each.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    const marks = await Promise.all(
      read.map(async (path) => (marked(await readFile(path, 'latin1')) ? path : '')),
    ).catch(() => undefined)
    return marks?.filter((path) => path !== '')
  })
  expect(found).toEqual([])
})

test('and the recording proves itself', async () => {
  const { gateway } = world
  await eventually('the log to cover the session', async () => {
    const key = join(gateway.dataDirectory, 'log', 'key')
    const verified = await gateway.cli(['audit', 'verify', gateway.dataDirectory, '--key-file', key])
    return verified.code === 0 ? true : undefined
  })
})
