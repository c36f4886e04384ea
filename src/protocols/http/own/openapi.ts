import { filteredOpenApi } from '../../../apis/index.ts'
import type { Connection } from '../../../core/index.ts'
import type { Session } from '../../../session/index.ts'
import { plainNames } from '../described.ts'
import type { RouteTable } from '../route-table.ts'
import type { HttpSettings } from '../settings.ts'
import { allowedRoutes } from './policy.ts'

/** The description of the API with the operations that this identity may use. Undefined: the connection has none. */
export async function openapiAnswer(
  session: Session,
  connection: Connection<HttpSettings>,
  routes: RouteTable,
  base: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const document = connection.settings.described?.document
  if (document === undefined) return undefined
  const allowed = new Set(
    (await allowedRoutes(session, routes)).map(({ path, route }) => `${route.method} ${nameless(path)}`),
  )
  const schemes: Record<string, unknown> = {}
  for (const [n, slot] of connection.settings.client.slots.entries())
    schemes[`sluice${n + 1}`] = schemeOf(slot)
  return filteredOpenApi(document, {
    keeps: (method, path) => allowed.has(`${method} ${nameless(plainNames(path))}`),
    server: base,
    schemes,
  })
}

/** What a name in braces is called makes no difference. */
function nameless(path: string): string {
  return path.replaceAll(/\{[^{}]*\}/g, '{}')
}

function schemeOf(slot: HttpSettings['client']['slots'][number]): Readonly<Record<string, string>> {
  switch (slot.kind) {
    case 'bearer':
      return { type: 'http', scheme: 'bearer' }
    case 'basic':
      return { type: 'http', scheme: 'basic' }
    case 'scheme':
      return { type: 'http', scheme: slot.name }
    case 'header':
      return { type: 'apiKey', in: 'header', name: slot.name }
    case 'query':
      return { type: 'apiKey', in: 'query', name: slot.name }
  }
}
