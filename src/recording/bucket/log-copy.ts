import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, isGatewayError, LIMITS } from '../../core/index.ts'
import {
  BUNDLE_BYTES_MAX,
  bundlePath,
  CHECKPOINT_PATH,
  COSIGNED_PATH,
  encodeBundle,
  encodeTile,
  partsBelow,
  TILE_BYTES_MAX,
  TILE_WIDTH,
  tilePath,
} from '../../evidence/log/layout.ts'
import { LogReader, type LogSource } from '../../evidence/log/reader.ts'
import type { LogStorage } from '../../evidence/log/storage.ts'
import { type Checkpoint, parseCheckpoint } from '../../evidence/note/checkpoint.ts'
import { parseNote } from '../../evidence/note/note.ts'
import { directorySource } from '../../evidence/system/directory-storage.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { sameBytes, treeHasher } from '../../evidence/tree/hasher.ts'
import { isMissing } from '../files/files.ts'
import { logDirectory, uploadsDirectory } from '../files/names.ts'
import { readMarkText, writeMark } from '../files/upload-marks.ts'

/** A checkpoint as it is signed, and how far it goes. */
export type SignedHead = { readonly signed: Uint8Array; readonly checkpoint: Checkpoint }

const KEPT_CHECKPOINT = /^checkpoint\.[0-9a-f]{8}$/

/**
 * Copies the log of a data directory to where the store keeps it: what it has in full and in part, then the checkpoint that
 * covers it. The copy is at each moment a log that this one begins with.
 */
export class LogCopy {
  readonly #directory: string
  /** Where it stands how far the store's log has been. */
  readonly #reached: string
  readonly #source: LogSource
  readonly #to: LogStorage
  readonly #onLeftOver: (error: unknown) => void
  readonly #hasher = treeHasher(nodeSha256)
  /** What was copied of small files that may change. */
  readonly #copied = new Map<string, Uint8Array>()
  /** How far the store's log goes; undefined until that was looked at. */
  #size: number | undefined

  /** `onLeftOver`: told of parts that are not needed any more and could not be taken away. */
  constructor(directory: string, to: LogStorage, onLeftOver: (error: unknown) => void) {
    this.#directory = logDirectory(directory)
    this.#reached = join(uploadsDirectory(directory), 'log')
    this.#source = directorySource(this.#directory)
    this.#to = to
    this.#onLeftOver = onLeftOver
  }

  /** Entries of the log in the store, as far as is known. */
  get size(): number {
    return this.#size ?? 0
  }

  /** The newest checkpoint of the log here; undefined before the first. */
  async head(): Promise<SignedHead | undefined> {
    return headIn(await this.#source.read(CHECKPOINT_PATH, LIMITS.noteBytesMax))
  }

  /** Copies up to that checkpoint. Throws `conflict` where the store has another log, or more of this one. */
  async copy(head: SignedHead): Promise<void> {
    try {
      await this.#copy(head)
    } catch (error) {
      // What is there now is looked at again.
      this.#size = undefined
      this.#copied.clear()
      throw error
    }
  }

  async #copy({ signed, checkpoint }: SignedHead): Promise<void> {
    const from = this.#size ?? (await this.#begin(checkpoint))
    const { size } = checkpoint
    await this.#copyKeys()
    if (size > from) {
      const reader = new LogReader(this.#source, this.#hasher, size)
      const filled = await this.#copyPieces(reader, from, size)
      await this.#replace(CHECKPOINT_PATH, signed)
      this.#size = size
      await writeMark(this.#reached, `${size}\n`)
      for (const path of filled) await this.#to.removeBelow(partsBelow(path)).catch(this.#onLeftOver)
    } else {
      await this.#replace(CHECKPOINT_PATH, signed)
      this.#size = size
    }
    const cosigned = await this.#source.read(COSIGNED_PATH, LIMITS.noteBytesMax)
    // One that was cosigned meanwhile may go further than what was copied.
    if (cosigned !== undefined && (headIn(cosigned)?.checkpoint.size ?? 0) <= size)
      await this.#replace(COSIGNED_PATH, cosigned)
  }

  /** What the store has must be how this log began. */
  async #begin({ origin, size }: Checkpoint): Promise<number> {
    const there = headIn(await this.#to.read(CHECKPOINT_PATH, LIMITS.noteBytesMax))?.checkpoint
    const reached = Number((await readMarkText(this.#reached)) ?? 0)
    if (reached > (there?.size ?? 0)) throw putBack(there?.size ?? 0, reached, this.#reached)
    if (there === undefined) return 0
    if (there.origin !== origin) throw anotherLog(`the log ${there.origin}, and this one is called ${origin}`)
    if (there.size > size) throw anotherLog(`${there.size} entries of this log, and here it has ${size}`)
    const root = await new LogReader(this.#source, this.#hasher, there.size)
      .root()
      .catch((error: unknown) => {
        // This log never had as many entries when it was signed.
        if (!isGatewayError(error) || error.code !== 'not_found') throw error
      })
    if (root === undefined || !sameBytes(root, there.root)) throw anotherLog(`another log of this name`)
    return there.size
  }

  /** Public keys, and the last checkpoint under each earlier one. */
  async #copyKeys(): Promise<void> {
    const names = await readdir(this.#directory).catch((error: unknown) => {
      if (isMissing(error)) return []
      throw error
    })
    for (const name of names.filter((each) => KEPT_CHECKPOINT.test(each) || each === 'key')) {
      const bytes = await this.#source.read(name, LIMITS.noteBytesMax)
      if (bytes !== undefined) await this.#replace(name, bytes)
    }
  }

  /** Puts what is not there yet of a log of `size` entries, of which the store has `from`; tells what has become full. */
  async #copyPieces(reader: LogReader, from: number, size: number): Promise<string[]> {
    const filled: string[] = []
    for (let index = Math.floor(from / TILE_WIDTH); index * TILE_WIDTH < size; index++) {
      const entries = await reader.entries(index)
      const path = bundlePath(index, entries.length)
      await this.#put(path, encodeBundle(entries))
      if (entries.length === TILE_WIDTH) filled.push(path)
    }
    for (let level = 0; TILE_WIDTH ** level <= size; level++) {
      const count = Math.floor(size / TILE_WIDTH ** level)
      const full = Math.floor(count / TILE_WIDTH)
      for (let index = Math.floor(from / TILE_WIDTH ** (level + 1)); index < full; index++) {
        const path = tilePath(level, index)
        const bytes = await this.#source.read(path, TILE_BYTES_MAX)
        if (bytes === undefined)
          throw new GatewayError('not_found', `The log has no ${path}, which a log of this size must have.`)
        await this.#put(path, bytes)
        filled.push(path)
      }
      const last = await reader.lastHashes(level)
      if (last.length > 0) await this.#put(tilePath(level, full, last.length), encodeTile(last))
    }
    return filled
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    if (await this.#to.putIfAbsent(path, bytes)) return
    const there = await this.#to.read(path, BUNDLE_BYTES_MAX)
    if (there === undefined || !sameBytes(there, bytes)) throw anotherLog(`another ${path} than this log`)
  }

  async #replace(path: string, bytes: Uint8Array): Promise<void> {
    const before = this.#copied.get(path) ?? (await this.#to.read(path, LIMITS.noteBytesMax))
    if (before === undefined || !sameBytes(before, bytes)) await this.#to.replace(path, bytes)
    this.#copied.set(path, bytes)
  }
}

function headIn(signed: Uint8Array | undefined): SignedHead | undefined {
  return signed === undefined ? undefined : { signed, checkpoint: parseCheckpoint(parseNote(signed).text) }
}

function putBack(size: number, reached: number, path: string): GatewayError {
  return new GatewayError(
    'conflict',
    `The log in the object store has ${size} entries, and had ${reached}: nothing of the log is uploaded.`,
    {
      remedy: `The store was put back to an earlier state, or emptied: bring the newest one back. Or remove ${path} and the folders of days beside it: then all that is still here is uploaded again.`,
    },
  )
}

function anotherLog(what: string): GatewayError {
  return new GatewayError('conflict', `The object store has ${what}: nothing of the log is uploaded.`, {
    remedy:
      'Does another gateway use the same bucket and prefix, or was the log here put back from a copy? Give each gateway a prefix of its own, or bring back the newest state.',
  })
}
