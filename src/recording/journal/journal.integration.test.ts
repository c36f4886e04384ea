import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Entry, isGatewayError, LIMITS, type SessionId } from '../../core/index.ts'
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
import { FaultyFiles } from '../../testing/faulty-files.ts'
import { type FileJournal, openJournal } from './journal.ts'
import { type RecordedEntry, readJournal } from '../reading/reader.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'

let directory: string
let files: FaultyFiles
const clock = new FakeClock()

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-journal-'))
  files = new FaultyFiles()
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function start(fileBytesMax?: number): FileJournal {
  return openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files,
    onFault: (error) => {
      throw error
    },
    ...(fileBytesMax === undefined ? {} : { fileBytesMax }),
  })
}

async function all(): Promise<RecordedEntry[]> {
  return await collect(readJournal(directory, testKeys))
}

const every: Entry[] = [
  openEntry(),
  intentEntry(1, {
    reason: 'because',
    masked: ['pii.email'],
    parameters: ['YQ==', null],
    text: 'Zürich \u{1f600} \0',
  }),
  { kind: 'hold', head: { n: 1, ticket: 'T-7K2M9Q0A', expiresAt: clock.now() + 1000 } },
  { kind: 'answer', head: { n: 1, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve' } },
  { kind: 'result', head: { n: 1 }, body: Uint8Array.from([0, 1, 2, 255]) },
  outcomeEntry(1, {}, Uint8Array.from([68, 0])),
  outcomeEntry(2),
  { kind: 'notice', head: { n: 1, code: 'masked', message: 'email is masked' } },
  closeEntry(2),
]

test('what was appended is read back, byte for byte and in order', async () => {
  const journal = start()
  const session = sessionId()
  for (const entry of every) journal.append(session, entry)
  journal.append(undefined, adminEntry({ details: { count: 3, ok: true, name: 'x' } }))
  journal.flush()
  const read = await all()
  expect(read.map(({ entry }) => entry)).toEqual([
    ...every.map((entry) =>
      'body' in entry && entry.body ? { ...entry, body: Buffer.from(entry.body) } : entry,
    ),
    adminEntry({ details: { count: 3, ok: true, name: 'x' } }),
  ])
  expect(read.map((each) => each.session)).toEqual([...every.map(() => session), undefined])
  expect(read.every(({ time }) => time === clock.now())).toBe(true)
})

test('a flush is one write, however much was appended, and no write when nothing was', () => {
  const journal = start()
  const [a, b] = [sessionId(), sessionId()]
  const before = files.calls.get('write') ?? 0
  for (const session of [a, b]) for (const entry of every.slice(0, -1)) journal.append(session, entry)
  journal.flush()
  expect(files.calls.get('write')).toBe(before + 1)
  journal.flush()
  expect(files.calls.get('write')).toBe(before + 1)
})

test('sync brings the file to the disk once for what is new', () => {
  const journal = start()
  const before = files.calls.get('sync') ?? 0
  journal.append(undefined, adminEntry())
  journal.sync()
  journal.sync()
  expect(files.calls.get('sync')).toBe(before + 1)
})

test('files are cut at their size, and each names its sessions anew', async () => {
  const journal = start(4096)
  const sessions = [sessionId(), sessionId(), sessionId()]
  for (const session of sessions) journal.append(session, openEntry())
  const expected: [SessionId, number][] = []
  for (let n = 1; n <= 200; n++) {
    const session = sessions[n % 3] ?? sessionId()
    journal.append(session, intentEntry(n))
    journal.append(session, outcomeEntry(n))
    journal.flush()
    expected.push([session, n])
  }
  const names = readdirSync(join(directory, 'journal'))
  expect(names.length).toBeGreaterThan(5)
  for (const name of names) expect(statSync(join(directory, 'journal', name)).size).toBeLessThan(5000)
  const read = (await all()).filter(({ entry }) => entry.kind === 'intent')
  expect(read.map(({ session, entry }) => [session, entry.kind === 'intent' && entry.head.n])).toEqual(
    expected,
  )
})

test('sequence numbers go on over files and restarts', async () => {
  for (let run = 0; run < 3; run++) {
    const journal = start(2048)
    for (let n = 0; n < 20; n++) {
      journal.append(undefined, adminEntry({ target: `${run}.${n}` }))
      journal.flush()
    }
    journal.close()
  }
  const read = await all()
  expect(read.map(({ entry }) => entry.kind === 'admin' && entry.head.target)).toEqual(
    Array.from({ length: 60 }, (_, index) => `${Math.floor(index / 20)}.${index % 20}`),
  )
  const sequences = read.map(({ sequence }) => sequence)
  expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b))
  const from = sequences[30] ?? 0
  const later = await collect(readJournal(directory, testKeys, { fromSequence: from }))
  expect(later).toEqual(read.slice(30))
})

test('large entries are written whole, and the largest have a limit', async () => {
  const journal = start()
  const session = sessionId()
  const body = Buffer.alloc(5 * 1024 * 1024, 'abcdefg')
  const text = `SELECT '${'é'.repeat(1_000_000)}'`
  journal.append(session, openEntry())
  journal.append(session, intentEntry(1, { text }))
  journal.append(session, { kind: 'result', head: { n: 1 }, body })
  journal.flush()
  const [, intent, result] = await all()
  expect(intent?.entry).toEqual(intentEntry(1, { text }))
  expect(result?.entry.kind === 'result' && body.equals(result.entry.body)).toBe(true)

  const tooLarge = { length: LIMITS.frameBytesMax } as Uint8Array
  expect(() => journal.append(session, { kind: 'result', head: { n: 1 }, body: tooLarge })).toThrow(
    expect.objectContaining({ code: 'limit_exceeded' }),
  )
  journal.append(session, closeEntry(1))
  journal.flush()
  expect((await all()).at(-1)?.entry).toEqual(closeEntry(1))
})

test('memory is bounded: what exceeds it goes out early', () => {
  const journal = start()
  const session = sessionId()
  journal.append(session, openEntry())
  const before = files.calls.get('write') ?? 0
  const body = Buffer.alloc(1024 * 1024)
  for (let n = 0; n < 40; n++) journal.append(session, { kind: 'result', head: { n: 1 }, body })
  expect(files.calls.get('write')).toBe(before + 2)
})

test('after close nothing can be appended, and closing again does nothing', () => {
  const journal = start()
  journal.close()
  journal.close()
  expect(() => journal.append(undefined, adminEntry())).toThrow(
    expect.objectContaining({ code: 'recording_unavailable' }),
  )
})

test('an entry that comes after the close of its session is kept and opens nothing', async () => {
  const journal = start()
  const session = sessionId()
  for (const entry of [openEntry(), closeEntry(0), outcomeEntry(1)]) journal.append(session, entry)
  journal.flush()
  expect(journal.openSessions()).toEqual([])
  expect((await all()).map(({ session: whose, entry }) => [whose, entry.kind])).toEqual([
    [session, 'open'],
    [session, 'close'],
    [session, 'outcome'],
  ])
})

test('figures of open sessions are kept, and told once per change', () => {
  const journal = start()
  const session = sessionId()
  journal.append(session, openEntry())
  journal.append(session, intentEntry(1))
  journal.append(session, outcomeEntry(1, { rows: 3, bytes: 100 }))
  journal.append(session, intentEntry(2, { decision: 'deny' }))
  const summary = {
    session,
    connection: 'crm',
    chain: ['agent:support-agent', 'person:ada@example.com'],
    commands: 2,
    denied: 1,
    held: 0,
    rows: 3,
    bytes: 100,
  }
  expect(journal.takeChanged()).toEqual([expect.objectContaining(summary)])
  expect(journal.takeChanged()).toEqual([])
  expect(journal.openSessions()).toEqual([expect.objectContaining(summary)])
})

test('a directory that cannot be written is an error that says so', () => {
  files.fault = ({ name }) =>
    name === 'makeDirectory' ? Object.assign(new Error('EACCES'), { code: 'EACCES' }) : undefined
  try {
    start()
    expect.unreachable()
  } catch (error) {
    expect(isGatewayError(error) && error.code).toBe('recording_unavailable')
  }
})
