import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { seed, tally, times } from '../../../test/support/proof.ts'
import { isGatewayError } from '../../core/index.ts'
import {
  adminEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { type Fault, FaultyFiles, type FileCall, systemError } from '../../testing/faulty-files.ts'
import { MAC_BLOCK_BYTES } from '../files/format.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { type RecordedEntry, readJournal } from '../reading/reader.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'

let directory: string
let files: FaultyFiles
let clock: FakeClock
let faults: unknown[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-journal-'))
  files = new FaultyFiles()
  clock = new FakeClock()
  faults = []
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function start(fileBytesMax = 1024 * 1024): FileJournal {
  return openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files,
    fileBytesMax,
    onFault: (error) => faults.push(error),
  })
}

function only(name: FileCall['name'], fault: Fault): (call: FileCall) => Fault {
  return (call) => (call.name === name ? fault : undefined)
}

function failsWith(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return isGatewayError(error) ? error.code : String(error)
  }
}

/** Entries without a torn tail anywhere: reading must not meet one. */
async function all(): Promise<RecordedEntry[]> {
  return await collect(
    readJournal(directory, testKeys, {
      onTornTail: (tail) => {
        throw new Error(`torn at ${tail.offset}`)
      },
    }),
  )
}

const targets = (entries: readonly RecordedEntry[]): (string | undefined)[] =>
  entries.map(({ entry }) => (entry.kind === 'admin' ? (entry.head.target ?? entry.head.action) : entry.kind))

for (const code of ['ENOSPC', 'EIO', 'EDQUOT', 'EFBIG']) {
  test(`a write that fails with ${code} refuses, leaves whole frames, and is made up for when the fault is gone (P-04)`, async () => {
    const journal = start()
    journal.append(undefined, adminEntry({ target: 'before' }))
    journal.flush()
    files.fault = only('write', systemError(code))
    for (const target of ['first', 'second']) {
      journal.append(undefined, adminEntry({ target }))
      expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
    }
    expect(targets(await all())).toEqual(['before'])
    files.fault = () => undefined
    clock.advance(5000)
    journal.flush()
    const read = await all()
    expect(targets(read)).toEqual(['before', 'first', 'second', 'journal.recovered'])
    expect(read.at(-1)?.entry).toEqual({
      kind: 'admin',
      head: {
        action: 'journal.recovered',
        by: 'gateway',
        details: {
          failedWrites: 2,
          since: clock.now() - 5000,
          fromSequence: read[1]?.sequence,
          toSequence: read[2]?.sequence,
        },
      },
    })
  })
}

test('a write cut short goes on; one cut short by a full disk is taken back', async () => {
  const journal = start()
  let calls = 0
  files.fault = ({ name }) => (name === 'write' ? { short: 7 } : undefined)
  journal.append(undefined, adminEntry({ target: 'in pieces' }))
  journal.flush()
  files.fault = ({ name }) =>
    name !== 'write' ? undefined : ++calls === 1 ? { short: 9 } : systemError('ENOSPC')
  journal.append(undefined, adminEntry({ target: 'torn' }))
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  expect(targets(await all())).toEqual(['in pieces'])
  files.fault = () => undefined
  journal.flush()
  expect(targets(await all())).toEqual(['in pieces', 'torn', 'journal.recovered'])
})

test('a broken handle whose close fails as well is not used again', async () => {
  const journal = start()
  const once = new Set<FileCall['name']>(['write', 'size', 'close'])
  files.fault = ({ name }) => (once.delete(name) ? systemError('EIO') : undefined)
  journal.append(undefined, adminEntry({ target: 'kept' }))
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  expect(once.size).toBe(0)
  journal.flush()
  expect(targets(await all())).toEqual(['kept', 'journal.recovered'])
})

test('an interrupted write is tried again, but not for ever', async () => {
  const journal = start()
  let left = 3
  files.fault = ({ name }) =>
    name === 'write' && left-- > 0 ? systemError(left % 2 ? 'EINTR' : 'EAGAIN') : undefined
  journal.append(undefined, adminEntry({ target: 'late' }))
  journal.flush()
  files.fault = only('write', systemError('EAGAIN'))
  journal.append(undefined, adminEntry())
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  files.fault = only('write', { short: 0 })
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  expect(targets(await all())).toEqual(['late'])
})

test('when even cutting back fails, nothing is written behind the torn frame', async () => {
  const journal = start()
  let calls = 0
  files.fault = ({ name }) => {
    if (name === 'write') return ++calls === 1 ? { short: 20 } : systemError('EIO')
    return name === 'truncate' ? systemError('EIO') : undefined
  }
  journal.append(undefined, adminEntry({ target: 'one' }))
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  // The fault of the write is gone, that of cutting back is not.
  files.fault = only('truncate', systemError('EIO'))
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  const torn: unknown[] = []
  expect(await collect(readJournal(directory, testKeys, { onTornTail: (tail) => torn.push(tail) }))).toEqual(
    [],
  )
  expect(torn).toHaveLength(1)
  files.fault = () => undefined
  journal.flush()
  expect(targets(await all())).toEqual(['one', 'journal.recovered'])
})

test('a handle that is of no use any more is replaced', async () => {
  const journal = start()
  let broken = true
  files.fault = ({ name }) => {
    if (name === 'open') broken = false
    return broken && (name === 'write' || name === 'truncate') ? systemError('EBADF') : undefined
  }
  journal.append(undefined, adminEntry({ target: 'one' }))
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  journal.flush()
  expect(targets(await all())).toEqual(['one', 'journal.recovered'])
})

test('a file that somebody cut short is not written on', () => {
  const journal = start()
  journal.append(undefined, adminEntry({ target: 'gone' }))
  journal.flush()
  truncateSync(join(directory, 'journal', '00000001.slj'), 40)
  files.fault = only('write', systemError('EIO'))
  journal.append(undefined, adminEntry())
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  files.fault = () => undefined
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  expect(statSync(join(directory, 'journal', '00000001.slj')).size).toBe(40)
})

test('a file that somebody removes is put back, with all that was in it', async () => {
  const journal = start()
  const session = sessionId()
  journal.append(session, openEntry())
  for (let n = 1; n <= 100; n++) {
    journal.append(session, intentEntry(n))
    journal.flush()
  }
  const before = await all()
  rmSync(join(directory, 'journal'), { recursive: true })
  // Found within a second; what was written in between is in the file that is put back.
  journal.append(session, intentEntry(101))
  journal.flush()
  clock.advance(1000)
  files.fault = ({ name, path }) =>
    name === 'open' && path?.endsWith('.slj') ? systemError('EROFS') : undefined
  journal.append(session, intentEntry(102))
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  files.fault = () => undefined
  journal.flush()
  const read = await all()
  expect(read.slice(0, before.length)).toEqual(before)
  expect(targets(read.slice(before.length))).toEqual([
    'intent',
    'intent',
    '00000001.slj',
    'journal.recovered',
  ])
  expect(read.at(-2)?.entry).toMatchObject({ head: { action: 'journal.restored' } })
  journal.close()
  expect(start().sessionsRepaired).toEqual([session])
})

test('where another file has taken its place nothing is written', () => {
  const journal = start()
  const path = join(directory, 'journal', '00000001.slj')
  rmSync(path)
  writeFileSync(path, 'of somebody else')
  clock.advance(1000)
  journal.append(undefined, adminEntry())
  expect(failsWith(() => journal.flush())).toBe('recording_unavailable')
  expect(readFileSync(path, 'utf8')).toBe('of somebody else')
})

test('while nothing can be written memory stays bounded: appending refuses in the end (P-03)', () => {
  const journal = start()
  files.fault = only('write', systemError('ENOSPC'))
  const session = sessionId()
  const body = Buffer.alloc(1024 * 1024)
  const codes = new Set<string | undefined>()
  for (let n = 0; n < 40; n++) codes.add(failsWith(() => journal.append(session, outcomeEntry(n, {}, body))))
  expect([...codes]).toEqual([undefined, 'recording_unavailable'])
})

test('after a sync that failed nobody is told it is on the disk, and another file is begun', async () => {
  const journal = start()
  files.fault = only('sync', systemError('EIO'))
  journal.append(undefined, adminEntry({ target: 'doubtful' }))
  expect(failsWith(() => journal.sync())).toBe('recording_unavailable')
  // Not even a sync that says yes is believed about the old file: the kernel may have dropped what it could not write.
  expect(failsWith(() => journal.sync())).toBe('recording_unavailable')
  files.fault = () => undefined
  clock.advance(1000)
  expect(failsWith(() => journal.sync())).toBe('recording_unavailable')
  journal.append(undefined, adminEntry({ target: 'safe' }))
  journal.sync()
  const read = await all()
  expect(targets(read)).toEqual(['doubtful', 'journal.sync_failed', 'safe'])
  expect(read[1]?.entry).toMatchObject({ head: { details: { file: '00000001.slj' } } })
})

test('a sync in the background that failed is told of, and another file is begun', async () => {
  const journal = start(64 * 1024 * 1024)
  files.fault = only('syncLater', systemError('EIO'))
  const session = sessionId()
  journal.append(session, openEntry())
  for (let n = 0; n < 10; n++) {
    journal.append(session, outcomeEntry(n, {}, Buffer.alloc(1024 * 1024)))
    journal.flush()
  }
  await expect.poll(() => faults.length).toBe(1)
  journal.append(undefined, adminEntry({ target: 'next' }))
  journal.flush()
  journal.flush()
  expect(targets(await all()).slice(-2)).toEqual(['next', 'journal.sync_failed'])
})

test('a file that cannot be begun leaves the old one in use', async () => {
  const journal = start(2000)
  let allowed = false
  files.fault = ({ name, path }) =>
    name === 'open' && path?.endsWith('2.slj') && !allowed ? systemError('EMFILE') : undefined
  for (let n = 0; n < 40; n++) {
    journal.append(undefined, adminEntry({ target: `${n}` }))
    journal.flush()
  }
  expect(faults).toHaveLength(1)
  allowed = true
  clock.advance(1000)
  journal.append(undefined, adminEntry({ target: '40' }))
  journal.flush()
  expect(journal.fileNumber).toBe(2)
  journal.append(undefined, adminEntry({ target: '41' }))
  journal.flush()
  expect(targets(await all())).toEqual(Array.from({ length: 42 }, (_, n) => `${n}`))
})

test('a file that cannot get its last MAC stays in use, and nothing is lost between its blocks', async () => {
  const journal = start(2000)
  let failing = true
  const { write } = files
  files.write = (file, bytes, offset, length, position) => {
    if (failing && length === MAC_BLOCK_BYTES) throw systemError('ENOSPC')
    return write.call(files, file, bytes, offset, length, position)
  }
  for (let n = 0; n < 40; n++) {
    journal.append(undefined, adminEntry({ target: `${n}` }))
    journal.flush()
  }
  // Once: the MAC goes out with the next block, and the next file has to wait.
  expect(faults).toHaveLength(1)
  expect(journal.fileNumber).toBe(1)
  failing = false
  clock.advance(1000)
  for (const target of ['40', '41']) {
    journal.append(undefined, adminEntry({ target }))
    journal.flush()
  }
  expect(journal.fileNumber).toBe(2)
  expect(targets(await all())).toEqual(Array.from({ length: 42 }, (_, n) => `${n}`))
})

test('a file that is put back has its MACs, and gets those that follow', async () => {
  const journal = start()
  const path = join(directory, 'journal', '00000001.slj')
  for (let n = 0; n < 3; n++) {
    journal.append(undefined, adminEntry({ target: `${n}` }))
    journal.flush()
    rmSync(path)
    clock.advance(1000)
  }
  journal.append(undefined, adminEntry({ target: 'last' }))
  journal.close()
  // As a file with a successor, which has to end with a MAC.
  start().close()
  const read = targets(await all())
  expect(read.filter((target) => target !== '00000001.slj')).toEqual(['0', '1', '2', 'last'])
  expect(faults).toEqual([])
})

test('a file that was begun and could not be written is taken away, or used again', async () => {
  for (const removable of [true, false]) {
    const journal = start(2000)
    const next = `${journal.fileNumber + 1}.slj`
    const state = { failing: true, begun: false }
    files.fault = ({ name, path }) => {
      if (name === 'open' && path?.endsWith(next)) state.begun = true
      if (!state.failing || !state.begun) return undefined
      if (name === 'remove') return removable ? undefined : systemError('EROFS')
      return name === 'syncDirectory' ? systemError('EIO') : undefined
    }
    for (let n = 0; n < 30 && !state.begun; n++) {
      journal.append(undefined, adminEntry({ target: `${n}` }))
      journal.flush()
    }
    expect(faults).toHaveLength(1)
    faults = []
    state.failing = false
    clock.advance(1000)
    journal.append(undefined, adminEntry({ target: 'after' }))
    journal.flush()
    expect(faults).toEqual([])
    journal.close()
    expect(targets(await all()).at(-1)).toBe('after')
  }
})

const runs = times({ small: 50, full: 5000 })

test('any operation may fail at any time: what was flushed is there, in order, in whole frames (P-07)', {
  timeout: 30_000 + runs * 200,
}, async () => {
  tally('runs', runs)
  const operations = [
    'write',
    'truncate',
    'sync',
    'open',
    'close',
    'syncDirectory',
    'remove',
    'size',
  ] as const
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ name: fc.constantFrom(...operations), skip: fc.nat(12), short: fc.option(fc.nat(60)) }),
        {
          maxLength: 12,
        },
      ),
      fc.array(fc.constantFrom('flush', 'sync'), { minLength: 20, maxLength: 60 }),
      async (planned, steps) => {
        rmSync(directory, { recursive: true, force: true })
        files = new FaultyFiles()
        clock = new FakeClock()
        const journal = start(1500)
        const waiting = planned.map((each) => ({ ...each }))
        files.fault = ({ name }) => {
          const index = waiting.findIndex((each) => each.name === name)
          const plan = waiting[index]
          if (plan === undefined || plan.skip-- > 0) return undefined
          waiting.splice(index, 1)
          return name === 'write' && plan.short !== null ? { short: plan.short } : systemError('EIO')
        }
        const session = sessionId()
        journal.append(session, openEntry())
        let acked = 0
        let n = 0
        for (const step of steps) {
          journal.append(session, intentEntry(++n))
          if (failsWith(() => journal[step]()) === undefined) acked = n
          clock.advance(400)
        }
        const seen: number[] = []
        // A torn tail at the very end is what a fault may leave until the next flush.
        for await (const { entry } of readJournal(directory, testKeys))
          if (entry.kind === 'intent') seen.push(entry.head.n)
        expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => index + 1))
        expect(seen.length).toBeGreaterThanOrEqual(acked)
        files.fault = () => undefined
        journal.flush()
        const after = (await all()).filter(({ entry }) => entry.kind === 'intent')
        expect(after).toHaveLength(n)
      },
    ),
    { numRuns: runs, seed },
  )
})

test('a real limit on the size of files: refused beyond it, whole frames up to it (P-04)', async () => {
  const script = join(import.meta.dirname, '..', '..', 'testing', 'journal-writer.ts')
  // The shell counts in blocks of 1024 bytes. The signal that comes with the limit is ignored by Node.
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    'ulimit -f 64; exec "$0" "$1" "$2" 1000',
    process.execPath,
    script,
    directory,
  ])
  const lines = stdout.trim().split('\n')
  const acked = lines.filter((line) => /^\d+$/.test(line)).map(Number)
  expect(lines).toContain('refused recording_unavailable EFBIG')
  expect(acked.length).toBeGreaterThan(10)
  expect(acked.length).toBeLessThan(1000)
  const seen = (await all()).filter(({ entry }) => entry.kind === 'intent')
  expect(seen.map(({ entry }) => entry.kind === 'intent' && entry.head.n)).toEqual(acked)
})

test('a place where no directory can be is refused at the start', () => {
  writeFileSync(join(directory, 'journal'), 'a file')
  expect(failsWith(() => start())).toBe('recording_unavailable')
})

test('recordings are for the account of the gateway alone', () => {
  start().close()
  expect(statSync(join(directory, 'journal', '00000001.slj')).mode & 0o777).toBe(0o600)
  expect(statSync(join(directory, 'journal')).mode & 0o777).toBe(0o700)
})
