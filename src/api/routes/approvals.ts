import { z } from 'zod'
import type { Approval } from '../../approvals/index.ts'
import { APPROVAL_STATES, isOpen, peopleNeeded } from '../../approvals/index.ts'
import type { LabelName, MaskingRule, Preview, PreviewViewer, RunsUnder, Ticket } from '../../core/index.ts'
import {
  brand,
  COMMAND_CLASSES,
  GatewayError,
  identityKey,
  LIMITS,
  withoutFieldValues,
} from '../../core/index.ts'
import type { Caller } from '../caller.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { given, none, route } from '../route.ts'

const READERS = ['operator socket', 'admin', 'operator', 'auditor', 'approver'] as const

/** More than one use: the same command so many times, or those of one shape for a time or until the session ends. */
const reuse = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('times'), times: z.int().min(1).max(LIMITS.approvalUsesMax) }),
  z.strictObject({ kind: z.literal('shape'), ms: z.int().min(1).max(LIMITS.muteMsMax) }),
  z.strictObject({ kind: z.literal('session') }),
])

/** How many rows may be changed, and how many more or fewer. */
const effect = z.strictObject({
  rows: z.int().min(0).max(LIMITS.effectRowsMax),
  tolerance: z.int().min(0).max(LIMITS.effectRowsMax).default(0),
})

const holders = { groups: z.array(z.string()), identities: z.array(z.string()) }

export const approval = z.object({
  ticket: z.string(),
  state: z.enum(APPROVAL_STATES),
  connection: z.string(),
  /** Who acts first. */
  chain: z.array(z.string()),
  class: z.enum(COMMAND_CLASSES),
  /**
   * The whole statement or request for who may answer while it is open: what is approved is what will run. For others values of
   * protected columns are `[sealed LABELS]`.
   */
  text: z.string(),
  parameters: z.array(z.string().nullable()).optional(),
  reads: z.array(z.string()),
  writes: z.array(z.string()),
  /** The rules that asked for it. */
  rules: z.array(z.string()),
  policyVersion: z.string(),
  /** Under what it would run: `program` is what the client says it is; `changes` what its session has changed; `moved`: role or names may be others; `fields` of the head of an HTTP request. */
  under: z
    .object({
      database: z.string().optional(),
      program: z.string().optional(),
      changes: z.array(z.string()),
      moved: z.boolean(),
      fields: z.array(z.string()).optional(),
    })
    .optional(),
  /** The command, and its session; absent where access is asked for. */
  session: z.string().optional(),
  request: z.string().optional(),
  /** Access that is asked for, instead of a command that may run. */
  access: z.object({ name: z.string(), ms: z.int(), emergency: z.boolean() }).optional(),
  peopleNeeded: z.int(),
  /** Who has to approve, one step after the other. */
  steps: z.array(
    z.object({
      ...holders,
      /** Everybody with the role approver. */
      anyone: z.boolean(),
      people: z.int(),
      approved: z.int(),
      /** Who else may answer, from this time on. */
      escalation: z.object({ ...holders, at: z.int() }).optional(),
    }),
  ),
  /** When a yes counts, in UTC: days from 1, Monday; minutes of the day. */
  hours: z.array(z.object({ days: z.array(z.int()), from: z.int(), to: z.int() })),
  /** Whether who approves has to say why. */
  reasonNeeded: z.boolean(),
  /** What may be approved beyond one use. */
  offer: z.object({
    times: z.int().optional(),
    shapeMs: z.int().optional(),
    session: z.literal(true).optional(),
  }),
  /** What is worth a second look. */
  warnings: z.array(z.string()),
  /** Rows that the planner expects, where a rule asked for that. */
  estimatedRows: z.number().optional(),
  /** Which values may be others when it is approved for its shape, or for the session. Absent: none. */
  varies: z.array(z.string()).optional(),
  /** What was approved beyond one use. */
  reuse: reuse.optional(),
  /** Whether it can be approved for a number of changed rows; `why` not. */
  countable: z.object({ can: z.boolean(), why: z.string().optional() }),
  /** Whether who approves has to say how many. */
  effectRequired: z.boolean(),
  /** It was approved for so many changed rows: with more or fewer it is rolled back. */
  effect: z.object({ least: z.int(), most: z.int() }).optional(),
  uses: z.int(),
  mutedUntil: z.int().optional(),
  createdAt: z.int(),
  /** While pending: when it lapses. Once approved: until when it can be used. */
  expiresAt: z.int(),
  endedAt: z.int().optional(),
  answers: z.array(
    z.object({
      verdict: z.enum(['approve', 'refuse']),
      by: z.string(),
      at: z.int(),
      method: z.enum(['passkey', 'code', 'channel']),
      through: z.string(),
      /** From 1. */
      step: z.int(),
      reuse: reuse.optional(),
      effect: effect.optional(),
      reason: z.string().optional(),
    }),
  ),
})

/** What a held command did when it was tried out and rolled back, as who asks may see it. */
const preview = z.object({
  at: z.int(),
  ms: z.int(),
  /** Changed rows in all tables together; absent: it failed, or they could not be counted. */
  rows: z.int().optional(),
  tables: z.array(z.object({ name: z.string(), inserted: z.int(), updated: z.int(), deleted: z.int() })),
  failure: z.string().optional(),
  sample: z
    .object({
      columns: z.array(z.string()),
      rows: z.array(z.array(z.string().nullable())),
      more: z.boolean(),
      /** Labels that are masked in it. */
      masked: z.array(z.string()),
    })
    .optional(),
  notes: z.array(z.string()),
})

/** One request, with what helps to answer it. */
const approvalShown = approval.extend({
  /** Whether it can be tried out here. */
  previewable: z.boolean(),
  /** What whoever asks has had tried out. */
  preview: preview.optional(),
  /** How commands of the same shape were answered, newest first: of those that are remembered. */
  earlier: z.array(
    z.object({
      ticket: z.string(),
      at: z.int(),
      verdict: z.enum(['approve', 'refuse']),
      by: z.string(),
      effect: effect.optional(),
      reason: z.string().optional(),
    }),
  ),
})

/** `T-7K2M9QXY`; letters that look like digits are the digits they look like, since people type it. */
const ticketParam = z.object({ ticket: z.string().min(1).max(32) })

export function approvalRoutes(parts: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/approvals',
      summary: 'Approval requests that are open or ended lately, newest first.',
      access: READERS,
      params: none,
      query: z.object({
        state: z.enum(APPROVAL_STATES).optional(),
        connection: z.string().max(64).optional(),
        identity: z.string().max(600).optional(),
      }),
      body: none,
      answer: z.object({ approvals: z.array(approval) }),
      handle: ({ query, caller }) => ({
        approvals: parts.approvals
          .list({
            ...(query.state === undefined ? {} : { states: [query.state] }),
            ...(query.connection === undefined ? {} : { connection: query.connection }),
            ...(query.identity === undefined ? {} : { identity: query.identity }),
          })
          .map((each) => shown(each, caller)),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/approvals/{ticket}',
      summary: 'One approval request.',
      access: READERS,
      params: ticketParam,
      query: none,
      body: none,
      answer: approvalShown,
      async handle({ params, caller }) {
        const of = await found(parts, params.ticket)
        const seen = parts.previews.of(of.ticket, caller.name)
        return {
          ...shown(of, caller),
          previewable: of.state === 'pending' && parts.previews.has(of.ticket),
          ...(seen === undefined ? {} : { preview: previewOf(seen) }),
          earlier: earlierOf(parts, of),
        }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/approvals/{ticket}/preview',
      summary: 'Try a held command out in a transaction that is rolled back, as a person who may answer it.',
      access: ['approver'],
      params: ticketParam,
      query: none,
      body: z.strictObject({ through: z.enum(['api', 'cli', 'web']).default('api') }).prefault({}),
      answer: preview,
      records: ({ params }) => ({ action: 'approval.preview', target: ticketOf(params.ticket) }),
      async handle({ params, body, caller }) {
        const { proof } = caller
        const { ticket } = await found(parts, params.ticket)
        const of = await parts.approvals.examine(ticket, { proof, through: body.through })
        return previewOf(await parts.previews.run(ticket, caller.name, viewerOf(parts, of, caller)))
      },
    }),
    route({
      method: 'POST',
      path: '/v1/approvals/{ticket}/answer',
      summary: 'Approve or refuse, as a person with a login of the last five minutes.',
      // Not for the operator socket: whoever sits at the machine may be the agent that asks.
      access: ['approver'],
      params: ticketParam,
      query: none,
      body: z.strictObject({
        verdict: z.enum(['approve', 'refuse']),
        reason: z.string().min(1).max(LIMITS.answerReasonMax).optional(),
        through: z.enum(['api', 'cli', 'web']).default('api'),
        /** With an approval: more than one use. */
        reuse: reuse.optional(),
        /** With an approval: it takes effect only when it changes so many rows, in all tables together. */
        effect: effect.optional(),
        /** With a refusal: how long who asked may not ask for anything more on the connection, in milliseconds. */
        muteMs: z.int().min(1).max(LIMITS.muteMsMax).optional(),
      }),
      answer: approval,
      records: ({ params, body }) => ({
        action: 'approval.answer',
        target: ticketOf(params.ticket),
        details: {
          verdict: body.verdict,
          ...(body.reuse === undefined ? {} : { reuse: body.reuse.kind }),
          ...(body.effect === undefined ? {} : { rows: body.effect.rows, tolerance: body.effect.tolerance }),
          ...(body.muteMs === undefined ? {} : { muteMs: body.muteMs }),
        },
      }),
      async handle({ params, body, caller }) {
        const { ticket } = await found(parts, params.ticket)
        return shown(
          await parts.approvals.answer(ticket, {
            verdict: body.verdict,
            proof: caller.proof,
            through: body.through,
            ...given({
              reason: body.reason,
              reuse: body.reuse,
              effect: body.effect,
              muteMs: body.muteMs,
            }),
          }),
          caller,
        )
      },
    }),
    route({
      method: 'POST',
      path: '/v1/approvals/{ticket}/unmute',
      summary: 'Let who was muted by a refusal ask again, as a person with a login of the last five minutes.',
      // Not for the operator socket: who is muted may be who sits there.
      access: ['approver'],
      params: ticketParam,
      query: none,
      body: z.strictObject({ through: z.enum(['api', 'cli', 'web']).default('api') }).optional(),
      answer: approval,
      records: ({ params }) => ({ action: 'approval.unmute', target: ticketOf(params.ticket) }),
      async handle({ params, body, caller }) {
        const { ticket } = await found(parts, params.ticket)
        const { proof } = caller
        return shown(await parts.approvals.unmute(ticket, { proof, through: body?.through ?? 'api' }), caller)
      },
    }),
    route({
      method: 'POST',
      path: '/v1/approvals/{ticket}/revoke',
      summary: 'Take back what was approved.',
      access: ['operator socket', 'admin', 'operator', 'approver'],
      params: ticketParam,
      query: none,
      body: none,
      answer: approval,
      records: ({ params }) => ({ action: 'approval.revoke', target: ticketOf(params.ticket) }),
      async handle({ params, caller }) {
        const { ticket } = await found(parts, params.ticket)
        return shown(await parts.approvals.revoke(ticket, caller.name), caller)
      },
    }),
  ]
}

/** Earlier answers that are shown. */
const EARLIER_MAX = 3

function earlierOf(parts: ApiParts, of: Approval): z.output<typeof approvalShown>['earlier'] {
  if (of.access !== undefined) return []
  return parts.approvals
    .list({ connection: of.connection })
    .filter((each) => each.ticket !== of.ticket && each.access === undefined && each.shape === of.shape)
    .flatMap(({ ticket, answers }) =>
      answers.map(({ at, verdict, by, effect: rows, reason }) => ({
        ticket,
        at,
        verdict,
        by: identityKey(by),
        ...given({ effect: rows, reason }),
      })),
    )
    .sort((a, b) => b.at - a.at)
    .slice(0, EARLIER_MAX)
}

/** Labels are masked for who looks as they would be in a result of their own. */
function viewerOf(parts: ApiParts, { connection }: Approval, { chain }: Caller): PreviewViewer {
  return {
    masks(facts) {
      const policy = parts.policy()
      const masks = new Map<LabelName, MaskingRule>()
      const labels = new Set([...facts.labels, ...(facts.escape?.labels ?? [])])
      for (const label of labels) {
        const question = chain && { chain, connection, facts, now: parts.clock.now() }
        if (question !== undefined && policy.sees(question, label)) continue
        masks.set(label, policy.maskOf(connection, label)?.rule ?? { kind: 'null' })
      }
      return masks
    },
  }
}

function previewOf({ tables, sample, notes, ...rest }: Preview): z.output<typeof preview> {
  return {
    ...rest,
    tables: tables.map((each) => ({ ...each })),
    ...(sample === undefined
      ? {}
      : {
          sample: {
            ...sample,
            columns: [...sample.columns],
            rows: sample.rows.map((row) => [...row]),
            masked: [...sample.masked],
          },
        }),
    notes: [...notes],
  }
}

function ticketOf(written: string): Ticket {
  const [, letters] = /^(?:T-)?([0-9A-Z]{4,16})$/.exec(written.trim().toUpperCase()) ?? []
  const plain = letters?.replaceAll(/[IL]/g, '1').replaceAll('O', '0') ?? written
  return brand<Ticket>(`T-${plain}`)
}

async function found(parts: ApiParts, written: string): Promise<Approval> {
  const approval = await parts.approvals.find(ticketOf(written))
  if (approval !== undefined) return approval
  throw new GatewayError('not_found', 'There is no such approval request.', {
    remedy: 'List them with: sluice approvals ls',
  })
}

function underShown({
  changes,
  fields,
  ...rest
}: RunsUnder): NonNullable<z.output<typeof approval>['under']> {
  return { ...rest, changes: [...changes], ...(fields === undefined ? {} : { fields: [...fields] }) }
}

/** Who answers sees all that is asked while there is something to answer; everybody else, and later, what is shown to all. */
export function shown(of: Approval, { roles }: Caller): z.output<typeof approval> {
  const isWhole = of.shown === undefined || (roles.has('approver') && isOpen(of))
  const { text, parameters } = isWhole ? of : (of.shown ?? of)
  const under = isWhole || of.under === undefined ? of.under : withoutFieldValues(of.under)
  return {
    ticket: of.ticket,
    state: of.state,
    connection: of.connection,
    chain: of.chain.map(identityKey),
    class: of.class,
    text,
    ...(parameters === undefined ? {} : { parameters: [...parameters] }),
    reads: [...of.reads],
    writes: [...of.writes],
    rules: of.rules.map((rule) => `${rule.name} (${rule.file}:${rule.line})`),
    policyVersion: of.policyVersion,
    ...given({ under: under && underShown(under) }),
    ...given({ session: of.session, request: of.requestId, access: of.access }),
    peopleNeeded: peopleNeeded(of.route),
    steps: of.route.steps.map(({ groups, identities, anyone, people, escalation }, index) => ({
      groups: [...groups],
      identities: [...identities],
      anyone,
      people,
      approved: of.answers.filter(({ verdict, step }) => verdict === 'approve' && step === index).length,
      ...(escalation === undefined
        ? {}
        : {
            escalation: {
              groups: [...escalation.groups],
              identities: [...escalation.identities],
              at: of.createdAt + escalation.afterMs,
            },
          }),
    })),
    hours: of.route.hours.map(({ days, from, to }) => ({ days: [...days], from, to })),
    reasonNeeded: of.route.reason,
    offer: of.offer,
    ...given({ varies: of.varies === undefined ? undefined : [...of.varies] }),
    uses: of.uses,
    ...given({ reuse: of.reuse, effect: of.effect, mutedUntil: of.mutedUntil }),
    warnings: [...(of.warnings ?? [])],
    ...given({ estimatedRows: of.estimatedRows }),
    countable: of.countable ?? { can: false, why: 'it is no statement that changes rows' },
    effectRequired: of.effectRequired === true,
    createdAt: of.createdAt,
    expiresAt: of.expiresAt,
    ...(of.endedAt === undefined ? {} : { endedAt: of.endedAt }),
    answers: of.answers.map(
      ({ verdict, by, at, method, through, step, reuse: chosen, effect: rows, reason }) => ({
        verdict,
        by: identityKey(by),
        at,
        method,
        through,
        step: step + 1,
        ...given({ reuse: chosen, effect: rows, reason }),
      }),
    ),
  }
}
