import type { ClientRequest, IncomingMessage } from 'node:http'
import type { ClientOptions } from 'ws'
import { WebSocket } from 'ws'
import { GatewayError, isGatewayError } from '../../../core/index.ts'
import type { LineCredential } from '../../../upstream-credentials/index.ts'
import type { Ready } from '../upstream/upstream.ts'
import { unreachable } from '../upstream/upstream.ts'
import { FRAMES, MessageSocket } from './message-socket.ts'

const CONNECT_MS = 10_000

/** The upstream answered the upgrade in another way than by doing it. */
export class NotUpgraded extends Error {
  readonly status: number

  constructor(status: number) {
    super(`the upstream answered ${status}`)
    this.status = status
  }
}

/**
 * Asks the upstream for a WebSocket, on a line of its own. Rejects with `NotUpgraded`, GatewayError `upstream_unreachable`, or the
 * reason of the signal.
 */
export function dial(
  origin: string,
  { worn, outgoing }: Ready,
  protocols: readonly string[],
  shown: LineCredential | undefined,
): Promise<MessageSocket> {
  const { signal } = outgoing
  const options: ClientOptions & typeof FRAMES = {
    ...FRAMES,
    headers: fieldsOf(worn.headers),
    handshakeTimeout: CONNECT_MS,
    followRedirects: false,
    // As it was judged: made into a URL, some characters would be others.
    finishRequest: (request: ClientRequest) => {
      request.path = worn.target
      request.end()
    },
    ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.key.reveal() }),
  }
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(origin.replace(/^http/, 'ws'), [...protocols], options)
    const line = new MessageSocket(socket, unreachable)
    const giveUp = (): void => {
      reject(
        isGatewayError(signal.reason) ? signal.reason : new GatewayError('canceled', 'The client went away.'),
      )
      socket.terminate()
    }
    signal.addEventListener('abort', giveUp, { once: true })
    const over = (): void => signal.removeEventListener('abort', giveUp)
    socket.once('open', () => {
      over()
      resolve(line)
    })
    socket.once('unexpected-response', (request: ClientRequest, response: IncomingMessage) => {
      over()
      reject(new NotUpgraded(response.statusCode ?? 0))
      request.destroy()
    })
    socket.once('error', (error: Error) => {
      over()
      reject(unreachable(error))
    })
    if (signal.aborted) giveUp()
  })
}

/** All lines of a field in one, RFC 9110 section 5.3. */
function fieldsOf(raw: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    const value = raw[i + 1] ?? ''
    const before = fields[name]
    fields[name] = before === undefined ? value : `${before}, ${value}`
  }
  return fields
}
