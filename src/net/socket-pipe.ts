import type { Pipe, TlsFacts } from '../core/index.ts'
import { LIMITS } from '../core/index.ts'
import { Socket } from 'node:net'
import type { OnReadOpts } from 'node:net'

/**
 * One buffer for the reads of every plain socket of this thread. Reading and the call of `onData` happen in one
 * synchronous stroke, so the bytes of two sockets never meet in it; and nothing is allocated per read.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(LIMITS.readBytes)

/**
 * Who shares the event loop with whom: how many pipes of this thread had something to read in this turn, and in the
 * one before. A pipe that reads alone may take a long share of a turn, because nobody waits for it to end.
 */
class Crowd {
  turn = 0
  #here = 0
  #before = 0
  #armed = false

  /** A pipe reads for the first time in this turn. */
  enter(): void {
    this.#here++
    if (this.#armed) return
    this.#armed = true
    setImmediate(this.#next)
  }

  /** A session that streams has two pipes of its own; with more than those, others are waiting. */
  get isLarge(): boolean {
    return this.#here > 2 || this.#before > 2
  }

  readonly #next = (): void => {
    this.#armed = false
    this.turn++
    this.#before = this.#here
    this.#here = 0
  }
}

const CROWD = new Crowd()

/** How a socket hands over what it reads: into the shared buffer, or by 'data' events. */
type Reading = 'shared buffer' | 'events'

/**
 * A Pipe over a socket of node:net or node:tls. Reads are cut so that one busy peer cannot keep the event loop: after
 * `LIMITS.turnBytesMax` bytes or `LIMITS.turnMs` milliseconds the others get their turn first, and where others are
 * known to be reading, too, after one full read.
 */
export class SocketPipe implements Pipe {
  onData: (bytes: Buffer) => void = ignore
  /** Until the owner sets another: the end is answered with the end. */
  onEnd: () => void = () => this.end()
  onClose: (error: Error | undefined) => void = ignore
  onDrain: () => void = ignore
  /** For the listener, which counts: called before `onClose`, whoever owns that. */
  onGone: () => void = ignore

  readonly remote: { readonly address: string; readonly port: number }
  #socket: Socket
  #reading: Reading
  #tls: TlsFacts | undefined
  #error: Error | undefined
  #paused = false
  /** Reading rests until the event loop has served the others. */
  #yielding = false
  /** The owner was told to stop producing and waits for `onDrain`. */
  #full = false
  #turn = -1
  #turnBytes = 0
  #turnMs = 0

  /**
   * `make` builds the socket around the reader it is given and says whether that reader is in use. `remote` is asked
   * for once, while the peer is known to be there: the kernel forgets it when the peer goes.
   */
  constructor(
    make: (onread: OnReadOpts) => { readonly socket: Socket; readonly reading: Reading },
    remote?: { readonly address: string; readonly port: number },
  ) {
    const made = make({
      buffer: READ_BUFFER,
      callback: (length) => this.#take(READ_BUFFER.subarray(0, length)),
    })
    this.#socket = made.socket
    this.#reading = made.reading
    this.remote = remote ?? {
      address: made.socket.remoteAddress ?? '',
      port: made.socket.remotePort ?? 0,
    }
    this.#attach(made.socket)
  }

  get tls(): TlsFacts | undefined {
    return this.#tls
  }

  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    const socket = this.#socket
    // Writing to a stream that has gone is no error: whoever writes learns of it through `onClose`.
    if (socket.destroyed || socket.writableEnded) {
      done?.()
      return false
    }
    socket.write(bytes, done)
    if (socket.writableLength < LIMITS.outboxBytesMax) return true
    this.#full = true
    return false
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#yielding) this.#readOn()
  }

  end(last?: Uint8Array): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (last === undefined) socket.end()
    else socket.end(last)
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error)
  }

  /** For the TLS upgrade: the socket as it is, from now on read by somebody else. `onClose` stays in place. */
  release(): Socket {
    const socket = this.#socket
    socket.removeListener('data', this.#arrived)
    socket.removeListener('end', this.#ended)
    socket.removeListener('drain', this.#drained)
    return socket
  }

  /** For the TLS upgrade: the encrypted socket takes the place of the released one. */
  adopt(socket: Socket, facts: TlsFacts): void {
    this.#socket.removeListener('close', this.#closed)
    this.#socket = socket
    this.#reading = 'events'
    this.#tls = facts
    this.#attach(socket)
    if (this.#paused) socket.pause()
  }

  #attach(socket: Socket): void {
    if (this.#reading === 'events') socket.on('data', this.#arrived)
    socket.on('end', this.#ended)
    socket.on('drain', this.#drained)
    socket.on('error', this.#failed)
    socket.on('close', this.#closed)
  }

  readonly #arrived = (bytes: Buffer): void => {
    if (!this.#take(bytes)) this.#socket.pause()
  }

  readonly #ended = (): void => {
    try {
      this.onEnd()
    } catch (error) {
      this.#broke(error)
    }
  }

  readonly #drained = (): void => {
    if (!this.#full) return
    this.#full = false
    try {
      this.onDrain()
    } catch (error) {
      this.#broke(error)
    }
  }

  /** A handler threw: that ends its own stream, with the error for `onClose`, and no other one. */
  #broke(error: unknown): void {
    this.destroy(error instanceof Error ? error : new Error('a handler of a pipe threw', { cause: error }))
  }

  readonly #failed = (error: Error): void => {
    this.#error ??= error
  }

  readonly #closed = (): void => {
    this.onGone()
    this.onClose(this.#error)
  }

  /** Hands bytes to the owner. False: read no more in this turn. */
  #take(bytes: Buffer): boolean {
    // A read that did not fill the buffer empties the socket: no clock is needed for the many small messages.
    const long = bytes.length >= LIMITS.readBytes
    if (this.#turn !== CROWD.turn) {
      this.#turn = CROWD.turn
      CROWD.enter()
    }
    const before = long ? performance.now() : 0
    try {
      this.onData(bytes)
    } catch (error) {
      this.#broke(error)
      return false
    }
    if (long) this.#turnMs += performance.now() - before
    this.#turnBytes += bytes.length
    const within = this.#turnBytes < LIMITS.turnBytesMax && this.#turnMs < LIMITS.turnMs
    if (within && !(long && CROWD.isLarge)) return !this.#paused
    this.#turnBytes = 0
    this.#turnMs = 0
    if (!this.#yielding) {
      this.#yielding = true
      setImmediate(this.#yielded)
    }
    return false
  }

  readonly #yielded = (): void => {
    this.#yielding = false
    if (!this.#paused && !this.#socket.destroyed) this.#readOn()
  }

  #readOn(): void {
    // With the shared buffer, read(0) starts the handle at once; resume() would start it again on a later tick, even
    // when the owner has paused in between.
    if (this.#reading === 'shared buffer') this.#socket.read(0)
    else this.#socket.resume()
  }
}

function ignore(): void {
  // The owner has not set this handler: there is nothing to tell.
}

/** The socket options that every pipe has: the end of reading is not the end of writing, small writes go at once. */
export const PIPE_OPTIONS = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: LIMITS.keepAliveMs,
} as const

/**
 * The pipe of an accepted socket. node:net offers the shared buffer only to sockets it connects itself; an accepted
 * one is wrapped anew around the same handle. A relay that does so needs a tenth less processor time than one with
 * 'data' events (bench, targets relay and relay-events). The handle is not public: where it is not found, 'data'
 * events do the same work.
 */
export function acceptedPipe(accepted: Socket): SocketPipe {
  const remote = { address: accepted.remoteAddress ?? '', port: accepted.remotePort ?? 0 }
  return new SocketPipe((onread) => {
    const handle: unknown = Reflect.get(accepted, '_handle')
    if (typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle) {
      const wrapped: unknown = Reflect.construct(Socket, [{ ...PIPE_OPTIONS, handle, onread }])
      if (wrapped instanceof Socket) {
        // The first socket must not close the handle that the second one owns now; without one it only tells its
        // server that it has gone.
        Reflect.set(accepted, '_handle', null)
        accepted.destroy()
        return { socket: wrapped, reading: 'shared buffer' }
      }
    }
    accepted.resume()
    return { socket: accepted, reading: 'events' }
  }, remote)
}
