import type { Facts } from '../../core/index.ts'
import type { ErrorFields } from '../../wire/postgres/index.ts'

/**
 * Errors and notices quote values of rows: a failed CHECK shows the whole row, a failed cast shows what could not be
 * cast. Where protected columns are in reach of who may not see them, only what is made of names passes.
 */

/**
 * Classes of SQLSTATEs whose MESSAGE is made of names and of what the client wrote; DETAIL may hold values even so.
 * An allow-list: in every other class (22 data exception, P0 raised by a function, ...) the MESSAGE may hold values too.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const NAMES_ONLY: ReadonlySet<string> = new Set(
  '08 0A 23 24 25 26 28 2B 2D 34 3B 3D 3F 40 53 54 55 57'.split(' '),
)

/** Of class 42 found while reading a statement: it tells where. Raised later: privileges. */
const PRIVILEGE = '42501'

/** Ends or checks what earlier statements of the transaction did; anywhere, because comments may stand in front. */
const SETTLES = /\b(?:commit|end|prepare\s+transaction|set\s+constraints)\b/i

/** Fields made of names, positions in the client's own text, and places in the server's source. */
const KEPT = [
  'code',
  'position',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
] as const

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
  return attributes['reach'] !== false || SETTLES.test(of.text)
}

/** The same error or notice without what could be a value. */
export function withoutValues(fields: ErrorFields): ErrorFields {
  const code = fields.code ?? 'XX000'
  const kept: Partial<Record<(typeof KEPT)[number], string>> = {}
  for (const field of KEPT) {
    const value = fields[field]
    if (value !== undefined) kept[field] = value
  }
  const severity = fields.severity ?? 'ERROR'
  return {
    ...kept,
    severity,
    code,
    message: isMadeOfNames(fields, code) ? (fields.message ?? '') : `The server reports SQLSTATE ${code}.`,
    detail: DETAIL,
  }
}

function isMadeOfNames(fields: ErrorFields, code: string): boolean {
  if (NAMES_ONLY.has(code.slice(0, 2))) return true
  return code.startsWith('42') && (fields.position !== undefined || code === PRIVILEGE)
}
