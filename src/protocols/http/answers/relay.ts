import type { BodyRules, Permitted, Session } from '../../../session/index.ts'
import type { Answer } from '../upstream/upstream.ts'
import { AnswerKeeper } from './keeper.ts'
import { MaskedAnswer } from './masked.ts'
import { PlainAnswer } from './plain.ts'
import type { HttpResponse } from '../sides.ts'

/**
 * Relays an answer as it comes, as fast as the slower side goes: as it is when nothing in it is masked; otherwise through the
 * machine of its type, and withheld when it cannot be read. Every byte is in the recording before the client gets it.
 */
export async function relayAnswer(
  session: Session,
  flight: Permitted,
  answer: Answer,
  rules: BodyRules,
  response: HttpResponse,
  method: string,
): Promise<void> {
  const keeper = new AnswerKeeper(session, flight)
  const hasBody = !isBodiless(method, answer.status)
  try {
    const isMasked = masksAnything(rules)
    if (isMasked && hasBody) await new MaskedAnswer(answer, rules, response, keeper).relay()
    else await new PlainAnswer(answer, response, keeper, hasBody, isMasked).relay()
  } finally {
    answer.body.stop()
  }
}

/** Answers without a body whatever their fields say. RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5. */
function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** Whether something in an answer may have to be masked. */
export function masksAnything(rules: BodyRules): boolean {
  return rules.paths.length > 0 || (rules.detectors ?? []).length > 0
}
