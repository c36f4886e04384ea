import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, type RandomBytes, type RecordingKeys, type SessionId } from '../../core/index.ts'
import { nodeSha256 } from '../../evidence/system/sha256.ts'
import { openIfThere, syncDirectory } from '../files/files.ts'
import { draftFile, sessionFile } from '../files/names.ts'
import { isAway, markFile, outdateMark, writeMark } from '../files/upload-marks.ts'
import { newDataKey } from '../sealed/data-key.ts'
import type { ReadFrame } from '../sealed/reader.ts'
import { withoutPayloads } from '../sealed/remove.ts'
import { readSealed } from '../sealed/session-reader.ts'
import { SealedWriter } from '../sealed/writer.ts'
import type { SaltedFrame } from './salted-frame.ts'

export type SessionFileParts = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly random: RandomBytes
}

/** What lies on the disk of a session: a whole file, a draft, or nothing. */
type Base = 'sealed' | 'draft' | 'none'

/**
 * The file of one session that is being put together: `<session id>.part` until its close is in it, then `.slr`. A
 * process only adds to a draft that it began itself; one that it finds is written again, under a new data key, so that
 * no two chunks of one number are ever encrypted under one key, whatever a crash left of the last of them.
 */
export class SessionFile {
  readonly session: SessionId
  readonly #parts: SessionFileParts
  readonly #path: string
  /** Of this process; undefined until the first frame is added. */
  #writer: SealedWriter | undefined
  #chunks: Buffer[] = []
  /** Whether the draft on the disk is one of this process. */
  #written = false
  #base: Base = 'none'
  /** Whether there may be an earlier version of the file. */
  #replaces = false
  #known: { first: number; last: number; frames: number } | undefined

  private constructor(parts: SessionFileParts, session: SessionId) {
    this.#parts = parts
    this.session = session
    this.#path = sessionFile(parts.directory, session)
  }

  /** Looks up what there is. A torn end of a draft is passed over: its frames are still in the journal. */
  static async find(parts: SessionFileParts, session: SessionId): Promise<SessionFile> {
    const file = new SessionFile(parts, session)
    await file.#find()
    return file
  }

  /** One of which the log says that it is whole. */
  static whole(
    parts: SessionFileParts,
    session: SessionId,
    range: { readonly first: number; readonly last: number; readonly frames: number },
  ): SessionFile {
    const file = new SessionFile(parts, session)
    file.#base = 'sealed'
    file.#known = { ...range }
    return file
  }

  /** The last frame that is in it, on the disk or waiting; 0: none. */
  get last(): number {
    return this.#known?.last ?? 0
  }

  /** What it covers, for the log. */
  get range(): { readonly first: number; readonly last: number; readonly frames: number } | undefined {
    return this.#known
  }

  get base(): Base {
    return this.#base
  }

  /** Bytes that wait in memory. */
  get waiting(): number {
    return (this.#writer?.waiting ?? 0) + this.#chunks.reduce((sum, { length }) => sum + length, 0)
  }

  /** Whether frames can be added; else `begin` comes first. */
  get begun(): boolean {
    return this.#writer !== undefined
  }

  /** Adds a frame behind the last one. Copies its payloads. */
  add(sequence: number, { part, payloads }: SaltedFrame): void {
    if (this.#writer === undefined) throw new Error('a file has to be begun before frames are added')
    const chunk = this.#writer.append(part, sequence, payloads)
    if (chunk !== undefined) this.#chunks.push(chunk)
    this.#count(sequence)
  }

  /** Puts what waits into the draft and, with `sync`, on the disk; its name is there after its directory is synced. */
  async write(sync: boolean): Promise<void> {
    const last = this.#writer?.finish()
    if (last !== undefined) this.#chunks.push(last)
    const bytes = Buffer.concat(this.#chunks)
    if (!this.#written) await makeDirectory(this.directory)
    const file = await open(draftFile(this.#path), this.#written ? 'a' : 'w', 0o600)
    try {
      await file.appendFile(bytes)
      if (sync) await file.datasync()
    } finally {
      await file.close()
    }
    this.#chunks = []
    this.#written = true
  }

  /** Gives the draft, which must have been synced, the name of a whole file. */
  async seal(): Promise<void> {
    const { directory } = this.#parts
    await rename(draftFile(this.#path), this.#path)
    // What was uploaded of it, if anything, is an earlier version. Said again in case it was uploaded just now.
    if (this.#replaces) {
      await outdateMark(directory, this.session)
      await rm(markFile(directory, this.session, 'want'), { force: true })
      this.#replaces = false
    }
    this.#base = 'sealed'
    // Whatever comes now is written anew: nobody adds to a file that is sealed.
    this.#writer = undefined
    this.#written = false
  }

  get directory(): string {
    return dirname(this.#path)
  }

  /** Of a file that is only where it was uploaded to nobody knows here what is in it: has it brought back. */
  async #here(): Promise<void> {
    const { directory } = this.#parts
    if (!(await isAway(directory, this.session))) return
    await writeMark(markFile(directory, this.session, 'want'), '')
    throw new GatewayError(
      'recording_unavailable',
      `Something more is to be added to session ${this.session}, which is in the object store only.`,
      { remedy: 'It is fetched; until then nothing more is sealed.', retry: 'later' },
    )
  }

  async #find(): Promise<void> {
    const draft = draftFile(this.#path)
    for (const [base, path] of [
      ['sealed', this.#path],
      ['draft', draft],
    ] as const) {
      const file = await openIfThere(path)
      if (file === undefined) continue
      this.#base = base
      for await (const frame of this.#framesOf(path, file)) this.#count(frame.part.sequence)
      return
    }
    await this.#here()
  }

  #count(sequence: number): void {
    if (this.#known === undefined) this.#known = { first: sequence, last: sequence, frames: 1 }
    else {
      this.#known.last = sequence
      this.#known.frames++
    }
  }

  /** Begins the draft of this process, with all that there is already. */
  async begin(): Promise<void> {
    const { keys, random } = this.#parts
    const data = newDataKey(keys, random, this.session)
    // What is added has its salts: none is made here.
    const writer = new SealedWriter({
      ...data,
      sha256: nodeSha256,
      salt: () => {
        throw new Error('a frame was added without its salts')
      },
    })
    if (this.#base === 'sealed') await this.#here()
    const draft = draftFile(this.#path)
    const base = this.#base === 'sealed' ? this.#path : this.#base === 'draft' ? draft : undefined
    if (base === undefined) this.#chunks.push(writer.begin())
    else {
      const fresh = `${draft}.new`
      const file = await open(fresh, 'w', 0o600)
      try {
        for await (const piece of withoutPayloads(this.#read(base), writer, () => false))
          await file.appendFile(piece)
        await file.datasync()
      } finally {
        await file.close()
      }
      // Before there is another version: killed in between, this one goes up again.
      if (this.#base === 'sealed') await outdateMark(this.#parts.directory, this.session)
      this.#replaces = true
      await rename(fresh, draft)
      this.#written = true
    }
    this.#base = 'draft'
    this.#writer = writer
  }

  async *#read(path: string): AsyncGenerator<ReadFrame> {
    yield* this.#framesOf(path, await open(path, 'r'))
  }

  #framesOf(path: string, file: FileHandle): AsyncGenerator<ReadFrame> {
    return readSealed(path, this.#parts.keys, file, path !== this.#path)
  }
}

async function makeDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  if (made !== undefined) {
    await syncDirectory(dirname(path))
    await syncDirectory(dirname(dirname(path)))
  }
}
