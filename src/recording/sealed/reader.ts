import type { FileHandle } from 'node:fs/promises'
import type { Entry } from '../../core/index.ts'
import { damaged } from '../files/damaged.ts'
import {
  CHUNK_HEADER_BYTES,
  CHUNK_MAGIC,
  type ChunkHeader,
  openPrivate,
  openPublic,
  readChunkHeader,
  storedBytes,
} from './chunk.ts'
import {
  decodeSealedHeader,
  SEALED_PREFIX_BYTES,
  sealedHeaderBytes,
  type SealedHeader,
} from './file-header.ts'
import { joinEntry, type Missing, type PayloadName } from './payloads.ts'
import { PrivateReader, type StoredPayload } from './private-part.ts'
import { commitmentOf, decodePublicPart, type PublicPart, type Sha256 } from './public-part.ts'

/** A frame of a sealed file, with as much of it as there is and as can be read. */
export type ReadFrame = {
  /** The public part as it is stored: what its leaf is the hash of. */
  readonly bytes: Buffer
  readonly part: PublicPart
  /** In the order of their commitments. */
  readonly payloads: readonly ReadPayload[]
}

export type ReadPayload = { readonly name: PayloadName; readonly stored: StoredPayload | Missing }

/** The whole entry; what is missing of it is empty. */
export function entryIn({ part, payloads }: ReadFrame): Entry {
  const found = payloads.map(
    ({ name, stored }) => [name, typeof stored === 'string' ? stored : stored.bytes] as const,
  )
  return joinEntry(part.kind, part.head, new Map(found))
}

/**
 * Reads a sealed session file, checking everything that can be: lengths, checksums, the order of frames and, with the key, that
 * each payload is the one that was committed to. Memory is one chunk. Whatever is wrong is `invalid`, with file and offset.
 */
export class SealedReader {
  readonly #path: string
  readonly #file: FileHandle
  readonly #sha256: Sha256
  #offset = 0

  constructor(path: string, file: FileHandle, sha256: Sha256) {
    this.#path = path
    this.#file = file
    this.#sha256 = sha256
  }

  async header(): Promise<SealedHeader> {
    const prefix = await this.#read(0, SEALED_PREFIX_BYTES)
    const length = this.#at(0, () => sealedHeaderBytes(prefix))
    const bytes = await this.#read(0, length)
    this.#offset = length
    return this.#at(0, () => decodeSealedHeader(bytes))
  }

  /** All frames, in order; without `key` every payload is `locked`. Call `header` first. */
  async *frames(header: SealedHeader, key?: Uint8Array): AsyncGenerator<ReadFrame> {
    let last = 0
    for (let counter = 0; ; counter++) {
      const offset = this.#offset
      const start = await this.#read(offset, CHUNK_HEADER_BYTES)
      if (start.length === 0) return
      const chunk = this.#at(offset, () => readChunkHeader(start))
      const length = CHUNK_HEADER_BYTES + storedBytes(chunk)
      // Memory is asked for only once the file is known to hold so much.
      const { size } = await this.#file.stat()
      if (length > size - offset) throw damaged(this.#path, offset, 'the file ends inside a chunk')
      const bytes = await this.#read(offset, length)
      const frames = this.#at(offset, () => {
        if (chunk.counter !== counter) throw new Error('a chunk does not stand in its place')
        const open = openPublic(bytes, chunk)
        const hidden = key === undefined ? undefined : openPrivate(bytes, chunk, key, header.session)
        return this.#framesIn(open, hidden, chunk.frames, chunk.firstSequence)
      })
      for (const frame of frames) {
        if (frame.part.sequence <= last)
          throw damaged(this.#path, offset, 'a frame does not stand in its place')
        last = frame.part.sequence
        yield frame
      }
      this.#offset = offset + bytes.length
    }
  }

  /** When the last frame was made, in milliseconds since 1970: only the last chunk is read. Call `header` first. */
  async lastTime(): Promise<number | undefined> {
    const { size } = await this.#file.stat()
    let last: { readonly offset: number; readonly chunk: ChunkHeader; readonly length: number } | undefined
    for (let offset = this.#offset; offset < size; ) {
      const start = await this.#read(offset, CHUNK_HEADER_BYTES)
      const at = offset
      const chunk = this.#at(at, () => readChunkHeader(start))
      const length = CHUNK_HEADER_BYTES + storedBytes(chunk)
      if (length > size - offset) throw damaged(this.#path, offset, 'the file ends inside a chunk')
      last = { offset, chunk, length }
      offset += length
    }
    if (last === undefined) return undefined
    const { offset, chunk, length } = last
    const bytes = await this.#read(offset, length)
    return this.#at(offset, () =>
      this.#framesIn(openPublic(bytes, chunk), undefined, chunk.frames, chunk.firstSequence),
    ).at(-1)?.part.time
  }

  /**
   * Of a draft, after `frames` found something wrong with a chunk: whether it is the last that was begun, which a crash, or
   * a writer that is at work, leaves unfinished. Behind damage there are further chunks.
   */
  async isTorn(): Promise<boolean> {
    const piece = Buffer.allocUnsafe(64 * 1024)
    for (let at = this.#offset + 1; ; at += piece.length - CHUNK_MAGIC.length + 1) {
      const { bytesRead } = await this.#file.read(piece, 0, piece.length, at)
      if (piece.subarray(0, bytesRead).includes(CHUNK_MAGIC)) return false
      if (bytesRead < piece.length) return true
    }
  }

  #framesIn(open: Buffer, hidden: Buffer | undefined, count: number, first: number): ReadFrame[] {
    const found: ReadFrame[] = []
    const reader = hidden === undefined ? undefined : new PrivateReader(hidden)
    let at = 0
    while (at < open.length) {
      if (open.length - at < 4) throw new Error('a frame ends too early')
      const end = at + 4 + open.readUInt32LE(at)
      if (end > open.length) throw new Error('a frame has an impossible length')
      const bytes = open.subarray(at + 4, end)
      const part = decodePublicPart(bytes)
      const payloads = part.payloads.map((each) => ({
        name: each.name,
        stored: this.#payload(each, reader?.next()),
      }))
      found.push({ bytes, part, payloads })
      at = end
    }
    if (found.length !== count || found[0]?.part.sequence !== first || reader?.atEnd === false)
      throw new Error('a chunk does not hold what its header says')
    return found
  }

  #payload(
    said: PublicPart['payloads'][number],
    stored: StoredPayload | Missing | undefined,
  ): StoredPayload | Missing {
    if (stored === undefined) return 'locked'
    if (typeof stored === 'string') return stored
    const commitment = commitmentOf(this.#sha256, stored.salt, stored.bytes)
    if (stored.bytes.length !== said.bytes || Buffer.compare(commitment, said.commitment) !== 0)
      throw new Error('a payload is not the one that was committed to')
    return stored
  }

  /** Fewer bytes where the file ends. */
  async #read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await this.#file.read(bytes, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return bytes.subarray(0, filled)
  }

  #at<T>(offset: number, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw damaged(this.#path, offset, error instanceof Error ? error.message : String(error))
    }
  }
}
