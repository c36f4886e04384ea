import type { Connection, Facts, LabelName, MaskingRule } from '../../core/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { BodyRules, DetectorAssignment, DetectorName, JsonAssignment } from '../../session/index.ts'
import type { RoutePattern, Target } from '../../wire/http/index.ts'
import { matchesRoute, mayMatchRoute, parseRoutePattern, saysAnotherMethod } from '../../wire/http/index.ts'
import { readLabelPattern } from './labels.ts'
import type { HttpSettings } from './settings.ts'

/** A route of the configuration with the labels of its answers. */
export type Route = {
  readonly method: string
  readonly pattern: RoutePattern
  readonly facts: Omit<Facts, 'attributes'>
  readonly labels: readonly RouteLabel[]
}

/** A label at a path, or of what a detector finds. */
type RouteLabel = { readonly label: LabelName } & (
  | { readonly path: string }
  | { readonly detector: DetectorName }
)

/** The routes of a connection, in the order in which they are written. Throws GatewayError `invalid`. */
export function routesOf(connection: Connection<HttpSettings>): readonly Route[] {
  const assignments = connection.labels.map(({ pattern, label }) => {
    const read = readLabelPattern(pattern)
    if (read === undefined || read.kind === 'unknown detector')
      throw new GatewayError('invalid', `${pattern} gives a label to nothing.`)
    const about: RouteLabel =
      read.kind === 'path' ? { path: read.path, label } : { detector: read.detector, label }
    return { route: read.route, about }
  })
  return connection.settings.routes.map(({ method, path, class: commandClass }) => {
    const pattern = parseRoutePattern(path)
    if (pattern === undefined) throw new GatewayError('invalid', `${path} is no route.`)
    const labels = assignments
      .filter(({ route }) => route === '*' || route === path)
      .map((each) => each.about)
    const name = `${method} ${path}`
    const reading = commandClass === 'read'
    const facts = {
      class: commandClass,
      statements: [{ class: commandClass }],
      reads: reading ? [name] : [],
      writes: reading ? [] : [name],
      calls: [],
      labels: [...new Set(labels.map((each) => each.label))],
      ...(labels.length === 0
        ? {}
        : { columns: labels.map((each) => ({ column: `${path}: ${nameOf(each)}`, label: each.label })) }),
      touches: [],
      filters: [],
      stores: [],
      unbounded: false,
      writesEverything: false,
      redefines: false,
    }
    return { method, pattern, facts, labels }
  })
}

/**
 * The first route that fits. Throws GatewayError `denied` when none does, or when a name of it fits what the upstream may take for a
 * literal of another route: `/customers/Export` is not `/customers/{id}` where there is `/customers/export`.
 */
export function findRoute(routes: readonly Route[], method: string, target: Target): Route {
  const { path } = target
  const found = routes.find((route) => route.method === method && matchesRoute(route.pattern, path))
  if (found !== undefined) {
    if (found.pattern.segments.some(({ kind }) => kind === 'name')) refuseAnother(routes, found, path)
    return found
  }
  throw new GatewayError('denied', 'Use a configured route: this method and path is none of them.', {
    remedy: 'An administrator adds routes to the connection.',
    retry: 'only-if-changed',
  })
}

/** Throws GatewayError `denied` for a request that the upstream may take for one with another method. */
export function refuseAnotherMethod(target: Target, contentType: string, body: Uint8Array): void {
  if (saysAnotherMethod(target.query, contentType, body)) throw anotherMethod()
}

export function anotherMethod(): GatewayError {
  return new GatewayError('denied', 'Send the request with its own method: leave _method out of it.', {
    remedy: 'An administrator adds a route for the method that is meant.',
    retry: 'only-if-changed',
  })
}

function refuseAnother(routes: readonly Route[], found: Route, path: string): void {
  const another = routes.some(
    ({ method, pattern }) =>
      method === found.method && !matchesRoute(pattern, path) && mayMatchRoute(pattern, path),
  )
  if (!another) return
  throw new GatewayError('denied', 'Write the path as its route is written: it could be read as another.', {
    remedy: 'Leave out parameters behind a semicolon, endings and capitals that the route does not have.',
    retry: 'only-if-changed',
  })
}

/** The facts of one request: the route's, and what only this request says. */
export function factsOf(route: Route, method: string, target: Target): Facts {
  const attributes = { method, path: target.path, route: route.pattern.text, query: target.query }
  return { ...route.facts, attributes }
}

function nameOf(label: RouteLabel): string {
  return 'path' in label ? label.path : `detect ${label.detector}`
}

/** What is masked in the answer, for an identity with these masks. */
export function rulesOf(route: Route, masks: ReadonlyMap<LabelName, MaskingRule>): BodyRules {
  const paths: JsonAssignment[] = []
  const detectors: DetectorAssignment[] = []
  for (const label of route.labels) {
    const rule = masks.get(label.label)
    if (rule === undefined) continue
    if ('path' in label) paths.push({ path: label.path, rule })
    else detectors.push({ detector: label.detector, rule })
  }
  return { paths, detectors, nested: true }
}
