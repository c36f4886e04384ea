import { z } from 'zod'
import { line, secretReference } from '../../config/values.ts'
import { COMMAND_CLASSES } from '../../core/index.ts'
import type { CredentialSettings } from '../../upstream-credentials/index.ts'
import { upstreamCredential } from '../../upstream-credentials/index.ts'
import { parseRoutePattern } from '../../wire/http/index.ts'
import { clientSlots } from './serving/slots.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

const route = z.strictObject({
  method: z.enum(METHODS),
  path: line('a path such as /customers/{id}', 2048).refine(
    (text) => parseRoutePattern(text) !== undefined,
    'expected a path such as /customers/{id}; begin with a slash and put names in braces',
  ),
  class: z.enum(COMMAND_CLASSES),
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
})

export type HttpSettings = z.output<typeof httpSettings>

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
