/**
 * What the gateway answers itself below `/.sluice/` of a connection: what its rules let this identity do, the description of the API as far
 * as it may use it, and what became of what it has asked people. Promise: nothing of it comes from an upstream, nothing is about
 * anybody else, and no secret and no value stands in it.
 */
import type { HttpResponse } from '../sides.ts'
import type { Connection } from '../../../core/index.ts'
import { GatewayError, LIMITS } from '../../../core/index.ts'
import type { Permitted, Session } from '../../../session/index.ts'
import { isHeld, ownJudgement } from '../../../session/index.ts'
import type { RouteTable } from '../route-table.ts'
import type { HttpSettings } from '../settings.ts'
import { openapiAnswer } from './openapi.ts'
import type { OwnQuestion } from './place.ts'
import { ownQuestionOf } from './place.ts'
import { policyAnswer } from './policy.ts'
import { ticketAnswer } from './ticket.ts'

export type OwnParts = {
  readonly session: Session
  readonly connection: Connection<HttpSettings>
  readonly routes: RouteTable
  /** Where the client reaches this connection: `https://gateway:18080/c/crm`. */
  readonly base: string
  readonly now: () => number
}

/** Routes that are judged at the price of one question. */
const ROUTES_A_QUESTION = 200

/** As how many questions this one counts: those about all routes of a large API take longer. */
export function costOf(path: string, routes: RouteTable): number {
  const question = ownQuestionOf(path)
  if (question === undefined || question.kind === 'ticket') return 1
  return 1 + Math.floor(routes.all().length / ROUTES_A_QUESTION)
}

type OwnAnswer = { readonly body: unknown; readonly againS?: number | undefined }

/**
 * Answers, and records question and answer as of every command. Throws GatewayError `not_found` for what there is not, tickets of others
 * included, and `denied` for whatever would change something: all recorded.
 */
export async function answerOwn(
  parts: OwnParts,
  {
    method,
    path,
    response,
  }: { readonly method: string; readonly path: string; readonly response: HttpResponse },
): Promise<void> {
  const { session } = parts
  const written = `${method} ${path}`
  const question = ownQuestionOf(path)
  const refusal = refusalOf(method, question)
  if (refusal !== undefined || question === undefined)
    throw await refused(session, written, refusal ?? nothing())
  const answer = await answerTo(parts, question)
  if (answer === undefined) throw await refused(session, written, nothing())
  const body = Buffer.from(`${JSON.stringify(answer.body)}\n`)
  if (body.length > LIMITS.httpOwnAnswerBytesMax) throw await refused(session, written, tooMuch())
  const judgement = ownJudgement(path)
  const permit = session.step({ form: 'request', text: written, facts: judgement.facts }, judgement)
  if (isHeld(permit)) throw new Error('a question to the gateway itself was held')
  await recorded(session, permit, body)
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(answer.againS === undefined ? {} : { 'retry-after': `${answer.againS}` }),
  })
  response.end(method === 'HEAD' ? undefined : body)
}

/** Too soon after others of the same identity: nothing is recorded, and a client that tries again by itself is welcome to. */
export function answerTooSoon(response: HttpResponse, waitS: number): void {
  const body = Buffer.from(
    `${JSON.stringify({
      type: 'urn:sluice:error:limit_exceeded',
      title: 'limit exceeded',
      status: 429,
      detail: 'Ask the gateway itself less often.',
      remedy: `At most ${LIMITS.httpOwnQuestionsPerSecond} questions a second are answered, of one identity on each connection.`,
      retry: 'later',
    })}\n`,
  )
  response.writeHead(429, {
    'content-type': 'application/problem+json',
    'content-length': body.length,
    'cache-control': 'no-store',
    'retry-after': `${waitS}`,
  })
  response.end(body)
}

async function answerTo(parts: OwnParts, question: OwnQuestion): Promise<OwnAnswer | undefined> {
  const { session, connection, routes, base, now } = parts
  switch (question.kind) {
    case 'policy':
      return { body: await policyAnswer(session, connection, routes, base) }
    case 'openapi': {
      const body = await openapiAnswer(session, connection, routes, base)
      return body === undefined ? undefined : { body }
    }
    case 'ticket':
      return ticketAnswer(session, question.ticket, now())
  }
}

async function recorded(session: Session, permit: Permitted, body: Buffer): Promise<void> {
  session.resultElsewhere(permit, body)
  session.finish(permit, 'ok', '200')
  await session.afterTurn()
}

async function refused(session: Session, written: string, error: GatewayError): Promise<GatewayError> {
  const told = session.stepUnreadable('request', written, error)
  await session.afterTurn()
  return told
}

function refusalOf(method: string, question: OwnQuestion | undefined): GatewayError | undefined {
  if (question === undefined || method === 'GET' || method === 'HEAD') return undefined
  return new GatewayError('denied', 'Read this with GET: nothing is changed here.', {
    retry: 'only-if-changed',
  })
}

function nothing(): GatewayError {
  return new GatewayError('not_found', 'There is nothing of that name for you here.', {
    remedy:
      'Below /.sluice/ the gateway answers itself: policy, openapi.json where the API is described, and tickets/T-... of your own.',
    retry: 'only-if-changed',
  })
}

function tooMuch(): GatewayError {
  return new GatewayError('limit_exceeded', 'The description of this API is too long to be told.', {
    remedy: 'An administrator parts the connection in several.',
    retry: 'only-if-changed',
  })
}
