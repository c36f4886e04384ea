const RESTING_BYTES = 256 * 1024

/** Bytes of a file that were read and not used yet, in memory that is used again. */
export class Feed {
  /** Made when the first bytes are wanted: many a file is only opened to look at its header. */
  #bytes: Buffer = Buffer.alloc(0)
  #view = new DataView(this.#bytes.buffer)
  #start = 0
  #end = 0
  readonly #restingBytes: number

  /** `bytesMin` fit at least, `bytesMax` can come, as far as is known. */
  constructor(bytesMin: number, bytesMax: number = RESTING_BYTES) {
    this.#restingBytes = Math.max(bytesMin, Math.min(bytesMax, RESTING_BYTES))
  }

  /** Where in `bytes`, and in `view`, what was not used yet begins and ends. */
  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#end
  }

  get rest(): number {
    return this.#end - this.#start
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get view(): DataView {
    return this.#view
  }

  /** Where to put the next bytes: behind the others, with room for `needed` in all. Moves what is not used yet. */
  room(needed: number): Buffer {
    const resting = this.#restingBytes
    const wanted = Math.max(needed, resting)
    const rest = this.rest
    if (
      wanted > this.#bytes.length ||
      (this.#bytes.length > resting && wanted === resting && rest < wanted)
    ) {
      const bytes = Buffer.allocUnsafeSlow(wanted)
      this.#bytes.copy(bytes, 0, this.#start, this.#end)
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer)
    } else if (this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end)
    }
    this.#start = 0
    this.#end = rest
    return this.#bytes.subarray(rest)
  }

  /** That many bytes were put into what `room` gave. */
  filled(bytes: number): void {
    this.#end += bytes
  }

  used(bytes: number): void {
    this.#start += bytes
  }
}
