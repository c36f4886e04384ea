import { z } from 'zod'
import { line, secretReference } from '../../config/values.ts'
import { EFFECTS } from '../../apis/index.ts'
import { COMMAND_CLASSES, LIMITS } from '../../core/index.ts'
import type { CredentialSettings } from '../../upstream-credentials/index.ts'
import { upstreamCredential } from '../../upstream-credentials/index.ts'
import { parseRoutePattern, WEBSOCKET } from '../../wire/http/index.ts'
import type { DescribedApi } from './described-api.ts'
import { isOwnPath } from './own/place.ts'
import { clientSlots } from './serving/slots.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', WEBSOCKET] as const

const route = z.strictObject({
  method: z.enum(METHODS).describe('WEBSOCKET: a GET that asks for an upgrade to it, and nothing else.'),
  path: line('a path such as /customers/{id}', 2048)
    .refine(
      (text) => parseRoutePattern(text) !== undefined,
      'expected a path such as /customers/{id}; begin with a slash and put names in braces',
    )
    .refine(
      (text) => parseRoutePattern(text) === undefined || !isOwnPath(text),
      'expected a path of the API; the gateway answers itself below /.sluice/',
    ),
  class: z.enum(COMMAND_CLASSES).optional().describe('What policies judge it as. Default: by its effect.'),
  effect: z
    .enum(EFFECTS)
    .optional()
    .describe('What it does. Default: what the OpenAPI document says, or what method and path tell.'),
  pageSize: z
    .strictObject({
      query: line('the name of a parameter'),
      default: z.int().min(0).optional().describe('Records without it. Absent: all there are.'),
    })
    .optional()
    .describe('Where the request says how many records it wants.'),
})

/** A path to a file, which counts from where the configuration lies. */
const file = (what: string) => line(what, 4096)

const openapi = z.strictObject({
  file: file('the path of an OpenAPI document').describe('Version 3.0 or 3.1, as YAML or JSON, in one file.'),
})

const graphql = z.strictObject({
  path: route.shape.path.default('/graphql'),
  schema: file('the path of a GraphQL schema').describe('In the schema definition language, in one file.'),
  depth: z
    .int()
    .min(1)
    .max(LIMITS.graphqlDepthMax)
    .default(LIMITS.graphqlDepthMax)
    .describe('Levels of fields in one operation.'),
  persisted: z
    .record(line('a hash or a name'), z.string().min(1).max(LIMITS.httpRequestBodyBytesMax))
    .refine(
      (documents) => Object.keys(documents).length <= LIMITS.graphqlPersistedMax,
      `expected at most ${LIMITS.graphqlPersistedMax} documents; register fewer`,
    )
    .default({})
    .describe('Documents by what clients send in their place.'),
  effects: z
    .record(line('a field such as Mutation.sendInvoice'), z.enum(EFFECTS))
    .default({})
    .describe('What fields at the top do. Default: what their names tell.'),
})

const upstream = z
  .strictObject({
    /** Scheme, host and port; a path in it is put in front of every request's. */
    url: line('a URL', 2048).refine(
      isUpstreamUrl,
      'expected a URL such as http://127.0.0.1:8080; leave out query, fragment and credentials',
    ),
    /** The upstream's own service token. */
    bearer: secretReference().optional().describe('Short for a credential of the kind bearer.'),
    credential: upstreamCredential.optional().describe('Who the gateway is to this API. Default: nobody.'),
  })
  .refine(
    ({ bearer, credential }) => bearer === undefined || credential === undefined,
    'expected either bearer or credential; remove one of them',
  )
  .refine(
    ({ url, credential }) => credential?.kind !== 'mutualTls' || url.startsWith('https:'),
    'expected an https URL for mutualTls; a certificate is shown on a TLS line only',
  )

/** What an HTTP connection says besides what every connection does. */
export const httpSettings = z.strictObject({
  upstream,
  client: z.strictObject({ slots: clientSlots }).prefault({}),
  /** The requests that exist for clients. Anything else is refused. Empty: nothing. */
  routes: z.array(route).default([]),
  openapi: openapi.optional().describe('Describes the API: its operations are routes as well.'),
  graphql: graphql.optional().describe('The API speaks GraphQL at one path.'),
})

export type HttpSettings = z.output<typeof httpSettings> & {
  /** What the files say that these settings name. Absent: they name none. */
  readonly described?: DescribedApi
}

/** Who the gateway is to the upstream of these settings; undefined: nobody. */
export function credentialSettings({ upstream }: HttpSettings): CredentialSettings | undefined {
  if (upstream.bearer !== undefined) return { kind: 'bearer', token: upstream.bearer }
  return upstream.credential
}

function isUpstreamUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const plain = url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  return plain && (url.protocol === 'http:' || url.protocol === 'https:')
}

/** The files that settings name, as the configuration has just read them by our schema. */
export function namedFiles(settings: unknown): Pick<z.output<typeof httpSettings>, 'openapi' | 'graphql'> {
  return httpSettings.pick({ openapi: true, graphql: true }).loose().parse(settings)
}
