import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { IntentHead, LabelName, OutcomeHead, SessionId } from '../../core/index.ts'
import { brand, LIMITS } from '../../core/index.ts'
import { closeEntry, intentEntry, openEntry, outcomeEntry, sessionId } from '../../testing/entries.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import { unsyncedFiles } from '../../testing/faulty-files.ts'
import { MemorySessionIndex } from '../../testing/memory-session-index.ts'
import { random, testKeys } from '../../testing/recording-keys.ts'
import { catchUpIndex, Indexer } from '../index.ts'
import { type FileJournal, openJournal } from '../journal/journal.ts'
import { gathering, SessionFacts } from './session-facts.ts'

const EMAIL = { column: 'public.t.email', label: brand<LabelName>('pii') }
const AGENT = 'agent:support-agent'

let directory: string
let clock: FakeClock
let index: MemorySessionIndex
let journal: FileJournal
let indexer: Indexer

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-facts-'))
  clock = new FakeClock()
  index = new MemorySessionIndex()
  const onFault = (error: unknown): void => {
    throw error
  }
  journal = openJournal({ directory, keys: testKeys, clock, random, files: unsyncedFiles, onFault })
  indexer = new Indexer({ directory, keys: testKeys, journal, index, clock, onFault })
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function command(
  id: SessionId,
  n: number,
  intent: Partial<IntentHead> = {},
  end?: Partial<OutcomeHead>,
): void {
  clock.advance(1)
  journal.append(id, intentEntry(n, { columns: [EMAIL], reads: ['public.t'], ...intent }))
  if (end !== undefined) journal.append(id, outcomeEntry(n, end))
  journal.flush()
}

/** All that an index answers. */
async function answers(of: MemorySessionIndex) {
  return {
    who: await of.sightings({ saw: 'pii', labels: [], limit: 100_000 }),
    viewers: await of.viewers({ saw: 'pii', labels: [], limit: 100 }),
    columns: await of.seenColumns({ by: AGENT, limit: 100 }),
    tables: await of.seenTables({ by: AGENT, limit: 100 }),
    masked: (await of.list({ masked: 'pii', limit: 100 })).map((each) => each.session),
    groups: (await of.list({ group: 'agents', limit: 100 })).map((each) => each.session),
  }
}

async function counted() {
  const fresh = new MemorySessionIndex()
  await catchUpIndex(directory, testKeys, fresh)
  return await answers(fresh)
}

test('what is found while it happens is what is found in the journal, whenever it is stored', async () => {
  await indexer.start()
  const [a, b] = [sessionId(clock.now()), sessionId(clock.now() + 1)]
  for (const id of [a, b]) journal.append(id, openEntry())
  command(a, 1, { masked: ['pii'] }, { rows: 3 })
  await indexer.update()
  command(a, 2)
  command(b, 1, { decision: 'hold' })
  await indexer.update()
  journal.append(a, outcomeEntry(2, { rows: 5 }))
  journal.append(b, outcomeEntry(1, { outcome: 'refused', rows: 0, bytes: 0 }))
  command(a, 3, {}, { tag: 'SELECT 0', rows: 0, bytes: 40 })
  command(a, 4, {}, { tag: '200', rows: 0, bytes: 40 })
  command(b, 2)
  journal.append(a, closeEntry(4))
  await indexer.update()
  const found = await answers(index)
  expect(
    found.who.map(({ session, n, shown, rows, outcome }) => [
      session === a ? 'a' : 'b',
      n,
      shown,
      rows,
      outcome,
    ]),
  ).toEqual([
    ['b', 2, 'clear', 0, undefined],
    ['a', 4, 'clear', 0, 'ok'],
    ['a', 2, 'clear', 5, 'ok'],
    ['a', 1, 'masked', 3, 'ok'],
  ])
  expect(found.tables).toEqual([expect.objectContaining({ table: 'public.t', commands: 6 })])
  expect(found.masked).toEqual([a])
  expect(found.groups).toEqual([b, a])
  expect(await counted()).toEqual(found)
})

test('counting in any number of steps gives the same', async () => {
  for (let i = 0; i < 4; i++) {
    const id = sessionId(clock.now() + i)
    journal.append(id, openEntry())
    for (let n = 1; n <= 5; n++)
      command(id, n, n % 2 === 0 ? { masked: ['pii'] } : {}, n === 3 ? undefined : { rows: n })
  }
  const whole = await counted()
  expect(whole.who).toHaveLength(20)
  for (const step of [1, 3, 10]) {
    const stepped = new MemorySessionIndex()
    for (let upTo = 0; upTo <= journal.flushedSequence + step; upTo += step)
      await catchUpIndex(directory, testKeys, stepped, upTo)
    expect(await answers(stepped)).toEqual(whole)
  }
})

test('what does not fit in memory is read from the journal', async () => {
  await indexer.start()
  const id = sessionId(clock.now())
  journal.append(id, openEntry())
  const many = LIMITS.sightingsWaitingMax + 10
  for (let n = 1; n <= many; n++) {
    journal.append(id, intentEntry(n, { columns: [EMAIL] }))
    if (n < many) journal.append(id, outcomeEntry(n))
  }
  await indexer.update()
  journal.append(id, outcomeEntry(many, { rows: 77 }))
  journal.append(id, closeEntry(many))
  await indexer.update()
  const found = await answers(index)
  expect(found.who).toHaveLength(many)
  expect(found.who[0]).toMatchObject({ n: many, rows: 77 })
  expect(await counted()).toEqual(found)
})

test('while the store fails nothing is lost and nothing is counted twice', async () => {
  await indexer.start()
  const id = sessionId(clock.now())
  journal.append(id, openEntry())
  const { upsert } = index
  index.upsert = () => Promise.reject(new Error('store'))
  command(id, 1, {}, { rows: 2 })
  await expect(indexer.update()).rejects.toThrow('store')
  command(id, 2, {}, { rows: 3 })
  await expect(indexer.update()).rejects.toThrow('store')
  index.upsert = upsert
  await indexer.update()
  expect((await answers(index)).tables).toMatchObject([{ commands: 2 }])
  expect(await counted()).toEqual(await answers(index))
})

test('a session that names more than is kept counts as having named anything', () => {
  const facts = new SessionFacts(sessionId())
  for (let n = 1; n <= LIMITS.factsPerSessionMax + 10; n++)
    facts.note(n, intentEntry(n, { reads: [`${'t'.repeat(LIMITS.factCharactersMax - 5)}${n}more`] }))
  const found = gathering()
  facts.take(found)
  expect(found.facts.length).toBeLessThanOrEqual(LIMITS.factsPerSessionMax + 1)
  expect(found.facts.find(({ kind, value }) => kind === 'read' && value === '*')?.commands).toBeGreaterThan(0)
  expect(Math.max(...found.facts.map(({ value }) => value.length))).toBe(LIMITS.factCharactersMax)
})

test('recordings of before columns were named say which labels were masked', () => {
  const facts = new SessionFacts(sessionId())
  facts.note(1, intentEntry(1, { masked: ['pii'] }))
  const found = gathering()
  facts.take(found)
  expect(found.sightings).toMatchObject([{ column: '*', label: 'pii', shown: 'masked' }])
})

test('the index has no names that only the client says exist (P-06)', () => {
  const facts = new SessionFacts(sessionId())
  facts.note(0, openEntry())
  facts.note(
    1,
    intentEntry(1, {
      decision: 'deny',
      reads: ['SSN-4444', 'public.t'],
      writes: ['SSN-5555'],
      typed: ['SSN-4444', 'SSN-5555'],
    }),
  )
  const found = gathering()
  facts.take(found)
  expect(found.facts.filter(({ kind }) => kind === 'tried').map(({ value }) => value)).toEqual(['public.t'])
  expect(JSON.stringify(found)).not.toContain('SSN')
})
