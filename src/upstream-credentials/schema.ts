import { z } from 'zod'
import { line, secretReference } from '../config/values.ts'
import { isTokenUrl } from './token-endpoint.ts'

const FIELD_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const SCHEME = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/
const QUERY_KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Fields that say how a request is framed, where it goes and how it is answered; no credential stands in them. */
const NOT_FOR_CREDENTIALS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
])

/** The name of a field that holds a credential. */
export function credentialField() {
  return z
    .string()
    .regex(FIELD_NAME, 'expected the name of a field; write it like X-Api-Key')
    .refine(
      (name) => !NOT_FOR_CREDENTIALS.has(name.toLowerCase()),
      'expected a field that holds a credential; this one says something else',
    )
}

/** The scheme of `Authorization`: one word. */
export function credentialScheme() {
  return z.string().regex(SCHEME, 'expected one word; write it like Token')
}

/** The key of a query that holds a credential. */
export function credentialQueryKey() {
  return z.string().regex(QUERY_KEY, 'expected the key of a query; write it like api_key')
}

const tokenUrl = line('a URL', 2048)
  .refine(
    isTokenUrl,
    'expected an https URL, or an http one of this machine; leave out fragment and credentials',
  )
  .describe('The token endpoint. Redirects are not followed.')

const authentication = z
  .enum(['basic', 'post'])
  .default('basic')
  .describe('How the secret is shown there: as Authorization: Basic, or in the body. Default basic.')

const askedFor = {
  scope: line('scopes with spaces between them', 1024).optional(),
  audience: line('an audience', 1024).optional(),
  resource: line('a resource', 1024).optional().describe('RFC 8707.'),
} as const

const header = z.strictObject({
  kind: z.literal('header'),
  name: credentialField().describe('Such as X-Api-Key.'),
  scheme: credentialScheme().optional().describe('Stands before the value and a space.'),
  value: secretReference(),
})

const bearer = z.strictObject({ kind: z.literal('bearer'), token: secretReference() })

const basic = z.strictObject({
  kind: z.literal('basic'),
  username: z
    .string()
    .max(256)
    .regex(/^[^:\p{Cc}]*$/u, 'expected a name without colon; write it as text')
    .default('')
    .describe('No secret. Default: none.'),
  password: secretReference(),
})

const query = z.strictObject({
  kind: z.literal('query'),
  name: credentialQueryKey().describe('Such as api_key.'),
  value: secretReference(),
})

const clientCredentials = z.strictObject({
  kind: z.literal('clientCredentials'),
  tokenUrl,
  clientId: line('the id of a client', 512),
  clientSecret: secretReference(),
  authentication,
  ...askedFor,
})

const refreshToken = z.strictObject({
  kind: z.literal('refreshToken'),
  tokenUrl,
  clientId: line('the id of a client', 512),
  clientSecret: secretReference().optional(),
  authentication,
  refreshToken: secretReference(),
  scope: askedFor.scope,
})

const tokenExchange = z.strictObject({
  kind: z.literal('tokenExchange'),
  tokenUrl,
  clientId: line('the id of a client', 512).optional(),
  clientSecret: secretReference().optional(),
  authentication,
  subjectToken: secretReference().describe('Read anew for each exchange.'),
  subjectTokenType: line('the URI of a type of token', 256).default('urn:ietf:params:oauth:token-type:jwt'),
  requestedTokenType: line('the URI of a type of token', 256).optional(),
  ...askedFor,
})

const sigv4 = z.strictObject({
  kind: z.literal('sigv4'),
  region: z.string().regex(/^[a-z0-9-]{1,64}$/, 'expected a region; write it like eu-central-1'),
  service: z.string().regex(/^[a-z0-9-]{1,64}$/, 'expected a service; write it like execute-api'),
  accessKeyId: z
    .string()
    .regex(/^[A-Za-z0-9]{4,128}$/, 'expected the id of an access key; write the id itself')
    .describe('No secret.'),
  secretAccessKey: secretReference(),
  sessionToken: secretReference().optional(),
})

const mutualTls = z.strictObject({
  kind: z.literal('mutualTls'),
  certificate: secretReference({ literal: true }).describe('PEM, the certificate and those that it needs.'),
  key: secretReference().describe('PEM.'),
})

const googleServiceAccount = z
  .strictObject({
    kind: z.literal('googleServiceAccount'),
    key: secretReference().describe('The key file, JSON.'),
    scope: askedFor.scope.describe('A token is asked for with these scopes.'),
    audience: askedFor.audience.describe('The signed JWT is itself shown to this API.'),
  })
  .refine(
    ({ scope, audience }) => (scope === undefined) !== (audience === undefined),
    'expected either scope or audience; write one of them',
  )

/** `upstream.credential`: who the gateway is to an API. */
export const upstreamCredential = z.discriminatedUnion('kind', [
  header,
  bearer,
  basic,
  query,
  clientCredentials,
  refreshToken,
  tokenExchange,
  sigv4,
  mutualTls,
  googleServiceAccount,
])

export type CredentialSettings = z.output<typeof upstreamCredential>
