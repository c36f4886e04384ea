/*
 * Over 600 lines because everything a sealer does is tried over one directory, clock, journal and log, and what they are put
 * through.
 */
import { createSecretKey } from 'node:crypto'
import {
  cpSync,
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
import { formatSignerKey, LogWriter, nodeEd25519, nodeSha256, parseSignerKey } from '../../evidence/index.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { memoryDirectory, unsyncedFiles } from '../../testing/faulty-files.ts'
import { type CheckedLog, checkLog } from '../../testing/log-check.ts'
import { MemoryLogStorage } from '../../testing/memory-log-storage.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { type FileJournal, type Logged, openJournal } from '../journal/journal.ts'
import { checkHeader } from '../files/file-header.ts'
import { dayOf } from '../files/names.ts'
import { type RecordedEntry, readJournal, readSession } from '../reading/reader.ts'
import { loggedEnd } from './log-of-gateway.ts'
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

function openAnother(fileBytesMax = 1024 * 1024, logged?: Logged): void {
  const onFault = (error: unknown): void => expect.fail(String(error))
  const files = unsyncedFiles
  journal = openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files,
    fileBytesMax,
    onFault,
    ...(logged && { logged }),
  })
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

/** The journal is taken away, or put back to what `copy` holds, while nothing runs. */
async function putBack(copy?: string): Promise<void> {
  await sealer.close()
  journal.close()
  rmSync(join(directory, 'journal'), { recursive: true })
  if (copy !== undefined) cpSync(copy, join(directory, 'journal'), { recursive: true })
}

async function copied(): Promise<string> {
  const copy = join(directory, 'copy')
  await note()
  cpSync(join(directory, 'journal'), copy, { recursive: true })
  return copy
}

const logged = async (): Promise<Logged | undefined> => loggedEnd(storage, [seed(1)])

test('a journal that ends before the log does is not sealed, however often and however far it is gone on with (P-06)', async () => {
  const session = open()
  work(session, 1, 9)
  await seal()
  await putBack()
  // By a program that does not know of the log.
  openAnother()
  await openSealer()
  const conflict = expect.objectContaining({ code: 'conflict' })
  await expect(sealer.finish()).rejects.toEqual(conflict)
  const size = sealer.sealed.size
  for (let start = 0; start < 3; start++) {
    journal.append(undefined, adminEntry())
    work(open(), 1, 20)
    journal.close()
    openAnother()
    await sealer.close()
    await openSealer()
    await expect(sealer.finish()).rejects.toEqual(conflict)
    expect(sealer.sealed.size).toBe(size)
  }
})

for (const how of ['taken away', 'put back from a copy']) {
  test(`a journal that was ${how} goes on behind the log, says which frames are lost, and is sealed (P-06)`, async () => {
    const session = open()
    work(session, 1, 3)
    const copy = how === 'taken away' ? undefined : await copied()
    const kept = copy === undefined ? 0 : journal.flushedSequence
    work(session, 4, 9)
    open()
    close(session, 9)
    await seal()
    await putBack(copy)
    const before = await logged()
    const last = before?.through ?? 0
    expect(last).toBeGreaterThan(kept + 10)
    openAnother(undefined, before)
    expect(journal.gap).toEqual({
      first: kept + 1,
      last,
      since: copy === undefined ? undefined : expect.any(Number),
    })
    // Nobody knows how they ended: no second end is made up.
    expect(journal.sessionsRepaired).toEqual([])
    const third = open()
    close(third, 0)
    await openSealer()
    journal.authenticate()
    await sealer.finish()
    const { entries, files: whole } = await check()
    expect(whole.has(third)).toBe(true)
    expect(entries.filter(({ kind }) => kind === 'file')).toHaveLength(2)
    const read = await collect(readJournal(directory, testKeys))
    expect(read.map(({ sequence }) => sequence).filter((each) => each > kept && each <= last)).toEqual([])
    expect(read.find(({ sequence }) => sequence > last)).toMatchObject({
      sequence: last + 2,
      entry: { head: { action: 'recording.gap', by: 'gateway', details: { first: kept + 1, last } } },
    })
    // And again: nothing is lost since.
    await sealer.close()
    journal.close()
    openAnother(undefined, await logged())
    expect(journal.gap).toBe(undefined)
    await openSealer()
    journal.authenticate()
    await sealer.finish()
    await check()
  })
}

test('a log that is older than the journal is not gone on with over frames that neither of them has (P-06)', async () => {
  await again(3000)
  const session = open()
  work(session, 1, 9)
  await seal()
  const old = new Map(storage.pieces)
  work(session, 10, 60)
  close(session, 60)
  await seal()
  await sealer.close()
  storage.pieces.clear()
  for (const [path, bytes] of old) storage.pieces.set(path, bytes)
  for (let start = 0; start < 3; start++) {
    await expect(openSealer()).rejects.toThrow(/frames \d+ to \d+ are missing, which the log has not got/)
    journal.close()
    openAnother(3000, await logged())
    expect(journal.gap).toBe(undefined)
  }
})

test('a gap that reaches further than the log does is not gone over (P-06)', async () => {
  const session = open()
  work(session, 1, 9)
  const copy = await copied()
  await seal()
  const old = new Map(storage.pieces)
  work(session, 10, 20)
  await seal()
  await putBack(copy)
  openAnother(undefined, await logged())
  expect(journal.gap).toBeDefined()
  storage.pieces.clear()
  for (const [path, bytes] of old) storage.pieces.set(path, bytes)
  await openSealer()
  await expect(sealer.finish()).rejects.toThrow(/frames \d+ to \d+ are lost, and the log has not got them/)
})

test('a file that somebody puts behind the journal is not followed: its header takes no key to make (P-06)', async () => {
  await note()
  const header = Buffer.from(readFileSync(join(directory, 'journal', '00000001.slj')).subarray(0, 100))
  header.writeUInt32LE(2, 12)
  header.writeBigUInt64LE(BigInt(journal.flushedSequence + 1), 16)
  checkHeader(header)
  writeFileSync(join(directory, 'journal', '00000002.slj'), header)
  await sealer.finish()
  const session = open()
  close(session, 0)
  journal.authenticate()
  await sealer.finish()
  expect(sealer.sealed.through).toBe(journal.flushedSequence)
  expect(files('slr')).toEqual([session])
})

test('the file of one session in the place of another is not shown as that (P-06)', async () => {
  const [ended, second] = [open(), open()]
  close(ended, 0)
  await seal()
  for (const suffix of ['slr', 'part']) {
    cpSync(path(ended, 'slr'), path(second, suffix))
    if (suffix === 'slr')
      await expect(collect(readSession(directory, testKeys, second))).rejects.toThrow(
        /the file of another session/,
      )
    else
      expect(
        (await collect(readSession(directory, testKeys, second))).map(({ entry }) => entry.kind),
      ).toEqual(['open'])
    rmSync(path(second, suffix))
  }
})

test('how far the log goes is believed of a log that a key of the gateway signed, only', async () => {
  const session = open()
  work(session, 1, 3)
  await seal()
  const { through } = sealer.sealed
  expect(await logged()).toMatchObject({ through, size: sealer.sealed.size })
  await expect(loggedEnd(storage, [seed(2)])).rejects.toThrow()
  expect(await loggedEnd(new MemoryLogStorage(), [seed(1)])).toBe(undefined)
  const bundle = [...storage.pieces.keys()].find((path) => path.startsWith('tile/entries/')) ?? ''
  const text = Buffer.from(storage.pieces.get(bundle) ?? []).toString('latin1')
  const other = String(through).replace(/.$/, (digit) => (digit === '9' ? '8' : '9'))
  storage.pieces.set(
    bundle,
    Buffer.from(text.replace(`"sequence":${through}`, `"sequence":${other}`), 'latin1'),
  )
  await expect(logged()).rejects.toThrow(/is not the one that was signed/)
})

test('a log that was taken away or put back since the journal knew it is not begun anew (P-06)', async () => {
  open()
  await seal()
  const old = new Map(storage.pieces)
  work(open(), 1, 3)
  await seal()
  await sealer.close()
  journal.close()
  openAnother(undefined, await logged())
  const put = (pieces: ReadonlyMap<string, Uint8Array>): void => {
    storage = new MemoryLogStorage()
    for (const [path, bytes] of pieces) storage.pieces.set(path, bytes)
  }
  for (const pieces of [new Map<string, Uint8Array>(), old]) {
    put(pieces)
    await openSealer()
    await expect(sealer.finish()).rejects.toThrow(/and the journal knows \d+ of it/)
    await sealer.close()
  }
  // Another one of the same length.
  put(old)
  const other = await LogWriter.open({
    storage,
    sha256: nodeSha256,
    ed25519: nodeEd25519,
    origin: sealer.vkey.split('+')[0] ?? '',
    signer: parseSignerKey(
      nodeSha256,
      nodeEd25519,
      formatSignerKey(nodeSha256, nodeEd25519, sealer.vkey.split('+')[0] ?? '', new Uint8Array(32).fill(1)),
      'note',
    ),
  })
  await other.append(
    Array.from({ length: 20 }, () => Buffer.from('{"kind":"through","sequence":2,"time":1}')),
  )
  await openSealer()
  await expect(sealer.finish()).rejects.toThrow()
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
  // Nor does a log that was taken away begin anew behind what it had.
  storage = new MemoryLogStorage()
  await expect(openSealer()).rejects.toThrow(/frames 1 to \d+ are missing/)
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
