/**
 * Channels: where people hear of approval requests, and through which some answer. Writes down what each channel is owed, has it
 * brought by whoever takes it, and turns what comes back under a signature into an answer of a person. Leaves to `approvals` what a request is and who
 * may answer it, to the store how notifications are kept, to `api` the way in.
 * Promise: a channel is told once of what it is owed, or the recording says that it was not; nothing is told that not everybody
 * may read (P-02); nothing waits for a channel; and no channel answers what its people were not shown.
 */
import type { ChannelBlock } from '../config/channel-block.ts'
import { assertNever, type Clock } from '../core/index.ts'
import { emailSender } from './email/sender.ts'
import type { ResolveSecret, Sender } from './sender.ts'
import { slackSender } from './slack/sender.ts'
import { teamsSender } from './teams/sender.ts'
import { webhookSender } from './webhook/sender.ts'

export type { ChannelAnswer, SignedRequest } from './answers.ts'
export { ChannelAnswers } from './answers.ts'
export type { ChannelFigures } from './courier.ts'
export { Notifications } from './notifications.ts'

export function senderFor(
  channel: ChannelBlock,
  parts: { readonly resolve: ResolveSecret; readonly clock: Clock },
): Sender {
  switch (channel.kind) {
    case 'webhook':
      return webhookSender(channel, parts)
    case 'slack':
      return slackSender(channel, parts.resolve)
    case 'teams':
      return teamsSender(channel, parts.resolve)
    case 'email':
      return emailSender(channel, parts.resolve)
    default:
      return assertNever(channel)
  }
}
