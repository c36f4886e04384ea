/** Sockets that misbehave, and the questions to ask of a gateway afterwards. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { Client } from 'pg'

/** A connected socket whose errors are an expected end. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
  await once(socket, 'connect')
  socket.on('error', () => socket.destroy())
  return socket
}

/** Writes the pieces one after the other, waits for the end or so long, and gives back all that was answered. */
export async function send(
  port: number,
  pieces: readonly Buffer[],
  options: { readonly pauseMs?: number; readonly end?: boolean; readonly msMax?: number } = {},
): Promise<Buffer> {
  const socket = await dial(port)
  const seen: Buffer[] = []
  socket.on('data', (bytes) => seen.push(bytes))
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.once('end', () => socket.end())
  for (const piece of pieces) {
    if (socket.destroyed || !socket.writable) break
    socket.write(piece)
    await pause(options.pauseMs ?? 0)
  }
  if (options.end !== false && socket.writable) socket.end()
  await Promise.race([closed, pause(options.msMax ?? 2000)])
  socket.destroy()
  return Buffer.concat(seen)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)))
}

/** Resident memory of a process in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kib = /VmRSS:\s+(\d+) kB/.exec(status)?.[1]
  if (kib === undefined) throw new Error(`process ${pid} has no memory`)
  return Number(kib) / 1024
}

/** One statement over a connection of its own. */
export async function ask(dsn: string, sql = 'SELECT 1 AS n'): Promise<unknown> {
  const client = new Client({ connectionString: dsn })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

export function startup(parameters: Readonly<Record<string, string>>, version = 0x0003_0000): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`)
  const body = Buffer.from(`${pairs.join('')}\0`)
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8, 0)
  head.writeInt32BE(version, 4)
  return Buffer.concat([head, body])
}

export function int32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeInt32BE(value | 0, i * 4)
  return bytes
}

export function frame(type: string, body: Buffer | string, length?: number): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(length ?? bytes.length + 4), bytes])
}
