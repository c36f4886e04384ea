import { rootCertificates } from 'node:tls'
import { Agent, request } from 'undici'
import type { ErrorCode } from '../core/index.ts'
import { ERROR_CODES, GatewayError } from '../core/index.ts'

/** The operator socket's name in the data directory. */
export const OPERATOR_SOCKET = 'operator.sock'

/** How to reach a control API. */
export type ApiAddress =
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'url'
      readonly url: string
      /** PEM of the authority that the gateway made its certificate with; it names the machine as `localhost`. */
      readonly authority?: string
      readonly token?: string
    }

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** Calls the control API; errors come back as the GatewayError they were. */
export class ApiClient {
  readonly #address: ApiAddress
  readonly #agent: Agent

  constructor(address: ApiAddress) {
    this.#address = address
    this.#agent = new Agent({ connect: connectOptions(address) })
  }

  async call(method: Method, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#send(method, path, body)
    const parsed = parse(await answer.body.text())
    if (answer.statusCode < 400) return parsed
    throw errorOf(parsed, answer.statusCode)
  }

  /** The body of a GET that goes on, such as a stream of events: as it comes, until it ends. */
  async stream(path: string): Promise<AsyncIterable<Buffer>> {
    const answer = await this.#send('GET', path, undefined)
    if (answer.statusCode < 400) return answer.body
    throw errorOf(parse(await answer.body.text()), answer.statusCode)
  }

  async #send(method: Method, path: string, body: unknown) {
    const address = this.#address
    const base = address.kind === 'socket' ? 'http://localhost' : address.url
    const token = address.kind === 'url' ? address.token : undefined
    return await request(new URL(path, base), {
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
          address.kind === 'socket'
            ? 'Is it running, and is --data (or SLUICE_DATA) its data directory?'
            : `Is it running at ${address.url}?`,
        retry: 'later',
        cause,
      })
    })
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }
}

function connectOptions(address: ApiAddress): NonNullable<Agent.Options['connect']> {
  if (address.kind === 'socket') return { socketPath: address.path }
  if (address.authority === undefined) return {}
  return { ca: [...rootCertificates, address.authority], servername: 'localhost' }
}

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new GatewayError('upstream_unreachable', 'Something else than a gateway answers there.', { cause })
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
  const reason = 'reason' in problem && typeof problem.reason === 'string' ? problem.reason : undefined
  return new GatewayError(code, detail, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(reason === undefined ? {} : { facts: { reason } }),
  })
}
