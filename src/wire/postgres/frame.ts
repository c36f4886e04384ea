import { Assembly } from '../bytes/assembly.ts'
import { violation } from '../bytes/violation.ts'
import { GatewayError } from '../../core/errors.ts'

/** The type byte and the length of a regular message. */
export const HEADER_BYTES = 5

/**
 * What becomes of one message, chosen from its header alone:
 * - `whole`: handed over as one piece, without a copy when it lies inside the chunk;
 * - `stream`: its body is handed over in pieces as they arrive, never kept;
 * - `pass`: its bytes, header included, join the run of bytes to be relayed as they are;
 * - `drop`: its bytes are skipped;
 * - `leave`: it is not taken yet. `push` returns where it begins, and `header` is called for it again by the next push.
 */
export type FrameMode = 'whole' | 'stream' | 'pass' | 'drop' | 'leave'

/**
 * Who looks at the messages of one direction. All buffers are valid during the call only: a chunk may be a shared read
 * buffer. An exception thrown here leaves the framer unusable, which is what a broken conversation deserves.
 */
export interface FrameSink {
  /** A message begins: `bodyBytes` is its length without the header. Throw if its type or length is not welcome. */
  header(type: number, bodyBytes: number): FrameMode
  /**
   * A message chosen as `whole`. Its body is `buffer[start, end)` and its header lies in front of it, at
   * `start - HEADER_BYTES`. If `buffer` is not the chunk that was pushed, it holds this message only and belongs to
   * the sink from now on.
   */
  whole(type: number, buffer: Buffer, start: number, end: number): void
  /** The next part of a body chosen as `stream`; `bytesLeft` is 0 at the last one. An empty body is one empty piece. */
  piece(type: number, buffer: Buffer, start: number, end: number, bytesLeft: number): void
  /**
   * Bytes of messages chosen as `pass`, joined over as many messages as were adjacent in the chunk, cut anywhere.
   * Always called before the next `whole` or `piece`, and before `push` returns. A `header` of a later message may
   * have been called before.
   */
  pass(buffer: Buffer, start: number, end: number): void
}

export type FrameLimits = {
  /** Body of any message; a longer one is a `protocol_violation`. */
  readonly bodyBytesMax: number
  /** Body of a message chosen as `whole`; a longer one is `limit_exceeded`. */
  readonly wholeBytesMax: number
}

const EMPTY = Buffer.alloc(0)

/**
 * Cuts a stream of regular messages (everything after start-up) at their headers and looks no further.
 * https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS
 *
 * One synchronous loop over the bytes of a chunk; costs nothing per message but a call of `header`. One per direction
 * and session; an idle one holds no buffer.
 */
export class Framer {
  #limits: FrameLimits
  #type = 0
  #mode: FrameMode = 'drop'
  /** Body bytes of the current message that have not arrived yet. */
  #left = 0
  /** The header of the current message while it is cut. Fresh each time: once passed on it is the sink's. */
  #header: Buffer | undefined
  #headerFilled = 0
  #assembly: Assembly | undefined
  #stopped = false
  /** Inside `push`, or left by an exception: in both cases the position in the stream is not known. */
  #busy = false

  constructor(limits: FrameLimits) {
    this.#limits = limits
  }

  /** Sets new limits from the next header on, such as after authentication. */
  limit(limits: FrameLimits): void {
    this.#limits = limits
  }

  /** Bytes reserved for a message that is being collected. */
  get heldBytes(): number {
    return this.#assembly?.reserved ?? 0
  }

  /** Whether the stream stands between two messages: the only place where it may end. */
  get atBoundary(): boolean {
    // A header that was left is kept whole, and stands between two messages.
    return this.#left === 0 && this.#headerFilled % HEADER_BYTES === 0 && !this.#busy
  }

  /**
   * Called by the sink from inside `push`: the current message is the last one looked at (one that is cut is taken as
   * far as the chunk goes), and `push` returns how far it came.
   */
  stop(): void {
    this.#stopped = true
  }

  /**
   * Takes a chunk and tells the sink what is in it.
   *
   * @returns bytes taken: `chunk.length`, or less after `stop` or a message that was left. The rest is the caller's to keep and to push again.
   * @throws GatewayError `protocol_violation` for an impossible length, `limit_exceeded` for a `whole` message that is
   *   too long, and whatever the sink throws. Then every later call throws too.
   */
  push(chunk: Buffer, sink: FrameSink): number {
    if (this.#busy) throw new Error('a framer is not used from its own sink, nor after it has failed')
    this.#busy = true
    this.#stopped = false
    const size = chunk.length
    let at = this.#headerFilled > 0 ? this.#finishHeader(chunk, sink) : 0
    let run = at
    if (this.#left > 0) {
      const end = Math.min(size, at + this.#left)
      if (this.#mode === 'pass') {
        this.#left -= end - at
      } else {
        this.#continue(chunk, at, end, sink)
        run = end
      }
      at = end
    }
    while (size - at >= HEADER_BYTES && !this.#stopped) {
      const type = chunk[at] ?? 0
      const bodyBytes = this.#bodyBytes(chunk, at)
      const mode = sink.header(type, bodyBytes)
      if (mode === 'leave') {
        this.#stopped = true
        break
      }
      const start = at + HEADER_BYTES
      const end = start + bodyBytes
      if (end <= size) {
        if (mode !== 'pass') {
          if (run < at) sink.pass(chunk, run, at)
          run = end
          if (mode === 'whole') {
            if (bodyBytes > this.#limits.wholeBytesMax) throw tooLong(bodyBytes)
            sink.whole(type, chunk, start, end)
          } else if (mode === 'stream') {
            sink.piece(type, chunk, start, end, 0)
          }
        }
        at = end
        continue
      }
      this.#type = type
      this.#mode = mode
      this.#left = end - size
      if (mode !== 'pass') {
        if (run < at) sink.pass(chunk, run, at)
        run = size
        if (mode === 'whole') this.#beginAssembly(bodyBytes).append(chunk, at, size)
        else if (mode === 'stream' && start < size) sink.piece(type, chunk, start, size, this.#left)
      }
      at = size
    }
    if (run < at) sink.pass(chunk, run, at)
    if (at < size && !this.#stopped) {
      this.#header = Buffer.allocUnsafe(HEADER_BYTES)
      this.#headerFilled = chunk.copy(this.#header, 0, at, size)
      at = size
    }
    this.#busy = false
    return at
  }

  /** The body length that the header at `at` declares, checked. */
  #bodyBytes(buffer: Buffer, at: number): number {
    const length =
      ((buffer[at + 1] ?? 0) << 24) |
      ((buffer[at + 2] ?? 0) << 16) |
      ((buffer[at + 3] ?? 0) << 8) |
      (buffer[at + 4] ?? 0)
    // The length counts itself, and as a signed number one of 2 GiB and more is negative.
    if (length < 4 || length - 4 > this.#limits.bodyBytesMax) {
      throw violation('A message has an impossible length.', { type: buffer[at] ?? 0, length })
    }
    return length - 4
  }

  /** Completes a header that was cut, as far as the chunk goes. Returns where the body begins in the chunk. */
  #finishHeader(chunk: Buffer, sink: FrameSink): number {
    const header = this.#header ?? EMPTY
    const taken = chunk.copy(header, this.#headerFilled, 0, HEADER_BYTES - this.#headerFilled)
    this.#headerFilled += taken
    if (this.#headerFilled < HEADER_BYTES) return taken
    const bodyBytes = this.#bodyBytes(header, 0)
    this.#type = header[0] ?? 0
    this.#mode = sink.header(this.#type, bodyBytes)
    if (this.#mode === 'leave') {
      this.#stopped = true
      return taken
    }
    this.#header = undefined
    this.#headerFilled = 0
    this.#left = bodyBytes
    if (this.#mode === 'pass') {
      sink.pass(header, 0, HEADER_BYTES)
    } else if (this.#mode === 'whole') {
      if (bodyBytes === 0) sink.whole(this.#type, header, HEADER_BYTES, HEADER_BYTES)
      else this.#beginAssembly(bodyBytes).append(header, 0, HEADER_BYTES)
    } else if (this.#mode === 'stream' && bodyBytes === 0) {
      sink.piece(this.#type, EMPTY, 0, 0, 0)
    }
    return taken
  }

  /** Takes `chunk[start, end)`, the next part of a body that an earlier chunk began. */
  #continue(chunk: Buffer, start: number, end: number, sink: FrameSink): void {
    if (start === end) return
    this.#left -= end - start
    if (this.#mode === 'stream') {
      sink.piece(this.#type, chunk, start, end, this.#left)
    } else if (this.#mode === 'whole' && this.#assembly !== undefined) {
      this.#assembly.append(chunk, start, end)
      if (this.#left > 0) return
      const frame = this.#assembly.take()
      this.#assembly = undefined
      sink.whole(this.#type, frame, HEADER_BYTES, frame.length)
    }
  }

  #beginAssembly(bodyBytes: number): Assembly {
    if (bodyBytes > this.#limits.wholeBytesMax) throw tooLong(bodyBytes)
    this.#assembly = new Assembly(HEADER_BYTES + bodyBytes)
    return this.#assembly
  }
}

function tooLong(bodyBytes: number): GatewayError {
  return new GatewayError('limit_exceeded', 'A message is longer than the gateway accepts.', {
    facts: { bodyBytes },
  })
}
