import type { Entry, SessionId } from '../core/index.ts'
import { newSessionId } from '../core/index.ts'
import {
  CompactRange,
  cosign,
  formatNote,
  formatVerifierKey,
  LogWriter,
  nodeEd25519,
  nodeSha256,
  parseNote,
  type SignerKey,
  treeHasher,
} from '../evidence/index.ts'
import { dayOf } from '../recording/files/names.ts'
import { newDataKey } from '../recording/sealed/data-key.ts'
import { splitEntry } from '../recording/sealed/payloads.ts'
import { commitmentOf, encodePublicPart, leafOf } from '../recording/sealed/public-part.ts'
import { saltsUnder } from '../recording/sealed/salts.ts'
import { SealedWriter } from '../recording/sealed/writer.ts'
import { openEntry } from './entries.ts'
import { MemoryLogStorage } from './memory-log-storage.ts'
import { testKeys } from './recording-keys.ts'
import { keyOf } from './witnessed-log.ts'

/** Files below a data directory, by path. */
export type Files = Map<string, Uint8Array>

export const LOG_KEY = keyOf('gateway.example/log', 1)
export const NEXT_LOG_KEY = keyOf('gateway.example/log', 2)
export const STRANGER_KEY = keyOf('gateway.example/log', 3)
export const WITNESSES = [
  keyOf('witness.example/one', 11, 'cosignature'),
  keyOf('witness.example/two', 12, 'cosignature'),
] as const

export const vkeyOf = ({ key }: SignerKey): string => formatVerifierKey(key)

/** When the first session of these recordings is opened. */
export const BEGIN = Date.UTC(2026, 0, 31, 12)
const SALTS = saltsUnder(Buffer.alloc(32, 9))
const hasher = treeHasher(nodeSha256)

type Open = {
  readonly writer: SealedWriter
  readonly pieces: Uint8Array[]
  readonly all: number[]
  waiting: { readonly sequence: number; readonly leaf: Uint8Array }[]
}

/**
 * Makes what a gateway leaves behind: sealed session files and a log of them, the same for the same calls. Frames get
 * their sequence numbers in the order of the calls; nothing is in the log before `commit`.
 */
export class RecordedLog {
  readonly storage: MemoryLogStorage
  readonly files: Files = new Map()
  readonly #writer: LogWriter
  readonly #open = new Map<SessionId, Open>()
  readonly #sealed = new Set<SessionId>()
  #entries: Uint8Array[] = []
  #sequence = 0
  #random = 0

  private constructor(storage: MemoryLogStorage, writer: LogWriter) {
    this.storage = storage
    this.#writer = writer
  }

  static async open(
    signer = LOG_KEY,
    storage = new MemoryLogStorage(),
    earlierKeys: readonly SignerKey[] = [],
  ) {
    const options = { storage, sha256: nodeSha256, ed25519: nodeEd25519, origin: signer.key.name, signer }
    const writer = await LogWriter.open({ ...options, earlierKeys: earlierKeys.map(({ key }) => key) })
    return new RecordedLog(storage, writer)
  }

  get sequence(): number {
    return this.#sequence
  }

  /** Entries that are in the log or will be with the next commit. */
  get size(): number {
    return (this.#writer.head?.size ?? 0) + this.#entries.length
  }

  begin(minutes: number, head: Parameters<typeof openEntry>[0] = {}): SessionId {
    const session = newSessionId(BEGIN + minutes * 60_000, (length) => this.#bytes(length))
    const { key, header } = newDataKey(testKeys, (length) => this.#bytes(length), session)
    const writer = new SealedWriter({ header, key, sha256: nodeSha256, salt: SALTS })
    this.#open.set(session, { writer, pieces: [writer.begin()], all: [], waiting: [] })
    this.frame(session, openEntry(head))
    return session
  }

  /** A frame of a session; an open and a close are entries of the log as well. Without its payloads `removed`. */
  frame(session: SessionId, entry: Entry, removed: readonly string[] = []): number {
    const open = this.#of(session)
    const sequence = ++this.#sequence
    const { head, payloads } = splitEntry(entry)
    const salted = payloads.map((each, i) => ({ ...each, salt: SALTS(sequence, i) }))
    const part = encodePublicPart({
      kind: entry.kind,
      sequence,
      time: this.#time(),
      head: { ...head },
      payloads: salted.map(({ name, bytes, salt }) => ({
        name,
        bytes: bytes.length,
        commitment: commitmentOf(nodeSha256, salt, bytes),
      })),
    })
    const kept = salted.map((each) => (removed.includes(each.name) ? undefined : each))
    const chunk = open.writer.append(part, sequence, kept)
    if (chunk !== undefined) open.pieces.push(chunk)
    open.waiting.push({ sequence, leaf: leafOf(nodeSha256, part) })
    open.all.push(sequence)
    if (entry.kind === 'open' || entry.kind === 'close')
      this.raw({ kind: 'frame', session, part: base64(part) })
    return sequence
  }

  admin(head: Extract<Entry, { kind: 'admin' }>['head']): number {
    const sequence = ++this.#sequence
    const part = encodePublicPart({
      kind: 'admin',
      sequence,
      time: this.#time(),
      head: { ...head },
      payloads: [],
    })
    this.raw({ kind: 'frame', part: base64(part) })
    return sequence
  }

  /** All frames that have come since the last one. */
  segment(session: SessionId): void {
    const { waiting } = this.#of(session)
    const [first, last] = [waiting[0], waiting.at(-1)]
    if (first === undefined || last === undefined) return
    const tree = new CompactRange(hasher)
    for (const { leaf } of waiting) tree.append(leaf)
    this.#of(session).waiting = []
    this.raw({
      kind: 'segment',
      session,
      first: first.sequence,
      last: last.sequence,
      frames: tree.size,
      root: base64(tree.root()),
    })
  }

  through(): void {
    this.raw({ kind: 'through', sequence: this.#sequence, time: this.#time() })
  }

  /** Writes the session's file, and says so. */
  seal(session: SessionId, told = true): void {
    const { writer, pieces, all } = this.#of(session)
    const last = writer.finish()
    if (last !== undefined) pieces.push(last)
    this.files.set(fileOf(session), Buffer.concat(pieces))
    this.files.delete(draftOf(session))
    this.#sealed.add(session)
    if (told) this.raw({ kind: 'file', session, frames: all.length, first: all[0], last: all.at(-1) })
  }

  raw(entry: object): void {
    this.bytes(Buffer.from(JSON.stringify(entry)))
  }

  bytes(entry: Uint8Array): void {
    this.#entries.push(entry)
  }

  /** The entry added last. */
  get last(): Uint8Array {
    return this.#entries.at(-1) ?? new Uint8Array(0)
  }

  /** Appends what waits to the log. Gives the signed checkpoint. */
  async commit(): Promise<Uint8Array> {
    const entries = this.#entries
    this.#entries = []
    return (await this.#writer.append(entries)).signed
  }

  /** Has the newest checkpoint cosigned, as the gateway does. */
  async cosigned(witnesses: readonly SignerKey[] = WITNESSES): Promise<void> {
    const { signed } = this.#writer.head ?? {}
    if (signed === undefined) throw new Error('there is no checkpoint')
    const bytes = await withCosignatures(signed, witnesses)
    this.storage.pieces.set('checkpoint.cosigned', bytes)
  }

  /** Everything, as it lies in the data directory: what is not sealed has a draft, with all that is logged of it. */
  all(): Files {
    for (const [session, { writer, pieces, all }] of this.#open) {
      const path = fileOf(session)
      const last =
        this.files.has(path) || this.#sealed.has(session) || all.length === 0 ? undefined : writer.finish()
      if (last !== undefined) pieces.push(last)
      if (!this.files.has(path) && !this.#sealed.has(session))
        this.files.set(draftOf(session), Buffer.concat(pieces))
    }
    const files = new Map([...this.files].map(([path, bytes]) => [path, Uint8Array.from(bytes)]))
    for (const [path, bytes] of this.storage.pieces)
      if (path !== 'staged') files.set(`log/${path}`, Uint8Array.from(bytes))
    return files
  }

  #of(session: SessionId): Open {
    const open = this.#open.get(session)
    if (open === undefined) throw new Error('no such session')
    return open
  }

  #time(): number {
    return BEGIN + this.#sequence * 1_000
  }

  #bytes(length: number): Uint8Array {
    this.#random += 1
    const seed = Buffer.alloc(8)
    seed.writeUInt32LE(this.#random)
    return Buffer.concat([nodeSha256(seed), nodeSha256(seed, seed)]).subarray(0, length)
  }
}

export function fileOf(session: SessionId): string {
  return `sessions/${dayOf(session)}/${session}.slr`
}

export function draftOf(session: SessionId): string {
  return fileOf(session).replace(/slr$/, 'part')
}

export async function withCosignatures(
  signed: Uint8Array,
  witnesses: readonly SignerKey[],
): Promise<Uint8Array> {
  const note = parseNote(signed)
  const cosignatures = await Promise.all(
    witnesses.map((each) => cosign(each, note.text, BEGIN / 1_000 + 900)),
  )
  return Buffer.from(formatNote({ ...note, signatures: [...note.signatures, ...cosignatures] }))
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
