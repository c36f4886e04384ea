import { createSecretKey } from 'node:crypto'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { everyday } from '../../../test/support/fewer.ts'
import type { SessionId } from '../../core/index.ts'
import {
  adminEntry,
  closeEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { memoryDirectory, unsyncedFiles } from '../../testing/faulty-files.ts'
import { type CheckedLog, checkLog } from '../../testing/log-check.ts'
import { MemoryLogStorage } from '../../testing/memory-log-storage.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { type FileJournal, openJournal } from '../journal/journal.ts'
import { dayOf } from '../files/names.ts'
import { type RecordedEntry, readJournal, readSession } from '../reading/reader.ts'
import { Sealer } from './sealer.ts'

const seed = (fill: number) => createSecretKey(Buffer.alloc(32, fill))

let directory: string
let clock: FakeClock
let storage: MemoryLogStorage
let journal: FileJournal
let sealer: Sealer
let indexed: number
/** Every entry that was flushed, as the journal had it. */
let written: RecordedEntry[]

function openAnother(fileBytesMax = 1024 * 1024): void {
  const onFault = (error: unknown): void => expect.fail(String(error))
  const files = unsyncedFiles
  journal = openJournal({ directory, keys: testKeys, random, clock, files, fileBytesMax, onFault })
}

async function openSealer(
  rest: { readonly name?: string; readonly seeds?: readonly number[] } = {},
): Promise<void> {
  const [first = 1, ...others] = rest.seeds ?? [1]
  sealer = await Sealer.open({
    directory,
    keys: testKeys,
    random,
    clock,
    storage,
    seeds: [seed(first), ...others.map(seed)],
    name: rest.name,
    indexed: () => indexed,
    heldBytesMax: 512 * 1024,
  })
}

beforeEach(async () => {
  directory = mkdtempSync(join(memoryDirectory(), 'sluice-seal-'))
  clock = new FakeClock()
  storage = new MemoryLogStorage()
  indexed = Number.MAX_SAFE_INTEGER
  written = []
  openAnother()
  await openSealer()
})
afterEach(async () => {
  await sealer.close()
  rmSync(directory, { recursive: true, force: true })
})

/** As after a crash: everything anew but what lies on the disk. */
async function again(fileBytesMax?: number): Promise<void> {
  await note()
  await sealer.close()
  journal.close()
  openAnother(fileBytesMax)
  await openSealer()
}

/** Remembers what the journal has, before it is deleted. */
async function note(): Promise<void> {
  journal.authenticate()
  const known = written.at(-1)?.sequence ?? 0
  written.push(...(await collect(readJournal(directory, testKeys, { fromSequence: known + 1 }))))
}

async function seal(): Promise<void> {
  await note()
  await sealer.finish()
}

const check = (): Promise<CheckedLog> => checkLog(directory, testKeys, { storage })

function open(): SessionId {
  const session = sessionId(clock.now())
  journal.append(session, openEntry())
  return session
}

function work(session: SessionId, from: number, to: number, bytes = 10): void {
  for (let n = from; n <= to; n++) {
    journal.append(session, intentEntry(n))
    journal.append(session, outcomeEntry(n, {}, Buffer.alloc(bytes, n)))
    journal.flush()
  }
}

function close(session: SessionId, commands: number): void {
  journal.append(session, closeEntry(commands))
  journal.flush()
}

const path = (session: SessionId, suffix: string): string =>
  join(directory, 'sessions', dayOf(session), `${session}.${suffix}`)

function files(suffix: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith(`.${suffix}`))
    .map((name) => name.replace(/^.*\/|\.\w+$/g, ''))
    .sort()
}

/** Texts are compared at once, bytes one by one: with megabytes of them that is seconds. */
function bodyAsText({ entry, ...rest }: RecordedEntry): unknown {
  const body =
    'body' in entry && entry.body !== undefined ? Buffer.from(entry.body).toString('latin1') : undefined
  return { ...rest, entry: { ...entry, body } }
}

/** What is read of a session is what was written of it, wherever it lies now. */
async function expectWhole(session: SessionId): Promise<void> {
  const expected = written.filter((each) => each.session === session)
  const read = await collect(readSession(directory, testKeys, session))
  expect(read.map(bodyAsText)).toEqual(expected.map(bodyAsText))
}

test('a session that has ended gets a file of its own, which is what the log says', async () => {
  const [a, b] = [open(), open()]
  work(a, 1, 3)
  work(b, 1, 3)
  close(a, 3)
  await seal()
  expect(files('slr')).toEqual([a])
  expect(statSync(path(a, 'slr')).mode & 0o777).toBe(0o600)
  await expectWhole(a)
  await expectWhole(b)
  const log = await check()
  expect(log.through).toBe(journal.flushedSequence)
  expect([...log.files.keys()]).toEqual([a])
  expect(log.entries.filter(({ kind }) => kind === 'file')).toHaveLength(1)
  close(b, 3)
  await seal()
  await expectWhole(b)
  expect((await check()).files.size).toBe(2)
  expect(files('part')).toEqual([])
})

test('opens, closes and administrative entries are in the log as they are; what is too long by its digest', async () => {
  const session = open()
  journal.append(undefined, adminEntry())
  journal.append(undefined, adminEntry({ target: 'x'.repeat(60_000) }))
  close(session, 0)
  await seal()
  const { entries } = await check()
  const frames = entries.filter((each) => each.kind === 'frame')
  expect(frames.map((each) => [each.session, 'part' in each])).toEqual([
    [session, true],
    [undefined, true],
    [undefined, false],
    [session, true],
  ])
  expect(frames[2]).toMatchObject({ bytes: expect.any(Number) })
})

test('what nobody flushed is not in the log, and what nothing happened in makes no checkpoint', async () => {
  const session = open()
  await seal()
  const { size } = await check()
  journal.append(session, intentEntry(1))
  await sealer.finish()
  expect((await check()).size).toBe(size)
  await seal()
  expect((await check()).size).toBeGreaterThan(size)
})

test('a journal file is deleted when each frame of it lies in a file of its session, and is in the list', async () => {
  await again(3000)
  indexed = 0
  const [long, idle] = [open(), open()]
  for (let round = 0; round < 5; round++) {
    const short = open()
    work(short, 1, 8)
    work(long, round * 8 + 1, round * 8 + 8)
    journal.append(undefined, adminEntry())
    close(short, 8)
  }
  expect(journal.fileNumber).toBeGreaterThan(8)
  await seal()
  const before = files('slj').length
  expect(before).toBeGreaterThan(8)
  expect(files('part')).toEqual([long, idle].sort())
  indexed = Number.MAX_SAFE_INTEGER
  await seal()
  expect(files('slj')).toHaveLength(1)
  for (const each of [long, idle, ...files('slr')]) await expectWhole(each as SessionId)
  await check()
  work(long, 41, 60)
  await seal()
  await expectWhole(long)
  close(long, 60)
  close(idle, 0)
  await seal()
  expect(files('part')).toEqual([])
  for (const each of files('slr')) await expectWhole(each as SessionId)
  expect((await check()).files.size).toBe(7)
})

test('another one goes on where the last one stopped', async () => {
  await again(3000)
  const [early, late, never] = [open(), open(), open()]
  work(early, 1, 30)
  await seal()
  work(late, 1, 30)
  close(early, 30)
  work(never, 1, 2)
  await again(3000)
  await seal()
  expect(files('slr')).toEqual([early, late, never].sort())
  expect(files('part')).toEqual([])
  for (const each of [early, late, never]) await expectWhole(each)
  const { size } = await check()
  expect((await collect(readSession(directory, testKeys, never))).at(-1)?.entry).toEqual(
    closeEntry(2, 'gateway stopped'),
  )
  await again(3000)
  await seal()
  // Only that the journal has begun another file.
  expect((await check()).size).toBe(size + 1)
})

test('with nothing in memory and everything still to do, it makes the same of it', async () => {
  const [a, b] = [open(), open()]
  work(a, 1, 5)
  await seal()
  work(b, 1, 5)
  close(a, 5)
  // The sealer dies after each step of the log's storage in turn.
  for (let step = 1; step < 40; step++) {
    work(b, 5 + step, 5 + step)
    await note()
    const from = storage.steps
    storage.fault = ({ count }) => (count === from + step ? (step % 2 === 0 ? 'before' : 'after') : undefined)
    await sealer.finish().catch(() => undefined)
    storage.fault = () => undefined
    await sealer.close()
    await openSealer()
  }
  close(b, 50)
  await seal()
  await expectWhole(a)
  await expectWhole(b)
  expect((await check()).files.size).toBe(2)
})

test('a draft torn at any byte by a crash is gone on with, under another key', async () => {
  await again(2000)
  indexed = 0
  const session = open()
  work(session, 1, 9)
  await seal()
  const part = readFileSync(path(session, 'part'))
  await note()
  await sealer.close()
  journal.close()
  const key = part.subarray(16, 200).toString('latin1')
  openAnother()
  await note()
  for (let length = 0; length <= part.length; length += everyday ? 401 : 53) {
    rmSync(path(session, 'slr'), { force: true })
    writeFileSync(path(session, 'part'), part)
    truncateSync(path(session, 'part'), length)
    storage = new MemoryLogStorage()
    await openSealer()
    await sealer.finish()
    await expectWhole(session)
    await check()
    const sealed = readFileSync(path(session, 'slr')).subarray(16, 200).toString('latin1')
    expect(sealed).not.toBe(key)
    await sealer.close()
  }
  await openSealer()
})

test('an entry that comes after the end is added, in the same journal file and in a later one', async () => {
  await again(4000)
  const session = open()
  work(session, 1, 2)
  close(session, 2)
  await seal()
  for (const n of [3, 4]) {
    journal.append(session, outcomeEntry(n))
    for (let i = 0; i < 50; i++) journal.append(undefined, adminEntry())
    await seal()
    await expectWhole(session)
  }
  const { entries, files: whole } = await check()
  expect(whole.get(session)).toHaveLength(8)
  expect(entries.filter(({ kind }) => kind === 'file')).toHaveLength(3)
  expect(files('part')).toEqual([])
})

test('results larger than what is held in memory', async () => {
  const [a, b] = [open(), open()]
  for (const session of [a, b]) work(session, 1, 6, 200 * 1024)
  await seal()
  expect(files('part')).toEqual([a, b].sort())
  await expectWhole(a)
  close(a, 5)
  close(b, 5)
  await seal()
  await expectWhole(a)
  await expectWhole(b)
  await check()
})

test('damage in the journal is told with its place, and nothing is sealed behind it', async () => {
  await again(3000)
  const session = open()
  work(session, 1, 9)
  const first = join(directory, 'journal', '00000002.slj')
  const bytes = readFileSync(first)
  bytes.writeUInt8(bytes.readUInt8(700) ^ 1, 700)
  writeFileSync(first, bytes)
  work(session, 10, 20)
  close(session, 20)
  await expect(sealer.finish()).rejects.toThrow(/00000002\.slj, byte \d+/)
  expect(files('slr')).toEqual([])
})

test('a draft that was damaged is not built on', async () => {
  await again(200_000)
  const session = open()
  work(session, 1, 100, 9000)
  await seal()
  const bytes = readFileSync(path(session, 'part'))
  bytes.writeUInt8(bytes.readUInt8(400) ^ 1, 400)
  writeFileSync(path(session, 'part'), bytes)
  await again(200_000)
  await expect(sealer.finish()).rejects.toEqual(expect.objectContaining({ code: 'invalid' }))
  expect(files('slr')).toEqual([])
})

test('a journal that ends before the log does is not sealed: its numbers would be passed over', async () => {
  const session = open()
  work(session, 1, 9)
  await seal()
  await sealer.close()
  journal.close()
  rmSync(join(directory, 'journal'), { recursive: true })
  openAnother()
  await openSealer()
  await expect(sealer.finish()).rejects.toEqual(expect.objectContaining({ code: 'conflict' }))
})

test('frames that neither the log has nor the journal are missed', async () => {
  await again(3000)
  indexed = 0
  const session = open()
  work(session, 1, 9)
  await seal()
  await sealer.close()
  work(session, 10, 60)
  for (const name of files('slj').slice(0, -1)) rmSync(join(directory, 'journal', `${name}.slj`))
  await expect(openSealer()).rejects.toThrow(/frames \d+ to \d+ are missing/)
  storage = new MemoryLogStorage()
  await openSealer()
})

test('a new key signs behind an entry under the old one, and the log keeps its name', async () => {
  const session = open()
  await seal()
  const before = sealer.vkey
  const name = before.split('+')[0]
  expect(name).toMatch(/^sluice\/[0-9a-f]{8}$/)
  await sealer.close()
  await openSealer({ seeds: [2, 1] })
  expect(sealer.vkey).not.toBe(before)
  expect(sealer.vkey.split('+')[0]).toBe(name)
  close(session, 0)
  await seal()
  const { entries } = await checkLog(directory, testKeys, { storage })
  expect(entries.filter(({ kind }) => kind === 'key')).toEqual([{ kind: 'key', vkey: sealer.vkey }])
  await sealer.close()
  await expect(openSealer({ seeds: [3] })).rejects.toEqual(expect.objectContaining({ code: 'denied' }))
  await openSealer({ seeds: [2] })
})

test('a log that is there keeps its name', async () => {
  await sealer.close()
  await openSealer({ name: 'gateway.example/a' })
  open()
  await seal()
  await sealer.close()
  await expect(openSealer({ name: 'gateway.example/b' })).rejects.toEqual(
    expect.objectContaining({ code: 'conflict' }),
  )
  await openSealer()
  expect(sealer.vkey).toMatch(/^gateway\.example\/a\+/)
})
