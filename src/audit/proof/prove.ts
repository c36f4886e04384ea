import { GatewayError, isGatewayError, LIMITS } from '../../core/index.ts'
import { CHECKPOINT_PATH, COSIGNED_PATH, TILE_WIDTH } from '../../evidence/log/layout.ts'
import { LogReader } from '../../evidence/log/reader.ts'
import { parseCheckpoint } from '../../evidence/note/checkpoint.ts'
import { parseNote } from '../../evidence/note/note.ts'
import { type Hash, treeHasher } from '../../evidence/tree/hasher.ts'
import { isSessionId, type LogEntry, readEntry, sessionPath } from '../check/entry.ts'
import { FrameCursor } from '../check/frames.ts'
import { commitmentsOf } from '../check/part.ts'
import { LOG_PREFIX, logSource, readWhole } from '../check/pieces.ts'
import type { AuditSource, Primitives } from '../check/ports.ts'
import { Damage, type SealedChunk, SealedFile, type SealedFileHeader } from '../check/sealed-file.ts'
import type { Evidence, EvidenceEntry, EvidenceFrame, EvidencePayload, KeyChange } from './evidence.ts'
import { RemovedPayloads, removalIn } from './removed-payloads.ts'
import { TreeLevels } from './tree-levels.ts'

/** Gives what may be shown of a chunk: the payloads of each of its frames, by sequence number. */
export type PayloadReader = (
  header: SealedFileHeader,
) => ((chunk: SealedChunk) => ReadonlyMap<number, readonly EvidencePayload[]>) | undefined

export type ProveOptions = {
  readonly source: AuditSource
  readonly primitives: Primitives
  readonly session: string
  /** Only this frame, and the open that says whose session it is. All frames when left out. */
  readonly sequence?: number
  readonly payloads?: PayloadReader
}

/** The last checkpoint of a key that another has replaced: `docs/formats/log.md`. */
const RETIRED = /^checkpoint\.[0-9a-f]{8}$/

type Segment = EvidenceEntry & { readonly said: LogEntry & { kind: 'segment' } }
type FoundFrame = {
  readonly part: Uint8Array
  readonly leaf: Hash
  readonly payloads: readonly EvidencePayload[]
}

/**
 * Takes what proves frames of a sealed session out of a recording. Believes the recording: whoever gets the evidence
 * verifies it. Throws `not_found` where the log has no such session, no file of it yet, or no such frame.
 */
export async function proveFrames(options: ProveOptions): Promise<Evidence> {
  const { source, primitives, session, sequence } = options
  if (!isSessionId(session)) throw notFound('This is no session id.')
  const hasher = treeHasher(primitives.sha256)
  const { segments, file, reader, checkpoint, announced, removals } = await entriesOf(options)
  const [first, last] = [segments[0]?.said.first, segments.at(-1)?.said.last]
  const wanted = new Set<number>()
  const kept: EvidenceFrame[] = []
  const frames = framesOf(options, await opened(source, primitives, session))
  for (const segment of segments) {
    const found: FoundFrame[] = []
    for (let i = 0; i < segment.said.frames; i++) {
      const { value } = await frames.next()
      if (value === undefined)
        throw notFound('The session file has fewer frames than the log says: verify it.')
      found.push({ ...value, leaf: hasher.leaf(value.part) })
    }
    const tree = new TreeLevels(
      hasher,
      found.map(({ leaf }) => leaf),
    )
    for (const [index, { part, payloads }] of found.entries()) {
      const isOpen = kept.length === 0 && index === 0
      if (sequence !== undefined && !isOpen && sequenceOf(part) !== sequence) continue
      wanted.add(segment.index)
      kept.push({ segment: segment.index, index, part: part.slice(), proof: tree.proof(index), payloads })
    }
  }
  if (sequence !== undefined && !kept.some(({ part }) => sequenceOf(part) === sequence))
    throw notFound(`The session has no frame ${sequence}: its frames are from ${first} to ${last}.`)
  // What is proved to be erased is called so; of another payload that is not there this says nothing.
  const told = removals.filter(({ index, said }) => index < reader.size && isAbout(said, session, kept))
  const removed = new RemovedPayloads(
    session,
    told.map(({ said }) => said),
  )
  const named = [
    ...segments.filter(({ index }) => wanted.has(index)),
    ...(sequence === undefined ? [file] : []),
    ...told,
  ]
  const entries: EvidenceEntry[] = []
  for (const { index, entry } of named)
    entries.push({ index, entry, proof: await reader.inclusionProof(index) })
  const keys = await keyChanges(options, announced, reader.size)
  const proved = kept.map((each) => withProvedStates(each, removed))
  return { session, checkpoint, entries, frames: proved, keys }
}

/** Whether an entry of the log tells of payloads that one of these frames has not any more. */
function isAbout(entry: LogEntry, session: string, frames: readonly EvidenceFrame[]): boolean {
  const said = new RemovedPayloads(session, [entry])
  return frames.some(({ part, payloads }) =>
    payloads.some((each) => isCalledRemoved(each) && said.has(each.name, sequenceOf(part))),
  )
}

function withProvedStates(frame: EvidenceFrame, removed: RemovedPayloads): EvidenceFrame {
  const sequence = sequenceOf(frame.part)
  const payloads = frame.payloads.map(
    (each): EvidencePayload =>
      isCalledRemoved(each) && !removed.has(each.name, sequence)
        ? { name: each.name, state: 'hidden' }
        : each,
  )
  return { ...frame, payloads }
}

function isCalledRemoved(payload: EvidencePayload): boolean {
  return 'state' in payload && payload.state === 'removed'
}

/**
 * The changes of the log's key up to that size, each with the checkpoint that proves it: who has an older key comes from it
 * to the one that signs now. One of which that checkpoint is not there any more is left out.
 */
async function keyChanges(
  { source, primitives }: ProveOptions,
  announced: readonly { readonly index: number; readonly entry: Uint8Array }[],
  size: number,
): Promise<KeyChange[]> {
  const signed = new Map<number, Uint8Array>()
  for (const name of announced.length === 0 ? [] : ((await source.list?.('log')) ?? [])) {
    const bytes = RETIRED.test(name) ? await checkpointAt(source, name) : undefined
    if (bytes !== undefined) signed.set(parseCheckpoint(parseNote(bytes).text).size, bytes)
  }
  const changes: KeyChange[] = []
  for (const { index, entry } of announced) {
    const checkpoint = signed.get(index + 1)
    if (checkpoint === undefined || index >= size) continue
    const then = new LogReader(logSource(source), treeHasher(primitives.sha256), index + 1)
    changes.push({ checkpoint, index, entry, proof: await then.inclusionProof(index) })
  }
  return changes
}

/** The session's segments and the last `file` of it, and the newest checkpoint over them: a cosigned one if it reaches. */
async function entriesOf({ source, primitives, session }: ProveOptions) {
  const log = logSource(source)
  const hasher = treeHasher(primitives.sha256)
  const checkpoint = await checkpointAt(source, CHECKPOINT_PATH)
  if (checkpoint === undefined) throw notFound('There is no log here: name the data directory of a gateway.')
  let reader = new LogReader(log, hasher, parseCheckpoint(parseNote(checkpoint).text).size)
  const segments: Segment[] = []
  const announced: { readonly index: number; readonly entry: Uint8Array }[] = []
  const removals: (EvidenceEntry & { readonly said: LogEntry })[] = []
  let file: EvidenceEntry | undefined
  for (let bundle = 0; bundle * TILE_WIDTH < reader.size; bundle++) {
    for (const [at, entry] of (await reader.entries(bundle)).entries()) {
      const said = readEntry(entry)
      if (removalIn(session, said) !== undefined)
        removals.push({ index: bundle * TILE_WIDTH + at, entry, proof: [], said })
      if (said.kind === 'key') announced.push({ index: bundle * TILE_WIDTH + at, entry })
      if ((said.kind !== 'segment' && said.kind !== 'file') || said.session !== session) continue
      const found = { index: bundle * TILE_WIDTH + at, entry, proof: [] }
      if (said.kind === 'segment') segments.push({ ...found, said })
      else file = found
    }
  }
  if (segments.length === 0) throw notFound('The log has no such session.')
  const { index } = file ?? {}
  if (file === undefined || index === undefined)
    throw notFound('The session has no sealed file yet: it can be proved soon after it has ended.')
  const covered = segments.filter((each) => each.index < index)
  const cosigned = await checkpointAt(source, COSIGNED_PATH)
  const found = { segments: covered, file, announced, removals }
  if (cosigned === undefined) return { ...found, reader, checkpoint }
  const { size } = parseCheckpoint(parseNote(cosigned).text)
  if (size <= index || size > reader.size) return { ...found, reader, checkpoint }
  reader = new LogReader(log, hasher, size)
  return { ...found, reader, checkpoint: cosigned }
}

async function checkpointAt(source: AuditSource, name: string): Promise<Uint8Array | undefined> {
  return readWhole(source, `${LOG_PREFIX}${name}`, LIMITS.noteBytesMax)
}

async function opened(source: AuditSource, primitives: Primitives, session: string): Promise<SealedFile> {
  const stream = await source.read(sessionPath(session))
  if (stream === undefined) throw notFound('The file of this session is not there: it may have been deleted.')
  return new SealedFile(stream, primitives)
}

async function* framesOf(
  { payloads, session }: ProveOptions,
  file: SealedFile,
): AsyncGenerator<{ readonly part: Uint8Array; readonly payloads: readonly EvidencePayload[] }> {
  try {
    const header = await file.header()
    if (header.session !== session) throw new Damage(0, 'the file is that of another session')
    const open = payloads?.(header)
    for (;;) {
      const chunk = await file.chunk()
      if (chunk === undefined) return
      const shown = open?.(chunk)
      for (const frame = new FrameCursor(chunk); frame.next(); ) {
        const part = frame.part()
        const hidden = (): EvidencePayload[] =>
          commitmentsOf(part).map(({ name }) => ({ name, state: 'hidden' }))
        yield { part, payloads: shown?.get(frame.sequence) ?? hidden() }
      }
    }
  } catch (error) {
    if (!(error instanceof Damage) && isGatewayError(error)) throw error
    throw new GatewayError('invalid', 'The session file is damaged: nothing of it can be proved.', {
      remedy: 'Verify it to see where: sluice audit verify DIRECTORY --session ID --key VKEY',
      cause: error,
    })
  } finally {
    await file.close()
  }
}

function sequenceOf(part: Uint8Array): number {
  const view = new DataView(part.buffer, part.byteOffset, part.byteLength)
  return view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32
}

function notFound(message: string): GatewayError {
  return new GatewayError('not_found', message, { remedy: 'Sessions are listed by: sluice sessions ls' })
}
