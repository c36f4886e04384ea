/** Reads what comes in pieces of any length in pieces of the length asked for. Holds what was asked for, no more. */
export class StreamReader {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)
  #offset = 0

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Of the next byte. */
  get offset(): number {
    return this.#offset
  }

  /** The next `length` bytes, fewer where the source ends. Memory is asked for as they come, not by what a length says. */
  async take(length: number): Promise<Uint8Array> {
    const taken = await this.peek(length)
    this.#rest = this.#rest.subarray(taken.length)
    this.#offset += taken.length
    return taken
  }

  /** The same bytes, which then come again. */
  async peek(length: number): Promise<Uint8Array> {
    if (this.#rest.length < length) await this.#fill(length)
    return this.#rest.subarray(0, length)
  }

  /** Ends reading before the end of the source, which may then let go of what it holds. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #fill(length: number): Promise<void> {
    const pieces = [this.#rest]
    let filled = this.#rest.length
    while (filled < length) {
      const { done, value } = await this.#source.next()
      if (done === true) break
      pieces.push(value)
      filled += value.length
    }
    this.#rest = joined(pieces, filled)
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [first, second] = pieces
  if (pieces.length === 2 && first?.length === 0 && second !== undefined) return second
  const all = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

/** 8 bytes, least significant first; NaN from 2^53 on. */
export function uint64At(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true)
  return high >= 2 ** 21 ? Number.NaN : high * 2 ** 32 + view.getUint32(at, true)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
