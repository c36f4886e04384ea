import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { SessionId } from '../../core/index.ts'
import { BucketStage, openBucket, PREFIX } from '../../testing/bucket-stage.ts'
import { adminEntry, collect, outcomeEntry } from '../../testing/entries.ts'
import { memoryDirectory } from '../../testing/faulty-files.ts'
import { testKeys } from '../../testing/recording-keys.ts'
import { type S3Fault, S3Server } from '../../testing/s3-server.ts'
import { dayOf, sessionFile } from '../files/names.ts'
import { markFile } from '../files/upload-marks.ts'
import { readSession } from '../reading/reader.ts'
import type { Uploader } from './uploader.ts'

let server: S3Server
let stage: BucketStage

beforeAll(async () => {
  server = await S3Server.open()
})
afterAll(() => server.close())
beforeEach(async () => {
  server.objects.clear()
  server.uploads.clear()
  server.taken()
  server.fault = () => undefined
  server.keepsChecksums = true
  server.keepsConditions = true
  stage = await BucketStage.open(server)
  server.now = Date.now
})
afterEach(() => stage.close())

const nameOf = (session: SessionId): string => `${PREFIX}sessions/${dayOf(session)}/${session}.slr`
const stored = (session: SessionId): boolean => server.objects.has(nameOf(session))

/** What an auditor finds proved in the bucket. */
async function proved(): Promise<string[]> {
  const verdict = await stage.verify()
  expect(verdict.failures).toEqual([])
  expect(verdict.proved).toBe(true)
  return verdict.sessions.filter(({ state }) => state === 'proved').map(({ session }) => session)
}

/** Reads as whoever is asked for a recording does. */
function read(session: SessionId, by: Uploader) {
  return collect(readSession(stage.directory, testKeys, session, { fetch: (each) => by.fetch(each) }))
}

test('what is sealed goes up with the log, and the bucket is a recording that proves itself (P-06)', async () => {
  const sessions = [stage.session(), stage.session(), stage.session()]
  await stage.seal()
  const uploader = stage.uploader()
  await uploader.pass()
  expect(await proved()).toEqual(sessions)
  expect(await stage.verify({ asked: true })).toEqual(await stage.verify())
  expect(uploader.state).toMatchObject({ waitingFiles: 0, waitingBytes: 0, uploaded: 3, refused: 0 })
  expect(uploader.state.spoolBytes).toBeGreaterThan(500)
  expect(uploader.state.logEntries).toBeGreaterThan(3)
  const asked = server.taken()
  expect(asked.filter((each) => /^PUT .*\.slr$/.test(each))).toHaveLength(3)
  // The checkpoint is the last thing that is put.
  expect(asked.filter((each) => each.startsWith('PUT')).at(-1)).toBe(`PUT ${PREFIX}log/checkpoint`)
  // Nothing is left to do.
  await uploader.pass(true)
  expect(server.taken()).toEqual([])
  // And who begins anew finds that.
  await stage.uploader().pass()
  const put = server.taken().filter((each) => each.startsWith('PUT'))
  expect([...new Set(put)]).toEqual([`PUT ${PREFIX}.probe`])
})

test('more of the log goes up as it grows, full tiles and bundles without their parts', async () => {
  const uploader = stage.uploader()
  for (const count of [3, 260, 1, 300]) {
    for (let n = 0; n < count; n++) stage.journal.append(undefined, adminEntry())
    stage.journal.flush()
    const session = stage.session()
    await stage.seal()
    await uploader.pass(true)
    expect(await proved()).toContain(session)
  }
  const parts = [...server.objects.keys()].filter((key) => key.includes('.p/'))
  expect(
    parts.filter((key) => key.includes('/000.p/')),
    'only of the tile of tiles',
  ).toHaveLength(2)
  expect(server.objects.has(`${PREFIX}log/tile/entries/001`)).toBe(true)
})

test('killed behind any request, the next one finds what was done', async () => {
  const sessions = [stage.session(), stage.session(2_500)]
  await stage.seal()
  for (const n of [1, 5, 7, 9, 11, 13, 15]) {
    server.objects.clear()
    rmSync(join(stage.directory, 'uploads'), { recursive: true, force: true })
    server.taken()
    server.fault = (asked) => (asked.n >= n ? { lost: true } : undefined)
    await expect(stage.uploader({ wholeBytesMax: 1_000 }).pass(true)).rejects.toMatchObject({
      code: 'upstream_unreachable',
    })
    server.fault = () => undefined
    if (server.objects.has(`${PREFIX}log/checkpoint`)) expect(await proved()).toEqual(sessions)
    await stage.uploader({ wholeBytesMax: 1_000 }).pass(true)
    expect(await proved()).toEqual(sessions)
  }
})

test('what a process left that was killed while it fetched is taken away at the start', async () => {
  const session = stage.session()
  await stage.seal()
  await stage.uploader().pass(true)
  const left = `${markFile(stage.directory, session, 'up')}.4711-1.got`
  const place = join(stage.directory, 'uploads', 'place')
  const said = readFileSync(place)
  writeFileSync(left, 'half of a session file')
  await stage.uploader().pass()
  expect(existsSync(left)).toBe(false)
  // Also where nothing can be done with the store.
  writeFileSync(left, 'half of a session file')
  writeFileSync(place, 'elsewhere\n')
  await expect(stage.uploader().pass()).rejects.toMatchObject({ code: 'conflict' })
  expect(existsSync(left)).toBe(false)
  writeFileSync(place, said)
})

test('two at once, on the same files and on copies of them', async () => {
  const sessions = Array.from({ length: 20 }, () => stage.session())
  await stage.seal()
  const copy = mkdtempSync(join(memoryDirectory(), 'sluice-bucket-copy-'))
  stage.copyTo(copy)
  const all = [stage.uploader(), stage.uploader(), stage.uploader({ directory: copy })]
  await Promise.allSettled(all.map((each) => each.pass(true)))
  for (const each of all) await each.pass(true)
  expect(await proved()).toEqual(sessions)
  expect(stage.faults).toEqual([])
  rmSync(copy, { recursive: true, force: true })
})

test('what stands there under the same name is not overwritten, and holds up nothing else', async () => {
  const [first, second] = [stage.session(), stage.session()]
  await stage.seal()
  const other = Buffer.from('somebody else')
  server.objects.set(nameOf(first), { bytes: other, etag: 'a', checksum: undefined, meta: {} })
  const uploader = stage.uploader()
  await uploader.pass()
  expect(server.objects.get(nameOf(first))?.bytes).toBe(other)
  expect(stored(second)).toBe(true)
  expect(uploader.state).toMatchObject({ waitingFiles: 1, refused: 1 })
  expect(stage.faults).toEqual([expect.stringContaining('it was not overwritten')])
  const verdict = await stage.verify()
  expect(verdict.proved).toBe(false)
  expect(verdict.failures.every(({ path }) => path.includes(first))).toBe(true)
  // Told once; once the other one has gone, this one is uploaded.
  await uploader.pass()
  expect(stage.faults).toHaveLength(1)
  server.objects.delete(nameOf(first))
  stage.clock.advance(11 * 60_000)
  await uploader.pass()
  expect(await proved()).toEqual([first, second])
  expect(uploader.state.refused).toBe(0)
})

test.each([true, false])(
  'what the store has damaged is no upload (it keeps checksums: %s)',
  async (keeps) => {
    const session = stage.session()
    await stage.seal()
    server.keepsChecksums = keeps
    server.fault = ({ what, key }) =>
      what === 'PUT' && key.endsWith('.slr') ? { stored: 'damaged' } : undefined
    const uploader = stage.uploader({ spoolBytesMax: 0 })
    await uploader.pass()
    expect(stage.isHere(session)).toBe(true)
    expect(uploader.state).toMatchObject({ waitingFiles: 1, refused: 1 })
    expect(stage.faults).toEqual([expect.stringContaining('not in the object store as it was uploaded')])
  },
)

test('a store that would overwrite gets nothing', async () => {
  server.keepsConditions = false
  stage.session()
  await stage.seal()
  const uploader = stage.uploader()
  await expect(uploader.pass()).rejects.toMatchObject({ code: 'unsupported' })
  await expect(stage.uploader().pass()).rejects.toMatchObject({ code: 'unsupported' })
  expect([...server.objects.keys()]).toEqual([`${PREFIX}.probe`])
  server.keepsConditions = true
  await uploader.pass()
  expect(await proved()).toHaveLength(1)
})

test('a store without checksums is read back', async () => {
  server.keepsChecksums = false
  const sessions = [stage.session(), stage.session()]
  await stage.seal()
  await stage.uploader().pass()
  expect(await proved()).toEqual(sessions)
  expect(stage.faults).toEqual([])
})

describe('the spool', () => {
  test('lets the oldest go that are in the store, and never one that is not', async () => {
    const sessions = Array.from({ length: 6 }, () => stage.session(10_000))
    await stage.seal()
    const uploader = stage.uploader({ spoolBytesMax: 25_000 })
    server.fault = () => ({ status: 503, code: 'SlowDown' })
    await expect(uploader.pass()).rejects.toMatchObject({ code: 'upstream_unreachable' })
    expect(sessions.filter((each) => !stage.isHere(each))).toEqual([])
    expect(uploader.state).toMatchObject({ waitingFiles: 6 })
    expect(uploader.state.spoolBytes).toBeGreaterThan(60_000)
    server.fault = () => undefined
    await uploader.pass()
    expect(sessions.map((each) => stage.isHere(each))).toEqual([false, false, false, false, true, true])
    expect(uploader.state.spoolBytes).toBeLessThan(25_000)
    expect(await proved()).toEqual(sessions)
  })

  test('what is not what was uploaded is uploaded first, and refused where the store has another', async () => {
    const session = stage.session(10_000)
    await stage.seal()
    await stage.uploader().pass()
    appendFileSync(sessionFile(stage.directory, session), 'x')
    const uploader = stage.uploader({ spoolBytesMax: 0 })
    await uploader.pass()
    expect(stage.isHere(session)).toBe(true)
  })
})

describe('what is no longer here', () => {
  let session: SessionId
  let whole: unknown[]
  let uploader: Uploader
  beforeEach(async () => {
    session = stage.session(10_000)
    await stage.seal()
    stage.session()
    await stage.seal()
    uploader = stage.uploader({ spoolBytesMax: 0 })
    whole = await read(session, uploader)
    await uploader.pass(true)
    expect(stage.isHere(session)).toBe(false)
  })

  test('is read from the store, whoever reads it, and makes room again later', async () => {
    expect(await read(session, uploader)).toEqual(whole)
    expect(stage.isHere(session)).toBe(true)
    expect(uploader.state.fetched).toBe(1)
    expect(await read(session, uploader)).toEqual(whole)
    expect(uploader.state.fetched).toBe(1)
    // Another process knows nothing of who reads it.
    await stage.uploader({ spoolBytesMax: 0 }).pass(true)
    expect(stage.isHere(session)).toBe(false)
  })

  test('many readers at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => read(session, uploader)))
    for (const each of all) expect(each).toEqual(whole)
    expect(uploader.state.fetched).toBe(1)
  })

  test.each<[string, S3Fault, string]>([
    ['away', { status: 503, code: 'SlowDown' }, 'upstream_unreachable'],
    ['cutting', { body: 'cut' }, 'upstream_unreachable'],
    ['damaging', { body: 'damaged' }, 'invalid'],
    ['stalling', { stall: true }, 'upstream_unreachable'],
  ])('a store that is %s is told to who reads, and nothing of it stays', async (_what, fault, code) => {
    server.fault = () => fault
    const impatient = await openBucket(server, { silenceMs: 100 })
    const reader = 'stall' in fault ? stage.uploader({ bucket: impatient }) : uploader
    await expect(read(session, reader)).rejects.toMatchObject({ code })
    impatient.close()
    expect(stage.isHere(session)).toBe(false)
    server.fault = () => undefined
    expect(await read(session, uploader)).toEqual(whole)
  })

  test('gone from the store, changed there, and without anybody who fetches', async () => {
    await expect(collect(readSession(stage.directory, testKeys, session))).rejects.toMatchObject({
      code: 'recording_unavailable',
    })
    const there = server.objects.get(nameOf(session))
    server.objects.delete(nameOf(session))
    await expect(read(session, uploader)).rejects.toMatchObject({ code: 'not_found' })
    if (there !== undefined)
      server.objects.set(nameOf(session), { ...there, bytes: Buffer.concat([there.bytes, Buffer.of(0)]) })
    await expect(read(session, uploader)).rejects.toMatchObject({ code: 'invalid' })
  })

  test('an entry that comes late is added to it, here and there', async () => {
    stage.journal.append(session, outcomeEntry(2))
    stage.journal.flush()
    await expect(stage.seal()).rejects.toMatchObject({ code: 'recording_unavailable', retry: 'later' })
    await uploader.pass(true)
    expect(stage.isHere(session)).toBe(true)
    await stage.seal()
    await uploader.pass(true)
    expect(await read(session, uploader)).toHaveLength(whole.length + 1)
    expect(stage.faults).toEqual([])
    expect(await proved()).toContain(session)
  })
})

test('the store put back to an earlier state is rolled back, and so is it for the uploader (P-07)', async () => {
  stage.session()
  await stage.seal()
  const uploader = stage.uploader()
  await uploader.pass(true)
  const before = new Map(server.objects)
  stage.session()
  await stage.seal()
  await uploader.pass(true)
  const checkpoint = server.objects.get(`${PREFIX}log/checkpoint`)?.bytes
  server.objects.clear()
  for (const [key, object] of before) server.objects.set(key, object)
  const verdict = await stage.verify({ since: checkpoint })
  expect(verdict.proved).toBe(false)
  expect(verdict.failures).toMatchObject([{ code: 'rolled-back', path: 'log/checkpoint' }])
  // Whoever uploads finds out with the next checkpoint, and writes nothing over it.
  stage.session()
  await stage.seal()
  await expect(uploader.pass(true)).rejects.toMatchObject({ code: 'conflict' })
  await expect(uploader.pass(true)).rejects.toMatchObject({
    message: expect.stringMatching(/has \d+ entries, and had/),
  })
  await expect(stage.uploader().pass(true)).rejects.toMatchObject({ code: 'conflict' })
  expect(server.objects.get(`${PREFIX}log/checkpoint`)).toBe(before.get(`${PREFIX}log/checkpoint`))
})

test('another log, or another bucket than before, is told, and takes nothing', async () => {
  stage.session()
  await stage.seal()
  await stage.uploader().pass(true)
  const other = await BucketStage.open(server)
  try {
    other.session()
    other.session()
    await other.seal()
    await expect(other.uploader().pass(true)).rejects.toMatchObject({ code: 'conflict' })
  } finally {
    other.close()
  }
  await expect(stage.uploader({ place: 's3://elsewhere/' }).pass()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('s3://elsewhere/'),
  })
})
