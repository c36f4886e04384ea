/** Erasing, with each system call of it failing, from each on, and killed at each. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  directoryAuditSource,
  journalFrames,
  nodePrimitives,
  payloadOpener,
  verifyRecording,
} from '../../src/audit/index.ts'
import type { SessionId } from '../../src/core/index.ts'
import { DirectoryStorage, nodeSha256, parseVerifierKey } from '../../src/evidence/index.ts'
import { Eraser } from '../../src/recording/erasure/eraser.ts'
import { concerns, putInPlace, thinned } from '../../src/recording/erasure/rewrite.ts'
import { logDirectory, sessionFile, thinnedFile } from '../../src/recording/files/names.ts'
import { openJournal } from '../../src/recording/journal/journal.ts'
import { readSession } from '../../src/recording/reading/reader.ts'
import {
  closeEntry,
  collect,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../src/testing/entries.ts'
import { FakeClock } from '../../src/testing/fake-clock.ts'
import { unsyncedFiles } from '../../src/testing/faulty-files.ts'
import { random, testKeys } from '../../src/testing/recording-keys.ts'
import { seal } from '../../src/testing/seal.ts'
import { times } from '../support/proof.ts'
import { FAULTS, meet, type Program, type Ran, stepsOf, waysOf } from './stepped.ts'

const PROGRAM = fileURLToPath(new URL('../../src/testing/eraser-program.ts', import.meta.url))
const MARK = 'marker@example.com'
/** Of each kind of call, so many: all there are, in full. */
const MANY = times({ small: 1, full: 1_000 })

const place = mkdtempSync(join(tmpdir(), 'sluice-erasing-'))
afterAll(() => rmSync(place, { recursive: true, force: true }))

/** A recording that is sealed whole: what each try begins with. */
const whole = join(place, 'whole')
const directory = join(place, 'data')
const clock = new FakeClock()
let asked: SessionId
let other: SessionId
let now: number

function journalHere() {
  return openJournal({
    directory,
    keys: testKeys,
    random,
    clock,
    files: unsyncedFiles,
    onFault: (error) => expect.fail(String(error)),
  })
}

/** Seals all there is, as the gateway does, and lets go of the journal. */
async function sealed(): Promise<void> {
  journalHere().close()
  const storage = await DirectoryStorage.open(logDirectory(directory))
  await seal(directory, clock, { storage, indexed: () => Number.MAX_SAFE_INTEGER })
}

function recorded(): SessionId {
  const journal = journalHere()
  const id = sessionId(clock.now())
  journal.append(id, openEntry())
  journal.append(
    id,
    intentEntry(1, { text: `SELECT '${MARK}'`, parameters: [Buffer.from(MARK).toString('base64')] }),
  )
  journal.append(id, outcomeEntry(1, {}, Buffer.from(`${MARK}${'x'.repeat(400_000)}`)))
  journal.append(id, closeEntry(1))
  journal.close()
  clock.advance(1_000)
  return id
}

/** How often the mark can still be read in a session, and how many entries it has. */
async function shown(id: SessionId): Promise<{ readonly marks: number; readonly entries: number }> {
  const entries = await collect(readSession(directory, testKeys, id))
  const texts = entries.map(({ entry }) => {
    const { parameters = [] } = entry.kind === 'intent' ? entry.head : {}
    const body = 'body' in entry ? Buffer.from(entry.body ?? []).toString() : ''
    return [
      JSON.stringify(entry.head),
      body,
      ...parameters.map((each) => Buffer.from(each ?? '', 'base64')),
    ].join()
  })
  return { marks: texts.join().split(MARK).length - 1, entries: entries.length }
}

/** What the next start does: repairs the journal, and does what was asked for. */
async function startedAgain(isAccepted: boolean): Promise<void> {
  const journal = journalHere()
  const eraser = new Eraser({
    directory,
    keys: testKeys,
    journal,
    rewriter: {
      concerns: (id, removal) => concerns({ directory, keys: testKeys }, id, removal),
      thin: (id, removal) => thinned({ directory, keys: testKeys, random }, id, removal),
      putInPlace: (id, found) => putInPlace(directory, id, found),
    },
    clock,
    isHeld: () => false,
    onErased: () => Promise.resolve(),
    onFault: (error) => expect.fail(String(error)),
  })
  await eraser.run()
  expect(await eraser.waiting()).toBe(0)
  // What was never accepted can be asked for again.
  if (!isAccepted) await eraser.request({ session: asked, scope: {}, by: 'person:ada', reason: 'case 4711' })
  expect(await eraser.waiting()).toBe(0)
  await eraser.stop()
  journal.close()
}

async function verdict() {
  const key = parseVerifierKey(nodeSha256, readFileSync(join(logDirectory(directory), 'key'), 'utf8').trim())
  return await verifyRecording({
    source: directoryAuditSource(directory),
    primitives: nodePrimitives,
    keys: [key],
    payloads: payloadOpener(testKeys),
    journal: journalFrames(directory, testKeys),
  })
}

const program: Program = {
  args: [],
  paths: () => {
    const [path, drafts] = [sessionFile(directory, asked), join(directory, 'erasures')]
    const request = join(drafts, `${asked}.${now}.json`)
    const journal = Array.from({ length: 12 }, (_, i) =>
      join(directory, 'journal', `${String(i + 1).padStart(8, '0')}.slj`),
    )
    return [
      directory,
      join(directory, 'journal'),
      ...journal,
      drafts,
      request,
      `${request}.new`,
      join(path, '..'),
      path,
      thinnedFile(path),
    ]
  },
}
const programNow = (): Program => ({ ...program, args: [PROGRAM, directory, asked, String(now)] })

function begin(): void {
  rmSync(directory, { recursive: true, force: true })
  cpSync(whole, directory, { recursive: true })
}

let entries: number
let steps: Awaited<ReturnType<typeof stepsOf>>
beforeAll(async () => {
  asked = recorded()
  other = recorded()
  await sealed()
  await sealed()
  now = clock.now()
  entries = (await shown(asked)).entries
  expect(await shown(asked)).toMatchObject({ marks: 3 })
  cpSync(directory, whole, { recursive: true })
  begin()
  steps = await stepsOf(programNow())
  expect(await shown(asked)).toMatchObject({ marks: 0 })
}, 120_000)

/** What must hold however it ended, and after the next start. */
async function holds(ran: Ran, where: string): Promise<void> {
  const [said = ''] = ran.said
  expect(said, where).toMatch(/^(|erased|(refused|failed) \w+)$/)
  if (ran.signal === null) expect(said, where).not.toBe('')
  // At each moment the session is there with all its entries, and nothing comes back that was said to be erased.
  const { marks, entries: found } = await shown(asked)
  expect(found, where).toBe(entries)
  expect([0, 3], where).toContain(marks)
  if (said === 'erased') expect(marks, where).toBe(0)
  const folder = join(directory, 'erasures')
  const isAccepted =
    marks === 0 || (existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.json')))

  await startedAgain(isAccepted)
  await sealed()
  expect(await shown(asked), where).toEqual({ marks: 0, entries })
  expect(await shown(other), where).toEqual({ marks: 3, entries })
  expect(
    readFileSync(sessionFile(directory, other)).equals(
      readFileSync(join(whole, 'sessions', ...sessionFile('', other).split('/').slice(-2))),
    ),
    where,
  ).toBe(true)
  const { proved, failures, sessions, removals } = await verdict()
  expect(failures, where).toEqual([])
  expect(proved, where).toBe(true)
  expect(
    sessions.map(({ state }) => state),
    where,
  ).toEqual(['proved', 'proved'])
  expect(new Set(removals.map(({ session, payload }) => `${session} ${payload}`)), where).toEqual(
    new Set(['text', 'parameters', 'body'].map((payload) => `${asked} ${payload}`)),
  )
  const left = readdirSync(join(sessionFile(directory, asked), '..'))
  expect(left.sort(), where).toEqual([`${asked}.slr`, `${other}.slr`].sort())
}

describe.each(FAULTS)('while erasing, $name', (fault) => {
  test.each(waysOf(fault))(
    'a system call that fails %s: nothing that is erased comes back, and nothing else goes (P-07)',
    (how) => meet(fault, how, MANY, { program: programNow, steps, begin, holds }),
    3_600_000,
  )
})
