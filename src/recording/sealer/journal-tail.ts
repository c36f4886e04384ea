import { type FileHandle, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordingKeys } from '../../core/index.ts'
import { listIfThere, openIfThere } from '../files/files.ts'
import { journalDirectory, journalFileName, journalNumbers } from '../files/names.ts'
import { damaged } from '../files/damaged.ts'
import { FileReading, type OwnedFrame, tellsOfGap } from '../reading/reader.ts'

/** Frames of one file, all that one piece of it holds. Valid until the next are asked for. */
export type TailBatch = {
  /** The number of the file. */
  readonly file: number
  readonly frames: readonly OwnedFrame[]
  /** What the salts of this file are made of. */
  readonly saltSecret: Uint8Array
}

type Open = { readonly number: number; readonly handle: FileHandle; readonly reading: FileReading }

/**
 * Follows the journal behind its writer, from the first file that is there, each frame once, when it has its MAC. What is not as it was
 * written is GatewayError `invalid`, with file and offset; an unfinished end of the newest file is waited for.
 */
export class JournalTail {
  readonly #directory: string
  readonly #keys: RecordingKeys
  #open: Open | undefined
  /** The number of the last file that was given to its end. */
  #behind = 0
  /** The sequence number that the next frame must have. */
  #next: number | undefined
  /** What `#next` was when the file behind the open one began elsewhere. */
  #suspect: number | undefined
  /** Up to here the log has the frames: those that the journal says it lost must be among them. */
  covered = 0
  /** The numbers of files that have been given to their end, and their last frame. */
  readonly #ended = new Map<number, number>()

  constructor(directory: string, keys: RecordingKeys) {
    this.#directory = journalDirectory(directory)
    this.#keys = keys
  }

  /** Files that have been given to their end and are still there, oldest first, each with its last sequence number. */
  get ended(): ReadonlyMap<number, number> {
    return this.#ended
  }

  /** The last frame that was given; undefined before the first. */
  get sequence(): number | undefined {
    return this.#next === undefined ? undefined : this.#next - 1
  }

  /** The first sequence number that the journal holds; undefined without any file that can be read. */
  async firstSequence(): Promise<number | undefined> {
    const open = this.#open ?? (await this.#openNext())
    const header = await open?.reading.header()
    return header?.firstSequence
  }

  /** What is there and was not given yet; may be left at any batch, and goes on behind it at the next call. */
  async *read(): AsyncGenerator<TailBatch> {
    for (;;) {
      const open = this.#open ?? (await this.#openNext())
      if (open === undefined) return
      const { number, reading } = open
      const path = reading.path
      // Looked up first: what is unfinished in a file that has a successor stays so.
      const successor = await this.#numberBehind(number)
      const header = await reading.header()
      if (header === undefined) {
        if (successor === undefined) return
        throw damaged(path, 0, reading.problem)
      }
      if (header.number !== number) throw damaged(path, 0, `it is the file of number ${header.number}`)
      this.#next ??= header.firstSequence
      const saltSecret = reading.saltSecret
      for await (const frames of reading.batches(true)) {
        for (const { frame } of frames) {
          const expected: number = this.#next ?? frame.sequence
          if (frame.sequence !== expected)
            throw damaged(path, frame.offset, `frame ${expected} is missing before it`)
          if ((frame.kind === 'file') !== (frame.sequence === header.firstSequence))
            throw damaged(path, frame.offset, 'it has no place here')
          this.#next = expected + 1
        }
        yield { file: number, frames, saltSecret }
      }
      if (successor === undefined) return this.#stillThere(open)
      // What is torn by a crash, or is being written, has no whole frames behind it.
      if (reading.rest > 0 && reading.wholeFramesAfter() > 0)
        throw damaged(path, reading.offset, reading.problem)
      const first = await this.#begun(successor)
      if (first === undefined) return
      if (reading.rest > 0) throw damaged(path, reading.offset, reading.problem)
      if (reading.unvouched !== undefined) throw reading.unvouched
      this.#ended.set(number, this.#next - 1)
      this.#next = first
      this.#behind = number
      await this.close()
    }
  }

  /** What was given is on the disk when this resolves. Files before the one that is open were synced by their writer. */
  async sync(): Promise<void> {
    await this.#open?.handle.datasync()
  }

  /** A file that was given to its end is there no more. */
  removed(number: number): void {
    this.#ended.delete(number)
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.reading.close()
  }

  async #numberBehind(number: number): Promise<number | undefined> {
    return journalNumbers(await listIfThere(this.#directory)).find((each) => each > number)
  }

  async #openNext(): Promise<Open | undefined> {
    const number = await this.#numberBehind(this.#behind)
    if (number === undefined) return undefined
    const path = join(this.#directory, journalFileName(number))
    const handle = await openIfThere(path, 'r+')
    if (handle === undefined) return undefined
    this.#open = { number, handle, reading: new FileReading(path, this.#keys, handle) }
    return this.#open
  }

  /**
   * The first frame of the file behind the open one. A file that is being made, or could not be, is there without its
   * header: then it is undefined, and the one before goes on.
   */
  async #begun(number: number): Promise<number | undefined> {
    const path = join(this.#directory, journalFileName(number))
    const handle = await openIfThere(path)
    if (handle === undefined) return undefined
    const reading = new FileReading(path, this.#keys, handle)
    try {
      // With its key: whoever can write into the directory can make the rest of a header.
      const header = await reading.header()
      if (header === undefined) return undefined
      const first = header.firstSequence
      if (first === this.#next) return first
      if (await tellsOfGap(path, this.#keys, this.#next ?? 0)) {
        if (first <= this.covered + 1) return first
        throw damaged(
          path,
          0,
          `frames ${this.covered + 1} to ${first - 1} are lost, and the log has not got them`,
        )
      }
      // One that could not be used lies there until the next write; seen twice it is no such one.
      if (this.#suspect === this.#next)
        throw damaged(path, 0, `frames are missing before it: ${this.#next} to ${first - 1}`)
      this.#suspect = this.#next
      return undefined
    } finally {
      await reading.close()
    }
  }

  /** The writer puts a file that somebody took away back into its place: then that one is the one to follow. */
  async #stillThere({ handle, reading }: Open): Promise<void> {
    const here = await handle.stat()
    const there = await stat(reading.path).catch(() => undefined)
    if (there?.ino !== here.ino) throw new Error(`${reading.path} was replaced while it was read`)
  }
}
