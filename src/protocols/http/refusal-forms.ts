import type { ProblemDetails } from '../../core/index.ts'

/** A refusal as it is written to one client. */
export type WrittenRefusal = { readonly contentType: string; readonly body: Buffer }

/**
 * A refusal in the form that its client reads. Problem details (RFC 9457) for everybody who takes them; SDKs of vendors do not, and say so by
 * their `Accept`: they look for a sentence in `message` or `error.message`, and take an answer without one for a success or for nothing they know.
 * Clients of GraphQL look for `errors`. `accept`: as the client sent it.
 */
export function writtenRefusal(problem: ProblemDetails, accept: string | undefined): WrittenRefusal {
  const types = (accept ?? '*/*').split(',').map((each) => (each.split(';')[0] ?? '').trim().toLowerCase())
  if (types.some((type) => GRAPHQL.has(type)))
    return written('application/graphql-response+json', {
      errors: [{ message: sentenceOf(problem), extensions: problem }],
    })
  if (types.some((type) => PROBLEM.has(type)) || !types.some((type) => JSON_TYPE.test(type)))
    return written('application/problem+json', problem)
  const message = sentenceOf(problem)
  const error = { type: problem.type, code: problem.type.slice(problem.type.lastIndexOf(':') + 1), message }
  return written('application/json', { ...problem, message, error })
}

const GRAPHQL: ReadonlySet<string> = new Set([
  'application/graphql-response+json',
  'application/graphql+json',
])
const PROBLEM: ReadonlySet<string> = new Set(['*/*', 'application/*', 'application/problem+json'])
const JSON_TYPE = /^application\/(?:[^/]*\+)?json$/

/** All that a person has to know, for whoever shows one text and nothing beside it. */
function sentenceOf({ detail, remedy, ticket, request }: ProblemDetails): string {
  return [
    detail,
    remedy,
    ticket === undefined ? undefined : `Ticket ${ticket}.`,
    request === undefined ? undefined : `Request ${request}.`,
  ]
    .filter((each) => each !== undefined)
    .join(' ')
}

function written(contentType: string, body: object): WrittenRefusal {
  return { contentType, body: Buffer.from(`${JSON.stringify(body)}\n`) }
}
