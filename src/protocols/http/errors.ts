import type { ServerResponse } from 'node:http'
import type { GatewayError } from '../../core/index.ts'
import { problemOf } from '../../core/index.ts'

/** A refusal as RFC 9457 problem details. Never 408, 409, 429 or 5xx for a decision: clients retry those by themselves. */
export function problemBytes(error: GatewayError): Buffer {
  return Buffer.from(`${JSON.stringify(problemOf(error))}\n`)
}

export function sendProblem(response: ServerResponse, error: GatewayError): void {
  if (response.headersSent) {
    // Too late to say why: cut, so that nobody takes half an answer for a whole one.
    response.destroy()
    return
  }
  const body = problemBytes(error)
  const { status } = problemOf(error)
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  })
  response.end(body)
}
