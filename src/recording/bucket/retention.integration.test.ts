import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { SessionId } from '../../core/index.ts'
import { BucketStage, PREFIX } from '../../testing/bucket-stage.ts'
import { collect } from '../../testing/entries.ts'
import { MemorySessionIndex } from '../../testing/memory-session-index.ts'
import { testKeys } from '../../testing/recording-keys.ts'
import { S3Server } from '../../testing/s3-server.ts'
import { dayOf } from '../files/names.ts'
import { catchUpIndex } from '../indexer.ts'
import { keyUse } from '../reading/key-use.ts'
import { readJournal, readSession, recordedSessions } from '../reading/reader.ts'
import { KEEP_ALL, Retention, type RetentionSettings } from '../retention.ts'
import type { Uploader } from './uploader.ts'

const DAY = 24 * 60 * 60 * 1000
let server: S3Server
let stage: BucketStage
let index: MemorySessionIndex
let uploader: Uploader

beforeAll(async () => {
  server = await S3Server.open()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.objects.clear()
  server.fault = () => undefined
  stage = await BucketStage.open(server)
  index = new MemorySessionIndex()
  uploader = stage.uploader({ spoolBytesMax: 0 })
})
afterEach(() => stage.close())

const stored = (...ids: SessionId[]): boolean[] =>
  ids.map((id) => server.objects.has(`${PREFIX}sessions/${dayOf(id)}/${id}.slr`))

async function sealed(): Promise<void> {
  await stage.seal()
  await catchUpIndex(stage.directory, testKeys, index, undefined, (each) => uploader.fetch(each))
}

function retention(
  settings: Partial<RetentionSettings>,
  fetch = (each: SessionId) => uploader.fetch(each),
): Retention {
  const nothing = { state: 'nothing', removed: [] } as const
  return new Retention(
    {
      directory: stage.directory,
      keys: testKeys,
      journal: stage.journal,
      index,
      clock: stage.clock,
      eraser: { run: () => Promise.resolve(nothing), retire: () => Promise.resolve(nothing) },
      store: { isConfigured: () => true, fetch },
      onFault: (error) => expect.fail(String(error)),
    },
    { ...KEEP_ALL, ...settings },
  )
}

/** Two sessions that are four and two days old, both in the store only. */
async function two(): Promise<[SessionId, SessionId]> {
  const first = stage.session(100_000)
  stage.clock.advance(2 * DAY)
  const second = stage.session(100_000)
  stage.clock.advance(2 * DAY)
  await sealed()
  await sealed()
  await uploader.pass(true)
  expect([stage.isHere(first), stage.isHere(second)]).toEqual([false, false])
  return [first, second]
}

test('what is deleted goes from the store as well, behind its entry, and the bucket is proved without it (P-06)', async () => {
  const [first, second] = await two()
  expect(await retention({ afterMs: 3 * DAY }).run()).toBe(1)
  const heads = (await collect(readJournal(stage.directory, testKeys))).map(({ entry }) => entry.head)
  expect(heads).toContainEqual(expect.objectContaining({ action: 'recording.deleted', target: first }))
  expect(await collect(recordedSessions(stage.directory))).toEqual([second])
  expect(stored(first, second)).toEqual([true, true])
  // Nobody gets it back, although it is still there.
  const fetch = (each: SessionId): Promise<void> => uploader.fetch(each)
  await expect(collect(readSession(stage.directory, testKeys, first, { fetch }))).rejects.toMatchObject({
    code: 'not_found',
  })
  await sealed()
  await uploader.pass(true)
  expect(stored(first, second)).toEqual([false, true])
  expect(await retention({ afterMs: 3 * DAY }).run()).toBe(0)
  const verdict = await stage.verify()
  expect(verdict).toMatchObject({ proved: true, failures: [] })
  expect(verdict.sessions.map(({ state }) => state)).toEqual(['deleted', 'proved'])
})

test('what cannot be deleted there is tried again, and is gone for everybody here', async () => {
  const [first] = await two()
  await retention({ afterMs: 3 * DAY }).run()
  server.fault = ({ what }) => (what === 'DELETE' ? { status: 403, code: 'AccessDenied' } : undefined)
  const another = stage.session()
  await sealed()
  await uploader.pass(true)
  expect(stage.faults).toEqual([expect.stringContaining('does not let the gateway in (AccessDenied)')])
  expect(uploader.state.undeleted).toBe(1)
  // What it lets the gateway do goes on, and what not is tried again an hour later.
  expect(stored(another)).toEqual([true])
  await uploader.pass(true)
  expect(stage.faults).toHaveLength(1)
  expect(stored(first)).toEqual([true])
  expect(stage.isHere(first)).toBe(false)
  expect(await retention({ afterMs: 3 * DAY }).run()).toBe(0)
  server.fault = () => undefined
  stage.clock.advance(61 * 60_000)
  await uploader.pass()
  expect(stored(first)).toEqual([false])
  expect(uploader.state.undeleted).toBe(0)
})

test('beyond the size what is in the store counts as well', async () => {
  const [first, second] = await two()
  expect(await retention({ bytesMax: 300_000 }).run()).toBe(0)
  expect(await retention({ bytesMax: 150_000 }).run()).toBe(1)
  expect(await collect(recordedSessions(stage.directory))).toEqual([second])
  await uploader.pass()
  expect(stored(first, second)).toEqual([false, true])
})

test('by label looks into what is in the store only, and waits for several of them at once', async () => {
  const sessions = Array.from({ length: 20 }, () => stage.session())
  await sealed()
  await sealed()
  await uploader.pass(true)
  stage.clock.advance(4 * DAY)
  let [now, most] = [0, 0]
  const fetched: SessionId[] = []
  const slowly = async (each: SessionId): Promise<void> => {
    most = Math.max(most, ++now)
    await new Promise((resolve) => setTimeout(resolve, 5))
    await uploader.fetch(each)
    fetched.push(each)
    now--
  }
  const rule = { payloads: [{ afterMs: 3 * DAY, labels: ['pii.email'] }] }
  const one = retention(rule, slowly)
  await one.run()
  expect(fetched.toSorted()).toEqual(sessions.toSorted())
  expect(most).toBe(8)
  // What holds nothing that the rule is about is not fetched a second time.
  await one.run()
  expect(fetched).toHaveLength(20)
})

test('one that was never uploaded is not brought there first', async () => {
  const session = stage.session()
  stage.clock.advance(4 * DAY)
  await sealed()
  await sealed()
  expect(await retention({ afterMs: 3 * DAY }).run()).toBe(1)
  await uploader.pass(true)
  expect(stored(session)).toEqual([false])
  expect(uploader.state).toMatchObject({ waitingFiles: 0, uploaded: 0 })
})

test('the list is made anew from the store, and keys that files there need are told', async () => {
  const [first, second] = await two()
  const [{ id }] = testKeys
  expect((await keyUse(stage.directory)).get(id)).toBeGreaterThanOrEqual(2)
  index = new MemorySessionIndex()
  await sealed()
  expect((await index.list({ limit: 10 })).map(({ session }) => session).sort()).toEqual([first, second])
})
