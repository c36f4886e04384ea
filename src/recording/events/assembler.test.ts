import { expect, test } from 'vitest'
import { LIMITS } from '../../core/index.ts'
import {
  adminEntry,
  closeEntry,
  intentEntry,
  openEntry,
  outcomeEntry,
  sessionId,
} from '../../testing/entries.ts'
import { EventAssembler, type EntryPlace } from './assembler.ts'

const MARKER = 'marker@example.com'
const session = sessionId()
const journal: EntryPlace[] = [
  { sequence: 1, time: 1_000, session, entry: openEntry() },
  {
    sequence: 2,
    time: 2_000,
    session,
    entry: intentEntry(1, { text: `SELECT '${MARKER}'`, parameters: ['AAEC'], reads: ['public.t'] }),
  },
  { sequence: 3, time: 2_500, session, entry: outcomeEntry(1, {}, Buffer.from(MARKER)) },
  { sequence: 4, time: 3_000, session, entry: intentEntry(2, { decision: 'hold' }) },
  {
    sequence: 5,
    time: 3_500,
    session: undefined,
    entry: adminEntry({ action: 'secret.set', by: 'person:ada' }),
  },
  {
    sequence: 6,
    time: 4_000,
    session,
    entry: {
      kind: 'answer',
      head: { n: 2, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve', reason: MARKER },
    },
  },
  { sequence: 7, time: 4_500, session, entry: outcomeEntry(2) },
  { sequence: 8, time: 5_000, session, entry: intentEntry(3) },
  { sequence: 9, time: 6_000, session, entry: closeEntry(3) },
]

function assembler(statements = false, before: readonly EntryPlace[] = []): EventAssembler {
  return new EventAssembler({
    program: '9.9.9',
    statements,
    async *recall() {
      yield* before
    },
  })
}

async function eventsOf(made: EventAssembler, places: readonly EntryPlace[], isTold = false) {
  const all = []
  for (const each of places) all.push(...(await made.take(each, isTold)))
  return all
}

test('a session, its commands and what administrators do are events of their own, in the order in which they ended', async () => {
  const made = assembler()
  const events = await eventsOf(made, journal)
  expect(events.map(({ id, sequence }) => [id, sequence])).toEqual([
    [`${session}-open`, 1],
    [`${session}-1`, 3],
    ['entry-5-3500', 5],
    [`${session}-2`, 7],
    [`${session}-3`, 9],
    [`${session}-close`, 9],
  ])
  expect(events.map(({ ocsf }) => ocsf.type_uid)).toEqual([
    300_201, 600_504, 300_499, 600_504, 600_504, 300_202,
  ])
  expect(events[1]).toMatchObject({
    what: 'command',
    time: 2_000,
    frameTime: 2_500,
    facts: {
      session,
      identity: 'agent:support-agent',
      onBehalfOf: 'person:ada@example.com',
      connection: 'crm',
      decision: 'allow',
      rule: 'agents read (sluice.yaml:12)',
    },
    ocsf: { metadata: { uid: `${session}-1` }, unmapped: { reads: ['public.t'], rows: 1 } },
  })
  expect(events[3]?.ocsf).toMatchObject({ unmapped: { approval: { answer: 'approved', by: 'person:eve' } } })
  expect(events[4]?.ocsf).toMatchObject({ status: 'Unknown' })
  expect(made.sessions).toBe(0)
})

test('neither results, parameters nor reasons of answers are in an event, and statements only where they are asked for (P-02)', async () => {
  const without = await eventsOf(assembler(), journal)
  expect(JSON.stringify(without)).not.toContain(MARKER)
  expect(JSON.stringify(without)).not.toContain('SELECT 2')
  const events = await eventsOf(assembler(true), journal)
  expect(events[1]?.ocsf).toMatchObject({ query_info: { query_string: `SELECT '${MARKER}'` } })
  expect(JSON.stringify(events).split(MARKER)).toHaveLength(JSON.stringify(events[1]).split(MARKER).length)
  expect(JSON.stringify(events)).not.toContain('AAEC')
})

test('what a client mistyped is told with statements only: not why it was refused, nor names that nobody else knows (P-02)', async () => {
  const refused = [
    { sequence: 1, time: 1, session, entry: openEntry() },
    {
      sequence: 2,
      time: 2,
      session,
      entry: intentEntry(1, {
        text: `SELECT * FROM customers WHERE email = "${MARKER}"`,
        decision: 'deny',
        reason: `column "${MARKER}" does not exist`,
        reads: ['public.customers', MARKER],
        writes: [`public."${MARKER}"`],
        typed: [MARKER, `public."${MARKER}"`],
      }),
    },
    { sequence: 3, time: 3, session, entry: outcomeEntry(1, { outcome: 'refused', tag: '42703' }) },
  ]
  const [, event] = await eventsOf(assembler(), refused)
  expect(event?.json).not.toContain(MARKER)
  expect(event?.ocsf).toMatchObject({
    status_code: '42703',
    unmapped: { reads: ['public.customers'], writes: [] },
  })
  const [, whole] = await eventsOf(assembler(true), refused)
  expect(whole?.ocsf).toMatchObject({
    status_detail: `column "${MARKER}" does not exist`,
    unmapped: { reads: ['public.customers', MARKER] },
  })
})

test('of a request that may not be shown the method and the route are', async () => {
  const request = [
    { sequence: 1, time: 1, session, entry: openEntry({ protocol: 'http' }) },
    { sequence: 2, time: 2, session, entry: intentEntry(1, { text: `GET /c?e=${MARKER}`, reads: ['/c'] }) },
    { sequence: 3, time: 3, session, entry: outcomeEntry(1, { tag: '200' }) },
  ]
  const [, event] = await eventsOf(assembler(), request)
  expect(event?.ocsf).toMatchObject({
    activity_name: 'Read',
    http_request: { http_method: 'GET' },
    api: { operation: '/c' },
  })
  expect(event?.json).not.toContain(MARKER)
})

test('cut anywhere, the events behind the cut are the same, byte for byte', async () => {
  const whole = await eventsOf(assembler(true), journal)
  for (let cut = 0; cut <= journal.length; cut++) {
    // What is before the cut was told: it is only taken note of, or is not there at all and recalled.
    for (const known of [0, cut]) {
      const made = assembler(true, journal)
      await eventsOf(made, journal.slice(known, cut), true)
      const rest = await eventsOf(made, journal.slice(cut))
      const expected = whole.filter(({ sequence }) => sequence > cut)
      expect(rest.map(({ json }) => json)).toEqual(expected.map(({ json }) => json))
    }
  }
})

test('what a client sent to a command is in no event (P-06)', async () => {
  const input: EntryPlace = {
    sequence: 3,
    time: 2_400,
    session,
    entry: { kind: 'input', head: { n: 1 }, body: Buffer.from(MARKER), digest: Buffer.from(MARKER) },
  }
  const without = await eventsOf(assembler(), [...journal.slice(0, 2), ...journal.slice(2, 3)])
  expect(await eventsOf(assembler(), [...journal.slice(0, 2), input, ...journal.slice(2, 3)])).toEqual(
    without,
  )
})

test('a command that began before what is recalled and ended before it is told does not come twice', async () => {
  const made = assembler(false, journal.slice(0, 2))
  expect(await eventsOf(made, journal.slice(2, 3), true)).toEqual([])
  const events = await eventsOf(made, journal.slice(3))
  expect(events.map(({ id }) => id)).not.toContain(`${session}-1`)
  expect(events[1]?.facts.identity).toBe('agent:support-agent')
})

test('a session of which nothing can be read any more is told of all the same', async () => {
  const [event] = await eventsOf(assembler(), journal.slice(8))
  expect(event).toMatchObject({ id: `${session}-close`, facts: { connection: 'unknown' } })
})

test('statements and lists have a limit, and the event says that it was met', async () => {
  const text = `SELECT ${'x'.repeat(LIMITS.streamTextMax)}`
  const reads = Array.from({ length: 20_000 }, (_, n) => `public.table_${n}`)
  const long = [
    journal[0],
    { sequence: 2, time: 2, session, entry: intentEntry(1, { text, reads }) },
    journal[2],
  ]
  const events = await eventsOf(
    assembler(true),
    long.flatMap((each) => each ?? []),
  )
  expect(events[1]?.json.length).toBeLessThan(LIMITS.streamEventCharactersMax)
  expect(events[1]?.ocsf).toMatchObject({ unmapped: { statement_cut_from: text.length, lists_cut: true } })
})
