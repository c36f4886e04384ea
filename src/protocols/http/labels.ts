import { isGatewayError } from '../../core/index.ts'
import type { DetectorName } from '../../session/index.ts'
import { DETECTOR_NAMES, parseJsonPath } from '../../session/index.ts'
import { httpSettings } from './settings.ts'

/** `/customers: items[].email`, `*: **.email` for every route, or `/notes: detect email` for what looks like one. */
const LABEL_PATTERN = /^(\*|\/\S*):\s*(?:detect\s+(\S+)|(\S+))$/

/** What of which answers a pattern is about. */
export type LabelPattern = { readonly route: string } & (
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'detector'; readonly detector: DetectorName }
  | { readonly kind: 'unknown detector' }
)

/** Undefined when it is no pattern. */
export function readLabelPattern(pattern: string): LabelPattern | undefined {
  const [, route, name, path] = LABEL_PATTERN.exec(pattern) ?? []
  if (route === undefined) return undefined
  if (path !== undefined) return { kind: 'path', route, path }
  const detector = DETECTOR_NAMES.find((each) => each === name)
  return detector === undefined ? { kind: 'unknown detector', route } : { kind: 'detector', route, detector }
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
  if (read.kind === 'unknown detector') {
    return { expected: 'expected a detector', fix: `use one of ${DETECTOR_NAMES.join(', ')}` }
  }
  try {
    if (read.kind === 'path') parseJsonPath(read.path)
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
