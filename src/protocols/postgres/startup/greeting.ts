import type { Pipe, ServerTls } from '../../../core/index.ts'
import { GatewayError } from '../../../core/index.ts'
import type { Network } from '../../../core/index.ts'
import type { Startup, StartupPacket } from '../../../wire/postgres/index.ts'
import { StartupReader } from '../../../wire/postgres/index.ts'

/** What a client began with: a start-up to be answered, or a cancel request. */
export type Greeting =
  | { readonly kind: 'startup'; readonly startup: Startup; readonly rest: Buffer }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }

export type GreetingOptions = {
  readonly network: Network
  readonly tls: ServerTls | undefined
  readonly tlsRequired: boolean
}

/** ALPN of direct TLS. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
const ALPN = 'postgresql'
/** Requests for encryption one after the other: TLS refused, then GSSAPI refused, then the start-up. */
const REQUESTS_MAX = 4

/** Reads what a client begins with, and makes TLS where it asks for it. */
export async function greet(pipe: Pipe, options: GreetingOptions): Promise<Greeting> {
  for (let requests = 0; requests < REQUESTS_MAX; requests++) {
    const { packet, rest } = await readStartup(pipe)
    switch (packet.kind) {
      case 'directTls':
        if (options.tls === undefined || pipe.tls !== undefined) throw noTls()
        await options.network.secureServer(pipe, { ...options.tls, alpn: [ALPN] }, rest)
        if (alpnOf(pipe) !== ALPN) {
          throw new GatewayError('protocol_violation', `Direct TLS needs the ALPN protocol ${ALPN}.`)
        }
        break
      case 'sslRequest':
        if (pipe.tls !== undefined)
          throw new GatewayError('protocol_violation', 'TLS inside TLS is not spoken here.')
        // Bytes behind the request came in clear and would be taken for what the encrypted client said.
        if (rest.length > 0)
          throw new GatewayError('protocol_violation', 'Data arrived in clear in front of TLS.')
        if (options.tls === undefined) {
          pipe.write(Buffer.from('N'))
        } else {
          pipe.write(Buffer.from('S'))
          await options.network.secureServer(pipe, options.tls)
        }
        break
      case 'gssEncryptionRequest':
        if (rest.length > 0)
          throw new GatewayError('protocol_violation', 'Data arrived in front of the answer.')
        pipe.write(Buffer.from('N'))
        break
      case 'cancelRequest':
        return { kind: 'cancel', processId: packet.processId, key: packet.key }
      case 'startup':
        if (options.tlsRequired && pipe.tls === undefined) throw noClear()
        return { kind: 'startup', startup: packet, rest }
    }
  }
  throw new GatewayError('protocol_violation', 'The client asks for encryption over and over.')
}

function readStartup(pipe: Pipe): Promise<{ packet: StartupPacket; rest: Buffer }> {
  const reader = new StartupReader()
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new GatewayError('canceled', 'The client went away.'))
    pipe.onEnd = gone
    pipe.onClose = gone
    pipe.onData = (bytes) => {
      try {
        const read = reader.push(bytes)
        if (read === undefined) return
        // What follows is read by somebody else, who is not there yet.
        pipe.pause()
        resolve({ packet: read.packet, rest: Buffer.from(read.rest) })
      } catch (error) {
        reject(error)
      }
    }
    pipe.resume()
  })
}

/** A call, because TLS came to be on the pipe behind the compiler's back. */
function alpnOf(pipe: Pipe): string | undefined {
  return pipe.tls?.alpn
}

function noTls(): GatewayError {
  return new GatewayError('unsupported', 'This listener has no certificate, so it does not speak TLS.', {
    remedy: 'Connect with sslmode=disable, or configure a certificate for the listener.',
    retry: 'only-if-changed',
  })
}

function noClear(): GatewayError {
  return new GatewayError('unauthenticated', 'Connect with TLS: this listener requires it.', {
    remedy: 'Set sslmode=require or stricter.',
    retry: 'only-if-changed',
  })
}
