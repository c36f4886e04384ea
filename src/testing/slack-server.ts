import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fields, slackFault } from './slack-limits.ts'

export type SlackCall = { readonly method: string; readonly body: Readonly<Record<string, unknown>> }

/** A message as it stands in the conversation. */
type Posted = { blocks: unknown[]; text: string }

/**
 * Slack's Web API on loopback, as far as Sluice uses it: checks the token, the form and the limits of what it is given, keeps the
 * messages, and signs clicks on their buttons as Slack does.
 */
export class SlackServer {
  readonly calls: SlackCall[] = []
  readonly messages = new Map<string, Posted>()
  /** Answers this in the place of doing anything. */
  fault: { status: number; body: unknown; headers?: Record<string, string> } | undefined
  readonly token: string
  readonly signingSecret: string
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const {
        status,
        body,
        headers = {},
      } = this.fault ?? {
        status: 200,
        body: this.#answer(request.url ?? '', request.headers, Buffer.concat(chunks).toString('utf8')),
      }
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    })
  })
  #count = 0

  constructor(token = 'xoxb-1', signingSecret = 'signing') {
    this.token = token
    this.signingSecret = signingSecret
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(url: string, headers: NodeJS.Dict<string | string[]>, text: string): unknown {
    if (headers.authorization !== `Bearer ${this.token}`) return { ok: false, error: 'invalid_auth' }
    if (!/^application\/json; charset=utf-8$/.test(String(headers['content-type'])))
      return { ok: false, error: 'invalid_post_type' }
    const body = fields(JSON.parse(text))
    const method = url.replace('/api/', '')
    const fault = slackFault(body)
    if (fault !== undefined) return { ok: false, error: fault }
    const posted = { blocks: body.blocks as unknown[], text: String(body.text) }
    this.calls.push({ method, body })
    const channel = String(body.channel)
    switch (method) {
      case 'chat.postMessage': {
        const ts = `17000000${String(++this.#count).padStart(2, '0')}.000100`
        this.messages.set(ts, posted)
        return { ok: true, channel, ts }
      }
      case 'chat.update': {
        const ts = String(body.ts)
        if (!this.messages.has(ts)) return { ok: false, error: 'message_not_found' }
        this.messages.set(ts, posted)
        return { ok: true, channel, ts }
      }
      case 'chat.postEphemeral':
        return typeof body.user === 'string'
          ? { ok: true, message_ts: '1' }
          : { ok: false, error: 'user_not_in_channel' }
      default:
        return { ok: false, error: 'unknown_method' }
    }
  }

  /** What Slack posts when somebody clicks a button of a message: the body, and its headers. */
  click(
    user: string,
    ts: string,
    action: string,
    rest: {
      readonly at?: number
      readonly message?: object
      readonly channel?: string
      readonly secret?: string
    } = {},
  ): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
    const { at = Date.now(), channel = 'C0123456789', secret = this.signingSecret } = rest
    const message = rest.message ?? this.messages.get(ts) ?? { blocks: [] }
    const actions = 'blocks' in message && Array.isArray(message.blocks) ? message.blocks.map(fields) : []
    const elements = actions.flatMap(({ elements: all }) => (Array.isArray(all) ? all.map(fields) : []))
    const clicked = elements.find(({ action_id: id }) => id === action)
    const payload = {
      type: 'block_actions',
      team: { id: 'T0', domain: 'example' },
      user: { id: user, name: user.toLowerCase(), team_id: 'T0' },
      api_app_id: 'A0',
      trigger_id: `${++this.#count}.2.3`,
      container: { type: 'message', message_ts: ts, channel_id: channel, is_ephemeral: false },
      channel: { id: channel, name: 'approvals' },
      message: { type: 'message', bot_id: 'B0', ts, ...message },
      response_url: 'https://hooks.slack.com/actions/T0/1/x',
      actions: [
        {
          type: 'button',
          block_id: 'answer',
          action_id: action,
          value: clicked?.value ?? '',
          action_ts: '1',
        },
      ],
    }
    return this.signed(`payload=${encodeURIComponent(JSON.stringify(payload))}`, at, secret)
  }

  /** Any body, signed as Slack does: https://docs.slack.dev/authentication/verifying-requests-from-slack */
  signed(body: string, at: number, secret = this.signingSecret) {
    const seconds = String(Math.floor(at / 1000))
    const signature = createHmac('sha256', secret).update(`v0:${seconds}:${body}`).digest('hex')
    return {
      body,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-slack-request-timestamp': seconds,
        'x-slack-signature': `v0=${signature}`,
      },
    }
  }
}
