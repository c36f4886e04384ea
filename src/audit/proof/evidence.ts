import { GatewayError } from '../../core/index.ts'
import { decodeBase64, decodeText, encodeBase64 } from '../../evidence/note/text.ts'
import { exactly, objectOf } from '../check/objects.ts'
import { strictJson } from '../check/strict-json.ts'

/** Says what a file is, and how it is to be read: the second has changes of the log's key. */
const FORMAT = 'sluice evidence 1'
const FORMAT_WITH_KEYS = 'sluice evidence 2'
const FIELDS = ['format', 'session', 'checkpoint', 'entries', 'frames'] as const
const FRAME_FIELDS = ['segment', 'index', 'part', 'proof', 'payloads'] as const

/**
 * A part of a recording that proves itself: frames of one session, the segments that they are in, and the checkpoint
 * that those segments are under. `docs/formats/evidence.md` is the file it is written to.
 */
export type Evidence = {
  readonly session: string
  /** A signed checkpoint, with the cosignatures that there are. */
  readonly checkpoint: Uint8Array
  /** Entries of the log: the segments, and `file` where all frames of the session are here. */
  readonly entries: readonly EvidenceEntry[]
  readonly frames: readonly EvidenceFrame[]
  /** How the key that signed the checkpoint came to be that of the log, oldest first; none where it never changed. */
  readonly keys: readonly KeyChange[]
}

/** An entry that announces a key, and the last checkpoint of the key before, which ends with it. */
export type KeyChange = EvidenceEntry & { readonly checkpoint: Uint8Array }

export type EvidenceEntry = {
  /** Number in the log, from 0. */
  readonly index: number
  readonly entry: Uint8Array
  readonly proof: readonly Uint8Array[]
}

export type EvidenceFrame = {
  /** The number of the segment's entry. */
  readonly segment: number
  /** In the segment, from 0. */
  readonly index: number
  readonly part: Uint8Array
  readonly proof: readonly Uint8Array[]
  /** In the order of their commitments; none where nobody could or would show them. */
  readonly payloads: readonly EvidencePayload[]
}

/** Salt and bytes open a commitment; `hidden`: it is not shown here, `removed`: nobody has it any more. */
export type EvidencePayload =
  | { readonly name: string; readonly salt: Uint8Array; readonly bytes: Uint8Array }
  | { readonly name: string; readonly state: 'hidden' | 'removed' }

export function formatEvidence({ session, checkpoint, entries, frames, keys }: Evidence): string {
  const file = {
    format: keys.length === 0 ? FORMAT : FORMAT_WITH_KEYS,
    session,
    checkpoint: decodeText(checkpoint, 'A checkpoint'),
    entries: entries.map(({ index, entry, proof }) => ({
      index,
      entry: decodeText(entry, 'An entry'),
      proof: proof.map(encodeBase64),
    })),
    frames: frames.map(({ segment, index, part, proof, payloads }) => ({
      segment,
      index,
      part: encodeBase64(part),
      proof: proof.map(encodeBase64),
      payloads: payloads.map((each) =>
        'bytes' in each
          ? { name: each.name, salt: encodeBase64(each.salt), bytes: encodeBase64(each.bytes) }
          : each,
      ),
    })),
    ...(keys.length === 0
      ? {}
      : {
          keys: keys.map((each) => ({
            checkpoint: decodeText(each.checkpoint, 'A checkpoint'),
            index: each.index,
            entry: decodeText(each.entry, 'An entry'),
            proof: each.proof.map(encodeBase64),
          })),
        }),
  }
  return `${JSON.stringify(file)}\n`
}

/** Reads an evidence file, and believes none of it: it has what it has to have and nothing else. Throws `invalid`. */
export function parseEvidence(given: string | Uint8Array): Evidence {
  try {
    const text = typeof given === 'string' ? given : decodeText(given, 'An evidence file')
    const read = objectOf(strictJson(text))
    const hasKeys = read.format === FORMAT_WITH_KEYS
    const file = exactly(read, hasKeys ? [...FIELDS, 'keys'] : FIELDS)
    if (file.format !== FORMAT && !hasKeys) throw new Error('it is of another format')
    return {
      session: textOf(file.session),
      checkpoint: new TextEncoder().encode(textOf(file.checkpoint)),
      entries: listOf(file.entries).map((each) => {
        const { index, entry, proof } = exactly(each, ['index', 'entry', 'proof'])
        return {
          index: countOf(index),
          entry: new TextEncoder().encode(textOf(entry)),
          proof: hashesOf(proof),
        }
      }),
      frames: listOf(file.frames).map((each) => {
        const { segment, index, part, proof, payloads } = exactly(each, FRAME_FIELDS)
        return {
          segment: countOf(segment),
          index: countOf(index),
          part: bytesOf(part),
          proof: hashesOf(proof),
          payloads: listOf(payloads).map(payloadOf),
        }
      }),
      keys: (hasKeys ? listOf(file.keys) : []).map((each) => {
        const { checkpoint, index, entry, proof } = exactly(each, ['checkpoint', 'index', 'entry', 'proof'])
        return {
          checkpoint: new TextEncoder().encode(textOf(checkpoint)),
          index: countOf(index),
          entry: new TextEncoder().encode(textOf(entry)),
          proof: hashesOf(proof),
        }
      }),
    }
  } catch (cause) {
    throw new GatewayError('invalid', 'This is no evidence file that can be read.', {
      remedy: 'Ask for it again: `sluice audit prove` writes them; a data directory is verified by its path.',
      cause,
    })
  }
}

function payloadOf(value: unknown): EvidencePayload {
  const { state } = objectOf(value)
  if (state === 'hidden' || state === 'removed')
    return { name: textOf(exactly(value, ['name', 'state']).name), state }
  const { name, salt, bytes } = exactly(value, ['name', 'salt', 'bytes'])
  return { name: textOf(name), salt: bytesOf(salt), bytes: bytesOf(bytes) }
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('a list is missing')
  return value
}

function hashesOf(value: unknown): readonly Uint8Array[] {
  return listOf(value).map(bytesOf)
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new Error('a text is missing')
  return value
}

function countOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new Error('a number is missing')
  return value
}

function bytesOf(value: unknown): Uint8Array {
  const bytes = decodeBase64(textOf(value))
  if (bytes === undefined) throw new Error('bytes are not base 64')
  return bytes
}
