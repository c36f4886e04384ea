import { GatewayError, LIMITS } from '../../core/index.ts'
import { cosignedMessage, readCosignature } from './cosignature.ts'
import { type Ed25519, SIGNATURE_BYTES } from './ed25519.ts'
import {
  isKeyName,
  isSameKey,
  type NoteSignature,
  readUint32,
  type SignerKey,
  type VerifierKey,
} from './keys.ts'
import { decodeBase64, decodeText, encodeBase64, encodeText, malformed } from './text.ts'

/** A text and the signatures under it. https://c2sp.org/signed-note */
export type Note = {
  /** Ends in a newline; what is signed is its UTF-8. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export type Verified = {
  readonly key: VerifierKey
  /** Of a witness: the seconds since 1970 at which it had seen nothing newer. */
  readonly timestamp?: number
}

/** Which of the known keys signed a note, in the order of the note, and which signatures nobody was known for. */
export type VerifiedNote = {
  readonly verified: readonly [Verified, ...Verified[]]
  readonly unknown: readonly NoteSignature[]
}

const DASH = '\u2014'

/** Reads a note, and believes none of it. Throws `invalid`, or `limit_exceeded` for what no log or witness sends. */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > LIMITS.noteBytesMax) throw tooLong('A signed note', `${LIMITS.noteBytesMax} bytes`)
  const all = decodeText(bytes, 'A signed note')
  if (/[\0-\x09\x0b-\x1f]/.test(all)) throw malformed('A signed note holds control characters')
  const end = all.lastIndexOf('\n\n')
  if (end < 0) throw malformed('A signed note has no empty line before its signatures')
  const signatures = parseSignatureLines(all.slice(end + 2))
  if (signatures.length === 0) throw malformed('A signed note has no signature')
  return { text: all.slice(0, end + 1), signatures }
}

/** Reads signature lines, each ending in a newline. Throws as `parseNote` does. */
export function parseSignatureLines(text: string): NoteSignature[] {
  if (text === '') return []
  if (!text.endsWith('\n')) throw malformed('The last signature line does not end in a newline')
  const lines = text.slice(0, -1).split('\n')
  if (lines.length > LIMITS.noteSignaturesMax)
    throw tooLong('A signed note', `${LIMITS.noteSignaturesMax} signatures`)
  return lines.map((line) => {
    const [dash, name = '', encoded = '', ...more] = line.split(' ')
    const bytes = decodeBase64(encoded)
    if (dash !== DASH || !isKeyName(name) || bytes === undefined || bytes.length <= 4 || more.length > 0)
      throw malformed('A signed note has a line among its signatures that is none')
    return { name, id: readUint32(bytes), bytes: bytes.subarray(4) }
  })
}

export function formatSignatureLine({ name, id, bytes }: NoteSignature): string {
  const all = new Uint8Array(4 + bytes.length)
  new DataView(all.buffer).setUint32(0, id)
  all.set(bytes, 4)
  return `${DASH} ${name} ${encodeBase64(all)}\n`
}

export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignatureLine).join('')}`
}

/** Signs a text, which ends in a newline, with keys of the type `note`. */
export async function signNote(text: string, signers: readonly SignerKey[]): Promise<Note> {
  if (!text.endsWith('\n')) throw new Error('the text of a note ends in a newline')
  const message = encodeText(text)
  const signatures: NoteSignature[] = []
  for (const { key, sign } of signers) {
    if (key.type !== 'note') throw new Error('this key signs as a witness')
    signatures.push({ name: key.name, id: key.id, bytes: await sign(message) })
  }
  return { text, signatures }
}

/**
 * Holds a note against the keys that are known. Signatures of others count for nothing. Throws `denied` where a known
 * key is named and did not sign this, and where no known key signed.
 */
export async function verifyNote(
  ed25519: Ed25519,
  note: Note,
  keys: readonly VerifierKey[],
): Promise<VerifiedNote> {
  const verified: Verified[] = []
  const unknown: NoteSignature[] = []
  for (const signature of note.signatures) {
    const key = keys.find((each) => isSameKey(each, signature))
    if (key === undefined) {
      unknown.push(signature)
      continue
    }
    const found = await verifyOne(ed25519, note.text, key, signature.bytes)
    if (found === undefined) {
      throw new GatewayError('denied', `The signature of ${key.name} under this is not that key's.`, {
        remedy: 'What was signed has been changed, or somebody else signed it: do not use it.',
      })
    }
    if (!verified.some((each) => isSameKey(each.key, key))) verified.push(found)
  }
  const [first, ...rest] = verified
  if (first === undefined) {
    throw new GatewayError('denied', 'No key that is known has signed this.', {
      remedy: 'Check that the public keys that you gave are those of the log and its witnesses.',
    })
  }
  return { verified: [first, ...rest], unknown }
}

async function verifyOne(
  ed25519: Ed25519,
  text: string,
  key: VerifierKey,
  bytes: Uint8Array,
): Promise<Verified | undefined> {
  if (key.type === 'note') {
    if (bytes.length !== SIGNATURE_BYTES) return undefined
    return (await ed25519.verify(key.publicKey, encodeText(text), bytes)) ? { key } : undefined
  }
  const cosignature = readCosignature(bytes)
  if (cosignature === undefined) return undefined
  const { timestamp, signature } = cosignature
  const message = encodeText(cosignedMessage(timestamp, text))
  return (await ed25519.verify(key.publicKey, message, signature)) ? { key, timestamp } : undefined
}

function tooLong(what: string, limit: string): GatewayError {
  return new GatewayError('limit_exceeded', `${what} may have at most ${limit}.`, {
    remedy: 'Nothing that a log or its witnesses send comes near that: look at where this is from.',
  })
}
