import type {
  ChosenEffect,
  CommandClass,
  ConnectionName,
  Countable,
  EffectBound,
  Identity,
  IdentityChain,
  RequestId,
  ReuseOffer,
  Review,
  RuleRef,
  RunsUnder,
  SessionId,
  Ticket,
} from '../core/index.ts'
import type { Reuse } from './reuse.ts'
import type { Route } from './route.ts'

/** Where an approval request stands; docs/decisions/0010-approvals.md has the whole machine. */
export const APPROVAL_STATES = [
  /** Waits for people. A retry joins it. */
  'pending',
  /** May be used. A retry joins it. */
  'approved',
  /** Answered no. */
  'refused',
  /** Ran out of time, before or after its approval. */
  'expired',
  /** Taken back by who asked. */
  'withdrawn',
  /** Taken back by people after its approval. */
  'revoked',
  /** Rules or definitions have changed since. */
  'superseded',
  /** Used up. */
  'used',
] as const
export type ApprovalState = (typeof APPROVAL_STATES)[number]

/** Access that is asked for, instead of a command that may run. */
export type AccessAsked = {
  /** What the configuration calls it. */
  readonly name: string
  /** For how long it is granted, from the grant on. */
  readonly ms: number
  /** A person took it without being granted it. */
  readonly emergency: boolean
}

export type ShownCommand = { readonly text: string; readonly parameters?: readonly (string | null)[] }

/** What is asked for. Two commands with one fingerprint are the same command: see `fingerprintOf` of the session. */
export type ApprovalInput = {
  readonly fingerprint: string
  /** Equal for commands that differ only in values of which one does as much as any other. */
  readonly shape: string
  /** Which values these are, in words, a line for each. Absent: none. */
  readonly varies?: readonly string[]
  /** Equal for the same command under whatever definitions. */
  readonly kin: string
  /** What names meant, where that is known. */
  readonly definitions?: string
  /** The command, and its session; absent where access is asked for. */
  readonly requestId?: RequestId
  readonly session?: SessionId
  readonly access?: AccessAsked
  readonly chain: IdentityChain
  readonly connection: ConnectionName
  /** The whole statement or request: what the approver reads is what will run. */
  readonly text: string
  /** Parameter values as the approver reads them, a line for each (`parameterText`); null is NULL. */
  readonly parameters?: readonly (string | null)[]
  /** What of these everybody else may read: values of protected columns are `[sealed pii.email]`. Absent: text and parameters. */
  readonly shown?: ShownCommand
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
  /** In which database, by which program, with what changed in its session. Absent: access, and requests of earlier versions. */
  readonly under?: RunsUnder
  readonly policyVersion: string
}

/** One person's answer, kept with the request. */
export type GivenAnswer = {
  readonly verdict: 'approve' | 'refuse'
  readonly by: Identity
  readonly at: number
  /** How the person logged in for it. */
  readonly method: LoginMethod
  /** `cli`, `api`, `web`, `channel:NAME`: through what the answer came. */
  readonly through: string
  /** In which step of the route. */
  readonly step: number
  /** More than one use, as this person chose it. */
  readonly reuse?: Reuse
  /** How many rows it may change, as this person said. */
  readonly effect?: ChosenEffect
  readonly reason?: string
}

/** A held command waiting for people. */
export type Approval = Omit<ApprovalInput, 'review'> & {
  readonly ticket: Ticket
  readonly route: Route
  /** What an approver may choose beyond one use. */
  readonly offer: ReuseOffer
  /** Whoever approves has to say how many rows it may change. */
  readonly effectRequired?: true
  readonly state: ApprovalState
  /** Goes up by one with every change; a change is made only to the revision it was decided on. */
  readonly revision: number
  readonly createdAt: number
  /** While pending: when it lapses unanswered. Once approved: until when it can be used. */
  readonly expiresAt: number
  readonly answers: readonly GivenAnswer[]
  /** Since when others may answer as well. */
  readonly escalatedAt?: number
  /** Of an approval: what was chosen beyond one use. */
  readonly reuse?: Reuse
  /** Of an approval: it takes effect only when it changes so many rows. */
  readonly effect?: EffectBound
  readonly uses: number
  /** Of a refusal: until when who asked may not ask for anything more on the connection. */
  readonly mutedUntil?: number
  /** Its command was erased from the recording: what it says of it goes when it ends. */
  readonly erasing?: true
  /** When it reached a state that is not open. */
  readonly endedAt?: number
}

/** `channel`: a channel says, under its signature, that this person has just answered there; see `answersThrough`. */
export type LoginMethod = 'passkey' | 'code' | 'channel'

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
  /** Of an approval: more than one use. */
  readonly reuse?: Reuse
  /** Of an approval: how many rows it may change. */
  readonly effect?: ChosenEffect
  /** Of a refusal: for how many milliseconds who asked may not ask for anything more on the connection. */
  readonly muteMs?: number
}

/**
 * What no two open requests share; undefined for one that is not open. What was approved for one session is in the way of
 * no other that asks for the same.
 */
export function openKeyOf(approval: Approval): string | undefined {
  if (!isOpen(approval)) return undefined
  const { fingerprint, session, state, reuse } = approval
  return state === 'approved' && reuse?.kind === 'session' ? `session ${session} ${fingerprint}` : fingerprint
}

/** Whether a retry joins it and an answer or a use can still change it. */
export function isOpen({ state }: Pick<Approval, 'state'>): boolean {
  return state === 'pending' || state === 'approved'
}
