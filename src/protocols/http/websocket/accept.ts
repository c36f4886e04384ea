import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { WebSocketServer } from 'ws'
import { GatewayError } from '../../../core/index.ts'
import { FRAMES, MessageSocket } from './message-socket.ts'

const NOTHING = Buffer.alloc(0)

/** The subprotocol of each request that is about to be accepted. */
const agreed = new WeakMap<IncomingMessage, string>()

const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  ...FRAMES,
  handleProtocols: (_offered, request) => agreed.get(request) ?? false,
})

/** Answers 101. `protocol`: what the upstream has chosen; empty: none. Throws GatewayError `canceled` where the client has gone. */
export function accept(request: IncomingMessage, socket: Duplex, protocol: string): MessageSocket {
  if (protocol !== '') agreed.set(request, protocol)
  const accepted: WebSocket[] = []
  server.handleUpgrade(request, socket, NOTHING, (made) => accepted.push(made))
  const [made] = accepted
  if (made === undefined) throw gone()
  return new MessageSocket(made, gone)
}

function gone(cause?: unknown): GatewayError {
  return new GatewayError('canceled', 'The client went away.', { cause })
}
