import type { ServerResponse } from 'node:http'
import type { BodyRules, Permitted, Session } from '../../session/index.ts'
import { responseHeaders } from '../../wire/http/index.ts'
import { MaskedAnswer } from './answers/masked.ts'
import { drained, ended, field } from './answers/writing.ts'
import type { Answer } from './upstream.ts'

/** Answers without a body whatever their fields say. RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5. */
function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** Whether something in an answer may have to be masked. */
export function masksAnything(rules: BodyRules): boolean {
  return rules.paths.length > 0 || (rules.detectors ?? []).length > 0
}

/**
 * Relays an answer: streamed as it is when nothing in it is masked; otherwise through the machine of its type, and
 * withheld when it cannot be read. Every byte is in the recording before the client gets it.
 */
export async function relayAnswer(
  session: Session,
  flight: Permitted,
  answer: Answer,
  rules: BodyRules,
  response: ServerResponse,
  method: string,
): Promise<void> {
  if (masksAnything(rules) && !isBodiless(method, answer.status)) {
    const out = {
      bytesMax: limitOf(flight).bytesMax,
      taken: () => flight.bytes,
      limitReached: (limit: string) => session.limitReached(flight, limit),
      async keep(bytes: Uint8Array) {
        await spend(session, flight, bytes.length)
        await recorded(session, flight, bytes)
      },
    }
    await new MaskedAnswer(answer, rules, response, out).relay()
    return
  }
  const { bytesMax } = limitOf(flight)
  // What is known to be too long is refused in words; of what turns out to be, the connection is cut.
  if (!isBodiless(method, answer.status) && Number(field(answer, 'content-length')) > bytesMax)
    throw session.limitReached(flight, `${bytesMax} bytes`)
  // An answer without a body has fields about one that would be masked: its length, its date, a hash of it.
  const headers = responseHeaders(answer.headers, masksAnything(rules))
  answer.watch.fields(headers)
  for await (const chunk of answer.watch.through(answer.body)) {
    await spend(session, flight, chunk.length)
    if (flight.bytes + chunk.length > bytesMax) throw session.limitReached(flight, `${bytesMax} bytes`)
    await recorded(session, flight, chunk)
    if (!response.headersSent) response.writeHead(answer.status, headers)
    if (!response.write(chunk)) await drained(response)
  }
  if (!response.headersSent) response.writeHead(answer.status, headers)
  await ended(response)
}

/** Keeps bytes of the result and waits until they are in the recording. */
function recorded(session: Session, flight: Permitted, bytes: Uint8Array): Promise<void> {
  session.resultElsewhere(flight, bytes)
  return session.afterTurn()
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
