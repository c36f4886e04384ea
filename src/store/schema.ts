/**
 * The tables, in what SQLite and PostgreSQL have in common: ids and names TEXT, times BIGINT milliseconds, JSON and
 * base64 as TEXT, booleans INTEGER. Rows are their own types; repositories turn them into domain objects.
 */
export type Tables = {
  properties: PropertyRow
  credentials: CredentialRow
  sealed_secrets: SealedSecretRow
  approvals: ApprovalRow
  sessions: SessionRow
  session_identities: SessionIdentityRow
  session_facts: SessionFactRow
  sightings: SightingRow
  configurations: ConfigurationRow
  people: PersonRow
  invitations: InvitationRow
  blocks: BlockRow
  budget_accounts: BudgetAccountRow
  nodes: NodeRow
  changes: ChangeRow
  notifications: NotificationRow
  channel_messages: ChannelMessageRow
}

/** Single values of the gateway itself. */
export type PropertyRow = { name: string; value: string }

export type CredentialRow = {
  id: string
  use: string
  connection: string
  database: string | null
  /** JSON: the identity chain. */
  chain: string
  /** JSON: how the secret is checked. */
  proof: string
  minted_by: string
  created_at: number
  expires_at: number
  revoked_at: number | null
  revoked_by: string | null
}

export type SealedSecretRow = {
  name: string
  key_id: string
  /** base64 */
  nonce: string
  /** base64 */
  sealed: string
  updated_at: number
  updated_by: string
}

export type ApprovalRow = {
  ticket: string
  /** What no two open requests share (`openKeyOf`), and NULL once it has ended. */
  open_fingerprint: string | null
  revision: number
  created_at: number
  ended_at: number | null
  /** Until when who asked may not ask on the connection, where a refusal says so. */
  muted_until: number | null
  /** JSON: the whole request with its answers. */
  body: string
}

export type SessionRow = {
  session: string
  /** Which node recorded it; NULL where there is only one gateway. */
  node: string | null
  opened_at: number
  closed_at: number | null
  close_reason: string | null
  connection: string
  protocol: string
  /** JSON: identity keys. */
  chain: string
  credential: string
  minted_by: string
  client_address: string
  program: string
  database: string
  config: string
  commands: number
  denied: number
  held: number
  rows: number
  bytes: number
}

/** Which identities stand in the chain of a session. */
export type SessionIdentityRow = { session: string; identity: string }

/** One activation of a configuration. The one with the highest sequence is active. */
export type ConfigurationRow = {
  sequence: number
  version: string
  text: string
  activated_at: number
  activated_by: string
}

export type PersonRow = {
  person: string
  enrolled_at: number
  device: string
  last_step: number
  failures: number
  locked_until: number
}

/** A person has at most one. */
export type InvitationRow = { person: string; hash: string; expires_at: number; invited_by: string }

export type BlockRow = { identity: string; blocked_by: string; blocked_at: number }

/** What has been taken from one account: never less than what was used. */
export type BudgetAccountRow = {
  day: string
  budget: string
  identity: string
  rows: number
  bytes: number
  records: number
  questions: number
  /** base64: which records, as far as they can be told apart. */
  sketch: string
}

export type SessionFactRow = {
  /** `group`, `class`, `decision`, `read`, `written`, `tried`, `masked`, `clear`. */
  kind: string
  value: string
  session: string
  commands: number
  first_at: number
  last_at: number
}

/** A command whose result may hold values of a labelled column. */
export type SightingRow = {
  session: string
  n: number
  at: number
  column_name: string
  label: string
  /** `masked` or `clear`. */
  shown: string
  /** NULL while the command is under way, and when the gateway stopped meanwhile. */
  outcome: string | null
  rows: number
  bytes: number
  /** 1: nothing reached the client. */
  empty: number
}

/** What one channel is to be told of one request. */
export type NotificationRow = {
  id: string
  channel: string
  ticket: string
  event: string
  at: number
  position: number
  /** `waiting`, `sent`, `skipped`, `undelivered`. */
  state: string
  /** When it may be taken: again, if somebody has. */
  due_at: number
  attempts: number
  /** What the receiver calls it. */
  ref: string | null
}

/** A signed message that came through a channel: it counts once. */
export type ChannelMessageRow = { channel: string; message: string; until: number }

/** A gateway on a shared store. */
export type NodeRow = {
  node: string
  /** Which run of it has the name; empty when none does. */
  run: string
  version: string
  address: string | null
  started_at: number
  seen_at: number
}

/** How often each topic was changed, so that nodes see what they have not seen. */
export type ChangeRow = { topic: string; revision: number }
