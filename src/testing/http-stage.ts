import type { Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer as createListener } from 'node:net'
import type { ServerTls } from '../core/index.ts'
import type { Minted } from '../identity/index.ts'
import { http } from '../protocols/http/index.ts'
import { FakeNetwork } from './fake-network.ts'
import { configurationOf, until, World } from './world.ts'

export const UPSTREAM_TOKEN = 'upstream-canary-token'
export const HTTP_CANARIES = ['canary.alice@example.com', 'canary-card-4111'] as const

/** What the fake upstream was asked, in order. */
export type Asked = {
  readonly request: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export type HttpAnswer = (response: ServerResponse, asked: Asked) => void

/** The connection of a stage, as it stands in its configuration. */
export function httpConnection(port: number, more = ''): string {
  return `  api:
    protocol: http
    upstream: { url: "http://127.0.0.1:${port}", bearer: "\${env:TOKEN}" }
    routes:
      - { method: GET, path: /customers, class: read }
      - { method: GET, path: "/customers/{id}", class: read }
      - { method: GET, path: /numbers, class: read }
      - { method: GET, path: /notes, class: read }
      - { method: GET, path: /slow, class: read }
      - { method: HEAD, path: /customers, class: read }
      - { method: POST, path: "/orders/{id}", class: write }
      - { method: DELETE, path: /customers, class: define }
    labels:
      "/customers: **.email": pii.email
      "/customers/{id}: **.email": pii.email
      "/customers: items[].card": secret
      "/customers/{id}: card": secret
      "/notes: detect email": pii.email
      "/notes: detect vendor-token": secret
    limit: { rows: 10, bytes: 16KiB }
    patience: 30s${more}`
}

/** A gateway for HTTP with a fake API behind it, both on loopback, because node:http and undici want sockets. */
export class HttpStage {
  readonly world: World
  readonly asked: Asked[]
  readonly port: number
  readonly upstreamPort: number
  /** What `${env:NAME}` gives, read anew each time. */
  readonly secrets: Record<string, string>
  readonly #answers: Map<string, HttpAnswer>
  readonly #close: () => Promise<void>
  readonly #upstream: Server

  private constructor(parts: {
    world: World
    asked: Asked[]
    answers: Map<string, HttpAnswer>
    port: number
    upstreamPort: number
    secrets: Record<string, string>
    upstream: Server
    close: () => Promise<void>
  }) {
    this.world = parts.world
    this.asked = parts.asked
    this.port = parts.port
    this.upstreamPort = parts.upstreamPort
    this.secrets = parts.secrets
    this.#answers = parts.answers
    this.#upstream = parts.upstream
    this.#close = parts.close
  }

  /**
   * `connection`: another than `httpConnection`, for the port of the fake API. `listen`: of the configuration. `rules`: others than those of
   * `configurationOf`.
   */
  static async open(
    options: {
      readonly connection?: (port: number) => string
      readonly listen?: string
      readonly rules?: string
      readonly tls?: ServerTls
      /** Whose tokens are exchanged. */
      readonly issuer?: string
      readonly secrets?: Readonly<Record<string, string>>
    } = {},
  ): Promise<HttpStage> {
    const secrets: Record<string, string> = { TOKEN: UPSTREAM_TOKEN, ...options.secrets }
    const asked: Asked[] = []
    const answers = new Map<string, HttpAnswer>()
    const upstream = createServer((request, response) => {
      const name = `${request.method} ${request.url}`
      world.journal.forwarded(Buffer.from(name))
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const all = { request: name, headers: request.headers, body: Buffer.concat(chunks).toString() }
        asked.push(all)
        const answer = answers.get(name)
        if (answer === undefined) response.writeHead(404).end()
        else answer(response, all)
      })
    })
    const upstreamPort = await listening(upstream)
    const world = await World.open({
      configuration: `${options.listen ?? ''}${configurationOf((options.connection ?? httpConnection)(upstreamPort), options.rules)}`,
      network: new FakeNetwork(),
      secrets,
    })
    const protocol = http.serve({
      ...world.context(options.tls),
      hosts: () => world.config.listeners.get('http')?.hosts,
      signIn: () => ({ issuers: options.issuer === undefined ? [] : [options.issuer] }),
    })
    const sockets = new Set<Socket>()
    const listener = createListener((socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      if (protocol.takes !== 'socket') throw new Error('this protocol takes sockets')
      protocol.accept(socket, () => undefined)
    })
    const port = await listening(listener)
    const close = async (): Promise<void> => {
      world.close()
      await protocol.close()
      for (const socket of sockets) socket.destroy()
      upstream.closeAllConnections()
      await Promise.all([ended(listener), ended(upstream)])
    }
    return new HttpStage({ world, asked, answers, port, upstreamPort, secrets, upstream, close })
  }

  /** `GET /customers`: what the upstream answers. */
  answer(request: string, answer: HttpAnswer): this {
    this.#answers.set(request, answer)
    return this
  }

  json(request: string, body: unknown, status = 200, type = 'application/json'): this {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    return this.answer(request, (response) => {
      response.writeHead(status, { 'content-type': type, 'content-length': bytes.length }).end(bytes)
    })
  }

  async client(minted?: Minted): Promise<HttpStageClient> {
    const used = minted ?? (await this.world.mint('http', 'api'))
    const client = new HttpStageClient(this.port, used.secret.reveal())
    await client.ready
    return client
  }

  cutUpstream(): void {
    this.#upstream.closeAllConnections()
  }

  close(): Promise<void> {
    return this.#close()
  }
}

export type HttpReply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Fields behind a body in chunks. */
  readonly trailers?: Readonly<Record<string, string>>
  readonly body: string
  /** False: the connection ended in the middle of it. */
  readonly whole: boolean
}

/** A client on one connection that keeps every byte it gets, and reads answers itself. */
export class HttpStageClient {
  readonly socket: Socket
  readonly ready: Promise<void>
  readonly #received: Buffer[] = []
  readonly token: string
  #read = 0
  ended = false

  constructor(port: number, token: string) {
    this.token = token
    this.socket = connect({ port, host: '127.0.0.1' })
    this.ready = new Promise((resolve, reject) => {
      this.socket.once('connect', () => resolve())
      this.socket.once('error', reject)
    })
    this.socket.on('data', (bytes) => this.#received.push(bytes))
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.ended = true
    })
  }

  received(): Buffer {
    return Buffer.concat(this.#received)
  }

  /** `GET /customers`, on the connection named. */
  async request(
    line: string,
    options: {
      readonly connection?: string
      readonly headers?: readonly string[]
      readonly body?: string
      readonly token?: string
    } = {},
  ): Promise<HttpReply> {
    const [method = '', path = ''] = line.split(' ')
    const body = options.body ?? ''
    const head = [
      `${method} /c/${options.connection ?? 'api'}${path} HTTP/1.1`,
      'host: gateway',
      `authorization: Bearer ${options.token ?? this.token}`,
      ...(body === '' && method !== 'POST' ? [] : [`content-length: ${Buffer.byteLength(body)}`]),
      ...(options.headers ?? []),
    ]
    return this.raw(`${head.join('\r\n')}\r\n\r\n${body}`, method === 'HEAD')
  }

  async raw(text: string | Buffer, headOnly = false): Promise<HttpReply> {
    this.socket.write(text)
    let reply: HttpReply | undefined
    await until(
      'an HTTP answer arrives',
      () => {
        reply = this.#next(headOnly)
        return reply !== undefined || this.ended
      },
      20_000,
    )
    return reply ?? this.#rest()
  }

  #next(headOnly: boolean): HttpReply | undefined {
    const text = this.received().subarray(this.#read).toString('latin1')
    const headEnd = text.indexOf('\r\n\r\n')
    if (headEnd < 0) return undefined
    const { status, headers } = headOf(text.slice(0, headEnd))
    const start = headEnd + 4
    const length =
      headOnly || status === 204 || status === 304 ? 0 : Number(headers['content-length'] ?? '-1')
    if (length >= 0) {
      if (text.length < start + length) return undefined
      this.#read += start + length
      return { status, headers, body: text.slice(start, start + length), whole: true }
    }
    if (headers['transfer-encoding'] !== 'chunked') return undefined
    const chunked = chunksOf(text, start)
    if (chunked === undefined) return undefined
    this.#read += chunked.end
    const trailers = headOf(`HTTP\r\n${chunked.trailers}`).headers
    return { status, headers, trailers, body: chunked.body, whole: true }
  }

  #rest(): HttpReply {
    const text = this.received().subarray(this.#read).toString('latin1')
    this.#read += text.length
    const headEnd = text.indexOf('\r\n\r\n')
    const { status, headers } = headOf(headEnd < 0 ? '' : text.slice(0, headEnd))
    return { status, headers, body: headEnd < 0 ? '' : text.slice(headEnd + 4), whole: false }
  }
}

/** A body in chunks, RFC 9112 section 7.1; undefined while its end has not come. */
function chunksOf(
  text: string,
  start: number,
): { readonly body: string; readonly trailers: string; readonly end: number } | undefined {
  let body = ''
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const length = Number.parseInt(text.slice(at, lineEnd), 16)
    if (length === 0) {
      const end = text.indexOf('\r\n\r\n', lineEnd)
      return end < 0 ? undefined : { body, trailers: text.slice(lineEnd + 2, end), end: end + 4 }
    }
    body += text.slice(lineEnd + 2, lineEnd + 2 + length)
    at = lineEnd + 2 + length + 2
    if (at > text.length) return undefined
  }
}

function headOf(head: string): { status: number; headers: Record<string, string> } {
  const [first = '', ...lines] = head.split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const at = line.indexOf(':')
    if (at < 0) continue
    headers[line.slice(0, at).toLowerCase()] = line.slice(at + 1).trim()
  }
  return { status: Number(first.split(' ')[1] ?? '0'), headers }
}

function listening(server: {
  listen(port: number, host: string, then: () => void): unknown
  address(): unknown
}): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function ended(server: { close(then: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
