import type { ApiOperation, Effect, GraphQLSchema, PageSize, Persisted } from '../../apis/index.ts'
import { classOfEffect, FieldLabels, guessedEffect } from '../../apis/index.ts'
import type { CommandClass, Connection, LabelName } from '../../core/index.ts'
import { brand, GatewayError } from '../../core/index.ts'
import type { DetectorName } from '../../session/index.ts'
import type { RoutePattern, Target } from '../../wire/http/index.ts'
import {
  looseParts,
  matchesRoute,
  mayMatchRoute,
  parseRoutePattern,
  WEBSOCKET,
} from '../../wire/http/index.ts'
import { readLabelPattern } from './labels.ts'
import type { LabelPattern } from './labels.ts'
import { RouteIndex } from './route-index.ts'
import type { HttpSettings } from './settings.ts'

/** What of an answer has a label: a path, what a detector finds, or a field of its head. */
export type RouteLabel = { readonly label: LabelName } & (
  | { readonly path: string }
  | { readonly detector: DetectorName }
  | { readonly header: string }
)

/** The GraphQL endpoint of a connection. */
export type GraphqlRoute = {
  readonly schema: GraphQLSchema
  readonly labels: FieldLabels
  readonly depthMax: number
  readonly persisted: Persisted
  readonly effects: ReadonlyMap<string, Effect>
}

/** What requests of one method and path are, as far as that is known before one comes. */
export type Route = {
  readonly method: string
  readonly pattern: RoutePattern
  readonly class: CommandClass
  readonly effect: Effect
  /** The operation of the OpenAPI document, by its name; empty: it has none. */
  readonly operation: string
  readonly labels: readonly RouteLabel[]
  /** Of fields of its body, by path, and of parameters of its query. */
  readonly body: readonly { readonly path: string; readonly label: LabelName }[]
  readonly query: readonly { readonly name: string; readonly label: LabelName }[]
  readonly page: PageSize | undefined
  readonly graphql: GraphqlRoute | undefined
}

type Written = HttpSettings['routes'][number]
type WrittenRoute = { readonly route: Written; readonly pattern: RoutePattern }
type Assignment = { readonly read: LabelPattern; readonly label: LabelName }

/** The routes of a connection: those of its configuration as they stand there, then those of its OpenAPI document. */
export class RouteTable {
  readonly #written: readonly WrittenRoute[]
  readonly #operations: readonly { readonly operation: ApiOperation; readonly pattern: RoutePattern }[]
  readonly #assignments: readonly Assignment[]
  readonly #graphql: { readonly pattern: RoutePattern; readonly route: GraphqlRoute } | undefined
  /** What a written route and an operation come to together, which depends on nothing else. */
  readonly #known = new Map<Written | ApiOperation, Map<ApiOperation | undefined, Route>>()
  #all: readonly { readonly path: string; readonly route: Route }[] | undefined
  readonly #graphqlRoutes = new Map<string, Route>()

  /** Throws GatewayError `invalid`. */
  constructor(connection: Connection<HttpSettings>) {
    const { routes, graphql, described } = connection.settings
    this.#assignments = connection.labels.map(({ pattern, label }) => {
      const read = readLabelPattern(pattern)
      if (read === undefined || read.kind === 'unknown detector')
        throw new GatewayError('invalid', `${pattern} gives a label to nothing.`)
      return { read, label }
    })
    this.#written = routes.map((route) => ({ route, pattern: patternOf(route.path) }))
    this.#operations = (described?.operations ?? []).map((operation) => ({
      operation,
      pattern: patternOf(operation.path),
    }))
    if (graphql === undefined) return
    if (described?.schema === undefined) throw new GatewayError('invalid', 'The GraphQL schema was not read.')
    const labels = this.#assignments.flatMap(({ read, label }) =>
      read.kind === 'field' ? [{ type: read.type, field: read.field, label }] : [],
    )
    this.#graphql = {
      pattern: patternOf(graphql.path),
      route: {
        schema: described.schema,
        labels: new FieldLabels(described.schema, labels),
        depthMax: graphql.depth,
        persisted: new Map(Object.entries(graphql.persisted)),
        effects: new Map(Object.entries(graphql.effects)),
      },
    }
  }

  /**
   * The first route that fits. An operation that fits as well adds its labels, whichever route is written for it. Throws
   * GatewayError `denied` when none does, or when a name of it fits what the upstream may take for a literal of another route:
   * `/customers/Export` is not `/customers/{id}` where there is `/customers/export`.
   */
  find(method: string, { path }: Target): Route {
    const { pattern, route } = this.#graphql ?? {}
    if (pattern !== undefined && route !== undefined && matchesRoute(pattern, path)) {
      if (method === 'GET' || method === 'POST') return this.#graphqlRoute(method, pattern, route)
      if (method === WEBSOCKET) throw unreadOperations()
      throw notARoute()
    }
    const fits = (each: { readonly pattern: RoutePattern }): boolean => matchesRoute(each.pattern, path)
    const written = this.#written.find((each) => each.route.method === method && fits(each))
    const described = this.#operations.find((each) => each.operation.method === method && fits(each))
    const found = written ?? described
    if (found === undefined) throw notARoute()
    if (found.pattern.segments.some(({ kind }) => kind !== 'literal')) this.#refuseAnother(method, path)
    const key = written?.route ?? described?.operation
    const made = key === undefined ? undefined : this.#known.get(key)?.get(described?.operation)
    if (made !== undefined) return made
    const fresh = this.#route(method, found.pattern, written?.route, described?.operation)
    if (key !== undefined) {
      const known = this.#known.get(key) ?? new Map<ApiOperation | undefined, Route>()
      this.#known.set(key, known.set(described?.operation, fresh))
    }
    return fresh
  }

  /** Every route by the path that it is known by; the GraphQL endpoint with each of its methods. In the order in which they are looked for. */
  all(): readonly { readonly path: string; readonly route: Route }[] {
    if (this.#all !== undefined) return this.#all
    const allWritten = new RouteIndex<WrittenRoute>()
    for (const each of this.#written) allWritten.add(each.route.method, each.pattern, each)
    const allDescribed = new RouteIndex<ApiOperation>()
    for (const { operation, pattern } of this.#operations)
      allDescribed.add(operation.method, pattern, operation)
    const { pattern: endpoint, route: graphql } = this.#graphql ?? {}
    const queries =
      endpoint === undefined || graphql === undefined
        ? []
        : ['POST', 'GET'].map((method) => ({
            path: endpoint.text,
            route: this.#graphqlRoute(method, endpoint, graphql),
          }))
    const written = this.#written.flatMap((each) => {
      const { method, path } = each.route
      // One of those before it has all of its requests.
      if (allWritten.first(method, path) !== each) return []
      const operation = allDescribed.first(method, path)
      return [{ path, route: this.#route(method, each.pattern, each.route, operation) }]
    })
    const described = this.#operations.flatMap(({ operation, pattern }) => {
      const { method, path } = operation
      const over = allWritten.first(method, path)
      if (over !== undefined && matchesRoute(pattern, over.route.path)) return []
      return [{ path, route: this.#route(method, over?.pattern ?? pattern, over?.route, operation) }]
    })
    this.#all = [...queries, ...written, ...described]
    return this.#all
  }

  #refuseAnother(method: string, path: string): void {
    const parts = looseParts(path)
    const isAnother = ({ pattern }: { readonly pattern: RoutePattern }): boolean =>
      mayMatchRoute(pattern, parts) && !matchesRoute(pattern, path)
    const another =
      this.#written.some((each) => each.route.method === method && isAnother(each)) ||
      this.#operations.some((each) => each.operation.method === method && isAnother(each))
    if (!another) return
    throw new GatewayError('denied', 'Write the path as its route is written: it could be read as another.', {
      remedy: 'Leave out parameters behind a semicolon, endings and capitals that the route does not have.',
      retry: 'only-if-changed',
    })
  }

  #route(
    method: string,
    pattern: RoutePattern,
    written: Written | undefined,
    operation: ApiOperation | undefined,
  ): Route {
    const effect =
      written?.effect ??
      effectWithin(written?.class, operation?.effect ?? guessedEffect(method, pattern.text))
    const paths = new Set([pattern.text, ...(operation === undefined ? [] : [operation.path])])
    const { pageSize } = written ?? {}
    const page = pageSize && {
      name: pageSize.query,
      ...(pageSize.default === undefined ? {} : { default: pageSize.default }),
    }
    return {
      method,
      pattern,
      class: written?.class ?? classOfEffect(effect),
      effect,
      operation: operation?.name ?? '',
      labels: [
        ...this.#labelsAt(paths),
        ...(operation?.labels ?? []).map(({ path, label }) => ({ path, label: brand<LabelName>(label) })),
        ...(operation?.headers ?? []).map(({ name, label }) => ({
          header: name,
          label: brand<LabelName>(label),
        })),
      ],
      body: (operation?.body ?? []).map(({ path, label }) => ({ path, label: brand<LabelName>(label) })),
      query: (operation?.query ?? []).map(({ name, label }) => ({ name, label: brand<LabelName>(label) })),
      page: page ?? operation?.page,
      graphql: undefined,
    }
  }

  #graphqlRoute(method: string, pattern: RoutePattern, graphql: GraphqlRoute): Route {
    const known = this.#graphqlRoutes.get(method)
    if (known !== undefined) return known
    const made: Route = {
      method,
      pattern,
      // What an operation does is known when it has been read.
      class: 'opaque',
      effect: 'write',
      operation: '',
      labels: this.#labelsAt(new Set([pattern.text])),
      body: [],
      query: [],
      page: undefined,
      graphql,
    }
    this.#graphqlRoutes.set(method, made)
    return made
  }

  #labelsAt(paths: ReadonlySet<string>): RouteLabel[] {
    return this.#assignments.flatMap(({ read, label }): RouteLabel[] => {
      if (read.route !== '*' && !paths.has(read.route)) return []
      switch (read.kind) {
        case 'path':
          return [{ path: read.path, label }]
        case 'header':
          return [{ header: read.header, label }]
        case 'detector':
          return [{ detector: read.detector, label }]
        case 'field':
        case 'unknown detector':
          return []
      }
    })
  }
}

/** A class that is written says what an effect may be that nobody has written. */
function effectWithin(written: CommandClass | undefined, effect: Effect): Effect {
  const isReading = classOfEffect(effect) === 'read'
  if (written === undefined || isReading === (written === 'read')) return effect
  return written === 'read' ? 'read' : 'write'
}

function patternOf(path: string): RoutePattern {
  const pattern = parseRoutePattern(path)
  if (pattern === undefined) throw new GatewayError('invalid', `${path} is no route.`)
  return pattern
}

function unreadOperations(): GatewayError {
  return new GatewayError(
    'denied',
    'Send GraphQL operations as requests: in messages of a WebSocket they are not read, so nobody could say what they touch.',
    { remedy: 'Subscriptions as events (text/event-stream) are read.', retry: 'only-if-changed' },
  )
}

function notARoute(): GatewayError {
  return new GatewayError('denied', 'Use a configured route: this method and path is none of them.', {
    remedy: 'An administrator adds routes to the connection.',
    retry: 'only-if-changed',
  })
}
