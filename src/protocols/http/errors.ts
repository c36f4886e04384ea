import type { ServerResponse } from 'node:http'
import type { GatewayError, ProblemDetails } from '../../core/index.ts'
import { problemOf } from '../../core/index.ts'

/** A refusal as RFC 9457 problem details. Never 408, 409, 429 or 5xx for a decision: clients retry those by themselves. */
export function problemBytes(error: GatewayError): Buffer {
  return Buffer.from(`${JSON.stringify(decisionOf(error))}\n`)
}

/** A budget that is spent is a decision, too. */
function decisionOf(error: GatewayError): ProblemDetails {
  const problem = problemOf(error)
  return problem.status === 429 ? { ...problem, status: 403 } : problem
}

/**
 * Tells the client why. `closes`: the rest of its request is still to come and will not be read, so the line ends with this; the
 * answer is whole before it does. `challenge`: what a 401 says of how to get in.
 */
export function sendProblem(
  response: ServerResponse,
  error: GatewayError,
  closes: boolean,
  challenge = 'Bearer',
): void {
  const body = problemBytes(error)
  const { status } = decisionOf(error)
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(status === 401 ? { 'www-authenticate': challenge } : {}),
    ...(closes ? { connection: 'close' } : {}),
  })
  if (closes) response.write(body)
  else response.end(body)
}
