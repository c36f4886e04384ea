/** An API on loopback that stands in for one of a vendor: answers by a function, and keeps what it was asked. */
import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Seen = {
  readonly method: string
  /** Path and query as they came. */
  readonly target: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type StandIn = {
  readonly port: number
  /** In the order in which they came. */
  readonly seen: readonly Seen[]
  stop(): Promise<void>
}

export type Answering = (seen: Seen, response: ServerResponse) => void | Promise<void>

/** It lets nobody in but who shows `authorization` to the letter, as the API of a vendor would. */
export async function startStandIn(authorization: string, answer: Answering): Promise<StandIn> {
  const seen: Seen[] = []
  const failures: unknown[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.once('end', () => {
      const target = request.url ?? '/'
      const url = new URL(target, 'http://x')
      const { method = '', headers } = request
      const body = Buffer.concat(pieces).toString()
      const asked: Seen = { method, target, path: url.pathname, query: url.searchParams, headers, body }
      seen.push(asked)
      if (headers.authorization !== authorization) {
        sendJson(response, 401, { message: 'Bad credentials', error: { message: 'No such API key' } })
        return
      }
      Promise.resolve()
        .then(() => answer(asked, response))
        .catch((error: unknown) => {
          failures.push(error)
          response.destroy()
        })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    seen,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      if (failures.length > 0) throw new AggregateError(failures, 'the stand-in could not answer')
    },
  }
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
    .end(JSON.stringify(body))
}
