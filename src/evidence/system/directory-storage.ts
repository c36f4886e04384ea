import { link, mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GatewayError } from '../../core/index.ts'
import type { LogSource } from '../log/reader.ts'
import type { LogStorage } from '../log/storage.ts'

/** Readable by others through group and world only where somebody says so: it is the gateway's. */
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
/** Below the directory: what is being written. Emptied when the storage is opened. */
const DRAFTS = '.drafts'

/** A log in a directory, to be read only: takes nothing away that its writer is about to finish. */
export function directorySource(root: string): LogSource {
  return { read: (path, bytesMax) => readPiece(root, path, bytesMax) }
}

/**
 * A log in a directory. A piece is written to a draft and synced, then linked to its name, which fails where there is
 * one, or renamed over it; then the directory is synced. Whatever is killed, a name has all of its bytes.
 */
export class DirectoryStorage implements LogStorage {
  readonly #root: string
  /** Directories whose names are on the disk. */
  readonly #known = new Set<string>()
  #drafts = 0

  private constructor(root: string) {
    this.#root = root
  }

  /** Makes the directory where there is none, and takes away what an earlier process did not finish. */
  static async open(root: string): Promise<DirectoryStorage> {
    const storage = new DirectoryStorage(root)
    await mkdir(root, { recursive: true, mode: DIRECTORY_MODE })
    await rm(join(root, DRAFTS), { recursive: true, force: true })
    await storage.#directory(DRAFTS)
    return storage
  }

  read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    return readPiece(this.#root, path, bytesMax)
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<boolean> {
    const at = this.#at(path)
    await this.#directory(dirname(path))
    return this.#withDraft(bytes, async (draft) => {
      try {
        await link(draft, at)
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error
        // Perhaps linked by a process that was killed before its name was on the disk.
        await syncDirectory(dirname(at))
        return false
      } finally {
        await unlink(draft)
      }
      await syncDirectory(dirname(at))
      return true
    })
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const at = this.#at(path)
    await this.#directory(dirname(path))
    await this.#withDraft(bytes, (draft) => rename(draft, at))
    await syncDirectory(dirname(at))
  }

  async removeBelow(path: string): Promise<void> {
    await rm(this.#at(path), { recursive: true, force: true })
    for (const each of this.#known) if (`${each}/`.startsWith(path)) this.#known.delete(each)
  }

  /** Writes a draft and has it put in its place; where either fails, the draft is gone. */
  async #withDraft<T>(bytes: Uint8Array, place: (draft: string) => Promise<T>): Promise<T> {
    this.#drafts += 1
    const draft = join(this.#root, DRAFTS, `${process.pid}-${this.#drafts}`)
    try {
      const file = await open(draft, 'wx', FILE_MODE)
      try {
        await file.writeFile(bytes)
        await file.sync()
      } finally {
        await file.close()
      }
      return await place(draft)
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
  }

  /** Makes a directory below the root, and those above it, whose names are on the disk when this resolves. */
  async #directory(path: string): Promise<void> {
    if (path === '.' || this.#known.has(path)) return
    await this.#directory(dirname(path))
    const at = this.#at(path)
    await mkdir(at, { mode: DIRECTORY_MODE }).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
    await syncDirectory(dirname(at))
    this.#known.add(path)
  }

  #at(path: string): string {
    return pieceAt(this.#root, path)
  }
}

async function readPiece(root: string, path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  const file = await open(pieceAt(root, path), 'r').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    if (size > bytesMax) {
      throw new GatewayError(
        'limit_exceeded',
        `${path} of the log has ${size} bytes; it may have ${bytesMax}.`,
        {
          remedy: 'It is damaged: bring it back from a copy.',
        },
      )
    }
    const bytes = new Uint8Array(size)
    for (let done = 0; done < size; ) {
      const { bytesRead } = await file.read(bytes, done, size - done, done)
      if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`)
      done += bytesRead
    }
    return bytes
  } finally {
    await file.close()
  }
}

function pieceAt(root: string, path: string): string {
  return join(root, ...path.split('/'))
}

async function syncDirectory(path: string): Promise<void> {
  // Windows has no such thing and needs none: its file system keeps names in its own log.
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
