import type { Network, Pipe, ScramVerifier, Secret, ServerTls } from '../core/index.ts'
import type { ClientMessage, Startup } from '../wire/postgres/index.ts'
import type { Answer } from './fake-postgres-answers.ts'

export type FakePostgresOptions = {
  /** How clients prove themselves; `trust` asks nothing. */
  readonly auth?: 'trust' | 'cleartext' | 'md5' | 'scram'
  readonly password?: string
  /** Offer TLS, and SCRAM with the channel bound. */
  readonly tls?: ServerTls
  /** Who makes TLS: of real sockets unless said otherwise, such as a FakeNetwork for pipes in memory. */
  readonly network?: Pick<Network, 'secureServer'>
  /** Refuse start-up without TLS. */
  readonly tlsRequired?: boolean
  /** Reported at start-up, besides the usual ones. */
  readonly parameters?: Readonly<Record<string, string>>
  /** The highest minor version of protocol 3. */
  readonly minorMax?: number
  /** Keep what was received, not only its number. Switch it off to receive gigabytes. */
  readonly keep?: boolean
}

/** A message that reached the server. Sessions are numbered from 1 in the order in which they came. */
export type Received = { readonly session: number; readonly message: ClientMessage }

/** A command the server was asked to run: a simple query, or an Execute with the statement behind its portal. */
export type Ran = {
  readonly session: number
  readonly sql: string
  readonly values: readonly (Buffer | null)[]
}

/** What each session of the fake needs of the server it belongs to. */
export interface FakeServer<FakeSession> {
  readonly options: FakePostgresOptions
  readonly parameters: Readonly<Record<string, string>>
  readonly password: Secret
  readonly verifier: ScramVerifier
  readonly ran: Ran[]
  readonly startups: Startup[]
  note(session: number, message: ClientMessage): void
  answersTo(sql: string, values: readonly (Buffer | null)[]): readonly Answer[] | undefined
  readonly beforeCancel: () => Promise<void>
  cancel(processId: number, key: Uint8Array): void
  secure(pipe: Pipe, received?: Uint8Array): Promise<Pipe>
  forget(session: FakeSession): void
}
