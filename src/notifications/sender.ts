import type { Secret, SecretRef } from '../core/index.ts'
import { GatewayError, isGatewayError, LIMITS } from '../core/index.ts'
import type { Digest, Message } from './message.ts'

/** What a receiver made of a message. */
export type Sent = {
  /** What it calls it. */
  readonly ref?: string
  /** There was nothing to tell. */
  readonly isSkipped?: boolean
}

/** How messages get to one channel. */
export type Sender = {
  /** `earlier`: what the channel called the message with which the request was announced. Throws `undelivered` or `refused`. */
  send(message: Message, earlier: string | undefined): Promise<Sent>
  /** Many requests as one message; absent for receivers that are told each. */
  readonly digest?: (digest: Digest) => Promise<void>
  close(): Promise<void>
}

export type ResolveSecret = (ref: SecretRef) => Promise<Secret>

/** It may work another time. `retryAfterMs`: the receiver asked not to come back before. */
export function undelivered(
  message: string,
  details: { cause?: unknown; retryAfterMs?: number | undefined } = {},
): GatewayError {
  const { cause, retryAfterMs } = details
  return new GatewayError('upstream_unreachable', message, {
    remedy: 'It is sent again, later and later, for a day.',
    retry: 'later',
    cause,
    ...(retryAfterMs === undefined ? {} : { facts: { retryAfterMs } }),
  })
}

/** It will not work until something is changed. */
export function refused(message: string, remedy: string): GatewayError {
  return new GatewayError('upstream_unreachable', message, { remedy, retry: 'only-if-changed' })
}

/** Whether a channel may work again by itself: what cannot be resolved or is refused will not. */
export function isPassing(error: unknown): boolean {
  return isGatewayError(error) && error.retry === 'later'
}

/** Whether the receiver has said itself how long it wants nothing. */
export function asksToWait(error: unknown): boolean {
  return isGatewayError(error) && typeof error.facts.retryAfterMs === 'number'
}

/**
 * How many whole milliseconds to wait after so many failures in a row (from 1), with `random` from 0 to 1: twice as long each time, half of it
 * by chance, so that gateways that lost the same receiver do not come back together.
 */
export function retryDelayMs(error: unknown, failures: number, random: number): number {
  const asked = isGatewayError(error) ? error.facts.retryAfterMs : undefined
  const bound = isPassing(error)
    ? Math.min(LIMITS.notificationRetryMs * 2 ** Math.min(failures - 1, 30), LIMITS.notificationRetryMsMax)
    : LIMITS.notificationParkedMs
  const own = bound * (0.5 + random / 2)
  return Math.round(
    typeof asked === 'number' ? Math.max(own, Math.min(asked, LIMITS.notificationParkedMs)) : own,
  )
}
