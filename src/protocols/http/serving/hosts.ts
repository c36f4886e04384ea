import { TLSSocket } from 'node:tls'
import type { ConnectionName, HostNames } from '../../../core/index.ts'
import { brand, GatewayError } from '../../../core/index.ts'
import { MISDIRECTED } from '../errors.ts'
import type { HttpRequest } from '../sides.ts'

/** The name of a connection as it stands in front of a host. */
const LABEL = /^[a-z][a-z0-9_-]{0,62}$/

/**
 * The connection that the host of a request names; undefined: none, so its path says which is meant. Throws GatewayError `invalid`
 * where the line was made for another host (RFC 6066 section 3), or where the host can be read as one of a connection and as none.
 */
export function connectionByHost(
  request: HttpRequest,
  hosts: HostNames | undefined,
): ConnectionName | undefined {
  if (hosts === undefined) return undefined
  const host = withoutPort(request.headers.host ?? '').toLowerCase()
  const found = connectionAt(hosts, host)
  const plain = plainHost(host)
  if (found === undefined && plain !== host && connectionAt(hosts, plain) !== undefined) throw unplain()
  const { socket } = request
  const told = socket instanceof TLSSocket ? socket.servername : undefined
  // Without a name in the handshake there is nothing that could be another.
  if (typeof told !== 'string' || told === '') return found
  const server = told.toLowerCase()
  const isNamed = found !== undefined || connectionAt(hosts, plainHost(server)) !== undefined
  if (isNamed && server !== host) throw misdirected()
  return found
}

/** Whether the host of a request names a connection, whatever else is to be said of it. */
export function isNamedByHost({ headers }: HttpRequest, hosts: HostNames | undefined): boolean {
  const host = withoutPort(headers.host ?? '').toLowerCase()
  return hosts !== undefined && connectionAt(hosts, host) !== undefined
}

function connectionAt({ below, names }: HostNames, host: string): ConnectionName | undefined {
  const known = names.get(host)
  if (known !== undefined) return known
  const at = host.indexOf('.')
  const label = host.slice(0, at)
  return at > 0 && LABEL.test(label) && below.includes(host.slice(at + 1))
    ? brand<ConnectionName>(label)
    : undefined
}

function withoutPort(host: string): string {
  return host.replace(/:[0-9]*$/, '')
}

/** As some read it: without escapes, and without the dot of the root. RFC 3986 section 3.2.2. */
function plainHost(host: string): string {
  const read = host.replaceAll(/%[0-9a-f]{2}/g, (escape) =>
    String.fromCharCode(Number.parseInt(escape.slice(1), 16)).toLowerCase(),
  )
  return withoutPort(read).replace(/\.+$/, '')
}

function unplain(): GatewayError {
  return new GatewayError(
    'invalid',
    'Write the host in its plain form: without escapes, and without a dot at its end.',
    {
      retry: 'only-if-changed',
    },
  )
}

function misdirected(): GatewayError {
  return new GatewayError('invalid', 'Ask for the host for which this TLS line was made.', {
    remedy: 'Open a line of its own for each host.',
    retry: 'only-if-changed',
    facts: { reason: MISDIRECTED },
  })
}
