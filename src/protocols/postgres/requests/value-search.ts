/** Takes a value, or a piece of a long one; throws where it is a masked one. */
export type Look = (value: Uint8Array) => void

/**
 * Looks through what a client sends for COPY ... FROM STDIN, cut anywhere, before it goes on to the server. Throws what
 * `look` throws, and GatewayError `invalid` for rows that are not in the form the statement asks for.
 */
export interface CopySearch {
  /** The next bytes of CopyData. */
  push(buffer: Buffer, start: number, end: number): void
  /** The client has sent all. */
  end(): void
}

/** A masked value is shorter than what two pieces share, so that none is cut in both. */
const SHARED_BYTES = 512
/** Few enough that all that looks like a masked value in a piece is held against its check. */
const PIECE_BYTES = 16 * 1024

/** Looks at one value after the other, a long one in pieces: none is kept that is larger. */
export class ValueSearch {
  readonly #piece = Buffer.allocUnsafe(PIECE_BYTES)
  #length = 0
  #look: Look | undefined

  begin(look: Look | undefined): void {
    this.#look = look
    this.#length = 0
  }

  get isOn(): boolean {
    return this.#look !== undefined
  }

  byte(byte: number): void {
    if (this.#length === PIECE_BYTES) this.#next()
    this.#piece[this.#length++] = byte
  }

  bytes(buffer: Buffer, from: number, to: number): void {
    let at = from
    while (at < to) {
      if (this.#length === PIECE_BYTES) this.#next()
      const end = Math.min(to, at + PIECE_BYTES - this.#length)
      buffer.copy(this.#piece, this.#length, at, end)
      this.#length += end - at
      at = end
    }
  }

  /** Whether the value is short and reads so. */
  is(text: Buffer): boolean {
    return text.equals(this.#piece.subarray(0, this.#length))
  }

  end(): void {
    this.#look?.(this.#piece.subarray(0, this.#length))
  }

  #next(): void {
    this.#look?.(this.#piece)
    this.#piece.copyWithin(0, PIECE_BYTES - SHARED_BYTES)
    this.#length = SHARED_BYTES
  }
}
