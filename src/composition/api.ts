import { chmodSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { OPERATOR_SOCKET } from '../api/client.ts'
import type { ApiParts, Caller, Standing } from '../api/index.ts'
import { apiRoutes, createApiServer, EventStreams, NOBODY, OPERATOR } from '../api/index.ts'
import type { Listener } from '../config/index.ts'
import type { ServerTls } from '../core/index.ts'
import { describeChain, GatewayError } from '../core/index.ts'
import type { Identities } from './identities.ts'
import { rolesOf } from './identities.ts'

type ApiComposition = {
  readonly parts: ApiParts
  readonly identities: Identities
  readonly dataDirectory: string
  readonly report: (error: unknown) => void
  certificate(listener: Listener): Promise<ServerTls>
}

/** The control API on the operator socket, and on its TLS port when one is configured; returns where that is. */
export async function openApi(
  composition: ApiComposition,
  undo: (() => unknown)[],
): Promise<{ address: string; port: number } | undefined> {
  const { parts, dataDirectory, report } = composition
  const events = new EventStreams(parts)
  const routes = apiRoutes(parts, events)
  const path = join(dataDirectory, OPERATOR_SOCKET)
  // Left by a gateway that was killed; the claim on the directory says that nobody serves it.
  rmSync(path, { force: true })
  const socket = createApiServer({
    routes,
    journal: parts.journal,
    clock: parts.clock,
    identify: () => Promise.resolve(OPERATOR),
    tls: undefined,
    report,
  })
  await socket.listen({ path })
  chmodSync(path, 0o600)
  undo.push(() => socket.close())
  undo.push(() => events.close())
  const wanted = parts.config().api
  if (wanted === undefined) return undefined
  const server = createApiServer({
    routes,
    journal: parts.journal,
    clock: parts.clock,
    identify: (authorization) => identify(composition, authorization),
    tls: await composition.certificate(wanted),
    report,
  })
  await server.listen({ host: wanted.address, port: wanted.port })
  undo.push(() => server.close())
  undo.push(() => events.close())
  const bound = server.server.address()
  return {
    address: wanted.address,
    port: typeof bound === 'object' && bound !== null ? bound.port : wanted.port,
  }
}

/** Who shows this token. A minted credential is no token here and has no powers. */
async function identify(composition: ApiComposition, authorization: string | undefined): Promise<Caller> {
  if (authorization === undefined) return NOBODY
  const [, token] = /^Bearer ([^\s]+)$/i.exec(authorization) ?? []
  if (token === undefined)
    throw new GatewayError('unauthenticated', 'Show a token: Authorization: Bearer TOKEN.')
  const { chain } = await composition.identities.verifier().verify(token)
  const [identity, ...others] = chain
  const standings: readonly Standing[] =
    identity.kind === 'person' && others.length === 0 ? ['identity', 'person'] : ['identity']
  const roles = new Set<Standing>([...rolesOf(chain, composition.parts.config()), ...standings])
  return { name: describeChain(chain), chain, roles, proof: composition.parts.logins.of(token) }
}
