import { z } from 'zod'
import { GatewayError } from '../../core/index.ts'
import type { ApiParts } from '../parts.ts'
import type { AnyRoute } from '../route.ts'
import { none, route, signedBody } from '../route.ts'

const channelParam = z.object({ channel: z.string().min(1).max(64) })

/** What comes through channels under a signature, and where the links in notifications lead. */
export function channelRoutes({ channelAnswers }: ApiParts): readonly AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/channels/{channel}/answers',
      summary: 'An answer by a person of a system, which the system signs as Standard Webhooks has it.',
      access: 'public',
      params: channelParam,
      query: none,
      body: signedBody,
      answer: z.object({ ticket: z.string(), state: z.string() }),
      identify: async ({ params, body }) => (await channelAnswers.webhook(params.channel, body)).by,
      records: ({ params }) => ({ action: 'channel.answer', target: params.channel }),
      async handle({ params, body }) {
        const { ticket, state } = await channelAnswers.answerWebhook(params.channel, body)
        return { ticket, state }
      },
    }),
    route({
      method: 'POST',
      path: '/v1/channels/{channel}/clicks',
      summary: 'A click on a button in Slack, signed by Slack: the interactivity URL of the app.',
      access: 'public',
      params: channelParam,
      query: none,
      body: signedBody,
      answer: z.object({}),
      identify: async ({ params, body }) => (await channelAnswers.click(params.channel, body)).by,
      records: ({ params }) => ({ action: 'channel.answer', target: params.channel }),
      async handle({ params, body }) {
        await channelAnswers.answerClick(params.channel, body)
        return {}
      },
    }),
    route({
      method: 'GET',
      path: '/approvals/{ticket}',
      summary:
        'Where links in notifications lead: how to look at a request and answer it. Says nothing of it.',
      access: 'public',
      produces: 'text/plain; charset=utf-8',
      params: z.object({ ticket: z.string().min(1).max(32) }),
      query: none,
      body: none,
      answer: z.string(),
      handle: ({ params }) => guide(params.ticket),
    }),
    route({
      method: 'GET',
      path: '/approvals',
      summary: 'Where the link of a message about many requests leads.',
      access: 'public',
      produces: 'text/plain; charset=utf-8',
      params: none,
      query: none,
      body: none,
      answer: z.string(),
      handle: () => 'What waits for approval:\n\n  sluice approvals ls\n',
    }),
  ]
}

/** The same for every ticket, there or not: the link is a name, and opens nothing. */
function guide(ticket: string): string {
  if (!/^T-[0-9A-Z]{4,16}$/.test(ticket)) throw new GatewayError('not_found', 'There is no such resource.')
  return [
    `Look at what ${ticket} asks for, and answer as a person who logs in:`,
    '',
    `  sluice approvals show ${ticket}`,
    `  sluice approvals approve ${ticket} --as NAME`,
    `  sluice approvals deny ${ticket} --as NAME --reason TEXT`,
    '',
  ].join('\n')
}
