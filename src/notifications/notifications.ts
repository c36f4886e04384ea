import type { Approval, Approvals } from '../approvals/index.ts'
import type { ChannelBlock } from '../config/channel-block.ts'
import { LIMITS } from '../core/index.ts'
import type { ChannelFigures, CourierParts } from './courier.ts'
import { Courier } from './courier.ts'
import { channelsFor, eventsOf, isTold, notificationId } from './events.ts'
import type { NewNotification } from './port.ts'
import type { Sender } from './sender.ts'

export type NotificationsOptions = CourierParts & {
  readonly approvals: Pick<Approvals, 'find' | 'list' | 'onChange'>
  readonly senderFor: (channel: ChannelBlock) => Sender
}

/** Notifications that are known to be in the store, so that each use of an approval does not ask for them again. */
const KNOWN_MAX = 10_000
/** Of one statement. */
const ADDED_MAX = 100
const PRUNE_MS = 60 * 60 * 1000

/**
 * Has channels told of approval requests: writes down what they are owed, and lets a courier for each bring it. Nothing waits for it,
 * and without channels it does nothing.
 */
export class Notifications {
  readonly #options: NotificationsOptions
  #channels: ReadonlyMap<string, ChannelBlock> = new Map()
  #couriers = new Map<string, Courier>()
  readonly #known = new Set<string>()
  #unwritten: NewNotification[] = []
  #writing: Promise<void> | undefined
  /** Whether something may be missing in the store. */
  #isIncomplete = false
  #isStopped = false
  #prunedAt = 0
  readonly #unfollow: () => void
  /** Couriers of an earlier configuration that finish what they were at. */
  readonly #ending = new Set<Promise<void>>()
  #looking: { cancel(): void } | undefined

  constructor(options: NotificationsOptions, channels: ReadonlyMap<string, ChannelBlock>) {
    this.#options = options
    this.#unfollow = options.approvals.onChange((approval) => this.#note(approval))
    this.#use(channels)
    this.#look()
  }

  get figures(): readonly ChannelFigures[] {
    return [...this.#couriers.values()].map((courier) => courier.figures)
  }

  /** Another configuration. What waits for a channel that is no more is forgotten in time. */
  adopt(channels: ReadonlyMap<string, ChannelBlock>): void {
    if (this.#isStopped) return
    for (const courier of this.#couriers.values()) {
      const ended = courier.stop().catch(this.#options.report)
      this.#ending.add(ended)
      void ended.then(() => this.#ending.delete(ended))
    }
    this.#use(channels)
  }

  /** Writes down what is owed and finishes what is being sent; the rest is there at the next start. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unfollow()
    this.#looking?.cancel()
    await this.#writing
    await Promise.all([...this.#ending, ...[...this.#couriers.values()].map((courier) => courier.stop())])
  }

  #use(channels: ReadonlyMap<string, ChannelBlock>): void {
    this.#channels = channels
    const before = this.#couriers
    this.#couriers = new Map(
      [...channels].map(([name, channel]) => [
        name,
        new Courier(channel, this.#options.senderFor(channel), this.#options, before.get(name)?.figures),
      ]),
    )
    this.#noteAll()
  }

  /** What changed while nobody was here to see it. */
  #noteAll(): void {
    this.#isIncomplete = false
    if (this.#channels.size === 0) return
    const past = this.#options.clock.now() - LIMITS.notificationPastMs
    for (const approval of this.#options.approvals.list())
      if (approval.endedAt === undefined || approval.endedAt >= past) this.#note(approval)
  }

  #note(approval: Approval): void {
    if (this.#channels.size === 0) return
    const { ticket } = approval
    for (const { name: channel, kind } of channelsFor(approval, this.#channels)) {
      for (const [position, { name, key, at }] of eventsOf(approval).entries()) {
        if (!isTold(kind, name)) continue
        const id = notificationId(channel, ticket, key)
        if (this.#known.has(id)) continue
        this.#remember(id)
        if (this.#unwritten.length >= KNOWN_MAX) this.#isIncomplete = true
        else this.#unwritten.push({ id, channel, ticket, event: key, at, position })
      }
    }
    if (this.#unwritten.length > 0) this.#writing ??= this.#write()
  }

  #remember(id: string): void {
    this.#known.add(id)
    if (this.#known.size <= KNOWN_MAX) return
    const [oldest] = this.#known
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  async #write(): Promise<void> {
    // What belongs to one turn of the event loop goes together.
    await Promise.resolve()
    try {
      while (this.#unwritten.length > 0) {
        const batch = await this.#admitted(this.#unwritten.splice(0, ADDED_MAX))
        await this.#options.store.add(batch)
        for (const name of new Set(batch.map(({ channel }) => channel))) this.#couriers.get(name)?.wake()
      }
    } catch (error) {
      this.#known.clear()
      this.#unwritten = []
      this.#isIncomplete = true
      this.#options.report(error)
    } finally {
      this.#writing = undefined
    }
  }

  /** Without those for which a channel has no room. There is always room for an emergency. */
  async #admitted(batch: readonly NewNotification[]): Promise<readonly NewNotification[]> {
    const full = new Set<string>()
    for (const name of new Set(batch.map(({ channel }) => channel)))
      if ((await this.#options.store.waiting(name)) >= LIMITS.notificationsWaitingMax) full.add(name)
    for (const { channel, ticket, event } of batch) {
      if (!full.has(channel) || event === 'emergency') continue
      this.#options.record({
        action: 'notification.undelivered',
        by: 'gateway',
        target: ticket,
        details: { channel, event, attempts: 0 },
      })
      this.#options.report(new Error(`channel ${channel} is full: it is not told of ${ticket} (${event})`))
    }
    return batch.filter(({ channel, event }) => !full.has(channel) || event === 'emergency')
  }

  #look(): void {
    const { clock, store, report } = this.#options
    this.#looking = clock.after(LIMITS.notificationLookMs, () => {
      if (this.#isIncomplete) this.#noteAll()
      const now = clock.now()
      if (this.#channels.size > 0 && now - this.#prunedAt >= PRUNE_MS) {
        this.#prunedAt = now
        store.prune(now - LIMITS.notificationsKeptMs, now).catch(report)
      }
      this.#look()
    })
  }
}
