import type { Entry } from '../../core/index.ts'
import { encodeChunk } from './chunk.ts'
import { encodeSealedHeader, type SealedHeader } from './file-header.ts'
import { splitEntry } from './payloads.ts'
import { encodePayload, type StoredPayload } from './private-part.ts'
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
  #public: Buffer[] = []
  #private: Buffer[] = []
  #frames = 0
  #bytes = 0

  constructor(parts: SealedWriterParts) {
    this.#parts = parts
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
    const length = Buffer.alloc(4)
    length.writeUInt32LE(part.length)
    this.#public.push(length, part)
    this.#bytes += length.length + part.length
    for (const each of payloads) {
      const bytes = encodePayload(each)
      this.#private.push(bytes)
      this.#bytes += bytes.length
    }
    this.#frames++
    return this.#bytes < CHUNK_BYTES ? undefined : this.finish()
  }

  /** What has not been given yet. */
  finish(): Buffer | undefined {
    if (this.#frames === 0) return undefined
    const { key, header } = this.#parts
    const chunk = {
      counter: this.#counter++,
      frames: this.#frames,
      firstSequence: this.#first,
      publicBytes: Buffer.concat(this.#public),
      privateBytes: Buffer.concat(this.#private),
    }
    this.#public = []
    this.#private = []
    this.#frames = 0
    this.#bytes = 0
    return encodeChunk(chunk, key, header.session)
  }
}
