import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { InputEnd, Journal, LabelName, SessionId } from '../core/index.ts'
import type { CommandInFlight } from './flights.ts'

/** What is collected before it becomes an entry, or a part of the digest: about what one read of a socket brings. */
const STAGE_BYTES = 64 * 1024
const EMPTY = Buffer.alloc(0)

export type InputParts = {
  readonly session: SessionId
  readonly journal: Pick<Journal, 'append' | 'seal'>
  /** Bytes of all that is sent to one command that are kept. */
  readonly keptMax: number
}

/**
 * What a client sends to one command while it runs (rows of COPY), on its way into the recording: as an entry for each turn,
 * in front of the bytes themselves, and counted and hashed beyond what is kept.
 */
export class Input {
  readonly #parts: InputParts
  readonly #flight: CommandInFlight
  /** It is sealed under these, whole; sorted. None: as it is. */
  readonly #labels: readonly LabelName[]
  #stage = Buffer.allocUnsafe(STAGE_BYTES)
  #staged = 0
  /** Of what has left the stage. */
  readonly #hash: Hash = createHash('sha256')
  #bytes = 0
  #unkept = 0
  #isOver = false

  constructor(parts: InputParts, flight: CommandInFlight, labels: readonly LabelName[]) {
    this.#parts = parts
    this.#flight = flight
    this.#labels = labels
  }

  /** Takes `bytes[start, end)`, which are forwarded in this turn. What comes behind the end is no part of it. */
  push(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver) return
    for (let at = start; at < end; ) {
      if (this.#staged === STAGE_BYTES) this.flush()
      const taken = bytes.copy(this.#stage, this.#staged, at, end)
      this.#staged += taken
      at += taken
    }
  }

  /** What there is now becomes an entry, as far as it is kept. */
  flush(): void {
    if (this.#staged === 0) return
    const { n } = this.#flight
    this.#hash.update(this.#stage.subarray(0, this.#staged))
    const body = this.#take()
    if (body === undefined) return
    const { journal, session } = this.#parts
    journal.append(session, { kind: 'input', head: { n, ...this.#seal }, body })
  }

  /** The last entry, which says how much there was. Idempotent. */
  end(how: InputEnd['how']): void {
    if (this.#isOver) return
    this.#isOver = true
    const last = this.#stage.subarray(0, this.#staged)
    const body = this.#take()
    const digest = this.#unkept === 0 ? undefined : this.#sealed(this.#hash.update(last).digest('hex'))
    this.#stage = EMPTY
    const { journal, session } = this.#parts
    journal.append(session, {
      kind: 'input',
      head: {
        n: this.#flight.n,
        ...(body === undefined && digest === undefined ? {} : this.#seal),
        end: { how, bytes: this.#bytes, unkept: this.#unkept },
      },
      ...(body === undefined ? {} : { body }),
      ...(digest === undefined ? {} : { digest }),
    })
  }

  /** Empties the stage; what of it is kept is no longer written to before the journal is. */
  #take(): Uint8Array | undefined {
    const staged = this.#staged
    const kept = Math.min(staged, Math.max(0, this.#parts.keptMax - this.#flight.inputKept))
    this.#staged = 0
    this.#bytes += staged
    this.#unkept += staged - kept
    this.#flight.inputKept += kept
    if (kept === 0) return undefined
    const part = this.#stage.subarray(0, kept)
    if (this.#labels.length > 0) return this.#sealed(part.toString('base64'))
    if (!this.#isOver) this.#stage = Buffer.allocUnsafe(STAGE_BYTES)
    return part
  }

  get #seal(): { readonly sealed?: readonly LabelName[] } {
    return this.#labels.length === 0 ? {} : { sealed: this.#labels }
  }

  #sealed(text: string): Uint8Array {
    return this.#labels.length === 0 ? Buffer.from(text) : this.#parts.journal.seal(this.#labels, [text])
  }
}

/** The inputs of a session: one for each command that asks for some. */
export class Inputs {
  readonly #parts: InputParts
  readonly #open = new Map<CommandInFlight, Input>()

  constructor(parts: InputParts) {
    this.#parts = parts
  }

  /** Another of the same command that was not ended is cut. */
  open(flight: CommandInFlight, labels: readonly LabelName[]): Input {
    this.cut(flight)
    const opened = new Input(this.#parts, flight, labels)
    this.#open.set(flight, opened)
    return opened
  }

  flush(): void {
    for (const input of this.#open.values()) input.flush()
  }

  /** The command has ended: what was not ended before is cut. */
  cut(flight: CommandInFlight): void {
    this.#open.get(flight)?.end('cut')
    this.#open.delete(flight)
  }

  cutAll(): void {
    for (const flight of this.#open.keys()) this.cut(flight)
  }
}
