import { createHash } from 'node:crypto'
import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { SessionId } from '../../core/index.ts'
import { isMissing, listIfThere, syncDirectory } from '../files/files.ts'
import { isSessionId, sessionFile, sessionsDirectory, uploadsDirectory } from '../files/names.ts'
import type { Marks } from '../files/upload-marks.ts'

/** A session file that is not in the store yet. */
export type Waiting = { readonly session: SessionId; readonly bytes: number }

export type SpoolState = {
  /** Bytes of session files on this machine. */
  readonly bytes: number
  readonly waiting: readonly Waiting[]
  readonly wanted: readonly SessionId[]
  readonly deleted: readonly SessionId[]
}

type Day = SpoolState & {
  readonly sizes: ReadonlyMap<SessionId, number>
  /** When its two folders were last changed, in nanoseconds since 1970; undefined: it is to be looked at again. */
  readonly changed: string | undefined
}

/** A folder that changed more recently may change again without its time showing it. */
const RECENT_NS = 2_000_000_000n
/** What was fetched stays for whoever reads it. */
const FETCHED_MS = 60_000

/** What lies on this machine of session files and of marks. Folders that have not changed are not read again. */
export class Spool {
  readonly #directory: string
  readonly #marks: Marks
  readonly #days = new Map<string, Day>()
  readonly #fetched = new Map<SessionId, number>()

  constructor(directory: string, marks: Marks) {
    this.#directory = directory
    this.#marks = marks
  }

  async look(): Promise<SpoolState> {
    const names = new Set([
      ...(await listIfThere(sessionsDirectory(this.#directory))),
      ...(await listIfThere(uploadsDirectory(this.#directory))),
    ])
    const days = [...names].filter((name) => /^\d{4}-\d\d-\d\d$/.test(name)).sort()
    for (const day of days) await this.#lookAt(day)
    for (const day of this.#days.keys()) if (!names.has(day)) this.#days.delete(day)
    const all = days.flatMap((day) => this.#days.get(day) ?? [])
    return {
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      waiting: all.flatMap(({ waiting }) => waiting),
      wanted: all.flatMap(({ wanted, sizes }) => wanted.filter((session) => !sizes.has(session))),
      deleted: all.flatMap(({ deleted }) => deleted),
    }
  }

  /** It was fetched for somebody. */
  fetched(session: SessionId): void {
    this.#fetched.set(session, Date.now())
  }

  /**
   * Removes files that are in the store, oldest sessions first, until no more than `bytesMax` are left. What it removes it
   * has compared with what the store took. Tells what there is then.
   */
  async keepWithin(bytesMax: number): Promise<SpoolState> {
    const found = await this.look()
    let { bytes } = found
    const kept = Date.now() - FETCHED_MS
    for (const [session, at] of this.#fetched) if (at < kept) this.#fetched.delete(session)
    for (const [day, { sizes, waiting, wanted }] of [...this.#days].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (bytes <= bytesMax) break
      const keep = new Set([...waiting.map(({ session }) => session), ...wanted, ...this.#fetched.keys()])
      let removed = false
      for (const [session, size] of [...sizes].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (bytes <= bytesMax) break
        if (keep.has(session) || !(await this.#remove(session))) continue
        bytes -= size
        removed = true
      }
      if (removed) await syncDirectory(join(sessionsDirectory(this.#directory), day))
    }
    return { ...found, bytes }
  }

  async #remove(session: SessionId): Promise<boolean> {
    const path = sessionFile(this.#directory, session)
    const mark = await this.#marks.read(session, 'up')
    const found = await digestOf(path)
    if (found === undefined) return false
    if (mark?.sha256 !== found) {
      // Not what was uploaded: it goes up first.
      await this.#marks.outdate(session)
      return false
    }
    await rm(path, { force: true })
    return true
  }

  async #lookAt(day: string): Promise<void> {
    const folders = [
      join(sessionsDirectory(this.#directory), day),
      join(uploadsDirectory(this.#directory), day),
    ]
    const times = await Promise.all(folders.map(changedAt))
    const changed = times.join()
    const known = this.#days.get(day)
    if (known?.changed === changed) return
    const now = BigInt(Date.now()) * 1_000_000n
    const isSettled = times.every((time) => time < now - RECENT_NS)
    const [files = [], marks = []] = await Promise.all(folders.map(listIfThere))
    const marked = new Map<string, Set<SessionId>>()
    for (const name of marks) {
      const [session = '', mark = '', ...rest] = name.split('.')
      if (!isSessionId(session) || rest.length > 0) continue
      const those = marked.get(mark) ?? new Set()
      marked.set(mark, those.add(session))
    }
    const up = marked.get('up') ?? new Set()
    const deleted = marked.get('del') ?? new Set()
    const sizes = new Map<SessionId, number>()
    const waiting: Waiting[] = []
    for (const name of files.sort()) {
      const session = name.slice(0, -'.slr'.length)
      if (!name.endsWith('.slr') || !isSessionId(session)) continue
      // One that is marked is not written again before it has lost its mark.
      const before = up.has(session) ? known?.sizes.get(session) : undefined
      const bytes = before ?? (await sizeOf(sessionFile(this.#directory, session)))
      if (bytes === undefined) continue
      sizes.set(session, bytes)
      if (!up.has(session) && !deleted.has(session)) waiting.push({ session, bytes })
    }
    this.#days.set(day, {
      sizes,
      bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
      waiting,
      wanted: [...(marked.get('want') ?? [])],
      deleted: [...deleted],
      changed: isSettled ? changed : undefined,
    })
  }
}

async function changedAt(path: string): Promise<bigint> {
  try {
    return (await stat(path, { bigint: true })).mtimeNs
  } catch (error) {
    if (isMissing(error)) return 0n
    throw error
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** SHA-256 of a file, in hexadecimal digits; undefined where there is none. */
async function digestOf(path: string): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    const file = await open(path, 'r')
    for await (const piece of file.createReadStream()) hash.update(piece)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  return hash.digest('hex')
}
