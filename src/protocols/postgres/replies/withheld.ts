import type { Facts } from '../../../core/index.ts'
import type { Catalogue } from '../../../sql/index.ts'
import type { ErrorFields } from '../../../wire/postgres/index.ts'
import type { KnownNames } from './sqlstates.ts'
import { knownSqlstate, ownMessage } from './sqlstates.ts'

/**
 * Errors and notices quote values of rows: a failed CHECK shows the whole row, a failed cast shows what could not be
 * cast, and a trigger may RAISE whatever it likes under any SQLSTATE, with any name in the fields for names. Where
 * protected columns are in reach of who may not see them, a client hears a SQLSTATE of the server's own list, words of
 * ours, and names that the catalogue knows.
 */

/**
 * Of these classes, what is found while the client's own text is read is told in full: it quotes that text and names
 * of the catalogue, because no row has been looked at yet. Only then is there a POSITION: what runs later has none, and
 * RAISE cannot make one. 0A not supported, 22 a literal that is none, 42 names and syntax.
 */
const FOUND_IN_TEXT: ReadonlySet<string> = new Set(['0A', '22', '42'])

/** Places in the server's own source. */
const PLACES = ['file', 'line', 'routine'] as const

const DETAIL = 'More is not shown, because protected columns are in reach of this statement.'

/** What is known of the statement an error or a notice belongs to. */
export type Reached = {
  readonly facts: Facts
  readonly text: string
}

/** Whether values that this client may not see could stand in the message. `named`: the relation it names is in reach. */
export function mayHoldValues(of: Reached | undefined, named: boolean): boolean {
  if (named) return true
  if (of === undefined) return false
  const { attributes } = of.facts
  // A commit, or SET CONSTRAINTS, runs what earlier statements have put off.
  return attributes['reach'] !== false || attributes['deferred'] === true
}

/** Code of users behind a type runs while the text is read, and what it says there has a POSITION as well. */
export function mayBeSaidInText(of: Reached | 'anything' | undefined): boolean {
  return of !== undefined && of !== 'anything' && of.facts.attributes['ownTypes'] === true
}

/** The same error without what could be a value. `inText`: nor is anything told that was found in the text. */
export function withoutValues(
  fields: ErrorFields,
  catalogue: Catalogue | undefined,
  inText = false,
): ErrorFields {
  const code = knownSqlstate(fields.code)
  const known = knownNames(fields, catalogue)
  const kept: Partial<Record<(typeof PLACES)[number], string>> = {}
  for (const field of PLACES) {
    const value = fields[field]
    if (value !== undefined) kept[field] = value
  }
  const { position, message } = fields
  const found = !inText && position !== undefined && FOUND_IN_TEXT.has(code.slice(0, 2))
  return {
    ...kept,
    ...known,
    ...(position === undefined ? {} : { position }),
    severity: fields.severity ?? 'ERROR',
    code,
    message: found && message !== undefined ? message : ownMessage(code, known),
    detail: DETAIL,
  }
}

/** Says nothing by its SQLSTATE: a RAISE NOTICE or RAISE WARNING without one, a server's remark. */
const SILENT: ReadonlySet<string> = new Set(['00000', '01000'])

/** The same for a notice. Undefined: nothing of it can be told. */
export function noticeWithoutValues(
  fields: ErrorFields,
  catalogue: Catalogue | undefined,
  inText = false,
): ErrorFields | undefined {
  const { code } = fields
  if (code === undefined || SILENT.has(code) || code.startsWith('P0') || knownSqlstate(code) !== code)
    return undefined
  return withoutValues(fields, catalogue, inText)
}

/** Settings reported to the client whose values are text of somebody's choice: a trigger could put anything there. */
const FREE_TEXT: ReadonlySet<string> = new Set(['application_name', 'search_path', 'timezone', 'datestyle'])
/** Values remembered for all of them. */
const VALUES_MAX = 64

/** What a client knows of its settings: the values it began with, and those it has written itself. */
export class OwnSettings {
  /** Few, so a list: `name=value`. */
  readonly #known: string[] = []

  constructor(begun: ReadonlyMap<string, string>) {
    // Nobody asks for the others, and most sessions do nothing.
    for (const [name, value] of begun) if (FREE_TEXT.has(name.toLowerCase())) this.#know(name, value)
  }

  /** Whether the client gave it this value in one of these statements, had it before, or it tells nothing. */
  isOwn(name: string, value: string, texts: readonly string[]): boolean {
    const key = name.toLowerCase()
    if (!FREE_TEXT.has(key) || this.#known.includes(`${key}=${value}`)) return true
    const sought = value.toLowerCase()
    if (!texts.some((text) => text.toLowerCase().includes(sought))) return false
    this.#know(key, value)
    return true
  }

  #know(name: string, value: string): void {
    if (this.#known.length < VALUES_MAX) this.#known.push(`${name.toLowerCase()}=${value}`)
  }
}

function knownNames(fields: ErrorFields, catalogue: Catalogue | undefined): KnownNames {
  const { schema, table, column, constraint } = fields
  if (schema === undefined || table === undefined) return {}
  const relation = catalogue?.schemas.get(schema)?.get(table)
  if (catalogue === undefined || relation === undefined) return {}
  const isColumn = relation.columns.some((each) => each.name === column)
  const isConstraint = constraint !== undefined && catalogue.constraints.get(relation.oid)?.has(constraint)
  return {
    schema,
    table,
    ...(column !== undefined && isColumn ? { column } : {}),
    ...(isConstraint === true ? { constraint } : {}),
  }
}
