import type { IdentityChain } from '../core/index.ts'
import type { Role } from '../config/index.ts'
import type { LoginProof } from '../approvals/index.ts'

/**
 * What may be asked of a caller. `operator socket` is who sits at the machine; `identity` whoever shows a token, agents as
 * well; `person` one person, who acts for nobody else.
 */
export type Standing = Role | 'operator socket' | 'identity' | 'person'

/** Who calls the control API. */
export type Caller = {
  /** How administrative records name it: `operator socket`, `person:ada`. */
  readonly name: string
  /** Absent for the operator socket and for callers that showed nothing. */
  readonly chain: IdentityChain | undefined
  readonly roles: ReadonlySet<Standing>
  /** A person's fresh login, for what asks for one. */
  readonly proof: LoginProof | undefined
}

export const NOBODY: Caller = { name: 'nobody', chain: undefined, roles: new Set(), proof: undefined }

/** The operator socket: whoever may open it sits at the machine. It answers no approval and sees no value in clear. */
export const OPERATOR: Caller = {
  name: 'operator socket',
  chain: undefined,
  roles: new Set(['operator socket']),
  proof: undefined,
}
