import { z } from 'zod'

export const reuse = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('times'), times: z.number() }),
  z.object({ kind: z.literal('shape'), ms: z.number() }),
  z.object({ kind: z.literal('session') }),
])

const effect = z.object({ rows: z.number(), tolerance: z.number() })

const holders = { groups: z.array(z.string()), identities: z.array(z.string()) }

export const approval = z.object({
  ticket: z.string(),
  state: z.string(),
  connection: z.string(),
  chain: z.array(z.string()),
  class: z.string(),
  text: z.string(),
  parameters: z.array(z.string().nullable()).optional(),
  reads: z.array(z.string()),
  writes: z.array(z.string()),
  rules: z.array(z.string()),
  under: z
    .object({
      database: z.string().exactOptional(),
      program: z.string().exactOptional(),
      changes: z.array(z.string()),
      moved: z.boolean(),
      fields: z.array(z.string()).exactOptional(),
    })
    .optional(),
  request: z.string().optional(),
  access: z.object({ name: z.string(), ms: z.number(), emergency: z.boolean() }).optional(),
  peopleNeeded: z.number(),
  steps: z.array(
    z.object({
      ...holders,
      anyone: z.boolean(),
      people: z.number(),
      approved: z.number(),
      escalation: z.object({ ...holders, at: z.number() }).optional(),
    }),
  ),
  reasonNeeded: z.boolean(),
  offer: z.object({
    times: z.number().optional(),
    shapeMs: z.number().optional(),
    session: z.boolean().optional(),
  }),
  varies: z.array(z.string()).optional(),
  reuse: reuse.optional(),
  uses: z.number(),
  mutedUntil: z.number().optional(),
  warnings: z.array(z.string()),
  estimatedRows: z.number().optional(),
  countable: z.object({ can: z.boolean(), why: z.string().optional() }),
  effectRequired: z.boolean(),
  effect: z.object({ least: z.number(), most: z.number() }).optional(),
  createdAt: z.number(),
  expiresAt: z.number(),
  answers: z.array(
    z.object({
      verdict: z.string(),
      by: z.string(),
      at: z.number(),
      effect: effect.optional(),
      reason: z.string().optional(),
    }),
  ),
})

export const preview = z.object({
  ms: z.number(),
  rows: z.number().optional(),
  tables: z.array(
    z.object({ name: z.string(), inserted: z.number(), updated: z.number(), deleted: z.number() }),
  ),
  failure: z.string().optional(),
  sample: z
    .object({
      columns: z.array(z.string()),
      rows: z.array(z.array(z.string().nullable())),
      more: z.boolean(),
      masked: z.array(z.string()),
    })
    .optional(),
  notes: z.array(z.string()),
})

/** What is told of one request beyond what is told of each in a list. */
export const approvalShown = approval.extend({
  previewable: z.boolean().default(false),
  preview: preview.optional(),
  earlier: z
    .array(
      z.object({
        ticket: z.string(),
        at: z.number(),
        verdict: z.string(),
        by: z.string(),
        effect: effect.optional(),
        reason: z.string().optional(),
      }),
    )
    .default([]),
})

export type Approval = z.output<typeof approval>
export type ApprovalShown = z.output<typeof approvalShown>
export type Preview = z.output<typeof preview>
