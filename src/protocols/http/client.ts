import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Command, Connection, ConnectionName, GatewayError as Failure } from '../../core/index.ts'
import { asGatewayError, brand, GatewayError, isGatewayError, isLoopback, LIMITS } from '../../core/index.ts'
import type { Held, Judgement, Permitted, ProtocolContext } from '../../session/index.ts'
import { isHeld, patienceOf } from '../../session/index.ts'
import { REFLECTED } from '../../upstream-credentials/index.ts'
import type { Target } from '../../wire/http/index.ts'
import {
  meaningOfHeaders,
  parseTarget,
  refuseAmbiguousHead,
  requestHeaders,
  unconditional,
} from '../../wire/http/index.ts'
import { factsOf, findRoute, refuseAnotherMethod, rulesOf } from './commands.ts'
import type { Route } from './commands.ts'
import { sendProblem } from './errors.ts'
import { masksAnything, relayAnswer } from './results.ts'
import { sealedRequest } from './sealing.ts'
import { HttpSessions } from './sessions.ts'
import type { HttpSession } from './sessions.ts'
import type { HttpSettings } from './settings.ts'
import type { Taken } from './slots.ts'
import { noToken, refuseElsewhere, takeToken, tooManyTokens } from './slots.ts'
import type { Answer } from './upstream.ts'
import { Upstreams } from './upstreams.ts'

const TLS_HANDSHAKE = 0x16

/** `/c/NAME` in front of every path says which connection is meant. */
const PREFIX = /^\/c\/([a-z][a-z0-9_-]{0,62})(\/.*)$/

/** Serves HTTP clients: token, connection, route, decision, upstream, answer. One request is one command. */
export class HttpServer {
  readonly #context: ProtocolContext
  readonly #plain: Server
  readonly #tls: Server | undefined
  readonly #sessions: HttpSessions
  readonly #upstreams: Upstreams
  /** By the client's address and port, which a TLS socket and the one beneath it have in common. */
  readonly #admitted = new Map<string, () => void>()

  constructor(context: ProtocolContext) {
    this.#context = context
    this.#sessions = new HttpSessions(context)
    this.#upstreams = new Upstreams({
      clock: context.gateway.clock,
      resolveSecret: (reference) => context.resolveSecret(reference),
      forgetSecret: (reference) => context.forgetSecret(reference),
      report: (error) => context.report(error),
    })
    const limits = {
      maxHeaderSize: LIMITS.httpHeadBytesMax,
      requestTimeout: 60_000,
      headersTimeout: LIMITS.handshakeMs,
      keepAliveTimeout: LIMITS.httpSessionIdleMs,
      insecureHTTPParser: false,
      requireHostHeader: true,
    }
    this.#plain = this.#prepare(createServer(limits))
    if (context.tls !== undefined) {
      const { certificate, key } = context.tls
      const made = createTlsServer({ ...limits, cert: certificate, key: key.reveal(), minVersion: 'TLSv1.2' })
      this.#tls = this.#prepare(made)
    }
  }

  accept(socket: Socket, admitted: () => void): void {
    const peer = peerOf(socket)
    this.#admitted.set(peer, admitted)
    socket.once('close', () => this.#admitted.delete(peer))
    const { tls, tlsRequired } = this.#context
    if (tls === undefined || this.#tls === undefined) {
      this.#plain.emit('connection', socket)
      return
    }
    const secure = this.#tls
    // One port for both: a TLS client begins with a handshake record, RFC 8446 section 5.1.
    socket.once('data', (first) => {
      socket.pause()
      socket.unshift(first)
      if (first[0] === TLS_HANDSHAKE) secure.emit('connection', socket)
      else if (tlsRequired) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
      else this.#plain.emit('connection', socket)
    })
  }

  #prepare<S extends Server>(server: S): S {
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#request(request, response),
    )
    server.on('upgrade', (_request: IncomingMessage, socket: Socket) => socket.destroy())
    server.on('clientError', (_error: Error, socket: Socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
      else socket.destroy()
    })
    return server
  }

  async close(): Promise<void> {
    for (const server of [this.#plain, this.#tls]) {
      server?.closeAllConnections()
      server?.close()
    }
    await this.#upstreams.close()
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    this.#serve(request, response).catch((error: unknown) => {
      if (!isGatewayError(error)) this.#context.report(error)
      sendProblem(response, asGatewayError(error))
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    refuseClear(request.socket)
    // A request line without a version is HTTP/0.9, which has no fields; ours would be read by some and not by others.
    if (request.httpVersionMajor !== 1) throw new GatewayError('unsupported', 'Speak HTTP/1.1.')
    refuseAmbiguousHead(request.rawHeaders, request.httpVersion)
    const { name, rest } = placeOf(request)
    const { token, headers, target: bare } = this.#taken(request, name, rest)
    const connection = this.#connection(name)
    refuseElsewhere(token, requestHeaders(headers), bare)
    const target = parseTarget(bare)
    this.#admitted.get(peerOf(request.socket))?.()
    const body = await bodyOf(request)
    // Once more: a body may take its time, and the credential may have ended meanwhile.
    const credential = this.#context.credentials.admitToken(token, connection.name)
    const session = this.#sessions.enter(
      request.socket,
      credential,
      connection,
      request.headers['user-agent'] ?? '',
    )
    const gone = new AbortController()
    const stop = (reason: Failure): void => gone.abort(reason)
    session.stops.add(stop)
    try {
      await this.#command(request, response, session, connection, { target, headers, body }, gone)
    } catch (error) {
      // Ended from outside: that is the reason, whatever it made fail.
      throw isGatewayError(gone.signal.reason) ? gone.signal.reason : error
    } finally {
      session.stops.delete(stop)
      this.#sessions.leave(session)
    }
  }

  /**
   * The request without its token. The token is admitted before anything is said of the connection: who has no credential for it
   * does not learn whether it exists, nor what its slots are.
   */
  #taken(request: IncomingMessage, name: ConnectionName, rest: string): Taken & { readonly token: string } {
    const connection = this.#context.connection(name)
    const slots =
      connection !== undefined && isOurs(connection) ? connection.settings.client.slots : undefined
    const taken = takeToken(slots, request.rawHeaders, rest)
    const [token, ...more] = taken.tokens
    if (token === undefined) throw this.#withoutToken(request, name, rest)
    this.#context.credentials.admitToken(token, name)
    if (more.length > 0) throw tooManyTokens()
    return { ...taken, token }
  }

  /** Where nothing stands in a slot of this connection, a bearer token is looked at as it would be without a connection. */
  #withoutToken(request: IncomingMessage, name: ConnectionName, rest: string): Failure {
    const [bearer] = takeToken(undefined, request.rawHeaders, rest).tokens
    if (bearer === undefined) return noToken()
    try {
      this.#context.credentials.admitToken(bearer, name)
    } catch (error) {
      return asGatewayError(error)
    }
    return new GatewayError('unauthenticated', 'Show the token where this connection wants it.', {
      remedy: 'An administrator reads that under client.slots.',
      retry: 'only-if-changed',
    })
  }

  #connection(name: ConnectionName): Connection<HttpSettings> {
    const connection = this.#context.connection(name)
    if (connection === undefined || !isOurs(connection)) throw nowhere()
    return connection
  }

  async #command(
    request: IncomingMessage,
    response: ServerResponse,
    { session }: HttpSession,
    connection: Connection<HttpSettings>,
    asked: { readonly target: Target; readonly headers: readonly string[]; readonly body: Buffer },
    gone: AbortController,
  ): Promise<void> {
    const { target, body } = asked
    const method = request.method ?? ''
    const written = `${method} ${target.path}${target.query === '' ? '' : `?${target.query}`}`
    const upstream = this.#upstreams.of(connection)
    let route: Route
    try {
      route = findRoute(upstream.routes, method, target)
      upstream.refuseFilled(target.query)
      refuseAnotherMethod(target, request.headers['content-type'] ?? '', body)
    } catch (error) {
      const refused = session.stepUnreadable('request', written, asGatewayError(error))
      await session.afterTurn()
      throw refused
    }
    const key = `${route.method} ${route.pattern.text}\n${written}`
    const judgement = session.cached('', key) ?? session.judge('', key, factsOf(route, method, target))
    const headers = upstream.ownFields(requestHeaders(asked.headers))
    const recorded = sealedRequest(written, body, judgement.facts.labels)
    const command: Command = {
      form: 'request',
      text: written,
      // Approvers do not see the fields: an approval is for the request with these and no others.
      meaning: meaningOfHeaders(headers),
      facts: judgement.facts,
      ...(body.length === 0 ? {} : { parameters: [body] }),
      ...(recorded === undefined ? {} : { recorded }),
    }
    response.once('close', () => gone.abort('gone'))
    const permit = await permitted(session, command, judgement, gone.signal)
    const { decision } = judgement
    const rules = decision.kind === 'deny' ? { paths: [] } : rulesOf(route, decision.masks)
    try {
      const ready = await upstream.ready({
        method,
        target: `${target.path}${target.query === '' ? '' : `?${target.query}`}`,
        headers: isReading(method) && masksAnything(rules) ? unconditional(headers) : headers,
        body,
        signal: gone.signal,
      })
      // The command and its decision are in the recording before the request leaves.
      let sent: Promise<Answer> | undefined
      session.perform(permit, () => {
        sent = upstream.request(ready)
      })
      await session.afterTurn()
      const answer = await sent
      if (answer === undefined) throw new Error('a recorded request was not sent')

      await relayAnswer(session, permit, answer, rules, response, method)
      session.finish(permit, 'ok', String(answer.status))
    } catch (error) {
      const failure = asGatewayError(error)
      // Of what is no refusal, whoever runs this learns: a secret of theirs is in the wrong hands.
      const reflected = failure.facts['reason'] === REFLECTED
      if (reflected) this.#context.report(failure)
      session.finish(permit, outcomeOf(failure, gone.signal), reflected ? REFLECTED : failure.code)
      throw withRequest(failure, session.requestId(permit.n))
    } finally {
      await session.afterTurn()
    }
  }
}

async function permitted(
  session: HttpSession['session'],
  command: Command,
  judgement: Judgement,
  signal: AbortSignal,
): Promise<Permitted> {
  let step: Permitted | Held
  try {
    step = session.step(command, judgement)
  } catch (error) {
    await session.afterTurn()
    throw error
  }
  if (!isHeld(step)) return step
  const patienceMs = patienceOf(session.connection, session.opening.program)
  return session.hold(step, { signal, patienceMs, told: () => undefined })
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`
}

function outcomeOf(error: Failure, signal: AbortSignal): 'lost' | 'cut' | 'error' | 'refused' {
  if (signal.aborted) return 'lost'
  if (error.code === 'limit_exceeded') return 'cut'
  const withheld = error.code === 'denied' || error.facts['reason'] === REFLECTED
  return withheld ? 'refused' : 'error'
}

function withRequest(error: Failure, requestId: Failure['requestId']): Failure {
  if (error.requestId !== undefined || requestId === undefined) return error
  return new GatewayError(error.code, error.message, {
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    retry: error.retry,
    requestId,
    cause: error.cause,
    facts: error.facts,
  })
}

/** What a condition would hold back is an answer and nothing else. RFC 9110 section 9.2.1. */
function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** The configuration has read the settings of every connection of ours by our schema. */
function isOurs(connection: Connection): connection is Connection<HttpSettings> {
  return connection.protocol === 'http'
}

/** Whoever listens on the way could use the token until it expires; so none is taken that came in clear. */
function refuseClear(socket: Socket): void {
  if (socket instanceof TLSSocket || isLoopback(socket.remoteAddress ?? '')) return
  throw new GatewayError('unauthenticated', 'Connect with TLS: tokens are taken in clear only on loopback.', {
    remedy: 'Use an https:// URL, and revoke the token that was sent.',
    retry: 'only-if-changed',
  })
}

/** `/c/NAME/...` taken apart. */
function placeOf(request: IncomingMessage): { readonly name: ConnectionName; readonly rest: string } {
  const [, name, rest] = PREFIX.exec(request.url ?? '') ?? []
  if (name === undefined || rest === undefined) throw nowhere()
  return { name: brand<ConnectionName>(name), rest }
}

function nowhere(): Failure {
  return new GatewayError('connection_unknown', 'Name a connection in the path: /c/NAME/...', {
    remedy: 'List the connections with: sluice connections ls',
    retry: 'only-if-changed',
  })
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  try {
    return await wholeBody(request)
  } catch (cause) {
    if (isGatewayError(cause)) throw cause
    throw new GatewayError('canceled', 'The client went away.', { cause })
  }
}

async function wholeBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > LIMITS.httpRequestBodyBytesMax) {
      throw new GatewayError(
        'limit_exceeded',
        `Send a body of at most ${LIMITS.httpRequestBodyBytesMax} bytes.`,
        {
          retry: 'only-if-changed',
        },
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
