import type { ResultLimit } from './decision.ts'
import type { ConnectionName, LabelName } from './ids.ts'

/** When an entry counts as written: `written` is in the kernel (survives the process), `fsync` on the disk. */
export type Durability = 'written' | 'fsync'

/** One line of the configuration that gives a label to data: `public.customers.email` or `customers[].email`. */
export type LabelAssignment = { readonly pattern: string; readonly label: LabelName }

/** How long what a program sends waits for people. The program's name may have `*` in it, for anything or nothing. */
export type ProgramPatience = { readonly program: string; readonly ms: number }

/** A configured thing that can be reached. `settings` belong to the protocol, parsed by its own schema. */
export type Connection<Settings = unknown> = {
  readonly name: ConnectionName
  readonly protocol: string
  readonly settings: Settings
  readonly labels: readonly LabelAssignment[]
  readonly limit: ResultLimit
  /** How long a held command waits inline before it ends as pending, in milliseconds. */
  readonly patienceMs: number
  /** The same for clients that call themselves so; the first that fits counts. */
  readonly patienceFor?: readonly ProgramPatience[]
  /** Sessions that one identity chain may have open on it at once. */
  readonly sessionsPerIdentity: number
  readonly durability: Durability
  /** Result bytes kept in the recording per command; beyond it only counted. */
  readonly resultBytesKept: number
}
