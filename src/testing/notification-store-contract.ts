import { describe, expect, it } from 'vitest'
import { brand, type Ticket } from '../core/index.ts'
import type { NewNotification, NotificationStore } from '../notifications/port.ts'

/** What every store of notifications does. */
export function notificationStoreContract(name: string, open: () => Promise<NotificationStore>): void {
  const one = (id: string, rest: Partial<NewNotification> = {}): NewNotification => ({
    id,
    channel: 'ops',
    ticket: brand<Ticket>('T-00000000'),
    event: 'requested',
    at: 1_000,
    position: 0,
    ...rest,
  })

  describe(`${name} keeps notifications`, () => {
    it('gives those of a channel that wait, in the order in which they happened, each once', async () => {
      const store = await open()
      await store.add([one('b', { at: 5 }), one('c', { at: 5, position: 1 }), one('a', { at: 7 })])
      await store.add([one('b', { at: 9 }), one('x', { channel: 'other' })])
      await store.add([])
      expect((await store.due('ops', 7, 10)).map(({ id }) => id)).toEqual(['b', 'c', 'a'])
      expect((await store.due('ops', 6, 10)).map(({ id }) => id)).toEqual(['b', 'c'])
      expect((await store.due('ops', 7, 1)).map(({ id }) => id)).toEqual(['b'])
      expect(await store.waiting('ops')).toBe(3)
      expect(await store.get('b')).toEqual({ ...one('b', { at: 5 }), attempts: 0, state: 'waiting' })
      expect(await store.get('none')).toBeUndefined()
    })

    it('lets one of many take it, until the lease is over', async () => {
      const store = await open()
      await store.add([one('a')])
      const [row] = await store.due('ops', 1_000, 1)
      if (row === undefined) throw new Error('nothing is due')
      const taken = await Promise.all(Array.from({ length: 10 }, () => store.take(row, 1_000, 2_000)))
      expect(taken.filter(Boolean)).toHaveLength(1)
      expect(await store.due('ops', 1_999, 1)).toEqual([])
      expect(await store.due('ops', 2_000, 1)).toMatchObject([{ id: 'a', attempts: 1 }])
      expect(await store.take(row, 2_000, 3_000)).toBe(false)
    })

    it('lets it wait, and ends it with what the receiver calls it', async () => {
      const store = await open()
      await store.add([one('a'), one('b')])
      await store.postpone('a', 5_000)
      expect((await store.due('ops', 4_999, 9)).map(({ id }) => id)).toEqual(['b'])
      await store.end('a', 'sent', 'C1 2.3')
      await store.end('b', 'skipped')
      expect(await store.due('ops', 9_999, 9)).toEqual([])
      expect(await store.waiting('ops')).toBe(0)
      expect(await store.get('a')).toMatchObject({ state: 'sent', ref: 'C1 2.3' })
      expect(await store.get('b')).not.toHaveProperty('ref')
      await store.add([one('a')])
      expect(await store.get('a')).toMatchObject({ state: 'sent' })
    })

    it('J-07: lets a signed message count once, of each channel, and forgets it in time', async () => {
      const store = await open()
      const claims = await Promise.all(Array.from({ length: 10 }, () => store.claim('ops', 'evt_1', 1_000)))
      expect(claims.filter(Boolean)).toHaveLength(1)
      expect(await store.claim('chat', 'evt_1', 1_000)).toBe(true)
      await store.add([one('a', { at: 10 }), one('b', { at: 20 })])
      await store.prune(20, 1_000)
      expect(await store.claim('ops', 'evt_1', 1_000)).toBe(false)
      await store.prune(20, 1_001)
      expect(await store.claim('ops', 'evt_1', 1_000)).toBe(true)
      expect(await store.get('a')).toBeUndefined()
      expect(await store.get('b')).toBeDefined()
    })
  })
}
