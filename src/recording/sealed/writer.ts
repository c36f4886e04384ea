import type { Entry } from '../../core/index.ts'
import { encodeChunk } from './chunk.ts'
import { encodeSealedHeader, type SealedHeader } from './file-header.ts'
import { splitEntry } from './payloads.ts'
import { payloadBytes, putPayload, type StoredPayload } from './private-part.ts'
import { commitmentOf, encodePublicPart, type Sha256 } from './public-part.ts'

/** A frame for a sealed file: an entry in its place in the recording. */
export type SealedFrame = { readonly entry: Entry; readonly sequence: number; readonly time: number }

export type SealedWriterParts = {
  readonly header: SealedHeader
  /** The data key of this file, and of no other. */
  readonly key: Uint8Array
  readonly sha256: Sha256
  /** Sixteen bytes for the payload of this number of a frame: always the same ones, so that work can be done again. */
  readonly salt: (sequence: number, payload: number) => Uint8Array
}

/** Both parts together; a chunk is closed behind the frame that makes it longer. */
const CHUNK_BYTES = 256 * 1024

/**
 * Puts together the bytes of a sealed session file: `begin`, then a chunk now and then as frames are added, then what
 * `finish` gives. Pure: whoever writes the file hands the bytes on. Memory is one chunk and one frame.
 */
export class SealedWriter {
  readonly #parts: SealedWriterParts
  #counter = 0
  #first = 0
  readonly #public = new Gathered()
  readonly #private = new Gathered()
  #frames = 0

  constructor(parts: SealedWriterParts) {
    this.#parts = parts
  }

  /** Bytes that were added and not given as a chunk yet. */
  get waiting(): number {
    return this.#public.length + this.#private.length
  }

  begin(): Buffer {
    return encodeSealedHeader(this.#parts.header)
  }

  /** The public part of the frame, for its leaf, and the chunk that it fills. */
  add({ entry, sequence, time }: SealedFrame): { readonly part: Buffer; readonly chunk: Buffer | undefined } {
    const { sha256, salt } = this.#parts
    const { head, payloads } = splitEntry(entry)
    const salted = payloads.map(({ name, bytes }, i) => ({ name, bytes, salt: salt(sequence, i) }))
    const part = encodePublicPart({
      kind: entry.kind,
      sequence,
      time,
      head: { ...head },
      payloads: salted.map((each) => ({
        name: each.name,
        bytes: each.bytes.length,
        commitment: commitmentOf(sha256, each.salt, each.bytes),
      })),
    })
    return { part, chunk: this.append(part, sequence, salted) }
  }

  /** Adds a frame whose public part there is already; undefined stands for a payload that was removed. */
  append(
    part: Buffer,
    sequence: number,
    payloads: readonly (StoredPayload | undefined)[],
  ): Buffer | undefined {
    if (this.#frames === 0) this.#first = sequence
    const open = this.#public.room(4 + part.length)
    open.writeUInt32LE(part.length, this.#public.length)
    open.set(part, this.#public.length + 4)
    this.#public.length += 4 + part.length
    for (const each of payloads) {
      const size = payloadBytes(each)
      putPayload(this.#private.room(size), this.#private.length, each)
      this.#private.length += size
    }
    this.#frames++
    return this.waiting < CHUNK_BYTES ? undefined : this.finish()
  }

  /** What has not been given yet. */
  finish(): Buffer | undefined {
    if (this.#frames === 0) return undefined
    const { key, header } = this.#parts
    const chunk = {
      counter: this.#counter++,
      frames: this.#frames,
      firstSequence: this.#first,
      publicBytes: this.#public.bytes,
      privateBytes: this.#private.bytes,
    }
    const bytes = encodeChunk(chunk, key, header.session)
    this.#public.clear()
    this.#private.clear()
    this.#frames = 0
    return bytes
  }
}

const FIRST_BYTES = 1024
/** What the memory of a part is brought back to after a chunk: open sessions are many, and most of them idle. */
const RESTING_BYTES = 16 * 1024

/** Bytes one behind the other, in memory that is used again. */
class Gathered {
  #bytes = Buffer.alloc(0)
  length = 0

  /** The memory, with room for so many more behind `length`. */
  room(bytes: number): Buffer {
    const needed = this.length + bytes
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length, FIRST_BYTES))
      this.#bytes.copy(grown, 0, 0, this.length)
      this.#bytes = grown
    }
    return this.#bytes
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
    if (this.#bytes.length > RESTING_BYTES) this.#bytes = Buffer.alloc(0)
  }
}
