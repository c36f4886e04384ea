import type { Deny, EffectBound, Facts, Reason, RequestId, Ticket } from '../core/index.ts'
import { assertNever, effectText, GatewayError } from '../core/index.ts'
import type { PeopleSaid } from './people.ts'

/** What a client is told that may not run a command: what, what is allowed instead, and which rule says so. */
export function deniedError({ reason, rules }: Deny, requestId: RequestId): GatewayError {
  const told = `${reason.message} ${reason.remedy}`
  const unnamed = rules.map((rule) => rule.name).filter((name) => !told.includes(name))
  return new GatewayError('denied', reason.message, {
    remedy: unnamed.length === 0 ? reason.remedy : `${reason.remedy} Rule: ${unnamed.join(', ')}.`,
    retry: reason.retry,
    requestId,
  })
}

/** What a client is told whose budget is used up, or cannot be noted down. */
export function budgetError({ message, remedy, retry }: Reason, requestId: RequestId): GatewayError {
  return new GatewayError('limit_exceeded', message, { remedy, retry, requestId })
}

/** A limit is reached. */
export function limitError(limit: string, requestId: RequestId, facts: Facts): GatewayError {
  const error = new GatewayError('limit_exceeded', `Ask for less: the result was cut off at ${limit}.`, {
    remedy: 'Add a LIMIT or a narrower condition.',
    retry: 'only-if-changed',
    requestId,
  })
  return afterRunning(error, facts)
}

/** The same error, about this request. */
export function ofRequest(error: GatewayError, requestId: RequestId): GatewayError {
  return new GatewayError(error.code, error.message, {
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    retry: error.retry,
    requestId,
    cause: error.cause,
    facts: error.facts,
  })
}

/** What a client is told whose command was approved for a number of rows, and is sent where nobody can count them. */
export function uncountedError(why: string, ticket: Ticket, requestId: RequestId): GatewayError {
  return new GatewayError('conflict', `Send it otherwise: ${ticket} is approved for a number of rows only.`, {
    requestId,
    ticket,
    remedy: `They cannot be counted here: ${why}. The approval stands meanwhile; nothing was run.`,
    retry: 'only-if-changed',
  })
}

/**
 * What a client is told whose command has changed more or fewer rows than it was approved for, and was rolled back. `mayHaveMoved`: rows
 * may have gone from one partition to another, which counts twice.
 */
export function effectError(
  approved: EffectBound,
  rows: number | undefined,
  requestId: RequestId,
  mayHaveMoved = false,
): GatewayError {
  const changed = rows === undefined ? 'they could not be counted' : `it would have changed ${rows}`
  return new GatewayError(
    'effect_differs',
    `Nothing was changed: this was approved for ${effectText(approved)}, and ${changed}.`,
    {
      requestId,
      remedy: `It was rolled back and its approval is used up. Send it again to ask anew, after a look at the data.${
        mayHaveMoved
          ? ' A row that moves to another partition counts as two: deleted in one, inserted in the other.'
          : ''
      }`,
      retry: 'unchanged-after-approval',
    },
  )
}

/** What came of asking people who did not approve. */
type Unanswered = Pick<PeopleSaid, 'ticket' | 'refusal'> & {
  readonly outcome: Exclude<PeopleSaid['outcome'], 'approved'>
}

/** What a client is told where the rest of its result would have been: `limit` is where it was held. */
export function restError(
  { outcome, ticket, refusal }: Unanswered,
  limit: string,
  requestId: RequestId,
): GatewayError {
  const details = { requestId, ticket }
  switch (outcome) {
    case 'refused':
      return new GatewayError('approval_refused', `Ask for less: an approver refused the rest (${ticket}).`, {
        ...details,
        remedy: `${refusal === undefined ? '' : `${refusal} `}The result was held at ${limit}. Add a LIMIT or a narrower condition.`,
        retry: 'only-if-changed',
      })
    case 'expired':
      return new GatewayError(
        'approval_expired',
        `${ticket} is no longer valid; the result ends at ${limit}.`,
        {
          ...details,
          remedy: 'Send the same command again to ask anew.',
          retry: 'unchanged-after-approval',
        },
      )
    case 'superseded':
      return new GatewayError(
        'approval_expired',
        `Rules or definitions have changed; the result ends at ${limit}.`,
        {
          ...details,
          remedy: 'Send the same command again to ask anew.',
          retry: 'unchanged-after-approval',
        },
      )
    case 'pending':
      return new GatewayError(
        'approval_pending',
        `Wait for approval of ${ticket}, then run the same command again: its result was held at ${limit}.`,
        {
          ...details,
          remedy: `An approver answers with: sluice approvals approve ${ticket}`,
          retry: 'unchanged-after-approval',
        },
      )
    case 'abandoned':
      return new GatewayError('canceled', `The rest of the result was given up; ${ticket} stays open.`, {
        ...details,
        remedy: 'Run the same command again to join the ticket.',
        retry: 'unchanged-after-approval',
      })
    default:
      return assertNever(outcome)
  }
}

/**
 * The rest of a result is kept back, of a command that has run: to a client an error means that nothing has happened,
 * and one that changes something must not be sent again.
 */
export function afterRunning(error: GatewayError, { class: commandClass }: Facts): GatewayError {
  if (commandClass === 'read') return error
  return new GatewayError(
    error.code,
    'Do not send it again: it has run and its changes stand, only the rest of its result is kept back.',
    {
      remedy: 'Look at what it changed with a SELECT. In an open transaction, ROLLBACK takes it back.',
      retry: 'never',
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
      ...(error.ticket === undefined ? {} : { ticket: error.ticket }),
      cause: error.cause,
      facts: error.facts,
    },
  )
}

/** The same of a command that did not come to its end after all, because it was stopped or failed later. */
export function afterFailing(error: GatewayError, { class: commandClass }: Facts): GatewayError {
  if (commandClass === 'read') return error
  return new GatewayError(
    error.code,
    'Ask for less: its result was cut off, and it ended before all of it had run, so nothing of it stands.',
    {
      remedy: 'Change it so that less comes back, such as without RETURNING, and send it again.',
      retry: 'only-if-changed',
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
      ...(error.ticket === undefined ? {} : { ticket: error.ticket }),
      cause: error.cause,
      facts: error.facts,
    },
  )
}

/**
 * The same of a command in the middle of several that were sent as one: for the client an error takes all of them back, but
 * the server was not stopped and has gone on.
 */
export function afterGoingOn(error: GatewayError): GatewayError {
  return new GatewayError(
    error.code,
    'Ask for less: this result was cut off, and the commands sent together with it went on: they stand unless their transaction is rolled back.',
    {
      remedy:
        'Look at what stands before you send any of them again; send a command whose result may be cut off by itself, or with a LIMIT.',
      retry: 'only-if-changed',
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
      ...(error.ticket === undefined ? {} : { ticket: error.ticket }),
      cause: error.cause,
      facts: error.facts,
    },
  )
}

/** What a client is told whose held command was not approved in time, or not at all. */
export function approvalError({ outcome, ticket, refusal }: Unanswered, requestId: RequestId): GatewayError {
  const details = { requestId, ticket }
  switch (outcome) {
    case 'refused':
      return new GatewayError(
        'approval_refused',
        `Change it: an approver refused ${ticket}; nothing was run.`,
        {
          ...details,
          remedy: `${refusal === undefined ? '' : `${refusal} `}Sent again as it is, it asks people anew under another ticket.`,
          retry: 'only-if-changed',
        },
      )
    case 'expired':
      return new GatewayError('approval_expired', `Ticket ${ticket} is no longer valid; nothing was run.`, {
        ...details,
        remedy: 'Send the same command again to ask anew.',
        retry: 'unchanged-after-approval',
      })
    case 'superseded':
      return new GatewayError(
        'approval_expired',
        `Run it again: rules or definitions changed while ${ticket} was open; nothing was run.`,
        {
          ...details,
          remedy: 'What was shown to the approver is not what would run now: it is asked about anew.',
          retry: 'unchanged-after-approval',
        },
      )
    case 'pending':
      return new GatewayError(
        'approval_pending',
        `Wait for approval of ${ticket}, then run the same command again.`,
        {
          ...details,
          remedy: `An approver answers with: sluice approvals approve ${ticket}`,
          retry: 'unchanged-after-approval',
        },
      )
    case 'abandoned':
      return new GatewayError(
        'canceled',
        `The held command was given up; ${ticket} stays open for a retry.`,
        {
          ...details,
          remedy: 'Run the same command again to join the ticket.',
          retry: 'unchanged-after-approval',
        },
      )
    default:
      return assertNever(outcome)
  }
}
