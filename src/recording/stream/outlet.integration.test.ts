import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/index.ts'
import {
  adminEntry,
  closeEntry,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { memoryDirectory, unsyncedFiles } from '../../testing/faulty-files.ts'
import { MemoryLogStorage } from '../../testing/memory-log-storage.ts'
import { random, testKeys, testSeeds } from '../../testing/recording-keys.ts'
import { type FileJournal, openJournal } from '../journal/journal.ts'
import type { RecordedEvent } from '../events/assembler.ts'
import { Sealer } from '../sealer/sealer.ts'
import { CursorFile } from './cursor.ts'
import { EventFollower } from './follower.ts'
import { type Missed, Outlet, type OutletState } from './outlet.ts'
import { refused, type Taken, undelivered } from './sender.ts'
import type { OutletSettings } from './settings.ts'

const settings: OutletSettings = {
  name: 'siem',
  to: { kind: 'http', url: 'http://127.0.0.1:1', gzip: false, header: undefined, format: 'array' },
  statements: true,
  backlog: { bytesMax: 1024 ** 3, msMax: 1_000_000 },
}

let directory: string
let clock: FakeClock
let journal: FileJournal
let outlet: Outlet | undefined
let taken: RecordedEvent[]
let batches: number[]
let missed: Missed[]
let faults: string[]
let state: OutletState | undefined
let send: (events: readonly RecordedEvent[]) => Taken

beforeEach(() => {
  directory = mkdtempSync(join(memoryDirectory(), 'sluice-stream-'))
  clock = new FakeClock()
  taken = []
  batches = []
  missed = []
  faults = []
  send = () => ({ rejected: 0 })
  openAnother()
})
afterEach(async () => {
  await outlet?.stop()
  outlet = undefined
  journal.close()
  rmSync(directory, { recursive: true, force: true })
})

function openAnother(fileBytesMax = 1024 * 1024): void {
  const onFault = (error: unknown): void => expect.fail(String(error))
  journal = openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files: unsyncedFiles,
    fileBytesMax,
    onFault,
  })
}

function start(): Outlet {
  const made = new Outlet(settings, {
    // Waits are not what this is about: they are as short as they can be.
    clock: { now: () => systemClock.now(), after: (_ms, run) => systemClock.after(1, run) },
    random: () => 0,
    cursor: new CursorFile(directory, 'siem'),
    follow: (cursor) =>
      new EventFollower({ directory, keys: testKeys, program: '9.9.9', statements: true, cursor }),
    sender: {
      lingerMs: 1,
      async send(events) {
        const answer = send(events)
        taken.push(...events)
        batches.push(events.length)
        return answer
      },
      close: async () => undefined,
    },
    secrets: async () => ({}),
    record: async (each) => void missed.push(each),
    onState: (each) => {
      state = each
    },
    onFault: (error) => void faults.push(error instanceof Error ? error.message : String(error)),
  })
  outlet = made
  made.start()
  return made
}

function write(...entries: readonly Parameters<FileJournal['append']>[]): void {
  for (const each of entries) {
    journal.append(...each)
    clock.advance(1)
  }
  journal.flush()
  journal.authenticate()
}

async function until(what: () => boolean): Promise<void> {
  for (let n = 0; n < 5_000 && !what(); n++) await pause(1)
  expect(what()).toBe(true)
}

const ids = () => taken.map(({ id }) => id)

describe('an outlet', () => {
  test('gets what is recorded, in order, and after a restart what came since', async () => {
    const session = sessionId()
    write([session, openEntry()], [session, intentEntry(1)], [session, outcomeEntry(1)])
    start()
    await until(() => taken.length === 2)
    write([undefined, adminEntry()], [session, intentEntry(2)])
    await until(() => taken.length === 3)
    await outlet?.stop()
    write([session, outcomeEntry(2)], [session, closeEntry(2)])
    start()
    await until(() => taken.length === 5)
    expect(ids()).toEqual([
      `${session}-open`,
      `${session}-1`,
      expect.stringMatching(/^entry-\d+-\d+$/),
      `${session}-2`,
      `${session}-close`,
    ])
    expect(missed).toEqual([])
    await until(() => state?.cursor?.sequence === journal.flushedSequence)
    expect(readFileSync(join(directory, 'stream', 'siem'), 'utf8')).toMatch(
      new RegExp(`^${journal.flushedSequence} \\d+\n$`),
    )
  })

  test('that does not take a batch gets the same again, and says so once', async () => {
    let tries = 0
    send = () => {
      if (++tries < 4) throw undelivered('It is away.')
      return { rejected: 0 }
    }
    write([undefined, adminEntry()])
    start()
    await until(() => taken.length === 1)
    expect(tries).toBe(4)
    expect(faults).toEqual(['It is away.'])
    await until(() => state?.fault === undefined)
    expect(state?.faults).toBe(3)
  })

  test('that is too slow for a batch gets smaller ones, in order, and larger ones again when it keeps up', async () => {
    let [most, tries] = [30, 0]
    send = (events) => {
      tries++
      if (events.length > most) throw undelivered('It took too long.', { late: true })
      return { rejected: 0 }
    }
    write(
      ...Array.from(
        { length: 1_000 },
        () => [undefined, adminEntry()] as [undefined, ReturnType<typeof adminEntry>],
      ),
    )
    start()
    await until(() => taken.length === 1_000)
    expect(new Set(ids()).size).toBe(1_000)
    expect(ids()).toEqual(ids().toSorted((a, b) => Number(a.split('-')[1]) - Number(b.split('-')[1])))
    expect(Math.max(...batches)).toBeGreaterThan(15)
    // Halved until it fits, and now and then a larger one is tried.
    expect(tries).toBeLessThan(2 * batches.length)
    most = 500
    write(
      ...Array.from(
        { length: 2_000 },
        () => [undefined, adminEntry()] as [undefined, ReturnType<typeof adminEntry>],
      ),
    )
    await until(() => taken.length === 3_000)
    expect(Math.max(...batches)).toBeGreaterThan(60)
    await until(() => state?.cursor?.sequence === journal.flushedSequence)
    expect(state).toMatchObject({ delivered: 3_000, missed: 0, fault: undefined })
  })

  test('that refuses is parked until it takes something', async () => {
    let isFixed = false
    send = () => {
      if (!isFixed) throw refused('It answered 401.', 'Look at the header.')
      return { rejected: 0 }
    }
    write([undefined, adminEntry()])
    start()
    await until(() => state?.parked === true)
    expect(state).toMatchObject({
      delivered: 0,
      fault: { message: 'It answered 401.', remedy: 'Look at the header.' },
    })
    isFixed = true
    await until(() => state?.parked === false)
    expect(state).toMatchObject({ delivered: 1, fault: undefined })
  })

  test('that rejects everything is told of once: what it misses of that is not recorded again', async () => {
    send = (events) => ({ rejected: events.length })
    write([undefined, adminEntry()])
    start()
    await until(() => missed.length === 1)
    // As the gateway records it.
    write([undefined, adminEntry({ action: 'stream.missed', by: 'stream', target: 'siem' })])
    await until(() => state?.missed === 2)
    expect(missed).toHaveLength(1)
    write([undefined, adminEntry()])
    await until(() => missed.length === 2)
  })

  test('gets batches that have a limit, and its cursor never stands inside of a frame', async () => {
    const session = sessionId()
    write([session, openEntry()])
    const all = Array.from({ length: 1_200 }, (_, n) => [session, intentEntry(n + 1)] as const)
    write(...all.map((each): Parameters<FileJournal['append']> => [...each]))
    // 1,200 commands without an end, all told with the close.
    write([session, closeEntry(0)])
    const many = Array.from(
      { length: 1_200 },
      (): Parameters<FileJournal['append']> => [undefined, adminEntry()],
    )
    write(...many)
    const isBehind: boolean[] = []
    send = ([first]) => {
      isBehind.push((state?.cursor?.sequence ?? 0) < (first?.sequence ?? 0))
      return { rejected: 0 }
    }
    start()
    await until(() => taken.length === 2_402)
    // By their bytes the commands, by their number the small ones.
    expect(batches).toHaveLength(6)
    expect(Math.max(...batches)).toBe(500)
    expect(new Set(ids()).size).toBe(2_402)
    expect(isBehind).not.toContain(false)
  })

  test('is told what it will never get where the receiver rejected single events', async () => {
    send = () => ({ rejected: 1 })
    write([undefined, adminEntry()])
    start()
    await until(() => missed.length === 1)
    expect(missed[0]).toEqual({ outlet: 'siem', because: 'rejected', first: 2, last: 2, events: 1 })
    await until(() => state?.missed === 1)
  })

  test('whose cursor cannot be read begins with all that the journal has', async () => {
    write([undefined, adminEntry()])
    start()
    await until(() => taken.length === 1)
    await outlet?.stop()
    writeFileSync(join(directory, 'stream', 'siem'), 'nonsense')
    start()
    await until(() => taken.length === 2)
    expect(ids()[1]).toBe(ids()[0])
    expect(faults[0]).toContain('stream/siem')
  })

  test('whose place cannot be written goes on, and is told so once', async () => {
    writeFileSync(join(directory, 'stream'), 'where a directory should be')
    write([undefined, adminEntry()])
    start()
    await until(() => taken.length === 1)
    write([undefined, adminEntry()])
    await until(() => taken.length === 2)
    expect(new Set(ids()).size).toBe(2)
    await until(() => faults.length > 0)
    await pause(20)
    // Once where it reads it, once where it writes it.
    expect(faults).toHaveLength(2)
    expect(state).toMatchObject({ cursor: { sequence: 0 }, delivered: 2 })
    rmSync(join(directory, 'stream'))
    write([undefined, adminEntry()])
    await until(() => state?.cursor?.sequence === journal.flushedSequence)
  })

  test('of a journal that is damaged gets what is before the damage, once', async () => {
    write([undefined, adminEntry()])
    const path = join(directory, 'journal', '00000001.slj')
    const good = readFileSync(path).length
    write([undefined, adminEntry()], [undefined, adminEntry()])
    journal.close()
    openAnother()
    write([undefined, adminEntry()])
    const bytes = readFileSync(path)
    bytes[good + 30] = (bytes[good + 30] ?? 0) ^ 1
    writeFileSync(path, bytes)
    start()
    await until(() => faults.length > 0)
    await pause(20)
    expect(taken).toHaveLength(1)
    expect(faults[0]).toContain('damaged')
    expect(state?.fault?.code).toBe('invalid')
  })

  test('of a journal that was put back to an earlier state is told all that there is', async () => {
    write([undefined, adminEntry()])
    const copy = readdirSync(join(directory, 'journal')).map(
      (name) => [name, readFileSync(join(directory, 'journal', name))] as const,
    )
    write([undefined, adminEntry()], [undefined, adminEntry()])
    start()
    await until(() => taken.length === 3)
    await outlet?.stop()
    journal.close()
    for (const [name, bytes] of copy) writeFileSync(join(directory, 'journal', name), bytes)
    clock.advance(1_000)
    openAnother()
    write([undefined, adminEntry()])
    start()
    await until(() => taken.length === 5)
    expect(missed).toMatchObject([{ because: 'replaced' }])
    // The new one has a number that another had: it is not taken for that.
    expect(new Set(ids()).size).toBe(4)
  })
})

describe('a journal whose beginning is gone', () => {
  let sealer: Sealer
  let storage: MemoryLogStorage
  beforeEach(() => {
    storage = new MemoryLogStorage()
  })

  async function seal(backlog?: { through: number; bytesMax: number; msMax: number }): Promise<void> {
    sealer = await Sealer.open({
      directory,
      keys: testKeys,
      random,
      clock: systemClock,
      storage,
      seeds: testSeeds,
      name: undefined,
      indexed: () => Number.MAX_SAFE_INTEGER,
      ...(backlog === undefined ? {} : { backlog: () => backlog }),
    })
    await sealer.finish()
    await sealer.close()
  }

  const files = () => readdirSync(join(directory, 'journal')).sort()

  test('is no matter for sessions that go on: what is needed of them lies in their drafts', async () => {
    const session = sessionId()
    write([session, openEntry()], [session, intentEntry(1)])
    start()
    await until(() => taken.length === 1)
    await outlet?.stop()
    journal.close()
    openAnother()
    await seal()
    expect(files()).toEqual(['00000002.slj'])
    write([session, outcomeEntry(1)], [session, closeEntry(1)])
    taken = []
    start()
    await until(() => taken.length >= 2)
    expect(taken.find(({ what }) => what === 'command')).toMatchObject({
      facts: { identity: 'agent:support-agent', connection: 'crm' },
      ocsf: { query_info: { query_string: 'SELECT 1' } },
    })
  })

  test('is told as a gap, once, with what is missing', async () => {
    write([undefined, adminEntry()])
    start()
    await until(() => taken.length === 1)
    await outlet?.stop()
    write([undefined, adminEntry()], [undefined, adminEntry()])
    const last = journal.flushedSequence
    journal.close()
    openAnother()
    await seal()
    write([undefined, adminEntry()])
    start()
    await until(() => taken.length >= 2)
    expect(missed).toEqual([{ outlet: 'siem', because: 'backlog', first: last - 1, last, events: undefined }])
    await outlet?.stop()
    start()
    await pause(20)
    expect(missed).toHaveLength(1)
  })

  test('stays for an outlet, up to so many bytes and so long', async () => {
    for (let n = 0; n < 4; n++) {
      write([undefined, adminEntry({ target: 'x'.repeat(1_000) })])
      journal.close()
      openAnother()
    }
    const before = files()
    expect(before).toHaveLength(5)
    await seal({ through: 0, bytesMax: 1024 ** 2, msMax: 60_000 })
    expect(files()).toEqual(before)
    await seal({ through: 0, bytesMax: 3_500, msMax: 60_000 })
    expect(files()).toEqual(before.slice(2))
    await seal({ through: 6, bytesMax: 1024 ** 2, msMax: 60_000 })
    expect(files().length).toBeLessThan(4)
    await seal({ through: 0, bytesMax: 1024 ** 2, msMax: -60_000 })
    expect(files()).toEqual(before.slice(4))
  })
})
