import type { Statement } from '../pending.ts'
import type { InReach } from '../results/results.ts'

/** Longer descriptions are looked at each time. */
const DESCRIPTION_KEPT_BYTES_MAX = 4_096

/** Whether the server has said just this of the statement before, and nothing it was held against has changed. */
export function isKnown(
  of: Statement,
  inReach: InReach,
  buffer: Buffer,
  start: number,
  end: number,
): boolean {
  const { described } = of
  if (described === undefined || described.judgement !== of.judgement || described.inReach !== inReach)
    return false
  return described.body.length === end - start && described.body.compare(buffer, start, end) === 0
}

/** What was made of a description counts until something of this changes. */
export function keepDescription(
  of: Statement,
  inReach: InReach,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  of.described = undefined
  if (end - start > DESCRIPTION_KEPT_BYTES_MAX) return
  const body = Buffer.allocUnsafeSlow(end - start)
  buffer.copy(body, 0, start, end)
  of.described = { body, judgement: of.judgement, inReach }
}
