import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, Http2Session } from 'node:http2'
import { constants, createServer } from 'node:http2'
import type { Socket } from 'node:net'
import { LIMITS } from '../../../core/index.ts'
import type { HttpRequest, HttpResponse } from '../sides.ts'

type OnRequest = (request: HttpRequest, response: HttpResponse, isAwaited: boolean) => void

/** HTTP/2 (RFC 9113) for clients that agree on it: each stream of a line is a request like any other. */
export class Http2Lines {
  readonly #server
  readonly #sessions = new Map<Http2Session, Socket>()

  constructor(onRequest: OnRequest) {
    this.#server = createServer({
      settings: {
        enablePush: false,
        // What is beyond waits at the client, instead of being refused here.
        maxConcurrentStreams: LIMITS.httpRequestsPerSocketMax,
        maxHeaderListSize: LIMITS.httpHeadBytesMax,
      },
      maxHeaderListPairs: LIMITS.http2FieldsMax,
      maxSessionMemory: LIMITS.http2LineMiBMax,
      maxSessionInvalidFrames: LIMITS.http2InvalidFramesMax,
      maxSessionRejectedStreams: LIMITS.http2RefusedStreamsMax,
      streamResetBurst: LIMITS.http2ResetsAtOnceMax,
      streamResetRate: LIMITS.http2ResetsPerSecondMax,
    })
    const taken =
      (isAwaited: boolean) =>
      (asked: Http2ServerRequest, answer: Http2ServerResponse): void => {
        const socket =
          asked.stream.session === undefined ? undefined : this.#sessions.get(asked.stream.session)
        // A line that is gone has nobody to answer.
        if (socket === undefined) return
        const request = new Http2Request(asked, socket)
        onRequest(request, new Http2Response(answer, request), isAwaited)
      }
    this.#server.on('request', taken(false))
    this.#server.on('checkContinue', taken(true))
  }

  /** A line on which the client speaks HTTP/2. */
  take(socket: Socket): void {
    this.#server.once('session', (session) => {
      this.#sessions.set(session, socket)
      session.once('close', () => this.#sessions.delete(session))
      session.setTimeout(LIMITS.httpSessionIdleMs, () => session.close())
    })
    this.#server.emit('connection', socket)
  }

  close(): void {
    for (const session of this.#sessions.keys()) session.destroy()
  }
}

/** A stream as a request: without pseudo fields, and with a host. */
class Http2Request implements HttpRequest {
  readonly #asked: Http2ServerRequest
  readonly socket: Socket
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]

  constructor(asked: Http2ServerRequest, socket: Socket) {
    this.#asked = asked
    this.socket = socket
    const { ':authority': authority } = asked.headers
    const host = asked.headers.host
    // Beside another one, the host stands there twice, and is refused for that. RFC 9113 section 8.3.1.
    const isNew = typeof authority === 'string' && authority.toLowerCase() !== host?.toLowerCase()
    const raw = asked.rawHeaders
    const own = raw.filter((_, i) => !(raw[i - (i % 2)] ?? '').startsWith(':'))
    this.rawHeaders = isNew ? ['host', authority, ...own] : own
    const named = Object.entries(asked.headers).filter(([name]) => !name.startsWith(':'))
    this.headers = { ...Object.fromEntries(named), ...(isNew ? { host: authority } : {}) }
  }

  get method(): string {
    return this.#asked.method
  }

  get url(): string {
    return this.#asked.url
  }

  get httpVersion(): string {
    return this.#asked.httpVersion
  }

  get httpVersionMajor(): number {
    return this.#asked.httpVersionMajor
  }

  get complete(): boolean {
    return this.#asked.stream.endAfterHeaders || this.#asked.complete
  }

  get destroyed(): boolean {
    return this.#asked.destroyed || this.#asked.stream.destroyed
  }

  get readableEnded(): boolean {
    return this.#asked.readableEnded
  }

  get isOpen(): boolean {
    return !this.#asked.stream.endAfterHeaders
  }

  read(): unknown {
    return this.#asked.read()
  }

  on(event: string, listener: () => void): void {
    this.#asked.on(event, listener)
  }

  off(event: string, listener: () => void): void {
    this.#asked.off(event, listener)
  }
}

/** Fields of a line, which HTTP/2 does not have. RFC 9113 section 8.2.2. */
const OF_LINE: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])

class Http2Response implements HttpResponse {
  readonly #answer: Http2ServerResponse
  readonly req: HttpRequest
  /** Other streams go on whatever becomes of this one. */
  shouldKeepAlive = true

  constructor(answer: Http2ServerResponse, request: HttpRequest) {
    this.#answer = answer
    this.req = request
    // The rest of a body that nobody reads: the client is told to keep it. RFC 9113 section 8.1.
    answer.once('finish', () => {
      if (!request.complete) answer.stream.close(constants.NGHTTP2_NO_ERROR)
    })
  }

  get headersSent(): boolean {
    return this.#answer.headersSent
  }

  get destroyed(): boolean {
    return this.#answer.stream.destroyed || this.#answer.stream.closed
  }

  get writableNeedDrain(): boolean {
    return this.#answer.stream.writableNeedDrain
  }

  get chunkedEncoding(): boolean {
    return this.headersSent && !this.#answer.stream.writableEnded && !this.#answer.hasHeader('content-length')
  }

  writeContinue(): void {
    this.#answer.writeContinue()
  }

  writeHead(status: number, headers: OutgoingHttpHeaders | string[]): void {
    const pairs = Array.isArray(headers)
      ? headers.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, headers[i + 1] ?? '']] : []))
      : Object.entries(headers).map(([name, value]): [string, string] => [name, String(value ?? '')])
    for (const [name, value] of pairs) {
      if (!OF_LINE.has(name.toLowerCase())) this.#answer.appendHeader(name, value)
    }
    this.#answer.writeHead(status)
  }

  write(bytes: Uint8Array): boolean {
    return this.#answer.write(bytes)
  }

  addTrailers(fields: [string, string][]): void {
    const joined = new Map<string, string>()
    for (const [name, value] of fields) {
      const before = joined.get(name)
      joined.set(name, before === undefined ? value : `${before}, ${value}`)
    }
    this.#answer.addTrailers(Object.fromEntries(joined))
  }

  end(last?: Uint8Array, then?: () => void): void {
    if (last === undefined) this.#answer.end(then)
    else this.#answer.end(last, then)
  }

  destroy(): void {
    this.#answer.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  on(event: string, listener: () => void): void {
    this.#answer.on(event, listener)
  }

  once(event: string, listener: () => void): void {
    this.#answer.once(event, listener)
  }

  off(event: string, listener: () => void): void {
    this.#answer.off(event, listener)
  }
}
