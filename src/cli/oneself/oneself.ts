import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ApiClient } from '../../api/client.ts'
import { GatewayError, isGatewayError } from '../../core/index.ts'
import type { Common } from '../context.ts'
import { personAddress, UsageError } from '../context.ts'
import { renew } from './issuer.ts'
import type { Login } from './kept.ts'
import { alone, readLogin, writeLogin } from './kept.ts'
import { workloadToken } from './workload.ts'

/** A token that has less left is renewed first: what it is exchanged for takes a moment. */
const LEFT_MS = 60_000

const issuers = z.object({
  issuers: z.array(
    z.object({
      url: z.string(),
      audience: z.string(),
      login: z
        .object({
          client: z.string(),
          scopes: z.array(z.string()),
          audienceAs: z.enum(['resource', 'audience', 'none']),
        })
        .optional(),
    }),
  ),
})

export type KnownIssuers = z.output<typeof issuers>['issuers']

/** Which gateway is meant: SLUICE_GATEWAY, that of the login, or the one whose data directory this is. */
export async function gatewayOf(common: Common, login: Login | undefined): Promise<Login['gateway']> {
  const url = process.env.SLUICE_GATEWAY
  if (url !== undefined) return namedGateway(url, process.env.SLUICE_GATEWAY_AUTHORITY)
  return login?.gateway ?? (await personAddress(common))
}

/** A gateway by its URL. `authority` is a file, PEM: the only authority that its certificate may be of. */
export function namedGateway(url: string, authority: string | undefined): Login['gateway'] {
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'https:')
    throw new UsageError('A gateway is named by a URL that begins with https://.')
  return {
    url: parsed.origin,
    ...(authority === undefined ? {} : { authority: readFileSync(authority, 'utf8') }),
  }
}

export function clientOf(gateway: Login['gateway'], token?: string): ApiClient {
  const { url, authority } = gateway
  return new ApiClient({
    kind: 'url',
    url,
    ...(authority === undefined ? {} : { authority }),
    ...(token === undefined ? {} : { token }),
  })
}

export async function knownIssuers(gateway: Login['gateway']): Promise<KnownIssuers> {
  const client = clientOf(gateway)
  try {
    return issuers.parse(await client.call('GET', '/v1/login/issuers')).issuers
  } finally {
    await client.close()
  }
}

export type Oneself = { readonly gateway: Login['gateway']; readonly token: string }

/**
 * As whom commands come without `--as`: as the workload they run in, or as who has logged in. Undefined: as nobody. Throws
 * `unauthenticated` when the login has ended.
 */
export async function oneself(common: Common): Promise<Oneself | undefined> {
  const login = readLogin()
  let gateway: Login['gateway'] | undefined
  const place = async () => (gateway ??= await gatewayOf(common, login))
  const workload = await workloadToken(process.env, async () => await knownIssuers(await place()))
  if (workload !== undefined) return { gateway: await place(), token: workload }
  if (login === undefined) return undefined
  const current = await renewed(login)
  // A token goes to the gateway that it was got for, and to no other.
  return { gateway: current.gateway, token: current.accessToken }
}

async function renewed(login: Login): Promise<Login> {
  if (isGood(login)) return login
  return await alone(async () => {
    const now = readLogin()
    if (now === undefined) throw ended()
    if (isGood(now)) return now
    if (now.refreshToken === undefined) throw ended()
    const next = { ...now, ...(await renew(now.issuer, now.refreshToken)) }
    writeLogin(next)
    return next
  })
}

function isGood(login: Login): boolean {
  return login.expiresAt - Date.now() > LEFT_MS
}

function ended(): GatewayError {
  return new GatewayError('unauthenticated', 'The login has ended.', { remedy: 'Log in: sluice login' })
}

const exchanged = z.object({
  access_token: z.string(),
  id: z.string(),
  connection: z.string(),
  database: z.string().optional(),
  expires_at: z.number(),
  address: z.string(),
  port: z.number(),
  tlsRequired: z.boolean(),
})

export type Wanted = {
  readonly connection: string
  readonly use: 'database' | 'http' | undefined
  readonly database: string | undefined
  readonly ttlMs: number
}

/** RFC 8693: the token for a credential of one connection. */
export async function exchange({ gateway, token }: Oneself, wanted: Wanted) {
  const client = clientOf(gateway)
  try {
    const answer = exchanged.parse(
      await client.call('POST', '/v1/credentials', {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        audience: wanted.connection,
        expires_in: Math.floor(wanted.ttlMs / 1000),
        ...(wanted.use === undefined
          ? {}
          : {
              requested_token_type:
                wanted.use === 'database'
                  ? 'urn:sluice:token-type:database-credential'
                  : 'urn:sluice:token-type:http-token',
            }),
        ...(wanted.database === undefined ? {} : { database: wanted.database }),
      }),
    )
    const { access_token: secret, expires_at: expiresAt, address, ...rest } = answer
    return { ...rest, secret, expiresAt, address: reachedAt(address, gateway.url) }
  } finally {
    await client.close()
  }
}

/** A gateway that listens on every interface is where its API is. */
function reachedAt(address: string, gateway: string): string {
  if (address !== '0.0.0.0' && address !== '::') return address
  return new URL(gateway).hostname.replaceAll(/[[\]]/g, '')
}

/** Gives a credential back. Of one that has ended by itself, and of a gateway that is gone, nothing is said. */
export async function giveBackOwn({ gateway, token }: Oneself, id: string): Promise<void> {
  const client = clientOf(gateway, token)
  try {
    await client.call('DELETE', `/v1/credentials/${encodeURIComponent(id)}`)
  } catch (error) {
    if (!isGatewayError(error)) throw error
  } finally {
    await client.close()
  }
}

/** Who a token stands for, as the gateway sees it. */
export async function whoIs({ gateway, token }: Oneself): Promise<readonly string[]> {
  const client = clientOf(gateway, token)
  try {
    return z.object({ chain: z.array(z.string()) }).parse(await client.call('GET', '/v1/whoami')).chain
  } finally {
    await client.close()
  }
}
