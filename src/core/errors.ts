import type { Reason } from './decision.ts'
import type { RequestId, Ticket } from './ids.ts'

/** Every way in which the gateway itself says no. Protocols map each to their own form; a table must cover all. */
export const ERROR_CODES = [
  'unauthenticated',
  'denied',
  'approval_pending',
  'approval_refused',
  'approval_expired',
  'effect_differs',
  'canceled',
  'connection_unknown',
  'not_found',
  'invalid',
  'conflict',
  'protocol_violation',
  'limit_exceeded',
  'unsupported',
  'upstream_unreachable',
  'recording_unavailable',
  'store_unavailable',
  'shutting_down',
  'internal',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

export type ErrorDetails = {
  readonly remedy?: string
  readonly retry?: Reason['retry']
  readonly requestId?: RequestId
  readonly ticket?: Ticket
  readonly cause?: unknown
  /** For the log only. Never secrets, statements or row values. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>
}

/**
 * The one error class for what users may see. Thrown where the reason is known, translated at the edge.
 * `message` is a sentence for the person: it names no secret, no statement and no row value.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  readonly remedy: string | undefined
  readonly retry: Reason['retry']
  readonly requestId: RequestId | undefined
  readonly ticket: Ticket | undefined
  readonly facts: Readonly<Record<string, string | number | boolean>>

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.code = code
    this.remedy = details.remedy
    this.retry = details.retry ?? 'never'
    this.requestId = details.requestId
    this.ticket = details.ticket
    this.facts = details.facts ?? {}
  }
}

export function isGatewayError(error: unknown): error is GatewayError {
  return error instanceof GatewayError
}

/** Any thrown thing as a GatewayError; what is not one becomes `internal`, with the cause kept for the log. */
export function asGatewayError(error: unknown): GatewayError {
  if (isGatewayError(error)) return error
  return new GatewayError('internal', 'The gateway met a fault of its own and ended this.', {
    cause: error,
    retry: 'later',
  })
}
