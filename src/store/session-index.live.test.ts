/**
 * The list of 200,000 sessions, in a real file: every question answers in under a second. None of them reads a
 * recording, so how large those are makes no difference.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SessionFilter } from '../recording/index.ts'
import { sessionId, summaryOf } from '../testing/entries.ts'
import { Store } from './index.ts'

const SESSIONS = 200_000
const MS_MAX = 1_000
const BEGAN = Date.UTC(2026, 0, 1)

let folder: string
let store: Store

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-many-'))
  await (await open()).close()
  const file = join(folder, 'store.sqlite')
  fill(file)
  process.stdout.write(`${SESSIONS} sessions, ${Math.round((await stat(file)).size / 1e6)} MB of index\n`)
  store = await open()
}, 300_000)

afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

function open(): Promise<Store> {
  return Store.open(folder, (error) => {
    throw error
  })
}

/** One session a minute, in SQL: through the store it would take minutes. */
function fill(file: string): void {
  const db = new DatabaseSync(file)
  const row = summaryOf(sessionId(BEGAN), {})
  const facts = (kind: string, value: string, where = 'true'): string =>
    `INSERT INTO session_facts SELECT '${kind}', ${value}, session, 3, opened_at, opened_at FROM made WHERE ${where};`
  db.exec(`PRAGMA synchronous = off;
BEGIN;
CREATE TEMP TABLE made AS
  WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${SESSIONS - 1})
  SELECT i, printf('01KDV%021d', i) AS session, ${BEGAN} + i * 60000 AS opened_at FROM n;
INSERT INTO sessions (session, opened_at, closed_at, close_reason, connection, protocol, chain, credential, minted_by,
    client_address, program, database, config, commands, denied, held, rows, bytes)
  SELECT session, opened_at, opened_at + 5000, 'client left', 'db-' || (i % 20), '${row.protocol}',
    json_array('agent:agent-' || (i % 50), 'person:p' || (i % 1000) || '@example.com'), '${row.credential}',
    '${row.mintedBy}', '${row.clientAddress}', '${row.program}', '${row.database}', '${row.config}', 40, 0, 0, 10, 400
  FROM made;
INSERT INTO session_identities (session, identity) SELECT session, 'agent:agent-' || (i % 50) FROM made;
INSERT INTO session_identities (session, identity) SELECT session, 'person:p' || (i % 1000) || '@example.com' FROM made;
${facts('group', "CASE i % 2 WHEN 0 THEN 'agents' ELSE 'engineers' END")}
${facts('class', "'read'")}
${facts('decision', "'allow'")}
${facts('read', "'public.t' || (i % 300)")}
${facts('read', "'public.customers'")}
${facts('masked', "'pii.email'", 'i % 3 = 0')}
${facts('written', "'public.orders'", 'i % 2 = 1')}
${facts('class', "'write'", 'i % 2 = 1')}
-- Nobody is in the group agents and has this: both are in half of the sessions, and it takes looking at all.
${facts('decision', "'hold'", 'i % 2 = 1')}
INSERT INTO sightings (session, n, at, column_name, label, shown, outcome, rows, bytes, empty)
  SELECT session, 1, opened_at,
    CASE WHEN i % 400 = 0 THEN 'public.people.ssn' ELSE 'public.customers.email' END,
    CASE WHEN i % 400 = 0 THEN 'ssn' ELSE 'email' END,
    CASE WHEN i % 8 = 0 THEN 'clear' ELSE 'masked' END, 'ok', 10, 400, 0
  FROM made WHERE i % 4 = 0;
COMMIT;`)
  db.close()
}

const FILTERS: readonly (readonly [string, Omit<SessionFilter, 'limit'>, number])[] = [
  ['the newest', {}, 100],
  ['one identity', { identity: 'person:p7@example.com' }, 100],
  [
    'one connection in a month long ago',
    { connection: 'db-3', openedFrom: BEGAN, openedBefore: BEGAN + 86_400_000 },
    72,
  ],
  ['a rare table', { read: 'public.t7', group: 'engineers' }, 100],
  ['two halves without a session in common', { group: 'agents', decision: 'hold' }, 0],
  ['what nobody has', { masked: 'pii.none', class: 'read', table: 'public.customers' }, 0],
  [
    'everything at once',
    {
      identity: 'agent:agent-3',
      group: 'engineers',
      class: 'write',
      decision: 'hold',
      table: 'public.customers',
      masked: 'pii.email',
      open: false,
    },
    100,
  ],
  ['nobody', { identity: 'person:none', group: 'agents' }, 0],
]

it.each(FILTERS)('%s', async (_name, filter, expected) => {
  const began = performance.now()
  const list = await store.sessions.list({ ...filter, limit: 100 })
  const took = performance.now() - began
  process.stdout.write(`${_name}: ${Math.round(took)} ms\n`)
  expect(list).toHaveLength(expected)
  expect(took).toBeLessThan(MS_MAX)
})

it('who saw a column, and what an identity saw', async () => {
  const timed = async <T>(name: string, ask: () => Promise<readonly T[]>): Promise<readonly T[]> => {
    const began = performance.now()
    const answer = await ask()
    const took = performance.now() - began
    process.stdout.write(`${name}: ${Math.round(took)} ms\n`)
    expect(took, name).toBeLessThan(MS_MAX)
    return answer
  }
  const day = { from: BEGAN + 30 * 86_400_000, before: BEGAN + 31 * 86_400_000 }
  const saw = { saw: 'public.customers.email', labels: ['email'], limit: 1_000 }
  expect(await timed('sightings of a day', () => store.sessions.sightings({ ...saw, ...day }))).toHaveLength(
    356,
  )
  expect(await timed('viewers of a day', () => store.sessions.viewers({ ...saw, ...day }))).toHaveLength(249)
  expect(await timed('sightings ever', () => store.sessions.sightings(saw))).toHaveLength(1_000)
  expect(await timed('viewers ever', () => store.sessions.viewers(saw))).toHaveLength(250)
  const by = { by: 'person:p0@example.com', limit: 1_000 }
  expect(await timed('columns of one', () => store.sessions.seenColumns(by))).toHaveLength(2)
  expect((await timed('tables of one', () => store.sessions.seenTables(by))).length).toBeGreaterThan(2)
})
