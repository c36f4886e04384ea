/**
 * Reads results as fast as the machine allows and throws the bytes away: a client library would measure itself. Logs
 * in with node-postgres, then takes its socket. Coordinates come as PGHOST and so on; each line on standard input is a
 * statement, each line on standard output is what came of it: {tag, bytes, ms, head}.
 */
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { Client } from 'pg'

export type Read = {
  /** The server's word: `SELECT 1000000`. */
  readonly tag: string
  readonly bytes: number
  readonly ms: number
  /** The first bytes, in Latin-1: enough to see whether a column is masked. */
  readonly head: string
}

const HEAD_BYTES = 2048
/** ReadyForQuery outside a transaction. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

function query(socket: Socket, statement: string): Promise<Read> {
  const text = Buffer.from(`${statement}\0`)
  const message = Buffer.alloc(5)
  message.write('Q')
  message.writeInt32BE(text.length + 4, 1)
  const started = performance.now()
  let bytes = 0
  let head = ''
  let tail: Buffer = Buffer.alloc(0)
  return new Promise((fulfil, reject) => {
    const take = (chunk: Buffer): void => {
      bytes += chunk.length
      if (head.length < HEAD_BYTES) head += chunk.toString('latin1', 0, HEAD_BYTES - head.length)
      tail = chunk.length >= 64 ? chunk : Buffer.concat([tail, chunk])
      if (!tail.subarray(-READY.length).equals(READY)) return
      socket.removeListener('data', take)
      socket.removeListener('close', gone)
      // CommandComplete is the last message before ReadyForQuery.
      const tag = /C....([A-Z]+ [\d ]+)\0Z....I$/s.exec(
        tail.toString('latin1', Math.max(0, tail.length - 80)),
      )?.[1]
      fulfil({ tag: tag ?? 'none', bytes, ms: performance.now() - started, head })
    }
    const gone = (): void => reject(new Error('the connection was closed'))
    socket.on('data', take)
    socket.on('close', gone)
    socket.write(Buffer.concat([message, text]))
  })
}

if (import.meta.main) {
  const client = new Client()
  await client.connect()
  const connection: unknown = Reflect.get(client, 'connection')
  const socket: unknown =
    typeof connection === 'object' && connection !== null ? Reflect.get(connection, 'stream') : undefined
  if (!(socket instanceof Socket)) throw new Error('node-postgres keeps its socket elsewhere now')
  socket.removeAllListeners('data')
  console.log('ready')
  for await (const statement of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await query(socket, statement)))
  }
  socket.destroy()
}
