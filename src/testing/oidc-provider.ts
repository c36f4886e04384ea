/**
 * A real, certified OpenID provider (https://openid.net/certification/) in this process, on loopback, for tests: it
 * issues what providers issue, so that what is refused here is what would be met outside.
 */
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import { createHash, randomBytes } from 'node:crypto'
import type { JWK } from 'jose'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import type { JWKS } from 'oidc-provider'
import { Provider } from 'oidc-provider'

/** What the provider's API is called: the `aud` of its access tokens. */
export const AUDIENCE = 'https://sluice.example'
/** The client that people log in to. */
export const WEB_CLIENT = 'web'
/** The client of a program without a browser: device authorization. */
export const DEVICE_CLIENT = 'sluice-cli'
/** The client that is an agent of its own, with a secret. */
export const AGENT_CLIENT = 'support-agent'
export const AGENT_SECRET = 'a secret of the test'
const REDIRECT = 'https://web.example/callback'

export type TestProvider = {
  readonly issuer: string
  /** The private keys it signs with, the one in use first: to make tokens that are almost right. */
  readonly keys: readonly JWK[]
  /** Requests so far for this path. */
  requests(path: string): number
  /** An access token for the agent, by its client credentials. `resource` absent: for AUDIENCE. */
  agentToken(resource?: string): Promise<string>
  /** A person logs in to the web client by the authorization code flow. */
  personTokens(account: string): Promise<{ accessToken: string; idToken: string }>
  /** A person opens the address that a program shows, confirms the code there and logs in. */
  confirmDevice(address: string, account: string): Promise<void>
  stop(): Promise<void>
}

export type TestProviderOptions = {
  /** Claims in every access token besides the provider's own. */
  readonly claims?: (client: string) => Record<string, unknown>
  /** Keep the address of an earlier provider: the same issuer with other keys. */
  readonly port?: number
  readonly algorithm?: 'ES256' | 'RS256' | 'PS256' | 'EdDSA'
}

export async function newSigningKey(algorithm: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const key = await exportJWK(privateKey)
  return { ...key, alg: algorithm, use: 'sig', kid: await calculateJwkThumbprint(key) }
}

export async function startTestProvider(options: TestProviderOptions = {}): Promise<TestProvider> {
  const algorithm = options.algorithm ?? 'ES256'
  const key = await newSigningKey(algorithm)
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the provider has no port')
  const issuer = `http://127.0.0.1:${address.port}`
  const provider = makeProvider(issuer, key, algorithm, options)
  const device = { account: '' }
  const paths = new Map<string, number>()
  const handle = provider.callback()
  server.on('request', (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    paths.set(path, (paths.get(path) ?? 0) + 1)
    if (path.startsWith('/interaction/')) {
      // Whoever comes is logged in as the account named in the request: `login_hint`.
      void (async () => {
        const { params } = await provider.interactionDetails(request, response)
        const result = { login: { accountId: String(params.login_hint ?? device.account) } }
        await provider.interactionFinished(request, response, result)
      })()
      return
    }
    void handle(request, response)
  })
  return {
    issuer,
    keys: [key],
    requests: (path) => paths.get(path) ?? 0,
    agentToken: (resource = AUDIENCE) => clientCredentials(issuer, resource),
    personTokens: (account) => authorizationCode(issuer, account),
    confirmDevice: async (address, account) => {
      device.account = account
      await confirmDevice(address)
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function makeProvider(
  issuer: string,
  key: JWK,
  algorithm: NonNullable<TestProviderOptions['algorithm']>,
  options: TestProviderOptions,
): Provider {
  const jwks = { keys: [key] } as JWKS
  return new Provider(issuer, {
    jwks,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        client_id: WEB_CLIENT,
        token_endpoint_auth_method: 'none',
        redirect_uris: [REDIRECT],
        id_token_signed_response_alg: algorithm,
      },
      {
        client_id: DEVICE_CLIENT,
        token_endpoint_auth_method: 'none',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: algorithm,
      },
      {
        client_id: AGENT_CLIENT,
        client_secret: AGENT_SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: algorithm,
      },
    ],
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    loadExistingGrant: async (context) => {
      const { client, session } = context.oidc
      const grant = new context.oidc.provider.Grant({
        clientId: client?.clientId ?? '',
        accountId: session?.accountId ?? '',
      })
      grant.addOIDCScope('openid offline_access')
      grant.addResourceScope(AUDIENCE, 'api')
      await grant.save()
      return grant
    },
    extraTokenClaims: (_context, token) =>
      'clientId' in token ? options.claims?.(String(token.clientId)) : undefined,
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true, ...shortPages },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'api',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
    scopes: ['openid', 'offline_access'],
    pkce: { required: () => true },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      ClientCredentials: 600,
      DeviceCode: 600,
      RefreshToken: 600,
      Grant: 600,
      IdToken: 600,
      Interaction: 60,
      Session: 600,
    },
  })
}

async function clientCredentials(issuer: string, resource: string): Promise<string> {
  const tokens = await post(`${issuer}/token`, {
    grant_type: 'client_credentials',
    client_id: AGENT_CLIENT,
    client_secret: AGENT_SECRET,
    scope: 'api',
    resource,
  })
  return String(tokens.access_token)
}

async function authorizationCode(
  issuer: string,
  account: string,
): Promise<{ accessToken: string; idToken: string }> {
  const verifier = randomBytes(32).toString('base64url')
  const start = new URL(`${issuer}/auth`)
  start.search = new URLSearchParams({
    client_id: WEB_CLIENT,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid api',
    resource: AUDIENCE,
    login_hint: account,
    nonce: 'nonce of the test',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()
  const callback = await follow(start)
  const code = callback.searchParams.get('code')
  if (code === null) throw new Error(`no code: ${callback.search}`)
  const tokens = await post(`${issuer}/token`, {
    grant_type: 'authorization_code',
    client_id: WEB_CLIENT,
    redirect_uri: REDIRECT,
    code,
    code_verifier: verifier,
  })
  return { accessToken: String(tokens.access_token), idToken: String(tokens.id_token) }
}

/** Goes where a browser would, with its cookies, until it is sent to the client. */
async function follow(start: URL): Promise<URL> {
  const cookies = new Map<string, string>()
  let url = start
  for (let hops = 0; hops < 10; hops++) {
    if (url.href.startsWith(REDIRECT)) return url
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';', 1)
      const at = pair.indexOf('=')
      cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
    const location = response.headers.get('location')
    if (location === null)
      throw new Error(`${url.pathname} answered ${response.status}: ${await response.text()}`)
    url = new URL(location, url)
  }
  throw new Error('the provider never came to an end')
}

async function post(url: string, form: Record<string, string>): Promise<Record<string, unknown>> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  const answer = (await response.json()) as Record<string, unknown>
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${JSON.stringify(answer)}`)
  return answer
}

/** What is shown in a browser, without what makes it look well. */
const shortPages = {
  userCodeInputSource: (context: { body: unknown }, form: string) => {
    context.body = form
  },
  userCodeConfirmSource: (context: { body: unknown }, form: string) => {
    context.body = form
  },
  successSource: (context: { body: unknown }) => {
    context.body = 'confirmed'
  },
}

/** Follows redirects and sends forms as a browser and a person who confirms do. */
async function confirmDevice(address: string): Promise<void> {
  const cookies = new Map<string, string>()
  let next: { url: URL; form?: URLSearchParams } = { url: new URL(address) }
  for (let hops = 0; hops < 12; hops++) {
    const response = await fetch(next.url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(next.form === undefined ? {} : { method: 'POST', body: next.form }),
    })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';', 1)
      const at = pair.indexOf('=')
      cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
    const text = await response.text()
    if (text === 'confirmed') return
    const location = response.headers.get('location')
    if (location !== null) next = { url: new URL(location, next.url) }
    else next = { url: new URL('/device', next.url), form: fieldsOf(text) }
  }
  throw new Error('the device was never confirmed')
}

/** The hidden fields of a form, and a yes. */
function fieldsOf(page: string): URLSearchParams {
  const form = new URLSearchParams()
  for (const [input] of page.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1]
    const value = /value="([^"]*)"/.exec(input)?.[1]
    if (name !== undefined && value !== undefined) form.set(name, value)
  }
  if (page.includes('confirm')) form.set('confirm', 'yes')
  return form
}
