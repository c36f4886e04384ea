/** Two gateways on one store of approval requests. */
import { randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import type { ConnectionName, Identity, RequestId, SessionId } from '../core/index.ts'
import { brand } from '../core/index.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import type { ApprovalInput } from './approval.ts'
import type { Approvals } from './approvals.ts'
import { createApprovals } from './approvals.ts'

const agent: Identity = { kind: 'agent', name: 'agent', issuer: 'local', groups: [] }
const eve: Identity = { kind: 'person', name: 'eve', issuer: 'local', groups: [] }
const never = new AbortController().signal
const command = {
  fingerprint: 'delete',
  shape: 'delete',
  kin: 'delete',
  requestId: brand<RequestId>('S.1'),
  session: brand<SessionId>('S'),
  chain: [agent],
  connection: brand<ConnectionName>('crm'),
  text: 'DELETE FROM t',
  class: 'write',
  reads: [],
  writes: [],
  rules: [],
  policyVersion: 'v1',
} satisfies ApprovalInput

let clock: FakeClock
let store: MemoryApprovalStore
let a: Approvals
let b: Approvals

function node(): Promise<Approvals> {
  return createApprovals({
    store,
    clock,
    random: (length) => randomBytes(length),
    routes: () => ({ routes: new Map(), default: undefined }),
    mayAnswer: () => true,
    record: async () => undefined,
    onFault: (error) => expect.fail(String(error)),
  })
}

beforeEach(async () => {
  clock = new FakeClock()
  store = new MemoryApprovalStore()
  a = await node()
  b = await node()
})

const approve = () =>
  ({ verdict: 'approve', proof: { chain: [eve], at: clock.now(), method: 'code' }, through: 'cli' }) as const

test('a request of one node is listed at the other, answered there, and the wait ends where it is', async () => {
  const { ticket } = await a.open(command)
  const waiting = a.wait(ticket, 60_000, never)
  const told: string[] = []
  b.onChange(({ state }) => told.push(state))
  await b.refresh(ticket)
  expect(b.list().map((each) => each.ticket)).toEqual([ticket])
  await b.answer(ticket, approve())
  await a.refresh(ticket)
  expect(await waiting).toBe('approved')
  expect(await Promise.all([a.consume(ticket, command), b.consume(ticket, command)])).toEqual([true, false])
  expect(told).toEqual(['pending', 'approved', 'used'])
})

test('the whole store is taken over: what is open, and what became of what was; nothing twice', async () => {
  const first = await a.open(command)
  await b.refresh()
  const second = await a.open({ ...command, fingerprint: 'other' })
  await a.withdraw(first.ticket, [agent])
  const done = await a.open({ ...command, fingerprint: 'third' })
  await a.withdraw(done.ticket, [agent])
  const told: string[] = []
  b.onChange(({ ticket, state }) => told.push(`${ticket} ${state}`))
  await b.refresh()
  await b.refresh()
  expect(told.sort()).toEqual([`${first.ticket} withdrawn`, `${second.ticket} pending`].sort())
})

test('what is known is not taken back by what was read before it', async () => {
  const { ticket } = await a.open(command)
  const early = await store.get(ticket)
  await a.answer(ticket, approve())
  store.get = () => Promise.resolve(early)
  await a.refresh(ticket)
  expect(a.get(ticket)?.state).toBe('approved')
})
