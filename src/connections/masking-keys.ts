import type { KeyObject } from 'node:crypto'
import { hkdfSync } from 'node:crypto'
import type { LabelName, MaskingKeys } from '../core/index.ts'
import { MaskingKey } from '../core/index.ts'
import type { MasterKeys } from './master-key.ts'

const KEY_BYTES = 32

/**
 * Keys for hashes and pseudonyms, each derived from the master key for one label of one tenant (HKDF, RFC 5869): what
 * is made with one says nothing about what is made with another, nor about the master key.
 *
 * The oldest master key counts: a rotation adds a new one in front, and masked values stay what they were until the
 * old one is removed.
 */
export function maskingKeys(master: MasterKeys): MaskingKeys {
  const { key } = master.at(-1) ?? master[0]
  const check = derived(key, ['check'])
  const made = new Map<string, MaskingKey>()
  return {
    of(label: LabelName, tenant: string): MaskingKey {
      const name = tenant === '' ? label : `${label} of ${tenant}`
      const known = made.get(name)
      if (known !== undefined) return known
      const fresh = new MaskingKey(name, derived(key, ['value', tenant, label]), check)
      made.set(name, fresh)
      return fresh
    },
  }
}

/** The parts as JSON: no two lists of parts are written alike. */
function derived(key: KeyObject, parts: readonly string[]): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, '', `sluice masking ${JSON.stringify(parts)}`, KEY_BYTES))
}
