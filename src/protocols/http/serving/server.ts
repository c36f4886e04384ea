import type { IncomingMessage, Server } from 'node:http'
import { createServer, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Server as TlsServer, TLSSocket } from 'node:tls'
import { createServer as createTlsServer } from 'node:tls'
import type { Connection, ConnectionName, GatewayError as Failure, ServerTls } from '../../../core/index.ts'
import { asGatewayError, GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'
import type { ProtocolContext, Session } from '../../../session/index.ts'
import type { Target } from '../../../wire/http/index.ts'
import {
  asksForWebSocket,
  parseTarget,
  refuseAmbiguousHead,
  requestHeaders,
} from '../../../wire/http/index.ts'
import { sendProblem } from '../errors.ts'
import { Allowance } from '../own/allowance.ts'
import { answerOwn, answerTooSoon, costOf } from '../own/answer.ts'
import { isOwnPath } from '../own/place.ts'
import { answerMetadata, challengeOf, originOf } from '../resource-metadata.ts'
import { RequestCommand } from '../requests/command.ts'
import { Outward } from '../requests/outward.ts'
import { RequestBody } from '../requests/request-body.ts'
import type { HttpSettings } from '../settings.ts'
import { Upstreams } from '../upstream/upstreams.ts'
import { UpgradeCommand } from '../websocket/upgrade.ts'
import type { HttpRequest, HttpResponse } from '../sides.ts'
import { connectionByHost, isNamedByHost } from './hosts.ts'
import { OwedAnswers } from './broken-line.ts'
import { Http2Lines } from './http2.ts'
import { isOurs, nowhere, peerOf, placeOf, refuseClear } from './place.ts'
import { HttpSessions } from './sessions.ts'
import type { Taken } from './slots.ts'
import { noToken, refuseElsewhere, takeToken, tooManyTokens } from './slots.ts'

const TLS_HANDSHAKE = 0x16

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** What a request is for. */
type Admission = {
  readonly connection: Connection<HttpSettings>
  readonly token: string
  /** Without the slots of the connection. */
  readonly headers: readonly string[]
  readonly target: Target
  readonly base: string
}

/** Refuses what came in clear over a network, and heads that are read in two ways. */
function refuseUnclear(request: HttpRequest): void {
  refuseClear(request.socket)
  // A request line without a version is HTTP/0.9, which has no fields, and one with 2.0 is none of HTTP/2: read by some and not by others.
  const spoken = request.isOpen === undefined ? 1 : 2
  if (request.httpVersionMajor !== spoken) throw new GatewayError('unsupported', 'Speak HTTP/1.1 or HTTP/2.')
  // HTTP/2 has whatever word a client likes.
  if (!METHODS.has(request.method ?? ''))
    throw new GatewayError('unsupported', 'This method is not spoken here.')
  refuseAmbiguousHead(request.rawHeaders, request.httpVersion)
}

/** Serves HTTP clients: token, connection, route, decision, upstream, answer. One request is one command. */
export class HttpServer {
  readonly #context: ProtocolContext
  readonly #plain: Server
  readonly #tls: TlsServer | undefined
  readonly #http2: Http2Lines
  readonly #sessions: HttpSessions
  readonly #upstreams: Upstreams
  readonly #owed = new OwedAnswers()
  readonly #outward: Outward
  readonly #allowance: Allowance
  /** By the client's address and port, which a TLS socket and the one beneath it have in common. */
  readonly #admitted = new Map<string, () => void>()

  /** Requests without an answer, by the line they came on. */
  readonly #busy = new Map<Socket, number>()

  constructor(context: ProtocolContext) {
    this.#context = context
    this.#sessions = new HttpSessions(context)
    this.#outward = new Outward(() => context.gateway.policy, context.configuredSecrets)
    this.#allowance = new Allowance(context.gateway.clock)
    this.#upstreams = new Upstreams({
      clock: context.gateway.clock,
      resolveSecret: (reference) => context.resolveSecret(reference),
      forgetSecret: (reference) => context.forgetSecret(reference),
      report: (error) => context.report(error),
    })
    const limits = {
      maxHeaderSize: LIMITS.httpHeadBytesMax,
      // A body may take as long as it moves: whoever takes it says when it has stopped.
      requestTimeout: 0,
      headersTimeout: LIMITS.handshakeMs,
      keepAliveTimeout: LIMITS.httpSessionIdleMs,
      insecureHTTPParser: false,
      requireHostHeader: true,
      // Every other upgrade is left out, as RFC 9110 section 7.8 lets everybody do; so is one with a request before it that has no answer yet.
      shouldUpgradeCallback: (request: IncomingMessage) =>
        asksForWebSocket(request.method, request.rawHeaders) && !this.#busy.has(request.socket),
    }
    this.#plain = this.#prepare(createServer(limits))
    this.#http2 = new Http2Lines((request, response, isAwaited) =>
      this.#request(request, response, isAwaited),
    )
    if (context.tls !== undefined) this.#tls = this.#secured(context.tls)
  }

  /** TLS, and behind it whichever HTTP client and gateway have agreed on (RFC 7301). */
  #secured({ certificate, key }: ServerTls): TlsServer {
    const server = createTlsServer({
      cert: certificate,
      key: key.reveal(),
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: LIMITS.handshakeMs,
    })
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => socket.destroy())
      if (socket.alpnProtocol === 'h2') this.#http2.take(socket)
      else this.#plain.emit('connection', socket)
    })
    return server
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
      if (first[0] === TLS_HANDSHAKE) {
        secure.emit('connection', socket)
        return
      }
      if (tlsRequired) {
        socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
        return
      }
      this.#plain.emit('connection', socket)
      socket.resume()
    })
  }

  #prepare(server: Server): Server {
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#request(request, response, false),
    )
    // Node would tell the client to go on before anybody has looked at its request.
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#request(request, response, true),
    )
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
    server.on('clientError', (_error: Error, socket: Socket) => this.#owed.endBroken(socket))
    return server
  }

  async close(): Promise<void> {
    this.#plain.closeAllConnections()
    this.#plain.close()
    this.#tls?.close()
    this.#http2.close()
    await this.#upstreams.close()
  }

  #request(request: HttpRequest, response: HttpResponse, isAwaited: boolean): void {
    this.#owed.add(request.socket, response)
    const body = new RequestBody(request, response, isAwaited)
    this.#counts(request.socket, response)
    this.#serve(request, response, body)
      .catch((error: unknown) => {
        if (!isGatewayError(error)) this.#context.report(error)
        return this.#refuse(response, body, asGatewayError(error))
      })
      .catch((error: unknown) => {
        this.#context.report(error)
        response.destroy()
      })
  }

  #counts(socket: Socket, response: HttpResponse): void {
    this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1)
    response.once('close', () => {
      const left = (this.#busy.get(socket) ?? 1) - 1
      if (left > 0) this.#busy.set(socket, left)
      else this.#busy.delete(socket)
    })
  }

  /** From here on node leaves the line alone: whoever took it answers on it, and ends it. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    this.#serveUpgrade(request, socket, head).catch((error: unknown) => {
      if (!isGatewayError(error)) this.#context.report(error)
      if (!socket.writable) {
        socket.destroy()
        return
      }
      const response = new ServerResponse(request)
      response.assignSocket(socket)
      sendProblem(response, asGatewayError(error), true, this.#challenge(request))
      response.end(() => socket.destroySoon())
    })
  }

  async #serveUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    // What comes before the answer would be read as frames by us, and as a request by others.
    if (head.length > 0)
      throw new GatewayError(
        'protocol_violation',
        'Wait for the answer to the upgrade before you send anything.',
      )
    refuseUnclear(request)
    const asked = this.#admission(request, connectionByHost(request, this.#context.hosts?.()))
    const { target, headers } = asked
    if (isOwnPath(target.path)) throw notOverWebSocket()
    const now = () => {
      const connection = this.#connection(asked.connection.name)
      return { connection, upstream: this.#upstreams.of(connection) }
    }
    await this.#within(request, asked, (session, gone) =>
      new UpgradeCommand(
        { context: this.#context, session, now },
        { request, socket, target, headers },
        gone,
      ).run(),
    )
  }

  async #refuse(response: HttpResponse, body: RequestBody, error: Failure): Promise<void> {
    if (response.headersSent) {
      // Too late to say why: cut, so that nobody takes half an answer for a whole one.
      response.destroy()
      return
    }
    const isComplete = await body.leave(LIMITS.httpBodyRestMs)
    if (response.destroyed) return
    sendProblem(response, error, !isComplete, this.#challenge(response.req))
    if (isComplete) return
    // A client that sends on reads the answer only if its line is not closed under it.
    await body.leave(LIMITS.httpBodyLingerMs)
    response.end()
  }

  #challenge(request: HttpRequest): string {
    return challengeOf(request, this.#context.signIn?.(), isNamedByHost(request, this.#context.hosts?.()))
  }

  async #serve(request: HttpRequest, response: HttpResponse, body: RequestBody): Promise<void> {
    refuseUnclear(request)
    const named = connectionByHost(request, this.#context.hosts?.())
    if (answerMetadata(request, response, this.#context.signIn?.(), named !== undefined)) return
    const asked = this.#admission(request, named)
    const { connection, target, headers, base } = asked
    if (isOwnPath(target.path)) return await this.#answerOwn(request, response, body, asked)
    const inHand = body.isShort ? await body.whole('it is short') : undefined
    await this.#within(request, asked, (session, gone) => {
      const parts = {
        report: (error: unknown) => this.#context.report(error),
        session,
        connection,
        upstream: this.#upstreams.of(connection),
        outward: this.#outward,
      }
      return new RequestCommand(parts, { request, response, target, base, headers, body, inHand }, gone).run()
    })
  }

  /** What the gateway says itself, to who asks below `/.sluice/`. */
  async #answerOwn(
    request: HttpRequest,
    response: HttpResponse,
    body: RequestBody,
    asked: Admission,
  ): Promise<void> {
    const { connection, target, token, base } = asked
    // What comes with a question is not read; nothing tells it from the next request.
    if (!body.isComplete) response.shouldKeepAlive = false
    const { chain } = this.#context.credentials.admitToken(token, connection.name)
    const { routes } = this.#upstreams.of(connection)
    const waitS = this.#allowance.take(chain, connection.name, costOf(target.path, routes))
    if (waitS > 0) return answerTooSoon(response, waitS)
    await this.#within(request, asked, (session) => {
      const now = (): number => this.#context.gateway.clock.now()
      const own = { session, connection, routes, base: `${originOf(request) ?? ''}${base}`, now }
      return answerOwn(own, { method: request.method ?? '', path: target.path, response })
    })
  }

  /** What a request is for, and with which token; it has one for a connection that there is. Throws GatewayError. */
  #admission(request: HttpRequest, named: ConnectionName | undefined): Admission {
    const { name, rest, base } = placeOf(request, named)
    const { token, headers, target: bare } = this.#taken(request, name, rest)
    const connection = this.#connection(name)
    refuseElsewhere(token, requestHeaders(headers), bare)
    const target = parseTarget(bare)
    this.#admitted.get(peerOf(request.socket))?.()
    return { connection, token, headers, target, base }
  }

  /** Does the work of a request within its session, which may end before the work does. */
  async #within(
    request: HttpRequest,
    { connection, token }: Admission,
    work: (session: Session, gone: AbortController) => Promise<void>,
  ): Promise<void> {
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
      await work(session.session, gone)
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
  #taken(request: HttpRequest, name: ConnectionName, rest: string): Taken & { readonly token: string } {
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
  #withoutToken(request: HttpRequest, name: ConnectionName, rest: string): Failure {
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
}

function notOverWebSocket(): GatewayError {
  return new GatewayError('unsupported', 'Ask the gateway itself without an upgrade.', {
    retry: 'only-if-changed',
  })
}
