/** Approval requests on the disk: what waits can be read again, and by nobody who has the disk alone. */
import { expect, it } from 'vitest'
import type { Approval } from '../approvals/index.ts'
import { brand } from '../core/index.ts'
import { MemoryApprovalStore } from '../testing/memory-approvals.ts'
import { keysOf, random, testKeys } from '../testing/recording-keys.ts'
import { SealedApprovals } from './sealed-approvals.ts'

const APPROVAL: Approval = {
  ticket: brand('T-7K2M9Q0A'),
  fingerprint: 'f',
  shape: 's',
  kin: 'k',
  requestId: brand('01.1'),
  session: brand('01'),
  chain: [{ kind: 'agent', name: 'agent', issuer: 'local', groups: [] }],
  connection: brand('crm'),
  text: "UPDATE customers SET email = 'marker@x.org'",
  parameters: ['"marker"', null],
  shown: {
    text: 'UPDATE customers SET email = [sealed pii.email]',
    parameters: ['[sealed pii.email]', null],
  },
  class: 'write',
  reads: [],
  writes: ['public.customers'],
  rules: [],
  under: { database: 'crm', changes: ['app.user = marker'], moved: false, fields: ['x-note: marker'] },
  policyVersion: 'v1',
  route: {
    steps: [{ route: '', groups: [], identities: [], anyone: true, people: 1 }],
    hours: [],
    reason: false,
    ownPerson: false,
  },
  offer: {},
  state: 'pending',
  revision: 1,
  createdAt: 1,
  expiresAt: 2,
  answers: [],
  uses: 0,
}

it('come back as they were, after a rotation as well, and say nothing on the disk', async () => {
  const inner = new MemoryApprovalStore()
  const store = new SealedApprovals(inner, testKeys, random)
  expect(await store.insert(APPROVAL)).toBe(true)
  const other = keysOf(Buffer.alloc(32, 3))
  const rotated = new SealedApprovals(inner, [other[0], testKeys[0]], random)
  expect(await rotated.load(10, 0)).toEqual([APPROVAL])
  expect(await rotated.get(APPROVAL.ticket)).toEqual(APPROVAL)
  expect(await rotated.findOpen('f')).toEqual(APPROVAL)
  expect(JSON.stringify(await inner.load(10, 0))).not.toMatch(/marker|UPDATE/)
  const { parameters: _, shown: _shown, under: _under, ...rest } = APPROVAL
  expect(await rotated.replace({ ...rest, revision: 2 }, 1)).toBe(true)
  expect(await rotated.get(APPROVAL.ticket)).toEqual({ ...rest, revision: 2 })
  const without = new SealedApprovals(inner, testKeys, random)
  expect((await without.get(APPROVAL.ticket))?.text).toBe(
    `[sealed under the master key ${other[0].id}, which is not given]`,
  )
})

it('of earlier versions are read as they are', async () => {
  const inner = new MemoryApprovalStore()
  await inner.insert(APPROVAL)
  expect(await new SealedApprovals(inner, testKeys, random).load(10, 0)).toEqual([APPROVAL])
})
