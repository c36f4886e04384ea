import { isGatewayError } from '../../core/index.ts'
import { hasField } from '../../apis/index.ts'
import type { DetectorName } from '../../session/index.ts'
import { DETECTOR_NAMES, parseJsonPath } from '../../session/index.ts'
import { describedIn } from './described-api.ts'
import { httpSettings } from './settings.ts'

/**
 * `/customers: items[].email`, `*: **.email` for every route, `/notes: detect email` for what looks like one, or
 * `/customers: header X-Email` for a field of the head.
 */
const LABEL_PATTERN = /^(\*|\/\S*):\s*(?:detect\s+(\S+)|header\s+(\S+)|(\S+))$/
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** `Customer.email`: a field of GraphQL. */
const TYPE_FIELD = /^([_A-Za-z]\w*)\.([_A-Za-z]\w*)$/

/** What of which answers a pattern is about. */
export type LabelPattern = { readonly route: string } & (
  | { readonly kind: 'path'; readonly path: string }
  /** In lower case. */
  | { readonly kind: 'header'; readonly header: string }
  /** Of the GraphQL endpoint, which is its route. */
  | { readonly kind: 'field'; readonly type: string; readonly field: string }
  | { readonly kind: 'detector'; readonly detector: DetectorName }
  | { readonly kind: 'unknown detector' }
)

/** Undefined when it is no pattern. */
export function readLabelPattern(pattern: string): LabelPattern | undefined {
  const [, type, field] = TYPE_FIELD.exec(pattern) ?? []
  if (type !== undefined && field !== undefined) return { kind: 'field', route: '', type, field }
  const [, route, name, header, path] = LABEL_PATTERN.exec(pattern) ?? []
  if (route === undefined) return undefined
  if (header !== undefined)
    return FIELD_NAME.test(header) ? { kind: 'header', route, header: header.toLowerCase() } : undefined
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
      fix: 'write it like "/customers: items[].email", "*: **.email", "/customers: header X-Email" or "Customer.email"',
    }
  }
  if (read.kind === 'unknown detector') {
    return { expected: 'expected a detector', fix: `use one of ${DETECTOR_NAMES.join(', ')}` }
  }
  if (read.kind === 'field') return fieldFault(read.type, read.field, settings)
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
  const { routes, graphql } = httpSettings.pick({ routes: true, graphql: true }).loose().parse(settings)
  const described = describedIn(settings)?.operations.map(({ path }) => path) ?? []
  return [
    ...routes.map((route) => route.path),
    ...(graphql === undefined ? [] : [graphql.path]),
    ...described,
  ]
}

function fieldFault(
  type: string,
  field: string,
  settings: unknown,
): { readonly expected: string; readonly fix: string } | undefined {
  const schema = describedIn(settings)?.schema
  if (schema === undefined)
    return {
      expected: 'expected a route and a JSON path',
      fix: 'name a schema under graphql to label its fields',
    }
  if (hasField(schema, type, field)) return undefined
  return { expected: 'expected a field of the GraphQL schema', fix: 'write it as the schema does' }
}
