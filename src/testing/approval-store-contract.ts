import { describe, expect, it } from 'vitest'
import type { Approval, ApprovalStore } from '../approvals/index.ts'
import type { ConnectionName, Identity, RequestId, SessionId, Ticket } from '../core/index.ts'
import { brand } from '../core/index.ts'

const ada: Identity = { kind: 'person', name: 'ada@example.com', issuer: 'local', groups: ['support'] }
const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: [] }

export function request(ticket: string, changes: Partial<Approval> = {}): Approval {
  return {
    ticket: brand<Ticket>(ticket),
    fingerprint: `fingerprint of ${ticket}`,
    shape: 'shape',
    kin: 'kin',
    definitions: 'snapshot',
    requestId: brand<RequestId>('S.1'),
    session: brand<SessionId>('S'),
    chain: [agent, ada],
    connection: brand<ConnectionName>('crm'),
    text: "update customers set note = 'ça va' where id = $1",
    parameters: ['7', null],
    class: 'write',
    reads: [],
    writes: ['public.customers'],
    rules: [{ name: 'writes need a look', file: 'sluice.yaml', line: 12 }],
    policyVersion: 'cfg_1',
    route: {
      steps: [
        {
          route: 'dba',
          groups: ['dbas'],
          identities: [],
          anyone: false,
          people: 2,
          escalation: { afterMs: 5, groups: [], identities: ['person:eve'] },
        },
      ],
      hours: [{ days: [1, 5], from: 480, to: 1080 }],
      reason: true,
      ownPerson: false,
    },
    offer: { times: 3, shapeMs: 60_000, session: true },
    state: 'pending',
    revision: 1,
    createdAt: 1_767_225_600_000,
    expiresAt: 1_767_229_200_000,
    answers: [],
    uses: 0,
    ...changes,
  }
}

function answered(approval: Approval): Approval {
  return {
    ...approval,
    state: 'refused',
    revision: approval.revision + 1,
    answers: [
      {
        verdict: 'approve',
        by: ada,
        at: 5,
        method: 'code',
        through: 'cli',
        step: 0,
        reuse: { kind: 'shape', ms: 5 },
      },
      { verdict: 'refuse', by: ada, at: 6, method: 'passkey', through: 'web', step: 0, reason: 'not today' },
    ],
    escalatedAt: 4,
    mutedUntil: 60,
    erasing: true,
    endedAt: 6,
  }
}

/** What every store of approval requests does; the real one and its twin run through it. */
export function approvalStoreContract(name: string, open: () => Promise<ApprovalStore>): void {
  describe(`${name} keeps approval requests`, () => {
    it('takes what was replaced out of its files when asked to, and keeps the rest', async () => {
      const store = await open()
      const first = request('T-1')
      await store.insert(first)
      await store.replace(answered(first), 1)
      await Promise.all([store.scrub(), store.get(first.ticket), store.scrub()])
      expect(await store.get(first.ticket)).toEqual(answered(first))
    })

    it('gives back exactly what was inserted and replaced', async () => {
      const store = await open()
      const first = request('T-1')
      expect(await store.insert(first)).toBe(true)
      expect(await store.get(first.ticket)).toEqual(first)
      expect(await store.findOpen(first.fingerprint)).toEqual(first)
      expect(await store.replace(answered(first), 1)).toBe(true)
      expect(await store.get(first.ticket)).toEqual(answered(first))
      expect(await store.get(brand<Ticket>('T-9'))).toBeUndefined()
    })

    it('has at most one open request for a fingerprint, and as many ended ones as there are', async () => {
      const store = await open()
      const first = request('T-1', { fingerprint: 'same' })
      const second = request('T-2', { fingerprint: 'same' })
      expect(await store.insert(first)).toBe(true)
      expect(await store.insert(second)).toBe(false)
      expect(await store.get(second.ticket)).toBeUndefined()
      expect(await store.replace({ ...first, state: 'approved', revision: 2 }, 1)).toBe(true)
      expect(await store.insert(second)).toBe(false)
      expect(await store.replace({ ...first, state: 'used', revision: 3, endedAt: 9 }, 2)).toBe(true)
      expect(await store.findOpen('same')).toBeUndefined()
      expect(await store.insert(second)).toBe(true)
      expect(await store.findOpen('same')).toEqual(second)
    })

    it('lets one that is for one session be in the way of no other', async () => {
      const store = await open()
      const first = request('T-1', { fingerprint: 'same', session: brand<SessionId>('A') })
      const next: Approval = { ...first, state: 'approved', revision: 2, reuse: { kind: 'session' }, uses: 1 }
      expect(await store.insert(first)).toBe(true)
      expect(await store.replace(next, 1)).toBe(true)
      expect(await store.get(first.ticket)).toEqual(next)
      expect(await store.findOpen('same')).toBeUndefined()
      expect(await store.insert(request('T-2', { fingerprint: 'same' }))).toBe(true)
      expect((await store.load(0, 0)).map(({ ticket }) => ticket).sort()).toEqual(['T-1', 'T-2'])
    })

    it('loads what mutes, however long ago it ended', async () => {
      const store = await open()
      await store.insert(request('T-1', { state: 'refused', endedAt: 1, mutedUntil: 100 }))
      for (const at of [3, 4]) await store.insert(request(`T-${at}`, { state: 'used', endedAt: at }))
      expect((await store.load(1, 99)).map(({ ticket }) => ticket).sort()).toEqual(['T-1', 'T-4'])
      expect((await store.load(1, 100)).map(({ ticket }) => ticket)).toEqual(['T-4'])
    })

    it('refuses a ticket that exists', async () => {
      const store = await open()
      expect(await store.insert(request('T-1'))).toBe(true)
      expect(await store.insert(request('T-1', { fingerprint: 'another' }))).toBe(false)
      expect(await store.findOpen('another')).toBeUndefined()
    })

    it('lets one of many replace a revision', async () => {
      const store = await open()
      const first = request('T-1')
      await store.insert(first)
      const results = await Promise.all(
        Array.from({ length: 10 }, () => store.replace({ ...first, state: 'approved', revision: 2 }, 1)),
      )
      expect(results.filter(Boolean)).toHaveLength(1)
      expect(await store.replace(first, 7)).toBe(false)
      expect(await store.replace(request('T-9'), 1)).toBe(false)
    })

    it('loads all that are open and the latest that ended', async () => {
      const store = await open()
      await store.insert(request('T-1'))
      await store.insert(request('T-2', { state: 'approved' }))
      for (const at of [3, 4, 5]) await store.insert(request(`T-${at}`, { state: 'used', endedAt: at }))
      const loaded = (await store.load(2, 0)).map((each) => each.ticket).sort()
      expect(loaded).toEqual(['T-1', 'T-2', 'T-4', 'T-5'])
    })
  })
}
