import { GatewayError, LIMITS } from '../../core/index.ts'
import type { Sha256 } from '../tree/hasher.ts'
import { type Ed25519, PUBLIC_KEY_BYTES, SEED_BYTES, type Sign } from './ed25519.ts'
import { decodeBase64, encodeBase64, encodeText } from './text.ts'

/**
 * What a key signs, as the byte that says so in the text of a key and in its id: a note as it is, or a checkpoint with
 * the time at which a witness saw it. https://c2sp.org/signed-note and https://c2sp.org/tlog-cosignature
 */
export const SIGNATURE_TYPES = { note: 0x01, cosignature: 0x04 } as const

export type SignatureType = keyof typeof SIGNATURE_TYPES

/** A public key that signatures in notes are held against. Name and id together say which one it is. */
export type VerifierKey = {
  readonly name: string
  /** 32 bits: it finds the key, and proves nothing. */
  readonly id: number
  readonly type: SignatureType
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
}

/** A key that signs: its public half, and the way to the private one. */
export type SignerKey = { readonly key: VerifierKey; readonly sign: Sign }

/** One signature line of a note, by a key that need not be known. */
export type NoteSignature = {
  readonly name: string
  readonly id: number
  /** What the key made, without the id in front. */
  readonly bytes: Uint8Array
}

const SKEY_PREFIX = 'PRIVATE+KEY+'

/** Whether a key may have this name: some characters, but no space of Unicode and no plus. */
export function isKeyName(name: string): boolean {
  return (
    name !== '' &&
    encodeText(name).length <= LIMITS.keyNameBytesMax &&
    !/[\p{White_Space}\p{Cc}+]/u.test(name)
  )
}

/** A key with the id that belongs to it: the first 4 bytes of SHA-256(name, newline, type, public key). */
export function verifierKey(
  sha256: Sha256,
  name: string,
  type: SignatureType,
  publicKey: Uint8Array,
): VerifierKey {
  if (!isKeyName(name)) throw badName()
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new Error('a public key of Ed25519 has 32 bytes')
  const head = encodeText(`${name}\n`)
  const bytes = new Uint8Array(head.length + 1 + PUBLIC_KEY_BYTES)
  bytes.set(head)
  bytes[head.length] = SIGNATURE_TYPES[type]
  bytes.set(publicKey, head.length + 1)
  return { name, id: readUint32(sha256(bytes)), type, publicKey }
}

/** `name+id+base64(type, public key)`, the text of a public key in configurations ("vkey"). */
export function formatVerifierKey({ name, id, type, publicKey }: VerifierKey): string {
  return `${name}+${hexOf(id)}+${encodeBase64(typed(type, publicKey))}`
}

/** Reads the text of a public key. Throws `invalid`; also where the id is not that of the key. */
export function parseVerifierKey(sha256: Sha256, text: string): VerifierKey {
  const { name, id, type, bytes } = splitKey(text, 'public key (vkey)')
  if (bytes.length !== PUBLIC_KEY_BYTES) throw badKey('public key (vkey)')
  const key = verifierKey(sha256, name, type, bytes)
  if (hexOf(key.id) !== id) throw badKey('public key (vkey)')
  return key
}

/** `PRIVATE+KEY+name+id+base64(type, seed)`, the text of a private key ("skey"), as Go's `note` package writes it. */
export function formatSignerKey(sha256: Sha256, ed25519: Ed25519, name: string, seed: Uint8Array): string {
  const { publicKey } = ed25519.keyPair(seed)
  const { id } = verifierKey(sha256, name, 'note', publicKey)
  return `${SKEY_PREFIX}${name}+${hexOf(id)}+${encodeBase64(typed('note', seed))}`
}

/**
 * Reads the text of a private key, to sign notes or, with the same key under an id of its own, checkpoints as a
 * witness. Throws `invalid`, without any of the text.
 */
export function parseSignerKey(
  sha256: Sha256,
  ed25519: Ed25519,
  text: string,
  type: SignatureType,
): SignerKey {
  if (!text.startsWith(SKEY_PREFIX)) throw badKey('private key (skey)')
  const { name, id, type: written, bytes } = splitKey(text.slice(SKEY_PREFIX.length), 'private key (skey)')
  if (bytes.length !== SEED_BYTES) throw badKey('private key (skey)')
  const { publicKey, sign } = ed25519.keyPair(bytes)
  if (hexOf(verifierKey(sha256, name, written, publicKey).id) !== id) throw badKey('private key (skey)')
  return { key: verifierKey(sha256, name, type, publicKey), sign }
}

/** The two are one key: same name and id. */
export function isSameKey(
  a: { readonly name: string; readonly id: number },
  b: { readonly name: string; readonly id: number },
): boolean {
  return a.name === b.name && a.id === b.id
}

export function readUint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)
}

function splitKey(text: string, what: string) {
  // A name, an id, a type and 32 bytes: nothing longer is looked at.
  if (text.length > LIMITS.keyNameBytesMax + 100) throw badKey(what)
  // Base 64 may hold a plus; names and ids do not.
  const [, name = '', id = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s.exec(text) ?? []
  const bytes = decodeBase64(encoded)
  const type = typeOf(bytes?.[0])
  if (!isKeyName(name) || bytes === undefined || type === undefined) throw badKey(what)
  return { name, id, type, bytes: bytes.subarray(1) }
}

function typeOf(byte: number | undefined): SignatureType | undefined {
  if (byte === SIGNATURE_TYPES.note) return 'note'
  return byte === SIGNATURE_TYPES.cosignature ? 'cosignature' : undefined
}

function typed(type: SignatureType, bytes: Uint8Array): Uint8Array {
  return new Uint8Array([SIGNATURE_TYPES[type], ...bytes])
}

function hexOf(id: number): string {
  return id.toString(16).padStart(8, '0')
}

function badName(): GatewayError {
  return new GatewayError('invalid', 'A key cannot have this name.', {
    remedy: `Use something like example.com/log: no spaces, no plus, at most ${LIMITS.keyNameBytesMax} bytes.`,
  })
}

function badKey(what: string): GatewayError {
  return new GatewayError('invalid', `This is no ${what} of a log or witness.`, {
    remedy: 'Copy it whole, as it was printed: name, 8 hexadecimal digits and base 64, with + between.',
  })
}
