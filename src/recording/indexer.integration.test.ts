import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LIMITS, type SessionId } from '../core/index.ts'
import {
  adminEntry,
  closeEntry,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
  summaryOf,
} from '../testing/entries.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { unsyncedFiles } from '../testing/faulty-files.ts'
import { MemorySessionIndex } from '../testing/memory-session-index.ts'
import type { SessionSummary } from './list/index-port.ts'
import { catchUpIndex, Indexer, listSessions } from './index.ts'
import { type FileJournal, openJournal } from './journal/journal.ts'
import { random, testKeys } from '../testing/recording-keys.ts'

let directory: string
let clock: FakeClock
let index: MemorySessionIndex
let journal: FileJournal
let indexer: Indexer
let faults: unknown[]

function openAgain(): void {
  journal = openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files: unsyncedFiles,
    fileBytesMax: 3000,
    onFault: (error) => faults.push(error),
  })
  indexer = new Indexer({
    directory,
    keys: testKeys,
    journal,
    index,
    clock,
    onFault: (error) => faults.push(error),
  })
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-index-'))
  clock = new FakeClock()
  index = new MemorySessionIndex()
  faults = []
  openAgain()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function session(commands: number, end = true): SessionId {
  clock.advance(1)
  const id = sessionId(clock.now())
  journal.append(id, openEntry())
  for (let n = 1; n <= commands; n++) {
    journal.append(id, intentEntry(n, { decision: n % 3 === 0 ? 'deny' : 'allow' }))
    if (n % 2 === 0) journal.append(id, { kind: 'hold', head: { n, ticket: 'T-1', expiresAt: 0 } })
    journal.append(id, outcomeEntry(n, { rows: n, bytes: 100 }))
    journal.flush()
  }
  if (end) journal.append(id, closeEntry(commands))
  journal.append(undefined, adminEntry())
  journal.flush()
  return id
}

const limit = 100
const ids = (list: readonly SessionSummary[]): SessionId[] => list.map((each) => each.session)

/** What reading the whole journal into an empty index gives. */
async function counted(): Promise<readonly SessionSummary[]> {
  return await listSessions(directory, testKeys, new MemorySessionIndex(), { limit: 1000 })
}

test('figures are the same counted as they happen, and read back from the journal', async () => {
  await indexer.start()
  const [a, b] = [session(5), session(4, false)]
  const list = await indexer.list({ limit })
  expect(ids(list)).toEqual([b, a])
  expect(list[1]).toEqual(
    summaryOf(a, {
      openedAt: clock.now() - 1,
      closedAt: clock.now() - 1,
      closeReason: 'client left',
      credential: 'c_0123456789abcdef',
      commands: 5,
      denied: 1,
      held: 2,
      rows: 15,
      bytes: 500,
    }),
  )
  expect(await counted()).toEqual(list)
})

test('the list is stored by itself, once a second', async () => {
  await indexer.start()
  const id = session(1)
  expect(await index.get(id)).toBeUndefined()
  clock.advance(1000)
  await expect.poll(() => index.get(id)).toBeDefined()
  const before = await index.position()
  expect(before).toBe(journal.flushedSequence)
  const next = session(1)
  // The other timer is the journal's own.
  await expect.poll(() => clock.waiting).toBe(2)
  clock.advance(1000)
  await expect.poll(() => index.get(next)).toBeDefined()
  await indexer.stop()
  expect(clock.waiting).toBe(0)
})

test('what a crash kept from the list is counted in at the next start', async () => {
  await indexer.start()
  const a = session(3)
  const b = session(2, false)
  await indexer.update()
  journal.append(b, intentEntry(3))
  journal.flush()
  const c = session(7)
  // Killed: nothing of this was stored.
  openAgain()
  await indexer.start()
  const list = await indexer.list({ limit })
  expect(ids(list)).toEqual([c, b, a])
  expect(list.map(({ commands, closeReason }) => [commands, closeReason])).toEqual([
    [7, 'client left'],
    [3, 'gateway stopped'],
    [3, 'client left'],
  ])
  expect(list).toEqual(await counted())
})

test('catching up in any number of steps gives the same', async () => {
  for (let n = 0; n < 12; n++) session(n % 5, n % 4 !== 0)
  const last = journal.flushedSequence
  for (const step of [1, 2, 7, 50]) {
    const stepped = new MemorySessionIndex()
    for (let upTo = 0; upTo <= last + step; upTo += step)
      await catchUpIndex(directory, testKeys, stepped, upTo)
    expect(await stepped.list({ limit })).toEqual(await counted())
  }
})

test('more sessions than are held at once', async () => {
  const open = Array.from({ length: 1100 }, () => sessionId(clock.now()))
  for (const id of open) journal.append(id, openEntry())
  for (const id of open) journal.append(id, intentEntry(1))
  journal.flush()
  const list = await listSessions(directory, testKeys, index, { limit: 10_000 })
  expect(list).toHaveLength(LIMITS.sessionsListedMax)
  expect(list.every(({ commands }) => commands === 1)).toBe(true)
})

test('a list that is ahead of the journal: the end of the journal was lost with the machine', async () => {
  await indexer.start()
  const kept = session(2, false)
  const file = join(directory, 'journal', `0000000${journal.fileNumber}.slj`)
  const lost = session(2, false)
  await indexer.stop()
  truncateSync(file, 1200)
  openAgain()
  await indexer.start()
  const next = session(1)
  const list = await indexer.list({ limit })
  expect(ids(list)).toEqual([next, lost, kept])
  expect(list.map(({ closeReason }) => closeReason)).toEqual([
    'client left',
    'gateway stopped',
    'gateway stopped',
  ])
  expect(list[0]).toEqual((await counted())[0])
  expect(faults).toEqual([])
})

test('while the index cannot be reached figures wait, and the latest are stored', async () => {
  await indexer.start()
  const { upsert } = index
  index.upsert = () => Promise.reject(new Error('store'))
  const a = session(1)
  const b = session(1, false)
  await expect(indexer.update()).rejects.toThrow('store')
  clock.advance(1000)
  await expect.poll(() => faults).toHaveLength(1)
  journal.append(b, intentEntry(2))
  journal.flush()
  index.upsert = upsert
  const list = await indexer.list({ limit })
  expect(ids(list)).toEqual([b, a])
  expect(list).toEqual(await counted())
})

test('an index that cannot be reached at the start does not keep the gateway from starting', async () => {
  index.position = () => Promise.reject(new Error('store'))
  await indexer.start()
  expect(faults).toEqual([new Error('store')])
  session(1)
})
