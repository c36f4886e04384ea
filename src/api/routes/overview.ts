import { z } from 'zod'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const connections = z.object({
  connections: z.array(
    z.object({
      name: z.string(),
      protocol: z.string(),
      labels: z.int(),
      rowsMax: z.number(),
      bytesMax: z.number(),
    }),
  ),
})

export function overviewRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/healthz',
      summary: 'Whether the gateway serves.',
      access: 'public',
      params: none,
      query: none,
      body: none,
      answer: z.object({ status: z.literal('ok') }),
      handle: () => ({ status: 'ok' as const }),
    }),
    route({
      method: 'GET',
      path: '/v1/connections',
      summary: 'The configured connections.',
      access: ['operator socket', 'admin', 'operator', 'auditor', 'approver'],
      params: none,
      query: none,
      body: none,
      answer: connections,
      handle: () => ({
        connections: [...parts.config().connections.values()].map((each) => ({
          name: each.name,
          protocol: each.protocol,
          labels: each.labels.length,
          rowsMax: each.limit.rowsMax,
          bytesMax: each.limit.bytesMax,
        })),
      }),
    }),
  ]
}
