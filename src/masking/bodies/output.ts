/** Collects what goes out of a piece: what lies behind each other in memory is one part, and one part is not copied. */
export class Output {
  #parts: Uint8Array[] = []
  #buffer: ArrayBufferLike | undefined
  #from = 0
  #to = 0

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (bytes.buffer === this.#buffer && bytes.byteOffset === this.#to) {
      this.#to += bytes.length
      return
    }
    this.#close()
    this.#buffer = bytes.buffer
    this.#from = bytes.byteOffset
    this.#to = bytes.byteOffset + bytes.length
  }

  take(): Uint8Array {
    this.#close()
    const parts = this.#parts
    this.#parts = []
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
  }

  #close(): void {
    if (this.#buffer !== undefined)
      this.#parts.push(new Uint8Array(this.#buffer, this.#from, this.#to - this.#from))
    this.#buffer = undefined
  }
}
