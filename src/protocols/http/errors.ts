import type { GatewayError, ProblemDetails } from '../../core/index.ts'
import { problemOf } from '../../core/index.ts'
import { writtenRefusal } from './refusal-forms.ts'
import type { HttpResponse } from './sides.ts'

/** In `facts.reason` of what is thrown for a request that came to another host than it is for. */
export const MISDIRECTED = 'misdirected'

/** The same for one that can be asked again in a moment, because others of its identity are answered by then: no decision. */
export const BUSY = 'busy'

/**
 * Never 408, 409, 429 or 5xx for a decision, which a budget that is spent is, too: clients retry those by themselves. What went to a wrong
 * host may be asked anew on another line (RFC 9110 section 15.5.20).
 */
function decisionOf(error: GatewayError): ProblemDetails {
  const problem = problemOf(error)
  if (error.facts['reason'] === MISDIRECTED) return { ...problem, status: 421 }
  if (error.facts['reason'] === BUSY) return problem
  return problem.status === 429 ? { ...problem, status: 403 } : problem
}

/**
 * Tells the client why. `closes`: the rest of its request is still to come and will not be read, so the line ends with this; the
 * answer is whole before it does. `challenge`: what a 401 says of how to get in.
 */
export function sendProblem(
  response: HttpResponse,
  error: GatewayError,
  closes: boolean,
  challenge = 'Bearer',
): void {
  const problem = decisionOf(error)
  const { status } = problem
  const { contentType, body } = writtenRefusal(problem, response.req.headers.accept)
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(status === 401 ? { 'www-authenticate': challenge } : {}),
    ...(status === 429 ? { 'retry-after': '1' } : {}),
    ...(closes ? { connection: 'close' } : {}),
  })
  if (closes) response.write(body)
  else response.end(body)
}
