import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ClientOptions } from 'ws'
import { WebSocket, WebSocketServer } from 'ws'
import type { ServerTls } from '../core/index.ts'
import type { Minted } from '../identity/index.ts'
import { HttpStage } from './http-stage.ts'
import { until } from './world.ts'

/** A WebSocket of the fake API, with all that came to it. */
export type UpstreamLine = {
  readonly socket: WebSocket
  readonly request: IncomingMessage
  readonly got: string[]
  closed: number | undefined
}

/** A client's WebSocket, with all that it saw. */
export type ClientLine = {
  readonly socket: WebSocket
  readonly got: (string | Buffer)[]
  closed: { readonly code: number; readonly reason: string } | undefined
}

/** A gateway for HTTP with a fake API behind it whose paths are WebSockets: all of a real library, on loopback. */
export class WebSocketStage {
  readonly http: HttpStage
  readonly lines: UpstreamLine[] = []
  /** Its configuration, for one that is put in force later. */
  readonly connection: string
  readonly #server: WebSocketServer

  readonly #unlisten: () => void

  private constructor(http: HttpStage, server: WebSocketServer, connection: string, unlisten: () => void) {
    this.#unlisten = unlisten
    this.connection = connection
    this.http = http
    this.#server = server
    server.on('connection', (socket, request) => {
      const line: UpstreamLine = { socket, request, got: [], closed: undefined }
      this.lines.push(line)
      socket.on('message', (data: Buffer, isBinary) => {
        http.world.journal.forwarded(data)
        line.got.push(isBinary ? data.toString('hex') : data.toString())
      })
      socket.on('error', () => undefined)
      socket.on('close', (code) => {
        line.closed = code
      })
    })
  }

  /** `routes`: more of them, and labels, as they stand in the connection. */
  static async open(
    options: {
      readonly more?: string
      readonly labels?: string
      readonly upgrades?: (request: IncomingMessage) => boolean
      readonly protocols?: readonly string[]
      /** For both sides; the configuration of the listener beside it. */
      readonly tls?: ServerTls
      readonly listen?: string
    } = {},
  ): Promise<WebSocketStage> {
    const { tls } = options
    const listener =
      tls === undefined ? createServer() : createTlsServer({ cert: tls.certificate, key: tls.key.reveal() })
    const server = new WebSocketServer({
      server: listener,
      verifyClient: ({ req }: { readonly req: IncomingMessage }) => options.upgrades?.(req) ?? true,
      handleProtocols: (offered) => options.protocols?.find((each) => offered.has(each)) ?? false,
    })
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    const connection = `  api:
    protocol: http
    upstream: { url: "http${tls === undefined ? '' : 's'}://127.0.0.1:${port}", bearer: "\${env:TOKEN}" }
    routes:
      - { method: WEBSOCKET, path: /open, class: read }
      - { method: WEBSOCKET, path: /masked, class: read }
      - { method: WEBSOCKET, path: /found, class: read }
      - { method: WEBSOCKET, path: /asked }
      - { method: GET, path: /plain, class: read }${options.more ?? ''}
    labels:
      "/masked: **.email": pii.email
      "/found: detect email": pii.email
    limit: { rows: 10, bytes: 16MiB }
    patience: 30s`
    const http = await HttpStage.open({
      connection: () => connection,
      ...(options.listen === undefined ? {} : { listen: options.listen }),
      ...(tls === undefined ? {} : { tls }),
    })
    return new WebSocketStage(http, server, connection, () => listener.close())
  }

  /** Opens one, as a client of a real library does. Rejects with the status of a refusal and its body. */
  async open(
    path: string,
    options: {
      readonly minted?: Minted
      readonly protocols?: readonly string[]
      readonly more?: ClientOptions
      /** Another way to it than `/c/api` in clear. */
      readonly base?: string
    } = {},
  ): Promise<ClientLine> {
    const minted = options.minted ?? (await this.http.world.mint('http', 'api'))
    const socket = new WebSocket(
      `${options.base ?? `ws://127.0.0.1:${this.http.port}/c/api`}${path}`,
      [...(options.protocols ?? [])],
      {
        headers: { authorization: `Bearer ${minted.secret.reveal()}` },
        ...options.more,
      },
    )
    const line: ClientLine = { socket, got: [], closed: undefined }
    socket.on('message', (data: Buffer, isBinary) => line.got.push(isBinary ? data : data.toString()))
    socket.on('error', () => undefined)
    socket.on('close', (code, reason) => {
      line.closed = { code, reason: reason.toString() }
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve())
      socket.once('error', reject)
      socket.once('unexpected-response', (_request, response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          reject(new Refused(response.statusCode ?? 0, Buffer.concat(chunks).toString())),
        )
      })
    })
    return line
  }

  /** What the client of a refused upgrade was told. */
  async refused(path: string, options: Parameters<WebSocketStage['open']>[1] = {}): Promise<Refused> {
    try {
      const { socket } = await this.open(path, options)
      socket.terminate()
    } catch (error) {
      if (error instanceof Refused) return error
      throw error
    }
    throw new Error('it was not refused')
  }

  /** The upstream's side of the last one that was opened. */
  async upstream(): Promise<UpstreamLine> {
    await until('the upstream has a line', () => this.lines.length > 0)
    const line = this.lines.at(-1)
    if (line === undefined) throw new Error('there is none')
    return line
  }

  async close(): Promise<void> {
    for (const client of this.#server.clients) client.terminate()
    this.#server.close()
    this.#unlisten()
    await this.http.close()
  }
}

export class Refused extends Error {
  readonly status: number
  readonly body: string

  constructor(status: number, body: string) {
    super(`${status}: ${body}`)
    this.status = status
    this.body = body
  }
}
