import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { ConnectionOptions, SecureContextOptions } from 'node:tls'
import { checkServerIdentity, rootCertificates } from 'node:tls'
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
      /** PEM of the authority that the gateway's certificate may be of, besides public ones. */
      readonly authority?: string
      readonly token?: string
    }

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/**
 * Calls the control API; errors come back as the GatewayError they were. Node's own client, because a command that asks
 * one thing would take twice as long with a library that has to be loaded first.
 */
export class ApiClient {
  readonly #address: ApiAddress
  readonly #agent: Agent
  readonly #tls: boolean

  constructor(address: ApiAddress) {
    this.#address = address
    this.#tls = address.kind === 'url' && address.url.startsWith('https:')
    this.#agent = this.#tls
      ? new TlsAgent({ keepAlive: true, ...trust(address) })
      : new Agent({ keepAlive: true })
  }

  async call(method: Method, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#send(method, path, body)
    const parsed = parse(await textOf(answer))
    if (statusOf(answer) < 400) return parsed
    throw errorOf(parsed, statusOf(answer))
  }

  /** The body of a GET that goes on, such as a stream of events: as it comes, until it ends. */
  async stream(path: string): Promise<AsyncIterable<Buffer>> {
    const answer = await this.#send('GET', path, undefined)
    if (statusOf(answer) < 400) return answer
    throw errorOf(parse(await textOf(answer)), statusOf(answer))
  }

  async #send(method: Method, path: string, body: unknown): Promise<IncomingMessage> {
    const address = this.#address
    const url = new URL(path, address.kind === 'socket' ? 'http://localhost' : address.url)
    const token = address.kind === 'url' ? address.token : undefined
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const asked = (this.#tls ? tlsRequest : request)(url, {
      method,
      agent: this.#agent,
      headers: {
        ...(content === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': content.byteLength }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(address.kind === 'socket' ? { socketPath: address.path } : {}),
    })
    // One after the answer has begun is the answer's own, too, and whoever reads that sees it there.
    asked.on('error', () => undefined)
    asked.end(content)
    try {
      const [answer]: IncomingMessage[] = await once(asked, 'response')
      if (answer !== undefined) return answer
      throw new Error('a response is an event with a message')
    } catch (cause) {
      throw new GatewayError('upstream_unreachable', 'The gateway does not answer.', {
        remedy:
          address.kind === 'socket'
            ? 'Is it running, and is --data (or SLUICE_DATA) its data directory?'
            : `Is it running at ${address.url}?`,
        retry: 'later',
        cause,
      })
    }
  }

  close(): Promise<void> {
    this.#agent.destroy()
    return Promise.resolve()
  }
}

function trust(
  address: ApiAddress,
): Pick<SecureContextOptions & ConnectionOptions, 'ca' | 'checkServerIdentity'> {
  if (address.kind === 'socket' || address.authority === undefined) return {}
  return {
    ca: [...rootCertificates, address.authority],
    // A certificate that the gateway made for itself names no machine but its own. Its authority made no other, and its key
    // was thrown away: whoever shows it is that gateway.
    checkServerIdentity: (host, certificate) =>
      isOwnAuthority(certificate.issuer.CN)
        ? checkServerIdentity('localhost', certificate)
        : checkServerIdentity(host, certificate),
  }
}

function isOwnAuthority(name: string | string[] | undefined): boolean {
  return typeof name === 'string' && name.startsWith('Sluice authority ')
}

async function textOf(answer: IncomingMessage): Promise<string> {
  answer.setEncoding('utf8')
  let text = ''
  for await (const part of answer) text += String(part)
  return text
}

/** Of an answer, which always has one. */
function statusOf(answer: IncomingMessage): number {
  return answer.statusCode ?? 0
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
