import type { Identity } from '../core/index.ts'
import { GatewayError, LIMITS } from '../core/index.ts'
import type { Answer, Approval, LoginProof } from './approval.ts'
import { checkEffect } from './bound.ts'
import { checkReuse } from './reuse.ts'
import { isInStep, isWithin, stepWaiting } from './route.ts'

/** Whether a person holds the approver role for this request, and is not blocked; handed in. */
export type MayAnswer = (person: Identity, approval: Approval) => boolean

/** One person, who has logged in just now and acts for nobody else. Throws `unauthenticated`, `denied`. */
export function checkProof(
  proof: LoginProof | undefined,
  now: number,
): { readonly person: Identity; readonly proof: LoginProof } {
  if (proof === undefined) {
    throw new GatewayError('unauthenticated', 'An answer needs a fresh login by a person.', {
      remedy: 'Log in with a passkey or a code, and answer then.',
    })
  }
  const person = proof.chain[0]
  if (proof.chain.length !== 1 || person.kind !== 'person') {
    throw new GatewayError('denied', 'Only a person can answer, acting for nobody else.', {
      remedy: 'Ask a person with the approver role.',
    })
  }
  if (!(proof.at <= now && now - proof.at <= LIMITS.loginFreshMs)) {
    throw new GatewayError('unauthenticated', 'The login is too old for an answer.', {
      remedy: 'Log in again, and answer then.',
    })
  }
  return { person, proof }
}

/** Whether this person may answer this request at all. Throws `denied`. */
export function checkPerson(
  approval: Approval,
  person: Identity,
  proof: LoginProof,
  through: string,
  mayAnswer: MayAnswer,
): void {
  const { ticket } = approval
  if (
    approval.chain.some((identity) => samePerson(identity, person)) &&
    !ownAgent(approval, proof, through)
  ) {
    throw new GatewayError(
      'denied',
      `You cannot answer ${ticket}: it was asked for by you or on your behalf.`,
      {
        ticket,
        remedy: 'Ask another person with the approver role.',
      },
    )
  }
  if (!mayAnswer(person, approval)) {
    throw new GatewayError('denied', `You cannot answer ${ticket}: you are no approver for it.`, {
      ticket,
      remedy: 'Ask a person with the approver role.',
    })
  }
}

/**
 * The step in which a person answers. A yes belongs to the step that waits; a no may come from anybody of any step. Throws
 * `denied` for who is in none, `conflict` for whose step comes later.
 */
export function stepOf(
  approval: Approval,
  person: Identity,
  { verdict }: Answer,
  now: number,
  mayAnswer: MayAnswer,
): number {
  const { route, ticket } = approval
  const waited = now - approval.createdAt
  const waiting = stepWaiting(route, approvalsOf(approval, mayAnswer)) ?? 0
  const of = route.steps.flatMap((step, index) => (isInStep(person, step, waited) ? [index] : []))
  const [first] = of
  if (first === undefined) {
    throw new GatewayError('denied', `You cannot answer ${ticket}: its route does not name you.`, {
      ticket,
      remedy: 'Ask one of those that "sluice approvals show" names.',
    })
  }
  if (of.includes(waiting)) return waiting
  if (verdict === 'refuse') return first
  throw new GatewayError(
    'conflict',
    `Wait: step ${waiting + 1} of ${ticket} comes first, and is not yours.`,
    {
      ticket,
      remedy: 'Approve when the people of that step have, or refuse now.',
      retry: 'later',
    },
  )
}

/** What else an answer has to be. Throws `denied`, `invalid`. */
export function checkAnswer(approval: Approval, answer: Answer, now: number): void {
  const { route, offer, ticket } = approval
  const { verdict, reason, reuse, muteMs } = answer
  if ((reason?.length ?? 0) > LIMITS.answerReasonMax) {
    throw new GatewayError('invalid', `Keep the reason under ${LIMITS.answerReasonMax} characters.`, {
      ticket,
    })
  }
  if (verdict === 'refuse' && answer.effect !== undefined)
    throw new GatewayError('invalid', 'Only an approval is for a number of rows.', { ticket })
  if (muteMs !== undefined && (verdict !== 'refuse' || !(muteMs >= 1 && muteMs <= LIMITS.muteMsMax))) {
    throw new GatewayError('invalid', 'Only a refusal mutes, for a day at most.', { ticket })
  }
  if (verdict === 'refuse') return
  if (!isWithin(route.hours, now)) {
    throw new GatewayError('denied', `${ticket} can be approved only in the hours of its route.`, {
      ticket,
      remedy: 'Approve it then, or refuse it now.',
    })
  }
  if (route.reason && (reason ?? '').trim() === '') {
    throw new GatewayError('invalid', `Say why: the route of ${ticket} asks for a reason.`, {
      ticket,
      remedy: 'Give one with: --reason TEXT',
    })
  }
  if (reuse !== undefined) checkReuse(reuse, offer)
  checkEffect(approval, answer.effect)
}

/** Who said yes, and would be let now: not who has been blocked since. */
export function approvalsOf(approval: Approval, mayAnswer: MayAnswer): Approval['answers'] {
  return approval.answers.filter(({ verdict, by }) => verdict === 'approve' && mayAnswer(by, approval))
}

/** The one exception to "never the requester's own chain", as narrow as `Route.ownPerson` says. */
function ownAgent(approval: Approval, proof: LoginProof, through: string): boolean {
  return (
    approval.route.ownPerson &&
    approval.access === undefined &&
    approval.class !== 'administer' &&
    approval.class !== 'opaque' &&
    approval.chain[0].kind === 'agent' &&
    // That it came through the command line is what its client says of itself: docs/formats/config.md tells what that is worth.
    (proof.method === 'passkey' || through === 'cli')
  )
}

/**
 * Whether two identities may be one human. The issuer does not count: a second login elsewhere makes no second
 * person. Two people who share a name at different issuers are kept apart by nobody; the answer is then a refusal.
 */
export function samePerson(a: Identity, b: Identity): boolean {
  return personName(a) === personName(b)
}

function personName(identity: Identity): string {
  return identity.name.normalize('NFKC').toLowerCase()
}
