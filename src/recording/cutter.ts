import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, RecordingKeys, SessionId, Timer } from '../core/index.ts'
import { isGatewayError } from '../core/index.ts'
import { Drafts, type Known } from './drafts.ts'
import { isMissing, listIfThere, syncDirectory } from './files.ts'
import type { SessionSummary } from './index-port.ts'
import type { FileJournal, JournalObserver, Place } from './journal.ts'
import { journalDirectory, journalFileName, journalNumbers, sessionsDirectory } from './names.ts'
import { damaged, FileReading } from './reader.ts'

export type CutterOptions = {
  /** The data directory. */
  readonly directory: string
  readonly keys: RecordingKeys
  readonly journal: FileJournal
  readonly clock: Clock
  /** Told when a pass failed. After a fault of the disk it is tried again; over damage the cutter stops. */
  readonly onFault: (error: unknown) => void
}

/** Sessions that end within this time are cut in one pass. */
const GATHER_MS = 1000
/** After a fault. */
const RETRY_MS = 5000

/**
 * Cuts ended sessions out of the journal into files of their own, in the background and in small steps. Each journal
 * file is gone through once, when it is full, and its frames handed out to their sessions; a session that ends is
 * completed from the file that is being written. Leaves the journal as it is. Promise: a session file is whole or not
 * there; killed at any moment, the cutter goes on where it stopped.
 */
export class Cutter implements JournalObserver {
  readonly #options: CutterOptions
  readonly #lastKnown = new Map<SessionId, Known>()
  readonly #closed = new Map<SessionId, Place>()
  #mark = 0
  #last: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #stopped = false

  constructor(options: CutterOptions) {
    this.#options = options
  }

  /** Begins with what the last process left. */
  async start(): Promise<void> {
    const { journal, directory } = this.#options
    this.#mark = await readMark(directory)
    for (const session of journal.sessionsRepaired) {
      this.#closed.set(session, { file: journal.fileNumber, offset: 0 })
    }
    journal.observe(this)
    this.#schedule(0)
  }

  sessionClosed(session: SessionId, _summary: SessionSummary | undefined, place: Place): void {
    this.#closed.set(session, place)
    this.#schedule(GATHER_MS)
  }

  fileEnded(): void {
    this.#schedule(0)
  }

  /** Does what there is to do now, and resolves when it is done. Rejects with what went wrong. */
  catchUp(): Promise<void> {
    const pass = this.#last.then(() => this.#cutAll())
    // One pass at a time; what went wrong in one is for whoever asked for it, not for the next.
    this.#last = pass.then(
      () => {},
      () => {},
    )
    return pass
  }

  /** Ends the timers and waits for the pass that runs. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#last
  }

  #schedule(ms: number): void {
    if (this.#stopped || (this.#timer !== undefined && ms > 0)) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(ms, () => {
      this.#timer = undefined
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    let waitMs = GATHER_MS
    try {
      await this.catchUp()
    } catch (error) {
      // Damage does not go away. Going on behind it would make session files with holes that nobody sees.
      if (isGatewayError(error)) this.#stopped = true
      waitMs = RETRY_MS
      this.#options.onFault(error)
    }
    if (this.#closed.size > 0 || this.#mark < this.#options.journal.fileNumber - 1) this.#schedule(waitMs)
  }

  async #cutAll(): Promise<void> {
    const { directory, journal } = this.#options
    while (!this.#stopped) {
      const current = journal.fileNumber
      const numbers = journalNumbers(await listIfThere(journalDirectory(directory)))
      const next = numbers.find((number) => number > this.#mark && number < current)
      if (next === undefined) {
        this.#mark = Math.max(this.#mark, current - 1)
        break
      }
      await this.#cutFile(next)
      await writeMark(directory, next)
      this.#mark = next
      for (const [session, place] of this.#closed) if (place.file <= next) this.#closed.delete(session)
    }
    if (!this.#stopped) await this.#cutClosed()
  }

  /** Hands out all frames of a file that is full. */
  async #cutFile(number: number): Promise<void> {
    const sealed = await this.#pass(number, 0, undefined)
    // Their frames end in this file; should one more come, the sealed file is looked at again.
    for (const session of sealed) this.#lastKnown.delete(session)
  }

  /** Completes the sessions that ended in the file which is being written. */
  async #cutClosed(): Promise<void> {
    const { journal } = this.#options
    const file = journal.fileNumber
    const places = new Map([...this.#closed].filter(([, place]) => place.file === file))
    if (places.size === 0) return
    let offset = Number.POSITIVE_INFINITY
    for (const place of places.values()) offset = Math.min(offset, place.offset)
    for (const session of await this.#pass(file, offset, places)) this.#closed.delete(session)
  }

  /** Goes through one file from `offset` on; only these sessions, if given. Tells which have been sealed. */
  async #pass(
    number: number,
    offset: number,
    only: ReadonlyMap<SessionId, Place> | undefined,
  ): Promise<readonly SessionId[]> {
    const { directory, keys } = this.#options
    const path = join(journalDirectory(directory), journalFileName(number))
    const drafts = new Drafts(directory, keys, this.#lastKnown)
    const reading = new FileReading(path, 'journal', keys, await open(path, 'r'), offset)
    try {
      if ((await reading.header()) === undefined) throw damaged(path, 0, reading.problem)
      for await (const frames of reading.batches()) {
        await drafts.add(only === undefined ? frames : frames.filter(({ session }) => wanted(only, session)))
      }
      if (only === undefined) {
        if (reading.rest > 0) throw damaged(path, reading.offset, reading.problem)
        if (reading.unvouched !== undefined) throw reading.unvouched
      }
      return await drafts.finish()
    } catch (error) {
      drafts.forget()
      throw error
    } finally {
      await reading.close()
    }
  }
}

function wanted(only: ReadonlyMap<SessionId, Place>, session: SessionId | undefined): boolean {
  return session !== undefined && only.has(session)
}

/** `sessions/cut`: the number of the last journal file whose frames have all been handed out, as decimal text. */
function markPath(directory: string): string {
  return join(sessionsDirectory(directory), 'cut')
}

/** Without a mark, or with one that is no number, everything is gone through again: that changes nothing. */
async function readMark(directory: string): Promise<number> {
  try {
    const text = await readFile(markPath(directory), 'utf8')
    return /^\d{1,15}$/.test(text) ? Number(text) : 0
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}

async function writeMark(directory: string, number: number): Promise<void> {
  const path = markPath(directory)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(String(number))
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncDirectory(dirname(path))
}
