import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { brand, type SessionId } from '../../core/index.ts'
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
import { unsyncedFiles } from '../../testing/faulty-files.ts'
import { type FileJournal, openJournal } from '../journal/journal.ts'
import { dayOf } from '../files/names.ts'
import { readJournal, readSession, sessionsBetween } from '../index.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { seal } from '../../testing/seal.ts'

let directory: string
let journal: FileJournal
const clock = new FakeClock()

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-read-'))
  journal = start(3000)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function start(fileBytesMax: number): FileJournal {
  return openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files: unsyncedFiles,
    fileBytesMax,
    onFault: (error) => {
      throw error
    },
  })
}

function fill(commands: number): SessionId {
  const session = sessionId(clock.now())
  journal.append(session, openEntry())
  for (let n = 1; n <= commands; n++) {
    journal.append(session, intentEntry(n))
    journal.append(session, outcomeEntry(n, {}, Buffer.from('row')))
    journal.flush()
  }
  return session
}

const file = (number: number): string => join(directory, 'journal', `${String(number).padStart(8, '0')}.slj`)

function change(path: string, work: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(path)
  writeFileSync(path, work(bytes) ?? bytes)
}

const all = (): Promise<unknown[]> => collect(readJournal(directory, testKeys))

describe('damage to one of several files is an error that names file and byte', () => {
  const damages: [string, () => void, RegExp][] = [
    [
      'an earlier file cut short',
      () => change(file(2), (bytes) => bytes.subarray(0, bytes.length - 1)),
      /00000002\.slj, byte \d+: the file ends inside a block/,
    ],
    [
      'more behind an earlier file',
      () => change(file(2), (bytes) => Buffer.concat([bytes, Buffer.alloc(50)])),
      /00000002\.slj, byte \d+: no block begins here/,
    ],
    [
      'a header that is none',
      () => change(file(2), (bytes) => void bytes.write('X', 0)),
      /00000002\.slj, byte 0: the file does not begin with SLUICEJ2/,
    ],
    [
      'a file of the format before this one, which had no MACs',
      () => change(file(2), (bytes) => void bytes.write('SLUICEJ1', 0)),
      /00000002\.slj, byte 0: the file does not begin with SLUICEJ2/,
    ],
    [
      'a changed header',
      () => change(file(2), (bytes) => void bytes.writeUInt8(7, 16)),
      /00000002\.slj, byte 0: the checksum of the file header/,
    ],
    [
      'a missing file',
      () => unlinkSync(file(2)),
      /00000003\.slj, byte 0: frames are missing before it: \d+ to \d+/,
    ],
    ['two files swapped', () => swap(file(2), file(3)), /00000002\.slj, byte 0: it is the file of number 3/],
  ]
  for (const [name, damage, message] of damages) {
    test(name, async () => {
      while (journal.fileNumber < 4) fill(1)
      fill(2)
      journal.flush()
      damage()
      await expect(all()).rejects.toThrow(message)
      const remedy = expect.stringContaining('Bring the file back')
      await expect(all()).rejects.toEqual(expect.objectContaining({ code: 'invalid', remedy }))
    })
  }

  function swap(a: string, b: string): void {
    renameSync(a, `${a}.x`)
    renameSync(b, a)
    renameSync(`${a}.x`, b)
  }
})

test('the newest file may end inside a frame: that is the end, and said', async () => {
  const session = fill(2)
  const whole = await all()
  const newest = file(journal.fileNumber)
  const length = readFileSync(newest).length
  journal.append(session, intentEntry(3))
  journal.flush()
  change(newest, (bytes) => bytes.subarray(0, length + 20))
  const torn: unknown[] = []
  expect(await collect(readJournal(directory, testKeys, { onTornTail: (tail) => torn.push(tail) }))).toEqual(
    whole,
  )
  expect(torn).toEqual([{ file: `0000000${journal.fileNumber}.slj`, offset: length }])
})

test('a newest file that is only begun is an end, too', async () => {
  fill(2)
  const whole = await all()
  for (const bytes of ['', 'SLUICEJ2', 'SLUICEJ2'.padEnd(100, '\0')]) {
    writeFileSync(file(journal.fileNumber + 1), bytes)
    expect(await all()).toEqual(whole)
  }
})

test('nothing recorded is nothing read', async () => {
  rmSync(join(directory, 'journal'), { recursive: true })
  expect(await all()).toEqual([])
  await expect(collect(readSession(directory, testKeys, sessionId()))).rejects.toEqual(
    expect.objectContaining({ code: 'not_found' }),
  )
})

test('what is written while it is read is read as well, over the end of a file', async () => {
  fill(1)
  const seen: number[] = []
  let n = 0
  for await (const { sequence } of readJournal(directory, testKeys)) {
    seen.push(sequence)
    if (n++ < 100) {
      journal.append(undefined, adminEntry({ target: 'x'.repeat(n) }))
      journal.flush()
    }
  }
  expect(journal.fileNumber).toBeGreaterThan(3)
  expect(seen).toHaveLength(103)
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
})

test('a frame half written when it was seen first, and whole and followed by others after', async () => {
  journal = start(1024 * 1024)
  const session = fill(2)
  const newest = file(journal.fileNumber)
  const bytes = readFileSync(newest)
  journal.append(session, intentEntry(3))
  journal.append(session, intentEntry(4))
  journal.flush()
  const whole = readFileSync(newest)
  const expected = await all()
  writeFileSync(newest, whole.subarray(0, bytes.length + 50))
  const read: unknown[] = []
  for await (const each of readJournal(directory, testKeys)) {
    read.push(each)
    // The reader has its piece of the file in memory by now.
    if (read.length === 1) writeFileSync(newest, whole)
  }
  expect(read).toEqual(expected)
})

describe('one session', () => {
  test('is read from the journal while it is open, and from its own file afterwards', async () => {
    const [a, b] = [fill(20), fill(20)]
    const before = await collect(readSession(directory, testKeys, a))
    expect(before).toHaveLength(41)
    journal.append(a, closeEntry(20))
    journal.authenticate()
    await seal(directory, clock)
    const after = await collect(readSession(directory, testKeys, a))
    expect(after.slice(0, -1)).toEqual(before)
    expect(after.at(-1)?.entry).toEqual(closeEntry(20))
    expect(await collect(readSession(directory, testKeys, b))).toHaveLength(41)
    for (const session of [a, b]) {
      const entries = await collect(readSession(directory, testKeys, session))
      const fromSequence = entries[30]?.sequence ?? 0
      expect(await collect(readSession(directory, testKeys, session, { fromSequence }))).toEqual(
        entries.slice(30),
      )
      expect(await collect(readSession(directory, testKeys, session, { fromSequence: 1e9 }))).toEqual([])
    }
  })

  test('begins where it was opened: earlier files are not even opened', async () => {
    for (let n = 0; n < 50; n++) fill(2)
    clock.advance(2 * 24 * 60 * 60 * 1000)
    journal = start(3000)
    const session = fill(3)
    change(file(2), (bytes) => void bytes.fill(0))
    expect(await collect(readSession(directory, testKeys, session))).toHaveLength(7)
    expect(
      await collect(readJournal(directory, testKeys, { fromSequence: journal.sequenceFound + 1 })),
    ).not.toHaveLength(0)
    await expect(all()).rejects.toThrow(/00000002/)
  })

  test('a file of its own must be whole', async () => {
    const session = fill(2)
    journal.append(session, closeEntry(2))
    journal.authenticate()
    await seal(directory, clock)
    const path = join(directory, 'sessions', dayOf(session), `${session}.slr`)
    const bytes = readFileSync(path)
    for (let length = 0; length < bytes.length; length += 11) {
      writeFileSync(path, bytes.subarray(0, length))
      const entries = collect(readSession(directory, testKeys, session))
      // Between two frames the file reads well; that frames are missing is for whoever proves it to find.
      await entries.catch((error: unknown) =>
        expect(error).toMatchObject({ code: expect.stringMatching(/^(invalid|not_found)$/) }),
      )
    }
    writeFileSync(path, Buffer.concat([bytes, bytes.subarray(bytes.indexOf('SLC2'))]))
    await expect(collect(readSession(directory, testKeys, session))).rejects.toThrow(
      /a chunk does not stand in its place/,
    )
  })

  test('ended when its file says so, whenever that was written or copied', async () => {
    const DAY = 24 * 60 * 60 * 1000
    const session = fill(3)
    journal.append(session, closeEntry(3))
    journal.authenticate()
    await seal(directory, clock)
    const ended = clock.now()
    for (const name of readdirSync(join(directory, 'journal'))) rmSync(join(directory, 'journal', name))
    const path = join(directory, 'sessions', dayOf(session), `${session}.slr`)
    const between = (since: number): Promise<readonly string[]> =>
      sessionsBetween(directory, testKeys, since, ended + 9 * DAY)
    for (const written of [0, ended, ended + 5 * DAY]) {
      utimesSync(path, written / 1000, written / 1000)
      expect(await between(ended)).toEqual([session])
      expect(await between(ended + 2 * DAY)).toEqual([])
    }
  })

  test('is asked for by a session id and by nothing else', async () => {
    writeFileSync(join(directory, 'secret.slr'), 'secret')
    for (const id of ['../../secret', '', 'x', `${sessionId()}/..`, sessionId().toLowerCase()]) {
      await expect(collect(readSession(directory, testKeys, brand<SessionId>(id)))).rejects.toEqual(
        expect.objectContaining({ code: 'not_found' }),
      )
    }
    expect(readdirSync(directory)).toContain('secret.slr')
  })
})
