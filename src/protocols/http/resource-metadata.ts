import { TLSSocket } from 'node:tls'
import type { SignIn } from '../../session/index.ts'
import type { HttpRequest, HttpResponse } from './sides.ts'

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
/** RFC 9728 section 3.1: what stands between host and path of a resource, and the path behind it. */
const DOCUMENT = /^\/\.well-known\/oauth-protected-resource(\/c\/[a-z][a-z0-9_-]{0,62})?\/?(?:\?.*)?$/
const CONNECTION = /^\/c\/[a-z][a-z0-9_-]{0,62}(?=\/)/
/** A host as it may stand in a URL, RFC 3986 section 3.2.2, without what no gateway is called. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i

/** The same where the host names the connection: the resource is all of it. */
const DOCUMENT_OF_HOST = /^\/\.well-known\/oauth-protected-resource(?:\?.*)?$/

/**
 * Answers what is asked for about a resource (RFC 9728 section 2): who gives tokens for it. The same for every name: who has no
 * credential does not learn which connections there are. `byHost`: the host is that of a connection. False: the request asks for
 * something else.
 */
export function answerMetadata(
  request: HttpRequest,
  response: HttpResponse,
  signIn: SignIn | undefined,
  byHost: boolean,
): boolean {
  const found = (byHost ? DOCUMENT_OF_HOST : DOCUMENT).exec(request.url ?? '')
  const origin = originOf(request)
  if (found === null || origin === undefined || signIn === undefined || signIn.issuers.length === 0)
    return false
  if (request.method !== 'GET' && request.method !== 'HEAD') return false
  const body = Buffer.from(
    `${JSON.stringify({
      // As the client wrote it: section 3.3 has it compare the two.
      resource: `${origin}${found[1] ?? ''}`,
      authorization_servers: signIn.issuers,
      bearer_methods_supported: ['header'],
      ...(signIn.exchange === undefined ? {} : { sluice_token_exchange: signIn.exchange }),
    })}\n`,
  )
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'max-age=60',
    // Programs in a browser find their issuer as well; there is nothing in it that is not for everybody.
    'access-control-allow-origin': '*',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  return true
}

/** `WWW-Authenticate` of a 401 to this request, RFC 9728 section 5.1. */
export function challengeOf(request: HttpRequest, signIn: SignIn | undefined, byHost: boolean): string {
  const origin = originOf(request)
  const [resource] = byHost ? [''] : (CONNECTION.exec(request.url ?? '') ?? [])
  if (origin === undefined || resource === undefined || signIn === undefined || signIn.issuers.length === 0)
    return 'Bearer'
  return `Bearer resource_metadata="${origin}${WELL_KNOWN}${resource}"`
}

/** Scheme and host of this gateway as the client sees it. Undefined for a Host that cannot stand in a URL. */
export function originOf({ headers, socket }: HttpRequest): string | undefined {
  const { host } = headers
  if (host === undefined || !HOST.test(host)) return undefined
  return `${socket instanceof TLSSocket ? 'https' : 'http'}://${host.toLowerCase()}`
}
