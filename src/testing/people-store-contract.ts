import { describe, expect, it } from 'vitest'
import type { BlockStore, EnrolledPerson, Invitation, PeopleStore } from '../identity/index.ts'

const ADA = 'person:ada@example.com'
const BOB = 'person:bob@example.com'

function enrolled(person: string, changes: Partial<EnrolledPerson> = {}): EnrolledPerson {
  return {
    person,
    enrolledAt: 1_767_225_600_000,
    device: 'device',
    lastStep: 100,
    failures: 0,
    lockedUntil: 0,
    ...changes,
  }
}

function invitation(person: string, hash: string): Invitation {
  return { hash, person, expiresAt: 1_767_225_600_000, invitedBy: 'operator' }
}

/** What every store of people does; the real one and its twin run through it. */
export function peopleStoreContract(name: string, open: () => Promise<PeopleStore>): void {
  describe(`${name} keeps people`, () => {
    it('enrols with an invitation, once', async () => {
      const store = await open()
      await store.invite(invitation(ADA, 'one'))
      expect(await store.invitation('one')).toEqual(invitation(ADA, 'one'))
      const results = await Promise.all([1, 2, 3].map(() => store.redeem('one', enrolled(ADA))))
      expect(results.filter(Boolean)).toHaveLength(1)
      expect(await store.invitation('one')).toBeUndefined()
      expect(await store.find(ADA)).toEqual(enrolled(ADA))
      expect(await store.find(BOB)).toBeUndefined()
    })

    it('enrols nobody with an unknown invitation, or with somebody else’s', async () => {
      const store = await open()
      await store.invite(invitation(ADA, 'one'))
      expect(await store.redeem('two', enrolled(ADA))).toBe(false)
      expect(await store.redeem('one', enrolled(BOB))).toBe(false)
      expect(await store.all()).toEqual([])
      expect(await store.invitation('one')).toBeDefined()
    })

    it('has one invitation for a person: the latest', async () => {
      const store = await open()
      await store.invite(invitation(ADA, 'one'))
      await store.invite(invitation(ADA, 'two'))
      expect(await store.invitation('one')).toBeUndefined()
      expect(await store.redeem('two', enrolled(ADA))).toBe(true)
    })

    it('replaces an enrolment as a whole', async () => {
      const store = await open()
      const next = enrolled(ADA, { device: 'next', lastStep: 7, enrolledAt: 5 })
      await store.invite(invitation(ADA, 'one'))
      await store.redeem('one', enrolled(ADA))
      await store.fail(ADA, 3, 99)
      await store.invite(invitation(ADA, 'two'))
      await store.redeem('two', next)
      expect(await store.all()).toEqual([next])
    })

    it('uses each time step once, only forwards, and forgets failures then', async () => {
      const store = await open()
      await store.invite(invitation(ADA, 'one'))
      await store.redeem('one', enrolled(ADA))
      await store.fail(ADA, 3, 99)
      expect(await store.find(ADA)).toEqual(enrolled(ADA, { failures: 3, lockedUntil: 99 }))
      expect(await store.useStep(ADA, 100)).toBe(false)
      expect(await store.useStep(ADA, 99)).toBe(false)
      const results = await Promise.all([1, 2, 3, 4].map(() => store.useStep(ADA, 102)))
      expect(results.filter(Boolean)).toHaveLength(1)
      expect(await store.useStep(ADA, 101)).toBe(false)
      expect(await store.find(ADA)).toEqual(enrolled(ADA, { lastStep: 102 }))
      expect(await store.useStep(BOB, 1)).toBe(false)
    })

    it('forgets a person with the invitation', async () => {
      const store = await open()
      await store.invite(invitation(ADA, 'one'))
      await store.redeem('one', enrolled(ADA))
      await store.invite(invitation(ADA, 'two'))
      await store.remove(ADA)
      expect(await store.all()).toEqual([])
      expect(await store.invitation('two')).toBeUndefined()
    })
  })
}

/** What every store of blocked identities does; the real one and its twin run through it. */
export function blockStoreContract(name: string, open: () => Promise<BlockStore>): void {
  describe(`${name} keeps blocked identities`, () => {
    it('keeps the first block of an identity until it is removed', async () => {
      const store = await open()
      const first = { identity: BOB, by: 'ada', at: 5 }
      await store.add(first)
      await store.add({ identity: BOB, by: 'eve', at: 6 })
      await store.add({ identity: ADA, by: 'eve', at: 7 })
      expect(await store.all()).toEqual([{ identity: ADA, by: 'eve', at: 7 }, first])
      await store.remove(BOB)
      await store.remove(BOB)
      expect(await store.all()).toEqual([{ identity: ADA, by: 'eve', at: 7 }])
    })
  })
}
