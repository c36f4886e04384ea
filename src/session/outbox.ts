import type { Pipe } from '../core/index.ts'

/** Bytes waiting for the end of the turn, on their way to one pipe. */
export class Outbox {
  #pieces: Uint8Array[] = []
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes)
    this.#bytes += bytes.length
  }

  clear(): void {
    this.#pieces = []
    this.#bytes = 0
  }

  /** Writes everything as one piece; false when the pipe asks to stop producing. */
  drainTo(pipe: Pipe): boolean {
    const pieces = this.#pieces
    const first = pieces[0]
    if (first === undefined) return true
    const all = pieces.length === 1 ? first : Buffer.concat(pieces, this.#bytes)
    this.clear()
    return pipe.write(all)
  }
}
