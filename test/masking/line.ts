/** Talks to a server or a gateway message by message, with values in either format, and gives back their bytes. */
import type { Message, Target } from '../differential/raw-client.ts'
import { describe, execute, parse, query, RawClient, sync } from '../differential/raw-client.ts'

export type Cell = Buffer | null
export type Format = 'text' | 'binary'

export class Line {
  readonly #client: RawClient

  private constructor(client: RawClient) {
    this.#client = client
  }

  static async open(target: Target): Promise<Line> {
    const { client, greeting } = await RawClient.open(target, { client_encoding: 'UTF8' })
    refuseErrors(greeting)
    return new Line(client)
  }

  async simple(sql: string): Promise<Cell[][]> {
    this.#client.write(query(sql))
    return rowsOf(await this.#client.readUntilReady())
  }

  async extended(
    sql: string,
    format: Format,
    options: {
      readonly describe?: 'statement' | 'portal'
      readonly values?: readonly Cell[]
      readonly as?: Format
    } = {},
  ): Promise<Cell[][]> {
    const { values = [], as = 'text' } = options
    this.#client.write(
      parse('', sql),
      ...(options.describe === 'statement' ? [describe('S', '')] : []),
      bindBytes(values, as, format),
      ...(options.describe === 'portal' ? [describe('P', '')] : []),
      execute(''),
      sync(),
    )
    return rowsOf(await this.#client.readUntilReady())
  }

  /** All that COPY ... TO STDOUT sends. */
  async copyOut(sql: string): Promise<Buffer> {
    this.#client.write(query(sql))
    const messages = await this.#client.readUntilReady()
    refuseErrors(messages)
    return Buffer.concat(messages.filter(({ type }) => type === 'd').map(({ body }) => body))
  }

  async copyIn(sql: string, data: Buffer): Promise<void> {
    this.#client.write(query(sql))
    refuseErrors(await this.#client.readUntilType('GE'))
    this.#client.write(frame('d', data), frame('c'))
    refuseErrors(await this.#client.readUntilReady())
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

function rowsOf(messages: readonly Message[]): Cell[][] {
  refuseErrors(messages)
  return messages.filter(({ type }) => type === 'D').map(({ body }) => cellsOf(body))
}

function refuseErrors(messages: readonly Message[]): void {
  const error = messages.find(({ type }) => type === 'E' || type === '!')
  if (error !== undefined) throw new Error(error.body.toString().replaceAll('\0', ' '))
}

function cellsOf(body: Buffer): Cell[] {
  const cells: Cell[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    at += 4
    cells.push(length < 0 ? null : body.subarray(at, at + length))
    at += Math.max(length, 0)
  }
  return cells
}

function bindBytes(values: readonly Cell[], as: Format, format: Format): Buffer {
  const code = (which: Format) => Buffer.concat([int(2, 1), int(2, which === 'binary' ? 1 : 0)])
  const parts = values.flatMap((value) => (value === null ? [int(4, -1)] : [int(4, value.length), value]))
  return frame('B', Buffer.from('\0\0'), code(as), int(2, values.length), ...parts, code(format))
}

function frame(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int(4, body.length + 4), body])
}

function int(bytes: number, value: number): Buffer {
  const target = Buffer.alloc(bytes)
  target.writeIntBE(value, 0, bytes)
  return target
}
