import type { Identity, IdentityChain } from '../core/index.ts'
import { GatewayError, identityKey, LIMITS } from '../core/index.ts'
import type { MayAnswer } from './answering.ts'
import { checkThrough } from './channel.ts'
import { approvalsOf, checkAnswer, checkPerson, checkProof, samePerson, stepOf } from './answering.ts'
import { type Answer, type Approval, type ApprovalState, type GivenAnswer, isOpen } from './approval.ts'
import { agreedEffect } from './bound.ts'
import { chosen, covers, type Use, usableFor, usesMax } from './reuse.ts'
import { escalatesAfter, stepWaiting } from './route.ts'

/**
 * The changes a request can go through, as pure functions: what it is and what happens, to what it becomes. Each
 * throws GatewayError when the change is not allowed, or gives nothing when there is none, and leaves making it durable
 * to the caller.
 */
export function lapsed(approval: Approval, now: number): Approval | undefined {
  return isOpen(approval) && now >= approval.expiresAt ? ended(approval, 'expired', now) : undefined
}

/** The session that it was approved for is over. */
export function outlived(approval: Approval, now: number): Approval | undefined {
  const isOver = approval.state === 'approved' && approval.reuse?.kind === 'session'
  return isOver ? ended(approval, 'expired', now) : undefined
}

/** Rules or definitions are others now. */
export function superseded(approval: Approval, now: number): Approval | undefined {
  return isOpen(approval) ? ended(approval, 'superseded', now) : undefined
}

/** Others may answer from now on. */
export function escalated(approval: Approval, now: number): Approval | undefined {
  const at = escalationAt(approval)
  if (at === undefined || now < at) return undefined
  return { ...approval, escalatedAt: now, revision: approval.revision + 1 }
}

/** When that will be, unless it has been or never is. */
export function escalationAt(approval: Approval): number | undefined {
  if (approval.state !== 'pending' || approval.escalatedAt !== undefined) return undefined
  const after = escalatesAfter(approval.route)
  return after === undefined ? undefined : approval.createdAt + after
}

/** A person with a fresh login takes access in an emergency: nobody grants it. Throws `unauthenticated`, `denied`, `invalid`. */
export function taken(approval: Approval, answer: Pick<Answer, 'proof' | 'reason'>, now: number): Approval {
  const { person, proof } = checkProof(answer.proof, now)
  if (proof.method === 'channel') {
    throw new GatewayError('denied', 'Access in an emergency takes a login: a channel cannot open it.')
  }
  const [asker, ...others] = approval.chain
  if (others.length > 0 || identityKey(asker) !== identityKey(person)) {
    throw new GatewayError('denied', 'Access in an emergency is for the person alone who takes it.')
  }
  const reason = answer.reason?.trim() ?? ''
  if (reason === '' || reason.length > LIMITS.answerReasonMax) {
    throw new GatewayError('invalid', `Say why, in ${LIMITS.answerReasonMax} characters at most.`)
  }
  const ms = Math.min(approval.access?.ms ?? 0, LIMITS.emergencyMsMax)
  return { ...approval, state: 'approved', expiresAt: now + ms }
}

/** Takes the approval once: the one transition that lets a command run. Undefined when there is nothing to take. */
export function used(approval: Approval, use: Use, now: number): Approval | undefined {
  if (!standsFor(approval, use, now)) return undefined
  const next = { ...approval, uses: approval.uses + 1 }
  return next.uses >= usesMax(next.reuse)
    ? ended(next, 'used', now)
    : { ...next, revision: approval.revision + 1 }
}

/** Not enough of those who said yes would be let now: one has been blocked since. */
export function disowned(approval: Approval, now: number, mayAnswer: MayAnswer): Approval | undefined {
  if (approval.state !== 'approved' || approval.access?.emergency === true) return undefined
  const isShort = stepWaiting(approval.route, approvalsOf(approval, mayAnswer)) !== undefined
  return isShort ? ended(approval, 'revoked', now) : undefined
}

/** Whether this command may be run by it now. */
export function standsFor(approval: Approval, use: Use, now: number): boolean {
  const isOne = approval.state === 'approved' && approval.access === undefined
  return isOne && now < approval.expiresAt && covers(approval, use)
}

/** Whether a person may answer a request, whatever the answer. Throws `unauthenticated`, `denied`, `conflict`. */
export function examined(
  approval: Approval,
  answer: Pick<Answer, 'proof' | 'through'>,
  now: number,
  mayAnswer: MayAnswer,
): ReturnType<typeof checkProof> {
  const { ticket } = approval
  const checked = checkProof(answer.proof, now)
  checkPerson(approval, checked.person, checked.proof, answer.through, mayAnswer)
  if (approval.state !== 'pending' || now >= approval.expiresAt) {
    const state = stateAt(approval, now)
    throw new GatewayError('conflict', `${ticket} is not waiting for an answer: it is ${state}.`, { ticket })
  }
  // A no may come from anybody of any step.
  stepOf(approval, checked.person, { ...answer, verdict: 'refuse' }, now, mayAnswer)
  return checked
}

export function answered(
  approval: Approval,
  answer: Answer,
  now: number,
  mayAnswer: MayAnswer,
  usableMs: number,
): Approval {
  const { ticket } = approval
  const { person, proof } = examined(approval, answer, now, mayAnswer)
  checkThrough(approval, answer, proof)
  if (approval.answers.some((given) => samePerson(given.by, person))) {
    throw new GatewayError('conflict', `You have answered ${ticket} already; another person must.`, {
      ticket,
    })
  }
  const step = stepOf(approval, person, answer, now, mayAnswer)
  checkAnswer(approval, answer, now)
  const { verdict, reason, reuse, effect, muteMs } = answer
  const given: GivenAnswer = {
    verdict,
    by: person,
    at: now,
    method: proof.method,
    through: answer.through,
    step,
    ...(verdict === 'refuse' || reuse === undefined ? {} : { reuse }),
    ...(verdict === 'refuse' || effect === undefined ? {} : { effect }),
    ...(reason === undefined ? {} : { reason }),
  }
  const next = { ...approval, answers: [...approval.answers, given] }
  if (verdict === 'refuse') {
    const muted = muteMs === undefined ? {} : { mutedUntil: now + muteMs }
    return { ...ended(next, 'refused', now), ...muted }
  }
  // At least that many distinct people in each step: never exactly, so that one answer too many cannot leave it pending.
  const approvals = approvalsOf(next, mayAnswer)
  const revision = approval.revision + 1
  const bound = agreedEffect(next)
  if (stepWaiting(approval.route, approvals) !== undefined) return { ...next, revision }
  const agreed = chosen(approvals.map((each) => each.reuse))
  return {
    ...next,
    revision,
    state: 'approved',
    expiresAt: now + (approval.access?.ms ?? usableFor(agreed, usableMs)),
    ...(agreed === undefined ? {} : { reuse: agreed }),
    ...(bound === undefined ? {} : { effect: bound }),
  }
}

export function withdrawn(approval: Approval, by: IdentityChain, now: number): Approval {
  const { ticket } = approval
  const asking = new Set(approval.chain.map(identityKey))
  if (!by.some((identity) => asking.has(identityKey(identity)))) {
    throw new GatewayError('denied', 'Only who asked for an approval can take the request back.', {
      ticket,
      remedy: 'An approver can refuse or revoke it.',
    })
  }
  if (!isOpen(approval) || now >= approval.expiresAt) {
    const state = stateAt(approval, now)
    throw new GatewayError('conflict', `${ticket} cannot be withdrawn: it is ${state}.`, { ticket })
  }
  return ended(approval, 'withdrawn', now)
}

/** A person who may answer it lifts the mute that its refusal has set. Throws `unauthenticated`, `denied`, `conflict`. */
export function unmuted(
  approval: Approval,
  answer: Pick<Answer, 'proof' | 'through'>,
  now: number,
  mayAnswer: MayAnswer,
): { readonly next: Approval; readonly person: Identity } {
  const { person, proof } = checkProof(answer.proof, now)
  checkPerson(approval, person, proof, answer.through, mayAnswer)
  const { ticket, mutedUntil, ...rest } = approval
  if ((mutedUntil ?? 0) <= now) {
    throw new GatewayError('conflict', `Nobody is muted by ${ticket}.`, { ticket })
  }
  return { next: { ...rest, ticket, revision: approval.revision + 1 }, person }
}

/** People take an approval back. Who may is for the caller to know. */
export function revoked(approval: Approval, now: number): Approval {
  const { ticket } = approval
  if (approval.state !== 'approved' || now >= approval.expiresAt) {
    const state = stateAt(approval, now)
    throw new GatewayError('conflict', `${ticket} cannot be revoked: it is ${state}.`, {
      ticket,
      ...(state === 'pending' ? { remedy: 'Refuse it.' } : {}),
    })
  }
  return ended(approval, 'revoked', now)
}

function ended(approval: Approval, state: ApprovalState, now: number): Approval {
  return { ...approval, state, revision: approval.revision + 1, endedAt: now }
}

function stateAt(approval: Approval, now: number): ApprovalState {
  return lapsed(approval, now)?.state ?? approval.state
}
