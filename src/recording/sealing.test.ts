import { createSecretKey } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { everyday } from '../../test/support/fewer.ts'
import { isGatewayError, type RecordingKeys } from '../core/index.ts'
import { adminEntry, collect, intentEntry, openEntry, outcomeEntry, sessionId } from '../testing/entries.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { FaultyFiles, systemError } from '../testing/faulty-files.ts'
import { blockOffsets, partsOf, sealed } from '../testing/journal-files.ts'
import { keysOf, random, testKeys } from '../testing/recording-keys.ts'
import { BlockScanner } from './block-scanner.ts'
import { readFileHeader } from './file-header.ts'
import { BLOCK, BLOCK_HEADER_BYTES, SEALED_HEADER_BYTES } from './format.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { type RecordedEntry, readJournal } from './reader.ts'
import { BlockSealer, openerOf } from './sealing.ts'

let directory: string
let files: FaultyFiles
const clock = new FakeClock()

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-sealing-'))
  files = new FaultyFiles()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function start(keys: RecordingKeys = testKeys): FileJournal {
  const onFault = (error: unknown): never => expect.fail(String(error))
  return openJournal({ directory, keys, random, clock, files, onFault })
}

const file = (number: number): string => join(directory, 'journal', `0000000${number}.slj`)

const all = (keys: RecordingKeys = testKeys): Promise<RecordedEntry[]> =>
  collect(readJournal(directory, keys))

const MARKS = {
  statement: 'SELECT balance FROM wallets WHERE owner = 4711',
  parameter: Buffer.from('a parameter of theirs').toString('base64'),
  result: 'cell of a row',
  person: 'ada@example.com',
  agent: 'support-agent',
  connection: 'crm-of-acme',
  reason: 'because payroll is closed',
}

function record(journal: FileJournal): void {
  const session = sessionId()
  const { statement, parameter, reason } = MARKS
  journal.append(session, openEntry({ connection: MARKS.connection }))
  journal.append(session, intentEntry(1, { text: statement, parameters: [parameter], reason }))
  journal.flush()
  journal.append(session, outcomeEntry(1, {}, Buffer.from(MARKS.result)))
  journal.append(undefined, adminEntry({ target: MARKS.person }))
  journal.flush()
}

test('no byte of a statement, a result or an identity is readable in the files of the journal', () => {
  const journal = start()
  record(journal)
  journal.close()
  // What is cut off the end by a repair is no more readable than what stays.
  writeFileSync(file(1), readFileSync(file(1)).subarray(0, -1))
  const torn = readFileSync(file(1))
  start().close()
  const names = readdirSync(join(directory, 'journal'))
  expect(names.filter((name) => name.includes('.cut-'))).toHaveLength(1)
  for (const name of names) {
    const bytes = readFileSync(join(directory, 'journal', name))
    for (const mark of Object.values(MARKS)) {
      for (const encoding of ['utf8', 'utf16le', 'base64', 'hex'] as const) {
        const text = encoding === 'utf8' ? mark : Buffer.from(mark).toString(encoding)
        expect(bytes.includes(text), `${mark} in ${name}`).toBe(false)
      }
    }
  }
  // Not any six bytes of what is in it, but for numbers, which the headers have as well.
  const whole = torn.subarray(0, blockOffsets(torn).at(-2))
  const plain = Buffer.concat(partsOf(whole).blocks.flat())
  expect(plain.includes(MARKS.statement)).toBe(true)
  for (let at = 0; at + 6 <= plain.length; at++) {
    const piece = plain.subarray(at, at + 6)
    if (!piece.includes(0)) expect(torn.includes(piece), `plain byte ${at}`).toBe(false)
  }
})

test('one bit changed anywhere in a file is noticed, and nothing behind it is believed', {
  timeout: 120_000,
}, async () => {
  const journal = start()
  record(journal)
  journal.close()
  const whole = await all()
  start().close()
  const bytes = readFileSync(file(1))
  expect(bytes.length).toBeLessThan(3000)
  for (const newest of [false, true]) {
    if (newest) rmSync(file(2))
    const last = blockOffsets(bytes).at(-2) ?? 0
    for (let at = newest ? 1 : 0; at < bytes.length; at += everyday ? 11 : 1) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at)
      writeFileSync(file(1), changed)
      const read: RecordedEntry[] = []
      const ends: unknown[] = []
      try {
        const onTornTail = (tail: { readonly offset: number }): unknown => ends.push(tail.offset)
        for await (const each of readJournal(directory, testKeys, { onTornTail })) read.push(each)
      } catch (error) {
        ends.push(isGatewayError(error) && error.code)
      }
      // At the very end of the newest file it may as well be a write that was not finished.
      expect(ends, `byte ${at}`).toEqual([newest && at >= last ? last : 'invalid'])
      expect(read, `byte ${at}`).toEqual(whole.slice(0, read.length))
      expect(read.length).toBeLessThan(whole.length)
    }
  }
})

test('a block that is tried again takes the same place under another nonce', async () => {
  const journal = start()
  journal.append(undefined, adminEntry({ target: 'first' }))
  const written: Buffer[] = []
  const { write } = files
  files.write = (handle, bytes, ...where) => {
    written.push(Buffer.from(bytes))
    return write.call(files, handle, bytes, ...where)
  }
  for (const failing of [true, true, false]) {
    files.fault = ({ name }) => (failing && name === 'write' ? systemError('ENOSPC') : undefined)
    if (failing) expect(() => journal.flush()).toThrow()
    else journal.flush()
  }
  const tries = written.slice(0, 3)
  expect(tries.map((block) => block.readBigUInt64LE(BLOCK.counter))).toEqual([2n, 2n, 2n])
  expect(tries.map((block) => block.readUInt32LE(BLOCK.attempt))).toEqual([0, 1, 2])
  // The same frames, and yet no two bytes in the same place in a row: with one key stream they would be the same.
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = tries.map((block) =>
    block.subarray(BLOCK_HEADER_BYTES),
  )
  expect(one.length).toBe(two.length)
  expect(one.filter((byte, at) => byte === two[at]).length).toBeLessThan(one.length / 10)
  // The next one counts on.
  expect(written[3]?.readBigUInt64LE(BLOCK.counter)).toBe(3n)
  expect(written[3]?.readUInt32LE(BLOCK.attempt)).toBe(0)
  expect((await all()).map(({ entry }) => entry.kind === 'admin' && entry.head.action)).toEqual([
    'secret.set',
    'journal.recovered',
  ])
})

test('each file has a key of its own, also two of the same number', () => {
  const of = { number: 1, firstSequence: 1, time: 0 }
  const [a, b] = [new BlockSealer(testKeys, random, of), new BlockSealer(testKeys, random, of)]
  expect(a.header.equals(b.header)).toBe(false)
  const frames = Buffer.alloc(100)
  expect(Buffer.from(a.seal(frames)).equals(b.seal(frames))).toBe(false)
})

test('another key of the same id opens nothing', async () => {
  record(start())
  const wrong = keysOf(Buffer.alloc(32, 1))[0].key
  await expect(all([{ id: testKeys[0].id, key: wrong }])).rejects.toThrow(
    /00000001\.slj, byte 0: the key in the file header is not what was written there/,
  )
  await expect(all([{ id: testKeys[0].id, key: createSecretKey(Buffer.alloc(32)) }])).rejects.toThrow()
  expect(await all()).toHaveLength(4)
})

test('blocks are moved into another file, or back into an older state of their own, in vain', async () => {
  const journal = start()
  record(journal)
  journal.close()
  const one = readFileSync(file(1))
  const again = start()
  record(again)
  again.close()
  const two = readFileSync(file(2))
  const at = blockOffsets(two)
  const twos = at.slice(1).map((end, index) => two.subarray(at[index], end))
  const foreign = one.subarray(blockOffsets(one).at(-2))
  for (const [order, reason] of [
    [[twos[0], foreign, ...twos.slice(2)], 'the block is not what was written here'],
    [[twos[0], ...twos.slice(2)], 'it is block 3 of the file where block 2 belongs'],
    [[twos[1], twos[0], ...twos.slice(2)], 'it is block 2 of the file where block 1 belongs'],
  ] as const) {
    const pieces = order.map((each) => each ?? Buffer.alloc(0))
    writeFileSync(file(2), Buffer.concat([two.subarray(0, SEALED_HEADER_BYTES), ...pieces]))
    await expect(all()).rejects.toThrow(reason)
  }
  // The header goes with the key: another number in front of the same blocks opens none of them.
  const { header, blocks } = partsOf(two)
  writeFileSync(file(2), sealed({ header: { ...header, firstSequence: 99 }, blocks }))
  await expect(all()).rejects.toThrow('frames are missing before it')
})

test('fed in pieces of any size a scanner gives the same frames', () => {
  const journal = start()
  for (let n = 0; n < 20; n++) record(journal)
  journal.close()
  const bytes = readFileSync(file(1))
  const expected = partsOf(bytes).blocks.flat()
  const header = readFileHeader(bytes, 'journal')
  if (typeof header === 'string' || header.keyId === undefined) return expect.unreachable()
  const opener = openerOf(testKeys, 'x', { ...header, keyId: header.keyId })
  if (opener === undefined) return expect.unreachable()
  for (const size of [1, 7, 100, 1000, 5000]) {
    const scanner = new BlockScanner(opener, SEALED_HEADER_BYTES, 1)
    const given: Buffer[] = []
    let fed = SEALED_HEADER_BYTES
    for (;;) {
      const next = scanner.next()
      if (next === 'more') {
        const copied = bytes.copy(scanner.room(), 0, fed, fed + size)
        if (copied === 0) break
        scanner.filled(copied)
        fed += copied
      } else if (next.what === 'damage') expect.fail(next.reason)
      else given.push(next.bytes)
    }
    expect(Buffer.concat(given).equals(Buffer.concat(expected)), `pieces of ${size}`).toBe(true)
    expect([scanner.rest, scanner.offset]).toEqual([0, bytes.length])
  }
})

test('large frames go through blocks whole', async () => {
  const journal = start()
  const session = sessionId()
  const body = Buffer.alloc(5_000_000, 'abcdefg')
  journal.append(session, openEntry())
  journal.append(session, outcomeEntry(1, {}, body))
  journal.flush()
  journal.append(session, outcomeEntry(2))
  journal.flush()
  const read = await all()
  const [, large] = read
  expect(read).toHaveLength(3)
  expect(large?.entry.kind === 'outcome' && body.equals(large.entry.body ?? Buffer.alloc(0))).toBe(true)
})
