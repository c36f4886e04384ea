import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import { logStorageContract } from '../../testing/log-storage-contract.ts'
import { MemoryLogStorage } from '../../testing/memory-log-storage.ts'
import {
  CompactRange,
  cosign,
  formatNote,
  formatSignerKey,
  LogReader,
  LogWriter,
  nodeEd25519,
  nodeSha256,
  openCheckpoint,
  parseNote,
  parseSignerKey,
  treeHasher,
  verifyConsistency,
  verifyInclusion,
} from '../index.ts'

const hasher = treeHasher(nodeSha256)
const keyOf = (seed: number, type: 'note' | 'cosignature' = 'note', name = 'gateway.example/log') => {
  const text = formatSignerKey(nodeSha256, nodeEd25519, name, new Uint8Array(32).fill(seed))
  return parseSignerKey(nodeSha256, nodeEd25519, text, type)
}
const signer = keyOf(1)
const origin = signer.key.name
const entryOf = (n: number, length = 12): Uint8Array =>
  new Uint8Array(Buffer.from(`entry ${n}`.padEnd(length, '.')))
const entriesOf = (from: number, to: number): Uint8Array[] =>
  Array.from({ length: to - from }, (_, i) => entryOf(from + i))

function open(storage: MemoryLogStorage, changes: Partial<Parameters<typeof LogWriter.open>[0]> = {}) {
  return LogWriter.open({ storage, sha256: nodeSha256, ed25519: nodeEd25519, origin, signer, ...changes })
}

function rootOf(entries: readonly Uint8Array[]): string {
  const range = new CompactRange(hasher)
  for (const entry of entries) range.append(hasher.leaf(entry))
  return Buffer.from(range.root()).toString('hex')
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

async function allEntries(storage: MemoryLogStorage, size: number): Promise<string[]> {
  const reader = new LogReader(storage, hasher, size)
  const all: string[] = []
  for (let i = 0; i * 256 < size; i++)
    all.push(...(await reader.entries(i)).map((entry) => Buffer.from(entry).toString()))
  return all
}

logStorageContract('the twin in memory', async () => new MemoryLogStorage())

describe('a log', () => {
  it('has the tiles that a log of 70,000 entries must have, and no parts of full ones', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    for (let from = 0; from < 70_000; from += 10_000)
      await writer.append(Array.from({ length: 10_000 }, (_, i) => Buffer.from(String(from + i))))
    const paths = [...storage.pieces.keys()]
    const count = (pattern: RegExp): number => paths.filter((path) => pattern.test(path)).length
    expect(count(/^tile\/0\/\d+$/)).toBe(273)
    expect(count(/^tile\/entries\/\d+$/)).toBe(273)
    expect(count(/^tile\/1\/\d+$/)).toBe(1)
    for (const path of ['tile/0/273.p/112', 'tile/entries/273.p/112', 'tile/1/001.p/17', 'tile/2/000.p/1'])
      expect(storage.pieces.get(path), path).toBeDefined()
    expect(paths.filter((path) => path.startsWith('tile/0/') && path.includes('.p/'))).toEqual([
      'tile/0/273.p/112',
    ])
    expect(storage.pieces.get('tile/0/000')).toHaveLength(8_192)
    const reader = writer.reader()
    expect(hex(await reader.root())).toBe(hex(writer.head!.root))
    for (const index of [0, 255, 256, 65_535, 65_536, 69_999]) {
      const leaf = hasher.leaf(Buffer.from(String(index)))
      const proof = await reader.inclusionProof(index)
      const { root } = writer.head!
      expect(verifyInclusion(hasher, { index, size: 70_000, leaf, root, proof })).toBe(true)
      expect(Buffer.from(await reader.entry(index)).toString()).toBe(String(index))
    }
    await expect(reader.entry(70_000)).rejects.toThrow('no entry')
  })

  it('proves each entry and each earlier size from its tiles, however it grew (P-06)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 5 }),
        async (batches) => {
          const storage = new MemoryLogStorage()
          const heads: { readonly size: number; readonly root: Uint8Array }[] = []
          let writer = await open(storage)
          let size = 0
          for (const count of batches) {
            heads.push(await writer.append(entriesOf(size, size + count)))
            size += count
            expect(hex(heads.at(-1)!.root)).toBe(rootOf(entriesOf(0, size)))
            if (count % 2 === 0) writer = await open(storage)
          }
          const { root } = heads.at(-1)!
          const reader = new LogReader(storage, hasher, size)
          for (const old of heads) {
            const proof = await reader.consistencyProof(old.size)
            const claim = { oldSize: old.size, size, oldRoot: old.root, root, proof }
            expect(verifyConsistency(hasher, claim)).toBe(true)
          }
          for (let index = 0; index < size; index += 37) {
            const leaf = hasher.leaf(await reader.entry(index))
            const proof = await reader.inclusionProof(index)
            expect(verifyInclusion(hasher, { index, size, leaf, root, proof })).toBe(true)
          }
        },
      ),
      { numRuns: 6 },
    )
  })

  it('may be read at an earlier size when the parts of that time are gone', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    const early = await writer.append(entriesOf(0, 100))
    await writer.append(entriesOf(100, 600))
    expect(storage.pieces.has('tile/0/000.p/100')).toBe(false)
    const reader = new LogReader(storage, hasher, 100)
    expect(hex(await reader.root())).toBe(hex(early.root))
    expect(await allEntries(storage, 100)).toHaveLength(100)
  })

  it('signs the empty log, and nothing further where nothing is appended', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    expect(writer.head).toBeUndefined()
    expect(await writer.append([])).toMatchObject({ size: 0, root: hasher.empty })
    await writer.append(entriesOf(0, 3))
    const { steps } = storage
    expect(await writer.append([])).toBe(writer.head)
    expect(storage.steps).toBe(steps)
    expect((await open(storage)).head?.size).toBe(3)
  })

  it('appends what comes at the same time one behind the other', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    const heads = await Promise.all([0, 1, 2, 3].map((i) => writer.append(entriesOf(i * 10, i * 10 + 10))))
    expect(heads.map(({ size }) => size)).toEqual([10, 20, 30, 40])
    expect(hex(heads[3]!.root)).toBe(rootOf(entriesOf(0, 40)))
  })

  it('refuses a batch over its limits with nothing appended', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    const limit = { code: 'limit_exceeded' }
    await expect(writer.append([entryOf(0, LIMITS.logEntryBytesMax + 1)])).rejects.toMatchObject(limit)
    const many = Array.from({ length: LIMITS.logBatchEntriesMax + 1 }, () => entryOf(0))
    await expect(writer.append(many)).rejects.toMatchObject(limit)
    const large = Array.from({ length: 300 }, () => entryOf(0, 60_000))
    await expect(writer.append(large)).rejects.toMatchObject(limit)
    expect(storage.pieces.size).toBe(0)
    expect(await writer.append([entryOf(0, LIMITS.logEntryBytesMax)])).toMatchObject({ size: 1 })
  })
})

describe('a log whose writer is killed', () => {
  const FIRST = 250
  const BATCH = 300

  it('goes on at every step without contradicting what was published (P-07)', async () => {
    const base = new MemoryLogStorage()
    await (await open(base)).append(entriesOf(0, FIRST))
    const dry = copyOf(base)
    await (await open(dry)).append(entriesOf(FIRST, FIRST + BATCH))
    expect(dry.steps).toBeGreaterThan(6)
    let kept = 0
    for (let at = 1; at <= dry.steps; at++) {
      for (const when of ['before', 'after'] as const) {
        const storage = copyOf(base)
        storage.fault = ({ count }) => (count === at ? when : undefined)
        const writer = await open(storage)
        const failed = await writer.append(entriesOf(FIRST, FIRST + BATCH)).then(
          () => false,
          () => true,
        )
        expect(failed).toBe(true)
        const published = new Map(storage.pieces)
        storage.fault = () => undefined
        // The process is gone; the next one knows only what is stored, and what it appends differs.
        const next = await open(storage)
        const size = next.head!.size
        expect([FIRST, FIRST + BATCH]).toContain(size)
        if (size > FIRST) kept += 1
        const other = entriesOf(10_000, 10_000 + BATCH)
        const head = await next.append(other)
        const all = [...entriesOf(0, size), ...other]
        expect(hex(head.root)).toBe(rootOf(all))
        expect(await allEntries(storage, head.size)).toEqual(all.map((each) => Buffer.from(each).toString()))
        for (const [path, bytes] of published) {
          if (!path.startsWith('tile/') || !storage.pieces.has(path)) continue
          expect(hex(storage.pieces.get(path)!), path).toBe(hex(bytes))
        }
      }
    }
    expect(kept).toBeGreaterThan(dry.steps)
  })

  it('goes on in the same process as well, with what it was handed first', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    await writer.append(entriesOf(0, FIRST))
    for (const at of [1, 2, 3, 4, 5]) {
      const first = storage.steps + at
      storage.fault = ({ count }) => (count >= first && count < first + 3 ? 'before' : undefined)
      const { size } = writer.head!
      await expect(writer.append(entriesOf(size, size + 7))).rejects.toThrow('made by a test')
      await expect(writer.finish()).rejects.toThrow('made by a test')
      storage.fault = () => undefined
      expect(await writer.append(entriesOf(size + 7, size + 9))).toMatchObject({ size: size + 9 })
      expect(hex(writer.head!.root)).toBe(rootOf(entriesOf(0, size + 9)))
    }
  })
})

describe('a log that was tampered with', () => {
  async function written(): Promise<MemoryLogStorage> {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    await writer.append(entriesOf(0, 300))
    await writer.append(entriesOf(300, 310))
    return storage
  }

  it.each([
    'tile/0/000',
    'tile/0/001.p/54',
    'tile/entries/001.p/54',
    'tile/1/000.p/1',
    'checkpoint',
    'staged',
  ])('is not appended to where %s was changed (P-06)', async (path) => {
    const whole = await written()
    await expect(open(copyOf(whole))).resolves.toBeDefined()
    const bytes = whole.pieces.get(path)!
    for (const at of [0, 5, bytes.length >> 1, bytes.length - 1]) {
      const storage = copyOf(whole)
      storage.pieces.set(path, bytes.with(at, bytes[at]! ^ 1))
      // What the full tile of level 0 says of itself is one hash of level 1, from which the root is made.
      if (path === 'tile/0/000') {
        const reader = new LogReader(storage, hasher, 310)
        const index = Math.floor(at / 32)
        const claim = { index, size: 310, leaf: hasher.leaf(entryOf(index)), root: await reader.root() }
        const other = { ...claim, index: 200, leaf: hasher.leaf(entryOf(200)) }
        expect(verifyInclusion(hasher, { ...other, proof: await reader.inclusionProof(200) })).toBe(false)
        continue
      }
      await expect(open(storage), `byte ${at}`).rejects.toMatchObject({ code: /conflict|denied|invalid/ })
    }
  })

  it.each(['tile/0/001.p/54', 'tile/entries/001.p/54', 'tile/1/000.p/1', 'staged'])(
    'is not appended to where %s is gone',
    async (path) => {
      const storage = await written()
      storage.pieces.delete(path)
      await expect(open(storage)).rejects.toMatchObject({ code: /not_found|conflict/ })
    },
  )

  it('is not forked where its head was put back', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    await writer.append(entriesOf(0, 10))
    const old = ['checkpoint', 'staged'].map((path) => [path, storage.pieces.get(path)!] as const)
    await writer.append(entriesOf(10, 12))
    for (const [path, bytes] of old) storage.pieces.set(path, bytes)
    const alone = copyOf(storage)
    const again = await open(storage)
    await expect(again.append(entriesOf(50, 52))).rejects.toMatchObject({ code: 'conflict' })
    alone.pieces.set('checkpoint', writer.head!.signed)
    await expect(open(alone)).rejects.toMatchObject({ code: 'conflict' })
  })

  it('is not signed by two writers', async () => {
    const storage = await written()
    const [one, two] = [await open(storage), await open(storage)]
    await one.append(entriesOf(310, 315))
    await expect(two.append(entriesOf(310, 317))).rejects.toMatchObject({ code: 'conflict' })
    expect((await one.append(entriesOf(315, 316))).size).toBe(316)
  })

  it('is opened by the keys it was signed with, and no others', async () => {
    const storage = await written()
    const next = keyOf(2)
    await expect(open(storage, { signer: next })).rejects.toMatchObject({ code: 'denied' })
    const rotated = await open(storage, { signer: next, earlierKeys: [signer.key] })
    const { signed } = await rotated.append(entriesOf(310, 311))
    const known = { origin, logKeys: [next.key] }
    expect((await openCheckpoint(nodeEd25519, signed, known)).checkpoint.size).toBe(311)
  })
})

describe('cosigned checkpoints', () => {
  const witness = keyOf(9, 'cosignature', 'w.example')
  const cosigned = async (signed: Uint8Array): Promise<Uint8Array> => {
    const note = parseNote(signed)
    const signatures = [...note.signatures, await cosign(witness, note.text, 1_000)]
    return new Uint8Array(Buffer.from(formatNote({ ...note, signatures })))
  }

  it('are kept for readers, the newest only, and the log goes on', async () => {
    const storage = new MemoryLogStorage()
    const writer = await open(storage)
    const first = await cosigned((await writer.append(entriesOf(0, 5))).signed)
    await writer.keepCosigned(first)
    expect(storage.pieces.get('checkpoint')).toEqual(first)
    const second = await cosigned((await writer.append(entriesOf(5, 8))).signed)
    expect(storage.pieces.get('checkpoint.cosigned')).toEqual(first)
    const third = (await writer.append(entriesOf(8, 9))).signed
    await writer.keepCosigned(second)
    await writer.keepCosigned(first)
    expect(storage.pieces.get('checkpoint.cosigned')).toEqual(second)
    expect(storage.pieces.get('checkpoint')).toEqual(third)
    expect((await (await open(storage)).append(entriesOf(9, 10))).size).toBe(10)
  })

  it('are of this log, and of what is in it', async () => {
    const writer = await open(new MemoryLogStorage())
    await writer.append(entriesOf(0, 5))
    const other = await open(new MemoryLogStorage())
    const fork = await cosigned((await other.append(entriesOf(100, 105))).signed)
    const ahead = await cosigned((await other.append(entriesOf(105, 106))).signed)
    for (const each of [fork, ahead])
      await expect(writer.keepCosigned(each)).rejects.toMatchObject({ code: 'conflict' })
    const stranger = await open(new MemoryLogStorage(), { signer: keyOf(3) })
    const foreign = (await stranger.append(entriesOf(0, 5))).signed
    await expect(writer.keepCosigned(foreign)).rejects.toMatchObject({ code: 'denied' })
  })
})

function copyOf(storage: MemoryLogStorage): MemoryLogStorage {
  const copy = new MemoryLogStorage()
  for (const [path, bytes] of storage.pieces) copy.pieces.set(path, bytes)
  return copy
}
