import { encodeNotice } from '../../../wire/postgres/index.ts'
import { noticeBytes, SQLSTATES } from '../errors.ts'

/** What a client is told at once whose command is held: `what` is held. Who reads on learns nothing more that is needed. */
export function heldBytes(what: string, ticket: string, patienceMs: number, expiresAt: number): Buffer {
  const until = new Date(expiresAt).toISOString()
  return noticeBytes(
    SQLSTATES.approval_pending,
    `${what} for approval: ticket ${ticket}.`,
    `Waiting up to ${timeText(patienceMs)} here; the ticket is open until ${until}.`,
    `An approver answers with: sluice approvals approve ${ticket}`,
  )
}

/**
 * What it is told every so often after that, in one line. INFO is what PostgreSQL's clients are shown whatever they set
 * `client_min_messages` to.
 */
export function waitingBytes(what: string, ticket: string, leftMs: number): Buffer {
  return encodeNotice({
    severity: 'INFO',
    code: SQLSTATES.approval_pending,
    message: `${what} for approval: ticket ${ticket}, up to ${timeText(leftMs)} more.`,
  })
}

function timeText(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`
}
