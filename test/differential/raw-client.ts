/**
 * A client that hides nothing: it writes the protocol's messages one by one and keeps every byte that comes back.
 * Deliberately apart from src/wire/postgres (but for SCRAM): a mistake made there must not be made here again.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { ScramClient } from '../../src/wire/postgres/index.ts'
import { Secret } from '../../src/core/index.ts'

export type Target = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** One message from the server: its type as a letter, and its body. */
export type Message = { readonly type: string; readonly body: Buffer }

const ANSWER_MS_MAX = 20_000

export class RawClient {
  /** For an answer. */
  patienceMs = ANSWER_MS_MAX
  readonly #socket: Socket
  #unread = Buffer.alloc(0)
  #messages: Message[] = []
  #wake: (() => void) | undefined
  #ended = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('close', () => {
      this.#ended = true
      this.#wake?.()
    })
    // What went wrong shows in what was read so far; `close` follows.
    socket.on('error', (error) => this.#messages.push({ type: '!', body: Buffer.from(error.message) }))
  }

  /** Logs in; the messages of the greeting, up to the first ReadyForQuery, come back as well. */
  static async open(
    target: Target,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<{ client: RawClient; greeting: Message[] }> {
    const socket = connect({ host: target.host, port: target.port, noDelay: true })
    await once(socket, 'connect')
    const client = new RawClient(socket)
    const pairs = { user: target.user, database: target.database, ...parameters }
    const body = Object.entries(pairs).map(([name, value]) => `${name}\0${value}\0`)
    client.write(withLength(Buffer.concat([int32(0x0003_0000), Buffer.from(`${body.join('')}\0`)])))
    const [request] = await client.read(1)
    if (request === undefined || request.type !== 'R' || request.body.readInt32BE(0) !== 10) {
      return { client, greeting: request === undefined ? [] : [request] }
    }
    const scram = new ScramClient({
      password: new Secret(target.password),
      mechanisms: request.body.subarray(4).toString('latin1').split('\0').filter(Boolean),
      endPointHash: undefined,
      random: randomBytes,
    })
    const first = scram.first()
    client.write(message('p', Buffer.from(`${scram.mechanism}\0`), int32(first.length), first))
    const [challenge] = await client.read(1)
    if (challenge?.type !== 'R') return { client, greeting: challenge === undefined ? [] : [challenge] }
    client.write(message('p', await scram.final(challenge.body.subarray(4))))
    return { client, greeting: await client.readUntilReady() }
  }

  write(...bytes: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(bytes))
  }

  /** In pieces of `size` bytes, each in a segment of its own as far as the kernel lets us. */
  async writeInPieces(bytes: Buffer, size: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += size) {
      this.#socket.write(bytes.subarray(at, at + size))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The next `count` messages, or fewer when the connection ends. */
  async read(count: number): Promise<Message[]> {
    await this.#until(() => this.#messages.length >= count)
    return this.#messages.splice(0, count)
  }

  /** All messages up to the `count`th ReadyForQuery, or to the end of the connection. */
  async readUntilReady(count = 1): Promise<Message[]> {
    return this.#readUntil((type) => type === 'Z', count)
  }

  /** All messages up to and with the first of one of these types, or to the end of the connection. */
  async readUntilType(types: string): Promise<Message[]> {
    return this.#readUntil((type) => types.includes(type), 1)
  }

  async #readUntil(isLast: (type: string) => boolean, count: number): Promise<Message[]> {
    const place = () => {
      let seen = 0
      return this.#messages.findIndex(({ type }) => isLast(type) && ++seen === count)
    }
    await this.#until(() => place() >= 0)
    const at = place()
    return this.#messages.splice(0, at < 0 ? this.#messages.length : at + 1)
  }

  async #until(enough: () => boolean): Promise<void> {
    const deadline = Date.now() + this.patienceMs
    while (!enough() && !this.#ended) {
      const left = deadline - Date.now()
      if (left <= 0)
        throw new Error(
          `no answer within ${this.patienceMs} ms; so far: ${this.#messages.map(({ type }) => type).join('')}`,
        )
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #take(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes])
    for (;;) {
      if (this.#unread.length < 5) break
      const length = this.#unread.readInt32BE(1)
      if (this.#unread.length < length + 1) break
      const body = Buffer.from(this.#unread.subarray(5, length + 1))
      this.#messages.push({ type: String.fromCharCode(this.#unread[0] ?? 0), body })
      this.#unread = this.#unread.subarray(length + 1)
    }
    this.#wake?.()
  }

  /** Says its last word without a Terminate, and waits for the other side to hang up; false when it does not in time. */
  async halfClose(msMax: number): Promise<boolean> {
    if (!this.#ended) this.#socket.end()
    return this.closed(msMax)
  }

  /** Waits for the other side to hang up; false when it does not in time. */
  async closed(msMax: number): Promise<boolean> {
    const deadline = Date.now() + msMax
    while (!this.#ended && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10))
    if (this.#ended) return true
    this.#socket.destroy()
    return false
  }

  stopReading(): void {
    this.#socket.pause()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Everything that came and was not read yet. */
  unread(): Message[] {
    return this.#messages.splice(0)
  }

  async close(): Promise<void> {
    if (this.#ended) return
    const closed = once(this.#socket, 'close')
    this.#socket.end(message('X'))
    await closed
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function withLength(body: Buffer): Buffer {
  return Buffer.concat([int32(body.length + 4), body])
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(type, 'latin1'), withLength(Buffer.concat(parts))])
}

const text = (value: string) => Buffer.from(`${value}\0`)

export const query = (sql: string) => message('Q', text(sql))
export const parse = (statement: string, sql: string, types: readonly number[] = []) =>
  message('P', text(statement), text(sql), int16(types.length), ...types.map(int32))
export const describe = (what: 'S' | 'P', name: string) => message('D', Buffer.from(what), text(name))
export const execute = (portal: string, rowsMax = 0) => message('E', text(portal), int32(rowsMax))
export const closeNamed = (what: 'S' | 'P', name: string) => message('C', Buffer.from(what), text(name))
export const sync = () => message('S')
export const flush = () => message('H')
export const copyData = (data: string) => message('d', Buffer.from(data))
export const copyDone = () => message('c')
export const copyFail = (reason: string) => message('f', text(reason))

/** Parameters in `given` formats, absent: text; results all in `format`: 0 text, 1 binary. */
export function bind(
  portal: string,
  statement: string,
  values: readonly (string | Buffer | null)[],
  format: 0 | 1,
  given: readonly (0 | 1)[] = [],
): Buffer {
  const parts = values.map((value) => {
    if (value === null) return int32(-1)
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    return Buffer.concat([int32(bytes.length), bytes])
  })
  const formats = Buffer.concat([int16(1), int16(format)])
  const asGiven = Buffer.concat([int16(given.length), ...given.map(int16)])
  return message('B', text(portal), text(statement), asGiven, int16(values.length), ...parts, formats)
}
