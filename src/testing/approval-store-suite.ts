import { expect, test } from 'vitest'
import type { Approval, ApprovalStore } from '../approvals/index.ts'
import { brand, type ConnectionName, type RequestId, type SessionId, type Ticket } from '../core/index.ts'

/** An approval request for tests: only what a test is about has to be spelled out. */
export function approvalOf(ticket: string, rest: Partial<Approval> = {}): Approval {
  return {
    ticket: brand<Ticket>(ticket),
    fingerprint: `fingerprint of ${ticket}`,
    requestId: brand<RequestId>('01J00000000000000000000000.1'),
    session: brand<SessionId>('01J00000000000000000000000'),
    chain: [
      { kind: 'agent', name: 'support-agent', issuer: 'local', groups: ['agents'] },
      { kind: 'person', name: 'ada@example.com', issuer: 'https://id.example.com', groups: [] },
    ],
    connection: brand<ConnectionName>('crm'),
    text: "DELETE FROM t WHERE name = 'Zo\u00eb \u{1f600}'",
    parameters: ['1', null],
    class: 'write',
    reads: ['public.t'],
    writes: ['public.t'],
    rules: [{ name: 'ask', file: 'sluice.yaml', line: 3 }],
    policyVersion: 'v1',
    route: { people: 2, ownPerson: true },
    state: 'pending',
    revision: 1,
    createdAt: 1_767_225_600_000,
    expiresAt: 1_767_229_200_000,
    answers: [],
    ...rest,
  }
}

/** What every store of approval requests must do; `make` gives an empty one. */
export function approvalStoreSuite(make: () => Promise<ApprovalStore> | ApprovalStore): void {
  test('a request comes back as it was put in, with all its answers', async () => {
    const store = await make()
    const made = approvalOf('T-1')
    expect(await store.insert(made)).toBe(true)
    expect(await store.get(made.ticket)).toEqual(made)
    const [agent, person] = made.chain
    const next = approvalOf('T-1', {
      revision: 2,
      state: 'refused',
      endedAt: 5,
      answers: [
        { verdict: 'approve', by: agent, at: 1, method: 'code', through: 'cli' },
        {
          verdict: 'refuse',
          by: person ?? agent,
          at: 2,
          method: 'passkey',
          through: 'web',
          reason: 'no "why"',
        },
      ],
    })
    expect(await store.replace(next, 1)).toBe(true)
    expect(await store.get(made.ticket)).toEqual(next)
    expect(await store.get(brand<Ticket>('T-2'))).toBeUndefined()
  })

  test('a ticket is given once', async () => {
    const store = await make()
    await store.insert(approvalOf('T-1'))
    expect(await store.insert(approvalOf('T-1', { fingerprint: 'another' }))).toBe(false)
    expect(await store.findOpen('another')).toBeUndefined()
  })

  test('of one fingerprint one request is open at a time', async () => {
    const store = await make()
    const first = approvalOf('T-1', { fingerprint: 'same' })
    const second = approvalOf('T-2', { fingerprint: 'same' })
    await store.insert(first)
    expect(await store.insert(second)).toBe(false)
    await store.replace({ ...first, state: 'approved', revision: 2 }, 1)
    expect(await store.insert(second)).toBe(false)
    expect((await store.findOpen('same'))?.ticket).toBe('T-1')
    await store.replace({ ...first, state: 'used', revision: 3, endedAt: 1 }, 2)
    expect(await store.findOpen('same')).toBeUndefined()
    expect(await store.insert(second)).toBe(true)
    expect((await store.findOpen('same'))?.ticket).toBe('T-2')
  })

  test('a change is made only to the revision it was decided on', async () => {
    const store = await make()
    const made = approvalOf('T-1')
    await store.insert(made)
    const outcomes = await Promise.all([
      store.replace({ ...made, state: 'approved', revision: 2 }, 1),
      store.replace({ ...made, state: 'refused', revision: 2, endedAt: 1 }, 1),
    ])
    expect(outcomes.toSorted()).toEqual([false, true])
    expect(await store.replace({ ...made, revision: 2 }, 1)).toBe(false)
    expect(await store.replace({ ...made, ticket: brand<Ticket>('T-9'), revision: 2 }, 1)).toBe(false)
    const state = outcomes[0] ? 'approved' : 'refused'
    expect(await store.get(made.ticket)).toMatchObject({ state, revision: 2 })
  })

  test('all open requests are loaded, and the latest of the others', async () => {
    const store = await make()
    const states = ['pending', 'approved', 'used', 'refused', 'expired', 'withdrawn'] as const
    for (const [at, state] of states.entries()) {
      const ended = state === 'pending' || state === 'approved' ? {} : { endedAt: at }
      const made = approvalOf(`T-${state}`)
      await store.insert(made)
      await store.replace({ ...made, state, revision: 2, ...ended }, 1)
    }
    const tickets = async (endedMax: number): Promise<string[]> =>
      (await store.load(endedMax)).map(({ ticket }) => String(ticket)).toSorted()
    expect(await tickets(2)).toEqual(['T-approved', 'T-expired', 'T-pending', 'T-withdrawn'])
    expect(await tickets(0)).toEqual(['T-approved', 'T-pending'])
    expect(await tickets(100)).toHaveLength(6)
  })
}
