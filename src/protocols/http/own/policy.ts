import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection, Decision, Facts, LabelName, MaskingRule } from '../../../core/index.ts'
import { describeChain } from '../../../core/index.ts'
import type { Session } from '../../../session/index.ts'
import { judgedRequest } from '../commands.ts'
import { readLabelPattern } from '../labels.ts'
import type { Route, RouteLabel, RouteTable } from '../route-table.ts'
import type { HttpSettings } from '../settings.ts'

/** Decisions made between two breaths: each is some questions to the engine. */
const ROUTES_AT_ONCE = 16

/** A route as this identity may use it. */
export type AllowedRoute = { readonly path: string; readonly route: Route; readonly decision: Decision }

/**
 * The routes that this identity may use, at once or after approval, as far as that does not depend on what a request says: each is
 * judged by its path as it is written, without a query and a body.
 */
export async function allowedRoutes(session: Session, routes: RouteTable): Promise<readonly AllowedRoute[]> {
  const allowed: AllowedRoute[] = []
  for (const [n, { path, route }] of routes.all().entries()) {
    if (n % ROUTES_AT_ONCE === ROUTES_AT_ONCE - 1) await nextTurn()
    const decision =
      route.graphql === undefined ? ofRoute(session, path, route) : ofEndpoint(session, route, 'read')
    const isUsable = decision.kind !== 'deny' || (route.graphql !== undefined && isWritable(session, route))
    if (isUsable) allowed.push({ path, route, decision })
  }
  return allowed
}

/** What the gateway tells an identity of what it may do on a connection. No value and no secret stands in it. */
export async function policyAnswer(
  session: Session,
  connection: Connection<HttpSettings>,
  routes: RouteTable,
  base: string,
): Promise<Readonly<Record<string, unknown>>> {
  const allowed = await allowedRoutes(session, routes)
  return {
    connection: connection.name,
    identity: describeChain(session.chain),
    policy: session.policyVersion,
    waits: { seconds: Math.round(connection.patienceMs / 1000), prefer: 'respond-async, wait=SECONDS' },
    tickets: `${base}/.sluice/tickets/{ticket}`,
    ...(connection.settings.described?.document === undefined
      ? {}
      : { openapi: `${base}/.sluice/openapi.json` }),
    says: 'Rules may ask for what stands in a request: then one of these is refused or waits for a person all the same.',
    routes: allowed.map((each) => routeShown(session, connection, each)),
  }
}

function routeShown(
  session: Session,
  connection: Connection<HttpSettings>,
  { path, route, decision }: AllowedRoute,
): Readonly<Record<string, unknown>> {
  const { method, operation, effect } = route
  if (route.graphql !== undefined) {
    return {
      method,
      path,
      graphql: {
        queries: answerOf(decision),
        mutations: method === 'POST' ? answerOf(ofEndpoint(session, route, 'write')) : 'no',
      },
      masked: connection.labels.flatMap(({ pattern, label }) => {
        if (readLabelPattern(pattern)?.kind !== 'field') return []
        return [{ field: pattern, label, shown: shownAs(masksOf(session, route, label), label) }]
      }),
    }
  }
  const masks = decision.kind === 'deny' ? new Map<LabelName, MaskingRule>() : decision.masks
  return {
    method,
    path,
    ...(operation === '' ? {} : { operation }),
    class: route.class,
    effect,
    runs: answerOf(decision),
    masked: route.labels
      .filter(({ label }) => masks.has(label))
      .map((each) => ({ ...placeOf(each), label: each.label, shown: shownAs(masks, each.label) })),
    rules: decision.rules.map(({ name }) => name),
  }
}

function answerOf({ kind }: Decision): string {
  return { allow: 'at once', hold: 'after approval', deny: 'no' }[kind]
}

function placeOf(label: RouteLabel): Readonly<Record<string, string>> {
  if ('path' in label) return { path: label.path }
  return 'header' in label ? { header: label.header } : { detector: label.detector }
}

/** `masked: partial (email)`. A rule may carry its key, which is nobody's to see. */
function shownAs(masks: ReadonlyMap<LabelName, MaskingRule>, label: LabelName): string {
  const rule = masks.get(label)
  if (rule === undefined) return 'in clear'
  const { kind, ...options } = rule
  const more = Object.values(options).filter((each) => typeof each !== 'object')
  return more.length === 0 ? `masked: ${kind}` : `masked: ${kind} (${more.join(' ')})`
}

function ofRoute(session: Session, path: string, route: Route): Decision {
  const parts = { method: route.method, target: { path, query: '' }, contentType: '', body: NOTHING }
  const { key, facts } = judgedRequest(route, parts)
  return (session.cached('', key) ?? session.judge('', key, facts)).decision
}

const NOTHING = new Uint8Array(0)

/** What becomes of GraphQL without a field in it, or with fields of these labels. */
function ofEndpoint(
  session: Session,
  route: Route,
  commandClass: 'read' | 'write',
  labels: readonly LabelName[] = [],
): Decision {
  const name = `${route.method} ${route.pattern.text}`
  const isReading = commandClass === 'read'
  const { facts } = judgedRequest(
    { ...route, graphql: undefined, labels: [], class: commandClass, effect: commandClass },
    { method: route.method, target: { path: route.pattern.text, query: '' }, contentType: '', body: NOTHING },
  )
  const asked: Facts = {
    ...facts,
    labels,
    reads: isReading ? [name] : [],
    writes: isReading ? [] : [name],
    attributes: { ...facts.attributes, graphql: isReading ? 'query' : 'mutation' },
  }
  return session.judge('', undefined, asked).decision
}

function isWritable(session: Session, route: Route): boolean {
  return route.method === 'POST' && ofEndpoint(session, route, 'write').kind !== 'deny'
}

function masksOf(session: Session, route: Route, label: LabelName): ReadonlyMap<LabelName, MaskingRule> {
  const decision = ofEndpoint(session, route, 'read', [label])
  return decision.kind === 'deny' ? new Map([[label, { kind: 'full' }]]) : decision.masks
}
