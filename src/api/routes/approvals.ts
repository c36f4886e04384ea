import { z } from 'zod'
import type { Approval } from '../../approvals/index.ts'
import { APPROVAL_STATES } from '../../approvals/index.ts'
import type { Ticket } from '../../core/index.ts'
import { brand, COMMAND_CLASSES, GatewayError, identityKey, LIMITS } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route } from '../route.ts'

const READERS = ['operator socket', 'admin', 'operator', 'auditor', 'approver'] as const

const approval = z.object({
  ticket: z.string(),
  state: z.enum(APPROVAL_STATES),
  connection: z.string(),
  /** Who acts first. */
  chain: z.array(z.string()),
  class: z.enum(COMMAND_CLASSES),
  /** The whole statement or request: what is approved is what will run. */
  text: z.string(),
  parameters: z.array(z.string().nullable()).optional(),
  reads: z.array(z.string()),
  writes: z.array(z.string()),
  /** The rules that asked for it. */
  rules: z.array(z.string()),
  policyVersion: z.string(),
  session: z.string(),
  request: z.string(),
  peopleNeeded: z.int(),
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
      handle: ({ query }) => ({
        approvals: parts.approvals
          .list({
            ...(query.state === undefined ? {} : { states: [query.state] }),
            ...(query.connection === undefined ? {} : { connection: query.connection }),
            ...(query.identity === undefined ? {} : { identity: query.identity }),
          })
          .map(shown),
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
      handle: async ({ params }) => shown(await found(parts, params.ticket)),
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
      }),
      answer: approval,
      records: ({ params, body }) => ({
        action: 'approval.answer',
        target: ticketOf(params.ticket),
        details: { verdict: body.verdict },
      }),
      async handle({ params, body, caller }) {
        const { ticket } = await found(parts, params.ticket)
        return shown(
          await parts.approvals.answer(ticket, {
            verdict: body.verdict,
            proof: caller.proof,
            through: body.through,
            ...(body.reason === undefined ? {} : { reason: body.reason }),
          }),
        )
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

function shown(of: Approval): z.output<typeof approval> {
  return {
    ticket: of.ticket,
    state: of.state,
    connection: of.connection,
    chain: of.chain.map(identityKey),
    class: of.class,
    text: of.text,
    ...(of.parameters === undefined ? {} : { parameters: [...of.parameters] }),
    reads: [...of.reads],
    writes: [...of.writes],
    rules: of.rules.map((rule) => `${rule.name} (${rule.file}:${rule.line})`),
    policyVersion: of.policyVersion,
    session: of.session,
    request: of.requestId,
    peopleNeeded: of.route.people,
    createdAt: of.createdAt,
    expiresAt: of.expiresAt,
    ...(of.endedAt === undefined ? {} : { endedAt: of.endedAt }),
    answers: of.answers.map(({ verdict, by, at, method, through, reason }) => ({
      verdict,
      by: identityKey(by),
      at,
      method,
      through,
      ...(reason === undefined ? {} : { reason }),
    })),
  }
}
