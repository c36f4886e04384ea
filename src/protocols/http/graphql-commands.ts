import type { Effect, Operation } from '../../apis/index.ts'
import {
  gravest,
  guessedMutation,
  MEMBERS,
  operationsAsked,
  readOperation,
  refuseTooManyLabelled,
} from '../../apis/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { Target } from '../../wire/http/index.ts'
import { queryKeys } from '../../wire/http/index.ts'
import type { GraphqlRoute } from './route-table.ts'

/** The operations of a request to the GraphQL endpoint. Throws GatewayError `invalid` and `limit_exceeded`. */
export function operationsOf(
  { schema, labels, depthMax, persisted }: GraphqlRoute,
  request: {
    readonly method: string
    readonly target: Target
    readonly form: 'json' | 'form' | 'graphql' | 'other'
    readonly body: Uint8Array | undefined
  },
): readonly Operation[] {
  const { method, target, form, body } = request
  if (body === undefined) throw new GatewayError('internal', 'The operation of this request was not read.')
  refuseReadOtherwise(method, target.query)
  const http = { method, query: target.query, form: form === 'form' ? 'other' : form, body } as const
  const operations = operationsAsked(http, persisted).map((asked) => {
    const operation = readOperation(asked, { schema, labels, depthMax })
    if (method !== 'GET' || operation.kind === 'query') return operation
    throw new GatewayError('invalid', 'Send a mutation or a subscription with POST.', {
      retry: 'only-if-changed',
    })
  })
  refuseTooManyLabelled(operations)
  return operations
}

/** Names under which servers take a document that they know in place of the one that is sent. */
const DOCUMENTS: readonly string[] = [
  'doc_id',
  'docid',
  'query_id',
  'queryid',
  'operationid',
  'hash',
  'sha256hash',
]

/**
 * A key of the URL in which somebody else finds a part of the operation: `query[]`, a blank in front, behind a semicolon. Of a GET each
 * counts once, as it is written; a POST has none. Throws GatewayError `invalid`.
 */
function refuseReadOtherwise(method: string, query: string): void {
  const strict = method === 'GET' ? new URLSearchParams(query) : new URLSearchParams()
  const found = queryKeys(query)
  const isOther = [...MEMBERS].some((name) => {
    const loose = found.filter((each) => each === name.toLowerCase()).length
    return loose > strict.getAll(name).length
  })
  if (!isOther && !found.some((each) => DOCUMENTS.includes(each))) return
  throw new GatewayError(
    'invalid',
    'Send a GraphQL operation that can be judged: the URL has parts of it that could be read otherwise.',
    { remedy: 'Send it with POST, in the body alone.', retry: 'only-if-changed' },
  )
}

/** What an operation does: the gravest of what its fields at the top do. */
export function effectOf(route: GraphqlRoute | undefined, { kind, roots }: Operation): Effect {
  const type = kind === 'mutation' ? 'Mutation' : kind === 'query' ? 'Query' : 'Subscription'
  return gravest(
    roots.map((root) => {
      const written = route?.effects.get(`${type}.${root}`)
      return written ?? (kind === 'mutation' ? guessedMutation(root) : 'read')
    }),
  )
}
