import { viewOf } from './bytes.ts'
import { type PartHead, readPart } from './part.ts'
import { Damage, type SealedChunk } from './sealed-file.ts'

const LENGTH_BYTES = 4

/** Goes over the frames of a chunk, in order, without making anything for each. */
export class FrameCursor {
  readonly #chunk: SealedChunk
  readonly #view: DataView
  #begin = 0
  #end = 0
  #count = 0
  kind = 0
  sequence = 0

  constructor(chunk: SealedChunk) {
    this.#chunk = chunk
    this.#view = viewOf(chunk.publicBytes)
  }

  /** False behind the last one. Throws `Damage`. */
  next(): boolean {
    const { publicBytes, frames, first, offset } = this.#chunk
    const at = this.#end
    if (at === publicBytes.length) {
      if (this.#count !== frames)
        throw new Damage(offset, 'a chunk has not as many frames as its header says')
      return false
    }
    const begin = at + LENGTH_BYTES
    const end = begin > publicBytes.length ? Number.NaN : begin + this.#view.getUint32(at, true)
    if (!(end <= publicBytes.length)) throw new Damage(offset, 'a frame has an impossible length')
    this.#begin = begin
    this.#end = end
    const { kind, sequence } = this.#head()
    if (this.#count === 0 && sequence !== first)
      throw new Damage(offset, 'a chunk does not begin with the frame that its header names')
    this.kind = kind
    this.sequence = sequence
    this.#count += 1
    return true
  }

  /** The public part of the frame. */
  part(): Uint8Array {
    return this.#chunk.publicBytes.subarray(this.#begin, this.#end)
  }

  /**
   * What its leaf is the hash of: a zero byte and the part. The byte before a part is the highest of its length, which
   * is that zero for every part below 16 MiB: then nothing has to be copied.
   */
  leafInput(): Uint8Array {
    const { publicBytes } = this.#chunk
    if (publicBytes[this.#begin - 1] === 0) return publicBytes.subarray(this.#begin - 1, this.#end)
    const input = new Uint8Array(1 + this.#end - this.#begin)
    input.set(this.part(), 1)
    return input
  }

  #head(): PartHead {
    try {
      return readPart(this.#view, this.#begin, this.#end)
    } catch (error) {
      throw new Damage(
        this.#chunk.offset,
        error instanceof Error ? error.message : 'a frame cannot be read',
        error,
      )
    }
  }
}
