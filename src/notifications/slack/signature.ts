import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../core/index.ts'
import { GatewayError, LIMITS } from '../../core/index.ts'

/**
 * Checks that Slack has signed this request within `LIMITS.channelAnswerMs` of now, and gives what names it: two requests are never
 * signed the same. https://docs.slack.dev/authentication/verifying-requests-from-slack. Throws `unauthenticated`, in the same words
 * whatever is wrong.
 */
export function slackVerified(
  secret: Secret,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: Uint8Array,
  now: number,
): string {
  const given = headers['x-slack-signature']
  const seconds = headers['x-slack-request-timestamp']
  if (typeof given !== 'string' || typeof seconds !== 'string') throw unsigned()
  if (!/^v0=[0-9a-f]{64}$/.test(given) || !/^\d{1,12}$/.test(seconds)) throw unsigned()
  const expected = createHmac('sha256', secret.reveal()).update(`v0:${seconds}:`).update(body).digest()
  if (!timingSafeEqual(expected, Buffer.from(given.slice(3), 'hex'))) throw unsigned()
  if (Math.abs(now - Number(seconds) * 1000) > LIMITS.channelAnswerMs) throw unsigned()
  return given
}

function unsigned(): GatewayError {
  return new GatewayError('unauthenticated', 'This request is not signed by Slack for this channel.', {
    remedy: 'Look at answers.signingSecret of the channel, and at the clock of the gateway.',
  })
}
