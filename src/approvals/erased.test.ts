import { randomBytes } from 'node:crypto'
import { beforeEach, expect, test, vi } from 'vitest'
import {
  brand,
  type ConnectionName,
  type Identity,
  LIMITS,
  type SessionId,
  type Ticket,
} from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import { type Approvals, createApprovals } from './approvals.ts'
import type { ApprovalState } from './approval.ts'

/* What a request says of its command, when that is erased from the recording while the request is open. */

const agent: Identity = { kind: 'agent', name: 'support-agent', issuer: 'local', groups: [] }
const eve: Identity = { kind: 'person', name: 'eve@example.com', issuer: 'local', groups: [] }

let clock: FakeClock
let store: MemoryApprovalStore
let desk: Approvals

const start = (): Promise<Approvals> =>
  createApprovals({
    store,
    clock,
    random: (length) => randomBytes(length),
    routes: () => ({ routes: new Map(), default: undefined }),
    mayAnswer: () => true,
    record: async () => undefined,
    onFault: (error) => expect.unreachable(String(error)),
  })

beforeEach(async () => {
  clock = new FakeClock()
  store = new MemoryApprovalStore()
  desk = await start()
})

async function ask(): Promise<Ticket> {
  const { ticket } = await desk.open({
    fingerprint: 'f',
    shape: 's',
    kin: 'k',
    session: brand<SessionId>('01J00000000000000000000000'),
    chain: [agent],
    connection: brand<ConnectionName>('crm'),
    text: 'DELETE marker',
    parameters: ['marker'],
    shown: { text: 'DELETE marker' },
    class: 'write',
    reads: [],
    writes: ['public.marker'],
    rules: [],
    policyVersion: 'v1',
  })
  return ticket
}

const says = (verdict: 'approve' | 'refuse') => ({
  verdict,
  proof: { chain: [eve] as const, at: clock.now(), method: 'code' as const },
  through: 'cli',
  reason: 'marker',
})

const ENDS: Partial<Record<ApprovalState, (ticket: Ticket) => Promise<unknown>>> = {
  refused: (ticket) => desk.answer(ticket, says('refuse')),
  withdrawn: (ticket) => desk.withdraw(ticket, [agent]),
  superseded: () => desk.supersede(() => false),
  expired: async (ticket) => {
    clock.advance(LIMITS.ticketMs)
    await vi.waitFor(async () => expect((await store.get(ticket))?.state).toBe('expired'))
  },
  revoked: async (ticket) => {
    await desk.answer(ticket, says('approve'))
    await desk.revoke(ticket, 'person:eve@example.com')
  },
}

test.each(Object.entries(ENDS))('open then, it says nothing of it once it is %s', async (state, end) => {
  const ticket = await ask()
  await desk.forget(ticket)
  await desk.forget(ticket)
  // It may still run: whoever answers has to see it.
  expect(desk.get(ticket)).toMatchObject({ text: 'DELETE marker', erasing: true, revision: 2 })
  await end(ticket)
  for (const found of [desk.get(ticket), await store.get(ticket), (await start()).get(ticket)]) {
    expect(JSON.stringify(found)).not.toContain('marker')
    expect(found).toMatchObject({ ticket, state, text: '[erased]' })
  }
})

test('approved then, it runs, and says nothing of it afterwards', async () => {
  const ticket = await ask()
  await desk.forget(ticket)
  await desk.answer(ticket, says('approve'))
  const { fingerprint = '', shape = '' } = desk.get(ticket) ?? {}
  const session = brand<SessionId>('01J00000000000000000000000')
  expect(await desk.consume(ticket, { requestId: 'r' as never, session, fingerprint, shape })).toBe(true)
  expect(JSON.stringify(await store.get(ticket))).not.toContain('marker')
})
