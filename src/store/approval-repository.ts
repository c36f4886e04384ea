import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { Approval, ApprovalStore } from '../approvals/index.ts'
import { APPROVAL_STATES, openKeyOf } from '../approvals/index.ts'
import type { ConnectionName, RequestId, SessionId, Ticket } from '../core/index.ts'
import { brand, COMMAND_CLASSES } from '../core/index.ts'
import { chainSchema, identitySchema } from './json.ts'
import type { ApprovalRow, Tables } from './schema.ts'

const reuseSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('times'), times: z.number() }),
  z.strictObject({ kind: z.literal('shape'), ms: z.number() }),
  z.strictObject({ kind: z.literal('session') }),
])

const holders = { groups: z.array(z.string()), identities: z.array(z.string()) }

const stepSchema = z.strictObject({
  route: z.string(),
  ...holders,
  anyone: z.boolean(),
  people: z.number(),
  escalation: z.strictObject({ ...holders, afterMs: z.number() }).exactOptional(),
})

const routeSchema = z.strictObject({
  steps: z.tuple([stepSchema], stepSchema),
  hours: z.array(z.strictObject({ days: z.array(z.number()), from: z.number(), to: z.number() })),
  reason: z.boolean(),
  ownPerson: z.boolean(),
  channels: z.array(z.string()).exactOptional(),
  answers: z.array(z.string()).exactOptional(),
})

/** As it was before there were steps. */
const earlierRouteSchema = z.strictObject({ people: z.number(), ownPerson: z.boolean() }).transform(
  ({ people, ownPerson }): z.output<typeof routeSchema> => ({
    steps: [{ route: '', groups: [], identities: [], anyone: true, people }],
    hours: [],
    reason: false,
    ownPerson,
  }),
)

const answerSchema = z.strictObject({
  verdict: z.enum(['approve', 'refuse']),
  by: identitySchema,
  at: z.number(),
  method: z.enum(['passkey', 'code', 'channel']),
  through: z.string(),
  step: z.number().default(0),
  reuse: reuseSchema.exactOptional(),
  effect: z.strictObject({ rows: z.number(), tolerance: z.number() }).exactOptional(),
  reason: z.string().exactOptional(),
})

const underSchema = z.strictObject({
  database: z.string().exactOptional(),
  program: z.string().exactOptional(),
  changes: z.array(z.string()),
  moved: z.boolean(),
  fields: z.array(z.string()).exactOptional(),
})

const approvalSchema = z.strictObject({
  ticket: z.string().transform((text) => brand<Ticket>(text)),
  fingerprint: z.string(),
  shape: z.string().default(''),
  varies: z.array(z.string()).exactOptional(),
  kin: z.string().default(''),
  definitions: z.string().exactOptional(),
  requestId: z
    .string()
    .transform((text) => brand<RequestId>(text))
    .exactOptional(),
  session: z
    .string()
    .transform((text) => brand<SessionId>(text))
    .exactOptional(),
  access: z.strictObject({ name: z.string(), ms: z.number(), emergency: z.boolean() }).exactOptional(),
  chain: chainSchema,
  connection: z.string().transform((text) => brand<ConnectionName>(text)),
  text: z.string(),
  parameters: z.array(z.string().nullable()).exactOptional(),
  shown: z
    .strictObject({ text: z.string(), parameters: z.array(z.string().nullable()).exactOptional() })
    .exactOptional(),
  class: z.enum(COMMAND_CLASSES),
  reads: z.array(z.string()),
  writes: z.array(z.string()),
  rules: z.array(z.strictObject({ name: z.string(), file: z.string(), line: z.number() })),
  warnings: z.array(z.string()).exactOptional(),
  estimatedRows: z.number().exactOptional(),
  countable: z
    .discriminatedUnion('can', [
      z.strictObject({ can: z.literal(true) }),
      z.strictObject({ can: z.literal(false), why: z.string() }),
    ])
    .exactOptional(),
  under: underSchema.exactOptional(),
  policyVersion: z.string(),
  route: z.union([routeSchema, earlierRouteSchema]),
  offer: z
    .strictObject({
      times: z.number().exactOptional(),
      shapeMs: z.number().exactOptional(),
      session: z.literal(true).exactOptional(),
    })
    .default({}),
  effectRequired: z.literal(true).exactOptional(),
  state: z.enum(APPROVAL_STATES),
  revision: z.number(),
  createdAt: z.number(),
  expiresAt: z.number(),
  answers: z.array(answerSchema),
  escalatedAt: z.number().exactOptional(),
  reuse: reuseSchema.exactOptional(),
  effect: z.strictObject({ least: z.number(), most: z.number() }).exactOptional(),
  uses: z.number().default(0),
  mutedUntil: z.number().exactOptional(),
  erasing: z.literal(true).exactOptional(),
  endedAt: z.number().exactOptional(),
}) satisfies z.ZodType<Approval>

export class ApprovalRepository implements ApprovalStore {
  readonly #db: Kysely<Tables>
  readonly #scrub: () => Promise<void>

  constructor(db: Kysely<Tables>, scrub: () => Promise<void>) {
    this.#db = db
    this.#scrub = scrub
  }

  async scrub(): Promise<void> {
    await this.#scrub()
  }

  async load(endedMax: number, now: number): Promise<readonly Approval[]> {
    const open = await this.#db
      .selectFrom('approvals')
      .select('body')
      .where('open_fingerprint', 'is not', null)
      .execute()
    const muting = await this.#db
      .selectFrom('approvals')
      .select('body')
      .where('muted_until', '>', now)
      .execute()
    const ended = await this.#db
      .selectFrom('approvals')
      .select('body')
      .where('open_fingerprint', 'is', null)
      .orderBy('ended_at', 'desc')
      .orderBy('ticket')
      .limit(endedMax)
      .execute()
    const approvals = [...open, ...muting, ...ended].map((row) => fromBody(row.body))
    return [...new Map(approvals.map((approval) => [approval.ticket, approval])).values()]
  }

  async insert(approval: Approval): Promise<boolean> {
    const result = await this.#db
      .insertInto('approvals')
      .values(toRow(approval))
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    return result.numInsertedOrUpdatedRows === 1n
  }

  async replace(approval: Approval, revision: number): Promise<boolean> {
    const { ticket, ...columns } = toRow(approval)
    const result = await this.#db
      .updateTable('approvals')
      .set(columns)
      .where('ticket', '=', ticket)
      .where('revision', '=', revision)
      .executeTakeFirst()
    return result.numUpdatedRows === 1n
  }

  async get(ticket: Ticket): Promise<Approval | undefined> {
    const row = await this.#db
      .selectFrom('approvals')
      .select('body')
      .where('ticket', '=', ticket)
      .executeTakeFirst()
    return row === undefined ? undefined : fromBody(row.body)
  }

  async findOpen(key: string): Promise<Approval | undefined> {
    const row = await this.#db
      .selectFrom('approvals')
      .select('body')
      .where('open_fingerprint', '=', key)
      .executeTakeFirst()
    return row === undefined ? undefined : fromBody(row.body)
  }
}

function toRow(approval: Approval): ApprovalRow {
  return {
    ticket: approval.ticket,
    open_fingerprint: openKeyOf(approval) ?? null,
    revision: approval.revision,
    created_at: approval.createdAt,
    ended_at: approval.endedAt ?? null,
    muted_until: approval.mutedUntil ?? null,
    body: JSON.stringify(approval),
  }
}

function fromBody(body: string): Approval {
  return approvalSchema.parse(JSON.parse(body))
}
