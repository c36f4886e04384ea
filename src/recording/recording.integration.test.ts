import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  adminEntry,
  closeEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../testing/entries.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { FaultyFiles, systemError } from '../testing/faulty-files.ts'
import { checkLog } from '../testing/log-check.ts'
import { MemorySessionIndex } from '../testing/memory-session-index.ts'
import { openRecording, type Recording } from './recording.ts'
import { random, testKeys, testSeeds } from '../testing/recording-keys.ts'

let directory: string
let recording: Recording
let files: FaultyFiles
let faults: unknown[]
const clock = new FakeClock()
const index = new MemorySessionIndex()

async function start(): Promise<Recording> {
  return await openRecording({
    directory,
    keys: testKeys,
    seeds: testSeeds,
    random,
    clock,
    index,
    files,
    onFault: (error) => faults.push(error),
  })
}

beforeEach(async () => {
  // Sessions sort by time; two of one millisecond would sort by chance.
  clock.advance(1_000)
  directory = mkdtempSync(join(tmpdir(), 'sluice-recording-'))
  files = new FaultyFiles()
  faults = []
  recording = await start()
})
afterEach(async () => {
  await recording.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('a session is listed and read while it runs, after it ended, and after a restart', async () => {
  const session = sessionId(clock.now())
  const { journal } = recording
  journal.append(session, openEntry())
  journal.append(session, intentEntry(1))
  journal.append(session, outcomeEntry(1))
  const kinds = async (from?: number): Promise<string[]> =>
    (await collect(recording.read(session, from))).map(({ entry }) => entry.kind)
  const listed = async (): Promise<unknown> => (await recording.list({ limit: 10 }))[0]
  // Not even flushed yet.
  expect(await kinds()).toEqual(['open', 'intent', 'outcome'])
  expect(await listed()).toMatchObject({ session, commands: 1, rows: 1 })
  journal.append(session, closeEntry(1))
  expect(await listed()).toMatchObject({ closeReason: 'client left' })
  await recording.settle()
  expect(await kinds()).toEqual(['open', 'intent', 'outcome', 'close'])
  expect(await kinds(journal.flushedSequence)).toEqual(['close'])
  const before = await listed()
  await recording.stop()
  recording = await start()
  expect(await listed()).toEqual(before)
  expect(await kinds()).toEqual(['open', 'intent', 'outcome', 'close'])
  expect(faults).toEqual([])
})

test('while nothing can be written, what is there can still be listed and read', async () => {
  const session = sessionId(clock.now())
  const { journal } = recording
  journal.append(session, openEntry())
  expect(await recording.list({ limit: 1 })).toHaveLength(1)
  files.fault = ({ name }) => (name === 'write' ? systemError('ENOSPC') : undefined)
  journal.append(session, intentEntry(1))
  expect(() => journal.flush()).toThrow(expect.objectContaining({ code: 'recording_unavailable' }))
  expect((await recording.list({ limit: 1 }))[0]).toMatchObject({ session, commands: 0 })
  expect((await collect(recording.read(session))).map(({ entry }) => entry.kind)).toEqual(['open'])
  expect(faults).toHaveLength(2)
  files.fault = () => undefined
  expect((await recording.list({ limit: 1 }))[0]).toMatchObject({ session, commands: 1 })
  expect(await collect(recording.read(session))).toHaveLength(2)
})

test('administrative entries are of no session', async () => {
  recording.journal.append(undefined, adminEntry())
  recording.journal.sync()
  await recording.settle()
  await expect(collect(recording.read(sessionId()))).rejects.toEqual(
    expect.objectContaining({ code: 'not_found' }),
  )
})

test('what is written is in the log after a moment, and the gateway says how far that is', async () => {
  const session = sessionId(clock.now())
  recording.journal.append(session, openEntry())
  recording.journal.append(session, closeEntry(0))
  await recording.settle()
  const { size, through, vkey, lagFrames, fault } = recording.sealer()
  expect({ through, lagFrames, fault }).toEqual({
    through: recording.journal.flushedSequence,
    lagFrames: 0,
    fault: undefined,
  })
  expect(vkey).toMatch(/^sluice\/[0-9a-f]{8}\+/)
  expect((await checkLog(directory, testKeys)).size).toBe(size)
  recording.journal.append(undefined, adminEntry())
  recording.journal.flush()
  expect(recording.sealer().lagFrames).toBe(1)
})

test('a log that cannot be kept is told of, and holds up nothing else', async () => {
  await recording.stop()
  renameSync(join(directory, 'log'), join(directory, 'moved'))
  writeFileSync(join(directory, 'log'), 'a file where the directory should be')
  recording = await start()
  await expect.poll(() => recording.sealer().fault?.message, { timeout: 20_000 }).toMatch(/EEXIST|ENOTDIR/)
  expect(faults.length).toBeGreaterThan(0)
  const session = sessionId(clock.now())
  recording.journal.append(session, openEntry())
  recording.journal.sync()
  expect(await collect(recording.read(session))).toHaveLength(1)
  expect(recording.sealer()).toMatchObject({ stopped: false, faults: expect.any(Number) })
  await expect(recording.settle()).rejects.toThrow(/EEXIST|ENOTDIR/)
  rmSync(join(directory, 'log'))
  renameSync(join(directory, 'moved'), join(directory, 'log'))
  await recording.settle()
  expect(recording.sealer()).toMatchObject({ fault: undefined, lagFrames: 0 })
})

test('a journal that was taken away while nothing ran is told of, and numbers go on behind the log (P-06)', async () => {
  recording.journal.append(sessionId(clock.now()), openEntry())
  await recording.settle()
  await recording.stop()
  const last = recording.sealer().through
  rmSync(join(directory, 'journal'), { recursive: true })
  recording = await start()
  expect(recording.sealer().gap).toEqual({ first: 1, last, since: undefined })
  const session = sessionId(clock.now())
  recording.journal.append(session, openEntry())
  recording.journal.append(session, closeEntry(0))
  expect((await recording.list({ limit: 5 })).map((each) => each.session)).toContain(session)
  await recording.settle()
  expect(recording.sealer()).toMatchObject({ fault: undefined, lagFrames: 0 })
  expect(recording.sealer().through).toBeGreaterThan(last)
  await checkLog(directory, testKeys)
})

test('a log that is taken away while the gateway runs is not begun anew (P-06)', async () => {
  recording.journal.append(sessionId(clock.now()), openEntry())
  await recording.settle()
  renameSync(join(directory, 'log'), join(directory, 'moved'))
  recording.journal.append(undefined, adminEntry())
  const fault = async (): Promise<string | undefined> => {
    await recording.settle().catch(() => undefined)
    return recording.sealer().fault?.message
  }
  await expect.poll(fault, { timeout: 20_000 }).toMatch(/The log has 0 entries, and had \d+ a moment ago/)
  expect(recording.sealer()).toMatchObject({ stopped: true })
  expect(existsSync(join(directory, 'log', 'checkpoint'))).toBe(false)
})
