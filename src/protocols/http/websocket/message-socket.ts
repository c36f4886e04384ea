import type { WebSocket } from 'ws'
import type { Clock, GatewayError, Timer } from '../../../core/index.ts'
import { LIMITS } from '../../../core/index.ts'
import type { Closing, Message } from './messages.ts'

/** What every message and frame is held to, on both sides. Nothing is compressed: each would have to be unpacked to be looked into. */
export const FRAMES = {
  perMessageDeflate: false,
  maxPayload: LIMITS.webSocketMessageBytesMax,
  maxFragments: LIMITS.webSocketFragmentsMax,
  closeTimeout: LIMITS.webSocketFarewellMs,
} as const

/** What a message costs beside its bytes: they may be empty. */
const MESSAGE_BYTES = 128

/**
 * One end of a WebSocket as a queue of messages: what has come and was not taken is at most `LIMITS.webSocketWaitingBytes`, one read and
 * one message; then the line is not read until it is.
 */
export class MessageSocket {
  readonly #socket: WebSocket
  readonly #gone: (cause: unknown) => GatewayError
  #messages: Message[] = []
  #waiting = 0
  #closing: Closing | undefined
  #failure: Error | undefined
  #isStopped = false
  #wake: (() => void) | undefined
  #heard = true
  #beat: Timer | undefined

  /** `gone`: what is said where this side takes nothing any more. */
  constructor(socket: WebSocket, gone: (cause: unknown) => GatewayError) {
    this.#socket = socket
    this.#gone = gone
    socket.on('message', (data, isBinary) => this.#push(data, isBinary))
    socket.on('pong', () => this.#hears())
    socket.on('ping', () => this.#hears())
    socket.on('error', (error) => {
      this.#failure ??= error
      this.#wake?.()
    })
    socket.on('close', (code, reason) => {
      this.#closing ??= { code, reason: reason.toString('utf8') }
      this.#beat?.cancel()
      this.#wake?.()
    })
  }

  /** The subprotocol that was agreed; empty: none. */
  get protocol(): string {
    return this.#socket.protocol
  }

  /** What went wrong with its frames; undefined: nothing. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** How it ended; undefined: it has not. */
  get closing(): Closing | undefined {
    return this.#closing
  }

  /** Asks now and then whether this side is still there, and cuts the line when it is not. */
  keepAsking(clock: Clock): void {
    this.#beat = clock.after(LIMITS.webSocketBeatMs, () => {
      // What it said is behind messages that nobody has taken yet.
      if (!this.#heard && !this.#socket.isPaused) {
        this.#socket.terminate()
        return
      }
      this.#heard = false
      if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
      this.keepAsking(clock)
    })
  }

  /** The next message; undefined: there is none any more. Takes what came before the end. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      if (this.#isStopped) return undefined
      const message = this.#messages.shift()
      if (message !== undefined) {
        this.#waiting -= message.data.length + MESSAGE_BYTES
        if (this.#socket.isPaused && this.#waiting <= LIMITS.webSocketWaitingBytes / 2) this.#socket.resume()
        return message
      }
      if (this.#failure !== undefined || this.#closing !== undefined) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  /** Resolves when the system has taken it. Throws what `gone` says where that takes `LIMITS.httpClientStallMs`, or the line has ended. */
  send({ data, isBinary }: Message): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#socket.terminate()
        reject(this.#gone(new Error('nothing was taken for too long')))
      }, LIMITS.httpClientStallMs)
      this.#socket.send(data, { binary: isBinary }, (error) => {
        clearTimeout(timer)
        if (error == null) resolve()
        else reject(this.#gone(error))
      })
    })
  }

  /** Says why, and cuts the line if the other side does not answer soon. Nothing that comes is taken any more. */
  close({ code, reason }: Closing): void {
    this.stop()
    // A line that is not read would not hear that the other side has understood.
    if (this.#socket.isPaused) this.#socket.resume()
    if (isSayable(code)) this.#socket.close(code, reason)
    else if (code === NO_CODE) this.#socket.close()
    else this.#socket.terminate()
  }

  /** Whoever waits for a message gets none. */
  stop(): void {
    this.#isStopped = true
    this.#messages = []
    this.#beat?.cancel()
    this.#wake?.()
  }

  #hears(): void {
    this.#heard = true
  }

  #push(data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean): void {
    this.#hears()
    if (this.#isStopped) return
    const bytes = Buffer.isBuffer(data)
      ? data
      : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)])
    this.#messages.push({ data: bytes, isBinary })
    this.#waiting += bytes.length + MESSAGE_BYTES
    if (this.#waiting > LIMITS.webSocketWaitingBytes) this.#socket.pause()
    this.#wake?.()
  }
}

/** RFC 6455 section 7.4.1: the other side gave no code. */
const NO_CODE = 1005

/** Whether a code may be sent. RFC 6455 section 7.4, and the registry of IANA. */
function isSayable(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)
  )
}
