import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { HttpRequest, HttpResponse } from '../sides.ts'

/**
 * The body of one request, taken in one of two ways: whole, or piece by piece as fast as it can be passed on. Whoever sent
 * `Expect: 100-continue` is told to go on as soon as somebody takes it, and not before.
 */
export class RequestBody {
  readonly #request: HttpRequest
  readonly #response: HttpResponse
  /** In bytes; 0: there is none; undefined: nobody knows before its end. */
  readonly length: number | undefined
  #isAwaited: boolean

  /** `isAwaited`: the client waits to be told to send it. */
  constructor(request: HttpRequest, response: HttpResponse, isAwaited: boolean) {
    this.#request = request
    this.#response = response
    const { 'content-length': said = '', 'transfer-encoding': coding } = request.headers
    // Digits only: node has refused everything else by now.
    this.length = coding === undefined && !(said === '' && request.isOpen === true) ? Number(said) : undefined
    this.#isAwaited = isAwaited && this.length !== 0
  }

  /** So short that it is taken whole, whether or not anything asks for it. */
  get isShort(): boolean {
    return this.length !== undefined && this.length <= LIMITS.httpShortBodyBytes
  }

  get isComplete(): boolean {
    return this.#request.complete
  }

  /**
   * All of it. `why`: what asks for it. Throws GatewayError `limit_exceeded` when it is too long, `protocol_violation` when it
   * takes too long, `canceled` when its client has gone, and the reason of the signal.
   */
  async whole(why: string, signal?: AbortSignal): Promise<Buffer> {
    if (this.length === 0) return NOTHING
    const pieces: Buffer[] = []
    let bytes = this.length ?? 0
    if (bytes > LIMITS.httpRequestBodyBytesMax) throw tooLong(why)
    const until = performance.now() + LIMITS.httpBodyMs
    bytes = 0
    for (;;) {
      const piece = await this.#next(until - performance.now(), signal)
      if (piece === undefined) return Buffer.concat(pieces)
      bytes += piece.length
      if (bytes > LIMITS.httpRequestBodyBytesMax) throw tooLong(why)
      pieces.push(piece)
    }
  }

  /** The next piece; undefined: that was all. Throws as `whole` does. */
  next(): Promise<Buffer | undefined> {
    return this.#next(LIMITS.httpBodyMs, undefined)
  }

  /** Reads on for a moment and gives it to nobody. False: there is more, so this line cannot be used for another request. */
  leave(ms: number): Promise<boolean> {
    return this.#isAwaited ? Promise.resolve(this.isComplete) : readAway(this.#request, ms)
  }

  async #next(msMax: number, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    if (this.#isAwaited) {
      this.#isAwaited = false
      this.#response.writeContinue()
    }
    for (;;) {
      const piece: unknown = this.#request.read()
      if (Buffer.isBuffer(piece)) return piece
      if (this.#request.readableEnded) return undefined
      if (this.#request.destroyed) throw new GatewayError('canceled', 'The client went away.')
      if (!(await moved(this.#request, msMax, signal))) throw stalled()
      if (signal?.aborted === true)
        throw signal.reason instanceof Error
          ? signal.reason
          : new GatewayError('canceled', 'The client went away.')
    }
  }
}

const NOTHING = Buffer.alloc(0)

/** Reads what comes within a moment and gives it to nobody. True: that was all of the request. */
export async function readAway(request: HttpRequest, ms: number): Promise<boolean> {
  const until = performance.now() + ms
  while (!request.complete && !request.destroyed) {
    if (request.read() === null && !(await moved(request, until - performance.now()))) break
    if (performance.now() > until) break
  }
  return request.complete
}

const EVENTS = ['readable', 'end', 'close', 'error'] as const

/** Waits for something to happen to a request. False: nothing did in time. */
function moved(request: HttpRequest, ms: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (happened: boolean): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', something)
      for (const each of EVENTS) request.off(each, something)
      resolve(happened)
    }
    const something = (): void => settle(true)
    const timer = setTimeout(() => settle(false), ms)
    signal?.addEventListener('abort', something)
    for (const each of EVENTS) request.on(each, something)
    if (signal?.aborted === true) something()
  })
}

function tooLong(why: string): GatewayError {
  return new GatewayError(
    'limit_exceeded',
    `Send a body of at most ${LIMITS.httpRequestBodyBytesMax} bytes: ${why}.`,
    { remedy: 'Send it in several requests.', retry: 'only-if-changed' },
  )
}

function stalled(): GatewayError {
  return new GatewayError(
    'protocol_violation',
    `Send the body without stopping: nothing came within ${LIMITS.httpBodyMs / 1000} seconds.`,
    { retry: 'later' },
  )
}
