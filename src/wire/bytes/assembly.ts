/** Room that is given without asking how much has arrived. */
const SMALL_BYTES = 1024

/**
 * Collects one message of a declared size from the chunks it comes in. Room at most doubles and never exceeds twice
 * what has really arrived (or 1 KiB), so a peer cannot make us reserve memory by announcing a length; each byte is
 * copied at most three times however the message is cut.
 */
export class Assembly {
  readonly #size: number
  #buffer: Buffer
  #filled = 0

  constructor(size: number) {
    this.#size = size
    this.#buffer = Buffer.allocUnsafe(Math.min(size, SMALL_BYTES))
  }

  /** Bytes reserved: what this message costs right now. */
  get reserved(): number {
    return this.#buffer.length
  }

  /** Bytes still to come. */
  get missing(): number {
    return this.#size - this.#filled
  }

  get complete(): boolean {
    return this.#filled === this.#size
  }

  /** Adds `chunk[start, end)`, which must not exceed what is missing. */
  append(chunk: Buffer, start: number, end: number): void {
    const needed = this.#filled + end - start
    if (needed > this.#size) throw new RangeError('more bytes than the message has')
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#size, Math.max(needed, this.#buffer.length * 2)))
      this.#buffer.copy(grown, 0, 0, this.#filled)
      this.#buffer = grown
    }
    chunk.copy(this.#buffer, this.#filled, start, end)
    this.#filled = needed
  }

  /** The whole message, in memory of its own. Only once it is complete. */
  take(): Buffer {
    if (!this.complete) throw new Error('the message is not complete')
    return this.#buffer
  }
}
