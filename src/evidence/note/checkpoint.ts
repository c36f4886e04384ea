import { GatewayError, LIMITS } from '../../core/index.ts'
import { HASH_BYTES, type Hash } from '../tree/hasher.ts'
import { isTreeSize } from '../tree/subtrees.ts'
import type { Ed25519 } from './ed25519.ts'
import type { VerifierKey } from './keys.ts'
import { type Note, parseNote, type Verified, type VerifiedNote, verifyNote } from './note.ts'
import { decodeBase64, decodeCount, encodeBase64, encodeText, malformed } from './text.ts'

/** How far a log goes, and what is in it. https://c2sp.org/tlog-checkpoint */
export type Checkpoint = {
  /** Names the log. */
  readonly origin: string
  /** Entries. */
  readonly size: number
  readonly root: Hash
  /** Lines that mean something to somebody else; none is empty. */
  readonly extensions: readonly string[]
}

/** The text of a checkpoint, to be signed. */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  if (!isOrigin(origin) || !isTreeSize(size) || root.length !== HASH_BYTES)
    throw new Error('this is no checkpoint')
  if (extensions.some((line) => !isLine(line))) throw new Error('an extension is one line, and not empty')
  return [origin, String(size), encodeBase64(root), ...extensions].map((line) => `${line}\n`).join('')
}

/** Reads the text of a note as a checkpoint. Throws `invalid`. */
export function parseCheckpoint(text: string): Checkpoint {
  if (!text.endsWith('\n')) throw malformed('A checkpoint does not end in a newline')
  const [origin = '', digits = '', encoded = '', ...extensions] = text.slice(0, -1).split('\n')
  const size = decodeCount(digits)
  const root = decodeBase64(encoded)
  if (!isOrigin(origin)) throw malformed('A checkpoint does not name its log')
  if (size === undefined) throw malformed('A checkpoint does not say the size of its log')
  if (root?.length !== HASH_BYTES) throw malformed('A checkpoint does not say the root of its log')
  if (extensions.some((line) => !isLine(line))) throw malformed('A checkpoint has an empty line')
  return { origin, size, root, extensions }
}

/** A checkpoint that its log signed, and who else did. */
export type OpenedCheckpoint = VerifiedNote & {
  readonly checkpoint: Checkpoint
  readonly note: Note
  /** Those of the witnesses that were asked for. */
  readonly witnesses: readonly Verified[]
}

/**
 * Reads and verifies a signed checkpoint of one log. Throws `invalid` for what is none, and `denied` where it is of
 * another log, where a known key did not sign what it is said to have, and where no key of the log signed.
 */
export async function openCheckpoint(
  ed25519: Ed25519,
  bytes: Uint8Array,
  known: {
    readonly origin: string
    readonly logKeys: readonly VerifierKey[]
    readonly witnessKeys?: readonly VerifierKey[]
  },
): Promise<OpenedCheckpoint> {
  const note = parseNote(bytes)
  const checkpoint = parseCheckpoint(note.text)
  if (checkpoint.origin !== known.origin) {
    throw new GatewayError('denied', 'This checkpoint is of another log.', {
      remedy: 'Give the public key of the log that you look at.',
    })
  }
  const { logKeys, witnessKeys = [] } = known
  const verified = await verifyNote(ed25519, note, [...logKeys, ...witnessKeys])
  if (!verified.verified.some(({ key }) => logKeys.includes(key))) {
    throw new GatewayError('denied', 'The log itself has not signed this checkpoint.', {
      remedy: 'Witnesses sign beside the log, never instead of it: do not use this.',
    })
  }
  const witnesses = verified.verified.filter(({ key }) => witnessKeys.includes(key))
  return { ...verified, checkpoint, note, witnesses }
}

function isOrigin(origin: string): boolean {
  return isLine(origin) && encodeText(origin).length <= LIMITS.keyNameBytesMax
}

function isLine(line: string): boolean {
  return line !== '' && !/[\0-\x1f]/.test(line)
}
