import type { Dispatcher } from 'undici'
import { Pool } from 'undici'
import type { Connection, SecretRef, Secret } from '../../core/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { HttpSettings } from './settings.ts'

const CONNECTIONS_MAX = 64
const CONNECT_MS = 10_000

export type Answer = {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * The upstream of one connection. What the configuration names and nothing else: redirects are not followed, and the
 * client has no say in the host.
 */
export class HttpUpstream {
  readonly #pool: Pool
  readonly #base: string
  readonly #bearer: SecretRef | undefined
  readonly #resolve: (reference: SecretRef) => Promise<Secret>

  constructor(connection: Connection<HttpSettings>, resolve: (reference: SecretRef) => Promise<Secret>) {
    const url = new URL(connection.settings.upstream.url)
    this.#pool = new Pool(url.origin, {
      connections: CONNECTIONS_MAX,
      connect: { timeout: CONNECT_MS },
      pipelining: 1,
    })
    this.#base = url.pathname.replace(/\/$/, '')
    this.#bearer = connection.settings.upstream.bearer
    this.#resolve = resolve
  }

  /** The real credential, resolved before the request is recorded as sent. */
  async credential(): Promise<string | undefined> {
    if (this.#bearer === undefined) return undefined
    try {
      return (await this.#resolve(this.#bearer)).reveal()
    } catch (cause) {
      throw new GatewayError('upstream_unreachable', 'The credential of this connection cannot be had.', {
        cause,
      })
    }
  }

  async request(input: {
    readonly method: string
    readonly target: string
    readonly headers: readonly string[]
    readonly body: Uint8Array
    readonly credential: string | undefined
    readonly signal: AbortSignal
  }): Promise<Answer> {
    const headers = [...input.headers, 'accept-encoding', 'identity']
    if (input.credential !== undefined) headers.push('authorization', `Bearer ${input.credential}`)
    const options: Dispatcher.RequestOptions = {
      method: methodOf(input.method),
      path: `${this.#base}${input.target}`,
      headers,
      body: input.body.length === 0 ? null : Buffer.from(input.body),
      signal: input.signal,
      responseHeaders: 'raw',
    }
    try {
      const answer = await this.#pool.request(options)
      return { status: answer.statusCode, headers: rawHeaders(answer.headers), body: answer.body }
    } catch (cause) {
      throw new GatewayError('upstream_unreachable', 'The upstream of this connection does not answer.', {
        remedy: 'Check it with: sluice doctor',
        retry: 'later',
        cause,
      })
    }
  }

  /** Lets requests on their way end, then closes. */
  retire(): Promise<void> {
    return this.#pool.close()
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

function methodOf(method: string): (typeof METHODS)[number] {
  const found = METHODS.find((each) => each === method)
  if (found === undefined) throw new GatewayError('unsupported', 'This method is not spoken here.')
  return found
}

/** Names and values in turn, whichever form the library gave. */
function rawHeaders(headers: unknown): readonly string[] {
  const flat: string[] = []
  if (Array.isArray(headers)) {
    for (const each of headers) flat.push(String(each))
  } else if (typeof headers === 'object' && headers !== null) {
    for (const [name, value] of Object.entries(headers)) {
      for (const each of Array.isArray(value) ? value : [value]) flat.push(name, String(each))
    }
  }
  return flat
}
