import { GatewayError, LIMITS } from '../../../core/index.ts'
import { trailerFields } from '../../../wire/http/index.ts'
import { maskedFields } from '../masked-fields.ts'
import { readAway } from '../requests/request-body.ts'
import type { Answer } from '../upstream/upstream.ts'
import type { HttpResponse } from '../sides.ts'

/**
 * Resolves when the client has taken what was written. Throws GatewayError `canceled` when it has gone, or takes nothing for
 * `LIMITS.httpClientStallMs`.
 */
export async function drained(response: HttpResponse): Promise<void> {
  if (response.destroyed) throw gone()
  if (!response.writableNeedDrain) return
  // Listeners that are taken off again: an answer of a gigabyte waits some ten thousand times.
  const isTaken = await new Promise<boolean>((resolve) => {
    const settle = (happened: boolean): void => {
      clearTimeout(timer)
      response.off('drain', over)
      response.off('close', over)
      resolve(happened)
    }
    const over = (): void => settle(true)
    const timer = setTimeout(() => settle(false), LIMITS.httpClientStallMs)
    response.on('drain', over)
    response.on('close', over)
  })
  if (response.destroyed || !isTaken) throw gone()
}

function gone(): GatewayError {
  return new GatewayError('canceled', 'The client went away.')
}

/**
 * Ends an answer, with these bytes, and waits until it is on its way. Where the rest of its request still comes, it is read away for a moment first: a
 * line that is closed with bytes unread may take the answer with it (RFC 9112 section 9.6).
 */
export async function ended(response: HttpResponse, last?: Uint8Array): Promise<void> {
  if (!response.req.complete && response.headersSent) await readAway(response.req, LIMITS.httpBodyLingerMs)
  await new Promise<void>((resolve) => {
    response.once('close', resolve)
    response.end(last, resolve)
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

/**
 * Fields behind the body, the upstream's and our own, for a client that can have them: in chunks only (RFC 9112 section 7.1.2).
 * Throws as the watch does.
 */
export function addTrailers(
  answer: Answer,
  response: HttpResponse,
  changed: boolean,
  own: readonly string[] = [],
): void {
  if (!response.chunkedEncoding) return
  const { trailers } = answer.body
  const shown = answer.trailerRules === undefined ? trailers : maskedFields(trailers, answer.trailerRules)
  const theirs = trailerFields(shown, changed)
  answer.watch.fields(theirs)
  const all = [...theirs, ...own]
  if (all.length === 0) return
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < all.length; i += 2) pairs.push([all[i] ?? '', all[i + 1] ?? ''])
  response.addTrailers(pairs)
}
