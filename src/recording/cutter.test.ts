import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { everyday } from '../../test/support/fewer.ts'
import type { SessionId } from '../core/index.ts'
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
import { unsyncedFiles } from '../testing/faulty-files.ts'
import { Cutter } from './cutter.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { dayOf } from './names.ts'
import { type RecordedEntry, readJournal, readSession } from './reader.ts'
import { random, testKeys } from '../testing/recording-keys.ts'

let directory: string
let clock: FakeClock
let faults: unknown[]
let journal: FileJournal
let cutter: Cutter

async function start(fileBytesMax = 1024 * 1024): Promise<void> {
  const onFault = (error: unknown): unknown => faults.push(error)
  journal = openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files: unsyncedFiles,
    fileBytesMax,
    onFault,
  })
  cutter = new Cutter({ directory, keys: testKeys, journal, clock, onFault })
  await cutter.start()
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-cut-'))
  clock = new FakeClock()
  faults = []
  await start()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** Stops as a crash would, but for what the journal must have flushed. */
async function stop(): Promise<void> {
  await cutter.stop()
  journal.close()
}

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

/** All files of sessions, by their suffix. */
function files(suffix: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith(`.${suffix}`))
    .map((name) => name.replace(/^.*\/|\.\w+$/g, ''))
    .sort()
}

async function fromJournal(session: SessionId): Promise<RecordedEntry[]> {
  return (await collect(readJournal(directory, testKeys))).filter((each) => each.session === session)
}

/** Texts are compared at once, bytes one by one: with megabytes of them that is seconds. */
function bodyAsText({ entry, ...rest }: RecordedEntry): unknown {
  const body =
    'body' in entry && entry.body !== undefined ? Buffer.from(entry.body).toString('latin1') : undefined
  return { ...rest, entry: { ...entry, body } }
}

/** What the session's own file says is what the journal says. */
async function expectCut(session: SessionId): Promise<void> {
  const expected = await fromJournal(session)
  renameSync(join(directory, 'journal'), join(directory, 'hidden'))
  try {
    const cut = await collect(readSession(directory, testKeys, session))
    expect(cut.map(bodyAsText)).toEqual(expected.map(bodyAsText))
  } finally {
    renameSync(join(directory, 'hidden'), join(directory, 'journal'))
  }
}

test('a session that has ended gets a file of its own, the others none', async () => {
  const [a, b] = [open(), open()]
  work(a, 1, 3)
  work(b, 1, 3)
  close(a, 3)
  await cutter.catchUp()
  expect(files('slr')).toEqual([a])
  await expectCut(a)
  close(b, 3)
  await cutter.catchUp()
  await expectCut(a)
  await expectCut(b)
  expect(files('part')).toEqual([])
  expect(statSync(path(a, 'slr')).mode & 0o777).toBe(0o600)
})

test('it happens by itself, some time after the end', async () => {
  const session = open()
  work(session, 1, 3)
  close(session, 3)
  clock.advance(1000)
  await expect.poll(() => files('slr')).toEqual([session])
  await expectCut(session)
})

test('a session over many files is put together file by file', async () => {
  await stop()
  await start(3000)
  const [long, idle] = [open(), open()]
  for (let round = 0; round < 5; round++) {
    const short = open()
    work(short, 1, 8)
    work(long, round * 8 + 1, round * 8 + 8)
    journal.append(undefined, adminEntry())
    close(short, 8)
  }
  expect(journal.fileNumber).toBeGreaterThan(8)
  await cutter.catchUp()
  expect(files('part')).toEqual([long, idle].sort())
  expect(files('slr')).toHaveLength(5)
  const before = statSync(path(long, 'part')).size
  work(long, 41, 60)
  await cutter.catchUp()
  expect(statSync(path(long, 'part')).size).toBeGreaterThan(before)
  close(long, 60)
  await cutter.catchUp()
  close(idle, 0)
  await cutter.catchUp()
  expect(files('part')).toEqual([])
  for (const each of files('slr')) await expectCut(each as SessionId)
})

test('a restart goes on where the last process stopped', async () => {
  await stop()
  await start(3000)
  const [early, late, never] = [open(), open(), open()]
  work(early, 1, 30)
  await cutter.catchUp()
  work(late, 1, 30)
  close(early, 30)
  work(never, 1, 2)
  // Not even told to the cutter: the process died.
  await stop()
  await start(3000)
  await cutter.catchUp()
  expect(files('slr')).toEqual([early, late, never].sort())
  expect(files('part')).toEqual([])
  for (const each of [early, late, never]) await expectCut(each)
  expect((await collect(readSession(directory, testKeys, never))).at(-1)?.entry).toEqual(
    closeEntry(2, 'gateway stopped'),
  )
})

test('without its mark it goes through everything again and changes nothing', async () => {
  await stop()
  await start(3000)
  const session = open()
  work(session, 1, 30)
  close(session, 30)
  await cutter.catchUp()
  const bytes = readFileSync(path(session, 'slr'))
  for (const mark of ['0', 'nonsense', '']) {
    await stop()
    writeFileSync(join(directory, 'sessions', 'cut'), mark)
    await start(3000)
    await cutter.catchUp()
    expect(readFileSync(path(session, 'slr')).equals(bytes)).toBe(true)
    expect(files('part')).toEqual([])
  }
})

test('a draft torn at any byte by a crash is gone on with', async () => {
  await stop()
  await start(2000)
  const session = open()
  work(session, 1, 9)
  await cutter.catchUp()
  await stop()
  const mark = readFileSync(join(directory, 'sessions', 'cut'), 'utf8')
  const part = readFileSync(path(session, 'part'))
  copyFileSync(path(session, 'part'), join(directory, 'draft'))
  const expected = await fromJournal(session)
  for (let length = 0; length <= part.length; length += everyday ? 745 : 149) {
    // The crash came after the draft was written and before the mark was.
    rmSync(path(session, 'slr'), { force: true })
    copyFileSync(join(directory, 'draft'), path(session, 'part'))
    truncateSync(path(session, 'part'), length)
    writeFileSync(join(directory, 'sessions', 'cut'), '1')
    await start(1024 * 1024)
    await cutter.catchUp()
    const cut = await collect(readSession(directory, testKeys, session))
    expect(cut.slice(0, expected.length)).toEqual(expected)
    expect(cut.at(-1)?.entry.kind).toBe('close')
    await stop()
  }
  expect(mark).toMatch(/^\d+$/)
})

test('an entry that comes after the end is added, in the same file and in a later one', async () => {
  await stop()
  await start(4000)
  const session = open()
  work(session, 1, 2)
  close(session, 2)
  await cutter.catchUp()
  journal.append(session, outcomeEntry(3))
  for (let n = 0; n < 50; n++) journal.append(undefined, adminEntry())
  journal.flush()
  await cutter.catchUp()
  await expectCut(session)
  journal.append(session, outcomeEntry(4))
  for (let n = 0; n < 50; n++) journal.append(undefined, adminEntry())
  journal.flush()
  await cutter.catchUp()
  await expectCut(session)
  expect((await fromJournal(session)).slice(-3).map(({ entry }) => entry.kind)).toEqual([
    'close',
    'outcome',
    'outcome',
  ])
  expect(files('part')).toEqual([])
})

test('results larger than what is held in memory', async () => {
  const [a, b] = [open(), open()]
  for (const session of [a, b]) work(session, 1, 5, 1024 * 1024)
  close(a, 5)
  close(b, 5)
  await cutter.catchUp()
  await expectCut(a)
  await expectCut(b)
})

test('an end that cannot be flushed is waited for', async () => {
  const session = open()
  journal.flush()
  journal.append(session, closeEntry(0))
  await cutter.catchUp()
  expect(files('slr')).toEqual([])
  journal.flush()
  await cutter.catchUp()
  expect(files('slr')).toEqual([session])
})

test('over damage it stops and says so; the journal goes on', async () => {
  await stop()
  await start(3000)
  const session = open()
  work(session, 1, 9)
  // A changed byte in a file that is full.
  const first = join(directory, 'journal', '00000002.slj')
  const bytes = readFileSync(first)
  bytes.writeUInt8(bytes.readUInt8(700) ^ 1, 700)
  writeFileSync(first, bytes)
  work(session, 10, 20)
  clock.advance(0)
  await expect.poll(() => faults).toEqual([expect.objectContaining({ code: 'invalid' })])
  expect(String(faults[0])).toMatch(/00000002\.slj, byte \d+/)
  close(session, 20)
  clock.advance(60_000)
  expect(faults).toHaveLength(1)
  expect(files('slr')).toEqual([])
  await expect(collect(readSession(directory, testKeys, session))).rejects.toThrow(/00000002\.slj, byte \d+/)
})

test('after a fault of the disk it tries again', async () => {
  const session = open()
  // Where its directory should be there is a file.
  writeFileSync(join(directory, 'sessions'), '')
  close(session, 0)
  clock.advance(1000)
  await expect.poll(() => faults.length).toBe(1)
  rmSync(join(directory, 'sessions'))
  await expect.poll(() => clock.waiting).toBeGreaterThan(0)
  clock.advance(5000)
  await expect.poll(() => files('slr')).toEqual([session])
  await expectCut(session)
})

test('a draft that was damaged is not built on', async () => {
  await stop()
  await start(3000)
  const session = open()
  work(session, 1, 30)
  await cutter.catchUp()
  await stop()
  const bytes = readFileSync(path(session, 'part'))
  bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200)
  writeFileSync(path(session, 'part'), bytes)
  await start(3000)
  await expect(cutter.catchUp()).rejects.toEqual(expect.objectContaining({ code: 'invalid' }))
  expect(files('slr')).toEqual([])
  expect((await collect(readSession(directory, testKeys, session))).length).toBeGreaterThan(60)
})
