import type { HttpResponse } from '../sides.ts'
import type { GatewayError, RuleRef } from '../../../core/index.ts'
import { problemOf } from '../../../core/index.ts'
import type { WaitingPreference } from '../../../wire/http/index.ts'
import { ticketUrl } from '../own/place.ts'
import { againAfterS } from '../own/ticket.ts'

/** How long a held request waits: as its connection says, less if its client asks for that, and not at all if that rather hears. */
export function waitMs({ respondAsync, waitS }: WaitingPreference, patienceMs: number): number {
  if (waitS !== undefined) return Math.min(waitS * 1000, patienceMs)
  return respondAsync ? 0 : patienceMs
}

export type StillHeld = {
  /** `approval_pending`, with its ticket. */
  readonly error: GatewayError
  readonly rules: readonly RuleRef[]
  readonly policyVersion: string
  readonly preference: WaitingPreference
  /** Where the client reaches this connection. */
  readonly base: string
}

/**
 * Tells the client of a held request that people have not answered yet: 428 (RFC 6585 section 3), or 202 where it asked for that
 * (RFC 7240 section 4.1). Neither runs anything later by itself, and both say so.
 */
export function answerStillHeld(response: HttpResponse, held: StillHeld): void {
  const { error, rules, policyVersion, preference, base } = held
  const problem = problemOf(error)
  const statusUrl = problem.ticket === undefined ? undefined : ticketUrl(base, problem.ticket)
  const retryAfter = againAfterS(0)
  const status = preference.respondAsync ? 202 : problem.status
  const body = Buffer.from(
    `${JSON.stringify({
      ...problem,
      status,
      remedy:
        `Nothing runs by itself: send the same request again once it is approved. ${problem.remedy ?? ''}`.trim(),
      policy: { version: policyVersion, rules: rules.map(({ name }) => name) },
      ...(statusUrl === undefined ? {} : { statusUrl }),
      retryAfter,
    })}\n`,
  )
  const applied = [
    ...(preference.respondAsync ? ['respond-async'] : []),
    ...(preference.waitS === undefined ? [] : [`wait=${preference.waitS}`]),
  ]
  response.writeHead(status, {
    'content-type': status === 202 ? 'application/json' : 'application/problem+json',
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(statusUrl === undefined
      ? {}
      : status === 202
        ? { location: statusUrl }
        : { link: `<${statusUrl}>; rel="status"` }),
    // Clients that try a 428 again by themselves would ask people anew each time.
    ...(status === 202 ? { 'retry-after': `${retryAfter}` } : {}),
    ...(applied.length === 0 ? {} : { 'preference-applied': applied.join(', ') }),
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
