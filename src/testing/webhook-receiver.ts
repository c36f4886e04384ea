import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export type WebhookBody = {
  readonly type: string
  readonly timestamp: string
  readonly data: Readonly<Record<string, unknown>>
}
export type ReceivedWebhook = { readonly id: string; readonly body: WebhookBody; readonly text: string }

/** Takes webhooks whose signature the library of Standard Webhooks accepts under this secret, and keeps them. */
export class WebhookReceiver {
  readonly taken: ReceivedWebhook[] = []
  readonly faults: string[] = []
  /** What it answers with; 200 when nothing is said. */
  status = 200
  secret: string
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const { status } = this
      if (status !== 200) {
        response.writeHead(status, { location: '/elsewhere' }).end('x'.repeat(status === 500 ? 200_000 : 0))
        return
      }
      try {
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        )
        const body = new Webhook(this.secret).verify(text, headers) as WebhookBody
        this.taken.push({ id: String(request.headers['webhook-id']), body, text })
        response.end()
      } catch (error) {
        this.faults.push(String(error))
        response.writeHead(401).end()
      }
    })
  })

  constructor(secret: string) {
    this.secret = secret
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** What a system posts to answer, signed. */
export function signedAnswer(secret: string, id: string, body: unknown, at = Date.now()) {
  const raw = JSON.stringify(body)
  return {
    raw,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, new Date(Math.floor(at / 1000) * 1000), raw),
    },
  }
}
