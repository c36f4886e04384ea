import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { everyday, fewer } from '../../../test/support/fewer.ts'
import type { Entry } from '../../core/index.ts'
import {
  adminEntry,
  closeEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { CHUNK_HEADER_BYTES, readChunkHeader } from './chunk.ts'
import { decodeSealedHeader, sealedHeaderBytes } from './file-header.ts'
import { leafOf, type Sha256 } from './public-part.ts'
import { entryIn, type ReadFrame, SealedReader } from './reader.ts'
import { withoutPayloads } from './remove.ts'
import { saltsUnder } from './salts.ts'
import { SealedWriter } from './writer.ts'

const sha256: Sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
/** How far apart the places are that are tried. */
const STEP = everyday ? 23 : 1
const SESSION = sessionId()
const KEY = Buffer.alloc(32, 7)
const SALTS = saltsUnder(Buffer.alloc(32, 9))

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-sealed-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function writer(key: Uint8Array = KEY): SealedWriter {
  return new SealedWriter({
    header: { session: SESSION, key: { id: 'k1', wrapped: 'AAAA' } },
    key,
    sha256,
    salt: SALTS,
  })
}

/** The bytes of a sealed file with these entries, numbered from 1. */
function sealed(entries: readonly Entry[]): { bytes: Buffer; leaves: string[] } {
  const to = writer()
  const pieces = [to.begin()]
  const leaves: string[] = []
  for (const [i, entry] of entries.entries()) {
    const { part, chunk } = to.add({ entry, sequence: i + 1, time: 1_767_225_600_000 + i })
    leaves.push(Buffer.from(leafOf(sha256, part)).toString('hex'))
    if (chunk !== undefined) pieces.push(chunk)
  }
  const last = to.finish()
  if (last !== undefined) pieces.push(last)
  return { bytes: Buffer.concat(pieces), leaves }
}

async function frames(bytes: Buffer, key?: Uint8Array): Promise<ReadFrame[]> {
  const path = join(directory, 'session.slr')
  writeFileSync(path, bytes)
  const file = await open(path, 'r')
  try {
    const reader = new SealedReader(path, file, sha256)
    const header = await reader.header()
    expect(header.session).toBe(SESSION)
    return await collect(reader.frames(header, key))
  } finally {
    await file.close()
  }
}

const leavesOf = (read: readonly ReadFrame[]): string[] =>
  read.map(({ bytes }) => Buffer.from(leafOf(sha256, bytes)).toString('hex'))

const MARK = 'marker@example.com'
const USUAL: readonly Entry[] = [
  openEntry(),
  intentEntry(1, {
    text: `SELECT '${MARK}'`,
    parameters: [Buffer.from(MARK).toString('base64'), null],
    readings: ['text'],
  }),
  { kind: 'hold', head: { n: 1, ticket: 'T-7K2M9Q0A', expiresAt: 1_767_225_600_000 } },
  {
    kind: 'answer',
    head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve', reason: MARK },
  },
  { kind: 'result', head: { n: 1 }, body: Buffer.from(`D${MARK}`) },
  { kind: 'notice', head: { n: 1, code: '01000', message: MARK } },
  outcomeEntry(1, {}, Buffer.from(MARK)),
  outcomeEntry(1),
  closeEntry(1),
]

describe('a sealed session file', () => {
  it('gives back every entry with the key', async () => {
    const { bytes, leaves } = sealed(USUAL)
    const read = await frames(bytes, KEY)
    expect(read.map(entryIn)).toEqual(USUAL)
    expect(read.map(({ part }) => part.sequence)).toEqual(USUAL.map((_, i) => i + 1))
    expect(leavesOf(read)).toEqual(leaves)
  })

  it('shows nothing of a payload without the key, and everything that a proof needs', async () => {
    const { bytes, leaves } = sealed(USUAL)
    for (const form of [MARK, Buffer.from(MARK).toString('base64')]) expect(bytes.includes(form)).toBe(false)
    const read = await frames(bytes)
    expect(leavesOf(read)).toEqual(leaves)
    for (const { payloads } of read) for (const { stored } of payloads) expect(stored).toBe('locked')
    expect(JSON.stringify(read.map(({ part }) => part.head))).not.toContain(MARK)
  })

  it('loses a payload and keeps the proof', async () => {
    const { bytes, leaves } = sealed(USUAL)
    const path = join(directory, 'session.slr')
    writeFileSync(path, bytes)
    const file = await open(path, 'r')
    const reader = new SealedReader(path, file, sha256)
    const other = Buffer.alloc(32, 8)
    const again = await collect(
      withoutPayloads(
        reader.frames(await reader.header(), KEY),
        writer(other),
        ({ part: { kind } }) => kind !== 'notice',
      ),
    )
    await file.close()
    const read = await frames(Buffer.concat(again), other)
    expect(leavesOf(read)).toEqual(leaves)
    expect(read.flatMap(({ payloads }) => payloads.map(({ stored }) => typeof stored === 'string'))).toEqual([
      true,
      true,
      true,
      true,
      false,
      true,
    ])
    expect(read.map(entryIn).map(({ kind }) => kind)).toEqual(USUAL.map(({ kind }) => kind))
    expect(read.map(entryIn)[5]).toEqual(USUAL[5])
    // With nothing kept the old salts are nowhere.
    const salt = Buffer.from(SALTS(2, 0))
    expect(JSON.stringify(read.map(({ payloads }) => payloads))).not.toContain(salt.toJSON().data.join(','))
  })

  it('is many chunks when it is long, and one frame may be longer than a chunk', async () => {
    const long: Entry[] = [openEntry()]
    for (let n = 1; n <= 300; n++) {
      long.push(intentEntry(n, { text: `SELECT ${'x'.repeat(n * 10)}` }))
      long.push(outcomeEntry(n, {}, randomBytes(n === 150 ? 2_000_000 : 3_000)))
    }
    const { bytes, leaves } = sealed(long)
    const read = await frames(bytes, KEY)
    expect(read.map(entryIn)).toEqual(long)
    expect(leavesOf(read)).toEqual(leaves)
  })

  it('is refused with another key, under another name, or with a byte changed anywhere', async () => {
    const { bytes } = sealed(USUAL)
    await expect(frames(bytes, Buffer.alloc(32, 1))).rejects.toThrow(/cannot be decrypted/)
    for (let at = 0; at < bytes.length; at += STEP) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      await expect(frames(changed, KEY), `byte ${at}`).rejects.toThrow(
        /The recording is damaged: session\.slr/,
      )
    }
  }, 60_000)

  it('is refused when somebody who makes the checksums right has changed a byte behind them', async () => {
    const { bytes } = sealed(USUAL)
    const start = sealedHeaderBytes(bytes)
    for (let at = start + 8; at < bytes.length; at += STEP) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 0x40
      changed.writeUInt32LE(crc32(changed.subarray(start + 8)), start + 4)
      await expect(frames(changed, KEY), `byte ${at}`).rejects.toThrow(/damaged/)
    }
  }, 60_000)

  it('is refused where it ends too early, and asks for no memory that it does not fill', async () => {
    const { bytes } = sealed(USUAL)
    const start = sealedHeaderBytes(bytes)
    for (const length of [0, 7, 15, start - 1, start + 1, start + CHUNK_HEADER_BYTES, bytes.length - 1])
      await expect(frames(bytes.subarray(0, length), KEY), String(length)).rejects.toThrow(/damaged/)
    const huge = Buffer.from(bytes)
    huge.writeUInt32LE(140 * 1024 * 1024, start + 16)
    await expect(frames(huge, KEY)).rejects.toThrow(/ends inside a chunk/)
  })

  it('is refused with its chunks in another order, twice, or from another session', async () => {
    const long = Array.from({ length: 400 }, (_, n) => outcomeEntry(n, {}, randomBytes(3_000)))
    const { bytes } = sealed(long)
    const start = sealedHeaderBytes(bytes)
    const chunks: Buffer[] = []
    for (let at = start; at < bytes.length; ) {
      const header = readChunkHeader(bytes.subarray(at))
      const end = at + CHUNK_HEADER_BYTES + header.publicStored + header.privateStored
      chunks.push(bytes.subarray(at, end))
      at = end
    }
    expect(chunks.length).toBeGreaterThan(3)
    const [one, two, ...rest] = chunks as [Buffer, Buffer, ...Buffer[]]
    const head = bytes.subarray(0, start)
    for (const order of [
      [two, one, ...rest],
      [one, one, two, ...rest],
      [one, ...rest],
    ])
      await expect(frames(Buffer.concat([head, ...order]), KEY)).rejects.toThrow(/in its place/)
    const other = Buffer.from(
      Buffer.concat([head, ...chunks])
        .toString('latin1')
        .replace(SESSION, sessionId()),
      'latin1',
    )
    other.writeUInt32LE(crc32(other.subarray(12, start)), 8)
    expect(decodeSealedHeader(other.subarray(0, start)).session).not.toBe(SESSION)
    const path = join(directory, 'other.slr')
    writeFileSync(path, other)
    const file = await open(path, 'r')
    const reader = new SealedReader(path, file, sha256)
    await expect(collect(reader.frames(await reader.header(), KEY))).rejects.toThrow(/cannot be decrypted/)
    await file.close()
    expect(readFileSync(path)).toEqual(other)
  })

  it('gives back any entries (P-06)', async () => {
    const text = fc.string({ unit: 'grapheme' })
    const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
    const entry: fc.Arbitrary<Entry> = fc.oneof(
      fc
        .tuple(fc.nat(), text, fc.option(fc.array(fc.option(text)), { nil: undefined }))
        .map(([n, sql, parameters]) =>
          intentEntry(n, { text: sql, ...(parameters === undefined ? {} : { parameters }) }),
        ),
      fc
        .tuple(fc.nat(), body)
        .map(([n, bytes]) => outcomeEntry(n, {}, bytes.length === 0 ? undefined : bytes)),
      fc.tuple(fc.nat(), body).map(([n, bytes]): Entry => ({ kind: 'result', head: { n }, body: bytes })),
      fc
        .tuple(fc.nat(), text)
        .map(([n, message]): Entry => ({ kind: 'notice', head: { n, code: 'X', message } })),
      text.map((target) => adminEntry({ target })),
      fc.nat().map((n) => closeEntry(n)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 30 }), async (entries) => {
        const { bytes, leaves } = sealed(entries)
        const read = await frames(bytes, KEY)
        expect(read.map(entryIn)).toEqual(entries)
        expect(leavesOf(read)).toEqual(leaves)
      }),
      { numRuns: fewer(200) },
    )
  })

  it('says in public what is known, and in payloads what only the client says (P-06)', async () => {
    const entry = intentEntry(1, {
      text: 'x',
      decision: 'deny',
      reason: `Name a column that exists: ${MARK}`,
      reads: [MARK, 'public.t'],
      writes: ['public.u', `z.${MARK}`],
      typed: [MARK, `z.${MARK}`],
      basis: { policy: 'v1', configuration: 'a', names: { path: [MARK], pathNow: [MARK] } },
    })
    const { bytes } = sealed([openEntry(), entry])
    const [, locked] = await frames(bytes)
    expect(JSON.stringify(locked?.part.head)).not.toContain(MARK)
    expect(locked?.part.head).toMatchObject({ reads: ['public.t'], writes: ['public.u'] })
    const [, whole] = await frames(bytes, KEY)
    expect(whole && entryIn(whole)).toEqual(entry)
    // With both erased, what is known is left.
    const path = join(directory, 'session.slr')
    const file = await open(path, 'r')
    const reader = new SealedReader(path, file, sha256)
    const other = Buffer.alloc(32, 8)
    const without = withoutPayloads(
      reader.frames(await reader.header(), KEY),
      writer(other),
      ({ name }) => name === 'reason' || name === 'names',
    )
    const again = Buffer.concat(await collect(without))
    await file.close()
    const [, left] = await frames(again, other)
    expect(left && entryIn(left).head).toMatchObject({ reads: ['public.t'], writes: ['public.u'], text: 'x' })
    expect(left && JSON.stringify(entryIn(left))).not.toContain(MARK)
  })
})
