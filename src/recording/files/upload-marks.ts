import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { RecordingKeys, SessionId } from '../../core/index.ts'
import { isMissing, syncDirectory } from './files.ts'
import { dayOf, sessionFile, uploadsDirectory } from './names.ts'

/**
 * What stands beside the data about a session's file and the store, below `uploads/DAY/`:
 *
 * - `up`: the file is in the store, and there it is what this says
 * - `was`: the store has this version; another one is to take its place
 * - `want`: whoever seals needs the file here
 * - `del`: it is to go from the store, and from here
 */
export const MARKS = ['up', 'was', 'want', 'del'] as const
export type MarkName = (typeof MARKS)[number]

/** A file as it is in the store. */
export type Mark = {
  readonly bytes: number
  /** In hexadecimal digits. */
  readonly sha256: string
  /** The recording key that it needs. */
  readonly keyId: string
}

export function markFile(data: string, session: SessionId, name: MarkName): string {
  return join(uploadsDirectory(data), dayOf(session), `${session}.${name}`)
}

/** What a mark says, as long as nobody has to believe it; undefined: it is none. */
export function parseMark(text: string): Mark | undefined {
  const [, bytes = '', sha256 = '', keyId = ''] =
    /^(\d{1,15}) ([0-9a-f]{64}) ([0-9a-f]{16}) [0-9a-f]{64}\n$/.exec(text) ?? []
  return sha256 === '' ? undefined : { bytes: Number(bytes), sha256, keyId }
}

export async function readMarkText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Marks with a MAC: whoever can write into the directory, and has no recording key, makes none. */
export class Marks {
  readonly #directory: string
  readonly #secrets: readonly Uint8Array[]

  constructor(directory: string, keys: RecordingKeys) {
    this.#directory = directory
    this.#secrets = keys.map(
      ({ key }) => new Uint8Array(hkdfSync('sha256', key, '', 'sluice upload marks', 32)),
    )
  }

  /** Undefined where there is none, or none that a gateway with these keys made. */
  async read(session: SessionId, name: 'up' | 'was'): Promise<Mark | undefined> {
    const text = await readMarkText(markFile(this.#directory, session, name))
    const mark = text === undefined ? undefined : parseMark(text)
    if (text === undefined || mark === undefined) return undefined
    const given = Buffer.from(text.slice(-65, -1), 'hex')
    const isOwn = this.#secrets.some((secret) => timingSafeEqual(macOf(secret, session, mark), given))
    return isOwn ? mark : undefined
  }

  /** The store has this, and what is here is to be looked at: `was`. On the disk when it resolves. */
  async write(session: SessionId, mark: Mark): Promise<void> {
    const [secret = new Uint8Array()] = this.#secrets
    await writeMark(
      markFile(this.#directory, session, 'was'),
      `${textOf(mark)} ${macOf(secret, session, mark).toString('hex')}\n`,
    )
  }

  /** What was written is what is here: `was` becomes `up`, so that at no moment there are both of them or neither. */
  async confirm(session: SessionId): Promise<void> {
    await move(this.#directory, session, 'was', 'up')
  }

  async remove(session: SessionId, names: readonly MarkName[]): Promise<void> {
    for (const name of names) await rm(markFile(this.#directory, session, name), { force: true })
    await syncDirectory(dirname(markFile(this.#directory, session, 'up')))
  }

  /** The store has another version than the one that is here now. */
  async outdate(session: SessionId): Promise<void> {
    await outdateMark(this.#directory, session)
  }
}

/** Says that the session's file is not the one that was uploaded, if one was. */
export async function outdateMark(data: string, session: SessionId): Promise<void> {
  await move(data, session, 'up', 'was')
}

/** Does nothing where there is no such mark. */
async function move(data: string, session: SessionId, from: MarkName, to: MarkName): Promise<void> {
  const path = markFile(data, session, from)
  try {
    await rename(path, markFile(data, session, to))
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  await syncDirectory(dirname(path))
}

/** Whether the file of a session is in the store, by what its mark says. */
export async function isUploaded(data: string, session: SessionId): Promise<boolean> {
  return (await readMarkText(markFile(data, session, 'up'))) !== undefined
}

/** Whether the file of a session is in the store only, and not deleted. */
export async function isAway(data: string, session: SessionId): Promise<boolean> {
  if (!(await isUploaded(data, session))) return false
  try {
    await access(sessionFile(data, session))
    return false
  } catch (error) {
    if (isMissing(error)) return (await readMarkText(markFile(data, session, 'del'))) === undefined
    throw error
  }
}

/** Puts a mark in its place as a whole; on the disk when it resolves. */
export async function writeMark(path: string, text: string): Promise<void> {
  const directory = dirname(path)
  const made = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (made !== undefined) {
    await syncDirectory(dirname(directory))
    await syncDirectory(dirname(dirname(directory)))
  }
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncDirectory(directory)
}

function textOf({ bytes, sha256, keyId }: Mark): string {
  return `${bytes} ${sha256} ${keyId}`
}

function macOf(secret: Uint8Array, session: SessionId, mark: Mark): Buffer {
  return createHmac('sha256', secret)
    .update(`${session} ${textOf(mark)}`)
    .digest()
}
