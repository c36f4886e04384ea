import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Connection, ConnectionName } from '../../../core/index.ts'
import { brand, GatewayError, isLoopback } from '../../../core/index.ts'
import type { HttpSettings } from '../settings.ts'
import type { HttpRequest } from '../sides.ts'

/** `/c/NAME` in front of every path says which connection is meant. */
const PREFIX = /^\/c\/([a-z][a-z0-9_-]{0,62})(\/.*)$/

export function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`
}

/** The configuration has read the settings of every connection of ours by our schema. */
export function isOurs(connection: Connection): connection is Connection<HttpSettings> {
  return connection.protocol === 'http'
}

/** Whoever listens on the way could use the token until it expires; so none is taken that came in clear. */
export function refuseClear(socket: Socket): void {
  if (socket instanceof TLSSocket || isLoopback(socket.remoteAddress ?? '')) return
  throw new GatewayError('unauthenticated', 'Connect with TLS: tokens are taken in clear only on loopback.', {
    remedy: 'Use an https:// URL, and revoke the token that was sent.',
    retry: 'only-if-changed',
  })
}

/** Which connection a request is for, its target there, and what its client writes in front of that. */
export type Place = { readonly name: ConnectionName; readonly rest: string; readonly base: string }

/** `named`: the connection of the host that was asked; all paths are its own then. Otherwise `/c/NAME/...` taken apart. */
export function placeOf(request: HttpRequest, named: ConnectionName | undefined): Place {
  if (named !== undefined) return { name: named, rest: request.url ?? '', base: '' }
  const [, name, rest] = PREFIX.exec(request.url ?? '') ?? []
  if (name === undefined || rest === undefined) throw nowhere()
  return { name: brand<ConnectionName>(name), rest, base: `/c/${name}` }
}

export function nowhere(): GatewayError {
  return new GatewayError('connection_unknown', 'Name a connection in the path: /c/NAME/...', {
    remedy: 'List the connections with: sluice connections ls',
    retry: 'only-if-changed',
  })
}
