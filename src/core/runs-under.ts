import { reviewed, safe } from './visible-text.ts'

/** What a session has changed of that by which its commands are read and run, as people are told who approve one of them. */
export type SessionChanges = {
  /** A line for each change that holds, in order. Values that look like secrets are not in it. */
  readonly changes: readonly string[]
  /** It may act as another role, or find other things behind the same names, than a session that has just begun; or nobody knows. */
  readonly moved: boolean
  /**
   * Fields of the head that have a say in what is done, `content-type: application/json`, with secrets hidden: the approval is for the
   * command with these and no others. Absent: the protocol has no such thing.
   */
  readonly fields?: readonly string[]
}

/** Under what a command would run. */
export type RunsUnder = SessionChanges & {
  readonly database?: string
  /** What the client says it is. Nobody has checked that. */
  readonly program?: string
}

/** What people are warned of before they approve something of such a session. */
export const MOVED_WARNING =
  'its session may have another role, find other tables behind the same names, or have changed what nobody sees: see what it has changed'

/** For who may not read the values of a command: of fields the names alone. */
export function withoutFieldValues(under: RunsUnder): RunsUnder {
  const { fields, ...rest } = under
  if (fields === undefined) return under
  return { ...rest, fields: fields.map((each) => `${each.slice(0, each.indexOf(':'))}: [sealed]`) }
}

/** The same as names and values below each other. Nothing in them moves a cursor or breaks a line. */
export function underFacts({
  database,
  program,
  changes,
  fields,
}: RunsUnder): (readonly [name: string, value: string])[] {
  return [
    ...(database === undefined ? [] : [['database', safe(database)] as const]),
    ...(program === undefined ? [] : [['program', `${safe(program)} (as the client says)`] as const]),
    ...(fields ?? []).map((each) => ['field', reviewed(each)] as const),
    ...(fields === undefined && changes.length === 0
      ? [['session', 'has changed nothing'] as const]
      : changes.map((each) => ['session', safe(each)] as const)),
  ]
}
