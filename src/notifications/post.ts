import { Agent, type Dispatcher, request } from 'undici'
import { isThisMachine, LIMITS } from '../core/index.ts'
import { refused, undelivered } from './sender.ts'

export type Posted = {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  /** Never shown: it may repeat what was sent. */
  readonly text: string
}

/** Posts to one receiver. Follows no redirects and uses no proxy: what is configured is where it goes. */
export class Poster {
  #agent: { readonly ca: string | undefined; readonly agent: Agent } | undefined

  /** Any answer at all. Throws `undelivered`, `refused` for an address that is not safe. */
  async post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: string,
    ca?: string,
  ): Promise<Posted> {
    const address = URL.parse(url)
    if (address === null || !isSafe(address)) {
      throw refused(
        'The address of this channel is no https URL.',
        'Use one that begins with https://; plain http is for this machine only.',
      )
    }
    try {
      const answer = await request(address, {
        method: 'POST',
        dispatcher: this.#agentFor(ca),
        headers: { 'user-agent': 'sluice', ...headers },
        body,
        signal: AbortSignal.timeout(LIMITS.notificationAnswerMs),
      })
      return { status: answer.statusCode, headers: answer.headers, text: await shortText(answer.body) }
    } catch (cause) {
      throw undelivered(`${address.host} cannot be reached (${reasonOf(cause)}).`, { cause })
    }
  }

  async close(): Promise<void> {
    await this.#agent?.agent.destroy()
  }

  #agentFor(ca: string | undefined): Agent {
    if (this.#agent !== undefined && this.#agent.ca === ca) return this.#agent.agent
    const old = this.#agent
    const agent = new Agent({
      connections: 2,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: 16 * 1024,
      ...(ca === undefined ? {} : { connect: { ca } }),
    })
    this.#agent = { ca, agent }
    void old?.agent.destroy()
    return agent
  }
}

function isSafe({ protocol, hostname }: URL): boolean {
  return (
    protocol === 'https:' || (protocol === 'http:' && isThisMachine(hostname.replace(/^\[(.*)\]$/, '$1')))
  )
}

/** What an answer that is no success says of trying again. Standard Webhooks, "Delivery success and failure". */
export function checkStatus(host: string, { status, headers }: Posted): void {
  if (status >= 200 && status <= 299) return
  if (status === 408 || status === 429 || status >= 500) {
    throw undelivered(`${host} answered ${status}.`, { retryAfterMs: waitOf(headers['retry-after']) })
  }
  throw refused(
    `${host} answered ${status}: it does not take this.`,
    status >= 300 && status <= 399
      ? 'Redirects are not followed: write the address that it leads to.'
      : 'Look at the address and the secrets of this channel.',
  )
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
export function waitOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

/** `ECONNREFUSED` and the like. */
function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : 'no answer in time'
}

async function shortText(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) continue
    length += chunk.length
    if (length > LIMITS.notificationAnswerBytesMax) {
      body.destroy()
      throw new Error('the answer is too long')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
