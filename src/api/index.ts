/**
 * The control API, version 1: routes with schemas that validate, document and type them. Handlers are thin: parse, call
 * the domain, map the error. Leaves all powers to the domains. Promise: what changes something is in the recording
 * before it happens; agents and minted credentials have no role here.
 */
export type { Caller, Standing } from './caller.ts'
export { NOBODY, OPERATOR } from './caller.ts'
export { stillOpens } from './databases.ts'
export { EventStreams } from './events.ts'
export { FreshLogins } from './logins.ts'
export type { ApiParts, RotationDesk } from './parts.ts'
export { createApiServer } from './server.ts'

import { z } from 'zod'
import type { EventStreams } from './events.ts'
import { openApiOf } from './openapi.ts'
import type { ApiParts } from './parts.ts'
import type { AnyRoute } from './route.ts'
import { none, route } from './route.ts'
import { accessRoutes } from './routes/access.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { auditRoutes } from './routes/audit.ts'
import { channelRoutes } from './routes/channels.ts'
import { configurationRoutes } from './routes/configuration.ts'
import { credentialRoutes } from './routes/credentials.ts'
import { eventRoutes } from './routes/events.ts'
import { exchangeRoutes } from './routes/exchange.ts'
import { identityRoutes } from './routes/identities.ts'
import { overviewRoutes } from './routes/overview.ts'
import { peopleRoutes } from './routes/people.ts'
import { oneselfRoutes } from './routes/oneself.ts'
import { policyRoutes } from './routes/policy.ts'
import { rotationRoutes } from './routes/rotation.ts'
import { secretRoutes } from './routes/secrets.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { tailRoutes } from './routes/tail.ts'

/** Every route there is, the one that describes them all included. */
export function apiRoutes(parts: ApiParts, events: EventStreams): readonly AnyRoute[] {
  const routes: AnyRoute[] = [
    ...overviewRoutes(parts),
    ...peopleRoutes(parts),
    ...credentialRoutes(parts),
    ...exchangeRoutes(parts),
    ...identityRoutes(parts),
    ...oneselfRoutes(parts),
    ...approvalRoutes(parts),
    ...accessRoutes(parts),
    ...channelRoutes(parts),
    ...sessionRoutes(parts),
    ...auditRoutes(parts),
    ...tailRoutes(parts),
    ...secretRoutes(parts),
    ...rotationRoutes(parts),
    ...configurationRoutes(parts),
    ...policyRoutes(parts),
    ...eventRoutes(events),
  ]
  const description = route({
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This API as OpenAPI 3.1, from the schemas that validate.',
    access: 'public',
    params: none,
    query: none,
    body: none,
    answer: z.record(z.string(), z.unknown()),
    handle: () => openApiOf(routes),
  })
  routes.push(description)
  return routes
}
