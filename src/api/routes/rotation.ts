import { z } from 'zod'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'
import { connectionNamed } from './credentials.ts'

/** Another secret in place of the one that a connection logs in with. */
export function rotationRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/connections/{name}/rotate',
      summary:
        'Give the upstream of a connection a new secret, try it, and seal it. Sessions that are open live on; nobody learns it.',
      access: ['operator socket', 'admin'],
      params: z.object({ name: z.string().min(1).max(64) }),
      query: none,
      body: none,
      answer: z.object({
        connection: z.string(),
        /** The name under which it is sealed. */
        secret: z.string(),
        /** False: the upstream takes the old one, too, and so perhaps any. */
        oldRefused: z.boolean(),
        /** A rotation that was cut short was finished, with the secret that the upstream had by then. */
        resumed: z.boolean(),
      }),
      records: ({ params }) => ({ action: 'credential.rotate', target: params.name }),
      async handle({ params, caller }) {
        const connection = connectionNamed(parts, params.name)
        return { connection: connection.name, ...(await parts.rotation.rotate(connection, caller.name)) }
      },
    }),
  ]
}
