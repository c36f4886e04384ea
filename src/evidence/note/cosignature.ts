import { SIGNATURE_BYTES } from './ed25519.ts'
import type { NoteSignature, SignerKey } from './keys.ts'
import { encodeText } from './text.ts'

const TIME_BYTES = 8

/** What a witness signs: the text of a checkpoint, under the seconds since 1970. https://c2sp.org/tlog-cosignature */
export function cosignedMessage(timestamp: number, text: string): string {
  return `cosignature/v1\ntime ${timestamp}\n${text}`
}

/** Cosigns the text of a checkpoint: says that at `timestamp` (seconds since 1970) nothing newer had been seen. */
export async function cosign(
  { key, sign }: SignerKey,
  text: string,
  timestamp: number,
): Promise<NoteSignature> {
  if (key.type !== 'cosignature') throw new Error('this key does not sign as a witness')
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) throw new Error('not a time to sign at')
  const signature = await sign(encodeText(cosignedMessage(timestamp, text)))
  const bytes = new Uint8Array(TIME_BYTES + signature.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(timestamp))
  bytes.set(signature, TIME_BYTES)
  return { name: key.name, id: key.id, bytes }
}

/** The parts of a cosignature; undefined for what is none, or of a time that no clock shows. */
export function readCosignature(
  bytes: Uint8Array,
): { readonly timestamp: number; readonly signature: Uint8Array } | undefined {
  if (bytes.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined
  const timestamp = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0)
  if (timestamp > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  return { timestamp: Number(timestamp), signature: bytes.subarray(TIME_BYTES) }
}
