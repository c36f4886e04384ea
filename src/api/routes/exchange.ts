import { z } from 'zod'
import { describeChain, GatewayError, LIMITS } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'
import { connectionNamed, databaseFor, endpointOf, useOf } from './credentials.ts'

/** RFC 8693 section 2.1. */
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
/** RFC 8693 section 3. */
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'
/** What is had here; none of the standard's types is the password of a database. */
const DATABASE = 'urn:sluice:token-type:database-credential' as const
const HTTP = 'urn:sluice:token-type:http-token' as const

const token = z
  .string()
  .min(1)
  .max(LIMITS.tokenBytesMax * 2)
const tokenType = z.enum([ACCESS_TOKEN, JWT])
const NAME = z.string().min(1).max(64)

const body = z.strictObject({
  grant_type: z.literal(GRANT),
  subject_token: token,
  subject_token_type: tokenType,
  actor_token: token.optional(),
  actor_token_type: tokenType.optional(),
  /** The connection. `resource` says the same. */
  audience: NAME.optional(),
  resource: NAME.optional(),
  requested_token_type: z.enum([DATABASE, HTTP]).optional(),
  /** One of the connection's databases. */
  database: z.string().min(1).max(63).optional(),
  /** Seconds; our own, since the standard has no way to ask. */
  expires_in: z.coerce
    .number()
    .int()
    .min(LIMITS.credentialTtlMsMin / 1000)
    .max(LIMITS.credentialTtlMsMax / 1000)
    .optional(),
  /** Taken because clients send it; what somebody may do is the rules' to say. */
  scope: z.string().max(1000).optional(),
})

const answer = z.object({
  /** The password of a DSN, or the token. Shown once. */
  access_token: z.string(),
  issued_token_type: z.enum([DATABASE, HTTP]),
  token_type: z.enum(['N_A', 'Bearer']),
  expires_in: z.int(),
  id: z.string(),
  connection: z.string(),
  expires_at: z.int(),
  address: z.string(),
  port: z.int(),
  tlsRequired: z.boolean(),
  /** Of a database credential. */
  user: z.string().optional(),
  database: z.string().optional(),
  /** Of a token: what goes in front of every path. */
  path: z.string().optional(),
})

/** RFC 8693: an access token of an issuer goes in, a short-lived credential for one connection comes out. */
export function exchangeRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/credentials',
      summary: 'Exchange an access token (and an actor\u2019s) for a short-lived credential: RFC 8693.',
      access: 'public',
      form: true,
      params: none,
      query: none,
      body,
      answer,
      // Who is turned down leaves no record: strangers must not be able to fill it.
      async identify({ body: asked }) {
        if (asked.actor_token !== undefined && asked.actor_token_type === undefined) {
          throw new GatewayError('invalid', 'Say what kind of token it is: actor_token_type.')
        }
        const subject = await parts.verify(asked.subject_token)
        const actor = asked.actor_token === undefined ? [] : await parts.verify(asked.actor_token)
        const [first, ...rest] = [...actor, ...subject]
        return describeChain(first === undefined ? subject : [first, ...rest])
      },
      records: ({ body: asked }) => ({
        action: 'credential.exchange',
        target: connectionOf(asked),
        ...(asked.database === undefined ? {} : { details: { database: asked.database } }),
      }),
      async handle({ body: asked }) {
        const connection = connectionNamed(parts, connectionOf(asked))
        const endpoint = endpointOf(parts, connection)
        const wanted =
          asked.requested_token_type === undefined
            ? undefined
            : asked.requested_token_type === DATABASE
              ? 'database'
              : 'http'
        const use = useOf(connection, wanted)
        const { credential, secret } = await parts.exchange.exchange({
          subjectToken: asked.subject_token,
          ...(asked.actor_token === undefined ? {} : { actorToken: asked.actor_token }),
          use,
          connection: connection.name,
          ...databaseFor(connection, use, asked.database),
          ...(asked.expires_in === undefined ? {} : { ttlMs: asked.expires_in * 1000 }),
        })
        const common = {
          access_token: secret.reveal(),
          expires_in: Math.floor((credential.expiresAt - credential.createdAt) / 1000),
          id: credential.id,
          connection: credential.connection,
          expires_at: credential.expiresAt,
          ...endpoint,
        }
        if (use === 'http') {
          return {
            ...common,
            issued_token_type: HTTP,
            token_type: 'Bearer' as const,
            path: `/c/${credential.connection}`,
          }
        }
        return {
          ...common,
          issued_token_type: DATABASE,
          token_type: 'N_A' as const,
          user: credential.id,
          ...(credential.database === undefined ? {} : { database: credential.database }),
        }
      },
    }),
  ]
}

function connectionOf(asked: z.output<typeof body>): string {
  const name = asked.audience ?? asked.resource
  if (name !== undefined && (asked.resource === undefined || asked.resource === name)) return name
  throw new GatewayError('invalid', 'Name one connection as audience or resource.', {
    retry: 'only-if-changed',
  })
}
