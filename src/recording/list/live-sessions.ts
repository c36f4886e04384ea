import type { Entry, SessionId } from '../../core/index.ts'
import { identityKey } from '../../core/index.ts'
import type { SessionSummary } from './index-port.ts'
import type { SessionFacts } from './session-facts.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A session as the journal knows it while it runs: its number in the current file, and its figures so far. */
export type LiveSession = {
  readonly session: SessionId
  /** The file in which `number` was given; in another one it has to be given anew. */
  file: number
  number: number
  /** Absent for a session whose opening this process has not seen. */
  summary: Mutable<SessionSummary> | undefined
  changed: boolean
  readonly facts: SessionFacts
}

/** Adds what one entry says to the figures of its session; the first must be its `open`. */
export function fold(
  summary: Mutable<SessionSummary> | undefined,
  session: SessionId,
  time: number,
  entry: Entry,
): Mutable<SessionSummary> | undefined {
  if (entry.kind === 'open') {
    const { chain, ...head } = entry.head
    return {
      ...head,
      session,
      chain: chain.map(identityKey),
      openedAt: time,
      commands: 0,
      denied: 0,
      held: 0,
      rows: 0,
      bytes: 0,
    }
  }
  if (summary === undefined) return undefined
  switch (entry.kind) {
    case 'intent':
      summary.commands++
      if (entry.head.decision === 'deny') summary.denied++
      break
    case 'hold':
      summary.held++
      break
    case 'outcome':
      summary.rows += entry.head.rows
      summary.bytes += entry.head.bytes
      break
    case 'close':
      summary.closedAt = time
      summary.closeReason = entry.head.reason
      break
    default:
      break
  }
  return summary
}
