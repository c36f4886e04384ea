import type { Pipe } from '../../../core/index.ts'
import { GatewayError } from '../../../core/index.ts'
import type { FrameSink } from '../../../wire/postgres/index.ts'
import { Framer } from '../../../wire/postgres/index.ts'

/** One message during a handshake; its body is its own. */
export type Received = { readonly type: number; readonly body: Buffer }

/** Handshake messages are small; a server may send a long list of parameters, one message each. */
const HANDSHAKE_MESSAGE_BYTES_MAX = 64 * 1024
/** Bytes that may arrive ahead of their being asked for; then the pipe is paused. */
const AHEAD_BYTES_MAX = 256 * 1024

/**
 * Reads a handshake one message at a time, which a promise per message suits; after it the pipe goes to the
 * conversation, which reads batch-wise. `detach` hands over what was read ahead.
 */
export class Inbox implements FrameSink {
  readonly #pipe: Pipe
  readonly #framer = new Framer({
    bodyBytesMax: HANDSHAKE_MESSAGE_BYTES_MAX,
    wholeBytesMax: HANDSHAKE_MESSAGE_BYTES_MAX,
  })
  #chunks: Buffer[] = []
  #chunkBytes = 0
  #message: Received | undefined
  #waiting: { resolve: (message: Received) => void; reject: (error: unknown) => void } | undefined
  #ended: GatewayError | undefined

  constructor(pipe: Pipe, whenGone: () => GatewayError, first: Uint8Array = new Uint8Array(0)) {
    this.#pipe = pipe
    const gone = (): void => {
      this.#ended ??= whenGone()
      this.#advance()
    }
    pipe.onData = (bytes) => this.#arrived(bytes)
    pipe.onEnd = gone
    pipe.onClose = gone
    if (first.length > 0) this.#arrived(Buffer.from(first))
  }

  next(): Promise<Received> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#advance()
    })
  }

  /** Bytes behind the last message that was asked for. The handlers of the pipe are the caller's again. */
  detach(): Buffer {
    const rest = Buffer.concat(this.#chunks)
    this.#chunks = []
    return rest
  }

  header(): 'whole' {
    return 'whole'
  }

  whole(type: number, buffer: Buffer, start: number, end: number): void {
    this.#message = { type, body: Buffer.from(buffer.subarray(start, end)) }
    this.#framer.stop()
  }

  piece(): void {
    throw new Error('handshake messages are not streamed')
  }

  pass(): void {
    throw new Error('handshake messages are not passed on')
  }

  #arrived(bytes: Buffer): void {
    this.#chunks.push(Buffer.from(bytes))
    this.#chunkBytes += bytes.length
    if (this.#chunkBytes > AHEAD_BYTES_MAX) this.#pipe.pause()
    this.#advance()
  }

  #advance(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    try {
      while (this.#message === undefined && this.#chunks.length > 0) {
        const chunk = this.#chunks.shift()
        if (chunk === undefined) break
        const taken = this.#framer.push(chunk, this)
        this.#chunkBytes -= taken
        if (taken < chunk.length) this.#chunks.unshift(chunk.subarray(taken))
      }
    } catch (error) {
      this.#waiting = undefined
      waiting.reject(error)
      return
    }
    if (this.#chunkBytes <= AHEAD_BYTES_MAX) this.#pipe.resume()
    const message = this.#message
    if (message !== undefined) {
      this.#message = undefined
      this.#waiting = undefined
      waiting.resolve(message)
    } else if (this.#ended !== undefined) {
      this.#waiting = undefined
      waiting.reject(this.#ended)
    }
  }
}

/** Reads raw bytes before there are messages: the one-byte answer to an SSLRequest. */
export function nextBytes(pipe: Pipe, whenGone: () => GatewayError): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pipe.onData = (bytes) => resolve(Buffer.from(bytes))
    pipe.onEnd = () => reject(whenGone())
    pipe.onClose = () => reject(whenGone())
  })
}
