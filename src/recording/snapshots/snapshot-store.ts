import { mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, GatewayError, LIMITS, type RandomBytes, type RecordingKeys } from '../../core/index.ts'
import { isMissing, listIfThere, openIfThere, syncDirectory } from '../files/files.ts'
import { snapshotFile, snapshotsDirectory } from '../files/names.ts'
import {
  addressOf,
  decodeSnapshot,
  encodeSnapshot,
  isAddress,
  SNAPSHOT_FILE_BYTES_MAX,
} from './snapshot-file.ts'

export type SnapshotOptions = {
  /** The data directory. */
  readonly directory: string
  /** The first is for new files. */
  readonly keys: RecordingKeys
  readonly clock: Clock
  readonly random: RandomBytes
  /** Told of what could not be kept: the gateway goes on, and what was judged by it cannot be judged anew. */
  readonly onFault: (error: unknown) => void
  /** Absent: those of `LIMITS`. */
  readonly limits?: SnapshotLimits
}

/** Bytes of one text; how many files, and bytes of all of them. */
export type SnapshotLimits = { readonly textBytes: number; readonly files: number; readonly bytes: number }

const OWN_LIMITS: SnapshotLimits = {
  textBytes: LIMITS.snapshotBytesMax,
  files: LIMITS.snapshotsMax,
  bytes: LIMITS.snapshotsBytesMax,
}

/** Nothing was in use for longer between two looks, so that a snapshot is surely older than its file says plus this. */
const DOUBT_MS = 24 * 60 * 60 * 1000

/**
 * Texts that commands are judged by (configurations, definitions of databases), each kept once, by the SHA-256 of what is in
 * it. The time of a file is when it was last known to be in use: it stays as long as there may be a recording from before.
 */
export class SnapshotStore {
  readonly #options: SnapshotOptions
  /** How many use each that is in use. */
  readonly #users = new Map<string, number>()
  /** One at a time: two that keep the same text write one file. */
  #turn: Promise<unknown> = Promise.resolve()
  #full = false

  constructor(options: SnapshotOptions) {
    this.#options = options
  }

  /** Resolves with its address, once it is on the disk or was reported. In use until `release`. */
  async keep(text: string): Promise<string> {
    const address = addressOf(text)
    this.#users.set(address, (this.#users.get(address) ?? 0) + 1)
    try {
      await this.#alone(() => this.#write(address, text))
    } catch (error) {
      this.#options.onFault(error)
    }
    return address
  }

  release(address: string): void {
    const users = (this.#users.get(address) ?? 0) - 1
    if (users > 0) {
      this.#users.set(address, users)
      return
    }
    this.#users.delete(address)
    const until = this.#options.clock.now()
    this.#alone(() => this.#touch(address, until)).catch(this.#options.onFault)
  }

  /** Deletes what was last in use before anything that is still recorded was begun (milliseconds); tells how many. */
  sweep(oldestRecorded: number): Promise<number> {
    return this.#alone(() => this.#sweep(oldestRecorded))
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #sweep(oldestRecorded: number): Promise<number> {
    for (const address of this.#users.keys()) await this.#touch(address)
    let deleted = 0
    for (const { address, time } of await this.#all()) {
      if (this.#users.has(address) || time >= oldestRecorded - DOUBT_MS) continue
      await rm(snapshotFile(this.#options.directory, address), { force: true })
      deleted++
    }
    if (deleted > 0) this.#full = false
    return deleted
  }

  async #write(address: string, text: string): Promise<void> {
    const { directory, keys, random, limits = OWN_LIMITS } = this.#options
    const path = snapshotFile(directory, address)
    if (await this.#touch(address)) return
    if (Buffer.byteLength(text) > limits.textBytes) throw full('It is too long.')
    if (this.#full || (await this.#isFull(limits))) {
      // Reported once: every definition that changes would say it again.
      if (this.#full) return
      this.#full = true
      throw full('There are too many.')
    }
    const bytes = await encodeSnapshot(keys, random, address, text)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const draft = `${path}.new`
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
    await syncDirectory(dirname(path))
    await this.#touch(address)
  }

  /** It was in use until then. False: there is none. */
  async #touch(address: string, until = this.#options.clock.now()): Promise<boolean> {
    const time = new Date(until)
    try {
      await utimes(snapshotFile(this.#options.directory, address), time, time)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  async #isFull(limits: SnapshotLimits): Promise<boolean> {
    const all = await this.#all()
    const bytes = all.reduce((sum, each) => sum + each.bytes, 0)
    return all.length >= limits.files || bytes >= limits.bytes
  }

  async #all(): Promise<{ readonly address: string; readonly bytes: number; readonly time: number }[]> {
    const { directory } = this.#options
    const found: { address: string; bytes: number; time: number }[] = []
    for (const name of await listIfThere(snapshotsDirectory(directory))) {
      const address = name.replace(/\.sls$/, '')
      if (!isAddress(address) || address === name) continue
      const { size, mtimeMs } = await stat(snapshotFile(directory, address))
      found.push({ address, bytes: size, time: mtimeMs })
    }
    return found
  }
}

/** The text at this address; undefined: there is none. Throws `invalid` for one that is damaged, or whose key is not given. */
export async function readSnapshot(
  directory: string,
  keys: RecordingKeys,
  address: string,
): Promise<string | undefined> {
  if (!isAddress(address)) return undefined
  const path = snapshotFile(directory, address)
  const file = await openIfThere(path)
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    if (size > SNAPSHOT_FILE_BYTES_MAX) throw full(`${path} is too long.`)
    return await decodeSnapshot(keys, path, address, await file.readFile())
  } finally {
    await file.close()
  }
}

function full(why: string): GatewayError {
  return new GatewayError('limit_exceeded', `A snapshot of what commands are judged by is not kept. ${why}`, {
    remedy: 'Commands run all the same; sluice policy simulate cannot judge them anew.',
  })
}
