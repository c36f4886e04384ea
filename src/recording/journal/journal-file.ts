import { dirname } from 'node:path'
import { type FileSystem, writeWhole } from '../files/file-system.ts'
import type { BlockSealer } from './sealing.ts'

/** A signal or a full queue of the kernel may interrupt a write; more often than this in a row it is a fault. */
const RETRIES_MAX = 16
/** Written bytes after which the disk is asked to keep up, so that the sync at the end of a file is short. */
const SYNC_AHEAD_BYTES = 8 * 1024 * 1024

/** At a time, when a file has to be copied. */
const COPY_BYTES = 1024 * 1024

/**
 * One file that only grows, by whole blocks: a block is in it from its first byte to its last, or not at all. After a
 * write that failed halfway the file is cut back to its last whole block before anything else happens to it.
 */
export class JournalFile {
  readonly path: string
  readonly #files: FileSystem
  readonly #sealer: BlockSealer
  readonly #onSyncFault: (error: Error) => void
  #file: number
  #length = 0
  #torn = false
  #syncedLength = 0
  #syncing = false
  #closed = false

  /** Makes the file; it must not exist, unless `again` says that an attempt of our own left it behind. */
  constructor(
    files: FileSystem,
    path: string,
    again: boolean,
    sealer: BlockSealer,
    onSyncFault: (error: Error) => void,
  ) {
    this.#files = files
    this.path = path
    this.#sealer = sealer
    this.#onSyncFault = onSyncFault
    this.#file = files.open(path, again ? 'w+' : 'wx+')
  }

  /** Bytes that are wholly in the file. */
  get length(): number {
    return this.#length
  }

  get syncedLength(): number {
    return this.#syncedLength
  }

  /**
   * Appends frames as one block, the first one behind the header, with one call of the operating system. Throws what
   * went wrong; they are not in then.
   */
  write(frames: Uint8Array): void {
    if (this.#torn) this.#heal()
    this.#append(this.#sealer.seal(frames))
  }

  /** Appends a MAC over what has none yet. Throws what went wrong; it is not in then. */
  authenticate(): void {
    if (this.#torn) this.#heal()
    const mac = this.#length === 0 ? undefined : this.#sealer.authenticate()
    if (mac !== undefined) this.#append(mac)
  }

  #append(bytes: Uint8Array): void {
    let done = 0
    let retries = 0
    try {
      while (done < bytes.length) {
        const written = this.#writeSome(bytes, done)
        if (written === 0 && ++retries > RETRIES_MAX) throw new Error('the file takes no more bytes')
        done += written
      }
    } catch (error) {
      this.#torn = true
      try {
        this.#heal()
      } catch (second) {
        // Stays torn: the next write begins by trying again.
        throw new AggregateError([error, second], 'a write failed, and so did cutting the file back', {
          cause: second,
        })
      }
      throw error
    }
    this.#length += bytes.length
    this.#sealer.written()
    this.#syncAhead()
  }

  /**
   * Puts the file back where it belongs if somebody has removed it: what is written to a file without a name is gone
   * when it is closed. True if that was so. Throws when it cannot be put back.
   */
  restore(): boolean {
    if (this.#files.links(this.#file) > 0) return false
    this.#files.makeDirectory(dirname(this.path))
    const file = this.#files.open(this.path, 'wx+')
    try {
      const piece = Buffer.allocUnsafe(COPY_BYTES)
      for (let at = 0; at < this.#length; ) {
        const read = this.#files.read(this.#file, piece, 0, Math.min(piece.length, this.#length - at), at)
        if (read === 0) throw new Error('the file has lost bytes that were written')
        writeWhole(this.#files, file, piece.subarray(0, read), at)
        at += read
      }
      this.#files.sync(file)
      this.#files.syncDirectory(dirname(this.path))
    } catch (error) {
      takeAway(this.#files, file, this.path, error)
    }
    this.#replaceHandle(file)
    this.#syncedLength = this.#length
    return true
  }

  /** All that was written is on the disk when it returns. */
  sync(): void {
    if (this.#syncedLength === this.#length) return
    const length = this.#length
    this.#files.sync(this.#file)
    this.#syncedLength = length
  }

  close(): void {
    this.#closed = true
    // The file number belongs to the kernel's own thread until its sync has ended; that one closes it then.
    if (!this.#syncing) this.#files.close(this.#file)
  }

  /** Takes away a file that was begun and is not used, because of `error`, which is thrown. */
  abandon(error: unknown): never {
    this.#closed = true
    return takeAway(this.#files, this.#file, this.path, error)
  }

  #writeSome(bytes: Uint8Array, done: number): number {
    try {
      return this.#files.write(this.#file, bytes, done, bytes.length - done, this.#length + done)
    } catch (error) {
      if (isInterruption(error)) return 0
      throw error
    }
  }

  /** Cuts off what a failed write left behind, through a new handle if the old one is of no use any more. */
  #heal(): void {
    try {
      this.#cutBack(this.#file)
    } catch {
      // The handle itself may be what is broken; the error of the second way is the one that counts.
      const file = this.#files.open(this.path, 'r+')
      try {
        this.#cutBack(file)
      } catch (error) {
        this.#files.close(file)
        throw error
      }
      this.#replaceHandle(file)
    }
    this.#torn = false
  }

  #replaceHandle(file: number): void {
    const old = this.#file
    // First: whatever closing the old handle says, it is of no use after that.
    this.#file = file
    // A handle that is being synced is closed when that has ended.
    if (!this.#syncing) this.#files.close(old)
  }

  #cutBack(file: number): void {
    // Cutting would make it longer then, with zeros in the middle of the recording.
    if (this.#files.size(file) < this.#length) throw new Error('the file has lost bytes that were written')
    this.#files.truncate(file, this.#length)
  }

  #syncAhead(): void {
    if (this.#syncing || this.#length - this.#syncedLength < SYNC_AHEAD_BYTES) return
    this.#syncing = true
    const length = this.#length
    const file = this.#file
    this.#files.syncLater(file, (error) => {
      this.#syncing = false
      if (this.#closed || file !== this.#file) this.#files.close(file)
      if (error !== null) this.#onSyncFault(error)
      else if (length > this.#syncedLength) this.#syncedLength = length
    })
  }
}

/**
 * Closes and removes. A file that is left would look like the newest one, so each step is tried whatever became of the
 * one before; emptied first, it counts as one that a crash left when it cannot be removed.
 */
function takeAway(files: FileSystem, file: number, path: string, error: unknown): never {
  const faults = [error]
  for (const step of [() => files.truncate(file, 0), () => files.close(file), () => files.remove(path)]) {
    try {
      step()
    } catch (fault) {
      faults.push(fault)
    }
  }
  if (faults.length === 1) throw error
  throw new AggregateError(
    faults,
    'a file of the journal could not be made, nor taken away without a fault',
    {
      cause: error,
    },
  )
}

function isInterruption(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EINTR' || error.code === 'EAGAIN')
}
