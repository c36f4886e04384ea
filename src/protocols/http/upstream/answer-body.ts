import { GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'

/** Who reads the line that a body comes from. */
export type Line = { resume(): void; abort(reason: Error): void }

/** What a piece costs beside its bytes: bodies may come in pieces of one byte. */
const PIECE_BYTES = 128

/**
 * The body of an answer: taken as fast as the client takes it. What has come and was not taken is at most
 * `LIMITS.httpAnswerWaitingBytes` and one read; then the line is not read until it is.
 */
export class AnswerBody {
  readonly #line: Line
  #pieces: Uint8Array[] = []
  #waiting = 0
  #isPaused = false
  #isOver = false
  #failure: Error | undefined
  #wake: (() => void) | undefined
  #trailers: readonly string[] = []

  constructor(line: Line) {
    this.#line = line
  }

  /** Fields behind the body, names and values in turn; known at its end. */
  get trailers(): readonly string[] {
    return this.#trailers
  }

  /** Whether `next` has something to say without waiting. */
  get isAtHand(): boolean {
    return this.#pieces.length > 0 || this.#isOver
  }

  /** False: enough for now. */
  push(piece: Uint8Array): boolean {
    this.#pieces.push(piece)
    this.#waiting += piece.length + PIECE_BYTES
    this.#wake?.()
    this.#isPaused = this.#waiting > LIMITS.httpAnswerWaitingBytes
    return !this.#isPaused
  }

  end(trailers: readonly string[]): void {
    this.#trailers = trailers
    this.#isOver = true
    this.#wake?.()
  }

  fail(error: Error): void {
    this.#failure = error
    this.#isOver = true
    this.#wake?.()
  }

  /** All that has come since the last time; undefined: that was all. Throws GatewayError behind what came before it was cut off. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#failure !== undefined) throw brokenOff(this.#failure)
      if (this.#isOver) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    const pieces = this.#pieces
    this.#pieces = []
    this.#waiting = 0
    if (this.#isPaused) {
      this.#isPaused = false
      this.#line.resume()
    }
    const [first] = pieces
    return pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let piece = await this.next(); piece !== undefined; piece = await this.next()) yield piece
    } finally {
      this.stop()
    }
  }

  /** Nobody wants the rest. */
  stop(): void {
    if (!this.#isOver) this.#line.abort(new Error('nobody wants the rest of this answer'))
    this.#pieces = []
  }

  /** Reads what is left and gives it to nobody, so that its line can be used again; stops where that is more than this. */
  async discard(bytesMax: number): Promise<void> {
    for (let left = bytesMax; left >= 0; ) {
      const piece = await this.next()
      if (piece === undefined) return
      left -= piece.length
    }
    this.stop()
  }
}

function brokenOff(cause: Error): GatewayError {
  if (isGatewayError(cause)) return cause
  return new GatewayError('upstream_unreachable', 'The upstream broke off in the middle of its answer.', {
    retry: 'later',
    cause,
  })
}
