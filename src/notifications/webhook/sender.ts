import type { WebhookChannel } from '../../config/channel-block.ts'
import type { Clock } from '../../core/index.ts'
import { checkStatus, Poster } from '../post.ts'
import type { ResolveSecret, Sender } from '../sender.ts'
import { payloadOf } from './payload.ts'
import { signed } from './sign.ts'

/** Tells a system of every event, signed. */
export function webhookSender(
  channel: WebhookChannel,
  parts: {
    readonly resolve: ResolveSecret
    readonly clock: Clock
  },
): Sender {
  const poster = new Poster()
  return {
    async send(message) {
      const secrets = await Promise.all(channel.secrets.map((ref) => parts.resolve(ref)))
      const ca = channel.ca === undefined ? undefined : (await parts.resolve(channel.ca)).reveal()
      const body = payloadOf(message)
      // Signed anew each time: the timestamp is that of the attempt.
      const headers = {
        'content-type': 'application/json',
        ...signed(secrets, message.id, parts.clock.now(), body),
      }
      checkStatus(new URL(channel.url).host, await poster.post(channel.url, headers, body, ca))
      return {}
    },
    close: () => poster.close(),
  }
}
