import type { Pipe, TlsFacts } from '../core/index.ts'

/** How much a pipe takes in before `write` says no. */
const HIGH_WATER_BYTES = 64 * 1024
const READ_BYTES = 64 * 1024

/** One for all, as on a real socket: what is kept of it after the call turns into 0xEE. */
const readBuffer = Buffer.alloc(READ_BYTES)

export type PipePairOptions = {
  /** Deliver at most this many bytes at once; 1 is the most hostile network there is. */
  readonly chunkBytes?: number
  readonly highWaterBytes?: number
}

/** Two pipes in memory: what is written to one arrives at the other, in a later turn of the event loop. */
export function pipePair(options: PipePairOptions = {}): [MemoryPipe, MemoryPipe] {
  const left = new MemoryPipe('192.0.2.1', options)
  const right = new MemoryPipe('192.0.2.2', options)
  left.link(right)
  right.link(left)
  return [left, right]
}

/**
 * One end. Behaves as a socket does where it matters to a protocol: delivery is never inside `write`, the bytes are
 * valid during `onData` only, a paused end fills up the other's queue, each direction ends by itself, writing to an
 * end that is gone breaks the pipe, and `onClose` comes once and last.
 */
export class MemoryPipe implements Pipe {
  onData: (bytes: Buffer) => void = () => {}
  onEnd: () => void = () => {}
  onClose: (error: Error | undefined) => void = () => {}
  onDrain: () => void = () => {}
  readonly remote: { readonly address: string; readonly port: number }
  tls: TlsFacts | undefined
  readonly #options: PipePairOptions
  #peer: MemoryPipe | undefined
  /** What is on its way to this end. */
  readonly #inbound: { bytes: Uint8Array; readonly done: (() => void) | undefined }[] = []
  #inboundBytes = 0
  #scheduled = false
  #paused = false
  /** This end was told to stop producing and waits for `onDrain`. */
  #full = false
  #ended = false
  /** The other end's FIN has been told. */
  #heardEnd = false
  #closed = false

  constructor(address: string, options: PipePairOptions) {
    this.remote = { address, port: 5432 }
    this.#options = options
  }

  link(peer: MemoryPipe): void {
    this.#peer = peer
  }

  get peer(): MemoryPipe {
    if (this.#peer === undefined) throw new Error('a pipe in memory comes as one of a pair')
    return this.#peer
  }

  get closed(): boolean {
    return this.#closed
  }

  get queuedBytes(): number {
    return this.peer.#inboundBytes
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    if (this.#closed || this.#ended) {
      done?.()
      return false
    }
    if (this.peer.#closed) {
      done?.()
      this.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      return false
    }
    if (bytes.length > 0) {
      this.peer.#inbound.push({ bytes, done })
      this.peer.#inboundBytes += bytes.length
      this.peer.#schedule()
    } else done?.()
    if (this.queuedBytes < (this.#options.highWaterBytes ?? HIGH_WATER_BYTES)) return true
    this.#full = true
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  end(last?: Uint8Array): void {
    if (last !== undefined) this.write(last)
    if (this.#closed || this.#ended) return
    this.#ended = true
    this.peer.#schedule()
    this.#schedule()
  }

  destroy(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = true
    for (const { done } of this.#inbound.splice(0)) done?.()
    this.#inboundBytes = 0
    setImmediate(() => this.onClose(error))
    this.peer.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const chunkBytes = Math.min(READ_BYTES, this.#options.chunkBytes ?? READ_BYTES)
    while (!this.#paused && !this.#closed) {
      const next = this.#inbound[0]
      if (next === undefined) break
      const size = Math.min(chunkBytes, next.bytes.length)
      const bytes = readBuffer.subarray(0, size)
      bytes.set(next.bytes.subarray(0, size))
      next.bytes = next.bytes.subarray(size)
      this.#inboundBytes -= size
      if (next.bytes.length === 0) {
        this.#inbound.shift()
        next.done?.()
      }
      this.onData(bytes)
      bytes.fill(0xee)
    }
    if (this.#closed || this.#inbound.length > 0) return
    if (this.peer.#full && !this.peer.#closed) {
      this.peer.#full = false
      this.peer.onDrain()
    }
    if (this.#paused) return
    if (this.peer.#ended && !this.#heardEnd) {
      this.#heardEnd = true
      this.onEnd()
      this.peer.#schedule()
    }
    // Both directions have ended and been heard: the socket is gone.
    if (this.#heardEnd && this.#ended && (this.peer.#heardEnd || this.peer.#closed)) this.destroy()
  }
}

/** Lets everything that is on its way arrive, and what it causes as well. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
