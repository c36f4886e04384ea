import { describe, expect, it } from 'vitest'
import type { BudgetStore } from '../budgets/index.ts'

/** What every store of budget accounts does. */
export function budgetStoreContract(name: string, open: () => Promise<BudgetStore>): void {
  describe(`${name} keeps budget accounts`, () => {
    const key = { day: '2026-01-02', budget: 'agents', identity: 'agent:bot' }
    const some = { rows: 5, bytes: 6_000_000_000, records: 2, questions: 1 }

    it('adds and gives back, and says what is taken now', async () => {
      const store = await open()
      expect(await store.add(key, some, 'one')).toEqual(some)
      expect(await store.add(key, { ...some, rows: -3 }, 'two')).toEqual({
        rows: 2,
        bytes: 12_000_000_000,
        records: 4,
        questions: 2,
      })
      expect(await store.since('2026-01-01')).toEqual([
        { ...key, rows: 2, bytes: 12_000_000_000, records: 4, questions: 2, sketch: 'two' },
      ])
    })

    it('keeps days, budgets and identities apart, and forgets earlier days', async () => {
      const store = await open()
      const others = [
        key,
        { ...key, identity: 'agent:other' },
        { ...key, budget: 'others' },
        { ...key, day: '2026-01-03' },
      ]
      for (const each of others) await store.add(each, some, '')
      expect(await store.since('2026-01-02')).toEqual(
        others.map((each) => ({ ...each, ...some, sketch: '' })),
      )
      expect(await store.since('2026-01-03')).toHaveLength(1)
      await store.forget('2026-01-03')
      expect(await store.since('2026-01-01')).toHaveLength(1)
    })

    it('loses nothing when many add at once', async () => {
      const store = await open()
      await Promise.all(Array.from({ length: 50 }, () => store.add(key, some, '')))
      expect(await store.since(key.day)).toMatchObject([{ rows: 250, questions: 50 }])
    })
  })
}
