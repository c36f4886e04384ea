/** Holds what the server says it ran against what the recording says was allowed (P-04). */
import { QUIET_QUERY } from '../../src/protocols/postgres/catalogue/quiet-code.ts'
import type { RecordedEntry } from '../../src/recording/index.ts'
import { FieldOpener } from '../../src/recording/index.ts'
import { wholeRecording } from '../../src/testing/whole-recording.ts'
import type { TestGateway } from '../support/gateway.ts'
import type { LoggedStatement } from '../support/postgres.ts'
import { isEstimate } from '../support/postgres.ts'

/** Every entry, sealed values in their places. */
export async function journalOf({
  dataDirectory,
  recordingKeys,
}: Pick<TestGateway, 'dataDirectory' | 'recordingKeys'>): Promise<RecordedEntry[]> {
  const opener = new FieldOpener(recordingKeys)
  const entries = await wholeRecording(dataDirectory, recordingKeys)
  return entries.map((each) => ({ ...each, entry: opener.shown(each.entry, () => true) }))
}

/** Sessions of the gateway's own, and the one question it asks at the start of a session on a labelled connection. */
function isOwn(statement: LoggedStatement): boolean {
  return (
    statement.application === 'sluice catalogue' ||
    // What code stands behind what is held: this one question, and no other.
    (statement.application === 'sluice definitions' && statement.text === QUIET_QUERY) ||
    statement.text === "SELECT pg_catalog.current_setting('search_path'), CURRENT_USER, SESSION_USER"
  )
}

/** Statements that the server ran and that no recording tells of as allowed, or as held and then approved. */
export function unjudged(
  logged: readonly LoggedStatement[],
  entries: readonly RecordedEntry[],
): LoggedStatement[] {
  const answered = new Set<string>()
  for (const { session, entry } of entries) {
    if (entry.kind === 'answer' && entry.head.answer === 'approved')
      answered.add(`${session} ${entry.head.n}`)
  }
  const permitted = new Set<string>()
  const estimated = new Set<string>()
  for (const { session, entry } of entries) {
    if (entry.kind !== 'intent') continue
    const { head } = entry
    if (head.form === 'estimate') estimated.add(head.text)
    const approved = head.decision === 'hold' && answered.has(`${session} ${head.n}`)
    if (head.decision === 'allow' || approved) permitted.add(keyOf(session, head.text))
  }
  return logged.filter((each) => {
    if (isOwn(each) || (isEstimate(each) && estimated.has(each.text))) return false
    const session = /sluice:(\S+)/.exec(each.application)?.[1]
    return !permitted.has(keyOf(session, each.text))
  })
}

function keyOf(session: string | undefined, text: string): string {
  return `${session} ${text}`
}
