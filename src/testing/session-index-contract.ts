import { describe, expect, it } from 'vitest'
import type { SessionId } from '../core/index.ts'
import { brand } from '../core/index.ts'
import type { SessionIndex, SessionSummary } from '../recording/index.ts'

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
  })
}
