import { createCipheriv } from 'node:crypto'
import type { SessionId } from '../core/index.ts'
import { LabelKeys } from '../recording/fields/label-keys.ts'
import { sealValues } from '../recording/fields/sealed-values.ts'
import { adminEntry, closeEntry, intentEntry, outcomeEntry } from './entries.ts'
import { type Files, RecordedLog } from './recorded-log.ts'
import { testKeys } from './recording-keys.ts'

/** A recording with everything in it that a verifier has to look at. */
export type SampleRecording = {
  readonly files: Files
  /** A signed checkpoint from somewhere in the middle. */
  readonly since: Uint8Array
  /** Sealed, with every kind of entry, in two segments and many chunks. */
  readonly full: SessionId
  /** Sealed, and short. */
  readonly short: SessionId
  /** Not sealed yet. */
  readonly live: SessionId
  /** Sealed, then deleted; the log says so. */
  readonly deleted: SessionId
  /** Numbers of entries of the log. */
  readonly entryOf: {
    readonly open: number
    readonly segment: number
    readonly secondSegment: number
    readonly file: number
    readonly through: number
    readonly deletion: number
    readonly admin: number
  }
  /** Sequence numbers in `full`. */
  readonly sequenceOf: { readonly open: number; readonly secondSegment: number; readonly close: number }
  /** What stands in payloads only. */
  readonly marker: string
}

const MARKER = 'marker@example.com'

/** Two full bundles of entries and a part of one, so that the log has tiles of two levels. */
export async function sampleRecording(
  change: (log: RecordedLog) => void = () => {},
): Promise<SampleRecording> {
  const log = await RecordedLog.open()
  const open = log.size
  const full = log.begin(0)
  const openSequence = log.sequence
  const short = log.begin(1)
  log.frame(
    full,
    intentEntry(1, {
      text: `SELECT '${MARKER}', [sealed 1]`,
      parameters: ['AAEC', null],
      sealed: [{ labels: ['pii.email'], numbers: [1], data: sealedMarker(1) }],
    }),
  )
  log.frame(full, outcomeEntry(1, {}, Buffer.from(MARKER)))
  const segment = log.size
  log.segment(full)
  log.segment(short)
  const admin = log.size
  log.admin({ action: 'secret.set', by: 'person:ada@example.com', target: 'crm' })
  const through = log.size
  log.through()
  const since = await log.commit()

  const deleted = log.begin(2)
  log.frame(deleted, closeEntry(0))
  const secondSequence = log.frame(full, intentEntry(2, { text: `DELETE FROM t WHERE a = '${MARKER}'` }))
  log.frame(full, { kind: 'hold', head: { n: 2, ticket: 'T-7K2M9Q0A', expiresAt: 1_767_225_600_000 } })
  log.frame(full, {
    kind: 'answer',
    head: { n: 2, ticket: 'T-7K2M9Q0A', answer: 'approved', by: 'person:eve', reason: MARKER },
  })
  log.frame(full, { kind: 'notice', head: { n: 2, code: '01000', message: MARKER } })
  for (let part = 0; part < 12; part++) log.frame(full, { kind: 'result', head: { n: 2 }, body: noise(part) })
  log.frame(full, outcomeEntry(2))
  const close = log.frame(full, closeEntry(2))
  log.frame(short, closeEntry(0))
  const secondSegment = log.size
  log.segment(full)
  log.segment(short)
  log.segment(deleted)
  log.through()
  const file = log.size
  log.seal(full)
  log.seal(short)
  log.seal(deleted)
  await log.commit()

  for (let n = 0; n < 520; n++) {
    const [head] = [adminEntry({ target: `secret-${n}` })]
    if (head.kind === 'admin') log.admin(head.head)
  }
  const deletion = log.size
  log.admin({ action: 'recording.deleted', by: 'retention', target: deleted })
  log.files.delete(`sessions/2026-01-31/${deleted}.slr`)
  const live = log.begin(30)
  log.segment(live)
  change(log)
  log.through()
  await log.commit()
  await log.cosigned()
  return {
    files: log.all(),
    since,
    full,
    short,
    live,
    deleted,
    entryOf: { open, segment, secondSegment, file, through, deletion, admin },
    sequenceOf: { open: openSequence, secondSegment: secondSequence, close },
    marker: MARKER,
  }
}

/** The same bytes each time; another `counter` gives others that say the same. */
export function sealedMarker(counter: number): Uint8Array {
  const zeros = (length: number): Uint8Array => Buffer.alloc(length, counter)
  return sealValues(new LabelKeys(testKeys[0]), ['pii.email'], [`'${MARKER}'`], zeros)
}

/** Bytes that do not become shorter when compressed, the same each time: chunks are as many as they should be. */
function noise(part: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, part), Buffer.alloc(16))
  return cipher.update(Buffer.alloc(60_000))
}
