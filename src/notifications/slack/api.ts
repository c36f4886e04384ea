import { z } from 'zod'
import type { SlackChannel } from '../../config/channel-block.ts'
import { checkStatus, type Poster, waitOf } from '../post.ts'
import type { ResolveSecret } from '../sender.ts'
import { refused, undelivered } from '../sender.ts'
import type { SlackMessage } from './blocks.ts'

/** What Slack says when the trouble is its own: https://docs.slack.dev/reference/methods/chat.postMessage */
const PASSING: ReadonlySet<string> = new Set([
  'ratelimited',
  'rate_limited',
  'fatal_error',
  'internal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
])

const answerSchema = z.object({
  ok: z.boolean(),
  error: z.string().optional(),
  channel: z.string().optional(),
  ts: z.string().optional(),
})

/** Three methods of Slack's Web API, as JSON: https://docs.slack.dev/apis/web-api */
export class SlackApi {
  readonly #channel: SlackChannel
  readonly #poster: Poster
  readonly #resolve: ResolveSecret

  constructor(channel: SlackChannel, poster: Poster, resolve: ResolveSecret) {
    this.#channel = channel
    this.#poster = poster
    this.#resolve = resolve
  }

  /** Gives what names the message. Throws `undelivered`, `refused`. */
  async post(message: SlackMessage, thread?: string): Promise<string> {
    const thread_ts = thread === undefined ? undefined : timeOf(thread)
    const { channel, ts } = await this.#call('chat.postMessage', {
      ...message,
      channel: this.#channel.to,
      ...(thread_ts === undefined ? {} : { thread_ts, reply_broadcast: true }),
      ...QUIET,
    })
    return `${channel} ${ts}`
  }

  async update(ref: string, message: SlackMessage): Promise<void> {
    const [channel = ''] = ref.split(' ')
    await this.#call('chat.update', { ...message, channel, ts: timeOf(ref) })
  }

  /** For one person to see, and nobody else. */
  async tell(user: string, message: SlackMessage): Promise<void> {
    await this.#call('chat.postEphemeral', { ...message, channel: this.#channel.to, user })
  }

  async #call(method: string, body: Readonly<Record<string, unknown>>) {
    const token = await this.#resolve(this.#channel.token)
    const posted = await this.#poster.post(
      `${this.#channel.apiUrl}/${method}`,
      {
        'content-type': 'application/json; charset=utf-8',
        authorization: `Bearer ${token.reveal()}`,
      },
      JSON.stringify(body),
    )
    checkStatus(new URL(this.#channel.apiUrl).host, posted)
    const answer = answerSchema.safeParse(parsed(posted.text))
    if (!answer.success) throw undelivered('Slack answered with something that is not its answer.')
    const { ok, error = 'unknown_error', channel = '', ts = '' } = answer.data
    if (ok) return { channel, ts }
    // A word of a fixed list, and nothing that was sent.
    const word = /^[a-z_]{1,64}$/.test(error) ? error : 'unknown_error'
    if (PASSING.has(word)) {
      throw undelivered(`Slack answered ${word}.`, { retryAfterMs: waitOf(posted.headers['retry-after']) })
    }
    throw refused(
      `Slack answered ${word} to ${method}.`,
      'Look at the token of this channel, its scope chat:write, and whether the bot was invited to the conversation.',
    )
  }
}

/** No previews, no mentions, no names that become links. */
const QUIET = { unfurl_links: false, unfurl_media: false, mrkdwn: false, parse: 'none', link_names: false }

function timeOf(ref: string): string {
  return ref.split(' ')[1] ?? ''
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
