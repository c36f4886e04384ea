import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastify from 'fastify'
import type { Journal, ServerTls } from '../core/index.ts'
import { asGatewayError, GatewayError, LIMITS, problemOf } from '../core/index.ts'
import type { Caller } from './caller.ts'
import { NOBODY } from './caller.ts'
import type { AnyRoute } from './route.ts'

export type ApiServerOptions = {
  readonly routes: readonly AnyRoute[]
  readonly journal: Journal
  /** Who calls, from what they showed. Throws `unauthenticated`. */
  readonly identify: (authorization: string | undefined) => Promise<Caller>
  readonly tls: ServerTls | undefined
  readonly report: (error: unknown) => void
  /** Routes that answer with a stream or with text instead of JSON. */
  readonly extend?: (server: FastifyInstance, authorize: (request: FastifyRequest) => Promise<Caller>) => void
}

/**
 * One server of the control API, on a socket or a port. The only place where routes are registered: what changes
 * something is recorded, durably, before it happens.
 */
export function createApiServer(options: ApiServerOptions): FastifyInstance {
  const server = makeServer(options.tls)
  server.setErrorHandler((error, _request, reply) => sendProblem(reply, fromFastify(error), options.report))
  server.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, new GatewayError('not_found', 'There is no such resource.'), options.report),
  )
  const authorize = (request: FastifyRequest): Promise<Caller> =>
    options.identify(request.headers.authorization)
  for (const route of options.routes) {
    server.route({
      method: route.method,
      url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: async (request, reply) => {
        const caller = route.access === 'public' ? NOBODY : await authorize(request)
        checkAccess(route, caller)
        const input = { params: request.params, query: request.query, body: request.body, caller }
        const answer = await route.run(input, (head) => {
          options.journal.append(undefined, { kind: 'admin', head })
          options.journal.sync()
        })
        return reply.header('cache-control', 'no-store').send(answer)
      },
    })
  }
  options.extend?.(server, authorize)
  return server
}

/** Throws `denied`, or `unauthenticated` for who showed nothing. */
export function checkAccess(route: Pick<AnyRoute, 'access'>, caller: Caller): void {
  const { access } = route
  if (access === 'public' || access.some((role) => caller.roles.has(role))) return
  if (caller === NOBODY) {
    throw new GatewayError('unauthenticated', 'Show a token: this needs a login.', {
      remedy: 'Log in with: sluice login NAME',
    })
  }
  throw new GatewayError('denied', `This needs the role ${access.join(' or ')}.`, {
    remedy: 'An administrator gives roles in the configuration.',
  })
}

function makeServer(tls: ServerTls | undefined): FastifyInstance {
  const common = {
    bodyLimit: LIMITS.apiBodyBytesMax,
    logger: false,
    requestTimeout: 30_000,
    forceCloseConnections: true,
  }
  if (tls === undefined) return fastify(common)
  const https = { cert: tls.certificate, key: tls.key.reveal(), minVersion: 'TLSv1.2' as const }
  return fastify({ ...common, https })
}

function sendProblem(
  reply: FastifyReply,
  error: GatewayError,
  report: (error: unknown) => void,
): FastifyReply {
  if (error.code === 'internal') report(error.cause ?? error)
  const problem = problemOf(error)
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify(problem))
}

function fromFastify(error: unknown): GatewayError {
  if (
    error instanceof Error &&
    'statusCode' in error &&
    typeof error.statusCode === 'number' &&
    error.statusCode < 500
  ) {
    return new GatewayError('invalid', `The request cannot be read: ${error.message}`, { cause: error })
  }
  return asGatewayError(error)
}
