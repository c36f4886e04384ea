import { GatewayError, isGatewayError, LIMITS } from '../../core/index.ts'
import type { RecordedEvent } from '../events/assembler.ts'
import type { OutletSecrets } from './settings.ts'

/** What a receiver said to a batch that it took: how many events of it it will never have. */
export type Taken = { readonly rejected: number }

/** How events get out. */
export type Sender = {
  /** Batches that are not full are sent at most once in this time. */
  readonly lingerMs: number
  /** Resolves when the receiver has them. Throws `upstream_unreachable`: `undelivered` or `refused`. */
  send(events: readonly RecordedEvent[], secrets: OutletSecrets, signal: AbortSignal): Promise<Taken>
  close(): Promise<void>
}

/**
 * It may work another time. `retryAfterMs`: the receiver asked not to come back before; `late`: it had not taken the batch in
 * the time there is.
 */
export function undelivered(
  message: string,
  details: { cause?: unknown; retryAfterMs?: number; late?: boolean } = {},
): GatewayError {
  const { cause, retryAfterMs, late = false } = details
  return new GatewayError('upstream_unreachable', message, {
    remedy: 'Nothing is lost: it is sent again, later and later, until it is taken.',
    retry: 'later',
    cause,
    facts: { late, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  })
}

/** It will not work until something is changed. */
export function refused(message: string, remedy: string, cause?: unknown): GatewayError {
  return new GatewayError('upstream_unreachable', message, { remedy, retry: 'only-if-changed', cause })
}

/** A smaller batch may be taken in time. */
export function isLate(error: unknown): boolean {
  return isGatewayError(error) && error.facts.late === true
}

export function isRefusal(error: unknown): boolean {
  return isGatewayError(error) && error.retry === 'only-if-changed'
}

/**
 * How many whole milliseconds to wait before attempt number `attempt` (from 1), with `random` from 0 to 1: twice as long each time, half of it by
 * chance, so that gateways that lost the same receiver do not come back together.
 */
export function retryDelayMs(error: unknown, attempt: number, random: number): number {
  const asked = isGatewayError(error) ? error.facts.retryAfterMs : undefined
  const most = isRefusal(error)
    ? LIMITS.streamParkedMs
    : LIMITS.streamRetryMs * 2 ** Math.min(attempt - 1, 30)
  const bound = isRefusal(error) ? LIMITS.streamParkedMs : Math.min(most, LIMITS.streamRetryMsMax)
  const own = bound * (0.5 + random / 2)
  return Math.round(
    typeof asked === 'number' ? Math.max(own, Math.min(asked, LIMITS.streamRetryAfterMsMax)) : own,
  )
}
