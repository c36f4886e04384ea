import { LIMITS } from '../../core/index.ts'
import { StreamReader, uint64At, viewOf } from './bytes.ts'
import { jsonOf, objectOf } from './objects.ts'
import type { Primitives, RawChunk } from './ports.ts'
import { isOneZstdFrame } from './zstd-frame.ts'

/** `SLUICER2`. */
const FILE_MAGIC = Uint8Array.of(0x53, 0x4c, 0x55, 0x49, 0x43, 0x45, 0x52, 0x32)
/** `SLC2`. */
const CHUNK_MAGIC = 0x32434c53
const PREFIX_BYTES = 16
const HEADER_BYTES_MAX = 4_096
const CHUNK_HEADER_BYTES = 40
const TAG_BYTES = 16

/** A file is not of its form, from this byte on. */
export class Damage extends Error {
  override readonly name = 'Damage'
  readonly offset: number

  constructor(offset: number, why: string, cause?: unknown) {
    super(why, { cause })
    this.offset = offset
  }
}

export type SealedFileHeader = { readonly session: string; readonly keyId: string; readonly wrapped: string }

export type SealedChunk = RawChunk & {
  /** In the file. */
  readonly offset: number
  readonly frames: number
  /** Sequence number of its first frame. */
  readonly first: number
}

/**
 * Reads what everybody may read of a sealed session file (`docs/formats/session.md`), from its beginning to its end.
 * Memory is one chunk. Throws `Damage`.
 */
export class SealedFile {
  readonly #reader: StreamReader
  readonly #primitives: Pick<Primitives, 'crc32' | 'unzstd'>
  #counter = 0

  constructor(stream: AsyncIterable<Uint8Array>, primitives: Pick<Primitives, 'crc32' | 'unzstd'>) {
    this.#reader = new StreamReader(stream)
    this.#primitives = primitives
  }

  /** To be called first. */
  async header(): Promise<SealedFileHeader> {
    const prefix = await this.#reader.take(PREFIX_BYTES)
    if (FILE_MAGIC.some((byte, at) => prefix[at] !== byte))
      throw new Damage(0, 'this is no sealed session file')
    if (prefix.length < PREFIX_BYTES) throw new Damage(0, 'the file ends inside its header')
    const view = viewOf(prefix)
    const length = view.getUint32(12, true)
    if (length > HEADER_BYTES_MAX) throw new Damage(0, 'the header has an impossible length')
    const text = await this.#reader.take(length)
    if (text.length < length) throw new Damage(0, 'the file ends inside its header')
    const checked = new Uint8Array(4 + length)
    checked.set(prefix.subarray(12))
    checked.set(text, 4)
    if (this.#primitives.crc32(checked) !== view.getUint32(8, true))
      throw new Damage(0, 'the checksum of the header is wrong')
    try {
      const { session, key } = objectOf(jsonOf(text, 'The header'))
      const { id, wrapped } = objectOf(key)
      if (typeof session === 'string' && typeof id === 'string' && typeof wrapped === 'string')
        return { session, keyId: id, wrapped }
    } catch (error) {
      throw new Damage(0, 'the header cannot be read', error)
    }
    throw new Damage(0, 'the header cannot be read')
  }

  /** Undefined behind the last one. */
  async chunk(): Promise<SealedChunk | undefined> {
    const offset = this.#reader.offset
    const start = await this.#reader.peek(CHUNK_HEADER_BYTES)
    if (start.length === 0) return undefined
    if (start.length < CHUNK_HEADER_BYTES)
      throw new Damage(offset, 'the file ends inside the header of a chunk')
    const view = viewOf(start)
    const at = (field: number): number => view.getUint32(field, true)
    if (at(0) !== CHUNK_MAGIC) throw new Damage(offset, 'no chunk begins here')
    const lengths = [at(8), at(12), at(16), at(20)]
    const first = uint64At(view, 32)
    if (lengths.some((each) => each > LIMITS.chunkBytesMax) || at(16) < TAG_BYTES || at(24) === 0)
      throw new Damage(offset, 'a chunk has an impossible length')
    if (at(28) !== this.#counter || Number.isNaN(first))
      throw new Damage(offset, 'a chunk does not stand in its place')
    this.#counter += 1
    const length = CHUNK_HEADER_BYTES + at(8) + at(16)
    const bytes = await this.#reader.take(length)
    if (bytes.length < length) throw new Damage(offset, 'the file ends inside a chunk')
    if (this.#primitives.crc32(bytes.subarray(8)) !== at(4))
      throw new Damage(offset, 'the checksum of a chunk is wrong')
    try {
      const packed = bytes.subarray(CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + at(8))
      if (!isOneZstdFrame(packed)) throw new Error('it is not one zstd frame')
      return { offset, bytes, frames: at(24), first, publicBytes: this.#primitives.unzstd(packed, at(12)) }
    } catch (error) {
      throw new Damage(offset, 'the public part of a chunk cannot be decompressed', error)
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }
}
