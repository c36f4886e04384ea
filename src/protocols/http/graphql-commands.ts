import type { Effect, Operation } from '../../apis/index.ts'
import { gravest, guessedMutation, operationsAsked, readOperation } from '../../apis/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { Target } from '../../wire/http/index.ts'
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
  const http = { method, query: target.query, form: form === 'form' ? 'other' : form, body } as const
  return operationsAsked(http, persisted).map((asked) => {
    const operation = readOperation(asked, { schema, labels, depthMax })
    if (method !== 'GET' || operation.kind === 'query') return operation
    throw new GatewayError('invalid', 'Send a mutation or a subscription with POST.', {
      retry: 'only-if-changed',
    })
  })
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
