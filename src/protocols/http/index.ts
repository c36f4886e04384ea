/**
 * HTTP as a reverse proxy by path or host: a gateway token comes in, the real credential goes out, routes and methods are
 * judged, JSON is masked by path. Leaves framing to node:http and undici, decisions and evidence to the session.
 * Promise: what is not a configured route never reaches an upstream; what cannot be masked is withheld; neither the
 * token of the gateway nor the credential of the upstream is seen on the other side.
 */
import { type Connection, LIMITS } from '../../core/index.ts'
import type { Protocol, RecordedCommand, Rejudged } from '../../session/index.ts'
import { secretsOf } from '../../upstream-credentials/index.ts'
import { isOurs } from './serving/place.ts'
import { HttpServer } from './serving/server.ts'
import { REQUEST_FACTS } from './commands.ts'
import { readSettings } from './described.ts'
import { explainRequest } from './explain.ts'
import { labelFault } from './labels.ts'
import { probeHttp } from './probe.ts'
import { rejudgedRequest } from './rejudge.ts'
import { credentialSettings, httpSettings } from './settings.ts'

export const http: Protocol = {
  name: 'http',
  settings: httpSettings,
  readSettings,
  attributes: REQUEST_FACTS,
  namedByHost: true,
  sessionsPerIdentity: LIMITS.httpSessionsPerIdentity,
  labelFault,
  async probe(ports, connection) {
    return isOurs(connection) ? await probeHttp(ports, connection) : []
  },
  secretsOf(connection) {
    const credential = isOurs(connection) ? credentialSettings(connection.settings) : undefined
    return credential === undefined ? [] : secretsOf(credential)
  },
  async explain(ports, connection, question) {
    if (!isOurs(connection)) throw new TypeError('a connection of another protocol')
    return await explainRequest(connection, question, (await ports.configuredSecrets?.()) ?? [])
  },
  rejudge: () => Promise.resolve({ session: () => ({ next: rejudged }), close: () => Promise.resolve() }),
  serve(context) {
    const server = new HttpServer(context)
    return {
      takes: 'socket',
      accept: (socket, admitted) => server.accept(socket, admitted),
      close: () => server.close(),
    }
  },
}

async function rejudged(command: RecordedCommand, connection: Connection): Promise<Rejudged> {
  if (!isOurs(connection)) throw new TypeError('a connection of another protocol')
  return await rejudgedRequest(command, connection)
}
