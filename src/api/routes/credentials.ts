import { z } from 'zod'
import type { Connection, ConnectionName, Credential, IdentityChain } from '../../core/index.ts'
import { brand, describeChain, GatewayError, identityKey, LIMITS } from '../../core/index.ts'
import { databasesOf } from '../databases.ts'
import type { Caller } from '../caller.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const mintBody = z.strictObject({
  connection: z.string().min(1).max(64),
  /** `agent:support-agent`, or just the name. */
  as: z.string().min(1).max(LIMITS.identityNameMax),
  /** The identity it acts for, when it acts for somebody. */
  for: z.string().min(1).max(LIMITS.identityNameMax).optional(),
  /** Absent: what the connection's protocol takes. */
  use: z.enum(['database', 'http']).optional(),
  database: z.string().min(1).max(63).optional(),
  ttlMs: z
    .int()
    .min(LIMITS.credentialTtlMsMin)
    .max(LIMITS.credentialTtlMsMax)
    .default(LIMITS.credentialTtlMs),
})

const minted = z.object({
  id: z.string(),
  /** Shown once; it cannot be had again. */
  secret: z.string(),
  connection: z.string(),
  database: z.string().optional(),
  expiresAt: z.int(),
  /** Where to use it. */
  address: z.string(),
  port: z.int(),
  /** Whether clients must use TLS there. */
  tlsRequired: z.boolean(),
})

const listed = z.object({
  id: z.string(),
  use: z.enum(['database', 'http']),
  chain: z.array(z.string()),
  connection: z.string(),
  database: z.string().optional(),
  createdAt: z.int(),
  expiresAt: z.int(),
  mintedBy: z.string(),
})

/** Minting by who sits at the machine, listing and revoking. People and workloads exchange a token instead. */
export function credentialRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/operator/credentials',
      summary: 'Mint a short-lived credential for a local identity, from the gateway\u2019s own host.',
      access: ['operator socket'],
      params: none,
      query: none,
      body: mintBody,
      answer: minted,
      records: ({ body }) => ({
        action: 'credential.mint',
        target: body.connection,
        details: {
          as: body.as,
          ttlMs: body.ttlMs,
          ...(body.for === undefined ? {} : { for: body.for }),
        },
      }),
      async handle({ body }) {
        const connection = connectionNamed(parts, body.connection)
        const endpoint = endpointOf(parts, connection)
        const use = useOf(connection, body.use)
        const { credential, secret } = await parts.credentials.mint({
          use,
          chain: chainOf(parts, body.as, body.for),
          connection: connection.name,
          ...databaseFor(connection, use, body.database),
          ttlMs: body.ttlMs,
          mintedBy: 'operator socket',
        })
        return {
          id: credential.id,
          secret: secret.reveal(),
          connection: credential.connection,
          ...(credential.database === undefined ? {} : { database: credential.database }),
          expiresAt: credential.expiresAt,
          ...endpoint,
        }
      },
    }),
    route({
      method: 'GET',
      path: '/v1/credentials',
      summary: 'Live credentials, oldest first. Secrets are not known here.',
      access: ['operator socket', 'admin', 'operator', 'auditor'],
      params: none,
      query: z.object({
        identity: z.string().max(600).optional(),
        connection: z.string().max(64).optional(),
      }),
      body: none,
      answer: z.object({ credentials: z.array(listed) }),
      handle: ({ query }) => ({
        credentials: parts.credentials
          .list()
          .filter(
            ({ chain }) =>
              query.identity === undefined || chain.some((one) => identityKey(one) === query.identity),
          )
          .filter(({ connection }) => query.connection === undefined || connection === query.connection)
          .map(({ chain, ...rest }) => ({ ...rest, chain: chain.map(identityKey) })),
      }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/credentials/{id}',
      summary:
        'Revoke a credential, or give back one\u2019s own. It opens nothing from now on, and its live sessions end.',
      access: [...REVOKERS, 'identity'],
      params: z.object({ id: z.string().min(1).max(64) }),
      query: none,
      body: none,
      answer: z.object({ id: z.string(), revoked: z.literal(true) }),
      identify({ params, caller }) {
        if (!REVOKERS.some((role) => caller.roles.has(role)) && !isOwn(parts, params.id, caller))
          throw noSuchCredential()
        return caller.name
      },
      records: ({ params }) => ({ action: 'credential.revoke', target: params.id }),
      async handle({ params, caller }) {
        if (await parts.credentials.revoke(params.id, caller.name))
          return { id: params.id, revoked: true as const }
        throw noSuchCredential()
      },
    }),
  ]
}

const REVOKERS = ['operator socket', 'admin', 'operator'] as const

/** Whether it is of this very chain: an agent does not give back what its person holds. */
function isOwn(parts: ApiParts, id: string, { chain }: Caller): boolean {
  const held = parts.credentials.list().find((each) => each.id === id)
  if (held === undefined || chain === undefined) return false
  return (
    held.chain.length === chain.length &&
    held.chain.every((one, index) => {
      const other = chain[index]
      return other !== undefined && identityKey(one) === identityKey(other)
    })
  )
}

/** The same for one that is somebody else's: nobody learns which there are. */
function noSuchCredential(): GatewayError {
  return new GatewayError('not_found', 'There is no such live credential.', {
    remedy: 'It may have expired or been revoked already.',
  })
}

export function connectionNamed(parts: ApiParts, name: string): Connection {
  const connection = parts.config().connections.get(brand<ConnectionName>(name))
  if (connection !== undefined) return connection
  throw new GatewayError('connection_unknown', `There is no connection ${name}.`, {
    remedy: 'List them with: sluice connections ls',
    retry: 'only-if-changed',
  })
}

type Endpoint = { readonly address: string; readonly port: number; readonly tlsRequired: boolean }

/** Where clients reach a connection. Throws `conflict` when nothing listens for its protocol. */
export function endpointOf(parts: ApiParts, connection: Connection): Endpoint {
  const endpoint = parts.endpoints()[connection.protocol]
  const tlsRequired = parts.config().listeners.get(connection.protocol)?.tlsRequired ?? false
  if (endpoint !== undefined) return { ...endpoint, tlsRequired }
  throw new GatewayError('conflict', `Nothing listens for ${connection.protocol} connections.`, {
    remedy: `Add it to the configuration: listen: { ${connection.protocol}: { port: 0 } }`,
  })
}

/** A connection with databases takes passwords, any other tokens. Throws `invalid` for what does not fit. */
export function useOf(connection: Connection, wanted: Credential['use'] | undefined): Credential['use'] {
  const use = databasesOf(connection) === undefined ? 'http' : 'database'
  if (wanted === undefined || wanted === use) return use
  throw new GatewayError(
    'invalid',
    use === 'database'
      ? `${connection.name} is a database: it takes no token.`
      : `${connection.name} is no database: it takes a token.`,
    {
      remedy: `Ask with: sluice ${use === 'database' ? 'dsn' : 'token'} ${connection.name}`,
      retry: 'only-if-changed',
    },
  )
}

/** The database that was asked for, or the first of the connection's. Throws `invalid` for one that is not on its list. */
export function databaseFor(
  connection: Connection,
  use: Credential['use'],
  wanted: string | undefined,
): { readonly database?: string } {
  const databases = databasesOf(connection)
  if (use !== 'database' || databases === undefined) return {}
  if (wanted !== undefined && !databases.includes(wanted)) {
    throw new GatewayError('invalid', `${connection.name} has no database ${wanted}.`, {
      remedy: `It has: ${databases.join(', ') || 'none'}.`,
      retry: 'only-if-changed',
    })
  }
  const database = wanted ?? databases[0]
  return database === undefined ? {} : { database }
}

/** The chain of `--as` and `--for`: agent first, whom it acts for next. */
export function chainOf(parts: ApiParts, as: string, actsFor: string | undefined): IdentityChain {
  const actor = identityNamed(parts, as)
  if (actsFor === undefined) return [actor]
  const subject = identityNamed(parts, actsFor)
  const known = parts.config().local.find((each) => each.identity === actor)
  if (known?.actsFor.includes(subject.name) !== true) {
    throw new GatewayError('denied', `${describeChain([actor])} may not act for ${identityKey(subject)}.`, {
      remedy: 'Name it under actsFor of the identity in the configuration.',
    })
  }
  return [actor, subject]
}

function identityNamed(parts: ApiParts, name: string): IdentityChain[0] {
  const identity = parts.localIdentity(name)
  if (identity !== undefined) return identity
  const known = parts.config().local.map((each) => each.identity.name)
  throw new GatewayError('not_found', `There is no local identity ${name}.`, {
    remedy: `Known are: ${known.join(', ') || 'none'}.`,
  })
}
