import { GatewayError, LIMITS } from '../core/index.ts'
import type { Pipe } from '../core/index.ts'
import { createServer, isIPv6 } from 'node:net'
import type { Server, Socket } from 'node:net'
import { PIPE_OPTIONS, acceptedPipe } from './socket-pipe.ts'

/** A pipe that somebody opened to us. Until `admitted()` is called the handshake deadline stands over it. */
export type Accepted = {
  readonly pipe: Pipe
  /** The peer has proved who it is: it no longer counts against its source address, and may stay. */
  admitted(): void
}

export type ListenLimits = {
  /** Sockets of this listener at one time. */
  readonly socketsMax: number
  /** Sockets of one source that are not admitted yet. A source is an IPv4 address or an IPv6 /64. */
  readonly handshakesPerSourceMax: number
  /** From accepted to admitted. */
  readonly handshakeMs: number
}

export type ListenOptions = {
  readonly address: string
  /** 0: any free port; see `Listener.port`. */
  readonly port: number
  readonly limits?: Partial<ListenLimits>
  /** Told of sockets that were cut without a word: too many in all, too many of one source, or not admitted in time. */
  readonly onCut?: (why: 'sockets' | 'source' | 'deadline', source: string) => void
  /** The system could not accept, say for want of file descriptors. Listening goes on. */
  readonly onFault?: (error: Error) => void
} & (
  | {
      /** Must set the pipe's handlers before it returns. */
      readonly onPipe: (accepted: Accepted) => void
      readonly onSocket?: never
    }
  | {
      /** The socket as node made it, for a server that wants one: `httpServer.emit('connection', socket)`. */
      readonly onSocket: (socket: Socket, admitted: () => void) => void
      readonly onPipe?: never
    }
)

export type Listener = {
  readonly address: string
  readonly port: number
  /** Sockets open now, admitted or not. */
  readonly live: number
  /** Stops accepting. What is open stays open; the number of those is returned. */
  close(): number
  /** Resolves when, after `close`, the last socket has gone. */
  drained(): Promise<void>
  /** Stops accepting and cuts everything that is open. */
  destroy(): void
}

/** One accepted socket, whatever it was handed out as. */
type Live = { readonly source: string; deadline: NodeJS.Timeout | undefined; readonly destroy: () => void }

/**
 * Listens on TCP. The accept loop counts, arms a deadline and hands over; it speaks no protocol, so a refused socket is
 * closed without a word. Throws GatewayError `conflict` when the address cannot be listened on.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const gate = new Gate(options)
  const server = createServer({ ...PIPE_OPTIONS, pauseOnConnect: options.onPipe !== undefined })
  server.on('connection', (socket) => gate.accept(socket))
  await bound(server, options)
  server.on('error', (error) => options.onFault?.(error))
  const at = server.address()
  return {
    address: options.address,
    port: typeof at === 'object' && at !== null ? at.port : options.port,
    get live() {
      return gate.live
    },
    close() {
      server.close()
      return gate.live
    },
    drained: () => gate.drained(),
    destroy() {
      server.close()
      gate.destroy()
    },
  }
}

function bound(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((fulfil, reject) => {
    server.once('error', (cause) => {
      const where = `${options.address}:${options.port}`
      reject(new GatewayError('conflict', `Cannot listen on ${where}.`, { cause, facts: { where } }))
    })
    server.listen({ host: options.address, port: options.port, backlog: LIMITS.acceptBacklog }, () => {
      server.removeAllListeners('error')
      fulfil()
    })
  })
}

/** Counts what is open and who is still to prove itself. */
class Gate {
  readonly #options: ListenOptions
  readonly #limits: ListenLimits
  readonly #open = new Set<Live>()
  readonly #waiting = new Map<string, number>()
  #onDrained: (() => void)[] = []

  constructor(options: ListenOptions) {
    this.#options = options
    this.#limits = {
      socketsMax: LIMITS.sessionsMax,
      handshakesPerSourceMax: LIMITS.handshakesPerSourceMax,
      handshakeMs: LIMITS.handshakeMs,
      ...options.limits,
    }
  }

  get live(): number {
    return this.#open.size
  }

  accept(socket: Socket): void {
    const source = sourceOf(socket.remoteAddress)
    const waiting = this.#waiting.get(source) ?? 0
    // A peer that has gone before it was accepted has no address any more.
    const refused =
      socket.remoteAddress === undefined
        ? 'gone'
        : this.#open.size >= this.#limits.socketsMax
          ? 'sockets'
          : waiting >= this.#limits.handshakesPerSourceMax
            ? 'source'
            : undefined
    if (refused !== undefined) {
      socket.on('error', nothing)
      socket.destroy()
      if (refused !== 'gone') this.#options.onCut?.(refused, source)
      return
    }
    this.#waiting.set(source, waiting + 1)
    if (this.#options.onPipe !== undefined) this.#handOverPipe(socket, source, this.#options.onPipe)
    else this.#handOverSocket(socket, source, this.#options.onSocket)
  }

  #handOverPipe(socket: Socket, source: string, onPipe: (accepted: Accepted) => void): void {
    const pipe = acceptedPipe(socket)
    const live = this.#admit(source, () => pipe.destroy())
    pipe.onGone = () => this.#gone(live)
    onPipe({ pipe, admitted: () => this.#admitted(live) })
  }

  #handOverSocket(
    socket: Socket,
    source: string,
    onSocket: (socket: Socket, admitted: () => void) => void,
  ): void {
    const live = this.#admit(source, () => socket.destroy())
    socket.on('error', nothing)
    socket.once('close', () => this.#gone(live))
    onSocket(socket, () => this.#admitted(live))
  }

  #admit(source: string, destroy: () => void): Live {
    const live: Live = { source, deadline: undefined, destroy }
    live.deadline = setTimeout(() => {
      this.#options.onCut?.('deadline', source)
      destroy()
    }, this.#limits.handshakeMs)
    live.deadline.unref()
    this.#open.add(live)
    return live
  }

  #admitted(live: Live): void {
    if (live.deadline === undefined) return
    clearTimeout(live.deadline)
    live.deadline = undefined
    const left = (this.#waiting.get(live.source) ?? 1) - 1
    if (left === 0) this.#waiting.delete(live.source)
    else this.#waiting.set(live.source, left)
  }

  #gone(live: Live): void {
    if (!this.#open.delete(live)) return
    this.#admitted(live)
    if (this.#open.size > 0) return
    const waiting = this.#onDrained
    this.#onDrained = []
    for (const each of waiting) each()
  }

  drained(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve()
    return new Promise((fulfil) => this.#onDrained.push(fulfil))
  }

  destroy(): void {
    for (const each of this.#open) each.destroy()
  }
}

function nothing(): void {
  // A socket that breaks before its owner listens: 'close' follows, and that is enough.
}

/**
 * What counts as one source. Whoever has an IPv6 address has at least the 2^64 of its network (RFC 4291 section
 * 2.5.1), so counting single addresses would count nothing.
 */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return ''
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = (plain.split('%')[0] ?? '').split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const behind = tail === '' ? 0 : tail.split(':').length
    while (groups.length + behind < 8) groups.push('0')
    if (tail !== '') groups.push(...tail.split(':'))
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
