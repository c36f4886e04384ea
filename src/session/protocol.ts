import type { Socket } from 'node:net'
import type { ZodType } from 'zod'
import type {
  AttributeType,
  Basis,
  Connection,
  ConnectionName,
  Decision,
  Facts,
  HostNames,
  IntentHead,
  LabelName,
  MaskingRule,
  OutcomeHead,
  Pipe,
  PreviewRun,
  RandomBytes,
  ReadFile,
  Secret,
  SecretRef,
  ServerTls,
  SettingsRead,
  Ticket,
} from '../core/index.ts'
import type { LabelMask } from '../policy/index.ts'
import type { Gateway } from './gateway.ts'
import type { CredentialDesk } from './ports.ts'
import type { ProbePorts } from './probe-ports.ts'
import type { Rotation } from './rotation.ts'

/** All that the rest of the gateway knows of a protocol. Below the registry nobody compares names. */
export type Protocol = {
  readonly name: string
  /** The schema of a connection's own settings. */
  readonly settings: ZodType
  /** Reads the files that settings name, as they were read by `settings`. Absent: they name none that count for a decision. */
  readonly readSettings?: (settings: unknown, read: ReadFile) => SettingsRead
  /** Facts that this protocol adds to those every command has. */
  readonly attributes: Readonly<Record<string, AttributeType>>
  /** Its clients say which host they want, so that a host may name a connection. */
  readonly namedByHost?: boolean
  /** Sessions that one identity may have on a connection that does not say how many; absent: as for a database. */
  readonly sessionsPerIdentity?: number
  /** What is wrong with a pattern that gives a label on such a connection, and what to write instead. */
  readonly labelFault: (
    pattern: string,
    settings: unknown,
  ) => { readonly expected: string; readonly fix: string } | undefined
  /** Looks at a connection's upstream as `sluice doctor` shows it. Reads no row. Total: what fails is a finding. */
  probe(ports: ProbePorts, connection: Connection): Promise<readonly Finding[]>
  /** What a connection shows its upstream to be let in, wherever that is kept. */
  secretsOf(connection: Connection): readonly SecretRef[]
  /** How that is replaced. Absent: nobody but who runs the upstream can. */
  readonly rotation?: Rotation
  /**
   * What a command would come to, without running it: the same facts, from the same analyser over the upstream's
   * definitions as they are now. Absent where a protocol cannot say. Throws GatewayError for what cannot be read.
   */
  explain?(ports: ProbePorts, connection: Connection, question: ExplainQuestion): Promise<Explanation>
  /** Says of recorded commands what is known of them under a configuration and the definitions of that time. */
  rejudge(snapshot: (address: string) => Promise<string | undefined>): Promise<Rejudge>
  /** Begins to serve. One per listener; `close` ends what it keeps of its own. */
  serve(context: ProtocolContext): ProtocolServer
}

/** A command as the recording has it, with what became of it as far as that is known. */
export type RecordedCommand = {
  readonly intent: IntentHead
  /** What it was judged by: its own, or that of a command before it. */
  readonly basis: Basis
  readonly outcome: OutcomeHead | undefined
}

/**
 * What is known of a recorded command. `refused`: it is none, and no rule is asked; `own`: the gateway answers it itself;
 * `unknown`: it cannot be told.
 */
export type Rejudged =
  | { readonly kind: 'facts'; readonly facts: Facts }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'own' }
  | { readonly kind: 'unknown'; readonly why: 'catalogue' | 'session' }

/** Judges recorded commands anew, with the code that judges those of clients. */
export interface Rejudge {
  session(): RejudgedSession
  close(): Promise<void>
}

export interface RejudgedSession {
  /**
   * What is known of a command under the labels and settings of a connection. Commands come in the order of their numbers,
   * each once: what one leaves behind in its session counts for the next.
   */
  next(command: RecordedCommand, connection: Connection): Promise<Rejudged>
}

/** What a look at an upstream found, for people. Names no secret and no value. */
export type Finding = {
  readonly level: 'ok' | 'warning' | 'problem'
  readonly message: string
  readonly remedy?: string
}

export type ExplainQuestion = {
  readonly text: string
  readonly database: string
  /** The policy in force, asked for the identity in question. */
  decide(facts: Facts): Decision
  /** How each label is masked on the connection, to know masked values by. Absent: nothing is looked for. */
  readonly masks?: readonly LabelMask[]
}

/** What a command would come to. Holds no value of the upstream's. */
export type Explanation = {
  readonly facts: Facts
  readonly decision: Decision
  /** What a client would get to see of each output that the analysis names. */
  readonly outputs: readonly ExplainedOutput[]
}

export type ExplainedOutput = {
  /** From 1. */
  readonly statement: number
  readonly name: string
  readonly labels: readonly LabelName[]
  readonly computed: boolean
  /** Absent: in clear. */
  readonly mask?: MaskingRule
}

export type ProtocolContext = {
  readonly gateway: Gateway
  readonly credentials: CredentialDesk
  readonly random: RandomBytes
  readonly tls: ServerTls | undefined
  readonly tlsRequired: boolean
  resolveSecret(reference: SecretRef): Promise<Secret>
  /** The upstream no longer takes what this gave: it is to be had anew. */
  forgetSecret(reference: SecretRef): void
  /** The secrets of the whole configuration, as they can be had now: the same list as long as they are the same. Absent: none. */
  configuredSecrets?(): Promise<readonly string[]>
  /** Those of this protocol, as configured now. */
  connection(name: ConnectionName): Connection | undefined
  /** Hosts by which clients name connections, as configured now. Absent: none does. */
  hosts?(): HostNames | undefined
  /** Where definitions are kept that commands are judged by. Absent: nowhere. */
  readonly snapshots?: Snapshots
  /** Told of every command that is held and could be tried out for who is to answer. Absent: nothing is tried out. */
  offerPreview?(ticket: Ticket, run: PreviewRun): void
  /** Where tokens are had, as configured now. Absent: nowhere. */
  signIn?(): SignIn
  /** Faults of our own and of upstreams, for the log. Never values or secrets. */
  report(error: unknown): void
}

/** Where a client without a credential gets one. */
export type SignIn = {
  /** URLs of issuers whose access tokens are exchanged for credentials. */
  readonly issuers: readonly string[]
  /** Where they are exchanged (RFC 8693); absent: the control API has no public URL. */
  readonly exchange?: string
}

/** What commands are judged by, kept for who judges them anew. */
export interface Snapshots {
  /**
   * Keeps a text and resolves with its address: on the disk when it does. What cannot be kept is reported and has an address
   * all the same, with nothing behind it. In use until `release`.
   */
  keep(text: string): Promise<string>
  release(address: string): void
}

/** A protocol takes bounded byte streams, or sockets where a library wants them. */
export type ProtocolServer = {
  readonly close: () => Promise<void>
} & (
  | { readonly takes: 'pipe'; readonly accept: (pipe: Pipe, admitted: () => void) => void }
  | { readonly takes: 'socket'; readonly accept: (socket: Socket, admitted: () => void) => void }
)
