import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type Server as HttpServer,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** What a receiver has taken: each event by its id, and how often; a second one that is not the same is told. */
export class TakenEvents {
  readonly byId = new Map<string, string>()
  readonly differing: string[] = []
  count = 0

  take(event: unknown): void {
    const json = JSON.stringify(event)
    const id = idOf(event)
    const before = this.byId.get(id)
    if (before !== undefined && before !== json) this.differing.push(id)
    this.byId.set(id, json)
    this.count++
  }
}

function idOf(event: unknown): string {
  const { metadata } = Object(event) as { readonly metadata?: { readonly uid?: unknown } }
  return String(metadata?.uid)
}

export type Receiver = { readonly port: number; close(): Promise<void> }

/**
 * Takes batches as JSON arrays. `isOpen`: whether it takes this one; else it answers 503, or cuts the connection. `statusOf`:
 * what it answers to one with such headers; it takes those that it answers with 200.
 */
export async function httpReceiver(
  taken: TakenEvents,
  isOpen: () => boolean = () => true,
  statusOf: (headers: IncomingHttpHeaders) => number = () => 200,
): Promise<Receiver> {
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (!isOpen()) {
        if (taken.count % 2 === 0) response.destroy()
        else response.writeHead(503, { 'retry-after': '0' }).end()
        return
      }
      const status = statusOf(request.headers)
      if (status !== 200) {
        response.writeHead(status).end()
        return
      }
      const events: unknown = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString('utf8'))
      for (const event of Array.isArray(events) ? events : []) taken.take(event)
      // The answer may get lost as well.
      if (isOpen()) response.end()
      else response.destroy()
    })
  })
  return await listening(server)
}

/** Takes syslog with octet counting; what a connection brought counts when it ended in order. */
export async function syslogReceiver(
  taken: TakenEvents,
  isOpen: () => boolean = () => true,
): Promise<Receiver> {
  const server = createServer((socket) => {
    const chunks: Buffer[] = []
    socket.on('error', () => undefined)
    if (!isOpen()) socket.resetAndDestroy()
    socket.on('data', (chunk: Buffer) => {
      if (isOpen()) chunks.push(chunk)
      else socket.resetAndDestroy()
    })
    socket.on('end', () => {
      for (const message of messagesIn(Buffer.concat(chunks))) {
        const json = message.slice(message.indexOf('] {') + 2)
        taken.take(JSON.parse(json))
      }
    })
  })
  return await listening(server)
}

/** Messages that each have their length in front of them; a cut one at the end is left out. */
export function messagesIn(bytes: Buffer): string[] {
  const messages: string[] = []
  for (let rest = bytes; ; ) {
    const space = rest.indexOf(' ')
    const end = space + 1 + Number(rest.toString('latin1', 0, Math.max(space, 0)))
    if (space < 0 || rest.length < end) return messages
    messages.push(rest.toString('utf8', space + 1, end))
    rest = rest.subarray(end)
  }
}

async function listening(server: HttpServer | Server): Promise<Receiver> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      if ('closeAllConnections' in server) server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
