import type { ErrorCode, GatewayError } from './errors.ts'

/** Our codes as HTTP statuses. */
const HTTP_STATUSES = {
  unauthenticated: 401,
  denied: 403,
  approval_pending: 428,
  approval_refused: 403,
  approval_expired: 403,
  effect_differs: 409,
  canceled: 409,
  connection_unknown: 404,
  not_found: 404,
  invalid: 400,
  conflict: 409,
  protocol_violation: 400,
  limit_exceeded: 429,
  unsupported: 501,
  upstream_unreachable: 502,
  recording_unavailable: 503,
  store_unavailable: 503,
  shutting_down: 503,
  internal: 500,
} as const satisfies Record<ErrorCode, number>

/** RFC 9457 problem details: `detail` is the sentence, `remedy` what to do, `retry` whether to. */
export type ProblemDetails = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly remedy?: string
  readonly retry: string
  readonly request?: string
  readonly ticket?: string
  readonly reason?: string
}

/** Too much of a request is no matter of time: 413 (RFC 9110, section 15.5.14), where waiting helps nobody. */
function statusOf({ code, retry }: GatewayError): number {
  return code === 'limit_exceeded' && retry === 'only-if-changed' ? 413 : HTTP_STATUSES[code]
}

export function problemOf(error: GatewayError): ProblemDetails {
  return {
    type: `urn:sluice:error:${error.code}`,
    title: error.code.replaceAll('_', ' '),
    status: statusOf(error),
    detail: error.message,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    retry: error.retry,
    ...(error.requestId === undefined ? {} : { request: error.requestId }),
    ...(error.ticket === undefined ? {} : { ticket: error.ticket }),
    ...(typeof error.facts.reason === 'string' ? { reason: error.facts.reason } : {}),
  }
}
