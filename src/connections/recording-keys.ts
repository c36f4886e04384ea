import { createSecretKey, hkdfSync } from 'node:crypto'
import type { RecordingKey, RecordingKeys } from '../core/index.ts'
import type { MasterKey, MasterKeys } from './master-key.ts'

const KEY_BYTES = 32

/**
 * Keys for the recording, one derived from each master key (HKDF, RFC 5869) and called by the same id: who keeps the
 * master key can read both, and neither says anything about the other.
 */
export function recordingKeys([first, ...others]: MasterKeys): RecordingKeys {
  return [recordingKey(first), ...others.map(recordingKey)]
}

function recordingKey({ id, key }: MasterKey): RecordingKey {
  return {
    id,
    key: createSecretKey(new Uint8Array(hkdfSync('sha256', key, '', 'sluice recording', KEY_BYTES))),
  }
}
