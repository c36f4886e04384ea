/**
 * What the HTTP benchmarks compare with: requests in, the same requests out, nothing looked at. `undici` answers through a pool of
 * undici, which is what a gateway on Node is built of; `node` with `node:http` at both ends and `pipe`, as plain proxies are
 * written. Usage: node bench/http/relay.ts undici|node PORT. Prints the port it listens on.
 */
import { Agent, createServer, request as ask } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Pool } from 'undici'

const [kind = '', port = ''] = process.argv.slice(2)
const origin = `http://127.0.0.1:${port}`

function byUndici(): (request: IncomingMessage, response: ServerResponse) => void {
  const pool = new Pool(origin, { connections: 64, pipelining: 1 })
  return (request, response) => {
    pool
      .stream(
        { path: request.url ?? '/', method: 'GET', headers: { accept: '*/*' } },
        ({ statusCode, headers }) => {
          const { connection: _, 'keep-alive': __, ...kept } = headers
          return response.writeHead(statusCode, kept)
        },
      )
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  }
}

function byNode(): (request: IncomingMessage, response: ServerResponse) => void {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  return (request, response) => {
    const asked = ask(`${origin}${request.url ?? '/'}`, { agent, method: 'GET' }, (answer) => {
      const { connection: _, 'keep-alive': __, ...kept } = answer.headers
      response.writeHead(answer.statusCode ?? 502, kept)
      answer.pipe(response)
    })
    asked.on('error', (error) => response.destroy(error))
    asked.end()
  }
}

const server = createServer(kind === 'undici' ? byUndici() : byNode())
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) console.log(String(address.port))
})
