import type { CommandClass, IntentHead, OutcomeHead, SessionId } from '../../core/index.ts'

/** One line of the list of sessions: who used what, when, and how much. Everything in it is in the recording too. */
export type SessionSummary = {
  readonly session: SessionId
  /** Which node recorded it, where several gateways share a store: the others have only this line of it. */
  readonly node?: string
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

/**
 * What is known of a session beyond its figures: groups of its chain, classes and decisions of its commands, tables
 * read and written, those that refused commands named, labels masked and handed out in clear.
 */
export type FactKind = 'group' | 'class' | 'decision' | 'read' | 'written' | 'tried' | 'masked' | 'clear'

/** The value of a fact that says: there were more of this kind than are kept, and it may have been any. */
export const ANY = '*'

/** One fact, or what has been added to it: in how many more commands, and between when they were. */
export type SessionFact = {
  readonly session: SessionId
  readonly kind: FactKind
  readonly value: string
  readonly commands: number
  readonly firstAt: number
  readonly lastAt: number
}

/** A command whose result may hold values of a labelled column, masked or clear. */
export type Sighting = {
  readonly session: SessionId
  /** The number of the command in its session. */
  readonly n: number
  readonly at: number
  /** `*`: any column with this label. */
  readonly column: string
  readonly label: string
  readonly shown: 'masked' | 'clear'
} & SightingEnd

/** How the command ended; without an outcome, it may have handed out anything. */
export type SightingEnd = {
  readonly outcome?: OutcomeHead['outcome']
  readonly rows: number
  readonly bytes: number
  /** Nothing reached the client: refused, or no row. */
  readonly empty: boolean
}

/** What has been learned since the last time. */
export type Findings = {
  readonly facts: readonly SessionFact[]
  readonly sightings: readonly Sighting[]
  /** Ends of commands whose sightings, if they had any, are in the index already. */
  readonly ends: readonly (SightingEnd & { readonly session: SessionId; readonly n: number })[]
}

/** Which sessions to list. Every field given must match; newest first. */
export type SessionFilter = {
  readonly connection?: string
  /** An identity key that occurs anywhere in the chain. */
  readonly identity?: string
  readonly open?: boolean
  /** A group of somebody in the chain. */
  readonly group?: string
  /** One of its commands: was of this class, was decided so, read or wrote this table (or route). */
  readonly class?: CommandClass
  readonly decision?: IntentHead['decision']
  readonly table?: string
  readonly read?: string
  readonly written?: string
  /** One of its commands had this label masked, or handed it out in clear. */
  readonly masked?: string
  readonly clear?: string
  /** Sessions opened at or after, and before, in milliseconds since 1970. */
  readonly openedFrom?: number
  readonly openedBefore?: number
  /** Only those that this gateway recorded. */
  readonly here?: true
  /** Sessions that sort before this id: the last one of the page before. */
  readonly before?: SessionId
  /** At most this many; between 1 and LIMITS.sessionsListedMax. */
  readonly limit: number
}

/** Where a sighting stands in a list of them. */
export type SightingPlace = Pick<Sighting, 'at' | 'session' | 'n' | 'column' | 'label'>

/** Who saw a column or a label, and when. Times in milliseconds since 1970: from, and before. */
export type SightingFilter = {
  /** A column, `public.customers.email`, or a label. */
  readonly saw: string
  /** Labels of that column: what may have been any column with one of them counts as well. */
  readonly labels: readonly string[]
  readonly from?: number
  readonly before?: number
  /** Those after the last one of the page before, newest first. */
  readonly after?: SightingPlace
  readonly limit: number
}

export type SeenFilter = {
  /** An identity key that occurs anywhere in the chain. */
  readonly by: string
  readonly from?: number
  readonly before?: number
  readonly limit: number
}

/** What one chain of identities got of a column or label. */
export type Viewer = {
  readonly chain: readonly string[]
  readonly shown: Sighting['shown']
  readonly commands: number
  readonly rows: number
  readonly firstAt: number
  readonly lastAt: number
}

export type SeenColumn = Pick<Sighting, 'column' | 'label' | 'shown'> & Omit<Viewer, 'chain' | 'shown'>

/** A table or route. Its times are those of the session's first and last command with it. */
export type SeenTable = {
  readonly kind: 'read' | 'written'
  readonly table: string
  readonly commands: number
  readonly firstAt: number
  readonly lastAt: number
}

/**
 * The list of sessions, kept by the store so that nobody has to read every recording. It can be thrown away at any
 * time: it is rebuilt from the journal.
 */
export interface SessionIndex {
  /** The sequence number up to which every frame has been counted in; 0 for an empty index. */
  position(): Promise<number>
  get(session: SessionId): Promise<SessionSummary | undefined>
  /**
   * Replaces summaries, adds what was found, and moves the position, all of it or nothing, durable when it resolves.
   * Facts are added to what is there: nothing may be given twice.
   */
  upsert(summaries: readonly SessionSummary[], position: number, found?: Findings): Promise<void>
  /** Newest id first. */
  list(filter: SessionFilter): Promise<readonly SessionSummary[]>
  /** Sightings that reached a client, newest first, and whose they were. */
  sightings(
    filter: SightingFilter,
  ): Promise<readonly (Sighting & { readonly chain: readonly string[]; readonly connection: string })[]>
  /** The same, added up by chain. */
  viewers(filter: SightingFilter): Promise<readonly Viewer[]>
  /** Labels that the column was ever seen with. */
  labelsOf(column: string): Promise<readonly string[]>
  seenColumns(filter: SeenFilter): Promise<readonly SeenColumn[]>
  seenTables(filter: SeenFilter): Promise<readonly SeenTable[]>
}
