/** Longer ones are not worth a second copy. */
const TEXT_BYTES_MAX = 8 * 1024

/**
 * A message that waits with its command. A short one is kept as a string: bytes of a pooled buffer would keep the whole block
 * that they were taken from, and a buffer of its own weighs more than a statement.
 */
export class KeptMessage {
  readonly #kept: string | Buffer

  constructor(buffer: Buffer, start: number, end: number) {
    this.#kept =
      end - start <= TEXT_BYTES_MAX
        ? buffer.toString('latin1', start, end)
        : Buffer.from(new Uint8Array(buffer.subarray(start, end)).buffer)
  }

  get bytes(): Buffer {
    return typeof this.#kept === 'string' ? Buffer.from(this.#kept, 'latin1') : this.#kept
  }
}
