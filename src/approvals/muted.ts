import type { Ticket } from '../core/index.ts'
import { GatewayError, whyRefused } from '../core/index.ts'
import type { Approval } from './approval.ts'

/** What who asks is told while a refusal mutes them. */
export function mutedError(ticket: Ticket, answers: Approval['answers'] | undefined): GatewayError {
  return new GatewayError(
    'approval_refused',
    `Stop asking: an approver refused ${ticket}, and more for now.`,
    {
      ticket,
      remedy: `${whyRefused(answers)} Nothing that needs approval on this connection is asked about meanwhile.`,
      retry: 'later',
    },
  )
}
