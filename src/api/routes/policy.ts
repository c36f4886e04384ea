import { z } from 'zod'
import type { Decision, MaskingRule, ResultLimit, RuleRef } from '../../core/index.ts'
import { COMMAND_CLASSES, describeChain, GatewayError, LIMITS } from '../../core/index.ts'
import type { Explanation } from '../../session/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'
import { chainOf, connectionNamed, databaseFor } from './credentials.ts'

const body = z.strictObject({
  connection: z.string().min(1).max(64),
  as: z.string().min(1).max(LIMITS.identityNameMax),
  for: z.string().min(1).max(LIMITS.identityNameMax).optional(),
  database: z.string().min(1).max(63).optional(),
  text: z.string().min(1).max(LIMITS.statementBytesMax),
})

const rule = z.object({ name: z.string(), file: z.string(), line: z.int() })
const names = z.array(z.string())
const bounds = z.object({ rows: z.number().optional(), bytes: z.number().optional() })

const explanation = z.object({
  identity: z.string(),
  connection: z.string(),
  database: z.string().optional(),
  policyVersion: z.string(),
  decision: z.enum(['allow', 'hold', 'deny']),
  message: z.string().optional(),
  remedy: z.string().optional(),
  /** Most decisive first; empty when nothing permitted it. */
  rules: z.array(rule),
  /** Those that only observe and would have decided otherwise. */
  observed: z.array(rule),
  class: z.enum(COMMAND_CLASSES),
  classes: z.array(z.enum(COMMAND_CLASSES)),
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
  /** Kinds of protected values that stand in it, such as `secret`. Absent: none, or the protocol does not look. */
  outward: names.optional(),
  outputs: z.array(
    z.object({
      statement: z.int(),
      name: z.string(),
      labels: names,
      computed: z.boolean(),
      /** How it is masked; absent: shown in clear. */
      mask: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  /** Where the result is cut off. Absent: no result, or one without a limit. */
  limit: bounds.optional(),
  /** Where the rest of it is held for approval. */
  pause: bounds.optional(),
  /** A rule asks how many rows the planner expects. That is not asked here, and counts as beyond every number. */
  estimateUnknown: z.literal(true).optional(),
})

/** Asking what the rules make of a command, with the rights that look at the configuration and a record of it. */
export function policyRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/policy/explain',
      summary: 'What a statement would come to for an identity, and by which rules. Nothing is run.',
      access: ['operator socket', 'admin', 'operator'],
      params: none,
      query: none,
      body,
      answer: explanation,
      records: ({ body: { connection, as, for: actsFor } }) => ({
        action: 'policy.explain',
        target: connection,
        details: { as, ...(actsFor === undefined ? {} : { for: actsFor }) },
      }),
      async handle({ body: { connection: name, as, for: actsFor, database: wanted, text } }) {
        const connection = connectionNamed(parts, name)
        const chain = chainOf(parts, as, actsFor)
        const { database } = databaseFor(connection, 'database', wanted)
        const policy = parts.policy()
        const explained = await parts.explain(connection, {
          text,
          database: database ?? '',
          decide: (facts) =>
            policy.decide({ chain, connection: connection.name, facts, now: parts.clock.now() }),
          masks: policy.masks(connection.name),
        })
        if (explained === undefined) {
          throw new GatewayError(
            'unsupported',
            `Nothing is explained for ${connection.protocol} connections.`,
          )
        }
        return {
          identity: describeChain(chain),
          connection: connection.name,
          ...(database === undefined ? {} : { database }),
          policyVersion: policy.version,
          ...toldOf(explained),
        }
      },
    }),
  ]
}

function toldOf({
  facts,
  decision,
  outputs,
}: Explanation): Omit<z.output<typeof explanation>, 'identity' | 'connection' | 'policyVersion'> {
  const { outward } = facts.attributes
  return {
    decision: decision.kind,
    ...(decision.kind === 'allow'
      ? {}
      : { message: decision.reason.message, remedy: decision.reason.remedy }),
    rules: decision.rules.map(ruleOf),
    observed: decision.observed.map(ruleOf),
    class: facts.class,
    classes: facts.statements.map((each) => each.class),
    reads: [...facts.reads],
    writes: [...facts.writes],
    calls: [...facts.calls],
    labels: [...facts.labels],
    touches: [...facts.touches],
    filters: [...facts.filters],
    stores: [...facts.stores],
    ...(facts.escape === undefined
      ? {}
      : { escape: { labels: [...facts.escape.labels], reason: facts.escape.reason } }),
    unbounded: facts.unbounded,
    writesEverything: facts.writesEverything,
    ...(Array.isArray(outward) && outward.length > 0 ? { outward: [...outward] } : {}),
    outputs: outputs.map(({ mask, ...each }) => ({
      ...each,
      labels: [...each.labels],
      ...(mask === undefined ? {} : { mask: withoutKey(mask) }),
    })),
    ...limitsOf(decision),
    ...(decision.estimate === true ? { estimateUnknown: true as const } : {}),
  }
}

function ruleOf({ name, file, line }: RuleRef): z.output<typeof rule> {
  return { name, file, line }
}

/** The rule as it is written: what it carries besides, such as its key, is nobody's to see. */
function withoutKey(mask: MaskingRule): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mask).filter(([, value]) => typeof value !== 'object'))
}

type Bounds = z.output<typeof bounds>

function limitsOf(decision: Decision): { limit?: Bounds; pause?: Bounds } {
  if (decision.kind === 'deny') return {}
  const limit = boundsOf(decision.limit)
  const pause = decision.pause === undefined ? undefined : boundsOf(decision.pause)
  return { ...(limit === undefined ? {} : { limit }), ...(pause === undefined ? {} : { pause }) }
}

function boundsOf({ rowsMax, bytesMax }: ResultLimit): Bounds | undefined {
  const found = {
    ...(Number.isFinite(rowsMax) ? { rows: rowsMax } : {}),
    ...(Number.isFinite(bytesMax) ? { bytes: bytesMax } : {}),
  }
  return Object.keys(found).length === 0 ? undefined : found
}
