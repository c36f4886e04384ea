import { type Clock, GatewayError, identityKey } from '../core/index.ts'
import type { Approval, ApprovalInput } from './approval.ts'

/**
 * Taken back by an approver, an emergency is over until it would have ended: whoever took it takes no other on that connection
 * meanwhile, by whatever name. Throws `approval_refused`.
 */
export function refuseRevoked(
  known: Iterable<Approval>,
  { chain: [person], connection }: ApprovalInput,
  clock: Pick<Clock, 'now'>,
): void {
  const key = identityKey(person)
  for (const { ticket, access, state, chain, expiresAt, connection: on } of known) {
    if (access?.emergency !== true || state !== 'revoked' || on !== connection) continue
    if (identityKey(chain[0]) !== key || expiresAt <= clock.now()) continue
    throw new GatewayError('approval_refused', `Ask an approver: your emergency ${ticket} was taken back.`, {
      ticket,
      remedy: `Ask for access in the ordinary way, or wait until ${new Date(expiresAt).toISOString()}.`,
      retry: 'later',
    })
  }
}
