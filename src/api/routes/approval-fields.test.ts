import { expect, it } from 'vitest'
import type { Approval } from '../../approvals/index.ts'
import { brand } from '../../core/index.ts'
import { messageOf } from '../../notifications/message.ts'
import { NOBODY } from '../caller.ts'
import { shown } from './approvals.ts'

const HELD: Approval = {
  ticket: brand('T-7K2M9Q0A'),
  fingerprint: 'f',
  shape: 's',
  kin: 'k',
  chain: [{ kind: 'agent', name: 'agent', issuer: 'local', groups: [] }],
  connection: brand('api'),
  text: 'POST /people',
  parameters: ['"{}"'],
  class: 'write',
  reads: [],
  writes: ['POST /people'],
  rules: [],
  under: { changes: [], moved: false, fields: ['x-person: ada@example.com', 'x-note:'] },
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
const SEALED: Approval = { ...HELD, shown: { text: 'POST /people', parameters: ['[sealed pii.email]'] } }

it('fields of a held request are read by who may read its body, and their names by everybody (P-02)', () => {
  const approver = { ...NOBODY, roles: new Set(['approver'] as const) }
  const auditor = { ...NOBODY, roles: new Set(['auditor'] as const) }
  const fields = (of: Approval, caller = auditor as typeof NOBODY) => shown(of, caller).under?.fields
  const names = ['x-person: [sealed]', 'x-note: [sealed]']
  expect(fields(SEALED, approver)).toEqual(HELD.under?.fields)
  expect(fields(SEALED)).toEqual(names)
  expect(fields({ ...SEALED, state: 'used' }, approver)).toEqual(names)
  expect(fields(HELD)).toEqual(HELD.under?.fields)
  const channel = { name: 'ops' } as Parameters<typeof messageOf>[2]
  const event = { key: 'pending' } as unknown as Parameters<typeof messageOf>[1]
  expect(messageOf(SEALED, event, channel, undefined).under?.fields).toEqual(names)
})
