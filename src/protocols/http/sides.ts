import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'

/** A request as far as it is read here: that of `node:http` as it is, that of `node:http2` by `serving/http2.ts`. */
export type HttpRequest = {
  readonly method?: string | undefined
  /** Path and query, as they were sent. */
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, with the host as one of them. */
  readonly rawHeaders: readonly string[]
  readonly httpVersion: string
  readonly httpVersionMajor: number
  /** The line that it came on, which other requests may share. */
  readonly socket: Socket
  readonly complete: boolean
  readonly destroyed: boolean
  readonly readableEnded: boolean
  /** Of HTTP/2: whether a body follows where no field says how long it is. Absent in HTTP/1.1, where none does. */
  readonly isOpen?: boolean
  read(): unknown
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
}

/** An answer as far as it is written here. */
export type HttpResponse = {
  readonly req: HttpRequest
  readonly headersSent: boolean
  readonly destroyed: boolean
  readonly writableNeedDrain: boolean
  /** There may be fields behind the body. */
  readonly chunkedEncoding: boolean
  /** False: nothing can come behind it on its line. */
  shouldKeepAlive: boolean
  writeContinue(): void
  writeHead(status: number, headers: OutgoingHttpHeaders | string[]): unknown
  write(bytes: Uint8Array): boolean
  /** Pairs of names and values. */
  addTrailers(fields: [string, string][]): void
  /** `then`: it is on its way. */
  end(last?: Uint8Array, then?: () => void): unknown
  /** Cuts it off, so that nobody takes what there is of it for the whole. */
  destroy(): unknown
  on(event: string, listener: () => void): unknown
  once(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
}
