import type {
  AbortWatch,
  CommandClass,
  Countable,
  Credential,
  ConnectionName,
  EffectBound,
  Facts,
  Identity,
  IdentityChain,
  LabelName,
  Reason,
  RequestId,
  Review,
  RuleRef,
  RunsUnder,
  ScramVerifier,
  SessionId,
  Ticket,
} from '../core/index.ts'

/** What an approval request is bound to. Two commands with one fingerprint are the same command. */
export type ApprovalInput = {
  readonly fingerprint: string
  /** Equal for commands that differ only in values that no decision depends on. */
  readonly shape: string
  /** Equal for the same command under whatever definitions. */
  readonly kin: string
  /** What names meant, where that is known. */
  readonly definitions?: string
  readonly requestId: RequestId
  readonly session: SessionId
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  readonly text: string
  /** Parameter values as an approver reads them, a line for each (`parameterText`); null is NULL. */
  readonly parameters?: readonly (string | null)[]
  /** What of these is shown to who does not answer. Absent: text and parameters. */
  readonly shown?: { readonly text: string; readonly parameters?: readonly (string | null)[] }
  readonly class: CommandClass
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly rules: readonly RuleRef[]
  /** What rules say of how people look at it. */
  readonly review?: readonly Review[]
  /** What is worth a second look, and how many rows the planner expects, where it was asked. */
  readonly warnings?: readonly string[]
  readonly estimatedRows?: number
  /** Whether what it changes can be counted before it takes effect. Absent: it cannot. */
  readonly countable?: Countable
  /** Under what it would run, for people. */
  readonly under?: RunsUnder
  readonly policyVersion: string
}

/**
 * How waiting for an answer ended. `superseded`: rules or definitions have changed; `pending`: patience ran out; `abandoned`:
 * the client went away; `elsewhere`: another approval lets it run: `open` gives that one.
 */
export type WaitOutcome =
  | 'approved'
  | 'refused'
  | 'expired'
  | 'superseded'
  | 'pending'
  | 'abandoned'
  | 'elsewhere'

/** A request as who made it sees it. */
export type OwnRequest = {
  readonly ticket: Ticket
  readonly state: string
  readonly createdAt: number
  readonly expiresAt: number
  readonly uses: number
  readonly text: string
  readonly answers: readonly { readonly verdict: string; readonly reason?: string }[]
}

/** A command that would run by an approval. */
type Use = Pick<ApprovalInput, 'requestId' | 'session' | 'fingerprint' | 'shape'>

/** What the session needs of approvals: ask, wait, and take an approval as often as it was given. */
export interface ApprovalDesk {
  open(
    input: ApprovalInput,
  ): Promise<{ readonly ticket: Ticket; readonly expiresAt: number; readonly state: string }>
  wait(ticket: Ticket, patienceMs: number, signal: AbortWatch, use: Use): Promise<WaitOutcome>
  /** True when this command may run by it, which is noted then; false when it may not, or not any more. */
  consume(ticket: Ticket, use: Use): Promise<boolean>
  /** A request that is open or ended lately. `effect`: what it was approved for changes so many rows, and no others. */
  get(ticket: Ticket):
    | {
        readonly answers: readonly {
          readonly verdict: string
          readonly by: Identity
          readonly reason?: string
        }[]
        readonly effect?: EffectBound
      }
    | undefined
  /** Requests of this very chain on this connection that are open or ended lately, newest first. */
  of(chain: IdentityChain, connection: ConnectionName): readonly OwnRequest[]
  /** What was approved for this session is over with it. */
  sessionEnded(session: SessionId): void
}

/** What chains have been granted for a time. Answers from memory. */
export interface AccessDesk {
  /** Another number whenever somebody may hold something else. */
  readonly changes: number
  /** What a chain holds on a connection, until when: the same object as long as it is the same. */
  of(
    chain: IdentityChain,
    connection: ConnectionName,
  ): { readonly names: readonly string[]; readonly until: number }
}

/** Where nobody is granted anything. */
export const NO_ACCESS: AccessDesk = {
  changes: 0,
  of: () => NOTHING_GRANTED,
}
const NOTHING_GRANTED = { names: [], until: Number.POSITIVE_INFINITY }

/** What one session has used and may use under budgets. Answers from memory. */
export interface Spending {
  /** Whether distinct values of labelled columns are counted. */
  readonly countsRecords: boolean
  /** Before a command: counts the questions in it, `listed` of which its facts do not know. Tells why it may not run. */
  admit(facts: Facts, listed?: number): { readonly reason: Reason; readonly rule: RuleRef } | undefined
  /** Before a row or a piece of a body: it may be shown, may be shown after `more`, or not any more today. */
  spend(rows: number, bytes: number): 'go' | 'wait' | 'spent'
  /** Resolves when it is worth asking again; rejects with GatewayError `limit_exceeded`. */
  more(): Promise<void>
  /** What stopped what was asked for last. */
  refusal(): { readonly reason: Reason; readonly rule: RuleRef }
  /** A value of these labels, `bytes[start, end)`, is shown, hidden or not. */
  record(labels: readonly LabelName[], bytes: Uint8Array, start: number, end: number): void
}

export interface BudgetDesk {
  open(chain: IdentityChain, connection: ConnectionName): Spending
}

/** Where no budget is configured. */
export const NO_BUDGETS: BudgetDesk = {
  open: () => ({
    countsRecords: false,
    admit: () => undefined,
    spend: () => 'go',
    more: () => Promise.resolve(),
    refusal: () => {
      throw new Error('no budget has stopped anything')
    },
    record: () => undefined,
  }),
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
