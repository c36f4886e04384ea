import type { ErrorCode, GatewayError } from '../../core/index.ts'
import { encodeError, encodeNotice } from '../../wire/postgres/index.ts'

/**
 * Our codes as SQLSTATEs. What only a gateway says has a class of its own, `SL`, because drivers and ORMs turn the
 * classes 08, 40, 53 and 57 into reconnects and retries. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export const SQLSTATES = {
  unauthenticated: '28000',
  denied: 'SL001',
  approval_pending: 'SL002',
  approval_refused: 'SL003',
  approval_expired: 'SL004',
  limit_exceeded: 'SL005',
  recording_unavailable: 'SL006',
  shutting_down: 'SL007',
  internal: 'SL008',
  store_unavailable: 'SL009',
  effect_differs: 'SL011',
  canceled: '57014',
  connection_unknown: '3D000',
  not_found: '3D000',
  invalid: '42601',
  conflict: '55000',
  protocol_violation: '08P01',
  unsupported: '0A000',
  upstream_unreachable: '08001',
} as const satisfies Record<ErrorCode, string>

/** An ErrorResponse for a refusal: message short and imperative, DETAIL the request id, HINT what is allowed instead. */
export function errorBytes(error: GatewayError, severity: 'ERROR' | 'FATAL', position?: number): Buffer {
  const detail = detailOf(error)
  return encodeError({
    severity,
    code: stateOf(error),
    message: error.message,
    ...(detail === '' ? {} : { detail }),
    hint: hintOf(error),
    ...(position === undefined ? {} : { position: String(position) }),
  })
}

/** What the server would answer in our place, where drivers act upon it: they prepare once more what is not there. */
const STATES_OF_NAMES: ReadonlySet<unknown> = new Set(['26000', '34000'])

function stateOf({ code, facts }: GatewayError): string {
  const { sqlstate } = facts
  return typeof sqlstate === 'string' && STATES_OF_NAMES.has(sqlstate) ? sqlstate : SQLSTATES[code]
}

/** Where in the statement the parser stopped, in characters from 1, if that is what is wrong. */
export function positionOf(error: GatewayError): number | undefined {
  const { position } = error.facts
  return typeof position === 'number' ? position : undefined
}

/** A NOTICE of the gateway's own, shown by psql at once. */
export function noticeBytes(code: string, message: string, detail: string, hint: string): Buffer {
  return encodeNotice({ severity: 'NOTICE', code, message, detail, hint })
}

function detailOf(error: GatewayError): string {
  const parts = []
  if (error.requestId !== undefined) parts.push(`Request ${error.requestId}.`)
  if (error.ticket !== undefined) parts.push(`Ticket ${error.ticket}.`)
  return parts.join(' ')
}

const RETRY_WORDS = {
  never: 'Do not retry.',
  'only-if-changed': 'Retry only a changed command.',
  'unchanged-after-approval': 'Retry the same command after approval.',
  later: 'Retry later.',
} as const satisfies Record<GatewayError['retry'], string>

function hintOf(error: GatewayError): string {
  const retry = RETRY_WORDS[error.retry]
  if (error.remedy === undefined) return retry
  // A remedy that ends in a command is on a line of its own, so that it can be copied.
  return `${error.remedy}${error.remedy.endsWith('.') ? ' ' : '\n'}${retry}`
}

/** The SQLSTATE of an ErrorResponse body, without decoding the rest. */
export function sqlstateOf(buffer: Buffer, start: number, end: number): string {
  let at = start
  while (at < end && buffer[at] !== 0) {
    const zero = buffer.indexOf(0, at)
    if (zero < 0 || zero >= end) return ''
    if (buffer[at] === 0x43) return buffer.toString('latin1', at + 1, zero)
    at = zero + 1
  }
  return ''
}
