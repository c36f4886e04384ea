import type { RecordingKeys } from '../../core/index.ts'
import { FieldOpener } from '../../recording/fields/show-fields.ts'
import { type Missing, type PayloadName, isPayloadName, joinEntry } from '../../recording/sealed/payloads.ts'
import { decodePublicPart } from '../../recording/sealed/public-part.ts'
import type { RecordedEntry } from '../../recording/reading/reader.ts'
import { type SessionId, brand } from '../../core/index.ts'
import type { Evidence } from '../proof/evidence.ts'

/** An entry as an evidence file shows it. `hidden`: payloads that it has and that are not shown there. */
export type EvidenceEntryShown = {
  readonly recorded: RecordedEntry
  readonly hidden: readonly PayloadName[]
}

/**
 * The entries in an evidence file that was verified: of one that was not, nothing may be shown. With recording keys sealed
 * values stand where they stood, else their labels do. Throws on what `verifyEvidence` would have refused.
 */
export function evidenceEntries(
  { session, frames }: Evidence,
  keys: RecordingKeys | undefined,
): readonly EvidenceEntryShown[] {
  const opener = keys === undefined ? undefined : new FieldOpener(keys)
  return frames.map(({ part, payloads }) => {
    const { kind, head, sequence, time } = decodePublicPart(Buffer.from(part))
    const found = new Map<PayloadName, Uint8Array | Missing>()
    const [hidden, erased]: [PayloadName[], PayloadName[]] = [[], []]
    for (const payload of payloads) {
      const { name } = payload
      if (!isPayloadName(name)) throw new Error('a frame names a payload that is none')
      if ('bytes' in payload) found.set(name, payload.bytes)
      else {
        found.set(name, payload.state === 'removed' ? 'removed' : 'locked')
        if (payload.state === 'removed') erased.push(name)
        else hidden.push(name)
      }
    }
    const entry = joinEntry(kind, head, found)
    const recorded = {
      sequence,
      time,
      session: kind === 'admin' ? undefined : brand<SessionId>(session),
      entry: opener === undefined ? entry : opener.shown(entry, () => true),
      ...(erased.length === 0 ? {} : { erased }),
    }
    return { recorded, hidden }
  })
}
