import type {
  CommandClass,
  Credential,
  ConnectionName,
  IdentityChain,
  RequestId,
  RuleRef,
  ScramVerifier,
  SessionId,
  Ticket,
} from '../core/index.ts'

/** What an approval request is bound to. Two commands with one fingerprint are the same command. */
export type ApprovalInput = {
  readonly fingerprint: string
  readonly requestId: RequestId
  readonly session: SessionId
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  readonly text: string
  /** Parameter values as an approver reads them; null is NULL. */
  readonly parameters?: readonly (string | null)[]
  readonly class: CommandClass
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly rules: readonly RuleRef[]
  readonly policyVersion: string
}

/** How waiting for an answer ended. `pending`: patience ran out; `abandoned`: the client went away. */
export type WaitOutcome = 'approved' | 'refused' | 'expired' | 'pending' | 'abandoned'

/** What the session needs of approvals: ask, wait, and take an approval exactly once. */
export interface ApprovalDesk {
  open(input: ApprovalInput): Promise<{ readonly ticket: Ticket; readonly expiresAt: number }>
  wait(ticket: Ticket, patienceMs: number, signal: AbortSignal): Promise<WaitOutcome>
  consume(ticket: Ticket): Promise<boolean>
}

/** What adapters need of minted credentials, answered from memory. */
export interface CredentialDesk {
  /** For SCRAM. An unknown, ended or foreign id gives a mock that no password fits, the same for the same id. */
  verifier(id: string): ScramVerifier
  /** A credential that is live now. */
  find(id: string): Credential | undefined
  /** The live credential a token stands for, for this connection. Throws GatewayError `unauthenticated`. */
  admitToken(token: string, connection: ConnectionName): Credential
}
