import type { Countable } from './effect.ts'
import type { LabelName } from './ids.ts'
import type { ParameterReading } from './parameters.ts'
import type { SessionChanges } from './runs-under.ts'

/**
 * What kind of thing a command does.
 * - `read` returns data; `write` changes rows; `define` changes definitions (DDL);
 * - `administer` changes roles, settings or replication;
 * - `opaque` has an effect that cannot be seen before it runs (dynamic SQL, DO, CALL of an unknown routine).
 */
export type CommandClass = 'read' | 'write' | 'define' | 'administer' | 'opaque'

export const COMMAND_CLASSES = [
  'read',
  'write',
  'define',
  'administer',
  'opaque',
] as const satisfies readonly CommandClass[]

const STRICTNESS = { read: 0, write: 1, define: 2, administer: 3, opaque: 4 } as const satisfies Record<
  CommandClass,
  number
>

/** The strictest of several classes; an empty batch reads nothing and is a `read`. */
export function strictest(classes: readonly CommandClass[]): CommandClass {
  let worst: CommandClass = 'read'
  for (const each of classes) if (STRICTNESS[each] > STRICTNESS[worst]) worst = each
  return worst
}

/** A label of what lies at a path inside a JSON value. */
export type PathLabel = { readonly path: string; readonly label: LabelName }

/** A labelled column, `public.customers.email`, or field, `/customers/{id}: email`. `*`: any that has the label. */
export type LabelledColumn = { readonly column: string; readonly label: LabelName }

/** One column or field of a result, as far as it is known before the command runs. */
export type Output = {
  readonly name: string
  /** The labels of all columns and fields the value may depend on; absent when none of them has one. Sorted. */
  readonly labels?: readonly LabelName[]
  /** The value is more than an untouched copy of one labelled source: it is hidden whole or not at all. */
  readonly computed?: true
  /** Some of the values may come from where nothing is protected: no mask may show what would tell that they are the same. */
  readonly mixed?: true
  /** All of its labels are of what lies at these paths inside the JSON that it holds; the rest of it has none. */
  readonly paths?: readonly PathLabel[]
  /** The type of an untouched copy by its number, where it is known. */
  readonly type?: number
  /** What the upstream must call the source, so that its own description can be held against the analysis. */
  readonly source?: { readonly relation: number; readonly attribute: number; readonly type: number }
}

/**
 * How COPY writes rows, or reads them, as the statement asks for it, its defaults filled in. Delimiter, quote and escape are one byte
 * each; `header`: the first row is names.
 */
export type CopyForm =
  | { readonly kind: 'binary' }
  | { readonly kind: 'text'; readonly delimiter: string; readonly null: string; readonly header: boolean }
  | {
      readonly kind: 'csv'
      readonly delimiter: string
      readonly null: string
      readonly header: boolean
      readonly quote: string
      readonly escape: string
    }

/** What one statement of a batch returns. `undefined` outputs: not analysed, because no label is in reach. */
export type StatementFacts = {
  readonly class: CommandClass
  readonly outputs?: readonly Output[]
  /** Reads what its session has made and others do not see yet: the upstream may name a source that nobody knows. */
  readonly own?: true
  /** The outputs come as rows of COPY ... TO STDOUT. */
  readonly copy?: CopyForm
  /** It takes rows of COPY ... FROM STDIN, some of whose columns have labels: how they are written, and by position. */
  readonly copyIn?: { readonly form: CopyForm; readonly columns: readonly (readonly LabelName[])[] }
}

/**
 * What is known of a command before anyone decides. Pure data, the same for every protocol: a SQL batch has one
 * entry in `statements` per statement, an HTTP request has exactly one.
 */
export type Facts = {
  /** The strictest class in the batch. */
  readonly class: CommandClass
  readonly statements: readonly StatementFacts[]
  /** Resources read and written: `public.customers`, or a route such as `/customers/{id}`. Sorted, no duplicates. */
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  /** Those of them that nothing is known of but that the client has written them. Absent: none, or nothing is known of any. */
  readonly typed?: readonly string[]
  /** Functions or operations called by name. Sorted, no duplicates. */
  readonly calls: readonly string[]
  /** Labels carried by outputs: each is masked, or seen in clear. */
  readonly labels: readonly LabelName[]
  /** The columns that these come from, never fewer than there are. Absent: none, or the protocol does not say. */
  readonly columns?: readonly LabelledColumn[]
  /** Labels in predicates that the touch rule allows, such as `email = $1`: nobody is asked, but it is counted. */
  readonly touches: readonly LabelName[]
  /** With how many values each of them is compared: `IN ($1, $2)` asks twice. Absent: once in each statement. */
  readonly asked?: Readonly<Record<LabelName, number>>
  /** Labels used in any other way than to be handed out untouched or touched: predicates, joins, order, expressions. */
  readonly filters: readonly LabelName[]
  /** Labels of the columns that a write puts values into. */
  readonly stores: readonly LabelName[]
  /**
   * Set when values of these labels could come out, or flow elsewhere, in a way that masking cannot follow.
   * Only who may see every one of them in clear may run the command; `reason` tells everybody else why not.
   */
  readonly escape?: { readonly labels: readonly LabelName[]; readonly reason: string }
  /** A read without LIMIT, or a list request without a page size. */
  readonly unbounded: boolean
  /** An UPDATE or DELETE without WHERE, or with one that is always true. */
  readonly writesEverything: boolean
  /** How many rows it would return or change, where it was asked for and could be told. */
  readonly estimatedRows?: number
  /** Changes definitions, so that what is known of the upstream's names is stale until it has ended. */
  readonly redefines: boolean
  /** Further facts a `when` may read: `method`, `path`, `parsed`, ... */
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

/** Labels of columns that values of a command are compared with, or go into, or may: sorted. */
export function labelsUsed({ filters, touches, stores, escape }: Facts): LabelName[] {
  return [...new Set([...filters, ...touches, ...stores, ...(escape?.labels ?? [])])].sort()
}

/**
 * Values of a command that only who may see all of these labels may read in its recording: what stands there is
 * `[sealed 3]`, each with a number of its own from 1, the same number nowhere else in the command.
 */
export type SealedValues = {
  readonly labels: readonly LabelName[]
  readonly numbers: readonly number[]
  /** As they stood in the text; parameters as base64. */
  readonly values: readonly string[]
}

/** What the recording keeps of a command in which values are sealed. */
export type SealedCommand = {
  readonly text: string
  /** base64 each, null for NULL, or the mark of a sealed one. */
  readonly parameters: readonly (string | null)[] | undefined
  readonly sealed: readonly SealedValues[]
  /** Of all its values, and of those of what it runs by name: under these is sealed what may give one of them back. Sorted. */
  readonly labels: readonly LabelName[]
  /** Nothing that it returns depends on a value that is sealed: rows are recorded as they are. What is said in words never is. */
  readonly open: boolean
  /** Names in its text in which such a value stands: later commands may say them. Absent: none. */
  readonly names?: readonly string[]
}

/** A text that is sealed as a whole. */
export function sealedWhole(text: string, labels: readonly LabelName[]): SealedCommand {
  const sealed = [{ labels, numbers: [1], values: [text] }]
  return { text: '[sealed 1]', parameters: undefined, sealed, labels, open: false }
}

/** The values by which commands of one shape may differ. */
export type Varying = {
  /** Parameters, counted from 0; whether one is null may not vary. */
  readonly parameters: readonly number[]
  /** All of them in words, a line for each, for who approves; no value stands in them. */
  readonly varies: readonly string[]
}

/** A command as the adapter hands it to the session: what was asked, for the recording; and what is known of it. */
export type Command = {
  /** `query`, `execute`, `request`: the adapter's word for how it was asked. */
  readonly form: string
  /** The statement or request line as the client sent it. Read only by the recording and by approvers. */
  readonly text: string
  /** The text without what makes no difference; what an approval is bound to. Absent: the text itself. */
  readonly canonical?: string
  /** What else gives the text its meaning (search path, role, how dates are read), for an approval to be bound to as well. */
  readonly meaning?: string
  /** What of that its session has changed, in words for who approves. Absent: the protocol has no such thing. */
  readonly under?: SessionChanges
  /**
   * What it shares with commands that differ from it only in values of which one does as much as any other. An approval may be
   * for all of them. Absent: it is only like itself.
   */
  readonly shape?: string
  /** Those values. Absent: there are none, or no shape. */
  readonly varying?: Varying
  /** Parameters in order, undecoded; `null` is SQL NULL. Sealed or shown by their own rules, never logged. */
  readonly parameters?: readonly (Uint8Array | null)[]
  /**
   * How each parameter is read, as far as that makes a difference: the same bytes read otherwise are another value. An
   * approval is bound to it, and people are shown values by it. Absent: all are text of no declared type.
   */
  readonly readings?: readonly ParameterReading[]
  /** How many more values there may be in arrays that are handed over as one value: each of them is a question. */
  readonly listed?: number
  /** Whether an approval may be bound to how many rows it changes. Absent: nobody can count them. */
  readonly countable?: Countable
  /** What is recorded in place of text and parameters. Absent: these, as they are. */
  readonly recorded?: SealedCommand
  /** What people who are asked about it read in place of text and parameters, with secrets hidden. Absent: these, as they are. */
  readonly asked?: { readonly text: string; readonly parameters?: readonly (Uint8Array | null)[] }
  /** Kinds of protected values that stand in what it sends, such as `secret`; never a value. Absent: nobody has looked. */
  readonly outward?: readonly string[]
  readonly facts: Facts
}
