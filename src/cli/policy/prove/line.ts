import type { Client } from 'pg'
import { GatewayError } from '../../../core/index.ts'

/** How one statement travels: in a simple query, or with parse, bind and execute, its result as text or in binary. */
export type Way = 'simple' | 'extended' | 'binary'

/** All that came back for some statements. */
export type Answer = {
  readonly bytes: Buffer
  /** SQLSTATE of the first error. */
  readonly code?: string
  /** Nothing came for so long that the line was given up. */
  readonly silent: boolean
}

const CONNECT_MS = 30_000
/** What takes longer waits for somebody: an approval, a lock. */
const ANSWER_MS_MAX = 10_000

/** A conversation with a server, or with a gateway that passes for one, of which every byte that comes back is kept. */
export class Line {
  readonly #dsn: string
  #client: Client | undefined
  #chunks: Buffer[] = []

  constructor(dsn: string) {
    this.#dsn = dsn
  }

  async ask(statements: readonly string[], way: Way, tidy: readonly string[] = []): Promise<Answer> {
    const client = await this.#open()
    this.#chunks = []
    let code: string | undefined
    const timer = Promise.withResolvers<'silent'>()
    const timeout = setTimeout(() => timer.resolve('silent'), ANSWER_MS_MAX)
    const work = async (): Promise<'done'> => {
      for (const text of statements) {
        const failed = await send(client, text, way)
        code ??= failed
        if (failed !== undefined) break
      }
      for (const text of tidy) await send(client, text, 'simple')
      return 'done'
    }
    const outcome = await Promise.race([work(), timer.promise])
    clearTimeout(timeout)
    if (outcome === 'silent') this.#drop(client)
    const bytes = Buffer.concat(this.#chunks)
    return { bytes, silent: outcome === 'silent', ...(code === undefined ? {} : { code }) }
  }

  async end(): Promise<void> {
    await this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }

  async #open(): Promise<Client> {
    if (this.#client !== undefined) return this.#client
    const { default: pg } = await import('pg')
    const client = new pg.Client({
      connectionString: this.#dsn,
      application_name: 'sluice policy prove',
      connectionTimeoutMillis: CONNECT_MS,
    })
    // The other side may hang up at any time; then the next question opens another line.
    client.on('error', () => this.#drop(client))
    client.on('end', () => this.#drop(client))
    try {
      await client.connect()
    } catch (error) {
      throw unreachable(error)
    }
    client.connection.stream.on('data', (chunk: Buffer) => this.#chunks.push(Buffer.from(chunk)))
    this.#client = client
    return client
  }

  #drop(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    client.connection.stream.destroy()
  }
}

/** The SQLSTATE of what went wrong; undefined when nothing did. */
async function send(client: Client, text: string, way: Way): Promise<string | undefined> {
  // A name makes the driver prepare it; without one it would send a simple query.
  const config = { text, rowMode: 'array' as const, name: 'probe', binary: way === 'binary' }
  try {
    if (way === 'simple') await client.query(text)
    else await client.query({ ...config, name: `probe ${text}` })
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : '08006'
  }
}

/** Who cannot be reached and why, without the address: it holds a password. */
export function unreachable(cause: unknown): GatewayError {
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new GatewayError('upstream_unreachable', `The database cannot be reached${code}.`, { cause })
}
