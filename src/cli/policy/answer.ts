import { z } from 'zod'
import type { Common } from '../context.ts'
import { call } from '../context.ts'

const names = z.array(z.string())
const bounds = z.object({ rows: z.number().optional(), bytes: z.number().optional() })
const rule = z.object({ name: z.string(), file: z.string(), line: z.number() })

/** What `POST /v1/policy/explain` answers. */
const explanation = z.object({
  identity: z.string(),
  connection: z.string(),
  database: z.string().optional(),
  policyVersion: z.string(),
  decision: z.enum(['allow', 'hold', 'deny']),
  message: z.string().optional(),
  remedy: z.string().optional(),
  rules: z.array(rule),
  observed: z.array(rule),
  class: z.string(),
  classes: names,
  reads: names,
  writes: names,
  calls: names,
  labels: names,
  touches: names,
  filters: names,
  stores: names,
  escape: z.object({ labels: names, reason: z.string() }).optional(),
  unbounded: z.boolean(),
  writesEverything: z.boolean(),
  outward: names.optional(),
  outputs: z.array(
    z.object({
      statement: z.number(),
      name: z.string(),
      labels: names,
      computed: z.boolean(),
      mask: z.looseObject({ kind: z.string() }).optional(),
    }),
  ),
  limit: bounds.optional(),
  pause: bounds.optional(),
  estimateUnknown: z.literal(true).optional(),
})

export type Explained = z.output<typeof explanation>

export type ExplainRequest = {
  readonly connection: string
  readonly as: string
  readonly for?: string
  readonly database?: string
  readonly text: string
}

export function explain(common: Common, request: ExplainRequest): Promise<Explained> {
  return call(common, explanation, 'POST', '/v1/policy/explain', request)
}
