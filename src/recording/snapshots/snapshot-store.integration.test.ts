import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../testing/fake-clock.ts'
import { memoryDirectory } from '../../testing/faulty-files.ts'
import { keysOf, random, testKeys } from '../../testing/recording-keys.ts'
import { snapshotFile, snapshotsDirectory } from '../files/names.ts'
import { readSnapshot, type SnapshotLimits, SnapshotStore } from './snapshot-store.ts'

const DAY = 24 * 60 * 60 * 1000
const TEXT = 'CREATE TABLE customers (email text)'
let directory: string
let clock: FakeClock
let faults: unknown[]

beforeEach(() => {
  directory = mkdtempSync(join(memoryDirectory(), 'sluice-snapshots-'))
  clock = new FakeClock()
  faults = []
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function store(limits?: SnapshotLimits): SnapshotStore {
  const onFault = (error: unknown): void => void faults.push(error)
  return new SnapshotStore({
    directory,
    keys: testKeys,
    clock,
    random,
    onFault,
    ...(limits === undefined ? {} : { limits }),
  })
}

const files = (): string[] => readdirSync(snapshotsDirectory(directory))

describe('a snapshot', () => {
  it('is read again by the SHA-256 of its text, and lies there once and encrypted', async () => {
    const snapshots = store()
    const [address, again] = await Promise.all([snapshots.keep(TEXT), snapshots.keep(TEXT)])
    expect(address).toBe(createHash('sha256').update(TEXT).digest('hex'))
    expect(again).toBe(address)
    expect(files()).toEqual([`${address}.sls`])
    expect(await readSnapshot(directory, testKeys, address)).toBe(TEXT)
    const bytes = readFileSync(snapshotFile(directory, address))
    expect(bytes.toString('latin1', 0, 8)).toBe('SLUICES1')
    expect(bytes.includes('customers')).toBe(false)
    expect(faults).toEqual([])
  })

  it('is nothing where there is none, or where an address is none', async () => {
    expect(await readSnapshot(directory, testKeys, 'a'.repeat(64))).toBeUndefined()
    expect(await readSnapshot(directory, testKeys, '../../etc/passwd')).toBeUndefined()
  })

  it('is damaged when any byte of it is another, when it is cut off, and under the name of another', async () => {
    const address = await store().keep(TEXT)
    const path = snapshotFile(directory, address)
    const bytes = readFileSync(path)
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      writeFileSync(path, changed)
      await expect(readSnapshot(directory, testKeys, address), `byte ${at}`).rejects.toMatchObject({
        code: 'invalid',
      })
    }
    for (const length of [0, 8, 75, 91, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length))
      await expect(readSnapshot(directory, testKeys, address)).rejects.toMatchObject({ code: 'invalid' })
    }
    const other = 'b'.repeat(64)
    writeFileSync(snapshotFile(directory, other), bytes)
    await expect(readSnapshot(directory, testKeys, other)).rejects.toThrow('not what its name says')
  })

  it('tells which key it needs', async () => {
    const address = await store().keep(TEXT)
    const others = keysOf(Buffer.alloc(32, 9))
    await expect(readSnapshot(directory, others, address)).rejects.toThrow(testKeys[0].id)
  })

  it('is not kept beyond a limit: that is reported once, and its address leads nowhere', async () => {
    const snapshots = store({ textBytes: 100, files: 2, bytes: 1_000 })
    const long = await snapshots.keep('x'.repeat(101))
    expect(long).toMatch(/^[0-9a-f]{64}$/)
    expect(faults).toMatchObject([{ code: 'limit_exceeded' }])
    expect(await readSnapshot(directory, testKeys, long)).toBeUndefined()
    const one = await snapshots.keep('one')
    await snapshots.keep('two')
    const three = await snapshots.keep('three')
    await snapshots.keep('four')
    expect(faults).toHaveLength(2)
    expect(await readSnapshot(directory, testKeys, three)).toBeUndefined()
    // There is room again.
    snapshots.release(one)
    expect(await snapshots.sweep(clock.now() + 10 * DAY)).toBe(1)
    await snapshots.keep('three')
    expect(await readSnapshot(directory, testKeys, three)).toBe('three')
    expect(faults).toHaveLength(2)
  })

  it('does not keep the gateway when the disk does not take it', async () => {
    writeFileSync(snapshotsDirectory(directory), 'in the way')
    const address = await store().keep(TEXT)
    expect(address).toMatch(/^[0-9a-f]{64}$/)
    expect(faults).toHaveLength(1)
  })
})

describe('what no recording needs', () => {
  it('goes, a day later than it was last in use', async () => {
    const snapshots = store()
    const address = await snapshots.keep(TEXT)
    snapshots.release(address)
    const recorded = clock.now()
    expect(await snapshots.sweep(recorded + DAY)).toBe(0)
    expect(await snapshots.sweep(recorded + DAY + 1)).toBe(1)
    expect(files()).toEqual([])
  })

  it('stays while it is in use, by however many, and counts as in use until the last has gone', async () => {
    const snapshots = store()
    const address = await snapshots.keep(TEXT)
    await snapshots.keep(TEXT)
    clock.advance(10 * DAY)
    snapshots.release(address)
    expect(await snapshots.sweep(clock.now() + 5 * DAY)).toBe(0)
    clock.advance(10 * DAY)
    const until = clock.now()
    snapshots.release(address)
    clock.advance(10 * DAY)
    // A recording from just before the end may name it.
    expect(await snapshots.sweep(until)).toBe(0)
    expect(existsSync(snapshotFile(directory, address))).toBe(true)
    expect(await snapshots.sweep(until + 2 * DAY)).toBe(1)
  })

  it('is in use again when it is kept again, also by another process', async () => {
    const address = await store().keep(TEXT)
    clock.advance(10 * DAY)
    const begun = clock.now()
    const second = store()
    await second.keep(TEXT)
    second.release(address)
    expect(await store().sweep(begun)).toBe(0)
    expect(await store().sweep(begun + 2 * DAY)).toBe(1)
  })

  it('is not what lies there beside: other files are left alone', async () => {
    await store().keep(TEXT)
    writeFileSync(join(snapshotsDirectory(directory), 'notes.txt'), 'mine')
    await store().sweep(clock.now() + 10 * DAY)
    expect(files()).toEqual(['notes.txt'])
  })
})
