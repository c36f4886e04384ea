import { GatewayError } from '../core/index.ts'
import type { Answer, Approval, LoginProof } from './approval.ts'

/** How an answer through a channel is named in the recording. */
export function throughChannel(channel: string): string {
  return `channel:${channel}`
}

/**
 * Whether a person may answer through a channel at all: its route lets it, and it is nothing for which a person has to log in.
 * A value that is sealed was not shown there, and what nobody was shown nobody approves; nor what may mean something else in its
 * session than the text says to whoever reads it in passing. Whether the channel could show the
 * whole text is for the channel to know.
 */
export function answersThrough(approval: Approval, channel: string): boolean {
  const { access, class: kind, shown, route, under } = approval
  return (
    route.answers?.includes(channel) === true &&
    access === undefined &&
    kind !== 'administer' &&
    kind !== 'opaque' &&
    shown === undefined &&
    under?.moved !== true
  )
}

/**
 * What else an answer through a channel has to be. A channel's secret stands for every person behind it: of the people that a
 * request needs, one at most answers so. Throws `denied`, `invalid`.
 */
export function checkThrough(approval: Approval, answer: Answer, { method }: LoginProof): void {
  const { ticket } = approval
  const { through, verdict, reuse, muteMs } = answer
  const isChannel = method === 'channel'
  if (isChannel !== through.startsWith(CHANNEL)) {
    throw new GatewayError('denied', 'An answer says truly through what it came.', { ticket })
  }
  if (!isChannel) return
  const remedy = `Log in and answer: sluice approvals show ${ticket}`
  if (!answersThrough(approval, through.slice(CHANNEL.length))) {
    throw new GatewayError('denied', `${ticket} is not answered through this channel.`, { ticket, remedy })
  }
  if (reuse !== undefined || muteMs !== undefined) {
    throw new GatewayError('invalid', 'An answer through a channel is for one use, and mutes nobody.', {
      ticket,
      remedy,
    })
  }
  const isTaken = approval.answers.some((given) => given.verdict === 'approve' && given.method === 'channel')
  if (verdict === 'approve' && isTaken) {
    throw new GatewayError(
      'denied',
      `${ticket} has one answer through a channel already; the next person logs in.`,
      { ticket, remedy },
    )
  }
}

const CHANNEL = 'channel:'
