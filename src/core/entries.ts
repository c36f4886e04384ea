import type { CommandClass, LabelledColumn } from './command.ts'
import type { Identity } from './identity.ts'
import type { LabelName, SessionId } from './ids.ts'

/**
 * What a recording is made of. An entry has a kind, the session it belongs to (none for administrative entries), a
 * JSON head and, where bytes were seen, a raw body. Values that the client may not see are masked before they get here.
 */
export type Entry =
  | { readonly kind: 'open'; readonly head: OpenHead }
  | { readonly kind: 'intent'; readonly head: IntentHead }
  | { readonly kind: 'hold'; readonly head: HoldHead }
  | { readonly kind: 'answer'; readonly head: AnswerHead }
  /** Bytes of a result as the client gets them. */
  | { readonly kind: 'result'; readonly head: ResultHead; readonly body: Uint8Array }
  /** `body`: the last, and usually the only, bytes of the result. */
  | { readonly kind: 'outcome'; readonly head: OutcomeHead; readonly body?: Uint8Array }
  | { readonly kind: 'notice'; readonly head: NoticeHead }
  /** Bytes that the client sent to a command that runs, as it sent them: rows of COPY, a body in pieces. `digest` is that of an `InputEnd`. */
  | {
      readonly kind: 'input'
      readonly head: InputHead
      readonly body?: Uint8Array
      readonly digest?: Uint8Array
    }
  | { readonly kind: 'close'; readonly head: CloseHead }
  | { readonly kind: 'admin'; readonly head: AdminHead }

export type EntryKind = Entry['kind']

export type OpenHead = {
  readonly connection: string
  readonly protocol: string
  readonly chain: readonly Identity[]
  readonly credential: string
  /** How the credential came to be: `operator socket`, `token exchange`, `token`. */
  readonly mintedBy: string
  readonly clientAddress: string
  /** What the client calls itself; not verified. */
  readonly program: string
  readonly database: string
  readonly config: string
}

export type IntentHead = {
  readonly n: number
  readonly form: string
  readonly text: string
  readonly class: CommandClass
  readonly decision: 'allow' | 'hold' | 'deny'
  /** `name (file:line)` of the rules that decided. */
  readonly rules: readonly string[]
  readonly reason?: string
  /** Rules in mode `observe` that would have decided otherwise, written as `rules` are. */
  readonly observed?: readonly string[]
  /** Labels masked in the result. */
  readonly masked?: readonly string[]
  /** Labelled columns that the result may hold values of, masked or clear; never fewer than it does. */
  readonly columns?: readonly LabelledColumn[]
  readonly reads?: readonly string[]
  readonly writes?: readonly string[]
  /** Of what it reads and writes: names that only the client says exist. They are a payload, not part of what is public. */
  readonly typed?: readonly string[]
  /** Kinds of protected values that stood in what the client sent, such as `secret`. Absent: nobody has looked. */
  readonly outward?: readonly string[]
  /** base64 of each parameter; null is NULL. */
  readonly parameters?: readonly (string | null)[]
  /** How each of them is read: `text` or `binary`, and the declared type. Absent: all are text of no declared type. */
  readonly readings?: readonly string[]
  /** Values that stand as `[sealed 1]`, `[sealed 2]` in text and parameters. */
  readonly sealed?: readonly SealedField[]
  /** Absent: the same as of the command before it in its session. */
  readonly basis?: Basis
}

/** Values of one command that only who may see all of these labels may read. */
export type SealedField = {
  readonly labels: readonly string[]
  /** Of the marks that stand for them. */
  readonly numbers: readonly number[]
  /** The values, encrypted under the keys of the labels; empty: they were removed, or are not readable here. */
  readonly data: Uint8Array
}

/** By what a command was judged besides what it says: enough to judge it anew. */
export type Basis = {
  /** The version of the policy that decided. */
  readonly policy: string
  /** The address of the snapshot of the configuration in force. */
  readonly configuration: string
  /** The address of the snapshot of the definitions that names were resolved by; absent where none are read. */
  readonly catalogue?: string
  /** Where its session looked for names. */
  readonly names?: NamesBasis
  /** Access that its chain had been granted on the connection, by name. */
  readonly access?: readonly string[]
}

export type NamesBasis = {
  /** As the session began: schemas as they are set, as whom it acts, and who logged in. */
  readonly path: readonly string[]
  readonly role?: string
  readonly login?: string
  /** What has changed since. */
  readonly pathNow?: readonly string[]
  readonly roleNow?: string
  /** How many relations and types it had made for itself; absent: none. */
  readonly made?: number
  /** A statement had run that may have changed any of it. */
  readonly lost?: true
}

export type HoldHead = { readonly n: number; readonly ticket: string; readonly expiresAt: number }

export type AnswerHead = {
  readonly n: number
  readonly ticket: string
  readonly answer: 'approved' | 'refused' | 'expired' | 'superseded' | 'pending' | 'abandoned' | 'canceled'
  readonly by?: string
  readonly reason?: string
}

export type ResultHead = {
  /** `OUTSIDE_COMMANDS`: what the client was told that is no command's result, in its place among them. */
  readonly n: number
  /** The body gives back sealed values, and is encrypted under the keys of these labels. */
  readonly sealed?: readonly string[]
}

/** The number that no command has. */
export const OUTSIDE_COMMANDS = 0

export type OutcomeHead = {
  readonly n: number
  /** `ok`, `error` (the upstream's own), `cut` (a limit), `refused` (by us), `skipped` (behind an error), `lost`. */
  readonly outcome: 'ok' | 'error' | 'cut' | 'refused' | 'skipped' | 'lost'
  /** Command tags, an HTTP status, or a SQLSTATE. */
  readonly tag: string
  readonly rows: number
  readonly bytes: number
  /** Result bytes that were counted but not kept. */
  readonly unkept: number
  readonly ms: number
  /** As that of a result. */
  readonly sealed?: readonly string[]
}

export type NoticeHead = { readonly n: number; readonly code: string; readonly message: string }

export type InputHead = {
  readonly n: number
  /** Body and digest are encrypted under the keys of these labels. */
  readonly sealed?: readonly string[]
  /** Absent: more is to come. */
  readonly end?: InputEnd
}

/** What was sent in all, from the first byte that the upstream asked for to the last. */
export type InputEnd = {
  /** `done`: the client said that this is all; `failed`: it gave up; `cut`: the command ended before either. */
  readonly how: 'done' | 'failed' | 'cut'
  readonly bytes: number
  /** Of these, bytes that were counted and not kept; if there are any, `digest` is the SHA-256 of all, in hexadecimal. */
  readonly unkept: number
}

export type CloseHead = { readonly reason: string; readonly commands: number }

/** Something an administrator, an operator or the gateway itself did. */
export type AdminHead = {
  readonly action: string
  readonly by: string
  readonly target?: string
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** Where entries go. Appending is to memory; `flush` makes everything appended so far durable, or throws. */
export interface Journal {
  append(session: SessionId | undefined, entry: Entry): void
  /** One write for all that was appended. Throws GatewayError `recording_unavailable`; then nothing may be forwarded. */
  flush(): void
  /** Flush and fsync: for connections with durability `fsync` and for administrative entries. */
  sync(): void
  /** Values under the keys of all of these labels, as `SealedField.data` has them. */
  seal(labels: readonly LabelName[], values: readonly string[]): Uint8Array
  /**
   * A fingerprint of what values stand in: HMAC-SHA-256 in hexadecimal, the same for the same text as long as the recording key
   * is. Nobody who has it and not the key can try a guess.
   */
  fingerprint(text: string): string
}
