import type { Approval } from '../approvals/index.ts'
import type { ChannelBlock } from '../config/channel-block.ts'
import { brand, type ConnectionName, type Identity, Secret, type Ticket } from '../core/index.ts'
import { eventsOf } from '../notifications/events.ts'
import { type Message, messageOf } from '../notifications/message.ts'

export const secretRef = (value: string) => ({ kind: 'literal', value: new Secret(value) }) as const

/** A request as a channel is told of it. */
export function approvalOf(rest: Partial<Approval> = {}): Approval {
  return {
    fingerprint: 'f',
    shape: 's',
    kin: 'k',
    ticket: brand<Ticket>('T-7K2M9QXY'),
    chain: [
      { kind: 'agent', name: 'support-agent', issuer: 'local', groups: [] },
      { kind: 'person', name: 'grace', issuer: 'local', groups: [] },
    ],
    connection: brand<ConnectionName>('crm'),
    text: 'DELETE FROM t WHERE id = 1',
    class: 'write',
    reads: [],
    writes: ['public.t'],
    rules: [],
    policyVersion: 'v1',
    route: {
      steps: [{ route: '', groups: [], identities: [], anyone: true, people: 1 }],
      hours: [],
      reason: false,
      ownPerson: false,
      channels: ['chat'],
      answers: ['chat'],
    },
    offer: {},
    state: 'pending',
    revision: 1,
    createdAt: Date.UTC(2026, 0, 1),
    expiresAt: Date.UTC(2026, 0, 1, 1),
    answers: [],
    uses: 0,
    ...rest,
  }
}

/** A chat through which `U1` is ada. */
export function chatOf(people: Readonly<Record<string, Identity>>, apiUrl = 'https://slack.com/api') {
  return {
    kind: 'slack',
    name: 'chat',
    perMinute: 600,
    apiUrl,
    token: secretRef('xoxb-1'),
    to: 'C0123456789',
    answers: { people: new Map(Object.entries(people)), signingSecret: secretRef('signing') },
  } as const satisfies ChannelBlock
}

export function messageFor(channel: ChannelBlock, rest: Partial<Approval> = {}, key?: string): Message {
  const approval = approvalOf(rest)
  const events = eventsOf(approval)
  const event = events.find((each) => each.key === key) ?? events[0]
  if (event === undefined) throw new Error('no event')
  return messageOf(approval, event, channel, 'https://sluice.example.com')
}
