import { createHash } from 'node:crypto'
import type { ClientTls, Network, Pipe, ServerTls } from '../core/index.ts'
import { GatewayError } from '../core/index.ts'
import type { PipePairOptions } from './pipe-pair.ts'
import { MemoryPipe, pipePair } from './pipe-pair.ts'

/** What a TLS server showed, by the pipe at which its client stands. */
const shown = new WeakMap<MemoryPipe, ServerTls>()

/**
 * Dialling and TLS without sockets: whoever is dialled gets one end of a pipe pair, and TLS is a handshake in which
 * nothing is sent and nothing is encrypted, but both ends learn the same facts. Leaves certificates unchecked.
 */
export class FakeNetwork implements Network {
  readonly dialled: { readonly host: string; readonly port: number }[] = []
  readonly #listeners = new Map<string, (pipe: Pipe) => void>()
  readonly #options: PipePairOptions

  constructor(options: PipePairOptions = {}) {
    this.#options = options
  }

  /** Whoever dials `host` and `port` from now on is answered by `serve`. */
  listen(host: string, port: number, serve: (pipe: Pipe) => void): this {
    this.#listeners.set(`${host}:${port}`, serve)
    return this
  }

  async dial({ host, port }: { readonly host: string; readonly port: number }): Promise<Pipe> {
    this.dialled.push({ host, port })
    const serve = this.#listeners.get(`${host}:${port}`)
    if (serve === undefined) throw new GatewayError('upstream_unreachable', 'Nobody listens there.')
    const [near, far] = pipePair(this.#options)
    serve(far)
    return near
  }

  async secureServer(pipe: Pipe, tls: ServerTls): Promise<Pipe> {
    const server = memoryPipe(pipe)
    shown.set(server.peer, tls)
    const alpn = tls.alpn?.[0]
    server.tls = { protocol: 'fake', alpn, servername: undefined, endPointHash: hashOf(tls) }
    // A real handshake is over only after several turns, and an adapter has to cope with that.
    await turn()
    return pipe
  }

  async secureClient(pipe: Pipe, tls: ClientTls): Promise<Pipe> {
    const client = memoryPipe(pipe)
    let server = shown.get(client)
    while (server === undefined && !client.closed && !client.peer.closed) {
      await turn()
      server = shown.get(client)
    }
    if (server === undefined) throw new GatewayError('upstream_unreachable', 'The TLS handshake failed.')
    const alpn = tls.alpn?.find((each) => server.alpn?.includes(each))
    client.tls = { protocol: 'fake', alpn, servername: tls.servername, endPointHash: hashOf(server) }
    return pipe
  }
}

function memoryPipe(pipe: Pipe): MemoryPipe {
  if (pipe instanceof MemoryPipe && pipe.tls === undefined) return pipe
  throw new Error('TLS can be made only once, and only on a pipe in memory')
}

function hashOf(tls: ServerTls): Uint8Array {
  return createHash('sha256').update(tls.certificate).digest()
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
