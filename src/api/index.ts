/**
 * The control API, version 1: routes with schemas that validate, document and type them. Handlers are thin: parse, call
 * the domain, map the error. Leaves all powers to the domains. Promise: what changes something is in the recording
 * before it happens; agents and minted credentials have no role here.
 */
export type { Caller } from './caller.ts'
export { NOBODY, OPERATOR } from './caller.ts'
export type { ApiParts } from './parts.ts'
export { createApiServer } from './server.ts'

import type { ApiParts } from './parts.ts'
import type { AnyRoute } from './route.ts'
import { credentialRoutes } from './routes/credentials.ts'
import { overviewRoutes } from './routes/overview.ts'

export function apiRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [...overviewRoutes(parts), ...credentialRoutes(parts)]
}
