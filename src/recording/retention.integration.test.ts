import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SessionId } from '../core/index.ts'
import { closeEntry, collect, openEntry, outcomeEntry, sessionId } from '../testing/entries.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { memoryDirectory, unsyncedFiles } from '../testing/faulty-files.ts'
import { MemorySessionIndex } from '../testing/memory-session-index.ts'
import { random, testKeys } from '../testing/recording-keys.ts'
import { MemoryLogStorage } from '../testing/memory-log-storage.ts'
import { seal } from '../testing/seal.ts'
import { catchUpIndex } from './indexer.ts'
import { type FileJournal, openJournal } from './journal/journal.ts'
import { sessionFile } from './files/names.ts'
import { readJournal } from './reading/reader.ts'
import { readSnapshot, SnapshotStore } from './snapshots/snapshot-store.ts'
import { KEEP_ALL, Retention, type RetentionSettings } from './retention.ts'

const DAY = 24 * 60 * 60 * 1000
let directory: string
let clock: FakeClock
let storage: MemoryLogStorage
let index: MemorySessionIndex
let journal: FileJournal

beforeEach(() => {
  directory = mkdtempSync(join(memoryDirectory(), 'sluice-retention-'))
  clock = new FakeClock()
  storage = new MemoryLogStorage()
  index = new MemorySessionIndex()
  journal = start()
})
afterEach(() => {
  journal.close()
  rmSync(directory, { recursive: true, force: true })
})

function start(): FileJournal {
  const onFault = (error: unknown): void => expect.fail(String(error))
  return openJournal({ directory, keys: testKeys, random, clock, files: unsyncedFiles, onFault })
}

/** A session that has ended, with so many bytes of result that no compression makes less. */
function session(bytes = 10, open: Parameters<typeof openEntry>[0] = {}): SessionId {
  const id = sessionId(clock.now())
  journal.append(id, openEntry(open))
  journal.append(id, outcomeEntry(1, {}, random(bytes)))
  journal.append(id, closeEntry(1))
  journal.flush()
  return id
}

/** Seals all there is; a restart of the journal leaves only its newest file behind. */
async function sealed(): Promise<void> {
  journal.close()
  journal = start()
  await catchUpIndex(directory, testKeys, index)
  await seal(directory, clock, { storage, indexed: () => Number.MAX_SAFE_INTEGER })
}

function retention(settings: Partial<RetentionSettings>, snapshots?: SnapshotStore): Retention {
  const onFault = (error: unknown): void => expect.fail(String(error))
  const nothing = { state: 'nothing', removed: [] } as const
  const eraser = { run: () => Promise.resolve(nothing), retire: () => Promise.resolve(nothing) }
  return new Retention(
    { directory, keys: testKeys, journal, index, clock, snapshots, eraser, onFault },
    { ...KEEP_ALL, ...settings },
  )
}

const kept = (...ids: SessionId[]): boolean[] => ids.map((id) => existsSync(sessionFile(directory, id)))

test('what is old enough is deleted, and each deletion is recorded', async () => {
  const first = session()
  clock.advance(2 * DAY)
  const second = session()
  clock.advance(2 * DAY)
  await sealed()
  expect(await retention({ afterMs: 3 * DAY }).run()).toBe(1)
  expect(kept(first, second)).toEqual([false, true])
  const entries = (await collect(readJournal(directory, testKeys))).map(({ entry }) => entry.head)
  expect(entries).toContainEqual({
    action: 'recording.deleted',
    by: 'retention',
    target: first,
    details: { because: 'age', bytes: expect.any(Number) },
  })
  expect(await retention({ afterMs: 3 * DAY }).run()).toBe(0)
})

test('beyond the size the oldest go', async () => {
  const ids: SessionId[] = []
  for (let n = 0; n < 4; n++) {
    ids.push(session(400_000))
    clock.advance(DAY)
  }
  await sealed()
  expect(await retention({ bytesMax: 1_000_000 }).run()).toBe(2)
  expect(kept(...ids)).toEqual([false, false, true, true])
})

test('what is held stays, and so does everything without a rule', async () => {
  const [a, b, c, d] = [
    session(),
    session(10, { connection: 'payments' }),
    session(10, { chain: [{ kind: 'person', name: 'eve', issuer: 'local', groups: [] }] }),
    session(),
  ]
  clock.advance(9 * DAY)
  await sealed()
  expect(await retention({}).run()).toBe(0)
  const hold = { sessions: [a], connections: ['payments'], identities: ['person:eve'] }
  expect(await retention({ afterMs: DAY, bytesMax: 1, hold }).run()).toBe(1)
  expect(kept(a, b, c, d)).toEqual([true, true, true, false])
})

test('a file that the gateway never wrote, however large it seems, makes nothing else go (P-06)', async () => {
  const ids = [session(400_000), session(400_000)]
  const planted = sessionId(clock.now())
  clock.advance(2 * DAY)
  await sealed()
  const path = sessionFile(directory, planted)
  for (const bytes of [Buffer.alloc(2_000_000, 1), readFileSync(sessionFile(directory, ids[0] ?? planted))]) {
    writeFileSync(path, bytes)
    expect(await retention({ bytesMax: 1_000_000 }).run()).toBe(0)
  }
  // One of its own, with a hole behind it.
  truncateSync(sessionFile(directory, ids[1] ?? planted), 1e12)
  expect(await retention({ bytesMax: 2_500_000 }).run()).toBe(0)
  expect(kept(...ids)).toEqual([true, true])
})

test('what the list says does not set aside a hold, nor make a session older (P-06)', async () => {
  const held = session(10, { connection: 'payments' })
  clock.advance(9 * DAY)
  const young = session()
  clock.advance(DAY)
  await sealed()
  for (const each of [held, young]) {
    const known = await index.get(each)
    if (known !== undefined)
      await index.upsert([{ ...known, connection: 'other', closedAt: 1 }], await index.position())
  }
  const hold = { sessions: [], connections: ['payments'], identities: [] }
  expect(await retention({ afterMs: 5 * DAY, hold }).run()).toBe(0)
  expect(kept(held, young)).toEqual([true, true])
})

test('what the journal still holds, or has not ended, waits', async () => {
  const ended = session()
  const open = sessionId(clock.now())
  journal.append(open, openEntry())
  journal.flush()
  clock.advance(9 * DAY)
  await catchUpIndex(directory, testKeys, index)
  await seal(directory, clock)
  expect(kept(ended)).toEqual([true])
  expect(await retention({ afterMs: DAY }).run()).toBe(0)
})

test('nothing is deleted that cannot be recorded', async () => {
  const first = session()
  clock.advance(9 * DAY)
  await sealed()
  journal.close()
  await expect(retention({ afterMs: DAY }).run()).rejects.toEqual(
    expect.objectContaining({ code: 'recording_unavailable' }),
  )
  expect(kept(first)).toEqual([true])
})

test('a journal file does not grow older than a day, so that its sessions can be deleted', async () => {
  session()
  const before = journal.fileNumber
  clock.advance(DAY + 1)
  session()
  expect(journal.fileNumber).toBe(before + 1)
})

test('a snapshot stays as long as a recording may name it, and goes when the last one has gone', async () => {
  const onFault = (error: unknown): void => expect.fail(String(error))
  const snapshots = new SnapshotStore({ directory, keys: testKeys, clock, random, onFault })
  const old = await snapshots.keep('definitions of then')
  session()
  const now = await snapshots.keep('definitions of now')
  snapshots.release(old)
  clock.advance(4 * DAY)
  session()
  await sealed()
  const kept = async () => [
    (await readSnapshot(directory, testKeys, old)) !== undefined,
    (await readSnapshot(directory, testKeys, now)) !== undefined,
  ]
  await retention({}, snapshots).run()
  expect(await kept()).toEqual([true, true])
  await retention({ afterMs: 3 * DAY }, snapshots).run()
  expect(await kept()).toEqual([false, true])
  // In use, however old.
  clock.advance(40 * DAY)
  session()
  await sealed()
  await retention({ afterMs: 3 * DAY }, snapshots).run()
  expect(await kept()).toEqual([false, true])
})
