import type { Approvals } from '../approvals/index.ts'
import type { AdminHead, Clock, RandomBytes, Secret, SecretRef } from '../core/index.ts'
import type { IdentityBlocks } from '../identity/index.ts'
import type { ChannelFigures } from '../notifications/index.ts'
import { ChannelAnswers, Notifications, senderFor } from '../notifications/index.ts'
import type { NotificationStore } from '../notifications/port.ts'
import type { Configurations } from './configuration.ts'

export type Channels = {
  readonly answers: ChannelAnswers
  figures(): readonly ChannelFigures[]
  stop(): Promise<void>
}

/** The channels of the configuration in force, in both directions. */
export function openChannels(parts: {
  readonly store: NotificationStore
  readonly approvals: Approvals
  readonly configurations: Configurations
  readonly blocks: IdentityBlocks
  readonly clock: Clock
  readonly random: RandomBytes
  readonly resolve: (ref: SecretRef) => Promise<Secret>
  readonly record: (head: AdminHead) => void
  readonly report: (error: unknown) => void
}): Channels {
  const { configurations, blocks, clock, random, resolve } = parts
  const config = () => configurations.current.config
  const publicUrl = (): string | undefined => config().api?.publicUrl
  const notifications = new Notifications(
    {
      ...parts,
      publicUrl,
      chance: () => Buffer.from(random(4)).readUInt32BE() / 2 ** 32,
      senderFor: (channel) => senderFor(channel, { resolve, clock }),
    },
    config().approvals.channels,
  )
  configurations.onChange((ready) => notifications.adopt(ready.config.approvals.channels))
  const answers = new ChannelAnswers({
    ...parts,
    publicUrl,
    channels: () => config().approvals.channels,
    isBlocked: (person) => blocks.isBlocked(person),
  })
  return {
    answers,
    figures: () => notifications.figures,
    async stop() {
      await notifications.stop()
      await answers.close()
    },
  }
}
