import { GatewayError, LIMITS } from '../../core/index.ts'
import {
  type Checkpoint,
  formatCheckpoint,
  openCheckpoint,
  type OpenedCheckpoint,
} from '../note/checkpoint.ts'
import type { Ed25519 } from '../note/ed25519.ts'
import type { SignerKey, VerifierKey } from '../note/keys.ts'
import { formatNote, signNote } from '../note/note.ts'
import { encodeText } from '../note/text.ts'
import type { CompactRange } from '../tree/compact-range.ts'
import { type Hash, sameBytes, type Sha256, type TreeHasher, treeHasher } from '../tree/hasher.ts'
import {
  BUNDLE_BYTES_MAX,
  bundlePath,
  CHECKPOINT_PATH,
  COSIGNED_PATH,
  encodeBundle,
  encodeTile,
  partsBelow,
  STAGED_PATH,
  TILE_HEIGHT,
  TILE_WIDTH,
  tilePath,
} from './layout.ts'
import { LogReader } from './reader.ts'
import { decodeStaged, encodeStaged, type Staged, STAGED_BYTES_MAX } from './staged.ts'
import type { LogStorage } from './storage.ts'

export type LogWriterOptions = {
  readonly storage: LogStorage
  readonly sha256: Sha256
  readonly ed25519: Ed25519
  /** Names the log; the name of the key that signs, as witnesses expect it. */
  readonly origin: string
  readonly signer: SignerKey
  /** Keys that signed this log earlier: the last checkpoint may still be of one of them. */
  readonly earlierKeys?: readonly VerifierKey[]
}

/** How far the log goes: what its last signed checkpoint says. */
export type LogHead = Checkpoint & {
  /** The checkpoint with the signature of the log, and perhaps those of witnesses. */
  readonly signed: Uint8Array
}

/** The right edge of the tree: everything that a further entry changes. */
type Edge = {
  readonly tree: CompactRange
  /** By level: the hashes of its last tile, unless that is full. */
  readonly hashes: readonly (readonly Hash[])[]
  /** The entries of the last bundle, unless that is full. */
  readonly entries: readonly Uint8Array[]
}

type Piece = { readonly path: string; readonly bytes: Uint8Array }

/**
 * Appends to a log. One writer at a time: a second one is noticed at the latest when both want to sign.
 *
 * The life of a batch: it is staged as a whole; its bundles and tiles are put, none in place of another; the checkpoint
 * that covers it is signed and replaces the one before. Killed anywhere, the next `open` finds the batch staged, makes
 * the same tiles of it and goes on: so nothing that was published is contradicted, and no two checkpoints disagree.
 */
export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #hasher: TreeHasher
  #edge: Edge
  /** What the storage holds as checkpoint; undefined: none yet. */
  #head: LogHead | undefined
  /** A batch that is staged, or may be, and not yet covered by a checkpoint. It comes before any other. */
  #unfinished: Staged | undefined
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: LogWriterOptions, hasher: TreeHasher, edge: Edge, head: LogHead | undefined) {
    this.#options = options
    this.#hasher = hasher
    this.#edge = edge
    this.#head = head
  }

  /**
   * Opens a log, or begins one where the storage has none, and finishes what was being appended when it was last
   * written. Throws `conflict` where checkpoint, tiles and staged entries do not belong together, `denied` where the
   * checkpoint is not signed by a key of this log, and what reading throws.
   */
  static async open(options: LogWriterOptions): Promise<LogWriter> {
    const hasher = treeHasher(options.sha256)
    const opened = await readCheckpoint(options)
    const size = opened?.checkpoint.size ?? 0
    const edge = await readEdge(options.storage, hasher, size)
    if (opened !== undefined && !sameBytes(edge.tree.root(), opened.checkpoint.root))
      throw mixed('The tiles of the log are not those of its checkpoint')
    const head =
      opened === undefined ? undefined : { ...opened.checkpoint, signed: encodeText(formatNote(opened.note)) }
    const writer = new LogWriter(options, hasher, edge, head)
    const bytes = await options.storage.read(STAGED_PATH, STAGED_BYTES_MAX)
    if (bytes !== undefined) {
      const staged = decodeStaged(options.sha256, bytes)
      const end = staged.start + staged.entries.length
      if (staged.start === size) writer.#unfinished = staged
      else if (end !== size) throw mixed('The entries staged for the log do not follow its checkpoint')
    } else if (size > 0) throw mixed('The log has a checkpoint, but nothing that was staged')
    await writer.finish()
    return writer
  }

  /** What the last signed checkpoint says; undefined before the first. */
  get head(): LogHead | undefined {
    return this.#head
  }

  /** A reader of the log as it is now. */
  reader(): LogReader {
    return new LogReader(this.#options.storage, this.#hasher, this.#edge.tree.size)
  }

  /**
   * Appends entries in this order and gives the checkpoint that covers them, signed and stored. Throws
   * `limit_exceeded` for an entry over 65,535 bytes and a batch over its limits, with nothing appended. Where it throws
   * what the storage threw, the entries are kept, and come first at the next call: do not hand them in again.
   */
  async append(entries: readonly Uint8Array[]): Promise<LogHead> {
    checkBatch(entries)
    return this.#inTurn(async () => {
      await this.#finish()
      if (entries.length === 0 && this.#head !== undefined) return this.#head
      return this.#commit({ start: this.#edge.tree.size, entries })
    })
  }

  /** Finishes a batch that an `append` left behind when it threw. */
  async finish(): Promise<LogHead | undefined> {
    return this.#inTurn(() => this.#finish())
  }

  /**
   * Keeps a checkpoint of this log that witnesses have cosigned, for whoever reads the log, unless a newer one is kept.
   * Throws what verifying it against the log's keys throws, and `conflict` where it is none of the log's.
   */
  async keepCosigned(signed: Uint8Array): Promise<void> {
    await this.#inTurn(async () => {
      const { storage } = this.#options
      const { checkpoint } = await this.#open(signed)
      const head = this.#head
      if (head === undefined || checkpoint.size > head.size)
        throw mixed('A checkpoint that witnesses cosigned goes further than the log')
      if (checkpoint.size === head.size) {
        if (!sameBytes(checkpoint.root, head.root))
          throw mixed('Two checkpoints of the log contradict each other')
        await storage.replace(CHECKPOINT_PATH, signed)
        this.#head = { ...head, signed }
      }
      const kept = await storage.read(COSIGNED_PATH, LIMITS.noteBytesMax)
      if (kept !== undefined && (await this.#open(kept)).checkpoint.size > checkpoint.size) return
      await storage.replace(COSIGNED_PATH, signed)
    })
  }

  #open(signed: Uint8Array): Promise<OpenedCheckpoint> {
    return openCheckpoint(this.#options.ed25519, signed, knownBy(this.#options))
  }

  async #finish(): Promise<LogHead | undefined> {
    return this.#unfinished === undefined ? this.#head : this.#commit(this.#unfinished)
  }

  async #commit(staged: Staged): Promise<LogHead> {
    this.#unfinished = staged
    const { storage, sha256, origin, signer } = this.#options
    await storage.replace(STAGED_PATH, encodeStaged(sha256, staged))
    const { edge, pieces, filled } = grow(this.#hasher, this.#edge, staged.entries)
    for (const piece of pieces) await putSame(storage, piece)
    const checkpoint = { origin, size: edge.tree.size, root: edge.tree.root(), extensions: [] }
    const text = formatCheckpoint(checkpoint)
    await this.#refuseSecondWriter(text)
    const signed = encodeText(formatNote(await signNote(text, [signer])))
    await storage.replace(CHECKPOINT_PATH, signed)
    this.#edge = edge
    this.#head = { ...checkpoint, signed }
    this.#unfinished = undefined
    for (const path of filled) await storage.removeBelow(partsBelow(path))
    return this.#head
  }

  /** The stored checkpoint must be ours: the one before, or this one where storing it seemed to fail. */
  async #refuseSecondWriter(text: string): Promise<void> {
    const stored = (await readCheckpoint(this.#options))?.note.text
    const mine = this.#head === undefined ? undefined : formatCheckpoint(this.#head)
    if (stored !== mine && stored !== text) throw mixed('Somebody else has written to the log')
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}

function knownBy({ origin, signer, earlierKeys = [] }: LogWriterOptions) {
  return { origin, logKeys: [signer.key, ...earlierKeys] }
}

async function readCheckpoint(options: LogWriterOptions): Promise<OpenedCheckpoint | undefined> {
  const bytes = await options.storage.read(CHECKPOINT_PATH, LIMITS.noteBytesMax)
  return bytes === undefined ? undefined : openCheckpoint(options.ed25519, bytes, knownBy(options))
}

async function readEdge(storage: LogStorage, hasher: TreeHasher, size: number): Promise<Edge> {
  const reader = new LogReader(storage, hasher, size)
  const hashes: (readonly Hash[])[] = []
  for (let level = 0; TILE_WIDTH ** level <= size; level++) hashes.push(await reader.lastHashes(level))
  const entries = await reader.entries(Math.floor(size / TILE_WIDTH))
  const leaves = hashes[0] ?? []
  if (entries.some((entry, at) => !sameBytes(hasher.leaf(entry), leaves[at] ?? hasher.empty)))
    throw mixed('The last entries of the log are not those of its tiles')
  return { tree: await reader.compactRange(), hashes, entries }
}

/** The edge behind further entries, the pieces that must be stored for it, and the paths that became full. */
function grow(
  hasher: TreeHasher,
  edge: Edge,
  entries: readonly Uint8Array[],
): { readonly edge: Edge; readonly pieces: readonly Piece[]; readonly filled: readonly string[] } {
  const tree = edge.tree.copy()
  const hashes = edge.hashes.map((level) => [...level])
  let bundle = [...edge.entries]
  const pieces: Piece[] = []
  const filled: string[] = []
  const full = (path: string, bytes: Uint8Array): void => {
    pieces.push({ path, bytes })
    filled.push(path)
  }
  for (const entry of entries) {
    const index = Math.floor(tree.size / TILE_WIDTH)
    bundle.push(entry)
    if (bundle.length === TILE_WIDTH) {
      full(bundlePath(index), encodeBundle(bundle))
      bundle = []
    }
    const size = tree.size + 1
    tree.append(hasher.leaf(entry), (height, hash) => {
      if (height % TILE_HEIGHT !== 0) return
      const level = height / TILE_HEIGHT
      const last = (hashes[level] ??= [])
      last.push(hash)
      if (last.length < TILE_WIDTH) return
      full(tilePath(level, size / TILE_WIDTH ** (level + 1) - 1), encodeTile(last))
      hashes[level] = []
    })
  }
  // Parts last: a part that lies there says that all that is full before it does.
  const index = Math.floor(tree.size / TILE_WIDTH)
  if (bundle.length > 0) pieces.push({ path: bundlePath(index, bundle.length), bytes: encodeBundle(bundle) })
  hashes.forEach((last, level) => {
    if (last.length === 0) return
    const at = Math.floor(tree.size / TILE_WIDTH ** (level + 1))
    pieces.push({ path: tilePath(level, at, last.length), bytes: encodeTile(last) })
  })
  return { edge: { tree, hashes, entries: bundle }, pieces, filled }
}

async function putSame(storage: LogStorage, { path, bytes }: Piece): Promise<void> {
  if (await storage.putIfAbsent(path, bytes)) return
  const there = await storage.read(path, BUNDLE_BYTES_MAX)
  if (there === undefined || !sameBytes(there, bytes)) throw mixed(`The log has another ${path} already`)
}

function checkBatch(entries: readonly Uint8Array[]): void {
  const { logBatchEntriesMax, logBatchBytesMax, logEntryBytesMax } = LIMITS
  if (entries.length > logBatchEntriesMax) throw tooMuch(`${logBatchEntriesMax} entries`)
  if (entries.some((entry) => entry.length > logEntryBytesMax))
    throw tooMuch(`${logEntryBytesMax} bytes in an entry`)
  if (entries.reduce((sum, entry) => sum + entry.length, 0) > logBatchBytesMax)
    throw tooMuch(`${logBatchBytesMax} bytes`)
}

function tooMuch(limit: string): GatewayError {
  return new GatewayError('limit_exceeded', `At most ${limit} are appended to the log at once.`, {
    remedy: 'Append less at once; of what is large, put the digest into the log.',
  })
}

function mixed(what: string): GatewayError {
  return new GatewayError('conflict', `${what}: nothing is appended to it.`, {
    remedy:
      'Was a part of it brought back from a copy, or do two gateways write to it? Restore the whole of it, newest state, or begin a new log under another name.',
  })
}
