import { z } from 'zod'
import type { IdentityChain } from '../../core/index.ts'
import { brand, GatewayError, LIMITS } from '../../core/index.ts'
import type { ConnectionName } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const mintBody = z.strictObject({
  connection: z.string().min(1).max(64),
  /** `agent:support-agent`, or just the name. */
  as: z.string().min(1).max(256),
  /** The identity it acts for, when it acts for somebody. */
  for: z.string().min(1).max(256).optional(),
  use: z.enum(['database', 'http']),
  database: z.string().min(1).max(63).optional(),
  ttlMs: z
    .int()
    .min(LIMITS.credentialTtlMsMin)
    .max(LIMITS.credentialTtlMsMax)
    .default(15 * 60_000),
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
})

/** Minting by who sits at the machine; people and workloads exchange a token instead. */
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
          use: body.use,
          ttlMs: body.ttlMs,
          ...(body.for === undefined ? {} : { for: body.for }),
        },
      }),
      async handle({ body }) {
        const connection = parts.config().connections.get(brand<ConnectionName>(body.connection))
        if (connection === undefined) {
          throw new GatewayError('connection_unknown', `There is no connection ${body.connection}.`, {
            remedy: 'List them with: sluice connections ls',
          })
        }
        const endpoint = parts.endpoints()[connection.protocol]
        if (endpoint === undefined) {
          throw new GatewayError('conflict', `Nothing listens for ${connection.protocol} connections.`)
        }
        const database = body.database ?? firstDatabase(connection.settings)
        const { credential, secret } = await parts.credentials.mint({
          use: body.use,
          chain: chainOf(parts, body.as, body.for),
          connection: connection.name,
          ...(body.use === 'database' && database !== undefined ? { database } : {}),
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
  ]
}

/** The chain of `--as` and `--for`: agent first, whom it acts for next. */
function chainOf(parts: ApiParts, as: string, actsFor: string | undefined): IdentityChain {
  const actor = identityNamed(parts, as)
  if (actsFor === undefined) return [actor]
  const subject = identityNamed(parts, actsFor)
  const known = parts.config().local.find((each) => each.identity === actor)
  if (known?.actsFor.includes(subject.name) !== true) {
    throw new GatewayError('denied', `${as} may not act for ${actsFor}.`, {
      remedy: 'Name it under actsFor of the identity in the configuration.',
    })
  }
  return [actor, subject]
}

function identityNamed(parts: ApiParts, name: string): IdentityChain[0] {
  const identity = parts.localIdentity(name)
  if (identity !== undefined) return identity
  throw new GatewayError('not_found', `There is no local identity ${name}.`, {
    remedy: `Known are: ${
      parts
        .config()
        .local.map((each) => each.identity.name)
        .join(', ') || 'none'
    }.`,
  })
}

/** The first of a connection's databases, where its protocol has any. */
function firstDatabase(settings: unknown): string | undefined {
  const read = z.object({ databases: z.array(z.string()) }).safeParse(settings)
  return read.success ? read.data.databases[0] : undefined
}
