import type { Approval, Approvals } from '../approvals/index.ts'
import type { ChannelBlock } from '../config/channel-block.ts'
import type { AdminHead, Clock, Timer } from '../core/index.ts'
import { asGatewayError, describeChain, LIMITS, safe } from '../core/index.ts'
import { Allowance } from './allowance.ts'
import { eventsOf, notificationId } from './events.ts'
import type { Digest } from './message.ts'
import { messageOf } from './message.ts'
import type { Notification, NotificationStore } from './port.ts'
import type { Sender } from './sender.ts'
import { asksToWait, isPassing, retryDelayMs } from './sender.ts'
import { Turns } from './turns.ts'

export type CourierParts = {
  readonly store: NotificationStore
  readonly approvals: Pick<Approvals, 'find'>
  readonly clock: Clock
  /** From 0 to 1. */
  readonly chance: () => number
  readonly publicUrl: () => string | undefined
  /** Puts into the recording, durably, what was not delivered. */
  readonly record: (head: AdminHead) => void
  readonly report: (error: unknown) => void
}

/** How one channel does, since the start. */
export type ChannelFigures = {
  readonly name: string
  readonly kind: ChannelBlock['kind']
  readonly waiting: number
  readonly sent: number
  readonly failures: number
  readonly undelivered: number
  /** What the last attempt failed of; undefined when it did not. */
  readonly fault: string | undefined
}

/** Of one round: of so many it is told whose turn it is. */
const READ_MAX = 1_000

/**
 * Brings what waits for one channel to it, one after the other, and not faster than the channel lets; who asks takes turns with the
 * others who do. Several nodes may each have one for the same channel: whoever takes a notification first sends it.
 */
export class Courier {
  readonly #channel: ChannelBlock
  readonly #sender: Sender
  readonly #parts: CourierParts
  readonly #allowance: Allowance
  #figures = { waiting: 0, sent: 0, failures: 0, undelivered: 0 }
  readonly #turns: Turns
  #fault: string | undefined
  #notBefore = 0
  #timer: Timer | undefined
  #woken: (() => void) | undefined
  /** Something may have come since the store was last asked. */
  #isCalled = false
  #isStopped = false
  readonly #ended: Promise<void>

  /** `before`: of the one whose place it takes. */
  constructor(channel: ChannelBlock, sender: Sender, parts: CourierParts, before?: ChannelFigures) {
    if (before !== undefined) {
      const { sent, failures, undelivered } = before
      this.#figures = { waiting: 0, sent, failures, undelivered }
    }
    this.#channel = channel
    this.#sender = sender
    this.#parts = parts
    this.#turns = new Turns((ticket) => parts.approvals.find(ticket))
    this.#allowance = new Allowance(channel.perMinute, parts.clock.now())
    this.#ended = this.#run()
  }

  get figures(): ChannelFigures {
    const { name, kind } = this.#channel
    return { name, kind, ...this.#figures, fault: this.#fault }
  }

  /** Something may wait. */
  wake(): void {
    this.#isCalled = true
    this.#woken?.()
  }

  /** Finishes what is under way, unless that takes long: it is sent again then. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.wake()
    const late = new Promise<void>((resolve) => {
      this.#parts.clock.after(LIMITS.notificationStopMs, resolve)
    })
    await Promise.race([this.#ended, late])
    await this.#sender.close()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      let waitMs: number = LIMITS.notificationLookMs
      this.#isCalled = false
      try {
        waitMs = await this.#round()
      } catch (error) {
        // The store is away: what waits there waits on.
        this.#parts.report(error)
      }
      if (waitMs > 0) await this.#sleep(waitMs)
    }
  }

  #sleep(ms: number): Promise<void> {
    if (this.#isStopped || this.#isCalled) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#timer?.cancel()
        this.#woken = undefined
        resolve()
      }
      this.#woken = wake
      this.#timer = this.#parts.clock.after(ms, wake)
    })
  }

  /** Sends at most one message. How long to wait until the next one. */
  async #round(): Promise<number> {
    const { store, clock } = this.#parts
    const { name } = this.#channel
    const now = clock.now()
    if (now < this.#notBefore) return this.#notBefore - now
    const due = await store.due(name, now, READ_MAX)
    this.#figures.waiting = due.length < READ_MAX ? due.length : await store.waiting(name)
    const next = await this.#turns.order(due, now)
    const [first] = next
    if (first === undefined) {
      const at = due.length === 0 ? undefined : this.#turns.nextAt(now)
      return Math.min(LIMITS.notificationLookMs, at === undefined ? Infinity : at - now)
    }
    const left = this.#allowance.left(now)
    if (left < 1) return this.#allowance.waitMs()
    const many = this.#sender.digest === undefined || !isCommon(first) ? [] : next.filter(isCommon)
    if (left < 2 && many.length > 1) await this.#tellTogether(many)
    else await this.#tell(first)
    return 0
  }

  async #tell(notification: Notification): Promise<void> {
    const { approvals } = this.#parts
    if (!(await this.#take(notification))) return
    this.#turns.served(notification.ticket)
    const { id, event: key, ticket, channel } = notification
    const approval = await approvals.find(ticket)
    const event = approval && eventsOf(approval).find((each) => each.key === key)
    if (approval === undefined || event === undefined || this.#isPast(notification, approval)) {
      await this.#skip(notification)
      return
    }
    try {
      const first = await this.#parts.store.get(notificationId(channel, ticket, firstOf(approval)))
      this.#allowance.spend()
      const { ref, isSkipped = false } = await this.#sender.send(
        messageOf(approval, event, this.#channel, this.#parts.publicUrl()),
        first?.id === id ? undefined : first?.ref,
      )
      await this.#parts.store.end(id, isSkipped ? 'skipped' : 'sent', ref)
      this.#worked([notification], isSkipped ? 0 : 1)
    } catch (error) {
      await this.#failed([notification], error)
    }
  }

  /** Requests that are waiting, as one message; those that it does not name are in the next. */
  async #tellTogether(all: readonly Notification[]): Promise<void> {
    const taken: Notification[] = []
    const tickets: Digest['tickets'][number][] = []
    let more = 0
    for (const notification of all) {
      if (tickets.length >= LIMITS.digestTicketsMax) {
        more++
        continue
      }
      if (!(await this.#take(notification))) continue
      this.#turns.served(notification.ticket)
      const approval = await this.#parts.approvals.find(notification.ticket)
      if (approval === undefined || this.#isPast(notification, approval)) {
        await this.#skip(notification)
        continue
      }
      taken.push(notification)
      const { ticket, chain, connection } = approval
      tickets.push({ ticket, who: safe(describeChain(chain)), connection })
    }
    if (taken.length === 0) return
    try {
      this.#allowance.spend()
      const publicUrl = this.#parts.publicUrl()
      await this.#sender.digest?.({
        tickets,
        more,
        link: publicUrl === undefined ? undefined : `${publicUrl}/approvals`,
      })
      for (const { id } of taken) await this.#parts.store.end(id, 'sent')
      this.#worked(taken, taken.length)
    } catch (error) {
      await this.#failed(taken, error)
    }
  }

  #take(notification: Notification): Promise<boolean> {
    const now = this.#parts.clock.now()
    return this.#parts.store.take(notification, now, now + LIMITS.notificationLeaseMs)
  }

  /** Whether nobody has to be called any more. Systems are told what was, too. */
  #isPast({ event }: Notification, { state }: Approval): boolean {
    return (
      this.#channel.kind !== 'webhook' &&
      (event === 'requested' || event === 'escalated') &&
      state !== 'pending'
    )
  }

  /** There is nothing to tell any more: a loss only if it could not be told before. */
  async #skip(notification: Notification): Promise<void> {
    if (notification.attempts > 0) await this.#giveUp(notification, 'it was not waiting for people any more')
    else await this.#parts.store.end(notification.id, 'skipped')
  }

  #worked(all: readonly Notification[], sent: number): void {
    this.#figures.sent += sent
    this.#fault = undefined
    for (const { ticket } of all) this.#turns.worked(ticket)
  }

  async #failed(all: readonly Notification[], error: unknown): Promise<void> {
    const { store, clock, chance, report } = this.#parts
    const { message } = asGatewayError(error)
    this.#figures.failures++
    // Once, or a receiver that is away would fill the log.
    if (this.#fault !== message)
      report(new Error(`channel ${this.#channel.name}: ${message}`, { cause: error }))
    this.#fault = message
    const now = clock.now()
    const random = chance()
    // It says itself that it wants nothing for now.
    if (asksToWait(error)) this.#notBefore = now + retryDelayMs(error, 1, random)
    const failures = new Map<string, number>()
    for (const { ticket } of all) failures.set(this.#turns.whose(ticket), this.#turns.failuresOf(ticket))
    for (const notification of all) {
      const { id, ticket, at, attempts } = notification
      // It may be away, or fail on what this one has asked for: others are not kept waiting by that.
      const inARow = failures.get(this.#turns.whose(ticket)) ?? 1
      if (isPassing(error)) this.#turns.failed(ticket, inARow, now + retryDelayMs(error, inARow, random))
      if (now - at > LIMITS.notificationMsMax) await this.#giveUp(notification, message)
      else await store.postpone(id, now + retryDelayMs(error, attempts + 1, random))
    }
  }

  async #giveUp({ id, channel, ticket, event, attempts }: Notification, reason: string): Promise<void> {
    this.#parts.record({
      action: 'notification.undelivered',
      by: 'gateway',
      target: ticket,
      details: { channel, event, attempts },
    })
    this.#figures.undelivered++
    await this.#parts.store.end(id, 'undelivered')
    this.#parts.report(new Error(`channel ${channel} was never told of ${ticket} (${event}): ${reason}`))
  }
}

/** What may be told together with others. Emergencies are told by themselves. */
function isCommon({ event }: Notification): boolean {
  return event === 'requested' || event === 'escalated'
}

function firstOf({ access }: Approval): string {
  return access?.emergency === true ? 'emergency' : 'requested'
}
