import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { everyday } from '../../../test/support/fewer.ts'
import type { RecordingKeys, SessionId } from '../../core/index.ts'
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
import { checkHeader } from '../files/file-header.ts'
import { MAC_BLOCK_BYTES, SEALED_HEADER_BYTES } from '../files/format.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { keyUse } from '../reading/key-use.ts'
import { type RecordedEntry, readJournal } from '../reading/reader.ts'
import { blockOffsets, macOffsets, partsOf } from '../../testing/journal-files.ts'
import { keysOf, random, testKeys } from '../../testing/recording-keys.ts'

let directory: string
const clock = new FakeClock()

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-journal-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function start(data = directory, fileBytesMax = 1024 * 1024): FileJournal {
  return openJournal({
    directory: data,
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

const file = (number: number, data = directory): string => join(data, 'journal', `0000000${number}.slj`)

/** Everything in the journal, in which nothing may be torn. */
async function all(data = directory): Promise<RecordedEntry[]> {
  return await collect(
    readJournal(data, testKeys, {
      onTornTail: (tail) => {
        throw new Error(`torn at ${tail.offset}`)
      },
    }),
  )
}

/** A session with `commands` commands and, on purpose, no end. */
function leave(journal: FileJournal, commands: number): SessionId {
  const session = sessionId()
  journal.append(session, openEntry())
  for (let n = 1; n <= commands; n++) {
    for (const entry of [intentEntry(n), outcomeEntry(n, {}, Buffer.from('row'))]) {
      journal.flush()
      journal.append(session, entry)
    }
  }
  journal.flush()
  return session
}

test('sessions without an end get one, wherever they began (P-07)', async () => {
  const journal = start(directory, 2000)
  const early = leave(journal, 3)
  for (let n = 0; n < 30; n++) {
    journal.append(undefined, adminEntry())
    journal.flush()
  }
  expect(journal.fileNumber).toBeGreaterThan(2)
  const ended = leave(journal, 1)
  journal.append(ended, closeEntry(1))
  const late = leave(journal, 2)

  const again = start()
  expect(new Set(again.sessionsRepaired)).toEqual(new Set([early, late]))
  expect(again.openSessions()).toEqual([])
  const closes = (await all()).filter(({ entry }) => entry.kind === 'close')
  expect(new Map(closes.map(({ session, entry }) => [session, entry]))).toEqual(
    new Map([
      [ended, closeEntry(1)],
      [early, closeEntry(3, 'gateway stopped')],
      [late, closeEntry(2, 'gateway stopped')],
    ]),
  )
  again.close()
  expect(start().sessionsRepaired).toEqual([])
})

test('cut at any byte, the last file keeps its whole blocks, and the rest is put aside (P-07)', {
  timeout: 120_000,
}, async () => {
  await cutAnywhere(
    everyday ? 7 : 1,
    () => blockOffsets(readFileSync(file(1))),
    () => [SEALED_HEADER_BYTES, ...macOffsets(readFileSync(file(1))).map((at) => at + MAC_BLOCK_BYTES)],
  )
})

/** What the next process says of the end of a file that had no MAC. */
const unauthenticated = { action: 'journal.unauthenticated', by: 'gateway', target: '00000001.slj' }

/** `ends`: where the file may end, `macEnds`: where a MAC vouches for all that is before; called when it is written. */
async function cutAnywhere(
  step: number,
  ends: () => readonly number[],
  macEnds: () => readonly number[] = () => [],
): Promise<void> {
  const journal = start()
  leave(journal, 1)
  journal.close()
  const clean = ends()
  const macs = macEnds()
  const whole = await all()
  const bytes = readFileSync(file(1))
  for (let length = 0; length < bytes.length; length += step) {
    const data = join(directory, `at-${length}`)
    mkdirSync(join(data, 'journal'), { recursive: true })
    writeFileSync(file(1, data), bytes.subarray(0, length))
    start(data).close()
    const read = await all(data)
    const kept = read.filter(({ entry }) => entry.kind !== 'admin' && entry.kind !== 'close')
    expect(kept).toEqual(whole.slice(0, kept.length))
    const [unvouched, notes] = [true, false].map((is) =>
      read.filter(
        ({ entry }) => entry.kind === 'admin' && (entry.head.action === unauthenticated.action) === is,
      ),
    ) as [RecordedEntry[], RecordedEntry[]]
    const aside = readdirSync(join(data, 'journal')).filter((name) => name.includes('.cut-'))
    expect(aside).toHaveLength(notes.length)
    for (const [index, name] of aside.entries()) {
      const cut = readFileSync(join(data, 'journal', name))
      const offset = Number(name.split('-')[1])
      expect(cut.equals(bytes.subarray(offset, length))).toBe(true)
      expect(notes[index]?.entry).toEqual({
        kind: 'admin',
        head: {
          action: 'journal.repaired',
          by: 'gateway',
          target: '00000001.slj',
          details: { offset, bytes: length - offset, frames: 0, keptAs: name },
        },
      })
    }
    // Each whole frame, or block, is kept: what is put aside begins behind the last one.
    const offset = notes.length === 0 ? length : length - Number(cutBytes(notes[0]))
    expect(offset).toBe(clean.findLast((end) => end <= length) ?? 0)
    // What no MAC vouches for is told of, and has one from now on.
    const vouched = macs.findLast((end) => end <= offset) ?? offset
    expect(unvouched.map(({ entry }) => entry)).toEqual(
      vouched === offset
        ? []
        : [
            {
              kind: 'admin',
              head: { ...unauthenticated, details: { offset: vouched, bytes: offset - vouched } },
            },
          ],
    )
    if (offset > 0) {
      const repaired = readFileSync(file(1, data))
      expect(repaired.length).toBe(vouched === offset ? offset : offset + MAC_BLOCK_BYTES)
      expect(repaired.subarray(0, offset).equals(bytes.subarray(0, offset))).toBe(true)
    }
    rmSync(data, { recursive: true })
  }
}

function cutBytes(note: RecordedEntry | undefined): unknown {
  return note?.entry.kind === 'admin' ? note.entry.head.details?.bytes : undefined
}

for (const [name, tail] of [
  ['zeros, as after a loss of power', Buffer.alloc(5000)],
  ['noise', Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251))],
  [
    'the beginning of a block of an impossible length',
    Buffer.from('SLB2\xff\xff\xff\xff'.padEnd(64, '\0'), 'latin1'),
  ],
  [
    'the beginning of a block of a possible length',
    Buffer.from('SLB2\xff\0\0\0'.padEnd(255, '\0'), 'latin1'),
  ],
] as const) {
  test(`${name} at the end is cut off`, async () => {
    const journal = start()
    leave(journal, 2)
    journal.close()
    const bytes = readFileSync(file(1))
    writeFileSync(file(1), Buffer.concat([bytes, tail]))
    start().close()
    expect(readFileSync(file(1)).equals(bytes)).toBe(true)
    expect(readFileSync(`${file(1)}.cut-${bytes.length}`).equals(tail)).toBe(true)
    expect((await all()).map(({ entry }) => entry.kind)).toEqual([
      'open',
      'intent',
      'outcome',
      'intent',
      'outcome',
      'admin',
      'close',
    ])
  })
}

test('a changed byte in the middle of a last file: what follows is put aside, whole, and counted', async () => {
  const journal = start()
  leave(journal, 5)
  journal.close()
  const whole = await all()
  const bytes = readFileSync(file(1))
  const at = (blockOffsets(bytes)[5] ?? 0) + 70
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(file(1), bytes)
  // Not something a reader passes over in silence.
  await expect(all()).rejects.toThrow(/00000001\.slj, byte \d+: the checksum of the frame is wrong/)
  start().close()
  const read = await all()
  expect(read.slice(0, 3)).toEqual(whole.slice(0, 3))
  const notes = read.filter(({ entry }) => entry.kind === 'admin')
  expect(notes.map(({ entry }) => entry)).toEqual([
    { kind: 'admin', head: expect.objectContaining(unauthenticated) },
    { kind: 'admin', head: expect.objectContaining({ action: 'journal.repaired' }) },
  ])
  expect(notes.at(-1)?.entry).toMatchObject({ head: { details: { frames: 7 } } })
  const [aside] = readdirSync(join(directory, 'journal')).filter((name) => name.includes('.cut-'))
  expect(readFileSync(join(directory, 'journal', aside ?? '')).length).toBe(
    // What is left has got a MAC.
    bytes.length - statSync(file(1)).size + MAC_BLOCK_BYTES,
  )
})

test('a last file whose blocks are not in their places is cut back to those that are', async () => {
  const journal = start()
  leave(journal, 3)
  journal.close()
  const whole = await all()
  const bytes = readFileSync(file(1))
  const at = blockOffsets(bytes)
  // The last but one is gone: the last opens, and does not belong where it is.
  writeFileSync(file(1), Buffer.concat([bytes.subarray(0, at.at(-4)), bytes.subarray(at.at(-3))]))
  await expect(all()).rejects.toThrow(/00000001\.slj, byte \d+: frame \d+ is missing before it/)
  start().close()
  const read = await all()
  expect(read.slice(0, 5)).toEqual(whole.slice(0, 5))
  expect(read[5]?.entry).toMatchObject({ kind: 'admin', head: unauthenticated })
  expect(read[6]?.entry).toMatchObject({ kind: 'admin', head: { details: { frames: 1 } } })
})

for (const [name, damage] of [
  ['header', (bytes: Buffer) => void bytes.writeUInt8(0, 3)],
  [
    'key',
    (bytes: Buffer) => {
      bytes.writeUInt8(bytes.readUInt8(60) ^ 1, 60)
      checkHeader(bytes.subarray(0, SEALED_HEADER_BYTES))
    },
  ],
] as const) {
  test(`a file whose ${name} is damaged is put aside with all that is in it`, async () => {
    const journal = start()
    leave(journal, 2)
    journal.close()
    start().close()
    const bytes = readFileSync(file(2))
    damage(bytes)
    writeFileSync(file(2), bytes)
    await expect(all()).rejects.toThrow(
      /00000002\.slj, byte 0: the (file does not begin|key in the file header)/,
    )
    start().close()
    const read = await all()
    // Two blocks, which nothing can open now.
    expect(read.at(-2)?.entry).toMatchObject({
      head: { target: '00000002.slj', details: { offset: 0, frames: 2 } },
    })
    expect(read.at(-1)?.entry).toEqual(closeEntry(2, 'gateway stopped'))
    expect(readdirSync(join(directory, 'journal'))).toEqual([
      '00000001.slj',
      '00000002.slj.cut-0',
      '00000003.slj',
    ])
  })
}

test('a last file of the format before this one, which had no MACs, is put aside: nothing of it is believed (P-06)', async () => {
  leave(start(), 2)
  const whole = await all()
  // What anybody with access to the directory can write: a plain header, and a frame whose checksum is right.
  const forged = oldFile(2, whole.at(-1)?.sequence ?? 0, {
    action: 'recording.deleted',
    by: 'gateway',
    target: 'somebody',
  })
  writeFileSync(file(2), forged)
  start().close()
  const read = await all()
  expect(read.slice(0, whole.length)).toEqual(whole)
  expect(read.slice(whole.length).map(({ entry }) => entry)).toMatchObject([
    { head: { action: 'journal.unauthenticated' } },
    {
      head: { action: 'journal.repaired', target: '00000002.slj', details: { keptAs: '00000002.slj.cut-0' } },
    },
    { head: { reason: 'gateway stopped' } },
  ])
  expect(readFileSync(join(directory, 'journal', '00000002.slj.cut-0')).equals(forged)).toBe(true)
})

/** A journal file as it was before files were encrypted: one administrative frame behind what is there. */
function oldFile(number: number, last: number, head: object): Buffer {
  const header = Buffer.alloc(32)
  header.write('SLUICEJ1', 'latin1')
  header.writeUInt32LE(number, 12)
  header.writeBigUInt64LE(BigInt(last + 1), 16)
  header.writeUInt32LE(crc32(header.subarray(12)), 8)
  const frames = [{ open: [] }, head].map((each, index) => {
    const text = Buffer.from(JSON.stringify(each))
    const frame = Buffer.alloc(40 + text.length)
    frame.write('SLF1', 'latin1')
    frame.writeUInt32LE(frame.length, 4)
    frame.writeUInt32LE(index === 0 ? 0 : 10, 12)
    frame.writeUInt32LE(text.length, 20)
    frame.writeBigUInt64LE(BigInt(last + 1 + index), 24)
    text.copy(frame, 40)
    frame.writeUInt32LE(crc32(frame.subarray(12)), 8)
    return frame
  })
  return Buffer.concat([header, ...frames])
}

test('without the key of the last file nothing is begun, and the error names the key; with both all is well', async () => {
  const journal = start()
  leave(journal, 1)
  journal.close()
  const whole = await all()
  const fresh = keysOf(Buffer.alloc(32, 9))
  const names = readdirSync(join(directory, 'journal'))
  const open = (keys: RecordingKeys): FileJournal =>
    openJournal({ directory, keys, random, clock, files: unsyncedFiles, onFault: () => {} })
  const missing = expect.objectContaining({
    code: 'invalid',
    message: `The recording cannot be read: 00000001.slj needs the key ${testKeys[0].id}, which is not given.`,
    remedy: 'Add that key after the present one, in the key file or in SLUICE_KEY.',
  })
  expect(() => open(fresh)).toThrow(missing)
  await expect(collect(readJournal(directory, fresh))).rejects.toEqual(missing)
  expect(readdirSync(join(directory, 'journal'))).toEqual(names)
  // The first key is for new files, each for reading.
  const both: RecordingKeys = [fresh[0], testKeys[0]]
  open(both).close()
  expect((await collect(readJournal(directory, both))).slice(0, whole.length)).toEqual(whole)
  expect(await collect(readJournal(directory, fresh, { fromSequence: 7 }))).toHaveLength(1)
  await expect(all()).rejects.toThrow(`00000002.slj needs the key ${fresh[0].id}`)
  writeFileSync(file(3), 'no header')
  const use = new Map([
    [testKeys[0].id, 1],
    [fresh[0].id, 1],
  ])
  expect(await keyUse(directory)).toEqual(use)
})

test('a file under another name is put aside too', () => {
  start().close()
  copyFileSync(file(1), file(2))
  start().close()
  expect(readdirSync(join(directory, 'journal'))).toEqual([
    '00000001.slj',
    '00000002.slj.cut-0',
    '00000003.slj',
  ])
})

test('stopping while repairing changes nothing: the next start finishes it', async () => {
  const journal = start()
  leave(journal, 2)
  journal.close()
  const bytes = readFileSync(file(1))
  writeFileSync(file(1), bytes.subarray(0, bytes.length - 5))
  // What was put aside is there already, half, because the last attempt died.
  writeFileSync(`${file(1)}.cut-${bytes.length - 5}`, 'half')
  start().close()
  start().close()
  expect((await all()).map(({ entry }) => entry.kind)).toEqual([
    'open',
    'intent',
    'outcome',
    'intent',
    'outcome',
    'admin',
    'admin',
    'close',
  ])
})

test('a process killed at any moment leaves what has no MAC; a repair that dies behind its own MAC is told of again', async () => {
  const journal = start()
  leave(journal, 2)
  clock.advance(1000)
  const vouched = readFileSync(file(1)).length
  journal.append(undefined, adminEntry({ target: 'after the last MAC' }))
  journal.flush()
  const bytes = readFileSync(file(1))
  const expected = { ...unauthenticated, details: { offset: vouched, bytes: bytes.length - vouched } }
  for (let attempt = 0; attempt < 2; attempt++) {
    start().close()
    const repaired = readFileSync(file(1))
    expect(repaired.length).toBe(bytes.length + MAC_BLOCK_BYTES)
    expect(repaired.subarray(0, bytes.length).equals(bytes)).toBe(true)
    const notes = (await all()).filter(({ entry }) => entry.kind === 'admin').map(({ entry }) => entry)
    expect(notes.map((entry) => entry.kind === 'admin' && entry.head)).toEqual([
      adminEntry({ target: 'after the last MAC' }).head,
      expected,
    ])
    // As if the process had died before it began the next file.
    rmSync(file(2))
  }
})

test('a file that has a successor and no MAC at its end is damaged: somebody has taken it off', async () => {
  const journal = start()
  leave(journal, 2)
  journal.close()
  start().close()
  const bytes = readFileSync(file(1))
  const [, last = 0] = macOffsets(bytes)
  writeFileSync(file(1), bytes.subarray(0, last))
  const [, second = 0] = blockOffsets(bytes)
  await expect(all()).rejects.toThrow(
    `00000001.slj, byte ${second + MAC_BLOCK_BYTES}: the file ends without a MAC for what is behind here`,
  )
  expect(partsOf(bytes).blocks.length).toBeGreaterThan(2)
})
