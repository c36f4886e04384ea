import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { GatewayError } from '../../../core/index.ts'
import type { Answer } from '../upstream.ts'

/** Resolves when the client has taken what was written. Throws GatewayError `canceled` when it has gone. */
export async function drained(response: ServerResponse): Promise<void> {
  await Promise.race([once(response, 'drain'), once(response, 'close')])
  if (response.destroyed) throw new GatewayError('canceled', 'The client went away.')
}

export function ended(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.end(() => resolve())
    response.once('close', () => resolve())
  })
}

/** A field of an answer by its name in lower case, all lines of it in one (RFC 9110 section 5.3); empty: there is none. */
export function field(answer: Answer, name: string): string {
  const values: string[] = []
  for (let i = 0; i + 1 < answer.headers.length; i += 2) {
    if (answer.headers[i]?.toLowerCase() === name) values.push(answer.headers[i + 1] ?? '')
  }
  return values.join(', ')
}
