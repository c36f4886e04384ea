/** Two gateways on one store of approval requests. */
import { randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import type { AdminHead, ConnectionName, Identity, RequestId, SessionId } from '../core/index.ts'
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
let recorded: AdminHead[]
let a: Approvals
let b: Approvals

function node(): Promise<Approvals> {
  return createApprovals({
    store,
    clock,
    random: (length) => randomBytes(length),
    routes: () => ({ routes: new Map(), default: undefined }),
    mayAnswer: () => true,
    record: async (head) => void recorded.push(head),
    onFault: (error) => expect.fail(String(error)),
  })
}

beforeEach(async () => {
  clock = new FakeClock()
  store = new MemoryApprovalStore()
  recorded = []
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

test('what a node recorded and did not bring about is told by an entry of its own: of two with one revision one is void', async () => {
  const { ticket } = await a.open(command)
  await b.refresh(ticket)
  const answers = await Promise.allSettled([
    a.answer(ticket, approve()),
    b.answer(ticket, { ...approve(), verdict: 'refuse' }),
  ])
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const state = (await store.get(ticket))?.state
  const of = recorded.filter(({ target }) => target === ticket)
  const void_ = of.filter(({ action }) => action === 'approval.void')
  expect(void_.map(({ details }) => details)).toEqual([
    {
      fingerprint: 'delete',
      revision: 2,
      of: state === 'approved' ? 'approval.refused' : 'approval.approved',
    },
  ])
  const counts = of.filter(
    ({ action, details }) =>
      details?.['revision'] === 2 && action !== 'approval.void' && action !== void_[0]?.details?.['of'],
  )
  expect(counts.map(({ action }) => action)).toEqual([`approval.${state}`])
})

test('so is a request that another node was faster to ask', async () => {
  const [one, other] = await Promise.all([a.open(command), b.open(command)])
  expect(other.ticket).toBe(one.ticket)
  const voids = recorded.filter(({ action }) => action === 'approval.void')
  expect(voids).toHaveLength(1)
  expect(voids[0]?.target).not.toBe(one.ticket)
})

test('a mute that is lifted at one is lifted at the other', async () => {
  const { ticket } = await a.open(command)
  await a.answer(ticket, { ...approve(), verdict: 'refuse', muteMs: 60_000 })
  await b.refresh(ticket)
  const again = { ...command, fingerprint: 'other', kin: 'other' }
  await expect(b.open(again)).rejects.toThrow('Stop asking')
  await a.unmute(ticket, approve())
  await b.refresh(ticket)
  expect((await b.open(again)).state).toBe('pending')
})
