import { z } from 'zod'
import type { Approval } from '../../approvals/index.ts'
import { APPROVAL_STATES, isOpen, peopleNeeded } from '../../approvals/index.ts'
import type { Ticket } from '../../core/index.ts'
import { brand, COMMAND_CLASSES, GatewayError, identityKey, LIMITS } from '../../core/index.ts'
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
  /** What was approved beyond one use. */
  reuse: reuse.optional(),
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
      method: z.enum(['passkey', 'code']),
      through: z.string(),
      /** From 1. */
      step: z.int(),
      reuse: reuse.optional(),
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
      answer: approval,
      handle: async ({ params, caller }) => shown(await found(parts, params.ticket), caller),
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
            ...given({ reason: body.reason, reuse: body.reuse, muteMs: body.muteMs }),
          }),
          caller,
        )
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

/** Who answers sees all that is asked while there is something to answer; everybody else, and later, what is shown to all. */
export function shown(of: Approval, { roles }: Caller): z.output<typeof approval> {
  const { text, parameters } = roles.has('approver') && isOpen(of) ? of : (of.shown ?? of)
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
    uses: of.uses,
    ...given({ reuse: of.reuse, mutedUntil: of.mutedUntil }),
    createdAt: of.createdAt,
    expiresAt: of.expiresAt,
    ...(of.endedAt === undefined ? {} : { endedAt: of.endedAt }),
    answers: of.answers.map(({ verdict, by, at, method, through, step, reuse: chosen, reason }) => ({
      verdict,
      by: identityKey(by),
      at,
      method,
      through,
      step: step + 1,
      ...given({ reuse: chosen, reason }),
    })),
  }
}
