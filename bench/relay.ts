/**
 * The bare relay that the benchmarks compare with: bytes in, the same bytes out, nothing looked at. It shows what a
 * gateway on Node costs before it does any work. Usage: node bench/relay.ts HOST PORT [--events]
 * Prints the port it listens on. With `--events` it reads by stream events; otherwise into one reused buffer.
 */
import { Socket, connect, createServer } from 'node:net'
import type { OnReadOpts } from 'node:net'

const [host = '127.0.0.1', port = '5432', how] = process.argv.slice(2)
const byEvents = how === '--events'
const buffer = Buffer.allocUnsafeSlow(64 * 1024)

type End = { socket: Socket; peer: End | undefined }

/** Reads into the shared buffer; the bytes are copied once, because a write may still hold them at the next read. */
function reader(end: End): OnReadOpts {
  return {
    buffer,
    callback(length) {
      return forward(end, Buffer.from(buffer.subarray(0, length)))
    },
  }
}

function forward(end: End, bytes: Buffer): boolean {
  const to = end.peer?.socket
  if (to === undefined || to.write(bytes)) return true
  end.socket.pause()
  to.once('drain', () => (byEvents ? end.socket.resume() : end.socket.read(0)))
  return false
}

function join(a: End, b: End): void {
  a.peer = b
  b.peer = a
  for (const end of [a, b]) {
    if (byEvents) end.socket.on('data', (bytes: Buffer) => forward(end, bytes))
    end.socket.on('end', () => end.peer?.socket.end())
    end.socket.on('error', () => end.peer?.socket.destroy())
    end.socket.on('close', () => end.peer?.socket.destroy())
  }
}

function accept(accepted: Socket): void {
  const client: End = { socket: accepted, peer: undefined }
  const upstream: End = { socket: accepted, peer: undefined }
  if (byEvents) {
    upstream.socket = connect({ host, port: Number(port), noDelay: true })
    accepted.resume()
  } else {
    const handle: unknown = Reflect.get(accepted, '_handle')
    const wrapped: unknown = Reflect.construct(Socket, [{ handle, onread: reader(client) }])
    if (!(wrapped instanceof Socket)) throw new Error('this node has no handle to wrap')
    Reflect.set(accepted, '_handle', null)
    client.socket = wrapped
    upstream.socket = connect({ host, port: Number(port), noDelay: true, onread: reader(upstream) })
  }
  join(client, upstream)
}

const server = createServer({ noDelay: true, pauseOnConnect: true }, accept)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) console.log(String(address.port))
})
