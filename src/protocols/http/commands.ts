import type { Connection, Facts, LabelName, MaskingRule } from '../../core/index.ts'
import { GatewayError } from '../../core/index.ts'
import type { BodyRules, DetectorAssignment, DetectorName, JsonAssignment } from '../../session/index.ts'
import type { RoutePattern, Target } from '../../wire/http/index.ts'
import { matchesRoute, parseRoutePattern } from '../../wire/http/index.ts'
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

/** The first route that fits. Throws GatewayError `denied` when none does. */
export function findRoute(routes: readonly Route[], method: string, target: Target): Route {
  const found = routes.find((route) => route.method === method && matchesRoute(route.pattern, target.path))
  if (found !== undefined) return found
  throw new GatewayError('denied', 'Use a configured route: this method and path is none of them.', {
    remedy: 'An administrator adds routes to the connection.',
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
