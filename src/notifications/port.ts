import type { Ticket } from '../core/index.ts'

/** What one channel is to be told of one request, once. What is said is made when it is sent: no statement is kept here. */
export type Notification = {
  /** The same for the same event of the same request and channel, whoever adds it: what receivers tell it by. */
  readonly id: string
  readonly channel: string
  readonly ticket: Ticket
  /** The `key` of an `ApprovalEvent`. */
  readonly event: string
  /** When it happened; and its place among those of the request. */
  readonly at: number
  readonly position: number
  readonly attempts: number
  readonly state: 'waiting' | 'sent' | 'skipped' | 'undelivered'
  /** What the receiver calls it. */
  readonly ref?: string
}

export type NewNotification = Omit<Notification, 'attempts' | 'state' | 'ref'>

/**
 * Where notifications wait, for all nodes together. What resolves is durable. Times are milliseconds since 1970, by the
 * clock of whoever asks.
 */
export interface NotificationStore {
  /** Adds those whose id is not there. */
  add(notifications: readonly NewNotification[]): Promise<void>
  /** Waiting ones of a channel that are due and that nobody has, oldest first. */
  due(channel: string, now: number, max: number): Promise<readonly Notification[]>
  /** Has one alone until then, and counts the attempt. False when another has been faster. */
  take(notification: Notification, now: number, until: number): Promise<boolean>
  /** Lets it wait until then. */
  postpone(id: string, until: number): Promise<void>
  /** It waits no more. */
  end(id: string, state: 'sent' | 'skipped' | 'undelivered', ref?: string): Promise<void>
  /** How many of a channel wait. */
  waiting(channel: string): Promise<number>
  get(id: string): Promise<Notification | undefined>
  /** Notes a signed message that came through a channel, until then. False when it has been there: it was sent twice. */
  claim(channel: string, messageId: string, until: number): Promise<boolean>
  /** Forgets notifications of events before `before`, and claims that ended before `now`. */
  prune(before: number, now: number): Promise<void>
}
