import type { Connection } from '../../core/index.ts'
import { isGatewayError } from '../../core/index.ts'
import type { RecordedCommand, Rejudged } from '../../session/index.ts'
import { parseTarget } from '../../wire/http/index.ts'
import type { Route } from './commands.ts'
import { factsOf, findRoute, routesOf } from './commands.ts'
import type { HttpSettings } from './settings.ts'

const known = new WeakMap<Connection, readonly Route[]>()

/** A recorded request under the routes and labels of a connection: all that is judged of one is in its first line. */
export function rejudgedRequest({ intent }: RecordedCommand, connection: Connection<HttpSettings>): Rejudged {
  let routes = known.get(connection)
  if (routes === undefined) known.set(connection, (routes = routesOf(connection)))
  const at = intent.text.indexOf(' ')
  const method = intent.text.slice(0, at)
  try {
    const target = parseTarget(intent.text.slice(at + 1))
    return { kind: 'facts', facts: factsOf(findRoute(routes, method, target), method, target) }
  } catch (error) {
    if (!isGatewayError(error)) throw error
    return { kind: 'refused', message: error.message }
  }
}
