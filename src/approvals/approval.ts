import type {
  CommandClass,
  ConnectionName,
  Identity,
  IdentityChain,
  RequestId,
  RuleRef,
  SessionId,
  Ticket,
} from '../core/index.ts'

/**
 * Where an approval request stands. `pending` and `approved` are open: a retry joins them. The others are its end:
 * `used` ran once, `refused` was answered no, `expired` ran out of time before or after its approval, `withdrawn` was
 * taken back by who asked.
 */
export type ApprovalState = 'pending' | 'approved' | 'refused' | 'expired' | 'withdrawn' | 'used'

export const APPROVAL_STATES = [
  'pending',
  'approved',
  'refused',
  'expired',
  'withdrawn',
  'used',
] as const satisfies readonly ApprovalState[]

/** Who may answer, beyond holding the approver role. Fixed when the request is made. */
export type Route = {
  /** Distinct people who must approve; at least 1. One refusal is enough to refuse. */
  readonly people: number
  /**
   * A person may answer for an agent that acts for them, with a fresh passkey. Never for `administer` or `opaque`
   * commands, and never for what the person asked for without an agent in between.
   */
  readonly ownPerson: boolean
}

export const DEFAULT_ROUTE: Route = { people: 1, ownPerson: false }

/** What is asked for. Two commands with one fingerprint are the same command: see `fingerprintOf` of the session. */
export type ApprovalInput = {
  readonly fingerprint: string
  readonly requestId: RequestId
  readonly session: SessionId
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  /** The whole statement or request: what the approver reads is what will run. */
  readonly text: string
  /** Parameter values as the approver reads them, a line for each (`parameterText`); null is NULL. */
  readonly parameters?: readonly (string | null)[]
  readonly class: CommandClass
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly rules: readonly RuleRef[]
  readonly policyVersion: string
  readonly route?: Route
}

/** One person's answer, kept with the request. */
export type GivenAnswer = {
  readonly verdict: 'approve' | 'refuse'
  readonly by: Identity
  readonly at: number
  /** How the person logged in for it. */
  readonly method: LoginMethod
  /** `cli`, `api`, `web`: through what the answer came. */
  readonly through: string
  readonly reason?: string
}

/** A held command waiting for people. */
export type Approval = Omit<ApprovalInput, 'route'> & {
  readonly ticket: Ticket
  readonly route: Route
  readonly state: ApprovalState
  /** Goes up by one with every change; a change is made only to the revision it was decided on. */
  readonly revision: number
  readonly createdAt: number
  /** While pending: when it lapses unanswered. Once approved: until when it can be used. */
  readonly expiresAt: number
  readonly answers: readonly GivenAnswer[]
  /** When it reached a state that is not open. */
  readonly endedAt?: number
}

export type LoginMethod = 'passkey' | 'code'

/**
 * That a person has just logged in, made by whoever checked it and by nobody else. The operator socket cannot make
 * one, and neither can a minted credential.
 */
export type LoginProof = {
  /** Who logged in. Anything but one person acting for nobody else is turned down. */
  readonly chain: IdentityChain
  /** When, in milliseconds since 1970. */
  readonly at: number
  readonly method: LoginMethod
}

export type Answer = {
  readonly verdict: 'approve' | 'refuse'
  /** Without one there is no answer. */
  readonly proof: LoginProof | undefined
  readonly through: string
  readonly reason?: string
}

/** Whether a retry joins it and an answer or a use can still change it. */
export function isOpen(approval: Approval): boolean {
  return approval.state === 'pending' || approval.state === 'approved'
}
