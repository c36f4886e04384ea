import { describe, expect, it } from 'vitest'
import type { SessionId } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { FactKind, SessionFact, SessionIndex, SessionSummary, Sighting } from '../recording/index.ts'

function summary(session: string, changes: Partial<SessionSummary> = {}): SessionSummary {
  return {
    session: brand<SessionId>(session),
    openedAt: 1_767_225_600_000,
    connection: 'crm',
    protocol: 'postgres',
    chain: ['agent:support-agent', 'person:ada@example.com'],
    credential: 'c_1',
    mintedBy: 'operator socket',
    clientAddress: '127.0.0.1',
    program: "psql 'quoted'",
    database: 'crm',
    config: 'cfg_1',
    commands: 3,
    denied: 1,
    held: 0,
    rows: 5_000_000_000,
    bytes: Number.MAX_SAFE_INTEGER,
    ...changes,
  }
}

function fact(session: SessionId, kind: FactKind, value: string): SessionFact {
  return { session, kind, value, commands: 1, firstAt: 1, lastAt: 1 }
}

/** What every list of sessions does; the real one and its twin run through it. */
export function sessionIndexContract(name: string, open: () => Promise<SessionIndex>): void {
  describe(`${name} keeps the list of sessions`, () => {
    it('begins empty, and gives back exactly what was put', async () => {
      const index = await open()
      expect(await index.position()).toBe(0)
      expect(await index.list({ limit: 10 })).toEqual([])
      const closed = summary('B', { closedAt: 5, closeReason: 'client gone', chain: ['person:ada'] })
      await index.upsert([summary('A'), closed], 7)
      expect(await index.position()).toBe(7)
      expect(await index.get(closed.session)).toEqual(closed)
      expect(await index.get(brand<SessionId>('C'))).toBeUndefined()
      expect(await index.list({ limit: 10 })).toEqual([closed, summary('A')])
    })

    it('replaces a session as a whole, the last word in one call counting', async () => {
      const index = await open()
      await index.upsert([summary('A', { closedAt: 9 })], 1)
      await index.upsert([summary('A', { commands: 4 }), summary('A', { commands: 5 })], 2)
      expect(await index.list({ limit: 10 })).toEqual([summary('A', { commands: 5 })])
      await index.upsert([], 3)
      expect(await index.position()).toBe(3)
    })

    it('takes more sessions at once than fit in one statement', async () => {
      const index = await open()
      const many = Array.from({ length: 2_345 }, (_, i) => summary(`S${String(i).padStart(5, '0')}`))
      await index.upsert(many, 1)
      const page = await index.list({ limit: 1_000 })
      expect(page).toHaveLength(1_000)
      expect(page[0]?.session).toBe('S02344')
    })

    it('lists what matches every part of the filter, newest first, page by page', async () => {
      const index = await open()
      await index.upsert(
        [
          summary('A', { openedAt: 1, connection: 'erp' }),
          summary('B', { openedAt: 2, closedAt: 9 }),
          summary('C', { openedAt: 3, chain: ['person:bob'] }),
          summary('D', { openedAt: 4, closedAt: 9, chain: ['agent:x', 'person:bob'] }),
        ],
        1,
      )
      const ids = async (filter: Omit<Parameters<SessionIndex['list']>[0], 'limit'>, limit = 10) =>
        (await index.list({ ...filter, limit })).map((each) => each.session).join('')
      expect(await ids({})).toBe('DCBA')
      expect(await ids({}, 2)).toBe('DC')
      expect(await ids({ before: brand<SessionId>('C') }, 2)).toBe('BA')
      expect(await ids({ connection: 'erp' })).toBe('A')
      expect(await ids({ identity: 'person:bob' })).toBe('DC')
      expect(await ids({ identity: 'person:bo' })).toBe('')
      expect(await ids({ open: true })).toBe('CA')
      expect(await ids({ open: false })).toBe('DB')
      expect(await ids({ openedFrom: 2, openedBefore: 4 })).toBe('CB')
      expect(await ids({ identity: 'person:bob', open: true, connection: 'crm' })).toBe('C')
    })

    it('finds sessions by what was found of them, and adds up what is found later', async () => {
      const index = await open()
      const [a, b, c] = ['A', 'B', 'C'].map((id) => brand<SessionId>(id)) as [SessionId, SessionId, SessionId]
      await index.upsert([summary('A'), summary('B'), summary('C')], 1, {
        facts: [
          fact(a, 'group', 'agents'),
          fact(a, 'read', 'public.t'),
          fact(b, 'written', 'public.t'),
          fact(c, 'read', '*'),
        ],
        sightings: [],
        ends: [],
      })
      const ids = async (filter: Omit<Parameters<SessionIndex['list']>[0], 'limit'>) =>
        (await index.list({ ...filter, limit: 10 })).map((each) => each.session).join('')
      expect(await ids({ group: 'agents' })).toBe('A')
      expect(await ids({ read: 'public.t' })).toBe('CA')
      expect(await ids({ written: 'public.t' })).toBe('B')
      expect(await ids({ table: 'public.t' })).toBe('CBA')
      expect(await ids({ table: 'public.t', group: 'agents' })).toBe('A')
      expect(await ids({ masked: 'pii' })).toBe('')
      const more = {
        facts: [fact(a, 'masked', 'pii'), { ...fact(a, 'read', 'public.t'), firstAt: 8, lastAt: 9 }],
        sightings: [],
        ends: [],
      }
      await index.upsert([], 2, more)
      expect(await ids({ masked: 'pii' })).toBe('A')
      const by = 'agent:support-agent'
      expect(await index.seenTables({ by, limit: 1 })).toEqual([
        { kind: 'read', table: '*', commands: 1, firstAt: 1, lastAt: 1 },
      ])
      expect((await index.seenTables({ by, from: 9, limit: 9 })).map((each) => each.table)).toEqual([
        'public.t',
      ])
      expect(await index.seenTables({ by, limit: 9 })).toEqual([
        { kind: 'read', table: '*', commands: 1, firstAt: 1, lastAt: 1 },
        { kind: 'read', table: 'public.t', commands: 2, firstAt: 1, lastAt: 9 },
        { kind: 'written', table: 'public.t', commands: 1, firstAt: 1, lastAt: 1 },
      ])
      expect(await index.seenTables({ by: 'agent:other', limit: 9 })).toEqual([])
    })

    it('tells who saw a column or a label, masked or clear, and not whose result was empty', async () => {
      const index = await open()
      const [a, b] = ['A', 'B'].map((id) => brand<SessionId>(id)) as [SessionId, SessionId]
      const seen = (session: SessionId, n: number, rest: Partial<Sighting> = {}): Sighting => ({
        session,
        n,
        at: n,
        column: 'public.t.email',
        label: 'pii',
        shown: 'masked',
        rows: 2,
        bytes: 9,
        empty: false,
        outcome: 'ok',
        ...rest,
      })
      const under = seen(b, 4)
      delete (under as { outcome?: string }).outcome
      await index.upsert([summary('A'), summary('B', { chain: ['person:bob'] })], 1, {
        facts: [],
        sightings: [
          seen(a, 1),
          seen(a, 1, { column: 'public.u.email' }),
          seen(a, 2, { empty: true, rows: 0 }),
          seen(a, 3, { shown: 'clear', column: '*' }),
          { ...under, rows: 0 },
          seen(b, 5),
          seen(b, 6, { column: 'public.t.x', label: 'other' }),
        ],
        ends: [],
      })
      const chain = ['agent:support-agent', 'person:ada@example.com']
      const asked = { saw: 'public.t.email', labels: ['pii'], limit: 10 }
      const found = await index.sightings(asked)
      expect(found.map(({ session, n }) => `${session}${n}`)).toEqual(['B5', 'B4', 'A3', 'A1'])
      expect(found[0]).toEqual({ ...seen(b, 5), chain: ['person:bob'], connection: 'crm' })
      expect(found[1]?.outcome).toBeUndefined()
      const [, second] = found
      expect(
        (await index.sightings({ ...asked, ...(second && { after: second }), limit: 1 })).map(({ n }) => n),
      ).toEqual([3])
      expect((await index.sightings({ ...asked, labels: [] })).map(({ n }) => n)).toEqual([5, 4, 1])
      expect((await index.sightings({ ...asked, from: 4, before: 5 })).map(({ n }) => n)).toEqual([4])
      expect(await index.viewers({ ...asked, saw: 'pii' })).toEqual([
        { chain: ['person:bob'], shown: 'masked', commands: 2, rows: 2, firstAt: 4, lastAt: 5 },
        { chain, shown: 'clear', commands: 1, rows: 2, firstAt: 3, lastAt: 3 },
        { chain, shown: 'masked', commands: 1, rows: 2, firstAt: 1, lastAt: 1 },
      ])
      expect(await index.labelsOf('public.t.email')).toEqual(['pii'])
      expect(await index.seenColumns({ by: 'person:bob', limit: 9 })).toEqual([
        {
          column: 'public.t.x',
          label: 'other',
          shown: 'masked',
          commands: 1,
          rows: 2,
          firstAt: 6,
          lastAt: 6,
        },
        {
          column: 'public.t.email',
          label: 'pii',
          shown: 'masked',
          commands: 2,
          rows: 2,
          firstAt: 4,
          lastAt: 5,
        },
      ])
      const end = { session: b, n: 4, outcome: 'refused', rows: 0, bytes: 0, empty: true } as const
      await index.upsert([], 2, { facts: [], sightings: [], ends: [end] })
      expect((await index.sightings(asked)).map(({ n }) => n)).toEqual([5, 3, 1])
      // The end of a command that was under way replaces what was known of it.
      await index.upsert([], 3, { facts: [], sightings: [seen(b, 4, { rows: 7 })], ends: [] })
      expect((await index.sightings(asked)).map(({ rows }) => rows)).toEqual([2, 7, 2, 2])
    })
  })
}
