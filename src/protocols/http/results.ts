import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import { GatewayError, LIMITS } from '../../core/index.ts'
import type { JsonAssignment, Permitted, Session } from '../../session/index.ts'
import { jsonMasker } from '../../session/index.ts'
import { responseHeaders } from '../../wire/http/index.ts'
import type { Answer } from './upstream.ts'

/** Bytes out of the middle of a body, where no path says what they are. RFC 9110 section 15.3.7. */
const PARTIAL_CONTENT = 206

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i

/** Answers without a body whatever their fields say. RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5. */
function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/**
 * Relays an answer: streamed as it is when nothing in it is masked; otherwise collected, masked by path, and withheld
 * when it cannot be read. Every byte is in the recording before the client gets it.
 */
export async function relayAnswer(
  session: Session,
  flight: Permitted,
  answer: Answer,
  assignments: readonly JsonAssignment[],
  response: ServerResponse,
  method: string,
): Promise<void> {
  if (assignments.length > 0 && !isBodiless(method, answer.status)) {
    await relayMasked(session, flight, answer, assignments, response)
    return
  }
  const { bytesMax } = limitOf(flight)
  // What is known to be too long is refused in words; of what turns out to be, the connection is cut.
  if (!isBodiless(method, answer.status) && Number(field(answer, 'content-length')) > bytesMax)
    throw session.limitReached(flight, `${bytesMax} bytes`)
  response.writeHead(answer.status, [...responseHeaders(answer.headers, false)])
  for await (const chunk of answer.body) {
    await spend(session, flight, chunk.length)
    if (flight.bytes + chunk.length > bytesMax) throw session.limitReached(flight, `${bytesMax} bytes`)
    await recorded(session, flight, chunk)
    if (!response.write(chunk)) await drained(response)
  }
  await ended(response)
}

async function relayMasked(
  session: Session,
  flight: Permitted,
  answer: Answer,
  assignments: readonly JsonAssignment[],
  response: ServerResponse,
): Promise<void> {
  const body = await collect(answer)
  const { bytes, masked } = maskBody(answer, body, assignments)
  const { bytesMax } = limitOf(flight)
  if (bytes.length > bytesMax) throw session.limitReached(flight, `${bytesMax} bytes`)
  await spend(session, flight, bytes.length)
  await recorded(session, flight, bytes)
  const count = masked.reduce((sum, each) => sum + each.count, 0)
  const paths = masked.map((each) => each.path).join(', ')
  response.writeHead(answer.status, [
    ...responseHeaders(answer.headers, true),
    'content-length',
    String(bytes.length),
    'sluice-masked',
    count === 0 ? '0' : `${count}; ${paths}`,
  ])
  response.write(bytes)
  await ended(response)
}

function maskBody(answer: Answer, body: Buffer, assignments: readonly JsonAssignment[]) {
  if (body.length === 0) return { bytes: body, masked: [] }
  if (answer.status === PARTIAL_CONTENT) throw withheld()
  if (!JSON_TYPE.test(field(answer, 'content-type')) || field(answer, 'content-encoding') !== '')
    throw withheld()
  try {
    return jsonMasker(assignments).mask(body)
  } catch (cause) {
    throw withheld(cause)
  }
}

function withheld(cause?: unknown): GatewayError {
  return new GatewayError(
    'denied',
    'The answer holds protected fields and could not be read, so it is withheld.',
    {
      remedy: 'Ask for a JSON answer, or for a route without protected fields.',
      retry: 'only-if-changed',
      cause,
    },
  )
}

async function collect(answer: Answer): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body) {
    bytes += chunk.length
    if (bytes > LIMITS.httpMaskedBodyBytesMax) {
      throw new GatewayError(
        'limit_exceeded',
        'Ask for fewer records: the answer is too large to be masked.',
        {
          retry: 'only-if-changed',
        },
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Keeps bytes of the result and waits until they are in the recording. */
function recorded(session: Session, flight: Permitted, bytes: Uint8Array): Promise<void> {
  session.resultElsewhere(flight, bytes)
  return session.afterTurn()
}

async function drained(response: ServerResponse): Promise<void> {
  await Promise.race([once(response, 'drain'), once(response, 'close')])
  if (response.destroyed) throw new GatewayError('canceled', 'The client went away.')
}

function ended(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.end(() => resolve())
    response.once('close', () => resolve())
  })
}

/** Bytes of a body count for the budgets before they are sent. */
async function spend(session: Session, flight: Permitted, bytes: number): Promise<void> {
  let answer = session.spending.spend(0, bytes)
  for (; answer === 'wait'; answer = session.spending.spend(0, bytes)) await session.spending.more()
  if (answer === 'spent') throw session.budgetSpent(flight)
}

function limitOf(flight: Permitted): { readonly bytesMax: number } {
  const { decision } = flight.judgement
  if (decision.kind === 'deny') return { bytesMax: 0 }
  // A response cannot wait half sent without a word to its client: where its rest would be held, it ends.
  return { bytesMax: Math.min(decision.limit.bytesMax, decision.pause?.bytesMax ?? Number.POSITIVE_INFINITY) }
}

function field(answer: Answer, name: string): string {
  for (let i = 0; i + 1 < answer.headers.length; i += 2) {
    if (answer.headers[i]?.toLowerCase() === name) return answer.headers[i + 1] ?? ''
  }
  return ''
}
