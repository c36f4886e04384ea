import { createDecipheriv, createSecretKey } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { everyday } from '../../../test/support/fewer.ts'
import { isGatewayError, type RecordingKeys } from '../../core/index.ts'
import {
  adminEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { FaultyFiles, systemError } from '../../testing/faulty-files.ts'
import { blockOffsets, macOffsets, partsOf, sealed } from '../../testing/journal-files.ts'
import { keysOf, random, testKeys } from '../../testing/recording-keys.ts'
import { BlockScanner } from './block-scanner.ts'
import { type FileHeader, readFileHeader } from '../files/file-header.ts'
import { type FileKeys, fileKeysOf } from './file-keys.ts'
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  FRAME_CODES,
  MAC_BLOCK_BYTES,
  SEALED_HEADER_BYTES,
  SEGMENT_BYTES,
} from '../files/format.ts'
import { FrameBuffer } from '../frames/frame-buffer.ts'
import { splitJson } from '../frames/heads.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { Keystream, KeystreamReader } from './keystream.ts'
import { FileReading, type RecordedEntry, readJournal } from '../reading/reader.ts'
import { BlockSealer } from './sealing.ts'

let directory: string
let files: FaultyFiles
let clock: FakeClock
/** Where faults in the background go; without it there must be none. */
let faultsTo: unknown[] | undefined

beforeEach(() => {
  clock = new FakeClock()
  faultsTo = undefined
  directory = mkdtempSync(join(tmpdir(), 'sluice-sealing-'))
  files = new FaultyFiles()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function start(keys: RecordingKeys = testKeys): FileJournal {
  const onFault = (error: unknown): unknown => faultsTo?.push(error) ?? expect.fail(String(error))
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
    const [frames = 0, last = 0] = blockOffsets(bytes).slice(-3)
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
      // What has no block of frames behind it may as well be a write that was not finished, in the newest file.
      const isNoMac = at >= last && at < last + BLOCK.late
      const torn = isNoMac ? last : at >= frames && at < last ? frames : undefined
      expect(ends, `byte ${at}`).toEqual([newest ? (torn ?? 'invalid') : 'invalid'])
      expect(read, `byte ${at}`).toEqual(whole.slice(0, read.length))
      if (!isNoMac) expect(read.length).toBeLessThan(whole.length)
    }
  }
})

test('a block that is tried again takes the same place in the file, and another one in the keystream', async () => {
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
  const ends = written.map((block) => placeOf(block) + block.length - BLOCK_HEADER_BYTES)
  expect(written).toHaveLength(4)
  // No place is used twice: each block, the one after the failures too, begins behind the one before.
  for (const [index, end] of ends.slice(0, -1).entries()) {
    expect(placeOf(written[index + 1])).toBeGreaterThanOrEqual(end)
  }
  // The same frames, and yet hardly two bytes in the same place: with one piece of keystream they would be the same.
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = written.map((block) =>
    block.subarray(BLOCK_HEADER_BYTES),
  )
  expect(one.length).toBe(two.length)
  expect(one.filter((byte, at) => byte === two[at]).length).toBeLessThan(one.length / 10)
  expect((await all()).map(({ entry }) => entry.kind === 'admin' && entry.head.action)).toEqual([
    'secret.set',
    'journal.recovered',
  ])
})

function placeOf(block: Buffer | undefined): number {
  return Number(block?.readBigUInt64LE(BLOCK.place))
}

const of = { number: 1, firstSequence: 1, time: 0 }

test('each file has a key of its own, also two of the same number', () => {
  const [a, b] = [new BlockSealer(testKeys, random, of), new BlockSealer(testKeys, random, of)]
  const frames = Buffer.alloc(100)
  const [one, two] = [Buffer.from(a.seal(frames)), b.seal(frames)]
  expect(one.subarray(0, SEALED_HEADER_BYTES).equals(two.subarray(0, SEALED_HEADER_BYTES))).toBe(false)
  expect(one.subarray(SEALED_HEADER_BYTES).equals(two.subarray(SEALED_HEADER_BYTES))).toBe(false)
})

/** The keys of a file, by its header. */
function keysIn(bytes: Buffer): { readonly header: FileHeader; readonly keys: FileKeys } {
  const header = readFileHeader(bytes)
  if (typeof header === 'string') return expect.unreachable()
  const keys = fileKeysOf(testKeys, 'x', header)
  return keys === undefined ? expect.unreachable() : { header, keys }
}

/** Frames of these numbers. */
function frames(first: number, count: number, bodyBytes: number): Buffer {
  const buffer = new FrameBuffer()
  const body = Buffer.alloc(bodyBytes, 'body of a result ')
  for (let n = 0; n < count; n++) {
    const entry = splitJson({ kind: 'result', head: { n }, body })
    buffer.push(FRAME_CODES.result, 0, first + n, 0, entry)
  }
  return Buffer.from(buffer.waiting)
}

/** What a scanner says of a whole file: how many frames, how far they are vouched for, and what is wrong. */
function scanned(bytes: Buffer, from?: number): unknown {
  const { header, keys } = keysIn(bytes)
  const start = from === undefined ? { ...header, header: header.bytes } : { offset: from }
  const scanner = new BlockScanner(keys, start)
  let fed = from ?? SEALED_HEADER_BYTES
  let count = 0
  for (let isReleased = false; ; ) {
    const next = scanner.next()
    if (next === 'more') {
      const copied = bytes.copy(scanner.room(), 0, fed)
      if (copied === 0 && isReleased) {
        return { count, vouched: scanner.vouched, offset: scanner.offset, rest: scanner.rest }
      }
      isReleased = copied === 0
      if (isReleased) scanner.release()
      scanner.filled(copied)
      fed += copied
    } else if (next.what === 'damage') return { count, offset: next.offset, reason: next.reason }
    else count++
  }
}

test('a MAC comes by itself behind 64 KiB of blocks, whatever their sizes, and every writing gives whole blocks', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          bytes: fc.oneof(fc.nat(2000), fc.nat(200_000)),
          count: fc.integer({ min: 1, max: 3 }),
          what: fc.constantFrom('written', 'failed', 'authenticated'),
        }),
        { maxLength: 40 },
      ),
      (steps) => {
        const sealer = new BlockSealer(testKeys, random, of)
        const pieces: Buffer[] = [Buffer.from(sealer.seal(frames(1, 1, 0)))]
        sealer.written()
        let sequence = 2
        for (const { bytes, count, what } of steps) {
          const plain = frames(sequence, count, bytes)
          // What failed is not in the file, and gone on behind in another place of the keystream.
          if (what === 'failed') sealer.seal(plain)
          pieces.push(Buffer.from(sealer.seal(plain)))
          sealer.written()
          sequence += count
          if (what !== 'authenticated') continue
          sealer.authenticate()
          pieces.push(Buffer.from(sealer.authenticate() ?? ''))
          sealer.written()
          expect(sealer.authenticate()).toBe(undefined)
        }
        const open = Buffer.concat(pieces)
        const found = scanned(open)
        expect(found).toEqual(expect.objectContaining({ count: sequence - 1, offset: open.length, rest: 0 }))
        const whole = Buffer.concat([open, sealer.authenticate() ?? Buffer.alloc(0)])
        const { length } = whole
        expect(scanned(whole)).toEqual({ count: sequence - 1, vouched: length, offset: length, rest: 0 })
        // From each block on the same frames, though nothing vouches for them.
        const [middle = 0] = blockOffsets(whole).slice(steps.length / 2)
        expect(scanned(whole, middle)).toEqual(
          expect.objectContaining({ vouched: 0, offset: length, rest: 0 }),
        )
      },
    ),
    { numRuns: everyday ? 20 : 200 },
  )
})

test('more than 64 KiB of blocks without a MAC are not believed: so much and no more can be changed unnoticed', () => {
  const sealer = new BlockSealer(testKeys, random, of)
  const pieces = [Buffer.from(sealer.seal(frames(1, 1, 1000)))]
  for (let n = 2; n <= 100; n++) {
    sealer.written()
    pieces.push(Buffer.from(sealer.seal(frames(n, 1, 1000))))
  }
  const bytes = Buffer.concat(pieces)
  const at = macOffsets(bytes)
  expect(at).toHaveLength(1)
  const [mac = 0] = at
  expect(mac - SEALED_HEADER_BYTES).toBeGreaterThanOrEqual(SEGMENT_BYTES)
  expect(mac - SEALED_HEADER_BYTES).toBeLessThan(SEGMENT_BYTES + 2000)
  // Somebody takes the MAC out, so that the rest may be anything.
  const without = Buffer.concat([bytes.subarray(0, mac), bytes.subarray(mac + MAC_BLOCK_BYTES)])
  expect(scanned(without)).toEqual({
    count: blockOffsets(bytes).indexOf(mac),
    offset: mac,
    reason: 'a MAC is missing before the block',
  })
})

test('a place of the keystream that a block has used is not used by another one', () => {
  const sealer = new BlockSealer(testKeys, random, of)
  const first = Buffer.from(sealer.seal(frames(1, 1, 20)))
  sealer.written()
  const second = Buffer.from(sealer.seal(frames(2, 1, 20)))
  // As the first: what both are XORed with would be the same.
  const { keys } = keysIn(first)
  const into = new DataView(new ArrayBuffer(second.length))
  new Keystream(keys.cipher).encrypt(frames(2, 1, 20), into, BLOCK_HEADER_BYTES)
  second.set(new Uint8Array(into.buffer, BLOCK_HEADER_BYTES), BLOCK_HEADER_BYTES)
  second.fill(0, BLOCK.place, BLOCK_HEADER_BYTES)
  expect(scanned(Buffer.concat([first, second]))).toEqual({
    count: 1,
    offset: first.length,
    reason: 'the block is not in its place',
  })
})

test('a MAC that could not be written is written with what comes next, once', async () => {
  const journal = start()
  journal.append(undefined, adminEntry({ target: 'first' }))
  journal.flush()
  let failing = true
  files.fault = ({ name }) => {
    if (!failing || name !== 'write') return undefined
    return systemError('ENOSPC')
  }
  const told: unknown[] = []
  faultsTo = told
  clock.advance(1000)
  expect(told).toHaveLength(1)
  failing = false
  journal.append(undefined, adminEntry({ target: 'second' }))
  journal.flush()
  clock.advance(1000)
  expect(told).toHaveLength(1)
  const bytes = readFileSync(file(1))
  expect(macOffsets(bytes)).toHaveLength(3)
  expect(scanned(bytes)).toEqual({ count: 3, vouched: bytes.length, offset: bytes.length, rest: 0 })
  journal.close()
  expect(readFileSync(file(1)).equals(bytes)).toBe(true)
})

test('what has no MAC yet is told apart, and vouched for when its MAC has come', async () => {
  const journal = start()
  journal.append(undefined, adminEntry({ target: 'with' }))
  journal.flush()
  clock.advance(1000)
  journal.append(undefined, adminEntry({ target: 'without' }))
  journal.flush()
  const reading = new FileReading(file(1), testKeys, await open(file(1)))
  await reading.header()
  const given: unknown[] = []
  for await (const batch of reading.batches()) {
    for (const { frame } of batch) given.push([frame.sequence, frame.offset < reading.vouched])
  }
  expect(given).toEqual([
    [1, true],
    [2, true],
    [3, false],
  ])
  // Going on reading, it is vouched for as well when its MAC has come.
  clock.advance(1000)
  journal.append(undefined, adminEntry({ target: 'more' }))
  journal.flush()
  journal.close()
  for await (const batch of reading.batches()) {
    for (const { frame } of batch) given.push([frame.sequence, frame.offset < reading.vouched])
  }
  expect(given.at(-1)).toEqual([4, true])
  expect(reading.vouched).toBe(readFileSync(file(1)).length)
  // Salts come from the key of the file: the same for whoever reads it again.
  expect(reading.saltSecret).toHaveLength(32)
  expect(reading.saltSecret).toEqual(keysIn(readFileSync(file(1))).keys.salts())
  await reading.close()
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
    [[twos[0], twos[1], foreign, ...twos.slice(3)], 'what is behind here is not what its MAC was made of'],
    [[twos[0], twos[1], ...twos.slice(3)], /frame \d+ is missing before it/],
    [[twos[0], ...twos.slice(2)], 'what is behind here is not what its MAC was made of'],
    [[twos[2], twos[0], ...twos.slice(3)], /frame \d+ is missing before it/],
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
  const { header, keys } = keysIn(bytes)
  for (const size of [1, 7, 100, 1000, 5000]) {
    const scanner = new BlockScanner(keys, { ...header, header: header.bytes })
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

test('the keystream is that of AES-256-CTR from counter 0 on, whichever way and from wherever it is used', () => {
  const key = createSecretKey(Buffer.alloc(32, 7))
  const plain = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31) % 256))
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(20), fc.nat(3000), fc.integer({ min: 60_000, max: 200_000 })), {
        maxLength: 60,
      }),
      fc.nat(3),
      (sizes, shift) => {
        const stream = new Keystream(key)
        const reader = new KeystreamReader(key)
        let used = 0
        for (const size of sizes) {
          // Memory at any place, which is another way for those that no word begins at.
          const own = plain.subarray(shift, shift + size)
          const into = Buffer.alloc(size + 5, 1)
          const place = stream.encrypt(own, new DataView(into.buffer, into.byteOffset, into.length), 3)
          expect(place).toBeGreaterThanOrEqual(used)
          used = place + size
          const cipher = into.subarray(3, 3 + size)
          expect([into[2], into[3 + size]]).toEqual([1, 1])
          expect(reader.decrypt(cipher, place).equals(own)).toBe(true)
          expect(new KeystreamReader(key).decrypt(cipher, place).equals(own)).toBe(true)
          const counter = Buffer.alloc(16)
          counter.writeBigUInt64BE(BigInt(place) / 16n, 8)
          const plainly = createDecipheriv('aes-256-ctr', key, counter)
          plainly.update(Buffer.alloc(place % 16))
          expect(plainly.update(cipher).equals(own)).toBe(true)
        }
      },
    ),
    { numRuns: everyday ? 20 : 200 },
  )
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
