import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Entry, SessionId } from '../../core/index.ts'
import { brand, GatewayError, type LabelName } from '../../core/index.ts'
import {
  closeEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { memoryDirectory, unsyncedFiles } from '../../testing/faulty-files.ts'
import { checkLog } from '../../testing/log-check.ts'
import { MemoryLogStorage } from '../../testing/memory-log-storage.ts'
import { MemorySessionIndex } from '../../testing/memory-session-index.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { seal } from '../../testing/seal.ts'
import { sessionFile, thinnedFile } from '../files/names.ts'
import { catchUpIndex } from '../indexer.ts'
import { type FileJournal, openJournal } from '../journal/journal.ts'
import { readJournal, readSession } from '../reading/reader.ts'
import { KEEP_ALL, Retention } from '../retention.ts'
import { Eraser, type ErasureInput, type Rewriter } from './eraser.ts'
import {
  decodeSealedHeader,
  encodeSealedHeader,
  type SealedHeader,
  sealedHeaderBytes,
} from '../sealed/file-header.ts'
import { concerns, putInPlace, thinned } from './rewrite.ts'

const DAY = 24 * 60 * 60 * 1000
const MARK = 'marker@example.com'
const TICKET = 'T-7K2M9Q0A'
const email = { column: 'public.customers.email', label: brand<LabelName>('pii.email') }

let directory: string
let clock: FakeClock
let storage: MemoryLogStorage
let journal: FileJournal
let eraser: Eraser
let rewriter: Rewriter
let held: boolean
let copies: string[]

beforeEach(() => {
  directory = mkdtempSync(join(memoryDirectory(), 'sluice-erasure-'))
  clock = new FakeClock()
  storage = new MemoryLogStorage()
  held = false
  copies = []
  journal = start()
  rewriter = {
    concerns: (session, removal) => concerns({ directory, keys: testKeys }, session, removal),
    thin: (session, removal) => thinned({ directory, keys: testKeys, random }, session, removal),
    putInPlace: (session, found) => putInPlace(directory, session, found),
  }
  eraser = eraserOver(rewriter)
})
afterEach(() => {
  journal.close()
  rmSync(directory, { recursive: true, force: true })
})

function start(): FileJournal {
  const onFault = (error: unknown): void => expect.fail(String(error))
  return openJournal({ directory, keys: testKeys, random, clock, files: unsyncedFiles, onFault })
}

function eraserOver(
  by: Rewriter,
  onFault: (error: unknown) => void = (error) => expect.fail(String(error)),
): Eraser {
  return new Eraser({
    directory,
    keys: testKeys,
    journal: { ...journalMethods(), nextFile: () => journal.nextFile() },
    rewriter: by,
    clock,
    isHeld: () => held,
    onErased: (tickets) => Promise.resolve(void copies.push(...tickets)),
    onFault,
  })
}

/** The journal may be another one after a restart. */
function journalMethods() {
  return {
    append: (session: SessionId | undefined, entry: Entry) => journal.append(session, entry),
    flush: () => journal.flush(),
    sync: () => journal.sync(),
    fingerprint: (digest: string) => journal.fingerprint(digest),
    seal: (...given: Parameters<FileJournal['seal']>) => journal.seal(...given),
  }
}

function session(): SessionId {
  const id = sessionId(clock.now())
  journal.append(id, openEntry())
  journal.append(id, intentEntry(1, { text: `SELECT '${MARK}'`, columns: [email] }))
  journal.append(id, outcomeEntry(1, {}, Buffer.from(MARK)))
  journal.append(id, intentEntry(2, { text: 'SELECT 2' }))
  journal.append(id, { kind: 'hold', head: { n: 2, ticket: TICKET, expiresAt: 0 } })
  journal.append(id, outcomeEntry(2, {}, Buffer.from('two')))
  journal.append(id, closeEntry(2))
  journal.flush()
  clock.advance(1_000)
  return id
}

/** Seals all there is; a restart of the journal leaves only its newest file behind. */
async function sealed(): Promise<void> {
  journal.close()
  journal = start()
  await seal(directory, clock, { storage, indexed: () => Number.MAX_SAFE_INTEGER })
}

const input = (id: SessionId, rest: Partial<ErasureInput> = {}): ErasureInput => ({
  session: id,
  scope: {},
  by: 'person:ada',
  reason: 'case 4711',
  ...rest,
})

const entriesOf = async (id: SessionId) => await collect(readSession(directory, testKeys, id))
/** All that can still be read of it. */
const textOf = async (id: SessionId): Promise<string> =>
  (await entriesOf(id))
    .map(
      ({ entry }) =>
        JSON.stringify(entry.head) + ('body' in entry ? Buffer.from(entry.body ?? []).toString() : ''),
    )
    .join('\n')
const admin = async () =>
  (await collect(readJournal(directory, testKeys))).flatMap(({ entry }) =>
    entry.kind === 'admin' && entry.head.action === 'recording.removed' ? [entry.head] : [],
  )

test('what is erased is gone, the recording says so, and the log still proves every frame', async () => {
  const [id, other] = [session(), session()]
  await sealed()
  const before = readFileSync(sessionFile(directory, id))
  const labelled = { labels: ['pii.email'] }
  expect(await eraser.request(input(id, { scope: labelled }))).toEqual({
    state: 'erased',
    removed: [{ payload: 'body', frames: '5', count: 1 }],
  })
  const entries = await entriesOf(id)
  expect(entries.map(({ erased }) => erased)).toEqual([
    undefined,
    undefined,
    ['body'],
    ...Array(4).fill(undefined),
  ])
  expect(entries[5]?.entry).toMatchObject({ body: Buffer.from('two') })
  expect(await admin()).toEqual([
    {
      action: 'recording.removed',
      by: 'person:ada',
      target: id,
      details: { payload: 'body', frames: '5', because: 'request', reason: 'case 4711' },
    },
  ])
  expect(copies).toEqual([])
  // All that is left, and what was not asked for of another session.
  const { removed } = await eraser.request(input(id, { reason: 'case 4712' }))
  expect(removed).toEqual([
    { payload: 'body', frames: '8', count: 1 },
    { payload: 'text', frames: '4-6', count: 2 },
  ])
  expect(copies).toEqual([TICKET])
  expect(await textOf(id)).not.toContain(MARK)
  expect(await textOf(other)).toContain(MARK)
  expect(await eraser.request(input(id))).toEqual({ state: 'nothing', removed: [] })
  expect(readFileSync(sessionFile(directory, id))).not.toEqual(before)
  expect(readdirSync(join(directory, 'erasures'))).toEqual([])
  await sealed()
  await checkLog(directory, testKeys, { storage })
})

test('killed anywhere, it is done again and comes to the same (P-08)', async () => {
  for (const stage of ['thin', 'putInPlace', 'after'] as const) {
    const id = session()
    await sealed()
    const killed = eraserOver({
      ...rewriter,
      ...(stage === 'thin' ? { thin: () => Promise.reject(new Error('killed')) } : {}),
      putInPlace: async (...given) => {
        if (stage === 'after') await rewriter.putInPlace(...given)
        throw new Error('killed')
      },
    })
    await expect(killed.request(input(id))).rejects.toThrow('killed')
    // The next process finds the request.
    expect(await eraserOver(rewriter).waiting(), stage).toBe(1)
    await eraserOver(rewriter).run()
    expect(await eraserOver(rewriter).waiting(), stage).toBe(0)
    expect(await textOf(id), stage).not.toContain(MARK)
    expect(existsSync(thinnedFile(sessionFile(directory, id)))).toBe(false)
    const told = (await admin()).filter(({ target }) => target === id)
    expect(new Set(told.map(({ details }) => `${details?.payload} ${details?.frames}`)).size).toBe(2)
  }
})

test('under legal hold, while it goes on, and of what is not there nothing is erased', async () => {
  const id = session()
  const open = sessionId(clock.now())
  journal.append(open, openEntry())
  journal.flush()
  await sealed()
  held = true
  await expect(eraser.request(input(id))).rejects.toMatchObject({ code: 'denied' })
  held = false
  await expect(eraser.request(input(sessionId(clock.now())))).rejects.toMatchObject({ code: 'not_found' })
  await expect(eraser.request(input(id, { scope: { sequence: 999 } }))).rejects.toMatchObject({
    code: 'not_found',
  })
  expect(await eraser.waiting()).toBe(0)
  const live = sessionId(clock.now())
  journal.append(live, openEntry())
  journal.flush()
  await expect(eraser.request(input(live))).rejects.toMatchObject({ code: 'conflict' })
  expect(await textOf(id)).toContain(MARK)
})

test('what the journal still has is erased when that has gone; a hold that comes meanwhile is kept', async () => {
  const id = session()
  await seal(directory, clock, { storage })
  const file = journal.fileNumber
  const asked = eraser.request(input(id))
  // Nobody deletes the file: it is given up on waiting, and the request stays.
  const time = setInterval(() => clock.advance(1_000), 1)
  const report = await asked
  clearInterval(time)
  expect(report).toEqual({ state: 'waiting', removed: [] })
  expect(journal.fileNumber).toBe(file + 1)
  await sealed()
  held = true
  await eraser.run()
  expect(await textOf(id)).toContain(MARK)
  expect(await eraser.waiting()).toBe(1)
  held = false
  await eraser.run()
  expect(await textOf(id)).not.toContain(MARK)
})

test('what nobody has sealed yet is not taken for gone: it is erased once it is (P-06)', async () => {
  const id = session()
  const asked = eraser.request(input(id))
  const time = setInterval(() => clock.advance(1_000), 1)
  const report = await asked
  clearInterval(time)
  expect(report).toEqual({ state: 'waiting', removed: [] })
  expect(await eraser.waiting()).toBe(1)
  await sealed()
  await eraser.run()
  expect(await textOf(id)).not.toContain(MARK)
  expect(await eraser.waiting()).toBe(0)
})

test('a request that the gateway did not write is not followed (P-06)', async () => {
  const id = session()
  await sealed()
  await expect(
    eraserOver({ ...rewriter, thin: () => Promise.reject(new Error('killed')) }).request(input(id)),
  ).rejects.toThrow()
  const folder = join(directory, 'erasures')
  const [name = ''] = readdirSync(folder)
  const [json = '', mac] = readFileSync(join(folder, name), 'utf8').split('\n')
  const other = session()
  await sealed()
  rmSync(join(folder, name))
  const faults: unknown[] = []
  const telling = eraserOver(rewriter, (error) => void faults.push(error))
  const texts = [`${json.replace(id, other)}\n${mac}\n`, `${json}\n\n`, json, 'x']
  for (const text of texts) {
    writeFileSync(join(folder, `${other}.1.json`), text)
    await telling.run()
  }
  mkdirSync(join(folder, '0.json'))
  await telling.run()
  expect(faults).toEqual(Array(texts.length + 2).fill(expect.any(GatewayError)))
  expect(await textOf(other)).toContain(MARK)
  // Nothing else waits for who put it there.
  expect(await telling.request(input(id))).toMatchObject({ state: 'erased' })
  expect(await textOf(id)).not.toContain(MARK)
})

test('a file that got another entry meanwhile is not replaced by the one without it', async () => {
  const id = session()
  await sealed()
  const path = sessionFile(directory, id)
  const slow = eraserOver({
    ...rewriter,
    putInPlace: async (of, found) => {
      const bytes = readFileSync(path)
      rmSync(path)
      writeFileSync(`${path}.other`, '')
      writeFileSync(path, bytes)
      await rewriter.putInPlace(of, found)
    },
  })
  await expect(slow.request(input(id))).rejects.toMatchObject({ code: 'conflict' })
  expect(await textOf(id)).toContain(MARK)
  rmSync(`${path}.other`)
})

test('retention by label removes results and sealed values when their time has come, once', async () => {
  const index = new MemorySessionIndex()
  const old = session()
  clock.advance(20 * DAY)
  const young = session()
  clock.advance(20 * DAY)
  await catchUpIndex(directory, testKeys, index)
  await sealed()
  await catchUpIndex(directory, testKeys, index)
  let looked = 0
  const counting = eraserOver({
    ...rewriter,
    concerns: (...given) => {
      looked++
      return rewriter.concerns(...given)
    },
  })
  const onFault = (error: unknown): void => expect.fail(String(error))
  const retention = () =>
    new Retention(
      { directory, keys: testKeys, journal, index, clock, eraser: counting, onFault },
      { ...KEEP_ALL, payloads: [{ afterMs: 30 * DAY, labels: ['pii.email'] }] },
    )
  const one = retention()
  held = true
  await one.run()
  expect((await entriesOf(old)).some(({ erased }) => erased !== undefined)).toBe(false)
  held = false
  await one.run()
  expect((await entriesOf(old)).flatMap(({ erased = [] }) => erased)).toEqual(['body'])
  expect((await entriesOf(young)).flatMap(({ erased = [] }) => erased)).toEqual([])
  expect(await admin()).toEqual([
    {
      action: 'recording.removed',
      by: 'retention',
      target: old,
      details: { payload: 'body', frames: '5', because: 'age', rule: 'pii.email' },
    },
  ])
  const before = looked
  await one.run()
  expect(looked).toBe(before)
  // Another process sees by the header that the rule was applied.
  await retention().run()
  expect(await admin()).toHaveLength(1)
  clock.advance(20 * DAY)
  await retention().run()
  expect((await entriesOf(young)).flatMap(({ erased = [] }) => erased)).toEqual(['body'])
})

test('a file that says by itself which rules were applied to it is not believed (P-06)', async () => {
  const id = session()
  await sealed()
  const path = sessionFile(directory, id)
  const rules: readonly (readonly string[])[] = [['*'], ['pii.email']]
  const claimed = (edit: (header: SealedHeader) => SealedHeader): void => {
    const bytes = readFileSync(path)
    const length = sealedHeaderBytes(bytes)
    const header = encodeSealedHeader(edit(decodeSealedHeader(bytes.subarray(0, length))))
    writeFileSync(path, Buffer.concat([header, bytes.subarray(length)]))
  }
  const scope = { labels: ['pii.email'] }
  claimed((header) => ({ ...header, without: rules.flat() }))
  expect(await eraser.retire(id, scope, Number.MAX_SAFE_INTEGER)).toMatchObject({ state: 'erased' })
  expect((await entriesOf(id)).flatMap(({ erased = [] }) => erased)).toEqual(['body'])
  const own = readFileSync(path)
  // Now the gateway says so: it is not written again.
  expect(await eraser.retire(id, scope, Number.MAX_SAFE_INTEGER)).toMatchObject({ state: 'nothing' })
  expect(readFileSync(path).equals(own)).toBe(true)
  // The same MAC for more than it was made for.
  claimed((header) => ({ ...header, without: rules.flat() }))
  expect(await eraser.retire(id, {}, Number.MAX_SAFE_INTEGER)).toMatchObject({ state: 'erased' })
  expect(await textOf(id)).not.toContain(MARK)
  // What was erased by request is looked through once more, and then the file says so.
  const asked = session()
  await sealed()
  await eraser.request(input(asked))
  for (const _ of [1, 2])
    expect(await eraser.retire(asked, {}, Number.MAX_SAFE_INTEGER)).toEqual({ state: 'nothing', removed: [] })
  expect(await rewriter.concerns(asked, { scope: {}, rule: '*' })).toBe(false)
})
