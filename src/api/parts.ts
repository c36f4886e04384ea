import type { Approvals, Previews } from '../approvals/index.ts'
import type { Change, Config } from '../config/index.ts'
import type { SealedSecrets } from '../connections/index.ts'
import type {
  Clock,
  ConfigVersion,
  Connection,
  Identity,
  IdentityChain,
  Journal,
  SecretRef,
} from '../core/index.ts'
import type { BuiltInIssuer, Credentials, IdentityBlocks, People, TokenExchange } from '../identity/index.ts'
import type { ChannelAnswers, ChannelFigures } from '../notifications/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Recording, Tail } from '../recording/index.ts'
import type { ExplainQuestion, Explanation, Finding, Gateway } from '../session/index.ts'
import type { FreshLogins } from './logins.ts'

/** The domains behind the control API. It has no powers of its own. */
export type ApiParts = {
  readonly clock: Clock
  readonly journal: Journal
  readonly gateway: Gateway
  readonly credentials: Credentials
  readonly approvals: Approvals
  readonly previews: Previews
  /** Answers that come through channels. */
  readonly channelAnswers: ChannelAnswers
  /** How each channel does that people are told through. */
  channels(): readonly ChannelFigures[]
  readonly sealed: SealedSecrets
  readonly recording: Recording
  readonly tail: Tail
  readonly people: People
  readonly issuer: BuiltInIssuer
  readonly exchange: TokenExchange
  readonly blocks: IdentityBlocks
  readonly configurations: ConfigurationDesk
  readonly logins: FreshLogins
  readonly startedAt: number
  /** The configuration in force. */
  config(): Config
  /** A local identity by `kind:name`, or by its bare name when only one has it. */
  localIdentity(name: string): Identity | undefined
  /** Who an access token stands for. Throws `unauthenticated`. */
  verify(token: string): Promise<IdentityChain>
  /** Looks at the upstream of a connection. */
  probe(connection: Connection): Promise<readonly Finding[]>
  readonly rotation: RotationDesk
  /** What a command would come to. Undefined: the connection's protocol cannot say. */
  explain(connection: Connection, question: ExplainQuestion): Promise<Explanation> | undefined
  /** The policy in force. */
  policy(): Policy
  /** What is counted, as Prometheus reads it. */
  metrics(): Promise<string>
  /** Where each protocol listens. */
  endpoints(): Readonly<Record<string, { readonly address: string; readonly port: number }>>
  /** Other gateways on the same store; absent where there is only this one. */
  readonly shared?: SharedDesk | undefined
}

/** The secrets that connections log in with at their upstreams. */
export type RotationDesk = {
  /** Where each is kept, and since when it is what it is, where that can be told. */
  keptSecrets(connection: Connection): Promise<readonly KeptSecret[]>
  /** Throws GatewayError, with the old one in force. */
  rotate(
    connection: Connection,
    by: string,
  ): Promise<{ readonly secret: string; readonly oldRefused: boolean; readonly resumed: boolean }>
}

export type KeptSecret = { readonly source: SecretRef['kind']; readonly setAt?: number }

/** What is told of a store that several gateways share. */
export type SharedDesk = {
  /** This one. */
  readonly node: string
  readonly state: { readonly upToDateAt: number; readonly clockAheadMs: number }
  nodes(): Promise<readonly NodeState[]>
}

export type NodeState = {
  readonly node: string
  readonly version: string
  /** Where its control API is. */
  readonly address?: string
  readonly startedAt: number
  readonly seenAt: number
  readonly isRunning: boolean
}

export type ConfigurationDesk = {
  readonly current: { readonly text: string; readonly config: Config }
  check(text: string): { readonly version: ConfigVersion; readonly changes: readonly Change[] }
  apply(text: string, by: string): Promise<Activated>
  rollback(version: ConfigVersion, by: string): Promise<Activated>
  /** What the active configuration changed compared with this one. Throws `not_found`. */
  changesSince(version: ConfigVersion): Promise<readonly Change[]>
  history(limit: number): Promise<readonly Activated[]>
}

export type Activated = {
  readonly sequence: number
  readonly version: ConfigVersion
  readonly at: number
  readonly by: string
}
