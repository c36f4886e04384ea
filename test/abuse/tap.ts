/** A wire tap: everything that passes is kept byte for byte, in both directions. */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

export type Tapped = {
  readonly fromClient: Buffer[]
  readonly toClient: Buffer[]
  /** Where it comes from, as what is behind the tap sees it. */
  readonly address: () => string
}

export type Tap = {
  readonly port: number
  /** One per connection, in the order in which they came. */
  readonly conversations: readonly Tapped[]
  /** All bytes that clients were sent. */
  toClients(): Buffer
  stop(): Promise<void>
}

export async function startTap(port: number): Promise<Tap> {
  const conversations: Tapped[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    let address = ''
    upstream.on('connect', () => (address = `127.0.0.1:${upstream.localPort}`))
    const tapped: Tapped = { fromClient: [], toClient: [], address: () => address }
    conversations.push(tapped)
    for (const each of [client, upstream]) sockets.add(each)
    client.on('data', (bytes) => tapped.fromClient.push(bytes))
    upstream.on('data', (bytes) => tapped.toClient.push(bytes))
    client.pipe(upstream)
    upstream.pipe(client)
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = server.address() as AddressInfo
  return {
    port: own,
    conversations,
    toClients: () => Buffer.concat(conversations.flatMap((each) => each.toClient)),
    async stop() {
      for (const each of sockets) each.destroy()
      server.close()
      if (server.listening) await once(server, 'close')
    },
  }
}

/** The same DSN through the tap. */
export function through(tap: Tap, dsn: string): string {
  const url = new URL(dsn)
  url.port = String(tap.port)
  return url.href
}
