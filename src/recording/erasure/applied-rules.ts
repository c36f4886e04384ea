import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { RecordingKeys } from '../../core/index.ts'
import type { SealedHeader } from '../sealed/file-header.ts'

/** Rules that the header of a file names: it has to stay short. */
const RULES_MAX = 16

/**
 * The rules of retention that the header of a session file says were applied to it, where a gateway with these keys said so: else
 * whoever can write into the directory could have payloads kept for ever. `docs/formats/session.md`, "A file".
 */
export function appliedRules(keys: RecordingKeys, header: SealedHeader): readonly string[] {
  const { without = [], mac = '' } = header
  const expected = macOf(keys, header, without)
  const given = Buffer.from(mac, 'base64')
  const isOwn = expected?.length === given.length && timingSafeEqual(expected, given)
  return isOwn ? without : []
}

/** The header of a new version of a file that says so of these rules. */
export function withAppliedRules(
  keys: RecordingKeys,
  header: SealedHeader,
  rules: readonly string[],
): SealedHeader {
  const without = rules.slice(-RULES_MAX)
  const mac = without.length === 0 ? undefined : macOf(keys, header, without)
  return mac === undefined ? header : { ...header, without, mac: mac.toString('base64') }
}

/** Of this version of the file and no other: each has a data key of its own. Undefined without the recording key that it needs. */
function macOf(
  keys: RecordingKeys,
  { session, key }: SealedHeader,
  without: readonly string[],
): Buffer | undefined {
  const recordingKey = keys.find(({ id }) => id === key.id)
  if (recordingKey === undefined) return undefined
  const secret = Buffer.from(hkdfSync('sha256', recordingKey.key, '', 'sluice applied rules', 32))
  return createHmac('sha256', secret)
    .update(JSON.stringify([session, key.wrapped, without]))
    .digest()
}
