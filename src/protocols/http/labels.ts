import { isGatewayError } from '../../core/index.ts'
import { parseJsonPath } from '../../session/index.ts'
import { httpSettings } from './settings.ts'

/** `/customers: items[].email`, or `*: **.email` for every route. */
const LABEL_PATTERN = /^(\*|\/\S*):\s*(\S+)$/

/** Which fields of which answers a pattern is about; undefined when it is no pattern. */
export function readLabelPattern(
  pattern: string,
): { readonly route: string; readonly path: string } | undefined {
  const [, route, path] = LABEL_PATTERN.exec(pattern) ?? []
  return route === undefined || path === undefined ? undefined : { route, path }
}

/** What is wrong with a pattern: its form, its path, or a route that is none of the connection's. */
export function labelFault(
  pattern: string,
  settings: unknown,
): { readonly expected: string; readonly fix: string } | undefined {
  const read = readLabelPattern(pattern)
  if (read === undefined) {
    return {
      expected: 'expected a route and a JSON path',
      fix: 'write it like "/customers: items[].email" or "*: **.email"',
    }
  }
  try {
    parseJsonPath(read.path)
  } catch (error) {
    if (!isGatewayError(error)) throw error
    return { expected: error.message, fix: 'write a path like items[].email' }
  }
  const routes = routePaths(settings)
  if (read.route === '*' || routes.includes(read.route)) return undefined
  const known = routes.slice(0, 5).join(', ')
  return {
    expected: 'expected the path of a route of this connection',
    fix: known === '' ? 'add routes first' : `use one of ${known}`,
  }
}

/** Settings as the configuration has just read them by our schema. */
function routePaths(settings: unknown): readonly string[] {
  const read = httpSettings.pick({ routes: true }).loose().safeParse(settings)
  return read.success ? read.data.routes.map((route) => route.path) : []
}
