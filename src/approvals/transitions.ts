import type { Identity, IdentityChain } from '../core/index.ts'
import { GatewayError, identityKey, LIMITS } from '../core/index.ts'
import { type Answer, type Approval, type GivenAnswer, isOpen, type LoginProof } from './approval.ts'

/** Whether a person holds the approver role for this request; what the configuration says, handed in. */
export type MayAnswer = (person: Identity, approval: Approval) => boolean

/**
 * The changes a request can go through, as pure functions: what it is and what happens, to what it becomes. Each
 * throws GatewayError when the change is not allowed and leaves making it durable to the caller.
 */
export function lapsed(approval: Approval, now: number): Approval | undefined {
  if (!isOpen(approval) || now < approval.expiresAt) return undefined
  return { ...approval, state: 'expired', revision: approval.revision + 1, endedAt: now }
}

/** Takes the approval: the one transition that lets a command run. Undefined when there is nothing to take. */
export function used(approval: Approval, now: number): Approval | undefined {
  if (approval.state !== 'approved' || now >= approval.expiresAt) return undefined
  return { ...approval, state: 'used', revision: approval.revision + 1, endedAt: now }
}

export function answered(
  approval: Approval,
  answer: Answer,
  now: number,
  mayAnswer: MayAnswer,
  usableMs: number,
): Approval {
  const { person, proof } = checkProof(answer.proof, now)
  checkPerson(approval, person, proof, mayAnswer)
  if (approval.state !== 'pending' || now >= approval.expiresAt) {
    throw new GatewayError(
      'conflict',
      `${approval.ticket} is not waiting for an answer: it is ${stateAt(approval, now)}.`,
      {
        ticket: approval.ticket,
      },
    )
  }
  if (approval.answers.some((given) => samePerson(given.by, person))) {
    throw new GatewayError('conflict', `You have answered ${approval.ticket} already; another person must.`, {
      ticket: approval.ticket,
    })
  }
  if ((answer.reason?.length ?? 0) > LIMITS.answerReasonMax) {
    throw new GatewayError('invalid', `Keep the reason under ${LIMITS.answerReasonMax} characters.`, {
      ticket: approval.ticket,
    })
  }
  const given: GivenAnswer = {
    verdict: answer.verdict,
    by: person,
    at: now,
    method: proof.method,
    through: answer.through,
    ...(answer.reason === undefined ? {} : { reason: answer.reason }),
  }
  const next = { ...approval, revision: approval.revision + 1, answers: [...approval.answers, given] }
  if (answer.verdict === 'refuse') return { ...next, state: 'refused', endedAt: now }
  // At least that many distinct people: never exactly, so that one answer too many cannot leave it pending.
  const approvers = next.answers.filter((each) => each.verdict === 'approve').length
  if (approvers < approval.route.people) return next
  return { ...next, state: 'approved', expiresAt: now + usableMs }
}

export function withdrawn(approval: Approval, by: IdentityChain, now: number): Approval {
  const asking = new Set(approval.chain.map(identityKey))
  if (!by.some((identity) => asking.has(identityKey(identity)))) {
    throw new GatewayError('denied', 'Only who asked for an approval can take the request back.', {
      ticket: approval.ticket,
      remedy: 'An approver can refuse it.',
    })
  }
  if (!isOpen(approval) || now >= approval.expiresAt) {
    throw new GatewayError(
      'conflict',
      `${approval.ticket} cannot be withdrawn: it is ${stateAt(approval, now)}.`,
      {
        ticket: approval.ticket,
      },
    )
  }
  return { ...approval, state: 'withdrawn', revision: approval.revision + 1, endedAt: now }
}

function stateAt(approval: Approval, now: number): string {
  return lapsed(approval, now)?.state ?? approval.state
}

function checkProof(proof: LoginProof | undefined, now: number): { person: Identity; proof: LoginProof } {
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

function checkPerson(approval: Approval, person: Identity, proof: LoginProof, mayAnswer: MayAnswer): void {
  if (approval.chain.some((identity) => samePerson(identity, person)) && !ownAgent(approval, proof)) {
    throw new GatewayError(
      'denied',
      `You cannot answer ${approval.ticket}: it was asked for by you or on your behalf.`,
      {
        ticket: approval.ticket,
        remedy: 'Ask another person with the approver role.',
      },
    )
  }
  if (!mayAnswer(person, approval)) {
    throw new GatewayError('denied', `You cannot answer ${approval.ticket}: you are no approver for it.`, {
      ticket: approval.ticket,
      remedy: 'Ask a person with the approver role.',
    })
  }
}

/** The one exception to "never the requester's own chain", as narrow as `Route.ownPerson` says. */
function ownAgent(approval: Approval, proof: LoginProof): boolean {
  return (
    approval.route.ownPerson &&
    approval.class !== 'administer' &&
    approval.class !== 'opaque' &&
    approval.chain[0].kind === 'agent' &&
    proof.method === 'passkey'
  )
}

/**
 * Whether two identities may be one human. The issuer does not count: a second login elsewhere makes no second
 * person. Two people who share a name at different issuers are kept apart by nobody; the answer is then a refusal.
 */
function samePerson(a: Identity, b: Identity): boolean {
  return personName(a) === personName(b)
}

function personName(identity: Identity): string {
  return identity.name.normalize('NFKC').toLowerCase()
}
