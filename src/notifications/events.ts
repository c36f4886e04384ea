import { createHash } from 'node:crypto'
import type { Approval, GivenAnswer } from '../approvals/index.ts'
import type { ChannelBlock } from '../config/channel-block.ts'

export const EVENT_NAMES = [
  'requested',
  'emergency',
  'escalated',
  'answered',
  'expired',
  'withdrawn',
  'revoked',
  'superseded',
  'used',
] as const
export type EventName = (typeof EVENT_NAMES)[number]

/** Something that has happened to a request. */
export type ApprovalEvent = {
  readonly name: EventName
  /** Unique for the request: its name, and of answers the number. */
  readonly key: string
  readonly at: number
  readonly answer?: GivenAnswer
}

/** Everything that a request has been through, in order: made from the request alone, so that whoever sees it says the same. */
export function eventsOf(approval: Approval): readonly ApprovalEvent[] {
  const { access, createdAt, escalatedAt, answers, state, endedAt } = approval
  const first = access?.emergency === true ? 'emergency' : 'requested'
  const events: ApprovalEvent[] = [{ name: first, key: first, at: createdAt }]
  if (escalatedAt !== undefined) events.push({ name: 'escalated', key: 'escalated', at: escalatedAt })
  for (const [index, answer] of answers.entries())
    events.push({ name: 'answered', key: `answered-${index + 1}`, at: answer.at, answer })
  // That it was refused is told by the answer.
  const end = EVENT_NAMES.find((name) => name === state)
  if (end !== undefined && endedAt !== undefined) events.push({ name: end, key: end, at: endedAt })
  return events.sort((a, b) => a.at - b.at)
}

/** What of it each kind of channel is told. A mail or a card cannot be changed afterwards: it calls people, and no more. */
const TOLD = {
  webhook: new Set(EVENT_NAMES),
  slack: new Set(EVENT_NAMES),
  teams: new Set(['requested', 'emergency', 'escalated']),
  email: new Set(['requested', 'emergency', 'escalated']),
} satisfies Record<ChannelBlock['kind'], ReadonlySet<EventName>>

export function isTold(kind: ChannelBlock['kind'], name: EventName): boolean {
  const names: ReadonlySet<EventName> = TOLD[kind]
  return names.has(name)
}

/** The channels that are told of a request: those of its route, and all of them when somebody broke the glass. */
export function channelsFor<T>(approval: Approval, channels: ReadonlyMap<string, T>): readonly T[] {
  if (approval.access?.emergency === true) return [...channels.values()]
  return (approval.route.channels ?? []).flatMap((name) => channels.get(name) ?? [])
}

/** No dot in it: it is part of what is signed (Standard Webhooks, "Signature scheme"). */
export function notificationId(channel: string, ticket: string, key: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([channel, ticket, key]))
    .digest('base64url')
  return `msg_${hash.slice(0, 26)}`
}
