import type { TeamsChannel } from '../../config/channel-block.ts'
import { checkStatus, Poster } from '../post.ts'
import type { ResolveSecret, Sender } from '../sender.ts'
import { cardOf, digestCard } from './card.ts'

/** Calls people in a Teams conversation, through a workflow. */
export function teamsSender(channel: TeamsChannel, resolve: ResolveSecret): Sender {
  const poster = new Poster()
  const post = async (card: string): Promise<void> => {
    const url = (await resolve(channel.url)).reveal()
    const answer = await poster.post(url, { 'content-type': 'application/json' }, card)
    // The address is a secret: not even its host is named.
    checkStatus('The workflow', answer)
  }
  return {
    async send(message) {
      await post(cardOf(message))
      return {}
    },
    digest: (digest) => post(digestCard(digest)),
    close: () => poster.close(),
  }
}
