import { request } from 'undici'
import { Agent } from 'undici'
import { GatewayError } from '../core/index.ts'
import type { ErrorCode } from '../core/index.ts'
import { ERROR_CODES } from '../core/index.ts'

/** The operator socket's name in the data directory. */
export const OPERATOR_SOCKET = 'operator.sock'

/** How to reach a control API. */
export type ApiAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string; readonly ca?: string; readonly token?: string }

/** Calls the control API; errors come back as the GatewayError they were. */
export class ApiClient {
  readonly #address: ApiAddress
  readonly #agent: Agent

  constructor(address: ApiAddress) {
    this.#address = address
    this.#agent =
      address.kind === 'socket'
        ? new Agent({ connect: { socketPath: address.path } })
        : new Agent({ connect: address.ca === undefined ? {} : { ca: address.ca } })
  }

  async call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    const address = this.#address
    const base = address.kind === 'socket' ? 'http://localhost' : address.url
    const token = address.kind === 'url' ? address.token : undefined
    const answer = await request(new URL(path, base), {
      method,
      dispatcher: this.#agent,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new GatewayError('upstream_unreachable', 'The gateway does not answer.', {
        remedy:
          address.kind === 'socket' ? 'Is it running, and is --data its data directory?' : 'Is it running?',
        cause,
      })
    })
    const text = await answer.body.text()
    const parsed: unknown = text === '' ? undefined : JSON.parse(text)
    if (answer.statusCode < 400) return parsed
    throw errorOf(parsed, answer.statusCode)
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }
}

function errorOf(body: unknown, status: number): GatewayError {
  const problem = typeof body === 'object' && body !== null ? body : {}
  const type =
    'type' in problem && typeof problem.type === 'string' ? problem.type.replace('urn:sluice:error:', '') : ''
  const code: ErrorCode = ERROR_CODES.find((each) => each === type) ?? 'internal'
  const detail =
    'detail' in problem && typeof problem.detail === 'string' ? problem.detail : `HTTP status ${status}`
  const remedy = 'remedy' in problem && typeof problem.remedy === 'string' ? problem.remedy : undefined
  return new GatewayError(code, detail, remedy === undefined ? {} : { remedy })
}
