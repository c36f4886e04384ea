import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import type { MasterKey, MasterKeys } from './master-key.ts'

/**
 * Seeds (32 bytes) of the Ed25519 keys that sign the log, one derived from each master key (HKDF, RFC 5869): the first
 * signs, the others did before a rotation.
 */
export function logSeeds([first, ...others]: MasterKeys): readonly [KeyObject, ...KeyObject[]] {
  return [seedOf(first), ...others.map(seedOf)]
}

function seedOf({ key }: MasterKey): KeyObject {
  return createSecretKey(new Uint8Array(hkdfSync('sha256', key, '', 'sluice log', 32)))
}
