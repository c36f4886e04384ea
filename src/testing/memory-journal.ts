import type { Entry, Journal, LabelName, SessionId } from '../core/index.ts'
import { GatewayError } from '../core/index.ts'
import { fingerprintUnder, LabelKeys } from '../recording/fields/label-keys.ts'
import { sealValues } from '../recording/fields/sealed-values.ts'
import { random, testKeys } from './recording-keys.ts'

/** Something that happened, in the order in which it did. */
export type Happening =
  | { readonly kind: 'written'; readonly session: SessionId | undefined; readonly entry: Entry }
  | { readonly kind: 'upstream'; readonly bytes: Buffer }

/**
 * A journal in memory that keeps the order of what was written and of what left for an upstream, and that can be
 * broken. Its `flush` is what the real one's is: after it an entry is there, before it nothing may rely on it.
 */
export class MemoryJournal implements Journal {
  /** Everything appended, flushed or not. */
  readonly entries: Entry[] = []
  readonly sessions: (SessionId | undefined)[] = []
  /** What was flushed, and what the stage says has left for upstream, in order. */
  readonly tape: Happening[] = []
  readonly #labelKeys = new LabelKeys(testKeys[0])
  broken = false
  #flushed = 0

  append(session: SessionId | undefined, entry: Entry): void {
    // The journal is written once per turn: a body that points into a buffer must still be right then, and only then.
    this.entries.push(entry)
    this.sessions.push(session)
  }

  flush(): void {
    if (this.broken) {
      throw new GatewayError('recording_unavailable', 'The recording cannot be written.', { retry: 'later' })
    }
    for (; this.#flushed < this.entries.length; this.#flushed++) {
      const entry = this.entries[this.#flushed]
      if (entry === undefined) continue
      const kept =
        'body' in entry && entry.body !== undefined ? { ...entry, body: Buffer.from(entry.body) } : entry
      this.entries[this.#flushed] = kept
      this.tape.push({ kind: 'written', session: this.sessions[this.#flushed], entry: kept })
    }
  }

  sync(): void {
    this.flush()
  }

  /** Under the recording key of tests. */
  seal(labels: readonly LabelName[], values: readonly string[]): Uint8Array {
    return sealValues(this.#labelKeys, labels, values, random)
  }

  fingerprint(text: string): string {
    return fingerprintUnder(testKeys[0], text)
  }

  /** Bytes are on their way to an upstream. */
  forwarded(bytes: Uint8Array): void {
    this.tape.push({ kind: 'upstream', bytes: Buffer.from(bytes) })
  }

  /** Entries of one kind of a session, or of all. */
  of(session: SessionId): readonly Entry[] {
    return this.entries.filter((_, i) => this.sessions[i] === session)
  }

  /** Everything that is written, as bytes to search. */
  bytes(): Buffer {
    const parts: Buffer[] = []
    for (const entry of this.entries) {
      parts.push(Buffer.from(JSON.stringify(entry.head)))
      if ('body' in entry && entry.body !== undefined) parts.push(Buffer.from(entry.body))
      if (entry.kind !== 'intent') continue
      for (const value of entry.head.parameters ?? [])
        if (value !== null) parts.push(Buffer.from(value, 'base64'))
    }
    return Buffer.concat(parts)
  }
}
