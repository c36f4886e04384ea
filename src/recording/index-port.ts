import type { SessionId } from '../core/index.ts'

/** One line of the list of sessions: who used what, when, and how much. Everything in it is in the recording too. */
export type SessionSummary = {
  readonly session: SessionId
  readonly openedAt: number
  /** Absent while the session is open. */
  readonly closedAt?: number
  readonly closeReason?: string
  readonly connection: string
  readonly protocol: string
  /** Identity keys, who acts first: `agent:support-agent`, `person:ada@example.com`. */
  readonly chain: readonly string[]
  readonly credential: string
  readonly mintedBy: string
  readonly clientAddress: string
  readonly program: string
  readonly database: string
  readonly config: string
  /** Commands sent, refused by policy, and held for approval. */
  readonly commands: number
  readonly denied: number
  readonly held: number
  /** Rows and bytes of results as the client got them. */
  readonly rows: number
  readonly bytes: number
}

/** Which sessions to list. Every field given must match; newest first. */
export type SessionFilter = {
  readonly connection?: string
  /** An identity key that occurs anywhere in the chain. */
  readonly identity?: string
  readonly open?: boolean
  /** Sessions opened at or after, and before, in milliseconds since 1970. */
  readonly openedFrom?: number
  readonly openedBefore?: number
  /** Sessions that sort before this id: the last one of the page before. */
  readonly before?: SessionId
  /** At most this many; between 1 and LIMITS.sessionsListedMax. */
  readonly limit: number
}

/**
 * The list of sessions, kept by the store so that nobody has to read every recording. It can be thrown away at any
 * time: it is rebuilt from the journal.
 */
export interface SessionIndex {
  /** The sequence number up to which every frame has been counted in; 0 for an empty index. */
  position(): Promise<number>
  get(session: SessionId): Promise<SessionSummary | undefined>
  /** Adds or replaces summaries and moves the position, all of it or nothing, durable when it resolves. */
  upsert(summaries: readonly SessionSummary[], position: number): Promise<void>
  /** Newest id first. */
  list(filter: SessionFilter): Promise<readonly SessionSummary[]>
}
