import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Connection, ConnectionName, GatewayError as Failure } from '../../../core/index.ts'
import { asGatewayError, GatewayError, isGatewayError, LIMITS } from '../../../core/index.ts'
import type { ProtocolContext } from '../../../session/index.ts'
import { parseTarget, refuseAmbiguousHead, requestHeaders } from '../../../wire/http/index.ts'
import { sendProblem } from '../errors.ts'
import { answerMetadata, challengeOf } from '../resource-metadata.ts'
import { RequestCommand } from '../requests/command.ts'
import { RequestBody } from '../requests/request-body.ts'
import type { HttpSettings } from '../settings.ts'
import { Upstreams } from '../upstream/upstreams.ts'
import { isOurs, nowhere, peerOf, placeOf, refuseClear } from './place.ts'
import { HttpSessions } from './sessions.ts'
import type { Taken } from './slots.ts'
import { noToken, refuseElsewhere, takeToken, tooManyTokens } from './slots.ts'

const TLS_HANDSHAKE = 0x16

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
      // A body may take as long as it moves: whoever takes it says when it has stopped.
      requestTimeout: 0,
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
      this.#request(request, response, false),
    )
    // Node would tell the client to go on before anybody has looked at its request.
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#request(request, response, true),
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

  #request(request: IncomingMessage, response: ServerResponse, isAwaited: boolean): void {
    const body = new RequestBody(request, response, isAwaited)
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

  async #refuse(response: ServerResponse, body: RequestBody, error: Failure): Promise<void> {
    if (response.headersSent) {
      // Too late to say why: cut, so that nobody takes half an answer for a whole one.
      response.destroy()
      return
    }
    const isComplete = await body.leave(LIMITS.httpBodyRestMs)
    if (response.destroyed) return
    sendProblem(response, error, !isComplete, challengeOf(response.req, this.#context.signIn?.()))
    if (isComplete) return
    // A client that sends on reads the answer only if its line is not closed under it.
    await body.leave(LIMITS.httpBodyLingerMs)
    response.end()
  }

  async #serve(request: IncomingMessage, response: ServerResponse, body: RequestBody): Promise<void> {
    refuseClear(request.socket)
    // A request line without a version is HTTP/0.9, which has no fields; ours would be read by some and not by others.
    if (request.httpVersionMajor !== 1) throw new GatewayError('unsupported', 'Speak HTTP/1.1.')
    refuseAmbiguousHead(request.rawHeaders, request.httpVersion)
    if (answerMetadata(request, response, this.#context.signIn?.())) return
    const { name, rest } = placeOf(request)
    const { token, headers, target: bare } = this.#taken(request, name, rest)
    const connection = this.#connection(name)
    refuseElsewhere(token, requestHeaders(headers), bare)
    const target = parseTarget(bare)
    this.#admitted.get(peerOf(request.socket))?.()
    const inHand = body.isShort ? await body.whole('it is short') : undefined
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
      const parts = {
        report: (error: unknown) => this.#context.report(error),
        session: session.session,
        connection,
        upstream: this.#upstreams.of(connection),
      }
      const asked = { request, response, target, headers, body, inHand }
      await new RequestCommand(parts, asked, gone).run()
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
}
