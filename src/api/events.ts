import { PassThrough, type Readable } from 'node:stream'
import type { Approvals } from '../approvals/index.ts'
import type { Clock } from '../core/index.ts'
import { GatewayError, identityKey, LIMITS } from '../core/index.ts'
import type { Gateway } from '../session/index.ts'

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): what changes, for whoever would
 * ask again and again otherwise. An event says which approval request or session to look at, and holds no statement.
 * A reader that does not keep up is cut off; it connects again and asks for the state.
 */
export class EventStreams {
  readonly #clock: Clock
  readonly #open = new Set<PassThrough>()
  #id = 0

  constructor(parts: { clock: Clock; approvals: Approvals; gateway: Gateway }) {
    this.#clock = parts.clock
    parts.approvals.onChange(({ ticket, state, connection, chain, expiresAt, access, escalatedAt }) =>
      this.#send('approval', {
        ticket,
        state,
        connection,
        chain: chain.map(identityKey),
        expiresAt,
        ...(access === undefined ? {} : { access: access.name, emergency: access.emergency }),
        ...(escalatedAt === undefined ? {} : { escalatedAt }),
      }),
    )
    parts.gateway.onChange((change, { id, opening, openedAt, commands }) =>
      this.#send('session', {
        session: id,
        change,
        connection: opening.connection.name,
        chain: opening.chain.map(identityKey),
        openedAt,
        commands,
      }),
    )
  }

  /** One reader's stream. Throws `limit_exceeded`. */
  subscribe(): Readable {
    if (this.#open.size >= LIMITS.eventStreamsMax) {
      throw new GatewayError('limit_exceeded', 'Too many readers of the event stream.', { retry: 'later' })
    }
    const stream = new PassThrough()
    this.#open.add(stream)
    stream.on('close', () => this.#open.delete(stream))
    // So that the reader knows at once that it is connected.
    stream.write(': connected\n\n')
    this.#beat(stream)
    return stream
  }

  /** Ends every stream: for when the gateway stops. */
  close(): void {
    for (const stream of this.#open) stream.end()
  }

  #beat(stream: PassThrough): void {
    this.#clock.after(LIMITS.eventStreamBeatMs, () => {
      if (stream.destroyed || stream.writableEnded) return
      stream.write(': still here\n\n')
      this.#beat(stream)
    })
  }

  #send(event: string, data: unknown): void {
    if (this.#open.size === 0) return
    const text = `id: ${++this.#id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
    for (const stream of this.#open) {
      if (stream.writableLength + stream.readableLength > LIMITS.eventStreamBytesMax) stream.destroy()
      else if (!stream.writableEnded) stream.write(text)
    }
  }
}
