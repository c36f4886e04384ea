import { isGatewayError } from '../../core/index.ts'
import { openCheckpoint } from '../../evidence/note/checkpoint.ts'
import { isSameKey, type VerifierKey } from '../../evidence/note/keys.ts'
import type { Verified } from '../../evidence/note/note.ts'
import { sameBytes, treeHasher } from '../../evidence/tree/hasher.ts'
import { verifyInclusion } from '../../evidence/tree/proofs.ts'
import { viewOf } from '../check/bytes.ts'
import { parsedKey } from '../check/claims.ts'
import { type LogEntry, readEntry } from '../check/entry.ts'
import { type Failure, Failures } from '../check/failures.ts'
import { commitmentsOf, type PartHead, readPart } from '../check/part.ts'
import type { Primitives } from '../check/ports.ts'
import type { Evidence, EvidenceFrame } from './evidence.ts'
import { RemovedPayloads } from './removed-payloads.ts'

/** The name under which failures speak of an evidence file. */
const PATH = 'the evidence file'
const COMMITTED = Uint8Array.of(2)

export type EvidenceOptions = {
  readonly evidence: Evidence
  readonly primitives: Primitives
  readonly keys: readonly VerifierKey[]
  readonly witnesses?: readonly VerifierKey[]
  readonly witnessesNeeded?: number
}

export type EvidenceVerdict = {
  readonly proved: boolean
  readonly session: string
  readonly origin: string | undefined
  readonly keys: readonly VerifierKey[]
  /** Keys that were not given, and are believed because one that is announced them, in this order. */
  readonly announced: readonly VerifierKey[]
  readonly witnesses: readonly Verified[]
  /** In the order of the file. */
  readonly frames: readonly (PartHead & { readonly shown: readonly string[] })[]
  /** These are all frames that the session had when its file was sealed. */
  readonly whole: boolean
  readonly failures: readonly Failure[]
}

/** Verifies an evidence file by itself, from the keys up. Never throws for what is in the file. */
export async function verifyEvidence(options: EvidenceOptions): Promise<EvidenceVerdict> {
  const { evidence, primitives } = options
  const { session } = evidence
  const failures = new Failures()
  const hasher = treeHasher(primitives.sha256)
  const opened = await openedCheckpoint(options, failures)
  const entries = new Map<number, LogEntry>()
  for (const { index, entry, proof } of evidence.entries) {
    const { size, root } = opened?.checkpoint ?? { size: 0, root: hasher.empty }
    if (!verifyInclusion(hasher, { index, size, leaf: hasher.leaf(entry), root, proof })) {
      failures.add({
        code: 'entry',
        path: PATH,
        entry: index,
        why: 'an entry is not proved to be in the log',
      })
      continue
    }
    try {
      entries.set(index, readEntry(entry))
    } catch (error) {
      failures.add({ code: 'unreadable', path: PATH, entry: index, why: messageOf(error) })
    }
  }
  const removals = new RemovedPayloads(session, entries.values())
  const frames: (PartHead & { shown: readonly string[] })[] = []
  for (const frame of evidence.frames) {
    const segment = entries.get(frame.segment)
    const fail = (code: 'frames' | 'payload', why: string, sequence?: number): void =>
      failures.add({
        code,
        path: PATH,
        entry: frame.segment,
        session,
        why,
        ...(sequence === undefined ? {} : { sequence }),
      })
    if (segment?.kind !== 'segment' || segment.session !== session) {
      fail('frames', 'a frame is in no segment of the session')
      continue
    }
    try {
      const head = readPart(viewOf(frame.part), 0, frame.part.length)
      const { sequence } = head
      const leaf = hasher.leaf(frame.part)
      const { frames: size, root } = segment
      if (!verifyInclusion(hasher, { index: frame.index, size, leaf, root, proof: frame.proof }))
        fail('frames', 'a frame is not proved to be in its segment', sequence)
      else if (sequence <= (frames.at(-1)?.sequence ?? -1))
        fail('frames', 'a frame does not stand in its place', sequence)
      const shown = shownIn(primitives, frame, (why) => fail('payload', why, sequence))
      for (const { name, ...payload } of frame.payloads) {
        // Anybody could call it so.
        if (!('state' in payload) || payload.state !== 'removed' || removals.has(name, sequence)) continue
        fail('payload', `${name} is called removed, and no entry of the log that is here says so`, sequence)
      }
      frames.push({ ...head, shown })
    } catch (error) {
      fail('frames', messageOf(error))
    }
  }
  if (frames.length === 0)
    failures.add({ code: 'frames', path: PATH, session, why: 'there is no frame in it' })
  return {
    proved: failures.count === 0,
    session,
    origin: opened?.checkpoint.origin,
    keys: opened?.keys ?? [],
    announced: opened?.announced ?? [],
    witnesses: opened?.witnesses ?? [],
    frames,
    whole: isWhole(session, entries, frames),
    failures: failures.first,
  }
}

async function openedCheckpoint(options: EvidenceOptions, failures: Failures) {
  const { evidence, primitives, keys, witnesses = [] } = options
  const needed = options.witnessesNeeded ?? witnesses.length
  const origin = keys[0]?.name ?? ''
  const given = keys.filter(({ name }) => name === origin)
  const announced = await announcedKeys(options, origin, given, failures)
  const logKeys = [...given, ...announced]
  try {
    const known = { origin, logKeys, witnessKeys: witnesses }
    const opened = await openCheckpoint(primitives.ed25519, evidence.checkpoint, known)
    if (opened.witnesses.length < needed)
      failures.add({
        code: 'witnesses',
        path: PATH,
        why: `the checkpoint has the cosignatures of ${opened.witnesses.length} of the ${needed} witnesses needed`,
      })
    return {
      checkpoint: opened.checkpoint,
      keys: opened.verified.map(({ key }) => key).filter((key) => logKeys.includes(key)),
      announced,
      witnesses: opened.witnesses,
    }
  } catch (error) {
    if (!isGatewayError(error)) throw error
    failures.add({ code: 'signature', path: PATH, why: error.message })
    return undefined
  }
}

/**
 * Keys to be believed beside those that were given: what an entry announces that is in a checkpoint, as its last one, which a key
 * that is believed already has signed.
 */
async function announcedKeys(
  { evidence, primitives }: EvidenceOptions,
  origin: string,
  given: readonly VerifierKey[],
  failures: Failures,
): Promise<readonly VerifierKey[]> {
  const hasher = treeHasher(primitives.sha256)
  const believed = [...given]
  for (const { checkpoint: signed, index, entry, proof } of evidence.keys) {
    const fail = (why: string): void => failures.add({ code: 'signature', path: PATH, entry: index, why })
    let logged: LogEntry | undefined
    try {
      const { checkpoint } = await openCheckpoint(primitives.ed25519, signed, { origin, logKeys: believed })
      const { size, root } = checkpoint
      const isLast =
        size === index + 1 && verifyInclusion(hasher, { index, size, leaf: hasher.leaf(entry), root, proof })
      if (isLast) logged = readEntry(entry)
      else fail('what announces a key is not the last entry of the checkpoint before')
    } catch (error) {
      // Before the key that was given: it need not be believed by anybody.
      if (!isGatewayError(error)) fail(messageOf(error))
    }
    if (logged === undefined) continue
    const key = logged.kind === 'key' ? parsedKey(primitives, logged.vkey) : undefined
    if (key === undefined || key.name !== origin || key.type !== 'note')
      fail('what should announce a key of the log announces none')
    else if (!believed.some((each) => isSameKey(each, key))) believed.push(key)
  }
  return believed.slice(given.length)
}

/** The payloads that are shown and are what was committed to. */
function shownIn(
  primitives: Primitives,
  { part, payloads }: EvidenceFrame,
  fail: (why: string) => void,
): string[] {
  const said = commitmentsOf(part)
  if (payloads.length !== said.length) {
    fail('a frame has other payloads than it commits to')
    return []
  }
  return payloads.flatMap((payload, at) => {
    const commitment = said[at]
    if (commitment === undefined || payload.name !== commitment.name) {
      fail('a frame has other payloads than it commits to')
      return []
    }
    if (!('bytes' in payload)) return []
    const { salt, bytes, name } = payload
    const hash = primitives.sha256(COMMITTED, salt, bytes)
    if (salt.length === 16 && bytes.length === commitment.bytes && sameBytes(hash, commitment.commitment))
      return [name]
    fail(`${name} is not what was committed to`)
    return []
  })
}

function isWhole(
  session: string,
  entries: ReadonlyMap<number, LogEntry>,
  frames: readonly PartHead[],
): boolean {
  return [...entries.values()].some(
    (entry) =>
      entry.kind === 'file' &&
      entry.session === session &&
      entry.frames === frames.length &&
      entry.first === frames[0]?.sequence &&
      entry.last === frames.at(-1)?.sequence,
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'it cannot be read'
}
