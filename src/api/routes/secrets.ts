import { z } from 'zod'
import { GatewayError, LIMITS, Secret } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const summary = z.object({ name: z.string(), updatedAt: z.int(), updatedBy: z.string() })
const params = z.object({ name: z.string().min(1).max(128) })

/** Sealed secrets go in; only their names come out. */
export function secretRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/secrets',
      summary: 'The names of the sealed secrets. Values cannot be read back by anybody.',
      access: ['operator socket', 'admin', 'operator', 'auditor'],
      params: none,
      query: none,
      body: none,
      answer: z.object({ secrets: z.array(summary) }),
      handle: () => ({ secrets: [...parts.sealed.list()] }),
    }),
    route({
      method: 'PUT',
      path: '/v1/secrets/{name}',
      summary: 'Seal a secret under a name, over an older one.',
      access: ['operator socket', 'admin'],
      params,
      query: none,
      body: z.strictObject({ value: z.string().min(1).max(LIMITS.secretBytesMax) }),
      answer: z.object({ name: z.string() }),
      records: ({ params: { name } }) => ({ action: 'secret.set', target: name }),
      async handle({ params: { name }, body, caller }) {
        await parts.sealed.set(name, new Secret(body.value), caller.name)
        return { name }
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/secrets/{name}',
      summary: 'Remove a sealed secret.',
      access: ['operator socket', 'admin'],
      params,
      query: none,
      body: none,
      answer: z.object({ name: z.string() }),
      records: ({ params: { name } }) => ({ action: 'secret.remove', target: name }),
      async handle({ params: { name } }) {
        if (await parts.sealed.remove(name)) return { name }
        throw new GatewayError('not_found', 'There is no such secret.', {
          remedy: 'List them with: sluice secrets ls',
        })
      },
    }),
  ]
}
