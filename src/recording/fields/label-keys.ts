import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { RandomBytes, RecordingKey } from '../../core/index.ts'
import { FieldStream } from './field-stream.ts'

const KEY_BYTES = 32
/** Sets of labels whose keys are kept at hand; there are hardly more than labels. */
const KEPT_MAX = 1_000

/** HMAC-SHA-256 in hexadecimal, under a key of its own: HKDF-SHA-256 of the recording key with `sluice fingerprints` as info. */
export function fingerprintUnder({ key }: RecordingKey, text: string): string {
  const own = createSecretKey(new Uint8Array(hkdfSync('sha256', key, '', 'sluice fingerprints', KEY_BYTES)))
  return createHmac('sha256', own).update(text).digest('hex')
}

/** What the values of one set of labels are encrypted and authenticated with. */
export type FieldKeys = { readonly cipher: KeyObject; readonly mac: KeyObject }

/**
 * The key of one label under a recording key: HKDF-SHA-256 (RFC 5869) with `sluice label ` and the label as info. Who has
 * it, and the session's file, reads all that is sealed under this label alone.
 */
export function labelKey({ key }: RecordingKey, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, '', `sluice label ${label}`, KEY_BYTES))
}

/** Of several labels the keys one after the other, sorted by label: who lacks one of them has none. */
export function fieldKeysOf(keys: readonly Uint8Array[]): FieldKeys {
  const joined = createSecretKey(Buffer.concat(keys))
  const derived = (info: string): KeyObject =>
    createSecretKey(new Uint8Array(hkdfSync('sha256', joined, '', info, KEY_BYTES)))
  return { cipher: derived('sluice field cipher'), mac: derived('sluice field mac') }
}

/** Derives keys once for each set of labels; for sealing, each has a keystream of its own. */
export class LabelKeys {
  readonly id: string
  readonly #key: RecordingKey
  readonly #known = new Map<string, { readonly keys: FieldKeys; stream: FieldStream | undefined }>()

  constructor(key: RecordingKey) {
    this.id = key.id
    this.#key = key
  }

  of(labels: readonly string[]): FieldKeys {
    return this.#of(labels).keys
  }

  /** What new values are sealed with. */
  sealing(
    labels: readonly string[],
    random: RandomBytes,
  ): { readonly mac: KeyObject; readonly stream: FieldStream } {
    const known = this.#of(labels)
    known.stream ??= new FieldStream(known.keys.cipher, random)
    return { mac: known.keys.mac, stream: known.stream }
  }

  #of(labels: readonly string[]): { readonly keys: FieldKeys; stream: FieldStream | undefined } {
    const name = labels.length === 1 ? (labels[0] ?? '') : JSON.stringify(labels)
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const keys = fieldKeysOf([...labels].sort().map((label) => labelKey(this.#key, label)))
    if (this.#known.size >= KEPT_MAX) this.#known.clear()
    const made = { keys, stream: undefined }
    this.#known.set(name, made)
    return made
  }
}
