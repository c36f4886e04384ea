import type { SlackChannel } from '../../config/channel-block.ts'
import { Poster } from '../post.ts'
import type { ResolveSecret, Sender } from '../sender.ts'
import { SlackApi } from './api.ts'
import { announcement, outcome, together } from './blocks.ts'

/** Announces requests in a conversation, and keeps what is shown there true. */
export function slackSender(channel: SlackChannel, resolve: ResolveSecret): Sender {
  const poster = new Poster()
  const api = new SlackApi(channel, poster, resolve)
  return {
    async send(message, earlier) {
      const { name } = message.event
      if (name === 'requested' || name === 'emergency') return { ref: await api.post(announcement(message)) }
      if (name === 'escalated') return { ref: await api.post(announcement(message), earlier) }
      // It was told together with others, or not at all.
      if (earlier === undefined) return { isSkipped: true }
      await api.update(earlier, outcome(message))
      return {}
    },
    digest: async (digest) => {
      await api.post(together(digest))
    },
    close: () => poster.close(),
  }
}
