import { z } from 'zod'
import { GatewayError, LIMITS } from '../../core/index.ts'
import { APPROVE, REFUSE } from './blocks.ts'

/** A click on one of our buttons. */
export type Click = {
  readonly user: string
  readonly ticket: string
  readonly verdict: 'approve' | 'refuse'
  /** The message that it was on, as `SlackApi.post` names it, and what it showed. */
  readonly ref: string
  readonly blocks: readonly unknown[]
  /** Whether it had more than blocks to show. */
  readonly hasMore: boolean
}

/** https://docs.slack.dev/reference/interaction-payloads/block_actions-payload */
const payloadSchema = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id: z.string().min(1).max(64) }),
  container: z.object({ channel_id: z.string().max(64), message_ts: z.string().max(64) }),
  message: z.object({
    blocks: z.array(z.unknown()).max(50),
    attachments: z.array(z.unknown()).optional(),
    files: z.array(z.unknown()).optional(),
  }),
  actions: z.tuple([z.object({ action_id: z.enum([APPROVE, REFUSE]), value: z.string().max(32) })]),
})

/** Reads what Slack posts, once it is known to be Slack. Throws `invalid`. */
export function clickOf(body: Uint8Array): Click {
  const [payload, ...others] = new URLSearchParams(Buffer.from(body).toString('utf8')).getAll('payload')
  const read = payloadSchema.safeParse(payload === undefined ? undefined : parsed(payload))
  if (!read.success || others.length > 0) {
    throw new GatewayError('invalid', 'This is no click on a button of Sluice.', {
      remedy: 'Set the interactivity URL of the app to this address, and use it for nothing else.',
      facts: { bytesMax: LIMITS.apiBodyBytesMax },
    })
  }
  const { user, container, message, actions } = read.data
  const [{ action_id, value }] = actions
  return {
    user: user.id,
    ticket: value,
    verdict: action_id === APPROVE ? 'approve' : 'refuse',
    ref: `${container.channel_id} ${container.message_ts}`,
    blocks: message.blocks,
    hasMore: (message.attachments ?? []).length > 0 || (message.files ?? []).length > 0,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
