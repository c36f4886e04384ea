import type { FastifyInstance, FastifyReply } from 'fastify'
import fastify from 'fastify'
import type { Clock, Journal, ServerTls } from '../core/index.ts'
import { asGatewayError, GatewayError, LIMITS, problemOf } from '../core/index.ts'
import { Attempts } from './attempts.ts'
import type { Caller } from './caller.ts'
import { NOBODY, OPERATOR } from './caller.ts'
import type { AnyRoute } from './route.ts'

export type ApiServerOptions = {
  readonly routes: readonly AnyRoute[]
  readonly journal: Journal
  readonly clock: Clock
  /** Who calls, from what they showed. Throws `unauthenticated`. */
  readonly identify: (authorization: string | undefined) => Promise<Caller>
  readonly tls: ServerTls | undefined
  readonly report: (error: unknown) => void
}

/**
 * One server of the control API, on a socket or a port. The only place where routes are registered: what changes
 * something is recorded, durably, before it happens.
 */
export function createApiServer(options: ApiServerOptions): FastifyInstance {
  const server = makeServer(options.tls)
  const attempts = new Attempts(options.clock)
  takeForms(server)
  server.setErrorHandler((error, _request, reply) => sendProblem(reply, fromFastify(error), options.report))
  server.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, new GatewayError('not_found', 'There is no such resource.'), options.report),
  )
  const add = (to: FastifyInstance, route: AnyRoute): void => {
    to.route({
      method: route.method,
      url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: async (request, reply) => {
        if (route.access === 'public' && route.records) attempts.count(request.ip)
        const caller =
          route.access === 'public' ? NOBODY : await options.identify(request.headers.authorization)
        checkAccess(route, caller)
        if (!route.isSigned && isForm(request.headers['content-type']) && !route.form) {
          throw new GatewayError('invalid', 'Send the body as application/json.')
        }
        const body = route.isSigned ? { headers: request.headers, bytes: request.body } : request.body
        const { params, query, ip: source } = request
        const input = { params, query, body, caller, source }
        const answer = await route.run(input, (head) => {
          options.journal.append(undefined, { kind: 'admin', head })
          options.journal.sync()
        })
        // Nothing here may lie in a cache: tokens, statements, rows as they were shown.
        return reply.header('cache-control', 'no-store').type(route.produces).send(answer)
      },
    })
  }
  for (const route of options.routes) if (!route.isSigned) add(server, route)
  server.register((signed, _options, done) => {
    takeBytes(signed)
    for (const route of options.routes) if (route.isSigned) add(signed, route)
    done()
  })
  return server
}

const FORM = 'application/x-www-form-urlencoded'

function isForm(contentType: string | undefined): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === FORM
}

/** Of whatever type: a signature is over the bytes that came. */
function takeBytes(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

/** RFC 6749 section 3.2: a parameter stands there once. */
function takeForms(server: FastifyInstance): void {
  server.addContentTypeParser(FORM, { parseAs: 'string' }, (_request, body, done) => {
    const fields = new Map<string, string>()
    for (const [name, value] of new URLSearchParams(body.toString())) {
      if (fields.has(name)) {
        done(new GatewayError('invalid', 'The form names a parameter twice.'))
        return
      }
      fields.set(name, value)
    }
    done(null, Object.fromEntries(fields))
  })
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
  const roles = access.filter((role) => role !== 'operator socket' && role !== 'identity').join(' or ')
  if (caller === OPERATOR) {
    throw new GatewayError('denied', 'The operator socket cannot do this: it takes a person who logs in.', {
      remedy: `Log in at the TLS port of the API, as a person with the role ${roles}.`,
    })
  }
  throw new GatewayError('denied', `This needs the role ${roles}.`, {
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
