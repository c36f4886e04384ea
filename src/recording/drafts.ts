import { copyFile, mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { RecordingKeys, SessionId } from '../core/index.ts'
import { openIfThere, syncDirectory } from './files.ts'
import { fileHeader } from './file-header.ts'
import { sessionFile } from './names.ts'
import { damaged, FileReading, type OwnedFrame } from './reader.ts'

/** Frames held in memory over all drafts before they are written. */
const HELD_BYTES_MAX = 8 * 1024 * 1024

/** What the files hold of a session: up to which frame, and where: in a draft, or in a file sealed already. */
export type Known = { readonly last: number; readonly base: 'none' | 'draft' | 'sealed' }

type Draft = {
  readonly session: SessionId
  last: number
  base: Known['base']
  /** For a file that has to be begun. */
  header: Buffer | undefined
  frames: Buffer[]
  unsynced: boolean
  closed: boolean
}

/**
 * Session files that are being put together: `<session id>.part` until the session's close is in it, then `.slr`.
 * Frames are copied as they are and only ever added, so that a draft can be gone on with after a crash: what it
 * holds already is known by its last sequence number. Nothing is renamed before it is on the disk.
 */
export class Drafts {
  readonly #directory: string
  readonly #keys: RecordingKeys
  /** The last frame of each draft and of what was sealed lately, so that the files need not be read for it. */
  readonly #lastKnown: Map<SessionId, Known>
  readonly #drafts = new Map<SessionId, Draft>()
  #held = 0

  constructor(directory: string, keys: RecordingKeys, lastKnown: Map<SessionId, Known>) {
    this.#directory = directory
    this.#keys = keys
    this.#lastKnown = lastKnown
  }

  /** Adds frames to their sessions, but for those that are there already. Frames of no session are passed over. */
  async add(frames: readonly OwnedFrame[]): Promise<void> {
    for (const { frame, session } of frames) {
      if (session === undefined) continue
      const draft = this.#drafts.get(session) ?? (await this.#find(session))
      if (frame.kind === 'close') draft.closed = true
      if (frame.sequence <= draft.last) continue
      if (draft.base === 'none' && draft.frames.length === 0) {
        draft.header = fileHeader('session', 0, frame.sequence, frame.time)
      }
      draft.last = frame.sequence
      draft.frames.push(Buffer.from(frame.bytes))
      this.#held += frame.bytes.length
    }
    if (this.#held <= HELD_BYTES_MAX) return
    for (const each of this.#drafts.values()) if (each.frames.length > 0) await this.#write(each, false)
  }

  /** Brings all drafts to the disk and seals those whose session has closed; tells which those are. */
  async finish(): Promise<readonly SessionId[]> {
    const directories = new Set<string>()
    const sealed: SessionId[] = []
    for (const draft of this.#drafts.values()) {
      if (draft.frames.length > 0 || draft.unsynced) {
        await this.#write(draft, true)
        directories.add(dirname(sessionFile(this.#directory, draft.session)))
      }
      if (!draft.closed) continue
      if (draft.base === 'draft') {
        const path = sessionFile(this.#directory, draft.session)
        await rename(draftOf(path), path)
        directories.add(dirname(path))
        draft.base = 'sealed'
      }
      sealed.push(draft.session)
    }
    for (const directory of directories) {
      await syncDirectory(directory)
      await syncDirectory(dirname(directory))
    }
    for (const { session, last, base } of this.#drafts.values()) this.#lastKnown.set(session, { last, base })
    return sealed
  }

  /** After a fault: what the files hold has to be looked up again. */
  forget(): void {
    for (const session of this.#drafts.keys()) this.#lastKnown.delete(session)
  }

  async #find(session: SessionId): Promise<Draft> {
    const known =
      this.#lastKnown.get(session) ?? (await lookUp(sessionFile(this.#directory, session), this.#keys))
    const draft: Draft = {
      session,
      ...known,
      frames: [],
      header: undefined,
      unsynced: false,
      closed: known.base === 'sealed',
    }
    this.#drafts.set(session, draft)
    return draft
  }

  /** Puts the frames held for a draft into its file. */
  async #write(draft: Draft, sync: boolean): Promise<void> {
    const path = sessionFile(this.#directory, draft.session)
    const bytes = Buffer.concat(draft.frames)
    if (draft.base === 'none') await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    else if (draft.base === 'sealed') await copyFile(path, draftOf(path))
    const file = await open(draftOf(path), draft.base === 'none' ? 'w' : 'a', 0o600)
    try {
      if (draft.header !== undefined) await file.appendFile(draft.header)
      await file.appendFile(bytes)
      if (sync) await file.datasync()
    } finally {
      await file.close()
    }
    this.#held -= bytes.length
    draft.frames = []
    draft.header = undefined
    draft.base = 'draft'
    draft.unsynced = !sync
  }
}

function draftOf(path: string): string {
  return path.replace(/slr$/, 'part')
}

/** What is on the disk of a session: sealed, a draft (cut back to its last whole frame if need be), or nothing. */
async function lookUp(path: string, keys: RecordingKeys): Promise<Known> {
  const sealed = await lastSequence(path, keys)
  if (sealed !== undefined) return { last: sealed, base: 'sealed' }
  const draft = await lastSequence(draftOf(path), keys)
  return draft === undefined ? { last: 0, base: 'none' } : { last: draft, base: 'draft' }
}

async function lastSequence(path: string, keys: RecordingKeys): Promise<number | undefined> {
  const file = await openIfThere(path, 'r+')
  if (file === undefined) return undefined
  const reading = new FileReading(path, 'session', keys, file)
  try {
    // A draft that ends inside its header was never added to: it is begun again.
    if ((await reading.header()) === undefined) return undefined
    let last = 0
    for await (const frames of reading.batches()) last = frames.at(-1)?.frame.sequence ?? last
    if (reading.rest > 0) {
      if (path.endsWith('.slr') || reading.wholeFramesAfter() > 0) {
        throw damaged(path, reading.offset, reading.problem)
      }
      await file.truncate(reading.offset)
    }
    return last
  } finally {
    await reading.close()
  }
}
