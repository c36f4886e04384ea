import { z } from 'zod'
import { line, secretReference } from '../../config/values.ts'
import { COMMAND_CLASSES } from '../../core/index.ts'
import { parseRoutePattern } from '../../wire/http/index.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

const route = z.strictObject({
  method: z.enum(METHODS),
  path: line('a path such as /customers/{id}', 2048).refine(
    (text) => parseRoutePattern(text) !== undefined,
    'expected a path such as /customers/{id}; begin with a slash and put names in braces',
  ),
  class: z.enum(COMMAND_CLASSES),
})

/** What an HTTP connection says besides what every connection does. */
export const httpSettings = z.strictObject({
  upstream: z.strictObject({
    /** Scheme, host and port; a path in it is put in front of every request's. */
    url: line('a URL', 2048).refine(
      isUpstreamUrl,
      'expected a URL such as http://127.0.0.1:8080; leave out query, fragment and credentials',
    ),
    /** The upstream's own service token. */
    bearer: secretReference().optional(),
  }),
  /** The requests that exist for clients. Anything else is refused. Empty: nothing. */
  routes: z.array(route).default([]),
})

export type HttpSettings = z.output<typeof httpSettings>

function isUpstreamUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const plain = url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  return plain && (url.protocol === 'http:' || url.protocol === 'https:')
}
