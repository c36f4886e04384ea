import { z } from 'zod'
import type { ConfigVersion } from '../../core/index.ts'
import { brand, LIMITS } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { count, none, route } from '../route.ts'

const READERS = ['operator socket', 'admin', 'operator', 'auditor'] as const
const WRITERS = ['operator socket', 'admin'] as const

const text = z.strictObject({ text: z.string().min(1).max(LIMITS.configBytesMax) })
const version = z.string().min(1).max(128)

const change = z.object({
  kind: z.enum(['added', 'removed', 'changed']),
  path: z.string(),
  before: z.string().optional(),
  after: z.string().optional(),
})

const activation = z.object({ sequence: z.int(), version: z.string(), at: z.int(), by: z.string() })

/** The configuration in force and those before it. It holds references to secrets, never their values. */
export function configurationRoutes(parts: ApiParts): readonly AnyRoute[] {
  const { configurations } = parts
  return [
    route({
      method: 'GET',
      path: '/v1/configuration',
      summary: 'The configuration in force, as it was written.',
      access: READERS,
      params: none,
      query: none,
      body: none,
      answer: z.object({ version: z.string(), file: z.string(), text: z.string() }),
      handle: () => {
        const { config, text: written } = configurations.current
        return { version: config.version, file: config.file, text: written }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/configuration/check',
      summary: 'What a configuration would change. Nothing is changed.',
      access: READERS,
      params: none,
      query: none,
      body: text,
      answer: z.object({ version: z.string(), changes: z.array(change) }),
      records: () => ({ action: 'configuration.check' }),
      handle({ body }) {
        const { version: checked, changes } = configurations.check(body.text)
        return { version: checked, changes: [...changes] }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/configuration/apply',
      summary:
        'Put a configuration in force, as a whole or not at all. Live sessions take it at their next command.',
      access: WRITERS,
      params: none,
      query: none,
      body: text,
      answer: activation,
      records: () => ({ action: 'configuration.apply' }),
      handle: ({ body, caller }) => configurations.apply(body.text, caller.name),
    }),
    route({
      method: 'POST',
      path: '/v1/configuration/rollback',
      summary: 'Put an earlier configuration in force again.',
      access: WRITERS,
      params: none,
      query: none,
      body: z.strictObject({ version }),
      answer: activation,
      records: ({ body }) => ({ action: 'configuration.rollback', target: body.version }),
      handle: ({ body, caller }) => configurations.rollback(brand<ConfigVersion>(body.version), caller.name),
    }),
    route({
      method: 'GET',
      path: '/v1/configuration/history',
      summary: 'Which configurations were in force, since when and by whom; newest first.',
      access: READERS,
      params: none,
      query: z.object({ limit: count(1000).default(50) }),
      body: none,
      answer: z.object({ activations: z.array(activation) }),
      handle: async ({ query }) => ({ activations: [...(await configurations.history(query.limit))] }),
    }),
    route({
      method: 'GET',
      path: '/v1/configuration/diff',
      summary: 'What the configuration in force changed compared with an earlier one.',
      access: READERS,
      params: none,
      query: z.object({ version }),
      body: none,
      answer: z.object({ changes: z.array(change) }),
      handle: async ({ query }) => ({
        changes: [...(await configurations.changesSince(brand<ConfigVersion>(query.version)))],
      }),
    }),
  ]
}
